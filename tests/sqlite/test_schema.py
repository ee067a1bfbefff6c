"""Files that are accepted, files that are refused, and migrations of older files."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest
from tests.contract.requests import assert_balanced, available, do, everything
from tests.core.examples import CUP, HAT, HOLD_MS, NOON, a_product, an_account, granted, reserve

from flashreserve.stores.port import StoreDefectError, StoreReadOnlyError, StoreUnavailableError
from flashreserve.stores.sqlite import SqliteStore, open_sqlite, open_sqlite_to_read, schema
from flashreserve.stores.sqlite.generation import version_in
from flashreserve.stores.sqlite.header import APPLICATION_ID
from flashreserve.stores.sqlite.inspection import inspect_sqlite, sqlite_version

Opened = Callable[..., SqliteStore]
Open = Callable[[Path], SqliteStore]

OPENINGS = [
    pytest.param(lambda path: open_sqlite(path, create=True), id="create"),
    pytest.param(lambda path: open_sqlite(path, create=False), id="write"),
    pytest.param(open_sqlite_to_read, id="read"),
]


def run_sql(path: Path, *statements: str) -> list[tuple[object, ...]]:
    """Run the statements. Returns the rows of the last one."""
    connection = apsw.Connection(str(path))
    try:
        found: list[tuple[object, ...]] = []
        for statement in statements:
            found = list(connection.execute(statement))
        return found
    finally:
        connection.close()


def version_of(path: Path) -> int:
    (field,) = run_sql(path, "PRAGMA user_version")[0]
    assert isinstance(field, int)
    return version_in(field)


def read(path: Path) -> bytes:
    return path.read_bytes()


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def assert_refused_unchanged(path: Path, open_it: Open, reason: str) -> None:
    """Check that opening fails for the reason, and changes no byte of the directory."""
    before = {found.name: found.read_bytes() for found in path.parent.iterdir()}
    with pytest.raises(StoreUnavailableError, match=reason):
        open_it(path)
    assert {found.name: found.read_bytes() for found in path.parent.iterdir()} == before


class TestNewFiles:
    def test_a_new_file_says_whose_it_is_and_of_which_version(self, store: SqliteStore, path: Path) -> None:
        assert run_sql(path, "PRAGMA application_id") == [(APPLICATION_ID,)]
        assert version_of(path) == len(schema.MIGRATIONS)

    async def test_an_empty_file_is_as_good_as_none(self, opened: Opened, path: Path) -> None:
        write(path, b"")
        await opened(create=True).add_products([a_product()])

    @pytest.mark.parametrize("open_it", OPENINGS[1:])
    def test_only_create_takes_an_empty_file(self, path: Path, open_it: Open) -> None:
        write(path, b"")
        assert_refused_unchanged(path, open_it, "is empty, so it is no database")

    @pytest.mark.parametrize("open_it", OPENINGS[1:])
    def test_only_create_makes_a_file(self, path: Path, open_it: Open) -> None:
        assert_refused_unchanged(path, open_it, "unable to open")

    @pytest.mark.parametrize("open_it", OPENINGS)
    def test_no_directory_is_made(self, path: Path, open_it: Open) -> None:
        with pytest.raises(StoreUnavailableError, match="unable to open"):
            open_it(path.parent / "nowhere" / "flashreserve.db")
        assert not (path.parent / "nowhere").exists()

    @pytest.mark.parametrize("open_it", OPENINGS)
    def test_a_directory_is_no_database(self, path: Path, open_it: Open) -> None:
        path.mkdir()
        with pytest.raises(StoreUnavailableError):
            open_it(path)

    async def test_a_closed_store_leaves_one_file(self, opened: Opened, path: Path) -> None:
        store = opened()
        await store.add_products([a_product()])
        await store.close()
        assert [found.name for found in path.parent.iterdir()] == [path.name]

    def test_processes_that_create_a_file_at_once_all_get_their_store(self, path: Path) -> None:
        """In each round, all processes get a new path at the same moment."""
        script = (
            "import sys; from pathlib import Path; from flashreserve.stores.sqlite import open_sqlite\n"
            "for line in sys.stdin:\n"
            "    store = open_sqlite(Path(line.strip()), create=True)\n"
            "    print('opened', flush=True)\n"
        )
        racers = [
            subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(4)
        ]
        try:
            for number in range(15):
                told = path.with_name(f"round-{number}.db")
                for racer in racers:
                    assert racer.stdin is not None
                    racer.stdin.write(f"{told}\n")
                    racer.stdin.flush()
                assert [racer.stdout.readline() for racer in racers if racer.stdout] == ["opened\n"] * len(racers)
                assert version_of(told) == len(schema.MIGRATIONS)
        finally:
            for racer in racers:
                racer.communicate()


class TestForeignFiles:
    @pytest.mark.parametrize("open_it", OPENINGS)
    @pytest.mark.parametrize(
        "statements",
        [
            ["CREATE TABLE somebody_elses (x)"],
            ["PRAGMA application_id = 77"],
            ["PRAGMA application_id = 77", "CREATE TABLE products (x)", "PRAGMA user_version = 1"],
            ["PRAGMA user_version = 1"],
        ],
    )
    def test_another_applications_is_refused_and_left_as_it_was(
        self, path: Path, open_it: Open, statements: list[str]
    ) -> None:
        run_sql(path, *statements)
        assert_refused_unchanged(path, open_it, "another application")

    @pytest.mark.parametrize("open_it", OPENINGS)
    async def test_a_newer_version_is_refused_and_left_as_it_was(
        self, opened: Opened, path: Path, open_it: Open
    ) -> None:
        await opened().close()
        newer = len(schema.MIGRATIONS) + 1
        run_sql(path, f"PRAGMA user_version = {newer}")
        with pytest.raises(StoreUnavailableError, match=f"has version {newer}, this program knows up to"):
            open_it(path)
        assert run_sql(path, "PRAGMA user_version") == [(newer,)]

    @pytest.mark.parametrize("open_it", OPENINGS)
    @pytest.mark.parametrize("content", [b"no database at all, but a text of some length\n" * 100, b"\0" * 4096])
    def test_garbage_is_refused_and_left_as_it_was(self, path: Path, open_it: Open, content: bytes) -> None:
        path.write_bytes(content)
        assert_refused_unchanged(path, open_it, "not a database")

    @pytest.mark.parametrize("open_it", OPENINGS)
    @pytest.mark.parametrize("kept", [0.5, 0.9])
    async def test_a_truncated_file_is_refused(self, opened: Opened, path: Path, open_it: Open, kept: float) -> None:
        await opened().close()
        content = read(path)
        write(path, content[: int(len(content) * kept)])
        with pytest.raises(StoreUnavailableError, match=r"malformed|not a database"):
            open_it(path)


class TestMigrating:
    @pytest.fixture
    def next_version(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(
            schema, "MIGRATIONS", (*schema.MIGRATIONS, "CREATE TABLE notes (id TEXT PRIMARY KEY) STRICT;")
        )

    async def older_file(self, opened: Opened) -> None:
        store = opened()
        await store.add_products([a_product()])
        granted(await do(store, reserve(1)))
        await store.add_account(an_account())
        await store.close()

    async def test_an_older_file_is_brought_up_with_all_that_is_in_it(
        self, opened: Opened, path: Path, request: pytest.FixtureRequest
    ) -> None:
        await self.older_file(opened)
        request.getfixturevalue("next_version")
        store = opened(create=False)
        assert version_of(path) == len(schema.MIGRATIONS)
        assert run_sql(path, "SELECT * FROM notes") == []
        assert await available(store, CUP) == 9
        assert await store.account_by_email(an_account().email) == an_account()
        await assert_balanced(store)

    async def test_a_new_file_gets_every_version(self, opened: Opened, path: Path, next_version: None) -> None:
        await opened().add_products([a_product()])
        assert run_sql(path, "SELECT * FROM notes") == []

    async def test_an_older_file_is_not_for_those_who_only_read(
        self, opened: Opened, path: Path, request: pytest.FixtureRequest
    ) -> None:
        await self.older_file(opened)
        request.getfixturevalue("next_version")
        with pytest.raises(StoreUnavailableError, match="older version: start `flashreserve serve` once"):
            open_sqlite_to_read(path)
        assert version_of(path) == len(schema.MIGRATIONS) - 1

    async def test_a_step_that_fails_leaves_the_older_file_whole(
        self, opened: Opened, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await self.older_file(opened)
        with monkeypatch.context() as patched:
            broken = "CREATE TABLE notes (x); DROP TABLE accounts; INSERT INTO nowhere VALUES (1);"
            patched.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, broken))
            with pytest.raises(StoreDefectError, match="nowhere"):
                opened(create=False)
        store = opened(create=False)
        assert version_of(path) == len(schema.MIGRATIONS)
        assert await store.account_by_email(an_account().email) == an_account()
        assert await available(store, CUP) == 9


class TestReadingOnly:
    async def test_it_reads_what_was_and_what_is_being_written(self, opened: Opened, path: Path) -> None:
        store = opened()
        await store.add_products([a_product()])
        reader = open_sqlite_to_read(path)
        granted(await do(store, reserve(1)))
        assert await everything(reader) == await everything(store)
        assert await reader.audit() == await store.audit()
        with pytest.raises(StoreReadOnlyError):
            await reader.check_writable()
        await reader.close()

    async def test_it_refuses_to_write_and_changes_nothing(self, opened: Opened, path: Path) -> None:
        store = opened()
        await store.add_products([a_product()])
        granted(await do(store, reserve(1)))
        await store.close()
        content = read(path)
        reader = open_sqlite_to_read(path)
        before = await everything(reader)
        for attempt in (
            reader.flush([reserve(2)], NOON),
            reader.release_lapsed(NOON + HOLD_MS, 10),
            reader.add_products([a_product(HAT)]),
            reader.add_account(an_account()),
        ):
            with pytest.raises(StoreUnavailableError, match="readonly"):
                await attempt
        assert await everything(reader) == before
        await reader.close()
        assert read(path) == content


class TestInspection:
    async def test_it_tells_version_journal_faults_and_the_newest_reservation(self, opened: Opened, path: Path) -> None:
        store = opened()
        found = inspect_sqlite(path)
        assert (found.version, found.newest_version) == (len(schema.MIGRATIONS), len(schema.MIGRATIONS))
        assert (found.journal_mode, found.faults, found.newest_at) == ("wal", [], None)
        await store.add_products([a_product()])
        for number in (1, 3, 2):
            granted(await do(store, reserve(number), at=1_000 * number))
        assert inspect_sqlite(path).newest_at == 3_000

    def test_an_empty_file_is_no_database(self, path: Path) -> None:
        path.touch()
        with pytest.raises(StoreUnavailableError, match="is empty"):
            inspect_sqlite(path)
        assert path.read_bytes() == b""

    async def test_faults_are_told(self, opened: Opened, path: Path) -> None:
        store = opened()
        await store.add_products([a_product()])
        granted(await do(store, reserve(1)))
        await store.close()
        (root,) = run_sql(path, "SELECT rootpage FROM sqlite_schema WHERE name = 'reservations_due'")[0]
        assert isinstance(root, int)
        content = bytearray(read(path))
        content[(root - 1) * 4096 : (root - 1) * 4096 + 200] = b"\xff" * 200
        write(path, bytes(content))
        assert inspect_sqlite(path).faults != []

    def test_a_missing_file_stays_missing(self, path: Path) -> None:
        with pytest.raises(StoreUnavailableError, match="unable to open"):
            inspect_sqlite(path)
        assert list(path.parent.iterdir()) == []

    def test_this_sqlite_is_safe_with_several_writers(self) -> None:
        version, safe = sqlite_version()
        assert safe, version
