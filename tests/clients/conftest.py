"""A running server with two products, one of them sold out."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.cli.conftest import CommandShop, Running
from tests.clients.generators import require_generators

UNITS = 5
PRICE = "999.99"


class LiveShop(NamedTuple):
    """The server's address, its OpenAPI document, a product with `UNITS` units, and one that is sold out."""

    url: str
    document: Any
    product_id: str
    sold_out_id: str


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveShop]:
    """A shop for one test, on the embedded engine and a free port."""
    require_generators()
    directory = tmp_path / "shop"
    directory.mkdir()
    shop = CommandShop(directory, {k: v for k, v in os.environ.items() if not k.startswith("FLASHRESERVE_")})
    product_id, sold_out_id = shop.stock(UNITS), shop.stock(1)
    shop.reserve(sold_out_id)
    process = shop.start("serve", "--port", "0")
    try:
        server = Running(process)
        yield LiveShop(server.url, server.ask("GET", "/openapi.json").json, product_id, sold_out_id)
    finally:
        process.terminate()
        process.communicate(timeout=60)
