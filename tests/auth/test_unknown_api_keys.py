"""API keys that a process doesn't know: they may have just been made, by another process."""

import asyncio
import itertools
import time

import pytest
from typing_extensions import override

from flashreserve.auth.api_keys import KeyIdentity, new_secret
from flashreserve.auth.foreign_tokens import ForeignTokens
from flashreserve.auth.jwks_reader import read_jwks
from flashreserve.auth.key_sources import KeySources
from flashreserve.auth.keys import KeyRing, Refusal, TokenRefused
from flashreserve.auth.tokens import Tokens
from flashreserve.clock import SteadyClock, SystemClock, SystemIds
from flashreserve.core.model import ApiKey, Scope
from flashreserve.service.access import AccessService, Caller, KeyMade
from flashreserve.stores.memory import MemoryStore
from flashreserve.stores.port import StoreUnavailableError

UNKNOWN = TokenRefused(Refusal.UNKNOWN_API_KEY)
AT_ONCE = 50


class Keys(MemoryStore):
    """A store whose reads of keys are noted. Each finds what there was at its start, and ends when `answers` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.forget()
        self.answers = asyncio.Event()
        self.answers.set()
        self.away = False

    @override
    async def keys(self) -> list[ApiKey]:
        self.began_s.append(time.monotonic())
        self.begun.release()
        found = await super().keys()
        await self.answers.wait()
        if self.away:
            raise StoreUnavailableError("away")
        return found

    def forget(self) -> None:
        """Forget the reads so far. `begun` can be acquired once for each read from now on."""
        self.began_s: list[float] = []
        self.begun = asyncio.Semaphore(0)


class Shop:
    """Two processes at one store. The second knows no key."""

    def __init__(self) -> None:
        self.store = Keys()
        self.first, self.second = self._process(), self._process()

    def _process(self) -> AccessService:
        tokens = Tokens(KeyRing.parse("new:tests-of-unknown-keys-sign-with-these-letters"), ttl_s=60)
        sources = KeySources([], ForeignTokens([]), read_jwks, time.monotonic)
        return AccessService(self.store, tokens, sources, SteadyClock(SystemClock()), SystemIds(), token_s=60)

    async def new_key(self) -> str:
        made = await self.first.create_key("backend", [Scope.CUSTOMERS], None, None)
        assert isinstance(made, KeyMade)
        return made.text

    async def begin(self) -> None:
        """Let the second process read its list, as at its start."""
        await self.second.refresh()
        self.store.forget()


@pytest.fixture
async def shop() -> Shop:
    shop = Shop()
    await shop.begin()
    return shop


async def look_up(service: AccessService, key: str) -> Caller | TokenRefused | str:
    try:
        return await service.look_up(key)
    except StoreUnavailableError:
        return "unavailable"


async def test_a_new_key_works_at_once_however_many_requests_come_with_it(shop: Shop) -> None:
    key = await shop.new_key()
    shop.store.forget()
    shop.store.answers.clear()
    asking = [asyncio.create_task(look_up(shop.second, key)) for _ in range(AT_ONCE)]
    await shop.store.begun.acquire()
    shop.store.answers.set()

    assert [type(found) for found in await asyncio.gather(*asking)] == [KeyIdentity] * AT_ONCE
    assert len(shop.store.began_s) == 1


async def test_a_key_works_that_was_made_after_a_read_began_which_is_not_over(shop: Shop) -> None:
    shop.store.answers.clear()
    stranger = asyncio.create_task(look_up(shop.second, new_secret("0").text))
    await shop.store.begun.acquire()
    making = asyncio.create_task(shop.new_key())
    await shop.store.begun.acquire()  # The maker's own: the key is in the store.
    shop.store.answers.set()
    key = await making

    assert isinstance(await look_up(shop.second, key), KeyIdentity)
    assert await stranger == UNKNOWN


async def test_keys_of_strangers_cost_five_reads_a_second(shop: Shop) -> None:
    for _ in range(3):
        found = await asyncio.gather(*(look_up(shop.second, new_secret(str(each)).text) for each in range(AT_ONCE)))
        assert found == [UNKNOWN] * AT_ONCE

    began_s = shop.store.began_s
    assert len(began_s) == 3
    assert all(later - earlier > 0.19 for earlier, later in itertools.pairwise(began_s))


async def test_a_caller_who_gives_up_takes_nothing_from_the_others(shop: Shop) -> None:
    key = await shop.new_key()
    shop.store.forget()
    shop.store.answers.clear()
    asking = [asyncio.create_task(look_up(shop.second, key)) for _ in range(3)]
    await shop.store.begun.acquire()
    asking[0].cancel()
    await asyncio.wait(asking[:1])
    shop.store.answers.set()

    assert asking[0].cancelled()
    assert [type(found) for found in await asyncio.gather(*asking[1:])] == [KeyIdentity] * 2


async def test_no_unknown_key_is_called_invalid_while_the_database_is_away(shop: Shop) -> None:
    key = await shop.new_key()
    shop.store.away = True
    assert await asyncio.gather(*(look_up(shop.second, key) for _ in range(AT_ONCE))) == ["unavailable"] * AT_ONCE

    shop.store.away = False
    assert isinstance(await look_up(shop.second, key), KeyIdentity)
