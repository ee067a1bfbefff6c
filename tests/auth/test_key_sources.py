"""The keys of issuers: read from a real key server and from files, read again in time, and kept through outages."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio
from structlog.testing import capture_logs
from tests.auth.sign_in_service import (
    ALL_KEYS,
    EC,
    NOW_S,
    RSA,
    KeyServer,
    issuer,
    jwks,
    key_server,
    private_key,
    public_key,
    token,
)

from flashreserve.auth.foreign_tokens import ForeignCustomer, ForeignTokens
from flashreserve.auth.issuers import Issuer
from flashreserve.auth.jwks_reader import read_jwks
from flashreserve.auth.key_sources import KeySources
from flashreserve.auth.keys import Refusal, TokenRefused

NEW = token("ES256", headers={"kid": "new"})


class Sources:
    """Sources of one issuer, and a clock that the test moves."""

    def __init__(self, found: Issuer) -> None:
        self.now_s = 1_000.0
        self.issuer = found
        self.tokens = ForeignTokens([found])
        self.sources = KeySources([found], self.tokens, read_jwks, lambda: self.now_s, self._pause)

    async def _pause(self, seconds: float) -> None:
        self.now_s += seconds

    def status(self, sent: str) -> str:
        found = self.tokens.verify(sent, NOW_S * 1000)
        return str(found.reason) if isinstance(found, TokenRefused) else type(found).__name__


@pytest_asyncio.fixture
async def server() -> AsyncIterator[KeyServer]:
    async with key_server() as server:
        yield server


@pytest.fixture
def shop(server: KeyServer) -> Sources:
    return Sources(issuer(jwks_file="", jwks_url=server.url))


async def test_keys_are_read_at_the_start_and_every_ten_minutes(shop: Sources, server: KeyServer) -> None:
    assert shop.status(token()) == Refusal.NO_ISSUER_KEYS
    await shop.sources.refresh()
    assert shop.status(token()) == ForeignCustomer.__name__
    for later_s, asked in ((0, 1), (599, 1), (1, 2), (30, 2)):
        shop.now_s += later_s
        await shop.sources.refresh()
        assert server.asked == asked


async def test_a_new_key_is_looked_up_at_once_but_at_most_every_two_seconds(shop: Sources, server: KeyServer) -> None:
    await shop.sources.refresh()
    server.body = jwks(public_key("RS256", "one", RSA), public_key("ES256", "new", EC))
    began_s = shop.now_s
    assert all(await asyncio.gather(*[shop.sources.look_up(NEW) for _ in range(50)]))
    assert (shop.status(NEW), server.asked, shop.now_s - began_s) == (ForeignCustomer.__name__, 2, 2)
    # A withdrawn key is no longer good.
    assert shop.status(token("EdDSA")) == Refusal.UNKNOWN_ISSUER_KEY
    await asyncio.gather(*[shop.sources.look_up(token(headers={"kid": str(n)})) for n in range(50)])
    assert (server.asked, shop.now_s - began_s) == (3, 4)


async def test_a_key_that_is_published_during_a_read_is_found_by_the_next_one() -> None:
    """The first read has the old keys, and ends last."""
    found, began, go_on = issuer(), asyncio.Event(), asyncio.Event()
    bodies = [ALL_KEYS, jwks(public_key("ES256", "new", EC))]

    async def read(_: Issuer) -> bytes:
        body = bodies.pop(0)
        if bodies:
            began.set()
            await go_on.wait()
        return body

    shop = Sources(found)
    shop.sources = KeySources([found], shop.tokens, read, lambda: shop.now_s, shop._pause)
    first = asyncio.create_task(shop.sources.look_up(NEW))
    await began.wait()
    assert await shop.sources.look_up(NEW)
    assert shop.status(NEW) == ForeignCustomer.__name__
    go_on.set()
    assert await first
    assert shop.status(NEW) == ForeignCustomer.__name__


async def test_a_look_up_tells_that_the_source_is_broken_and_does_not_wait_for_it(
    shop: Sources, server: KeyServer
) -> None:
    await shop.sources.refresh()
    server.status = 503
    assert not any(await asyncio.gather(*[shop.sources.look_up(NEW) for _ in range(50)]))
    assert not await shop.sources.look_up(NEW)
    assert server.asked == 2
    server.status, server.body = 200, jwks(public_key("ES256", "new", EC))
    shop.now_s += 5
    assert await shop.sources.look_up(NEW)
    assert shop.status(NEW) == ForeignCustomer.__name__


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, ALL_KEYS),
        (302, ALL_KEYS),
        (200, b"<html>"),
        (200, b" " * 300_000),
        (200, jwks()),
        (200, jwks(private_key("RS256", "one"))),
        (200, jwks(public_key("RS256", "one", key_ops=5))),
    ],
)
async def test_the_keys_stay_while_their_source_is_broken(
    shop: Sources, server: KeyServer, status: int, body: bytes
) -> None:
    await shop.sources.refresh()
    server.status, server.body = status, body
    shop.now_s += 600
    await shop.sources.refresh()
    assert (shop.status(token()), server.asked) == (ForeignCustomer.__name__, 2)
    server.status, server.body = 200, jwks(public_key("ES256", "new", EC))
    shop.now_s += 30
    await shop.sources.refresh()
    assert shop.status(NEW) == ForeignCustomer.__name__


async def test_a_skipped_key_is_logged_with_its_id(shop: Sources, server: KeyServer) -> None:
    server.body = jwks(private_key("RS256", "one"), public_key("ES256", "new", EC))
    with capture_logs() as logs:
        await shop.sources.refresh()

    why = "key 'one': it is private: whoever has read it can sign in as anybody"
    assert [(line["event"], line["issuer"], line["reason"]) for line in logs] == [
        ("keys of an issuer skipped", "shop", why)
    ]
    assert shop.status(NEW) == ForeignCustomer.__name__
    assert shop.status(token()) == Refusal.UNKNOWN_ISSUER_KEY


async def test_a_source_that_was_never_read_is_tried_every_five_seconds(shop: Sources, server: KeyServer) -> None:
    server.status = 503
    for later_s, asked in ((0, 1), (4, 1), (1, 2)):
        shop.now_s += later_s
        await shop.sources.refresh()
        assert server.asked == asked
    assert shop.status(token()) == Refusal.NO_ISSUER_KEYS
    server.status = 200
    shop.now_s += 5
    await shop.sources.refresh()
    assert shop.status(token()) == ForeignCustomer.__name__


async def test_without_a_key_server_nothing_is_known(shop: Sources) -> None:
    gone = Sources(issuer(jwks_file="", jwks_url="http://127.0.0.1:1/keys.json"))
    await gone.sources.refresh()

    assert gone.status(token()) == Refusal.NO_ISSUER_KEYS


async def test_keys_may_be_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    shop = Sources(issuer(jwks_file=str(path)))
    await shop.sources.refresh()
    assert shop.status(token()) == Refusal.NO_ISSUER_KEYS
    path.write_bytes(ALL_KEYS)
    shop.now_s += 5
    await shop.sources.refresh()
    assert shop.status(token()) == ForeignCustomer.__name__


async def test_a_slow_read_is_ended_when_the_process_stops_even_if_it_swallows_a_cancellation() -> None:
    found = issuer()

    async def read(_: Issuer) -> bytes:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()
        raise AssertionError

    sources = KeySources([found], ForeignTokens([found]), read, lambda: 0.0)
    waiting = asyncio.create_task(sources.refresh())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await asyncio.wait_for(sources.close(), timeout=5)
    await asyncio.gather(waiting, return_exceptions=True)

    assert waiting.done()


async def test_a_shared_secret_has_no_source() -> None:
    found = issuer(jwks_file="", secret="the shop and this service share these words")

    assert not KeySources([found], ForeignTokens([found]), read_jwks, lambda: 0.0).any
