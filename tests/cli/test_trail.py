"""`flashreserve trail`."""

import csv
import io
from typing import Any

import apsw
import msgspec
import pytest
from msgspec.structs import replace
from tests.cli.conftest import USER, CommandShop

from flashreserve.cli.trail import TRAIL_COLUMNS
from flashreserve.core import limits
from flashreserve.http.event_schemas import EventView

WHY = '=HYPERLINK("http://evil.example")'


def events_of(shop: CommandShop, *options: str) -> list[Any]:
    ended = shop.run("trail", "--json", *options)
    assert (ended.code, ended.err) == (0, "")
    return [msgspec.json.decode(line) for line in ended.out.splitlines()]


def types_of(shop: CommandShop, *options: str) -> list[str]:
    return [event["type"] for event in events_of(shop, *options)]


def test_the_trail_tells_who_did_what_oldest_first(shop: CommandShop) -> None:
    id_ = shop.stock()
    assert shop.run("pause", id_, "--reason", WHY).code == 0
    ended = shop.run("trail")
    assert ended.code == 0
    head, made, paused = ended.out.splitlines()
    assert head.split() == ["TIME", "TYPE", "SUBJECT", "SEQUENCE", "ACTOR", "DATA"]
    assert made.split()[1:5] == ["product.created", id_, "1", "admin"]
    assert paused.split()[1:5] == ["product.paused", id_, "2", "admin"]
    assert paused.endswith('{"reason":"=HYPERLINK(\\"http://evil.example\\")","allProducts":false}')
    for event in events_of(shop):
        msgspec.convert(event, EventView)


def test_the_trail_is_filtered(shop: CommandShop) -> None:
    id_, other = shop.stock(), shop.stock()
    held = shop.reserve(id_)
    shop.run("pause", id_, "--reason", WHY)
    shop.run("pause", other, "--reason", WHY)
    shop.run("resume", other)

    assert types_of(shop, "--subject", id_.upper()) == ["product.created", "product.paused"]
    assert types_of(shop, "--type", "product.resumed", "--type", "product.paused", "--subject", other) == [
        "product.paused",
        "product.resumed",
    ]
    # The grant isn't in the log.
    assert "reservation.created" not in types_of(shop)
    assert types_of(shop, "--subject", held.id) == ["reservation.created"]
    assert types_of(shop, "--subject", held.id, "--actor", USER) == ["reservation.created"]
    assert types_of(shop, "--actor", USER) == []
    assert types_of(shop, "--from", "2100-01-01T00:00:00Z") == []
    assert len(types_of(shop, "--from", "2020-01-01T00:00:00+01:00")) == 5


@pytest.mark.parametrize(("setting", "logged"), [("on", 1), ("off", 0)])
def test_grants_are_logged_if_the_setting_is_on(shop: CommandShop, setting: str, logged: int) -> None:
    id_ = shop.stock()
    shop.settings = replace(shop.settings, events_grants=setting == "on")
    held = shop.reserve(id_)
    assert types_of(shop).count("reservation.created") == logged
    assert types_of(shop, "--subject", held.id) == ["reservation.created"]


def test_events_older_than_the_setting_are_deleted(shop: CommandShop) -> None:
    shop.stock()
    ended = shop.run("forget-events", FLASHRESERVE_EVENTS_DAYS="7")
    assert (ended.code, ended.out) == (0, "Deleted 0 events.\n")
    age_events(shop, days=8)
    assert shop.run("forget-events", FLASHRESERVE_EVENTS_DAYS="9").out == "Deleted 0 events.\n"
    assert shop.run("forget-events", FLASHRESERVE_EVENTS_DAYS="7").out == "Deleted 1 event.\n"
    assert events_of(shop) == []


def age_events(shop: CommandShop, days: int) -> None:
    connection = apsw.Connection(str(shop.settings.sqlite_path))
    connection.execute("UPDATE events SET at = at - ?", (days * 24 * 3600 * 1000,))
    connection.close()


def test_the_embedded_engine_has_nothing_to_relay(shop: CommandShop) -> None:
    shop.stock()
    ended = shop.run("relay")
    assert (ended.code, ended.out) == (0, "Logged the events of 0 subjects.\n")


def test_all_pages_are_printed(shop: CommandShop, monkeypatch: pytest.MonkeyPatch) -> None:
    id_ = shop.stock()
    for _ in range(3):
        shop.run("pause", id_, "--reason", WHY)
        shop.run("resume", id_)
    monkeypatch.setattr(limits, "PAGE_MAX", 2)
    assert [event["sequence"] for event in events_of(shop)] == [1, 2, 3, 4, 5, 6, 7]


def test_a_spreadsheet_takes_no_cell_for_a_formula(shop: CommandShop) -> None:
    id_ = shop.stock(external_id="=1+1")
    shop.run("pause", id_, "--reason", WHY)
    ended = shop.run("trail", "--csv")
    assert ended.code == 0
    names, made, paused = csv.reader(io.StringIO(ended.out, newline=""))
    assert tuple(names) == TRAIL_COLUMNS
    row = dict(zip(names, made, strict=True))
    assert (row["type"], row["subjectId"], row["subjectExternalId"]) == ("product.created", id_, "'=1+1")
    assert (row["actorKind"], row["actorId"], row["sequence"]) == ("admin", "", "1")
    data = msgspec.json.decode(paused[names.index("data")])
    assert data == {"reason": WHY, "allProducts": False}
    assert [value for value in (*made, *paused) if value[:1] in {"=", "+", "@", "\t", "\r"}] == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--json", "--csv"), "expected --json or --csv, not both"),
        (("--type", "product.sold"), "'product.sold' is not one of"),
        (("--subject", "order-1001"), "--subject"),
        (("--actor", "a b"), "--actor"),
        (("--from", "noon"), "--from"),
    ],
)
def test_invalid_options_are_refused(shop: CommandShop, options: tuple[str, ...], said: str) -> None:
    shop.stock()
    ended = shop.run("trail", *options)
    assert (ended.code, ended.out) == (2, "")
    assert said in " ".join(ended.err.split())
