"""The settings of connections, and the queries of requests: none of them reads a whole table."""

import re
from pathlib import Path

import apsw
import pytest

from flashreserve.stores.sqlite import SqliteStore, rows


async def test_every_commit_is_synced_into_a_write_ahead_log(store: SqliteStore) -> None:
    assert await store._writer.run(lambda connection: connection.pragma("journal_mode")) == "wal"
    full = 2
    assert await store._writer.run(lambda connection: connection.pragma("synchronous")) == full


@pytest.mark.parametrize("role", ["_writer", "_reader"])
async def test_foreign_keys_are_enforced_and_files_are_not_mapped(store: SqliteStore, role: str) -> None:
    connection = getattr(store, role)
    assert await connection.run(lambda it: it.pragma("foreign_keys")) == 1
    assert await connection.run(lambda it: it.pragma("mmap_size")) == 0


async def test_the_reader_cannot_write(store: SqliteStore) -> None:
    assert await store._reader.run(lambda connection: connection.readonly("main")) is True
    assert await store._writer.run(lambda connection: connection.readonly("main")) is False


AUDITING = {"SELECT_BOOKS", "SELECT_UNREADABLE"}
QUERIES = {
    name: sql
    for name, sql in vars(rows).items()
    if isinstance(sql, str) and name.isupper() and not name.startswith("_") and name not in AUDITING
}


SHORT = {
    "SCAN CONSTANT ROW",
    "SCAN other USING INDEX accounts_admins",
    "SCAN api_keys USING INDEX api_keys_valid",
    "SCAN (subquery-2)",
    "SCAN erasures USING COVERING INDEX erasures_at",
}
"""Steps that read few rows: all of a short index, or up to a limit."""


def table_scans(path: Path, sql: str) -> list[str]:
    """The steps of the query plan in which SQLite reads a whole table, or sorts."""
    numbers = [int(number) for number in re.findall(r"\?(\d+)", sql)]
    nulls = (None,) * max(numbers, default=sql.count("?"))
    connection = apsw.Connection(str(path))
    plan = [str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", nulls)]
    connection.close()
    return [step for step in plan if "TEMP B-TREE" in step or (step.startswith("SCAN") and "VIRTUAL TABLE" not in step)]


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_a_statement_that_a_request_waits_for_finds_its_rows_by_an_index(
    store: SqliteStore, path: Path, name: str
) -> None:
    assert [step for step in table_scans(path, QUERIES[name]) if step not in SHORT] == []


@pytest.mark.parametrize("name", sorted(AUDITING))
def test_the_audit_reads_everything(store: SqliteStore, path: Path, name: str) -> None:
    assert table_scans(path, vars(rows)[name]) != []
