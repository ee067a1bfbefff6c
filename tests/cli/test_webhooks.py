"""`flashreserve webhooks` and `flashreserve deliver`, with a receiver in a process of its own."""

import re
from typing import Any, Final

import pytest
from tests.cli.conftest import CommandShop, EndedCommand
from tests.webhooks.conftest import MakeReceiver, make_receiver
from tests.webhooks.receiver import ReceiverPlan

from flashreserve.cli.attempt_words import said_of
from flashreserve.core import limits
from flashreserve.webhooks.attempts import AttemptError, DeliveryAttempt

__all__ = ["make_receiver"]

LOOPBACK: Final = {"FLASHRESERVE_WEBHOOK_NETWORKS": "127.0.0.1"}
ABSENT: Final = "0199f3a2-7c10-7d63-9e4f-6b8d0f2a4c99"


def run(shop: CommandShop, *args: str) -> EndedCommand:
    return shop.run("webhooks", *args, **LOOPBACK)


def add(shop: CommandShop, url: str, *types: str) -> tuple[str, str]:
    """A new endpoint's id and secret."""
    ended = run(shop, "add", url, *(word for type_ in types for word in ("--event", type_)))
    found = re.fullmatch(r"Added (\S+)\. Events are delivered to it from now on\.\nSecret: (whsec_\S+)\n", ended.out)
    assert found is not None, ended
    return found[1], found[2]


def shown(shop: CommandShop, id_: str) -> dict[str, str]:
    ended = run(shop, "show", id_)
    assert ended.code == 0, ended.err
    return {name: value for name, _, value in (line.partition(" ") for line in ended.out.splitlines())}


def deliver(shop: CommandShop) -> str:
    ended = shop.run("deliver", **LOOPBACK)
    assert ended.code == 0, ended.err
    return ended.out


def pause_and_resume(shop: CommandShop) -> None:
    """Make two events of the type product.paused and product.resumed for each product."""
    for command in (("pause", "--all", "--reason", "a fault"), ("resume", "--all")):
        assert shop.run(*command).code == 0


def test_events_are_delivered_once_by_a_command(shop: CommandShop, make_receiver: MakeReceiver) -> None:
    product, receiver = shop.stock(), make_receiver()
    id_, secret = add(shop, receiver.url, "product.resumed", "product.paused")
    receiver.take(ReceiverPlan(secrets=(secret,)))
    pause_and_resume(shop)

    assert deliver(shop) == "Delivered 2 events.\n"
    assert deliver(shop) == "Delivered 0 events.\n"
    receipts = receiver.receipts()
    assert [(each.subject, each.sequence, each.verified) for each in receipts] == [(product, 2, 0), (product, 3, 0)]
    rows = [line.split() for line in run(shop, "deliveries", id_, "--limit", "1").out.splitlines()]
    assert rows[0] == ["TIME", "EVENT", "TRY", "STATUS", "MS", "RESULT", "ERROR"]
    assert [(row[1], row[2], row[3], *row[5:]) for row in rows[1:]] == [(f"{product}-3", "1", "204", "delivered", "-")]
    assert run(shop, "resend", id_, f"{product}-2").out.startswith("A running server sends")
    assert deliver(shop) == "Delivered 1 event.\n"
    assert receiver.receipts()[2].sha256 == receipts[0].sha256


