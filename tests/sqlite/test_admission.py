"""Opening a database: its log must belong to it, and must exist while other processes use the database."""

import asyncio
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest
from tests.contract.requests import do
from tests.core.examples import a_product, granted, reserve

from flashreserve.stores.port import StoreUnavailableError
from flashreserve.stores.sqlite import SqliteStore, admission, open_sqlite, open_sqlite_to_read
from flashreserve.stores.sqlite.header import log_of, read_log, shared_of
from flashreserve.stores.sqlite.inspection import inspect_sqlite

Opened = Callable[..., SqliteStore]
OTHERS_LOG = "is the log of another file"

# Reserves in a process of its own, which can be killed while its log has no checkpoint yet.
CHILD = """
import asyncio, sys, time
from pathlib import Path
from tests.core.examples import a_product, reserve, user_id, NOON
from flashreserve.stores.sqlite import open_sqlite

async def main(path, first, count):
    store = open_sqlite(Path(path), create=True)
    if first == 0:
        await store.add_products([a_product(units=100_000)])
    for number in range(first, first + count):
        store._pulse.due = number % 7 == 0
        await store.flush([reserve(number, user_id(number))], NOON)
    print("ready", flush=True)
    sys.stdin.read()

asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
"""


class OtherProcess:
    """A process that has written `count` reservations and keeps the database open."""

    def __init__(self, path: Path, first: int, count: int) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(path), str(first), str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._child.stdout is not None
        assert self._child.stdout.readline() == "ready\n"

    def kill(self) -> None:
        self._child.send_signal(signal.SIGKILL)
        self._child.communicate()


@pytest.fixture
def started(path: Path) -> Iterator[Callable[[int, int], OtherProcess]]:
    processes: list[OtherProcess] = []

    def start(first: int, count: int) -> OtherProcess:
        processes.append(OtherProcess(path, first, count))
        return processes[-1]

    yield start
    for each in processes:
        each.kill()


Started = Callable[[int, int], OtherProcess]


async def write_and_close(path: Path, first: int, count: int) -> None:
    store = open_sqlite(path, create=True)
    if first == 0:
        await store.add_products([a_product(units=100_000)])
    for number in range(first, first + count):
        store._pulse.due = True
        granted(await do(store, reserve(number)))
    await store.close()


def copy_by_sqlite(path: Path, target: Path) -> None:
    source, copy = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY), apsw.Connection(str(target))
    with copy.backup("main", source, "main") as backup:
        backup.step()
    source.close()
    copy.close()


def vacuum_into(path: Path, target: Path) -> None:
    source = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    source.execute("VACUUM INTO ?", (str(target),))
    source.close()


@pytest.mark.parametrize("copy", [shutil.copy, copy_by_sqlite, vacuum_into])
async def test_a_backup_beside_the_log_of_a_killed_server_is_refused_and_left_as_it_is(
    path: Path, started: Started, copy: Callable[[Path, Path], object]
) -> None:
    await write_and_close(path, 0, 20)
    backup = path.parent / "backup"
    copy(path, backup)
    await write_and_close(path, 20, 20)
    started(40, 50).kill()
    shutil.copy(backup, path)
    before = {each.name: each.read_bytes() for each in path.parent.iterdir() if each.name != shared_of(path).name}

    for open_it in (
        lambda: open_sqlite(path, create=True),
        lambda: open_sqlite_to_read(path),
        lambda: inspect_sqlite(path),
    ):
        with pytest.raises(StoreUnavailableError, match=OTHERS_LOG):
            open_it()

    after = {each.name: each.read_bytes() for each in path.parent.iterdir() if each.name != shared_of(path).name}
    assert after == before


async def test_after_the_log_was_removed_the_backup_is_opened(path: Path, started: Started) -> None:
    await write_and_close(path, 0, 20)
    backup = path.parent / "backup"
    shutil.copy(path, backup)
    await write_and_close(path, 20, 20)
    started(40, 50).kill()
    shutil.copy(backup, path)
    log_of(path).unlink()
    shared_of(path).unlink(missing_ok=True)

    store = open_sqlite(path, create=False)

    audit = await store.audit()
    assert (audit.reservations, audit.differences) == (20, [])
    await store.close()


