"""The programs of the pages on shops do what their pages say beyond what the pages' commands show."""

import hashlib
import hmac
import json
import os
import re
import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final

import pytest
from tests.cli.conftest import CommandShop, Running, serve, shop
from tests.docs.lossy_link import lossy_link
from tests.docs.pages import EXAMPLES
from tests.servers.node import require_node

from flashreserve.rehearsal.servers.ports import free_port

__all__ = ["serve", "shop"]

Serve = Callable[..., Running]

ORIGIN: Final = "http://localhost:4000"
SECRET: Final = "correct-horse-battery-staple-and-some-more"
ISSUERS: Final = json.dumps(
    {"issuers": [{"name": "shop", "issuer": "shop-login", "audience": "flashreserve", "secret": SECRET}]}
)
ACCOUNT: Final = {"email": "ann@example.com", "password": "a long password"}
START_S: Final = 60.0
TRIES_MAX: Final = 30
"""More than one address may try at one account, even if the machine is slow: 10, and another one each minute."""


@pytest.fixture
def imported(shop: CommandShop) -> CommandShop:
    """The shop with the product of the pages."""
    done = shop.run("products", "import", str(EXAMPLES / "shop" / "products.csv"))
    assert done.code == 0, done.err
    return shop


def run(program: list[str], folder: Path, **environment: str) -> str:
    """What the program prints, which must succeed."""
    done = subprocess.run(
        program, cwd=folder, env=os.environ | environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def api_key(shop: CommandShop, *scopes: str) -> str:
    done = shop.run("keys", "create", "Shop backend", *(f"--scope={scope}" for scope in scopes))
    assert done.code == 0, done.err
    return done.out.strip()


def product_at(running: Running) -> dict[str, Any]:
    found: dict[str, Any] = running.ask("GET", "/products?externalId=IP15").json["items"][0]
    return found


def token(subject: str) -> str:
    """A token of the shop's sign-in service."""

    def part(value: Mapping[str, object]) -> str:
        return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    claims = {"iss": "shop-login", "aud": "flashreserve", "sub": subject, "exp": int(time.time()) + 300}
    text = f"{part({'alg': 'HS256'})}.{part(claims)}"
    signature = hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).digest()
    return f"{text}.{urlsafe_b64encode(signature).rstrip(b'=').decode()}"


# A page of another origin.


def as_page(running: Running, **environment: str) -> dict[str, Any]:
    program = [require_node(), str(Path(__file__).with_name("as_browser.mjs")), str(EXAMPLES / "shop-browser")]
    found: dict[str, Any] = json.loads(run(program, Path.cwd(), API_URL=running.url, **environment))
    return found


@pytest.mark.parametrize("way", ["cookie", "token"])
def test_a_page_of_an_allowed_origin_sells(imported: CommandShop, serve: Serve, way: str) -> None:
    require_node()
    running = serve(FLASHRESERVE_ORIGINS=ORIGIN, FLASHRESERVE_ISSUERS=ISSUERS)
    credentials = {"TOKEN": token("42")}
    customer = "shop:42"
    if way == "cookie":
        customer = running.ask("POST", "/auth/register", ACCOUNT).json["id"]
        credentials = {"EMAIL": ACCOUNT["email"], "PASSWORD": ACCOUNT["password"]}

    done = as_page(running, ORIGIN=ORIGIN, **credentials)

    first, again = done["holds"]
    assert first == again
    assert (done["bought"]["id"], done["bought"]["status"]) == (first["id"], "CONFIRMED")
    assert done["bought"]["userId"] == customer
    assert (done["cancelled"]["status"], done["code"]) == ("CANCELLED", "sold-out")
    assert product_at(running)["available"] == 9


