"""Reads the key documents of issuers, by HTTP or from files."""

import asyncio
from pathlib import Path
from typing import Final

import aiohttp

from flashreserve.auth.issuers import Issuer
from flashreserve.auth.public_keys import JWKS_BYTES_MAX

_TIMEOUT_S: Final = 5.0
_OK: Final = 200


async def read_jwks(issuer: Issuer) -> bytes:
    """The document at the issuer's address or in its file; a byte more than allowed if it is too long.

    Raises:
        OSError: it can't be read.
        ValueError: the answer is none.
    """
    if issuer.jwks_file:
        return await asyncio.to_thread(_read_file, Path(issuer.jwks_file))
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            # Who answers a redirect decides where the keys come from.
            session.get(issuer.jwks_url, allow_redirects=False) as answer,
        ):
            if answer.status != _OK:
                raise ValueError(f"expected status 200, not {answer.status}")
            return await _read_some(answer.content)
    except TimeoutError:
        raise OSError(f"no answer within {_TIMEOUT_S:.0f} s") from None
    except aiohttp.ClientError as error:
        raise OSError(str(error)) from error


async def _read_some(content: aiohttp.StreamReader) -> bytes:
    read = b""
    async for part in content.iter_any():
        read += part
        if len(read) > JWKS_BYTES_MAX:
            break
    return read


def _read_file(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(JWKS_BYTES_MAX + 1)
