"""The watchdog ends a process that is stuck and logs the reason. It leaves a process alone that sleeps or works."""

import asyncio
import threading
import time
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from flashreserve.bootstrap import Watchdog
from flashreserve.bootstrap.watchdog import EXIT_STUCK

PATIENCE_S = 60.0


class WatchedExit:
    """Records exit codes in place of ending the process."""

    def __init__(self) -> None:
        self.codes: list[int] = []
        self._over = threading.Event()

    def __call__(self, code: int) -> None:
        self.codes.append(code)
        self._over.set()

    def wait(self) -> None:
        assert self._over.wait(PATIENCE_S), "nobody ended the process"


def watchdog(ended: WatchedExit, *, grace_s: float = PATIENCE_S, loop_stuck_s: float = PATIENCE_S) -> Watchdog:
    return Watchdog(grace_s=grace_s, loop_stuck_s=loop_stuck_s, tick_s=0.01, end=ended)


def no_fault() -> str:
    return ""


def block_the_loop(ended: WatchedExit) -> None:
    ended.wait()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - a thread makes it true
            await asyncio.sleep(0.01)


async def test_a_loop_that_takes_no_turn_is_ended_and_the_log_says_where_it_was() -> None:
    ended = WatchedExit()
    with capture_logs() as logs, watchdog(ended, loop_stuck_s=0.2) as dog:
        dog.attach(asyncio.Event())
        dog.watch(no_fault)
        block_the_loop(ended)
    assert ended.codes == [EXIT_STUCK]
    (line,) = logs
    assert (line["log_level"], line["reason"]) == ("critical", "the event loop is stuck")
    assert "block_the_loop" in line["stuck"]


async def test_a_call_to_the_database_that_is_stuck_ends_the_process_and_is_named() -> None:
    ended = WatchedExit()
    with capture_logs() as logs, watchdog(ended) as dog:
        dog.attach(asyncio.Event())
        dog.watch(lambda: "the database: reading products")
        await until(lambda: bool(ended.codes))
    assert ended.codes == [EXIT_STUCK]
    assert logs[0]["stuck"] == "the database: reading products"


async def test_a_process_that_does_not_stop_within_its_grace_is_ended_and_what_still_ran_is_named() -> None:
    ended, stop = WatchedExit(), asyncio.Event()
    with capture_logs() as logs, watchdog(ended, grace_s=0.2) as dog:
        dog.attach(stop)
        dog.watch(no_fault)
        stop.set()
        await until(lambda: bool(ended.codes))
    assert ended.codes == [EXIT_STUCK]
    assert logs[0]["reason"] == "the process didn't stop within its grace"
    assert "until" in logs[0]["stuck"] or "test_a_process" in logs[0]["stuck"]


def test_a_loop_that_never_ends_its_tasks_is_ended_too() -> None:
    ended = WatchedExit()

    async def deaf() -> None:
        while not ended.codes:
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                continue

    async def main(dog: Watchdog) -> asyncio.Task[None]:
        stop = asyncio.Event()
        dog.attach(stop)
        task = asyncio.create_task(deaf())
        await asyncio.sleep(0)
        stop.set()
        return task

    with watchdog(ended, grace_s=0.2) as dog:
        asyncio.run(main(dog))  # hangs while the loop closes, until the watchdog ends it
    assert ended.codes == [EXIT_STUCK]


async def test_a_process_that_works_is_left_alone_and_asked_once_a_second() -> None:
    ended = WatchedExit()
    beats = 0

    def beat() -> str:
        nonlocal beats
        beats += 1
        return ""

    with watchdog(ended, grace_s=0.1, loop_stuck_s=5) as dog:
        dog.attach(asyncio.Event())
        dog.watch(beat)
        await until(lambda: beats >= 20)
    assert ended.codes == []


async def test_a_store_that_takes_long_to_open_is_not_a_stuck_loop() -> None:
    ended = WatchedExit()
    with watchdog(ended, loop_stuck_s=0.02) as dog:
        dog.attach(asyncio.Event())
        time.sleep(0.3)  # noqa: ASYNC251 - as a migration on the loop does
        await asyncio.sleep(0)
    assert ended.codes == []


@pytest.mark.parametrize("stopped", [True, False])
def test_it_ends_with_its_context(stopped: bool) -> None:  # noqa: FBT001 - pytest's own
    ended = WatchedExit()
    with watchdog(ended) as dog:
        if stopped:
            asyncio.run(_attached(dog))
    assert not dog._thread.is_alive()
    assert ended.codes == []


async def _attached(dog: Watchdog) -> None:
    dog.attach(asyncio.Event())