@pytest.mark.parametrize("way", ["cookie", "token"])
def test_a_page_of_another_origin_reads_nothing_and_sells_nothing(
    imported: CommandShop, serve: Serve, way: str
) -> None:
    require_node()
    running = serve(FLASHRESERVE_ORIGINS=ORIGIN, FLASHRESERVE_ISSUERS=ISSUERS)
    running.ask("POST", "/auth/register", ACCOUNT)
    credentials = {"TOKEN": token("42")}
    if way == "cookie":
        credentials = {"EMAIL": ACCOUNT["email"], "PASSWORD": ACCOUNT["password"]}

    done = as_page(running, ORIGIN="http://stranger.example", **credentials)

    assert done["error"] == "http://stranger.example may not read the answer"
    assert product_at(running)["available"] == 10


# Backends.

CLIENTS: Final = {
    "node": 'import("./flash.mjs").then((flash) => flash.reserve("shop:42", process.argv[1], { click: "click-1" }))'
    ".then((hold) => console.log(JSON.stringify(hold)))",
    "python": 'import flash, json, sys; print(json.dumps(flash.reserve("shop:42", sys.argv[1], click="click-1")))',
}


@pytest.mark.parametrize("language", CLIENTS)
def test_a_client_whose_answer_is_lost_asks_again_and_takes_nothing_twice(
    imported: CommandShop, serve: Serve, language: str
) -> None:
    program = [require_node(), "-e"] if language == "node" else [sys.executable, "-c"]
    key = api_key(imported, "customers")
    running = serve()
    product_id = product_at(running)["id"]

    with lossy_link(int(running.url.rpartition(":")[2])) as link:
        url = f"http://127.0.0.1:{link.port}"
        printed = run(
            [*program, CLIENTS[language], product_id], EXAMPLES / f"shop-{language}", API_URL=url, API_KEY=key
        )

    assert link.lost == [201]
    assert json.loads(printed)["userId"] == "shop:42"
    assert product_at(running)["available"] == 9


@contextmanager
def node_server(running: Running, key: str) -> Iterator[int]:
    """The server of docs/shop-node.md; yields its port."""
    port = free_port()
    environment = {"API_URL": running.url, "API_KEY": key, "SESSION_SECRET": SECRET, "PORT": str(port)}
    with subprocess.Popen(
        [require_node(), "server.mjs"],
        cwd=EXAMPLES / "shop-node",
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == f"The shop is at http://localhost:{port}\n"
            yield port
        finally:
            process.terminate()


def wrong_sign_in(port: int, visitor: str) -> int:
    """The status of a wrong sign-in that a visitor with this address sends through the backend."""
    connection = HTTPConnection("127.0.0.1", port, timeout=START_S, source_address=(visitor, 0))
    try:
        body = json.dumps({"email": "ann@example.com", "password": "a wrong password"})
        connection.request("POST", "/flash/auth/login", body, {"Content-Type": "application/json"})
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize(("proxies", "second"), [("127.0.0.1", 401), ("", 429)], ids=["trusted", "not trusted"])
def test_visitors_are_told_apart_if_the_backend_is_a_trusted_proxy(
    imported: CommandShop, serve: Serve, proxies: str, second: int
) -> None:
    require_node()
    running = serve(FLASHRESERVE_PATH_PREFIX="/flash", FLASHRESERVE_TRUSTED_PROXIES=proxies)
    with node_server(running, "frk_unused") as port:
        assert 429 in (wrong_sign_in(port, "127.0.0.2") for _ in range(TRIES_MAX))
        assert wrong_sign_in(port, "127.0.0.3") == second


def test_the_rewrite_of_next_leads_to_flashreserve(imported: CommandShop, serve: Serve) -> None:
    running = serve(FLASHRESERVE_PATH_PREFIX="/flash")
    program = (
        'import("./next.config.mjs").then(async (all) => console.log(JSON.stringify(await all.default.rewrites())))'
    )
    (rule,) = json.loads(run([require_node(), "-e", program], EXAMPLES / "shop-node", API_URL=running.url))

    assert rule["source"] == "/flash/:path*"
    asked = re.sub(r":path\*$", "products?externalId=IP15", rule["destination"])
    answer = running.ask("GET", asked.removeprefix(running.url))
    assert [each["externalId"] for each in answer.json["items"]] == ["IP15"]
