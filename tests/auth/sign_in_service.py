"""A sign-in service of a shop: it signs tokens with keys of its own, and publishes the public ones."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from flashreserve.auth.issuers import Issuer

ISSUER: Final = "https://login.shop.example/"
AUDIENCE: Final = "flashreserve"
NOW_S: Final = 1_795_000_000
CLAIMS: Final[dict[str, Any]] = {"iss": ISSUER, "aud": AUDIENCE, "sub": "42", "iat": NOW_S, "exp": NOW_S + 300}

RSA: Final = rsa.generate_private_key(65537, 2048)
WEAK_RSA: Final = rsa.generate_private_key(65537, 1024)  # noqa: S505 - to be refused
EC: Final = ec.generate_private_key(ec.SECP256R1())
ED: Final = ed25519.Ed25519PrivateKey.generate()
SECRET: Final = "the shop and this service share these words, and nobody else"
PRIVATE: Final[dict[str, Any]] = {"RS256": RSA, "ES256": EC, "EdDSA": ED, "HS256": SECRET}


def issuer(**changes: Any) -> Issuer:
    """An issuer with public keys in a file."""
    return Issuer(**{"name": "shop", "issuer": ISSUER, "audience": AUDIENCE, "jwks_file": "keys.json", **changes})


def public_key(algorithm: str, kid: str | None, key: Any = None, **more: Any) -> dict[str, Any]:
    """A key of a JWKS document."""
    made = jwt.get_algorithm_by_name(algorithm).to_jwk((key or PRIVATE[algorithm]).public_key(), as_dict=True)
    return {**made, "alg": algorithm, "use": "sig", **({} if kid is None else {"kid": kid}), **more}


def private_key(algorithm: str, kid: str) -> dict[str, Any]:
    """A private key, which nobody should publish."""
    made = jwt.get_algorithm_by_name(algorithm).to_jwk(PRIVATE[algorithm], as_dict=True)
    return {**made, "alg": algorithm, "use": "sig", "kid": kid, "key_ops": ["sign", "verify"]}


def jwks(*keys: Mapping[str, Any]) -> bytes:
    """A JWKS document."""
    return json.dumps({"keys": keys}).encode()


ALL_KEYS: Final = jwks(public_key("RS256", "one"), public_key("ES256", "two"), public_key("EdDSA", "three"))
KIDS: Final = {"RS256": "one", "ES256": "two", "EdDSA": "three", "HS256": None}


def token(algorithm: str = "RS256", *, key: Any = None, headers: Mapping[str, Any] | None = None, **claims: Any) -> str:
    """A signed token. A claim of None is left out; so is a header."""
    payload = {name: value for name, value in {**CLAIMS, **claims}.items() if value is not None}
    named = {"kid": KIDS[algorithm], **(headers or {})}
    return jwt.encode(
        payload,
        PRIVATE[algorithm] if key is None else key,
        algorithm=algorithm,
        headers={name: value for name, value in named.items() if value is not None},
    )


class KeyServer:
    """Publishes a JWKS document by HTTP. `body` and `status` are what it answers, `asked` how often it was asked."""

    def __init__(self) -> None:
        self.body = ALL_KEYS
        self.status = 200
        self.asked = 0
        self.url = ""

    async def answer(self, _: web.Request) -> web.Response:
        self.asked += 1
        headers = {"Location": "/keys"} if self.status == 302 else {}
        return web.Response(body=self.body, status=self.status, headers=headers)


@asynccontextmanager
async def key_server() -> AsyncIterator[KeyServer]:
    """A key server on a free port."""
    server = KeyServer()
    application = web.Application()
    application.router.add_get("/keys.json", server.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/keys.json"
    try:
        yield server
    finally:
        await runner.cleanup()
