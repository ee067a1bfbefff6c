"""The pages of docs/shop.md and docs/shop-browser.md, used in Chromium as a customer would."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from tests.cli.conftest import CommandShop, Running, serve, shop
from tests.docs.pages import EXAMPLES
from tests.servers.node import require_node

from flashreserve.rehearsal.servers.ports import free_port

pytest.importorskip("playwright.async_api", reason="playwright isn't installed: run make .venv")

__all__ = ["serve", "shop"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

Serve = Callable[..., Running]

ACCOUNT: Final = {"email": "ann@example.com", "password": "a long password"}
SAYS: Final = "([id, text]) => document.getElementById(id).textContent === text"
RETURNED: Final = "() => document.querySelector('#orders button').disabled"
START_S: Final = 60.0


@contextmanager
def listening(command: list[str], folder: Path, port: int, **environment: str) -> Iterator[str]:
    """A program that listens on this port; yields its address once it does."""
    with subprocess.Popen(command, cwd=folder, env=os.environ | environment, stderr=subprocess.DEVNULL) as process:
        try:
            end = time.monotonic() + START_S
            while not _listens(port):
                assert process.poll() is None, command
                assert time.monotonic() < end, command
                time.sleep(0.02)
            yield f"http://localhost:{port}"
        finally:
            process.terminate()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


async def says(page: Any, element: str, text: str) -> None:
    """Wait until the element has this text."""
    await page.wait_for_function(SAYS, arg=[element, text])


async def buy_all_that_is_allowed(page: Any) -> None:
    """Buy two of ten, and be refused a third."""
    await page.click("#buy")
    await says(page, "left", "9")
    await says(page, "message", "Yours!")
    await page.click("#buy")
    await says(page, "left", "8")
    await page.click("#buy")
    await says(page, "message", "2 for each customer, no more.")


async def test_a_customer_buys_and_returns_on_the_page_of_a_shop(browser: Any, shop: CommandShop, serve: Serve) -> None:
    node, port = require_node(), free_port()
    assert shop.finish("products", "import", str(EXAMPLES / "shop" / "products.csv")).code == 0
    key = shop.finish("keys", "create", "Shop backend", "--scope=customers").out.strip()
    environment = {"API_URL": serve().url, "API_KEY": key, "STAFF_KEY": "unused", "PORT": str(port)}

    with listening([node, "backend.mjs"], EXAMPLES / "shop", port, **environment) as url:
        page = await browser.new_page()
        await page.goto(url)
        await says(page, "left", "10")
        await page.click("#buy")
        await says(page, "message", "sign in first")
        await page.fill("[name=name]", "ann")
        await page.click("#sign-in button")
        await says(page, "message", "Welcome, ann.")
        await buy_all_that_is_allowed(page)
        await page.click("#orders li:first-child button")
        await says(page, "message", "Returned.")
        await says(page, "left", "9")
        await page.wait_for_function(RETURNED)
        await page.close()


async def test_a_customer_buys_on_a_page_of_another_origin(browser: Any, shop: CommandShop, serve: Serve) -> None:
    port = free_port()
    assert shop.finish("products", "import", str(EXAMPLES / "shop" / "products.csv")).code == 0
    running = serve(FLASHRESERVE_ORIGINS=f"http://localhost:{port}")
    running.ask("POST", "/auth/register", ACCOUNT)
    site = shop.directory / "site"
    site.mkdir()
    for file in (EXAMPLES / "shop-browser").iterdir():
        service = f"http://localhost:{running.url.rpartition(':')[2]}"
        text = file.read_text(encoding="utf-8").replace("http://localhost:3000", service)
        (site / file.name).write_text(text, encoding="utf-8")

    command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]
    with listening(command, site, port) as url:
        page = await browser.new_page()
        await page.goto(url)
        await says(page, "left", "10")
        await page.click("#buy")
        await says(page, "message", "Sign in first.")
        await page.fill("[name=email]", ACCOUNT["email"])
        await page.fill("[name=password]", ACCOUNT["password"])
        await page.click("#sign-in button")
        await says(page, "message", "Welcome.")
        await buy_all_that_is_allowed(page)
        await page.close()
