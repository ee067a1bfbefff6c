"""Products, made over HTTP by an admin, and API keys, made by the command line."""

from typing import Any

import aiohttp
from tests.faults.processes import Environment, command

PASSWORD = "correct horse battery"


def a_product(units: int, **rules: Any) -> dict[str, Any]:
    return {"name": "hot", "price": "1.00", "stockQuantity": units, **rules}


async def hire(settings: Environment, url: str) -> str:
    """The token of a new admin."""
    made = command(settings, "admin", "create", "admin@example.com", "--password-stdin", stdin=PASSWORD + "\n")
    assert made.returncode == 0, made.stderr
    async with (
        aiohttp.ClientSession() as http,
        http.post(url + "/auth/login", json={"email": "admin@example.com", "password": PASSWORD}) as answer,
    ):
        token: str = (await answer.json())["token"]
        return token


async def make_products(settings: Environment, url: str, *products: dict[str, Any]) -> list[str]:
    """Make products over HTTP, as a new admin; their ids."""
    token = await hire(settings, url)
    ids = []
    async with aiohttp.ClientSession() as http:
        for product in products:
            headers = {"Authorization": f"Bearer {token}"}
            async with http.post(url + "/products", json=product, headers=headers) as answer:
                assert answer.status == 201, await answer.text()
                ids.append((await answer.json())["id"])
    return ids


def make_key(settings: Environment, *scopes: str) -> str:
    """A new API key with these scopes."""
    wanted = [word for scope in scopes for word in ("--scope", scope)]
    made = command(settings, "keys", "create", "backend", *wanted)
    assert made.returncode == 0, made.stderr
    return made.stdout.split()[-1]
