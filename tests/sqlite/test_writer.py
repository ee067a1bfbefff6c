"""The writer's thread, on which a connection's work runs."""

import asyncio
import threading
from collections.abc import AsyncIterator
from functools import partial

import apsw
import pytest
from tests.contract.requests import available, flush, reservation
from tests.core.examples import CUP, a_product, granted, reserve

from flashreserve.stores.port import StoreUnavailableError
from flashreserve.stores.sqlite import SqliteStore
from flashreserve.stores.sqlite.writer import InlineWriter, ThreadWriter


class Gate:
    """Work that signals when it has begun, and then waits until the test lets it continue."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.opened = threading.Event()

    def work(self, connection: apsw.Connection) -> str:
        self.begun.set()
        assert self.opened.wait(timeout=30)
        return "through"


@pytest.fixture
async def writer() -> AsyncIterator[ThreadWriter]:
    made = ThreadWriter(apsw.Connection(":memory:"), "test-writer")
    yield made
    await made.close()


@pytest.fixture
async def gate(writer: ThreadWriter) -> AsyncIterator[Gate]:
    """A gate that is always opened at the end, so that a failing test doesn't hang."""
    made = Gate()
    yield made
    made.opened.set()


async def begin(writer: ThreadWriter, gate: Gate) -> "asyncio.Task[str]":
    """Begin the gate's work. Returns its task."""
    task = asyncio.create_task(writer.run(gate.work))
    await asyncio.to_thread(gate.begun.wait, 30)
    return task


async def test_work_is_done_on_the_thread_and_its_result_comes_back(writer: ThreadWriter) -> None:
    def work(connection: apsw.Connection) -> tuple[str, object]:
        return threading.current_thread().name, connection.execute("SELECT 7").get

    assert await writer.run(work) == ("test-writer", 7)


async def test_work_is_done_in_order_of_arrival(writer: ThreadWriter, gate: Gate) -> None:
    order: list[int] = []

    def note(number: int, connection: apsw.Connection) -> None:
        order.append(number)

    first = await begin(writer, gate)
    rest = [asyncio.create_task(writer.run(partial(note, n))) for n in range(50)]
    gate.opened.set()
    await asyncio.gather(first, *rest)
    assert order == list(range(50))


async def test_one_piece_of_work_runs_at_a_time(writer: ThreadWriter, gate: Gate) -> None:
    first = await begin(writer, gate)
    second = asyncio.create_task(writer.run(lambda _: first.done() or gate.opened.is_set()))
    await asyncio.sleep(0)
    assert not second.done()
    gate.opened.set()
    assert await second is True


@pytest.mark.parametrize("error", [ValueError, apsw.BusyError, KeyboardInterrupt])
async def test_what_work_raises_is_the_callers_and_the_thread_goes_on(
    writer: ThreadWriter, error: type[BaseException]
) -> None:
    def fail(connection: apsw.Connection) -> None:
        raise error("why")

    with pytest.raises(error, match="why"):
        await writer.run(fail)
    assert await writer.run(lambda _: "still here") == "still here"


async def test_the_event_loop_goes_on_meanwhile(writer: ThreadWriter, gate: Gate) -> None:
    first = await begin(writer, gate)
    for _ in range(10):
        await asyncio.sleep(0)
    assert not first.done()
    gate.opened.set()
    assert await first == "through"


async def test_a_caller_that_goes_away_mid_work_undoes_nothing(store: SqliteStore, gate: Gate) -> None:
    assert isinstance(store._writer, ThreadWriter)
    await store.add_products([a_product()])
    blocker = await begin(store._writer, gate)
    caller = asyncio.create_task(store.flush([reserve(1)], 0))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    gate.opened.set()
    await blocker
    granted((await flush(store, reserve(2)))[0])
    assert (await reservation(store, 1)).id < (await reservation(store, 2)).id
    assert await available(store, CUP) == 8


async def test_a_caller_may_go_away_while_its_work_runs(writer: ThreadWriter, gate: Gate) -> None:
    task = await begin(writer, gate)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.opened.set()
    assert await writer.run(lambda _: "still here") == "still here"


async def test_closing_waits_for_what_was_handed_over(writer: ThreadWriter, gate: Gate) -> None:
    done: list[str] = []
    first = await begin(writer, gate)
    second = asyncio.create_task(writer.run(lambda _: done.append("second")))
    await asyncio.sleep(0)
    closing = asyncio.create_task(writer.close())
    await asyncio.sleep(0)
    assert not closing.done()
    gate.opened.set()
    await closing
    assert done == ["second"]
    assert await first == "through"
    await second


async def test_a_closed_writer_takes_no_work(writer: ThreadWriter) -> None:
    await writer.close()
    with pytest.raises(StoreUnavailableError, match="closed"):
        await writer.run(lambda _: None)
    await writer.close()


def test_work_outlives_the_event_loop_of_its_caller() -> None:
    writer = ThreadWriter(apsw.Connection(":memory:"), "test-writer")
    gate = Gate()
    done = threading.Event()

    async def ask_and_leave() -> None:
        task = await begin(writer, gate)
        task.cancel()
        last = asyncio.create_task(writer.run(lambda _: done.set()))
        await asyncio.sleep(0)
        last.cancel()

    asyncio.run(ask_and_leave())
    gate.opened.set()
    assert done.wait(timeout=30)
    asyncio.run(writer.close())


async def test_inline_work_is_done_at_once_on_the_callers_thread() -> None:
    writer = InlineWriter(apsw.Connection(":memory:"))
    with pytest.raises(StopIteration) as stopped:
        writer.run(lambda _: threading.current_thread()).send(None)
    assert stopped.value.value is threading.current_thread()
    await writer.close()
