"""Webhook endpoints over HTTP, with a receiver in a process of its own."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
from tests.http.documented import BY_NAME, faults
from tests.http.shop import Admin, HttpAnswer, HttpCustomer, HttpShop, ShopClock, open_shop
from tests.webhooks.conftest import MakeReceiver, make_receiver
from tests.webhooks.receiver import Receipt, ReceiverPlan
from tests.webhooks.receiver_process import ReceiverProcess

from flashreserve.bootstrap.delivery_state import DeliveryState
from flashreserve.core import limits
from flashreserve.metrics import Metrics, render
from flashreserve.service.fan_out import fan_out

__all__ = ["make_receiver"]

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOBODY: Final = "http://127.0.0.1:9/hook"
"""A URL where nobody listens."""

OTHER_ID: Final = "0199f3a2-7c10-7d63-9e4f-6b8d0f2a4c99"
STOCKED: Final = "product.stocked"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory, clock: ShopClock) -> AsyncIterator[HttpShop]:
    """The file's shop. It runs the jobs, and deliveries to this machine are allowed."""
    directory = tmp_path_factory.mktemp("shop")
    async with open_shop(directory, clock, sweeps=True, webhook_networks="127.0.0.0/8") as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def fresh_shop(tmp_path: Path, clock: ShopClock) -> AsyncIterator[HttpShop]:
    async with open_shop(tmp_path, clock, sweeps=True, webhook_networks="127.0.0.0/8") as running:
        yield running


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def no_endpoints(shop: HttpShop) -> AsyncIterator[None]:
    """Each test begins without endpoints."""
    yield
    shop.store.heal()
    for endpoint in await shop.store.endpoints():
        admin = await shop.hire()
        assert (await admin.ask("DELETE", f"/webhooks/{endpoint.id}")).status == 204


async def add(admin: Admin, url: str = NOBODY, *types: str) -> Any:
    return (await admin.ask("POST", "/webhooks", body={"url": url, "events": types or ["*"]})).granted()


async def shown(admin: Admin, id_: str) -> Any:
    return (await admin.ask("GET", f"/webhooks/{id_}")).granted(200)


async def attempts(admin: Admin, id_: str, query: str = "") -> Any:
    return (await admin.ask("GET", f"/webhooks/{id_}/deliveries{query}")).granted(200)


async def received(receiver: ReceiverProcess, reached: Callable[[Sequence[Receipt]], bool]) -> Sequence[Receipt]:
    return await asyncio.to_thread(receiver.wait_for, reached)


async def until_shown(admin: Admin, id_: str, reached: Callable[[Any], bool]) -> Any:
    """The endpoint, once it is as expected."""
    async with asyncio.timeout(30):
        while not reached(endpoint := await shown(admin, id_)):  # noqa: ASYNC110 - deliveries signal no event
            await asyncio.sleep(0.01)
    return endpoint


def undocumented(name: str, answer: HttpAnswer) -> list[str]:
    headers = {each.lower(): value for each, value in answer.headers.items()}
    return faults(BY_NAME[name], answer.status, headers, answer.body)


async def test_the_secret_is_shown_once(admin: Admin) -> None:
    body = {"url": "HTTPS://Shop.example/hooks?k=1", "events": ["reservation.returned", "reservation.confirmed"]}
    added = await admin.ask("POST", "/webhooks", body=body)
    made = added.granted()
    listed = await admin.ask("GET", "/webhooks")
    one = await admin.ask("GET", f"/webhooks/{made['id']}")

    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", made["secret"])
    assert added.headers["Location"] == f"/webhooks/{made['id']}"
    without = {name: value for name, value in made.items() if name != "secret"}
    assert without == {
        "id": made["id"],
        "url": "https://shop.example/hooks?k=1",
        "events": ["reservation.confirmed", "reservation.returned"],
        "createdAt": made["createdAt"],
        "createdBy": admin.id,
        "disabledAt": None,
        "disabledReason": None,
        "failingSince": None,
        "failures": 0,
    }
    assert listed.granted(200)["items"] == [without]
    assert {**without, "backlog": {"groups": 0, "oldestDue": None}} == one.granted(200)
    answers = {"addEndpoint": added, "listEndpoints": listed, "getEndpoint": one}
    assert {name: undocumented(name, answer) for name, answer in answers.items()} == {name: [] for name in answers}


