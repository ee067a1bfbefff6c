"""Several server processes on one socket, with real processes."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import LogCapture
from tests.server.sockets import HOST, RawClient, head

from flashreserve.server.sockets import bind
from flashreserve.server.workers import Restarts, WorkerPlace, run_workers

QUICK = Restarts(first_s=0.01, longest_s=0.02)
BODY_TO_COME = ("Content-Length: 1", "Expect: 100-continue")
CHILD = Path(__file__).with_name("child.py")


def child(place: WorkerPlace) -> Sequence[str]:
    return [sys.executable, str(CHILD), str(place.number), str(place.listener_fd), str(place.lifeline_fd)]


@dataclass
class Crew:
    port: int
    stop: asyncio.Event
    hurry: asyncio.Event
    over: "asyncio.Task[int]"
    logged: list[Any]

    async def ask(self, path: str = "/") -> tuple[int, int]:
        """The place and the process id in the answer."""
        client = await self.connect()
        try:
            reply = await client.get(path)
        finally:
            await client.close()
        place, pid = reply.body.split()
        return int(place), int(pid)

    async def connect(self) -> RawClient:
        return RawClient(*await asyncio.open_connection(HOST, self.port))

    async def until_answered_by(self, wanted: Callable[[int, int], bool]) -> int:
        """Ask until the answer comes from a wanted process. Returns its process id."""
        async with asyncio.timeout(20):
            while True:
                try:
                    place, pid = await self.ask()
                except (ConnectionError, asyncio.IncompleteReadError):
                    continue
                if wanted(place, pid):
                    return pid

    async def until_refused(self) -> None:
        """Connect at intervals: many connections at once would fill the accept queue, and then be retried later."""
        async with asyncio.timeout(60):
            while True:
                try:
                    client = await self.connect()
                except ConnectionRefusedError:
                    return
                except ConnectionResetError:
                    continue  # The last socket was closed while this connection still waited to be accepted.
                await client.close()
                await asyncio.sleep(0.05)

    async def said(self, event: str) -> Any:
        async with asyncio.timeout(20):
            while True:
                for entry in self.logged:
                    if entry["event"] == event:
                        return entry
                await asyncio.sleep(0.01)


@asynccontextmanager
async def crew(
    count: int, command: Callable[[WorkerPlace], Sequence[str]] = child, **options: Any
) -> AsyncIterator[Crew]:
    capture = LogCapture()
    stop, hurry = asyncio.Event(), asyncio.Event()
    with bind(HOST, 0, backlog=100) as listener:
        over = asyncio.create_task(
            run_workers(
                count,
                command,
                listener=listener,
                stop=stop,
                hurry=hurry,
                log=structlog.wrap_logger(None, processors=[capture], wrapper_class=structlog.stdlib.BoundLogger),
                restarts=QUICK,
                **options,
            )
        )
        try:
            yield Crew(listener.getsockname()[1], stop, hurry, over, capture.entries)
        finally:
            stop.set()
            await asyncio.wait_for(over, 30)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_all_processes_serve_on_one_socket_and_stop_together() -> None:
    async with crew(2) as running:
        pids = {await running.until_answered_by(lambda place, _, n=n: place == n) for n in (0, 1)}  # type: ignore[misc]
        assert len(pids) == 2
        running.stop.set()
        assert await asyncio.wait_for(running.over, 30) == 0
        assert not any(alive(pid) for pid in pids)


async def test_a_process_that_is_killed_is_replaced_in_its_place() -> None:
    async with crew(1) as running:
        for _ in range(3):
            _, pid = await running.ask()
            os.kill(pid, signal.SIGKILL)
            await running.until_answered_by(lambda place, other, pid=pid: place == 0 and other != pid)  # type: ignore[misc]
        assert (await running.said("worker died"))["exit_code"] == -signal.SIGKILL


async def test_what_was_accepted_is_answered_when_all_stop() -> None:
    async with crew(1) as running:
        await running.ask()
        client = await (await running.connect()).send(head("GET", "/slow"))
        await asyncio.sleep(0.1)
        running.stop.set()
        assert (await client.reply()).status == 200
        await client.close()


async def test_once_it_stops_nobody_can_connect_though_a_request_is_still_answered() -> None:
    async with crew(2) as running:
        for number in (0, 1):
            await running.until_answered_by(lambda place, _, n=number: place == n)  # type: ignore[misc]
        client = await (await running.connect()).send(head("POST", "/body", *BODY_TO_COME))
        assert (await client.reply()).status == 100
        running.stop.set()
        await running.until_refused()
        assert not running.over.done()
        await client.send("x")
        assert (await client.reply()).status == 200
        await client.close()


async def test_whoever_is_in_a_hurry_does_not_wait_for_requests_or_for_processes_that_hang() -> None:
    script = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"

    def command(place: WorkerPlace) -> Sequence[str]:
        return [sys.executable, "-c", script] if place.number == 1 else child(place)

    async with crew(2, command, shutdown_timeout_s=600.0) as running:
        await running.ask()
        client = await (await running.connect()).send(head("POST", "/body", *BODY_TO_COME))
        assert (await client.reply()).status == 100
        running.stop.set()
        await asyncio.sleep(0.1)
        assert not running.over.done()
        running.hurry.set()
        assert await asyncio.wait_for(running.over, 30) == 0
        assert (await client.reply()).code == "outcome-unknown"
        await client.close()


@pytest.mark.parametrize("code", [2, 3])
async def test_one_that_cannot_start_stops_all_with_its_exit_code(code: int) -> None:
    def command(place: WorkerPlace) -> Sequence[str]:
        return [sys.executable, "-c", f"raise SystemExit({code})"] if place.number == 1 else child(place)

    async with crew(2, command) as running:
        assert await asyncio.wait_for(running.over, 30) == code
        assert (await running.said("worker cannot start"))["worker"] == 1


async def test_one_that_ignores_the_request_to_stop_is_killed() -> None:
    script = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"

    async with crew(1, lambda _: [sys.executable, "-c", script], shutdown_timeout_s=-1.5) as running:
        pid = (await running.said("worker started"))["pid"]
        await asyncio.sleep(0.5)
        running.stop.set()
        assert await asyncio.wait_for(running.over, 30) == 0
        await running.said("worker did not stop in time and is killed")
        assert not alive(pid)


async def test_no_child_outlives_a_parent_that_is_killed(tmp_path: Path) -> None:
    parent = tmp_path / "parent.py"
    parent.write_text(
        f"""