@pytest.mark.parametrize("checkpoint", [None, apsw.SQLITE_CHECKPOINT_PASSIVE, apsw.SQLITE_CHECKPOINT_RESTART])
async def test_a_killed_server_s_own_log_is_taken_however_much_of_it_was_copied(
    path: Path, started: Started, checkpoint: int | None
) -> None:
    process = started(0, 50)
    if checkpoint is not None:
        outsider = apsw.Connection(str(path))
        outsider.wal_checkpoint(mode=checkpoint)
        outsider.close()
    process.kill()
    started(50, 1).kill()
    started(51, 30).kill()

    store = open_sqlite(path, create=False)

    audit = await store.audit()
    assert (audit.reservations, audit.differences) == (81, [])
    await store.close()


async def test_a_log_too_short_to_say_whose_it_is_must_leave_the_books_in_balance(path: Path) -> None:
    await write_and_close(path, 0, 20)
    older = path.parent / "older"
    shutil.copy(path, older)
    await write_and_close(path, 20, 300)
    writer = apsw.Connection(str(path))
    writer.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    writer.execute("UPDATE products SET available = available - 1, stocked = stocked - 1")
    writer.close()
    span = read_log(log_of(path))
    assert span is not None
    assert span.first is None
    shutil.copy(path, path.parent / "own")

    shutil.copy(older, path)
    with pytest.raises(StoreUnavailableError, match=OTHERS_LOG):
        open_sqlite(path, create=False)

    shutil.copy(path.parent / "own", path)
    store = open_sqlite(path, create=False)
    assert (await store.audit()).differences == []
    await store.close()


def test_a_log_without_a_database_is_not_thrown_away(path: Path, started: Started) -> None:
    started(0, 10).kill()
    kept = path.parent / "kept"
    path.rename(kept)
    log = log_of(path).read_bytes()
    for _ in range(2):
        with pytest.raises(StoreUnavailableError, match=r"there is a log, .*, but not its database"):
            open_sqlite(path, create=True)
        assert log_of(path).read_bytes() == log
        path.touch()

    kept.replace(path)
    assert asyncio.run(reservations(path)) == 10


async def reservations(path: Path) -> int:
    store = open_sqlite(path, create=False)
    try:
        return (await store.audit()).reservations
    finally:
        await store.close()


@pytest.mark.parametrize("part", [log_of, shared_of])
async def test_a_second_process_is_refused_while_the_first_has_lost_its_log(
    path: Path, started: Started, part: Callable[[Path], Path]
) -> None:
    first = started(0, 10)
    part(path).unlink()
    with pytest.raises(StoreUnavailableError, match=r"other processes have .* open, but its log"):
        open_sqlite(path, create=True, busy_wait_s=0.1)
    assert not part(path).exists()
    first.kill()


async def test_one_process_at_a_time_opens_a_database(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "OPENING_WAIT_S", 0.05)
    await write_and_close(path, 0, 1)
    with admission.admitted(path, 0.05, create=False):
        with pytest.raises(StoreUnavailableError, match="another process has been opening"):
            open_sqlite(path, create=False)
        with pytest.raises(StoreUnavailableError, match="another process has been opening"):
            open_sqlite_to_read(path)
    await write_and_close(path, 1, 1)


async def test_several_processes_start_at_once(path: Path, started: Started) -> None:
    await write_and_close(path, 0, 1)
    for number in range(1, 4):
        started(number, 1)
    store = open_sqlite(path, create=False)
    assert (await store.audit()).reservations == 4
    await store.close()


# Opens the database as a user other than root, because root ignores file modes.
OPEN = """
import os, sys
from pathlib import Path
from flashreserve.stores.port import StoreUnavailableError
from flashreserve.stores.sqlite import open_sqlite
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
try:
    open_sqlite(Path(sys.argv[1]), create=True)
except StoreUnavailableError as error:
    print(type(error).__name__, error)
"""


@pytest.fixture
def public() -> Iterator[Path]:
    """A directory that all users may enter, unlike pytest's own directories."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


@pytest.mark.parametrize(("what", "mode"), [("file", 0o444), ("file", 0o400), ("directory", 0o555)])
def test_a_database_that_can_not_be_written_is_refused_by_name(public: Path, what: str, mode: int) -> None:
    path = public / "data" / "shop.db"
    path.parent.mkdir()
    asyncio.run(write_and_close(path, 0, 1))
    path.chmod(0o666)
    path.parent.chmod(0o777)
    spoilt = path if what == "file" else path.parent
    spoilt.chmod(mode)

    said = subprocess.run([sys.executable, "-c", OPEN, str(path)], capture_output=True, text=True, check=False)

    path.parent.chmod(0o777)
    assert said.stdout == f"StoreReadOnlyError {spoilt} can't be written by the user that runs this\n", said.stderr