async def test_events_are_delivered_signed_and_their_attempts_are_listed(
    admin: Admin, make_receiver: MakeReceiver
) -> None:
    receiver = make_receiver()
    product = await admin.product()
    made = await add(admin, receiver.url, STOCKED)
    receiver.take(ReceiverPlan(secrets=(made["secret"],)))
    for change in (1, 2, 3):
        (await admin.restock(product, change)).granted(200)

    receipts = await received(receiver, lambda found: len(found) == 3)
    await until_shown(admin, made["id"], lambda endpoint: endpoint["backlog"]["groups"] == 0)
    page = await admin.ask("GET", f"/webhooks/{made['id']}/deliveries?limit=2")
    last = await attempts(admin, made["id"], f"?limit=2&cursor={page.granted(200)['nextCursor']}")

    assert [(each.subject, each.sequence, each.previous) for each in receipts] == [
        (product, 2, None),
        (product, 3, 2),
        (product, 4, 3),
    ]
    assert {each.verified for each in receipts} == {0}
    assert undocumented("listDeliveries", page) == []
    assert [each["eventId"] for each in page.json["items"]] == [f"{product}-4", f"{product}-3"]
    assert [each["eventId"] for each in last["items"]] == [f"{product}-2"]
    assert last["nextCursor"] is None
    first = last["items"][0]
    assert (first["number"], first["status"], first["error"], first["result"]) == (1, 204, None, "delivered")


async def test_a_failed_attempt_says_why_and_the_backlog_says_since_when(
    admin: Admin, make_receiver: MakeReceiver
) -> None:
    receiver = make_receiver(ReceiverPlan(status=503))
    made = await add(admin, receiver.url, STOCKED)
    product = await admin.product()
    (await admin.restock(product, 1)).granted(200)

    endpoint = await until_shown(admin, made["id"], lambda endpoint: endpoint["failures"] == 1)
    (attempt,) = (await attempts(admin, made["id"]))["items"]

    assert endpoint["failingSince"] == attempt["at"]
    assert endpoint["backlog"]["groups"] == 1
    assert endpoint["backlog"]["oldestDue"] is not None
    assert (attempt["status"], attempt["error"], attempt["result"]) == (503, "status", "retried")


async def test_a_test_is_sent_at_once_and_says_how_it_went(admin: Admin, make_receiver: MakeReceiver) -> None:
    receiver = make_receiver()
    made = await add(admin, receiver.url, STOCKED)
    receiver.take(ReceiverPlan(secrets=(made["secret"],)))
    path = f"/webhooks/{made['id']}"

    fine = await admin.ask("POST", f"{path}/test")
    (receipt,) = receiver.receipts()
    receiver.take(ReceiverPlan(status=302))
    redirected = (await admin.ask("POST", f"{path}/test")).granted(200)
    (await admin.ask("POST", f"{path}/disable")).granted(200)
    receiver.stop()
    away = (await admin.ask("POST", f"{path}/test", body={})).granted(200)

    assert (fine.granted(200)["status"], fine.json["error"]) == (204, None)
    assert fine.json["durationMs"] >= 0
    assert undocumented("testEndpoint", fine) == []
    assert (receipt.verified, receipt.sequence) == (0, 1)
    assert (redirected["status"], redirected["error"]) == (302, "redirect")
    assert (away["status"], away["error"]) == (None, "connect")
    assert (await attempts(admin, made["id"]))["items"] == [], "a test is no delivery"
    assert (await shown(admin, made["id"]))["failures"] == 0


async def test_after_a_rotation_both_secrets_sign(admin: Admin, make_receiver: MakeReceiver) -> None:
    receiver = make_receiver()
    made = await add(admin, receiver.url, STOCKED)
    rotated = await admin.ask("POST", f"/webhooks/{made['id']}/rotate")
    new = rotated.granted(200)["secret"]

    assert undocumented("rotateSecret", rotated) == []
    assert new != made["secret"]
    for secret in (made["secret"], new):
        receiver.take(ReceiverPlan(secrets=(secret,)))
        (await admin.ask("POST", f"/webhooks/{made['id']}/test")).granted(200)
    assert [each.verified for each in receiver.receipts()] == [0, 0]
    assert "secret" not in await shown(admin, made["id"])


