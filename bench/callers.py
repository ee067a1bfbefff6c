"""The ways in which a request says who sends it, and the shop whose requests may use all of them."""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal, get_args

import jwt
import msgspec
from bench.load import Load
from cryptography.hazmat.primitives.asymmetric import rsa

from bench import shops

Caller = Literal["own token", "foreign token", "key on behalf", "own token, CORS"]

CALLERS: Final[tuple[Caller, ...]] = get_args(Caller)
ORIGIN: Final = "https://shop.example"

_ISSUER: Final = "https://login.shop.example"
_AUDIENCE: Final = "flashreserve"
_ALGORITHM: Final = "RS256"
_KEY_ID: Final = "bench"
_KEY_BITS: Final = 2048
_TOKEN_S: Final = 24 * 3600
_JWKS: Final = "jwks.json"


def sent_by(caller: Caller, load: Load, credentials: shops.Credentials) -> Load:
    """The load as this caller sends it. As it is given, it is sent by own accounts."""
    match caller:
        case "own token":
            return load
        case "foreign token":
            return load._replace(tokens=credentials.foreign)
        case "key on behalf":
            return load._replace(tokens=(credentials.key,), customers=credentials.customers)
        case "own token, CORS":
            return load._replace(origin=ORIGIN)


@contextmanager
def plugged_in(directory: Path) -> Iterator[shops.BenchShop]:
    """FlashReserve on a SQLite file, with an issuer (RS256), an API key, and a page on another origin."""
    signing = rsa.generate_private_key(65537, _KEY_BITS)
    public = jwt.get_algorithm_by_name(_ALGORITHM).to_jwk(signing.public_key(), as_dict=True)
    key_set = {"keys": [{**public, "kid": _KEY_ID, "alg": _ALGORITHM, "use": "sig"}]}
    (directory / _JWKS).write_bytes(msgspec.json.encode(key_set))
    issuer = {"name": "shop", "issuer": _ISSUER, "audience": _AUDIENCE, "jwks_file": str(directory / _JWKS)}
    settings = {
        "FLASHRESERVE_ISSUERS": msgspec.json.encode({"issuers": [issuer]}).decode(),
        "FLASHRESERVE_ORIGINS": ORIGIN,
    }
    with shops.embedded(directory, settings=settings) as shop:
        env = shops.environment(directory, settings)
        key = shops.flashreserve(env, "keys", "create", "bench", "--scope", "customers").strip()
        customers = [secrets.token_hex(8) for _ in range(shops.TOKENS)]
        tokens = tuple(_signed(signing, customer) for customer in customers)
        ids = tuple(f"backend:{customer}" for customer in customers)
        yield shop._replace(credentials=shops.Credentials(tokens, key, ids))


def _signed(signing: rsa.RSAPrivateKey, subject: str) -> str:
    now_s = int(time.time())
    claims = {"iss": _ISSUER, "aud": _AUDIENCE, "sub": subject, "iat": now_s, "exp": now_s + _TOKEN_S}
    return jwt.encode(claims, signing, _ALGORITHM, headers={"kid": _KEY_ID})
