"""What is left in the database's files of a customer who was erased."""

import random
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.contract.requests import do
from tests.core.examples import NOON, a_product, confirm, granted, reserve

from flashreserve.core.model import Account, Role
from flashreserve.stores.sqlite.customer_index import CustomerIndexer
from flashreserve.stores.sqlite.store import SqliteStore

CUSTOMERS = 300
TRACES = (b"shop:person-", b"order-of-person-", b"parcel of person-", b"address-of-person-")
"""Each is followed by the customer's number and a full stop."""


def left_in_files(path: Path, number: int) -> list[bytes]:
    """The traces of the customer with this number in the bytes of the files, those of deleted rows included."""
    content = b"".join(each.read_bytes() for each in path.parent.glob(f"{path.name}*"))
    return [trace for trace in TRACES if trace + b"%d." % number in content]


@pytest.mark.parametrize("number", [1, 17, 150, 299])
async def test_nothing_is_left_once_the_store_is_closed(store: SqliteStore, path: Path, number: int) -> None:
    """Rows move between pages while a table grows, and the place where one was must not keep a copy."""
    store._indexer = CustomerIndexer(at_least=1, step=3)
    await store.add_products([a_product(units=CUSTOMERS)])
    for each in random.Random(1).sample(range(CUSTOMERS), k=CUSTOMERS):
        user = f"shop:person-{each}."
        command = reserve(each, user, key=f"order-of-person-{each}.")
        await store.add_account(Account(user, f"address-of-person-{each}.", Role.CUSTOMER, "hash", NOON))
        granted(await do(store, replace(command, metadata={"note": f"parcel of person-{each}." + 200 * "x"})))
        await do(store, confirm(each, user))
    assert left_in_files(path, number) == list(TRACES)

    await store.begin_erasure(f"shop:person-{number}.", NOON)
    assert await store.erase_reservations(f"shop:person-{number}.", "erased:1", 10) == 1
    await store.close()

    assert left_in_files(path, number) == []
    assert left_in_files(path, number - 1) == list(TRACES)
