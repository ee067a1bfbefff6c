"""Products, made over HTTP by an admin."""

from typing import Any

import aiohttp
from tests.faults.processes import Environment, command

PASSWORD = "correct horse battery"


def a_product(units: int, **rules: Any) -> dict[str, Any]:
    return {"name": "hot", "price": "1.00", "stockQuantity": units, **rules}


async def make_products(settings: Environment, url: str, *products: dict[str, Any]) -> list[str]:
    """Make products over HTTP, as a new admin; their ids."""
    made = command(settings, "admin", "create", "admin@example.com", "--password-stdin", stdin=PASSWORD + "\n")
    assert made.returncode == 0, made.stderr
    ids = []
    async with aiohttp.ClientSession() as http:
        async with http.post(url + "/auth/login", json={"email": "admin@example.com", "password": PASSWORD}) as answer:
            token = (await answer.json())["token"]
        for product in products:
            headers = {"Authorization": f"Bearer {token}"}
            async with http.post(url + "/products", json=product, headers=headers) as answer:
                assert answer.status == 201, await answer.text()
                ids.append((await answer.json())["id"])
    return ids
