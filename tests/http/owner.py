"""Owners of accounts, who sign in over HTTP."""

from itertools import count
from typing import Any, Final

from tests.http.shop import HttpAnswer, HttpShop

OLD: Final = "correct horse battery staple"
NEW: Final = "another battery, quite new"

_numbers = count()


class Owner:
    """The owner of an account, and the token of the last sign-in."""

    def __init__(self, shop: HttpShop, email: str) -> None:
        self.shop = shop
        self.email = email
        self.id = ""
        self.token = ""

    async def register(self) -> "Owner":
        body = {"email": self.email, "password": OLD}
        self.id = (await self.shop.ask("POST", "/auth/register", body=body)).granted()["id"]
        assert (await self.login(OLD)).status == 200
        return self

    async def login(self, password: str) -> HttpAnswer:
        body = {"email": self.email, "password": password}
        answer = await self.shop.ask("POST", "/auth/login", body=body)
        if answer.status == 200:
            self.token = answer.json["token"]
        return answer

    async def ask(self, method: str, path: str, token: str | None = None, **sent: Any) -> HttpAnswer:
        headers = {"Authorization": f"Bearer {token or self.token}"}
        return await self.shop.ask(method, path, headers=headers, **sent)

    async def me(self, token: str | None = None) -> str:
        """The code of the answer to `/auth/me`, or `signed in`."""
        answer = await self.ask("GET", "/auth/me", token)
        return "signed in" if answer.status == 200 else answer.code


async def an_owner(shop: HttpShop) -> Owner:
    """The owner of a new account, signed in with the password `OLD`."""
    return await Owner(shop, f"owner-{next(_numbers)}@example.com").register()