import asyncio, os, sys, structlog
from flashreserve.server.sockets import bind
from flashreserve.server.workers import run_workers

async def main():
    listener = bind("127.0.0.1", 0, backlog=10)
    print(listener.getsockname()[1], flush=True)
    command = lambda place: [sys.executable, {str(CHILD)!r}, "0", str(place.listener_fd), str(place.lifeline_fd)]
    log = structlog.wrap_logger(structlog.PrintLogger(sys.stderr))
    await run_workers(1, command, listener=listener, stop=asyncio.Event(), log=log)

asyncio.run(main())
"""
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(parent), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert process.stdout is not None
    port = int(await process.stdout.readline())
    running = Crew(port, asyncio.Event(), asyncio.Event(), asyncio.create_task(asyncio.sleep(0, 0)), [])
    pid = await running.until_answered_by(lambda *_: True)
    process.kill()
    await process.wait()
    async with asyncio.timeout(20):
        while alive(pid):  # noqa: ASYNC110 not this process's own child, so its end sets no event
            await asyncio.sleep(0.02)


def test_the_wait_before_a_restart_doubles_up_to_its_bound() -> None:
    restarts = Restarts(first_s=0.5, longest_s=3.0)
    assert [restarts.wait_s(deaths) for deaths in (1, 2, 3, 4, 1_000_000)] == [0.5, 1.0, 2.0, 3.0, 3.0]