def test_the_list_and_the_page_of_an_endpoint_say_how_it_is(shop: CommandShop, make_receiver: MakeReceiver) -> None:
    shop.stock()
    failing, _ = add(shop, make_receiver(ReceiverPlan(status=500)).url, "product.paused")
    gone, _ = add(shop, make_receiver(ReceiverPlan(status=410)).url, "product.paused")
    disabled, secret = add(shop, "https://shop.example/hooks?token=1")
    assert run(shop, "disable", disabled).out == f"Disabled {disabled}.\n"
    good, _ = add(shop, "https://shop.example/other", "product.edited")
    pause_and_resume(shop)
    assert deliver(shop) == "Delivered 0 events.\n"

    listed = run(shop, "list").out
    rows = {words[0]: words[1:] for words in map(str.split, listed.splitlines()[1:])}
    assert {id_: row[0] for id_, row in rows.items()} == {
        failing: "failing", gone: "disabled", disabled: "disabled", good: "good"
    }  # fmt: skip
    assert rows[good] == ["good", "-", "product.edited", "https://shop.example/other"]
    assert rows[disabled][2:] == ["*", "https://shop.example/hooks?token=1"]
    assert secret not in listed
    assert "1 failure since 20" in shown(shop, failing)["state"]
    assert shown(shop, failing)["backlog"].strip().startswith("1 subject with events to deliver, due ")
    assert shown(shop, gone)["state"].endswith(": it answered 410")
    assert shown(shop, disabled)["state"].endswith(": by an admin")
    assert shown(shop, good)["state"].strip() == "good"
    assert shown(shop, good)["created"].endswith(" by command line")


def test_an_endpoint_is_enabled_with_a_replay_rotated_and_removed(
    shop: CommandShop, make_receiver: MakeReceiver
) -> None:
    shop.stock()
    receiver = make_receiver()
    id_, old = add(shop, receiver.url, "product.paused")
    run(shop, "disable", id_)
    pause_and_resume(shop)
    assert deliver(shop) == "Delivered 0 events.\n"

    enabled = run(shop, "enable", id_.upper(), "--replay-from", "2026-01-01T00:00:00Z")
    assert enabled.out == f"Enabled {id_}. Events since 2026-01-01T00:00:00.000Z are delivered.\n"
    rotated = run(shop, "rotate", id_)
    found = re.match(r"Secret: (whsec_\S+)\nThe old secret signs too until \S+\.\n", rotated.out)
    assert found is not None, rotated
    receiver.take(ReceiverPlan(secrets=(found[1],)))
    assert deliver(shop) == "Delivered 1 event.\n"
    receiver.take(ReceiverPlan(secrets=(old,)))
    assert run(shop, "test", id_).code == 0
    assert [each.verified for each in receiver.receipts()] == [0, 0]

    assert run(shop, "remove", id_).out == f"Removed {id_}.\n"
    assert len(run(shop, "list").out.splitlines()) == 1
    assert run(shop, "enable", id_).code == 1


def test_an_endpoint_is_edited_in_what_is_named(shop: CommandShop, make_receiver: MakeReceiver) -> None:
    shop.stock()
    old, new = make_receiver(), make_receiver()
    id_, secret = add(shop, old.url, "product.paused")
    pause_and_resume(shop)

    moved = run(shop, "edit", id_.upper(), "--url", new.url)
    new.take(ReceiverPlan(secrets=(secret,)))
    assert deliver(shop) == "Delivered 1 event.\n"
    widened = run(shop, "edit", id_, "--event", "product.resumed", "--event", "product.paused")
    pause_and_resume(shop)
    assert deliver(shop) == "Delivered 2 events.\n"
    everything = run(shop, "edit", id_, "--event", "*")

    assert moved.out == f"Changed {id_}. It gets product.paused at {new.url}\n"
    assert widened.out == f"Changed {id_}. It gets product.paused, product.resumed at {new.url}\n"
    assert everything.out == f"Changed {id_}. It gets * at {new.url}\n"
    assert [each.verified for each in new.receipts()] == [0, 0, 0]
    assert old.receipts() == []
    nothing, bad = run(shop, "edit", id_), run(shop, "edit", id_, "--url", "http://10.0.0.1/", "--event", "*")
    assert (nothing.code, bad.code) == (2, 2)
    assert "name what to change: --url, --event or both" in nothing.err
    assert "--url: expected a public address" in bad.err
    assert shown(shop, id_)["url"].strip() == new.url


