"""Checkpoints beside the writer: the log stays bounded, and committed data stays."""

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import apsw
import pytest

from flashreserve.stores.sqlite import maintenance
from flashreserve.stores.sqlite.connection import connect, use_wal
from flashreserve.stores.sqlite.customer_index import CustomerIndexer
from flashreserve.stores.sqlite.files import DatabaseFiles
from flashreserve.stores.sqlite.generation import Pulse
from flashreserve.stores.sqlite.maintenance import Maintenance
from flashreserve.stores.sqlite.schema import MIGRATIONS

PAGE_BYTES = 4096
FRAME_BYTES = PAGE_BYTES + 24


class Log:
    """A database whose log `Maintenance` watches."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.writer = connect(path, "create")
        use_wal(self.writer, 0.0)
        self.writer.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, text TEXT)")
        self.own = connect(path, "write", busy_wait_s=0.0)
        self.written = 0

    def write(self, transactions: int) -> None:
        for _ in range(transactions):
            with self.writer:
                self.writer.execute("INSERT INTO rows (text) VALUES (?)", ("x" * 6000,))
            self.written += 1

    @property
    def pages(self) -> int:
        """The greatest length of the log so far."""
        return Path(f"{self.path}-wal").stat().st_size // FRAME_BYTES

    def count(self) -> int:
        reader = apsw.Connection(str(self.path), flags=apsw.SQLITE_OPEN_READONLY)
        (found,) = reader.execute("SELECT count(*) FROM rows").fetchone()  # type: ignore[misc]
        reader.close()
        return int(found)


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Log]:
    monkeypatch.setattr(maintenance, "PAGES", 20)
    monkeypatch.setattr(maintenance, "PAGES_MAX", 200)
    monkeypatch.setattr(maintenance, "_REST_MAX", 10)
    made = Log(tmp_path / "log.db")
    yield made
    made.writer.close()


def until(log: Log, true: Callable[[], bool]) -> None:
    """Keep writing until the condition is true, or fail after a while."""
    for _ in range(20_000):
        if true():
            return
        log.write(1)
    raise AssertionError("it didn't come to pass")


def test_the_log_is_copied_by_the_thread_and_begins_anew(log: Log) -> None:
    copied = Event()
    real = log.own

    class Own:
        def wal_checkpoint(self, *, mode: int) -> tuple[int, int]:
            sizes = real.wal_checkpoint(mode=mode)
            copied.set()
            return sizes

        def pragma(self, name: str, value: int) -> None:
            real.pragma(name, value)

        def close(self) -> None:
            real.close()

    watched = Maintenance(log.writer, Own(), CustomerIndexer(), Pulse(len(MIGRATIONS)), DatabaseFiles(log.path))  # type: ignore[arg-type]
    until(log, copied.is_set)
    log.write(1_000)
    assert log.pages < 1_000, "a thousand transactions of two pages and more each"
    watched.close()
    assert log.count() == log.written


def test_where_the_thread_cannot_copy_the_writer_does(log: Log) -> None:
    watched = Maintenance(log.writer, log.own, CustomerIndexer(), Pulse(len(MIGRATIONS)), DatabaseFiles(log.path))
    log.own.close()
    log.write(1_000)
    watched.close()
    assert log.pages <= 200 + 10
    assert log.count() == log.written


def test_a_log_that_another_holds_back_fails_no_commit(log: Log) -> None:
    watched = Maintenance(log.writer, log.own, CustomerIndexer(), Pulse(len(MIGRATIONS)), DatabaseFiles(log.path))
    reader = apsw.Connection(str(log.path), flags=apsw.SQLITE_OPEN_READONLY)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM rows").fetchall()
    log.write(300)
    reader.close()
    log.write(300)
    watched.close()
    assert log.count() == log.written == 600