async def test_a_disabled_endpoint_gets_nothing_until_it_is_enabled_and_then_what_is_replayed(
    admin: Admin, make_receiver: MakeReceiver, clock: ShopClock
) -> None:
    receiver = make_receiver()
    product = await admin.product()
    made = await add(admin, receiver.url, STOCKED)
    clock.advance(120)  # Replays begin a minute earlier.
    path, began = f"/webhooks/{made['id']}", clock.instant()
    disabled = await admin.ask("POST", f"{path}/disable")
    (await admin.restock(product, 1)).granted(200)

    assert (disabled.granted(200)["disabledReason"], disabled.json["disabledAt"]) == ("admin", began)
    assert (await admin.ask("POST", f"{path}/disable")).granted(200) == disabled.json
    enabled = await admin.ask("POST", f"{path}/enable", body={"replayFrom": began})
    assert enabled.granted(200) == {**disabled.json, "disabledAt": None, "disabledReason": None}
    (receipt,) = await received(receiver, lambda found: len(found) == 1)
    assert (receipt.subject, receipt.sequence) == (product, 2)
    assert undocumented("disableEndpoint", disabled) == undocumented("enableEndpoint", enabled) == []
    again = await admin.ask("POST", f"{path}/enable", body={"replayFrom": began})
    assert (again.status, again.fields) == (400, ["replayFrom"])


async def test_an_endpoint_that_is_enabled_without_a_replay_gets_what_comes_then(
    admin: Admin, make_receiver: MakeReceiver
) -> None:
    receiver = make_receiver()
    product = await admin.product()
    made = await add(admin, receiver.url, STOCKED)
    path = f"/webhooks/{made['id']}"
    for body in (None, {}, {"replayFrom": None}):
        (await admin.ask("POST", f"{path}/disable")).granted(200)
        (await admin.restock(product, 1)).granted(200)
        assert (await admin.ask("POST", f"{path}/enable", body=body)).granted(200)["disabledAt"] is None
    (await admin.restock(product, 1)).granted(200)
    receipts = await received(receiver, lambda found: len(found) >= 1)
    assert [each.sequence for each in receipts] == [5]


async def test_an_event_is_sent_once_more_with_the_same_bytes(admin: Admin, make_receiver: MakeReceiver) -> None:
    receiver = make_receiver()
    product = await admin.product()
    made = await add(admin, receiver.url, STOCKED)
    (await admin.restock(product, 1)).granted(200)
    await received(receiver, lambda found: len(found) == 1)
    path = f"/webhooks/{made['id']}/deliveries"

    resent = await admin.ask("POST", f"{path}/{product.upper()}-2/resend")
    first, second = await received(receiver, lambda found: len(found) == 2)

    assert resent.granted(202) == {"eventId": f"{product}-2", "type": STOCKED}
    assert undocumented("resendEvent", resent) == []
    assert (first.id, first.sha256) == (second.id, second.sha256)
    assert (await admin.ask("POST", f"{path}/{product}-9/resend")).code == "not-found"
    unwanted = await admin.ask("POST", f"{path}/{product}-1/resend")
    assert (unwanted.code, unwanted.fields) == ("bad-request", ["eventId"])
    assert (await admin.ask("POST", f"{path}/x/resend")).fields == ["eventId"]


async def test_an_endpoint_is_edited_and_removed(admin: Admin) -> None:
    made = await add(admin, NOBODY, STOCKED)
    path = f"/webhooks/{made['id']}"

    one = (await admin.ask("PATCH", path, body={"events": ["*"]})).granted(200)
    other = await admin.ask("PATCH", path, body={"url": "https://shop.example/new"})

    assert (one["url"], one["events"]) == (NOBODY, ["*"])
    assert (other.granted(200)["url"], other.json["events"]) == ("https://shop.example/new", ["*"])
    assert (await admin.ask("PATCH", path, body={})).granted(200) == other.json
    assert (await admin.ask("DELETE", path)).status == 204
    for method, action, body in (
        ("DELETE", "", None), ("GET", "", None), ("PATCH", "", {}), ("POST", "/test", None), ("POST", "/rotate", None),
        ("POST", "/disable", None), ("POST", "/enable", None), ("GET", "/deliveries", None),
        ("POST", f"/deliveries/{OTHER_ID}-1/resend", None),
    ):  # fmt: skip
        refused = await admin.ask(method, path + action, body=body)
        assert (refused.status, refused.code) == (404, "not-found"), (method, action)
    told = (await admin.ask("GET", f"/trail?subject={made['id']}")).granted(200)["items"]
    assert [event["type"] for event in told] == [
        "endpoint.added", "endpoint.edited", "endpoint.edited", "endpoint.removed"
    ]  # fmt: skip
    assert "/new" not in str(told), "an address may contain a secret of the receiver's"


