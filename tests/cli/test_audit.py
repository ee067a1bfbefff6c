"""`flashreserve audit`, `sweep` and `recover`."""

import json

import apsw
import pytest
from tests.cli.conftest import CommandShop

from flashreserve.core.audits import Audit
from flashreserve.http.audit_views import audit_view


def change(shop: CommandShop, sql: str, *values: int) -> None:
    connection = apsw.Connection(str(shop.settings.sqlite_path))
    connection.execute(sql, values)
    connection.close()


def test_books_that_balance_are_clean(shop: CommandShop) -> None:
    shop.reserve(shop.stock(), quantity=3)
    shop.stock()

    ended = shop.run("audit")

    assert ended.code == 0
    assert ended.out == "2 products, 1 reservation.\nAll books balance: nothing oversold, nothing leaked.\n"


@pytest.mark.parametrize(("change_by", "word"), [(+1, "oversold"), (-1, "leaked")])
def test_a_difference_ends_with_1_and_is_shown(shop: CommandShop, change_by: int, word: str) -> None:
    product_id = shop.stock(units=10)
    shop.reserve(product_id, quantity=3)
    change(shop, "UPDATE products SET available = ?", 7 + change_by)

    table, as_json = shop.run("audit"), shop.run("audit", "--json")

    assert (table.code, as_json.code) == (1, 1)
    assert table.out.splitlines()[2].split() == [product_id, "10", "3", "0", "7", str(7 + change_by), word]
    assert json.loads(as_json.out) == {
        "clean": False,
        "complete": True,
        "products": 1,
        "reservations": 1,
        "differences": [
            {
                "productId": product_id,
                "stocked": 10,
                "available": 7 + change_by,
                "live": 3,
                "moving": 0,
                "expected": 7,
            }
        ],
        "unreadable": 0,
        "setAside": [],
    }


def test_clean_books_as_json(shop: CommandShop) -> None:
    shop.stock()

    assert json.loads(shop.run("audit", "--json").out) == {
        "clean": True,
        "complete": True,
        "products": 1,
        "reservations": 0,
        "differences": [],
        "unreadable": 0,
        "setAside": [],
    }


def test_books_that_could_not_be_read_at_one_instant_are_not_clean() -> None:
    assert not audit_view(Audit(products=1, reservations=1, differences=[], complete=False)).clean


def test_without_a_database_there_is_no_picture_and_none_is_made(shop: CommandShop) -> None:
    ended = shop.run("audit", "--json")

    assert (ended.code, ended.out) == (3, "")
    assert f"there is none at {shop.settings.sqlite_path}" in ended.err
    assert shop.files() == []


def test_a_sweep_releases_what_has_lapsed_and_says_how_much(shop: CommandShop) -> None:
    product_id = shop.stock(units=5)
    for _ in range(2):
        shop.reserve(product_id)
    change(shop, "UPDATE reservations SET expires_at = created_at")
    shop.reserve(product_id)

    first, second = shop.run("sweep"), shop.run("sweep")

    assert (first.code, first.out) == (0, "Released 2 lapsed holds.\n")
    assert second.out == "Released 0 lapsed holds.\n"
    assert shop.available() == {product_id: 4}


def test_there_is_nothing_to_recover_where_every_write_is_a_transaction(shop: CommandShop) -> None:
    shop.reserve(shop.stock())

    ended = shop.run("recover")

    assert (ended.code, ended.out) == (0, "Settled 0 unfinished stock movements.\n")


@pytest.mark.parametrize("command", ["sweep", "recover"])
def test_a_pass_without_a_database_fails_and_makes_none(shop: CommandShop, command: str) -> None:
    ended = shop.run(command)

    assert ended.code == 1
    assert ended.err.startswith("Error: the database can't be used: there is none at ")
    assert shop.files() == []
