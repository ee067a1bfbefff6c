"""Clients that generators make from the OpenAPI document of a running server, used against that server."""

import copy
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.clients.conftest import PRICE, UNITS, LiveShop
from tests.clients.generators import (
    PROGRAMS,
    PYTHON,
    ROOT,
    answers_without_a_class,
    python_client,
    require_generators,
    run,
    typescript_client,
)
from tests.http.documented import DOCUMENT

# Generators and compilers need seconds each, and more beside other tests.
pytestmark = pytest.mark.timeout(300)


def answers(live: LiveShop) -> dict[str, Any]:
    """The answers that a purchase gets: `typescript/purchase.ts` and `python/purchase.py` print the same."""
    sold_out = {"status": 409, "code": "sold-out"}
    return {
        "unauthenticated": {"status": 401, "code": "unauthenticated"},
        "products": [
            {"id": live.product_id, "price": PRICE, "available": UNITS},
            {"id": live.sold_out_id, "price": PRICE, "available": 0},
        ],
        "hold": {
            "status": 201,
            "state": "PENDING",
            "lines": [[live.product_id, 2, PRICE]],
            "externalId": "order-1",
            "channel": "app",
        },
        "single": {"status": 201, "quantity": 1},
        "few": {**sold_out, "available": UNITS - 3, "product": live.product_id},
        "none": {**sold_out, "available": 0, "product": live.sold_out_id},
        "invalid": {"status": 400, "code": "bad-request", "errors": [["quantity", True]]},
        "bought": {"status": 200, "state": "CONFIRMED", "same": True},
    }


def test_ci_installs_the_generators_before_it_checks_anything() -> None:
    script = (ROOT / ".ci" / "run").read_text()

    assert 0 < script.index("make clients") < script.index("make check")


def test_the_typescript_client_compiles_in_strict_mode_and_buys(live: LiveShop, tmp_path: Path) -> None:
    typescript_client(f"{live.url}/openapi.json", tmp_path)

    printed = run(["node", "purchase.js", live.url, live.product_id, live.sold_out_id], tmp_path)

    assert json.loads(printed) == answers(live)


def test_the_python_client_has_every_answer_and_buys(live: LiveShop, tmp_path: Path) -> None:
    made = python_client(f"{live.url}/openapi.json", tmp_path)
    program = PROGRAMS / "python" / "purchase.py"
    mypy = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--python-executable", str(PYTHON)]

    run([*mypy, program], tmp_path, MYPYPATH=str(made))
    printed = run([PYTHON, program, live.url, live.product_id, live.sold_out_id], tmp_path, PYTHONPATH=str(made))

    assert json.loads(printed) == answers(live)
    assert answers_without_a_class(live.document, made) == []


def test_an_answer_that_the_python_generator_drops_is_noticed(tmp_path: Path) -> None:
    require_generators()
    document = copy.deepcopy(DOCUMENT)
    media = document["components"]["responses"]["sold-out.limit-reached"]["content"]["application/problem+json"]
    media["schema"] = {"allOf": [media["schema"], {"properties": {"code": {"const": "sold-out"}}}]}
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(document))

    with pytest.raises(AssertionError, match="will be omitted from generated client"):
        python_client(str(file), tmp_path)

    dropped = answers_without_a_class(document, tmp_path / "client")
    assert sorted(dropped) == ["reserve 409", "reserveBasket 409", "reserveShort 409"]
