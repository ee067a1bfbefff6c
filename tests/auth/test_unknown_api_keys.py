"""API keys that a process doesn't know: they may be new, made by another process."""

import asyncio
import time

import pytest
from structlog.testing import capture_logs
from tests.moving_clock import MovingClock
from typing_extensions import override

from flashreserve.auth.api_keys import KeyIdentity, new_secret
from flashreserve.auth.foreign_tokens import ForeignTokens
from flashreserve.auth.jwks_reader import read_jwks
from flashreserve.auth.key_sources import KeySources
from flashreserve.auth.keys import KeyRing, Refusal, TokenRefused
from flashreserve.auth.tokens import Tokens
from flashreserve.clock import SteadyClock, SystemIds
from flashreserve.core.model import ApiKey, Scope
from flashreserve.service.access import AccessService, Caller, KeyMade
from flashreserve.stores.memory import MemoryStore
from flashreserve.stores.port import StoreUnavailableError

UNKNOWN = TokenRefused(Refusal.UNKNOWN_API_KEY)
AT_ONCE = 50


class SlowKeys(MemoryStore):
    """A store whose reads of keys find what there is when they begin, and end once `answers` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = asyncio.Semaphore(0)
        """Released by each read that begins."""
        self.answers = asyncio.Event()
        self.answers.set()
        self.away = False
        self.current: list[bool] = []
        """For each read of keys, whether it was a current one."""
        self.frozen_s = 0.0
        """For how long the process that reads is frozen once it has the answer."""
        self.clock = MovingClock()

    @override
    async def keys(self, *, current: bool = False) -> list[ApiKey]:
        self.current.append(current)
        found = await super().keys(current=current)
        self.begun.release()
        await self.answers.wait()
        if self.away:
            raise StoreUnavailableError("away")
        self.clock.advance(self.frozen_s)
        return found


class Shop:
    """Two processes at one store: `maker` makes keys, which `other` doesn't know."""

    def __init__(self) -> None:
        self.store = SlowKeys()
        self.maker, self.other = self._process(), self._process()

    def _process(self) -> AccessService:
        tokens = Tokens(KeyRing.parse("new:tests-of-unknown-keys-sign-with-these-letters"), ttl_s=60)
        sources = KeySources([], ForeignTokens([]), read_jwks, time.monotonic)
        return AccessService(self.store, tokens, sources, SteadyClock(self.store.clock), SystemIds(), token_s=60)

    async def new_key(self) -> str:
        """A new key, which `other` has not read, although its list is fresh."""
        await self.other.refresh()
        made = await self.maker.create_key("backend", [Scope.CUSTOMERS], None, None)
        assert isinstance(made, KeyMade)
        self.store.begun = asyncio.Semaphore(0)
        return made.text


@pytest.fixture
async def shop() -> Shop:
    return Shop()


async def look_up(service: AccessService, key: str) -> Caller | TokenRefused | str:
    try:
        return await service.look_up(key)
    except StoreUnavailableError:
        return "unavailable"


async def test_a_new_key_works_at_once_however_many_requests_come_with_it(shop: Shop) -> None:
    key = await shop.new_key()
    found = await asyncio.gather(*(look_up(shop.other, key) for _ in range(AT_ONCE)))
    assert [type(each) for each in found] == [KeyIdentity] * AT_ONCE


async def test_only_a_look_up_and_a_change_read_what_is_current(shop: Shop) -> None:
    key = await shop.new_key()
    await shop.other.keys()
    shop.store.current.clear()
    for ask, current in (
        (shop.other.refresh(), False),
        (look_up(shop.maker, new_secret("0").text), True),
        (shop.maker.revoke_key(key.split("_")[1]), True),
        (shop.maker.keys(), True),
    ):
        await ask
        assert shop.store.current == [current]
        shop.store.current.clear()


async def test_a_key_that_was_made_during_a_read_is_found_by_the_next_one(shop: Shop) -> None:
    await shop.other.refresh()
    shop.store.begun = asyncio.Semaphore(0)
    shop.store.answers.clear()
    before = asyncio.create_task(look_up(shop.other, new_secret("0").text))
    await shop.store.begun.acquire()

    secret = new_secret("1")
    await shop.store.add_key(ApiKey("1", "backend", (Scope.CUSTOMERS,), secret.secret_hash, 0, None, None), 10)
    after = asyncio.create_task(look_up(shop.other, secret.text))
    await shop.store.begun.acquire()
    shop.store.answers.set()

    assert await before == UNKNOWN
    assert isinstance(await after, KeyIdentity)


async def test_a_key_that_nobody_made_is_refused_beside_one_that_is_new(shop: Shop) -> None:
    key = await shop.new_key()
    found = await asyncio.gather(look_up(shop.other, new_secret("0").text), look_up(shop.other, key))
    assert found[0] == UNKNOWN
    assert isinstance(found[1], KeyIdentity)


async def test_no_new_key_is_called_invalid_while_the_database_is_away(shop: Shop) -> None:
    key = await shop.new_key()
    shop.store.away = True
    assert await asyncio.gather(*(look_up(shop.other, key) for _ in range(AT_ONCE))) == ["unavailable"] * AT_ONCE

    shop.store.away = False
    assert isinstance(await look_up(shop.other, key), KeyIdentity)


async def test_no_new_key_is_called_invalid_while_the_database_hangs(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await shop.new_key()
    monkeypatch.setattr("flashreserve.service.access.CALL_S", 0.01)
    shop.store.answers.clear()
    assert await look_up(shop.other, key) == "unavailable"
    await shop.other.close()


async def test_no_new_key_is_called_invalid_by_a_process_that_was_frozen_while_it_read(shop: Shop) -> None:
    key = await shop.new_key()
    shop.store.frozen_s = 10
    assert await look_up(shop.other, key) == "unavailable"

    shop.store.frozen_s = 0
    assert isinstance(await look_up(shop.other, key), KeyIdentity)


async def test_a_key_is_told_although_the_database_goes_away_once_it_is_made(shop: Shop) -> None:
    await shop.new_key()
    shop.store.away = True
    with capture_logs() as logs:
        made = await shop.maker.create_key("backend", [Scope.READ], None, None)
    assert isinstance(made, KeyMade)
    assert [each["event"] for each in logs] == ["API keys or sign-outs not read after a change"]

    shop.store.away = False
    assert isinstance(await look_up(shop.maker, made.text), KeyIdentity)
