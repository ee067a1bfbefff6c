"""`flashreserve customers`: exporting and erasing a person."""

import json
import time
from collections.abc import Callable
from typing import Any

import apsw
import pytest
from tests.cli.conftest import PASSWORD, CommandShop, Running

EMAIL = "ann.jones@example.com"
KEY = "ann-orders-a-cup"
ORDER = "order-of-ann-17"
NOTE = "leave it with Mrs Jones"


def exported(shop: CommandShop, customer_id: str) -> Any:
    ended = shop.run("customers", "export", customer_id)
    assert ended.code == 0, ended.err
    return json.loads(ended.out)


def dump(shop: CommandShop) -> str:
    """Every value of every table."""
    connection = apsw.Connection(str(shop.settings.sqlite_path))
    try:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return repr({table: connection.execute(f"SELECT * FROM {table}").fetchall() for table in tables})  # noqa: S608 - its own tables
    finally:
        connection.close()


def in_the_files(shop: CommandShop) -> str:
    """All bytes of the database's files, with those of deleted rows."""
    path = shop.settings.sqlite_path
    return "".join(each.read_bytes().decode("latin-1") for each in path.parent.glob(f"{path.name}*"))


class Ann:
    """A customer with an account, who has bought one thing, holds another, and let a third hold lapse."""

    def __init__(self, shop: CommandShop, server: Running) -> None:
        self._server = server
        signed_up = server.ask("POST", "/auth/register", {"email": EMAIL, "password": PASSWORD})
        assert signed_up.status == 201, signed_up.body
        self.id = signed_up.json["id"]
        signed_in = server.ask("POST", "/auth/login", {"email": EMAIL, "password": PASSWORD})
        self.token = signed_in.json["token"]
        self.bought = self.reserve(shop.stock(), Idempotency_Key=KEY)
        assert self.ask("POST", f"/checkout/{self.bought}").status == 200
        self.held = self.reserve(shop.stock())
        self.lapsed = self.reserve(shop.stock(hold_s=1))
        while self.ask("GET", f"/reservations/{self.lapsed}").json["status"] == "PENDING":
            time.sleep(0.05)  # Nobody reads the log meanwhile, and the server stops when its pipe is full.

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Any:
        return self._server.ask(method, path, body, self.token, **headers)

    def reserve(self, product_id: str, **headers: str) -> str:
        body = {"lines": [{"productId": product_id, "quantity": 2}], "externalId": ORDER, "metadata": {"note": NOTE}}
        made = self.ask("POST", "/reservations", body, **headers)
        assert made.status == 201, made.body
        return str(made.json["id"])


@pytest.fixture
def server(serve: Callable[..., Running]) -> Running:
    return serve(FLASHRESERVE_LOG_LEVEL="debug")


def test_all_about_a_person_is_exported(shop: CommandShop, server: Running) -> None:
    ann = Ann(shop, server)

    everything = exported(shop, ann.id)

    assert (everything["customerId"], everything["account"]["email"]) == (ann.id, EMAIL)
    found = {each["id"]: each for each in everything["reservations"]}
    assert {id_: each["status"] for id_, each in found.items()} == {
        ann.bought: "CONFIRMED",
        ann.held: "PENDING",
        ann.lapsed: "EXPIRED",
    }
    assert (found[ann.bought]["idempotencyKey"], found[ann.held]["metadata"]) == (KEY, {"note": NOTE})


