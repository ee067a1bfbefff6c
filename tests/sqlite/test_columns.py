"""Each field of a struct has its column in the struct's table. The order of the columns doesn't matter."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.contract.requests import do, every, everything, flush
from tests.core.examples import (
    ANN,
    BEN,
    HAT,
    HOLD_MS,
    NOON,
    a_product,
    an_account,
    cancel,
    confirm,
    edit,
    extend,
    reserve,
    reserve_basket,
    restock,
)

from flashreserve.core.model import Line, Product
from flashreserve.core.quotas import Quotas
from flashreserve.stores.filters import ReservationFilter
from flashreserve.stores.memory import MemoryStore
from flashreserve.stores.port import Store
from flashreserve.stores.sqlite import open_sqlite, schema
from flashreserve.stores.sqlite.columns import TABLES, TableColumns, struct_arrays
from flashreserve.stores.sqlite.connection import connect
from flashreserve.stores.sqlite.schema import migrate

QUOTAS = Quotas(open_holds_max=9, holds_per_hour_max=9, lapses_per_hour_max=9)


def columns_of_table(path: Path, table: str) -> list[str]:
    """The table's columns in the newest version, in their order."""
    connection = connect(path, "create")
    migrate(connection)
    found = [str(name) for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")]
    connection.close()
    return found


@pytest.mark.parametrize("columns", TABLES, ids=lambda columns: columns.table)
def test_each_field_has_a_column_and_each_column_a_field(path: Path, columns: TableColumns[Any]) -> None:
    """A missing column has to be added by a migration, a script in `schema.MIGRATIONS`."""
    others = ["product_id"] if columns.table == "product_details" else []
    assert sorted([*columns.names, *others]) == sorted(columns_of_table(path, columns.table))


@pytest.mark.parametrize("columns", TABLES, ids=lambda columns: columns.table)
def test_older_rows_get_the_default_of_the_field(path: Path, columns: TableColumns[Any]) -> None:
    connection = connect(path, "create")
    migrate(connection)
    defaults = dict(connection.execute("SELECT name, dflt_value FROM pragma_table_info(?)", (columns.table,)))
    fields = dict(zip(columns.names, msgspec.structs.fields(columns._kind), strict=True))

    for name, default in defaults.items():
        if default is not None:
            value: object = connection.execute(f"SELECT {default}").get
            assert value == fields[name].default, name
    connection.close()


def test_a_new_field_is_a_new_column() -> None:
    longer = msgspec.defstruct("LongerProduct", [("weight_g", int, 0)], bases=(Product,), frozen=True)
    columns = TableColumns("products", longer)
    assert "weight_g" in columns.names
    assert "p.weight_g" in columns.select("p")
    assert "weight_g" in columns.insert()
    assert "weight_g = ?20" in columns.update()


def test_a_new_field_of_lines_that_were_written_without_it_has_its_default() -> None:
    longer = msgspec.defstruct("LongerLine", [("gifts", int, 0)], bases=(Line,), frozen=True)
    read = struct_arrays(longer).decode
    assert read(b'[["x",1,2,"EUR"]]') == (longer("x", 1, 2, "EUR", 0),)
    assert read(b'[["x",1,2,"EUR",3]]') == (longer("x", 1, 2, "EUR", 3),)


async def test_all_is_the_same_where_the_tables_have_their_columns_in_another_order(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *later = schema.MIGRATIONS
    with monkeypatch.context() as patched:
        patched.setattr(schema, "MIGRATIONS", (with_columns_reversed(first), *later))
        assert columns_of_table(path, "accounts")[:5] == ["created_at", "password_hash", "role", "email", "id"]
        store = open_sqlite(path, create=True, quotas=QUOTAS)
    reference = MemoryStore(QUOTAS)
    assert await a_day(store) == await a_day(reference)
    await store.close()


def with_columns_reversed(script: str) -> str:
    """The script with the columns of each table in reverse order."""

    def reverse(table: re.Match[str]) -> str:
        lines = [re.sub(r",?\s*(--.*)?$", "", line) for line in table[2].splitlines()]
        columns = [line for line in lines if not line.strip().startswith("PRIMARY KEY")]
        constraints = [line for line in lines if line not in columns]
        return table[1] + ",\n".join([*reversed(columns), *constraints]) + "\n) STRICT"

    return re.sub(r"(CREATE TABLE \w+ \(\n)(.*?)\n\) STRICT", reverse, script, flags=re.DOTALL)


async def a_day(store: Store) -> object:
    """Write and change rows of every table. Returns all that can be read afterwards."""
    await store.add_products([a_product(units=100, per_customer_limit=5), a_product(HAT)])
    await store.add_account(an_account())
    await store.set_role(an_account().id, an_account().role, at=1)
    outcomes = [
        await flush(store, reserve(1, key="k"), reserve(2, BEN), reserve_basket(3, {a_product().id: 2, HAT: 1})),
        await flush(store, extend(2, BEN), confirm(1), cancel(3), restock(7), edit(HAT, name="Top hat", price=1)),
        await flush(store, reserve(4, key="k"), reserve(5), reserve(6, BEN), restock(7), at=NOON + HOLD_MS // 2),
        await do(store, confirm(2, BEN), at=NOON + 3 * HOLD_MS),
    ]
    return (
        outcomes,
        await everything(store),
        await every(store, ReservationFilter(user_id=ANN), newest_first=True),
        await every(store, ReservationFilter(product_id=HAT)),
        await store.account_by_email(an_account().email),
        (await store.audit()).differences,
    )