async def test_there_are_at_most_so_many_endpoints(admin: Admin) -> None:
    for number in range(limits.ENDPOINTS_MAX):
        await add(admin, f"https://shop.example/{number}")
    one_more = await admin.ask("POST", "/webhooks", body={"url": "https://shop.example/", "events": ["*"]})

    assert (one_more.status, one_more.code) == (409, "too-many-endpoints")
    assert one_more.json["detail"] == "there are 20 endpoints; remove those that aren't used"
    assert undocumented("addEndpoint", one_more) == []
    assert len((await admin.ask("GET", "/webhooks")).granted(200)["items"]) == limits.ENDPOINTS_MAX


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"events": ["reservation.confirm"]}, "events[0]", "did you mean reservation.confirmed?"),
        ({"events": [STOCKED, "product.stock"]}, "events[1]", "did you mean product.stocked?"),
        ({"events": ["endpoint.tested"]}, "events[0]", "did you mean endpoint."),
        ({"events": ["*", STOCKED]}, "events", "expected * alone"),
        ({"events": []}, "events", "expected"),
        ({"events": "*"}, "events", "expected"),
        ({"events": None}, "events", "expected"),
        ({"url": "ftp://shop.example"}, "url", "a URL such as https://"),
        ({"url": "https://user:word@shop.example/"}, "url", "without user name and password"),
        ({"url": "http://10.0.0.1/"}, "url", "FLASHRESERVE_WEBHOOK_NETWORKS"),
        ({"url": "https://169.254.169.254/"}, "url", "a public address"),
        ({"url": 7}, "url", "expected"),
        ({"uri": "https://shop.example"}, "uri", "did you mean url?"),
    ],
)
async def test_bad_input_is_refused_by_name(admin: Admin, fields: dict[str, Any], field: str, message: str) -> None:
    made = await add(admin)
    body = {"url": "https://shop.example/", "events": ["*"], **fields}

    for method, path, sent in (("POST", "/webhooks", body), ("PATCH", f"/webhooks/{made['id']}", fields)):
        refused = await admin.ask(method, path, body=sent)
        assert (refused.code, refused.fields) == ("bad-request", [field]), refused.body
        assert message in refused.json["errors"][0]["message"]
    assert len((await admin.ask("GET", "/webhooks")).granted(200)["items"]) == 1


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", "", {"url": NOBODY}, "events"),
        ("POST", "", {"events": ["*"]}, "url"),
        ("GET", "/x", None, "id"),
        ("POST", f"/{OTHER_ID}/test", {"url": NOBODY}, "body"),
        ("POST", f"/{OTHER_ID}/enable", {"replayFrom": "yesterday"}, "replayFrom"),
        ("POST", f"/{OTHER_ID}/enable", {"replayFrom": "9999-12-31T23:59:59-23:59"}, "replayFrom"),
        ("POST", f"/{OTHER_ID}/enable", {"from": None}, "from"),
        ("GET", f"/{OTHER_ID}/deliveries?limit=0", None, "limit"),
        ("GET", f"/{OTHER_ID}/deliveries?cursor=1", None, "cursor"),
        ("GET", f"/{OTHER_ID}/deliveries?after=1", None, "after"),
    ],
)
async def test_each_route_names_what_it_refuses(admin: Admin, method: str, path: str, body: object, field: str) -> None:
    refused = await admin.ask(method, f"/webhooks{path}", body=body)
    assert (refused.code, refused.fields) == ("bad-request", [field]), refused.body


async def test_only_admins_see_endpoints(shop: HttpShop, admin: Admin, customer: HttpCustomer) -> None:
    scopes = ["customers", "catalogue", "read", "rehearse"]
    key = (await admin.ask("POST", "/api-keys", body={"name": "all", "scopes": scopes})).granted()["key"]
    one = f"/webhooks/{OTHER_ID}"
    for method, path in (
        ("POST", "/webhooks"), ("GET", "/webhooks"), ("GET", one), ("PATCH", one), ("DELETE", one),
        ("POST", f"{one}/test"), ("POST", f"{one}/rotate"), ("POST", f"{one}/disable"), ("POST", f"{one}/enable"),
        ("GET", f"{one}/deliveries"), ("POST", f"{one}/deliveries/{OTHER_ID}-1/resend"),
    ):  # fmt: skip
        assert (await customer.ask(method, path)).code == "forbidden", path
        assert (await shop.ask(method, path, headers={"Authorization": f"Bearer {key}"})).code == "forbidden", path
        assert (await shop.ask(method, path)).code == "unauthenticated", path