def test_an_erased_person_leaves_no_trace_and_the_books_balance(shop: CommandShop, server: Running) -> None:
    ann = Ann(shop, server)
    traces = (ann.id, "jones", KEY, ORDER, NOTE)
    assert all(trace.lower() in dump(shop).lower() for trace in traces)

    ended = shop.run("customers", "erase", ann.id)

    assert (ended.code, ended.out) == (0, "Erased: an account, 3 reservations.\n")
    assert shop.run("customers", "export", ann.id).code == 1
    assert ann.ask("GET", "/auth/me").status == 401
    assert server.ask("POST", "/auth/login", {"email": EMAIL, "password": PASSWORD}).status == 401
    assert sorted(shop.available().values()) == [8, 10, 10]
    assert shop.run("audit").code == 0
    sold = shop.run("reservations", "export").out
    assert [sold.count(status) for status in ("CONFIRMED", "CANCELLED", "EXPIRED", "erased:")] == [1, 1, 1, 3]
    told = repr(server.stop_and_read())
    assert "/reservations" in told
    for trace in traces:
        assert trace.lower() not in (dump(shop) + sold + told + in_the_files(shop)).lower()


def test_a_person_who_was_erased_may_come_again(shop: CommandShop, server: Running) -> None:
    ann = Ann(shop, server)
    assert shop.run("customers", "erase", ann.id).code == 0

    again = server.ask("POST", "/auth/register", {"email": EMAIL, "password": PASSWORD})

    assert (again.status, again.json["id"] != ann.id) == (201, True)


def test_a_customer_of_the_shops_is_erased_by_the_full_id(shop: CommandShop) -> None:
    reservation = shop.reserve(shop.stock(), user_id="shop:42")

    ended = shop.run("customers", "erase", "shop:42")

    assert (ended.code, ended.out) == (0, "Erased: no account, 1 reservation.\n")
    assert reservation.id in shop.run("reservations", "export").out
    assert "shop:42" not in dump(shop)


@pytest.mark.parametrize(
    ("id_", "hint"),
    [
        ("42", "; the id of an issuer's customer is `<issuer's name>:<sub>`"),
        ("shop:43", "; `flashreserve accounts list` and "),
        ("01a20b39-4685-7139-95e5-df707f880fb5", "; `flashreserve accounts list` and "),
    ],
)
def test_a_customer_of_whom_nothing_is_stored_is_told_at_once(shop: CommandShop, id_: str, hint: str) -> None:
    shop.reserve(shop.stock(), user_id="shop:42")

    for command in ("export", "erase"):
        ended = shop.run("customers", command, id_)

        assert (ended.code, ended.out) == (1, "")
        assert ended.err.startswith(f"Error: nothing is stored about {id_}{hint}")
    assert "'erasures': []" in dump(shop)


def test_an_erasure_that_was_interrupted_while_it_waited_is_finished_by_another(
    shop: CommandShop, server: Running
) -> None:
    body = {"email": EMAIL, "password": PASSWORD}
    ann_id = server.ask("POST", "/auth/register", body).json["id"]
    erasing = shop.start("customers", "erase", ann_id)
    while server.ask("POST", "/auth/login", body).status != 401:
        assert erasing.poll() is None
    erasing.kill()
    erasing.communicate()

    ended = shop.run("customers", "erase", ann_id)

    assert (ended.code, ended.out) == (0, "Erased: no account, 0 reservations.\n")
    assert shop.run("customers", "export", ann_id).code == 1


def test_an_admin_is_not_erased(shop: CommandShop) -> None:
    shop.run("admin", "create", "owner@example.com", "--password-stdin", stdin=f"{PASSWORD}\n")
    (row,) = shop.run("accounts", "list").out.splitlines()[1:]

    ended = shop.run("customers", "erase", row.split()[0])

    assert (ended.code, "accounts demote" in ended.err) == (1, True)
    assert "owner@example.com" in dump(shop)


@pytest.mark.parametrize("command", ["export", "erase"])
@pytest.mark.parametrize("id_", ["", "an n", "x" * 129, "änn", "erased:0123"])
def test_an_id_that_cannot_be_is_refused(shop: CommandShop, command: str, id_: str) -> None:
    shop.stock()
    ended = shop.run("customers", command, id_)
    assert (ended.code, "ID: expected 1 to 128 visible ASCII characters" in ended.err) == (2, True)
