"""Random faults for a shop of real processes."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any, Final, NamedTuple

from tests.faults.disk import DiskFault, spoil
from tests.faults.link import BAD, Weather
from tests.faults.linked_shop import ClusteredShop, LinkedShop
from tests.faults.machine_clock import FOLLOWED_S, MachineClock
from tests.faults.processes import FlashReserve

Weights = dict[str, float]
"""The relative frequency of each fault; `weather` is the weather of one link."""

NETWORK: Final[Weights] = {"weather": 80, "kill": 8, "freeze": 8}
SERVERS: Final[Weights] = {"queue killed": 3, "database killed": 1}
DISKS: Final[Weights] = {"slow disk": 12, "full disk": 12}
CLOCKS: Final[Weights] = {"clock": 40}

WRONG_S: Final = 60.0
"""The most that a clock is set wrong, ahead or back."""

_SERVER_BACK_S: Final = 5.0


class DrawnFault(NamedTuple):
    """A fault that lasts for a while. `work` makes it happen, and then repairs it."""

    kind: str
    for_s: float
    work: Callable[[], Coroutine[Any, Any, None]]


class FaultSource:
    """Draws random faults."""

    def __init__(self, shop: LinkedShop, weights: Weights, chance: random.Random) -> None:
        self._shop = shop
        self._weights = weights
        self._chance = chance
        self._busy: set[str] = set()
        self._draws: dict[str, Callable[[], DrawnFault]] = {
            "weather": self._weather,
            "kill": self._kill,
            "freeze": self._freeze,
            "slow disk": lambda: self._bad_disk("slow disk"),
            "full disk": lambda: self._bad_disk("full disk"),
            "clock": self._wrong_clock,
        }
        if isinstance(shop, ClusteredShop):
            queue_killed = DrawnFault("queue killed", 2.0, lambda: _kill_queue(shop))
            database_killed = DrawnFault("database killed", _SERVER_BACK_S, lambda: _kill_database(shop))
            self._draws["queue killed"] = lambda: self._alone("queue", queue_killed)
            self._draws["database killed"] = lambda: self._alone("disk", database_killed)

    def draw(self) -> DrawnFault:
        """The next fault."""
        (kind,) = self._chance.choices(list(self._weights), list(self._weights.values()))
        return self._draws[kind]()

    def _weather(self) -> DrawnFault:
        label, weather = self._chance.choice(list(self._shop.links)), self._chance.choice(BAD)
        for_s = self._chance.uniform(0.2, 3)
        return DrawnFault(weather, for_s, lambda: _blow(self._shop, label, weather, for_s))

    def _kill(self) -> DrawnFault:
        victim = self._chance.choice(self._shop.processes)
        return DrawnFault("kill", 2.0, lambda: _kill(victim))

    def _freeze(self) -> DrawnFault:
        victim, for_s = self._chance.choice(self._shop.processes), self._chance.uniform(0.5, 6)
        return DrawnFault("freeze", for_s, lambda: _freeze(victim, for_s))

    def _wrong_clock(self) -> DrawnFault:
        clock, wrong_s = self._chance.choice(self._shop.clocks), self._chance.uniform(-WRONG_S, WRONG_S)
        for_s = self._chance.uniform(FOLLOWED_S, 15)
        return DrawnFault("clock", for_s, lambda: _set_wrong(clock, wrong_s, for_s))

    def _bad_disk(self, fault: DiskFault) -> DrawnFault:
        for_s = self._chance.uniform(0.5, 4)
        return self._alone("disk", DrawnFault(fault, for_s + _SERVER_BACK_S, lambda: self._spoil_disk(fault, for_s)))

    async def _spoil_disk(self, fault: DiskFault, for_s: float) -> None:
        if pids := await asyncio.to_thread(self._shop.disk_pids):
            await spoil(pids, fault, for_s)
        if fault == "full disk":
            await self._shop.make_room()

    def _alone(self, what: str, fault: DrawnFault) -> DrawnFault:
        """The fault, or bad weather if another fault of the same server goes on."""
        if what in self._busy:
            return self._weather()
        self._busy.add(what)

        async def work() -> None:
            try:
                await fault.work()
            finally:
                self._busy.discard(what)

        return fault._replace(work=work)


async def _blow(shop: LinkedShop, label: str, weather: Weather, for_s: float) -> None:
    shop.links[label].change(weather)
    await asyncio.sleep(for_s)
    shop.links[label].change("calm")


async def _kill(victim: FlashReserve) -> None:
    victim.kill()
    await FlashReserve.start(victim)


async def _freeze(victim: FlashReserve, for_s: float) -> None:
    if victim.runs:
        victim.freeze()
        await asyncio.sleep(for_s)
        victim.thaw()


async def _set_wrong(clock: MachineClock, ahead_s: float, for_s: float) -> None:
    clock.set(ahead_s)
    await asyncio.sleep(for_s)
    clock.set(0.0)


async def _kill_queue(shop: ClusteredShop) -> None:
    shop.queue.kill()
    await asyncio.sleep(1)
    await asyncio.to_thread(shop.queue.start)


async def _kill_database(shop: ClusteredShop) -> None:
    await asyncio.to_thread(shop.database.kill)
    await asyncio.sleep(1)
    await asyncio.to_thread(shop.database.resume)