async def test_a_change_whose_reply_is_lost_is_unknown_and_can_be_looked_at(shop: HttpShop, admin: Admin) -> None:
    made = await add(admin)
    for method, path, body in (
        ("POST", "/webhooks", {"url": "https://shop.example/lost", "events": ["*"]}),
        ("PATCH", f"/webhooks/{made['id']}", {"url": "https://shop.example/edited"}),
        ("POST", f"/webhooks/{made['id']}/rotate", None),
        ("POST", f"/webhooks/{made['id']}/disable", None),
        ("POST", f"/webhooks/{made['id']}/enable", None),
    ):
        shop.store.loses_replies = True
        unknown = await admin.ask(method, path, body=body)
        shop.store.heal()
        assert (unknown.status, unknown.code) == (503, "outcome-unknown"), path
        assert "look at" in unknown.json["detail"]

    listed = (await admin.ask("GET", "/webhooks")).granted(200)["items"]
    assert [each["url"] for each in listed] == ["https://shop.example/edited", "https://shop.example/lost"]


async def metrics(shop: HttpShop) -> dict[str, float]:
    lines = (await shop.ask("GET", "/metrics")).body.decode().splitlines()
    named = (line.rpartition(" ") for line in lines if line.startswith(("flashreserve_deliver", "flashreserve_endp")))
    return {name: float(value) for name, _, value in named}


async def test_metrics_count_attempts_and_show_what_waits_and_what_is_disabled(
    fresh_shop: HttpShop, make_receiver: MakeReceiver, clock: ShopClock
) -> None:
    admin = await fresh_shop.hire()
    product = await admin.product()
    receiver = make_receiver(ReceiverPlan(fail_first=1))
    await add(admin, receiver.url, STOCKED)
    gone = await add(admin, make_receiver(ReceiverPlan(status=410)).url, STOCKED)
    state = DeliveryState(fresh_shop.store, clock.now_ms)
    shown_there = Metrics()
    state.show(shown_there)
    (await admin.restock(product, 1)).granted(200)

    endpoint = await until_shown(admin, gone["id"], lambda endpoint: endpoint["disabledAt"] is not None)
    await received(receiver, lambda found: len(found) == 1)
    await until_shown(admin, (await fresh_shop.store.endpoints())[0].id, lambda each: each["failures"] == 1)
    await state.measure()
    assert endpoint["disabledReason"] == "gone"
    assert (state.disabled, state.groups, state.oldest_s) == (1, 1, 0.0)
    assert b"flashreserve_endpoints_disabled 1.0" in render(shown_there.families())

    clock.advance(30)
    await received(receiver, lambda found: len(found) == 2)
    async with asyncio.timeout(30):
        while (found := await metrics(fresh_shop))['flashreserve_delivery_attempts_total{result="delivered"}'] < 1:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
    assert found['flashreserve_delivery_attempts_total{result="retried"}'] == 2
    assert found['flashreserve_delivery_attempts_total{result="failed"}'] == 0
    assert (found["flashreserve_delivery_seconds_count"], found["flashreserve_delivery_seconds_sum"]) == (1, 30)
    assert {f"flashreserve_{name}" for name in ("endpoints_disabled", "delivery_backlog")} <= found.keys()


async def test_the_age_of_the_backlog_grows_while_nobody_delivers(tmp_path: Path, clock: ShopClock) -> None:
    async with open_shop(tmp_path, clock, sweeps=False, webhook_networks="127.0.0.0/8") as idle:
        admin = await idle.hire()
        product = await admin.product()
        made = await add(admin, NOBODY, STOCKED)
        (await admin.restock(product, 1)).granted(200)
        await fan_out(idle.store, clock.now_ms())
        clock.advance(90)
        state = DeliveryState(idle.store, clock.now_ms)
        await state.measure()
        assert (state.disabled, state.groups, state.oldest_s) == (0, 1, 90.0)
        (await admin.ask("POST", f"/webhooks/{made['id']}/disable")).granted(200)
        await state.measure()
        assert (state.disabled, state.groups, state.oldest_s) == (1, 0, 0.0), "nothing is due there"