def test_a_test_says_what_went_wrong_and_what_to_do(shop: CommandShop, make_receiver: MakeReceiver) -> None:
    shop.stock()
    receiver = make_receiver()
    id_, _ = add(shop, receiver.url)

    fine = run(shop, "test", id_)
    receiver.take(ReceiverPlan(status=401))
    refused = run(shop, "test", id_)
    not_allowed = shop.run("webhooks", "test", id_)
    receiver.stop()
    away = run(shop, "test", id_)

    assert (fine.code, fine.err) == (0, "")
    assert re.fullmatch(r"Delivered: the endpoint answered 204 after \d+ ms\.\n", fine.out)
    assert {each.code for each in (refused, not_allowed, away)} == {1}
    assert "answered 401, expected 2xx; see whether the receiver verifies" in refused.err
    assert "FLASHRESERVE_WEBHOOK_NETWORKS" in not_allowed.err
    assert "start the receiver" in away.err


@pytest.mark.parametrize("error", AttemptError)
def test_each_error_has_a_sentence_with_advice(error: AttemptError) -> None:
    said = said_of(DeliveryAttempt(302 if error is AttemptError.REDIRECT else 503, 10, error))

    assert re.fullmatch(r"not delivered: [^;]+; .+[^.]", said), said
    assert said not in {said_of(DeliveryAttempt(503, 10, other)) for other in AttemptError if other is not error}


def test_a_missing_key_is_told(shop: CommandShop, make_receiver: MakeReceiver) -> None:
    shop.stock()
    keys: dict[str, Any] = {"FLASHRESERVE_SECRET_KEYS": "first:a-key-of-the-command-tests-of-32-letters"}
    receiver = make_receiver()
    added = shop.run("webhooks", "add", receiver.url, **LOOPBACK, **keys)
    id_ = added.out.split()[1].rstrip(".")

    ended = run(shop, "test", id_)
    assert (ended.code, ended.out) == (1, "")
    assert "the key first that signed for it is gone; rotate its secret" in ended.err


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("add", "http://10.0.0.1/"), 2, "URL: expected a public address"),
        (("add", "shop.example"), 2, "URL: expected a URL such as https://"),
        (
            ("add", "https://shop.example", "--event", "product.stock"),
            2,
            "--event: unknown type of event; did you mean",
        ),
        (("add", "https://shop.example", "--event", "endpoint.tested"), 2, "--event: unknown type of event"),
        (("edit", ABSENT, "--event", "product.stock"), 2, "--event: unknown type of event; did you mean"),
        (("edit", ABSENT, "--event", "*"), 1, "ID: there is no such endpoint"),
        (("show", "x"), 2, "expected a UUID"),
        (("show", ABSENT), 1, "ID: there is no such endpoint; `flashreserve webhooks list` shows all"),
        (("enable", ABSENT, "--replay-from", "yesterday"), 2, "--replay-from"),
        (("enable", ABSENT, "--replay-from", "2026"), 2, "--replay-from"),
        (("resend", ABSENT, "1"), 2, "EVENT_ID"),
        (("resend", ABSENT, f"{ABSENT}-1"), 1, "ID: there is no such endpoint"),
    ],
)
def test_bad_input_is_told_in_a_sentence(shop: CommandShop, args: tuple[str, ...], code: int, said: str) -> None:
    shop.stock()
    ended = run(shop, *args)
    assert ended.code == code, ended.err
    assert said in ended.err
    assert ended.out == ""


def test_an_event_that_the_log_lacks_or_the_endpoint_does_not_get_is_not_sent(shop: CommandShop) -> None:
    product = shop.stock()
    id_, _ = add(shop, "https://shop.example", "product.paused")
    lacking, unwanted = run(shop, "resend", id_, f"{product}-9"), run(shop, "resend", id_, f"{product}-1")
    assert (lacking.code, unwanted.code) == (1, 2)
    assert "the log has no such event" in lacking.err
    assert "product.created isn't among its types" in unwanted.err
    replayed = run(shop, "enable", id_, "--replay-from", "2026-01-01T00:00:00Z")
    assert replayed.code == 2
    assert "expected a disabled endpoint" in replayed.err


def test_there_are_at_most_so_many(shop: CommandShop) -> None:
    shop.stock()
    for number in range(limits.ENDPOINTS_MAX):
        add(shop, f"https://shop.example/{number}")
    ended = run(shop, "add", "https://shop.example/")
    assert ended.code == 1
    assert "there are 20 endpoints" in ended.err
