"""The files by which processes on one database file compare their clocks."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.moving_clock import MovingClock

from flashreserve.bootstrap import times_ahead_ms
from flashreserve.clock import Sighting, SystemClock
from flashreserve.settings import Settings
from flashreserve.siblings import FRESH_MS, SiblingFiles

SEEN = Sighting(1_795_000_000_000, 1_795_000_000_001, 7)

CHILD = """
import asyncio, sys
from pathlib import Path
from flashreserve.clock import Sighting, SystemClock
from flashreserve.siblings import SiblingFiles
files = SiblingFiles(Path(sys.argv[1]), "child", SystemClock().elapsed_ms)
asyncio.run(files.tell(Sighting(*map(int, sys.argv[2:]))))
print("told", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def machine() -> MovingClock:
    return MovingClock()


def process(directory: Path, name: str, machine: MovingClock) -> SiblingFiles:
    return SiblingFiles(directory / "clocks", name, machine.elapsed_ms)


async def test_each_is_told_what_the_others_see_until_they_end(tmp_path: Path, machine: MovingClock) -> None:
    one, other = process(tmp_path, "one", machine), process(tmp_path, "other", machine)
    assert await one.others() == []
    await one.tell(Sighting(0, 0))
    await one.tell(SEEN)
    assert await other.others() == [SEEN]
    assert await one.others() == []
    await other.tell(SEEN)
    await one.close()
    assert await other.others() == []
    await other.close()
    assert not (tmp_path / "clocks").exists()


async def test_a_process_that_has_written_nothing_for_ten_seconds_is_ignored(
    tmp_path: Path, machine: MovingClock
) -> None:
    one, other = process(tmp_path, "one", machine), process(tmp_path, "other", machine)
    await one.tell(SEEN)
    machine.advance(FRESH_MS / 1000)
    assert await other.others() == [SEEN]
    machine.advance(0.001)
    assert await other.others() == []
    await one.close()


def test_another_process_counts_until_it_is_killed_and_its_file_is_cleared_away(tmp_path: Path) -> None:
    clock, directory = SystemClock(), tmp_path / "flashreserve.db-clocks"
    offset_ms = clock.now_ms() - clock.elapsed_ms()
    told = map(str, (offset_ms, offset_ms + 3_600_000, 0))
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(directory), *told], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"told\n"
        (ahead_ms,) = asyncio.run(times_ahead_ms(Settings(data_dir=tmp_path)))
        assert abs(ahead_ms - 3_600_000) < 1_000
        child.kill()
        child.wait()
    assert [found.name for found in directory.iterdir()] == ["child.clock"]
    assert asyncio.run(times_ahead_ms(Settings(data_dir=tmp_path))) == []
    assert list(directory.iterdir()) == []


async def test_a_file_that_is_no_record_is_ignored(tmp_path: Path, machine: MovingClock) -> None:
    one, other = process(tmp_path, "one", machine), process(tmp_path, "other", machine)
    await one.tell(SEEN)
    path = tmp_path / "clocks" / "one.clock"
    whole = path.read_bytes()
    for broken in (b"", whole[:-1], b"\1" + whole[1:]):
        path.write_bytes(broken)
        assert await other.others() == []
    await one.close()


async def test_a_file_that_cannot_be_written_is_logged_once_and_the_process_goes_on(
    tmp_path: Path, machine: MovingClock
) -> None:
    (tmp_path / "clocks").write_text("in the way")
    one = process(tmp_path, "one", machine)
    with capture_logs() as logged:
        for _ in range(3):
            await one.tell(SEEN)
    assert [entry["event"] for entry in logged] == ["clocks can't be compared with other processes'"]
    assert await one.others() == []
    await one.close()


async def test_nobody_else_may_read_them(tmp_path: Path, machine: MovingClock) -> None:
    mask = os.umask(0)
    try:
        one = process(tmp_path, "one", machine)
        await one.tell(SEEN)
    finally:
        os.umask(mask)
    directory = tmp_path / "clocks"
    assert [path.stat().st_mode & 0o077 for path in (directory, directory / "one.clock")] == [0, 0]
    await one.close()
