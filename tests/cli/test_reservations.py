"""`flashreserve reservations export`."""

import csv
import io
import stat

from tests.cli.conftest import USER, CommandShop

from flashreserve.service.export import CSV_COLUMNS


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_the_export_has_a_row_for_each_line_of_each_reservation(shop: CommandShop) -> None:
    product_id = shop.stock(name="iPhone 15")
    held = [shop.reserve(product_id, quantity) for quantity in (1, 2)]

    ended = shop.run("reservations", "export")

    assert ended.code == 0
    assert tuple(ended.out.splitlines()[0].split(",")) == CSV_COLUMNS
    assert [(row["reservationId"], row["quantity"]) for row in rows(ended.out)] == [
        (held[0].id, "1"),
        (held[1].id, "2"),
    ]
    first = rows(ended.out)[0]
    assert (first["userId"], first["status"], first["productId"]) == (USER, "PENDING", product_id)
    assert (first["unitPrice"], first["currency"], first["confirmedAt"]) == ("999.99", "USD", "")


def test_a_hold_that_has_lapsed_is_exported_as_expired(shop: CommandShop) -> None:
    reservation = shop.reserve(shop.stock(hold_s=1))
    while (row := rows(shop.run("reservations", "export").out)[0])["status"] == "PENDING":
        assert row["reservationId"] == reservation.id

    assert row["status"] == "EXPIRED"


def test_an_export_of_several_pages_is_whole(shop: CommandShop) -> None:
    product_id = shop.stock(units=1000)
    ids = [each.id for each in shop.reserve_many(product_id, 401)]

    assert [row["reservationId"] for row in rows(shop.run("reservations", "export").out)] == ids


def test_a_file_is_replaced_as_a_whole_and_only_its_owner_reads_it(shop: CommandShop) -> None:
    shop.reserve(shop.stock())
    target = shop.directory / "out" / "shipping.csv"
    target.parent.mkdir()
    target.write_text("the earlier one")

    ended = shop.run("reservations", "export", "--output", "out/shipping.csv")

    assert (ended.code, ended.out) == (0, "")
    assert len(rows(target.read_text())) == 1
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert list(target.parent.iterdir()) == [target]


def test_an_export_that_fails_leaves_the_earlier_file(shop: CommandShop) -> None:
    target = shop.directory / "shipping.csv"
    target.write_text("the earlier one")

    ended = shop.run("reservations", "export", "--output", "shipping.csv")

    assert ended.code == 1
    assert "the database can't be used" in ended.err
    assert target.read_text() == "the earlier one"
    assert shop.files() == ["shipping.csv"]


def test_a_file_that_cannot_be_written_is_named(shop: CommandShop) -> None:
    shop.stock()

    ended = shop.run("reservations", "export", "--output", "nowhere/shipping.csv")

    assert ended.code == 1
    assert ended.err.startswith("Error: ")
    assert "nowhere/" in ended.err
    assert "No such file or directory" in ended.err
