"""The resolver: one look-up for all who wait for a name, on threads of its own."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from flashreserve.webhooks.name_resolver import NameResolver


@pytest.fixture
async def resolver() -> AsyncIterator[NameResolver]:
    made = NameResolver()
    yield made
    await made.close()


class HeldLookUps:
    """Look-ups that end only when the test lets them."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.begun = threading.Semaphore(0)
        self.end = threading.Event()

    def getaddrinfo(self, host: str, port: int, *_: Any) -> list[Any]:
        self.asked.append(host)
        self.begun.release()
        self.end.wait(30)
        if host.startswith("missing"):
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.7", port))]


@contextmanager
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[HeldLookUps]:
    look_ups = HeldLookUps()
    monkeypatch.setattr(socket, "getaddrinfo", look_ups.getaddrinfo)
    try:
        yield look_ups
    finally:
        look_ups.end.set()


async def test_all_addresses_of_a_name_are_returned(resolver: NameResolver) -> None:
    found = await resolver.resolve("localhost", 443, socket.AF_INET)

    assert {(each["host"], each["port"], each["family"]) for each in found} == {("127.0.0.1", 443, socket.AF_INET)}


@pytest.mark.parametrize("name", ["a" * 64 + ".example", "no-such-name.invalid"])
async def test_a_name_that_cannot_be_resolved_raises_os_error(resolver: NameResolver, name: str) -> None:
    with pytest.raises(OSError, match=r"."):
        await resolver.resolve(name, 443)


async def test_all_who_wait_for_a_name_share_one_look_up_and_later_ones_ask_again(
    resolver: NameResolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with held(monkeypatch) as look_ups:
        waiting = [asyncio.create_task(resolver.resolve("shop.example", 443)) for _ in range(20)]
        await asyncio.to_thread(look_ups.begun.acquire)
        look_ups.end.set()
        found = [(await each)[0]["host"] for each in waiting]
        assert look_ups.asked == ["shop.example"]

        await resolver.resolve("shop.example", 443)
        assert look_ups.asked == ["shop.example"] * 2
    assert found == ["192.0.2.7"] * 20


async def test_one_who_gives_up_does_not_stop_the_others(
    resolver: NameResolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with held(monkeypatch) as look_ups:
        first, second = (asyncio.create_task(resolver.resolve("shop.example", 443)) for _ in range(2))
        await asyncio.to_thread(look_ups.begun.acquire)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        look_ups.end.set()

        assert (await second)[0]["host"] == "192.0.2.7"
        assert look_ups.asked == ["shop.example"]


async def test_a_name_that_hangs_takes_one_thread_and_delays_no_other(
    resolver: NameResolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with held(monkeypatch) as look_ups:
        hanging = [asyncio.create_task(resolver.resolve("missing.example", 443)) for _ in range(100)]
        await asyncio.to_thread(look_ups.begun.acquire)
        other = asyncio.create_task(resolver.resolve("shop.example", 443))
        assert await asyncio.to_thread(look_ups.begun.acquire, timeout=10)
        assert look_ups.asked == ["missing.example", "shop.example"]
        look_ups.end.set()

        assert (await other)[0]["host"] == "192.0.2.7"
        assert {type(each) for each in await asyncio.gather(*hanging, return_exceptions=True)} == {socket.gaierror}
