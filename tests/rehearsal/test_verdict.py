"""Each count of the verdict, on evidence made by hand: it stays 0 for a correct shop, and counts each fault."""

from typing import Any

import pytest

from flashreserve.core.model import Status
from flashreserve.rehearsal.messages import Action, ExchangeOutcome, ShopExchange
from flashreserve.rehearsal.server import subject_of
from flashreserve.rehearsal.tally import Tally, percentile
from flashreserve.rehearsal.verdict import BookedReservation, Evidence, Judgement, ProductBooks, judge


def exchange(action: Action, customer: int, **other: Any) -> ShopExchange:
    done_ms = other.pop("done_ms", 10)
    facts = {"product": 0, "key": f"k{customer}", "due_ms": 0, "sent_ms": done_ms - 10, "outcome": ExchangeOutcome.DONE}
    return ShopExchange(
        **{"action": action, "customer": customer, "done_ms": done_ms, "tries": ("201",), **facts, **other}
    )


def granted(customer: int, id_: str, *, held_ms: int = 1_000, **other: Any) -> ShopExchange:
    return exchange(Action.RESERVE, customer, reservation_id=id_, held_ms=held_ms, **other)


def confirmed(customer: int, id_: str, **other: Any) -> ShopExchange:
    return exchange(Action.CONFIRM, customer, reservation_id=id_, tries=("200",), **other)


def cancelled(customer: int, id_: str, **other: Any) -> ShopExchange:
    return exchange(Action.CANCEL, customer, reservation_id=id_, tries=("200",), **other)


def judged(
    *exchanges: ShopExchange,
    entries: dict[str, Status],
    units: int = 2,
    available: int | None = None,
    owners: dict[str, str] | None = None,
    read_ms: float = 500,
) -> Judgement:
    """The judgement on one product; by default, its books add up."""
    found = tuple(BookedReservation(id_, (owners or {}).get(id_, id_), status, 1) for id_, status in entries.items())
    live = sum(status in {Status.PENDING, Status.CONFIRMED} for status in entries.values())
    books = ProductBooks("p", units, max(0, units - live) if available is None else available, found, read_ms)
    subjects = tuple(f"user{n}" for n in range(10))
    return judge(Evidence(units=(units,), exchanges=exchanges, subjects=subjects, books=(books,)))


def counts(judgement: Judgement) -> tuple[int, int, int, int]:
    return judgement.oversold, judgement.leaked, judgement.double_grants, judgement.errors


def test_a_clean_sale_is_clean() -> None:
    judgement = judged(
        granted(0, "a"),
        granted(1, "b"),
        confirmed(0, "a", done_ms=100),
        cancelled(1, "b", done_ms=200),
        granted(2, "c", done_ms=300),
        entries={"a": Status.CONFIRMED, "b": Status.CANCELLED, "c": Status.PENDING},
    )
    assert counts(judgement) == (0, 0, 0, 0)
    assert judgement.findings == ()
    assert judgement.unexpected == {}


def test_a_unit_sold_again_after_its_hold_was_over_is_not_oversold() -> None:
    entries = {"a": Status.EXPIRED, "b": Status.PENDING}
    later = granted(1, "b", done_ms=1_000)
    assert judged(granted(0, "a"), later, entries=entries, units=1, read_ms=1_100).oversold == 0
    too_early = granted(1, "b", done_ms=999)
    assert judged(granted(0, "a"), too_early, entries=entries, units=1, read_ms=1_100).oversold == 1


def test_a_unit_sold_again_after_its_cancellation_was_sent_is_not_oversold() -> None:
    entries = {"a": Status.CANCELLED, "b": Status.PENDING}
    exchanges = [granted(0, "a"), cancelled(0, "a", done_ms=200)]
    assert judged(*exchanges, granted(1, "b", done_ms=195), entries=entries, units=1).oversold == 0
    assert judged(*exchanges, granted(1, "b", done_ms=185), entries=entries, units=1).oversold == 1


def test_a_unit_that_was_bought_stays_bought() -> None:
    entries = {"a": Status.CONFIRMED, "b": Status.PENDING}
    exchanges = [granted(0, "a"), confirmed(0, "a"), granted(1, "b", done_ms=90_000)]
    judgement = judged(*exchanges, entries=entries, units=1, available=0)
    assert counts(judgement) == (1, 0, 0, 0)


def test_a_hold_counts_from_the_first_try_of_its_key() -> None:
    # The first try was lost at 0 s and may have made the hold then, so the hold may end 1 s later.
    lost = exchange(Action.RESERVE, 0, outcome=ExchangeOutcome.UNANSWERED, tries=("timed out",))
    late_answer = granted(0, "a", done_ms=900)
    entries = {"a": Status.EXPIRED, "b": Status.PENDING}
    evidence = [lost, late_answer, granted(1, "b", done_ms=1_000)]
    assert judged(*evidence, entries=entries, units=1, read_ms=1_100).oversold == 0


def test_more_live_in_the_books_than_units_is_oversold_even_if_nobody_saw_it() -> None:
    entries = {"a": Status.PENDING, "b": Status.CONFIRMED}
    assert counts(judged(granted(0, "a"), entries=entries, units=1)) == (1, 0, 0, 0)


@pytest.mark.parametrize("available", [0, 2])
def test_books_that_do_not_add_up_are_a_leak(available: int) -> None:
    assert counts(judged(granted(0, "a"), entries={"a": Status.PENDING}, available=available)) == (0, 1, 0, 0)


@pytest.mark.parametrize(
    ("status", "then"),
    [
        (None, []),
        (Status.PENDING, [confirmed(0, "a")]),
        (Status.EXPIRED, [confirmed(0, "a")]),
        (Status.PENDING, [cancelled(0, "a")]),
        (Status.CANCELLED, []),
        (Status.EXPIRED, []),
    ],
)
def test_a_promise_that_the_books_do_not_keep_is_a_leak(status: Status | None, then: list[ShopExchange]) -> None:
    judgement = judged(granted(0, "a"), *then, entries={} if status is None else {"a": status})
    assert counts(judgement) == (0, 1, 0, 0)
    assert len(judgement.findings) == 1


def test_two_reservations_seen_by_one_key_are_a_double_grant() -> None:
    entries = {"a": Status.PENDING, "b": Status.PENDING}
    owners = {"a": "user0", "b": "user0"}
    judgement = judged(granted(0, "a"), granted(0, "b"), entries=entries, owners=owners)
    assert counts(judgement) == (0, 0, 1, 0)


def test_a_second_reservation_that_only_the_books_show_is_a_double_grant() -> None:
    entries = {"a": Status.PENDING, "b": Status.EXPIRED}
    owners = {"a": "user0", "b": "user0"}
    assert counts(judged(granted(0, "a"), entries=entries, owners=owners)) == (0, 0, 1, 0)


def test_a_customer_who_comes_again_by_another_key_is_no_double_grant() -> None:
    entries = {"a": Status.EXPIRED, "b": Status.PENDING}
    owners = {"a": "user0", "b": "user0"}
    again = granted(0, "b", key="another", done_ms=1_500)
    assert counts(judged(granted(0, "a"), again, entries=entries, owners=owners, read_ms=1_600)) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("tries", "outcome", "errors"),
    [
        (("503 and Retry-After", "409"), ExchangeOutcome.REFUSED, 0),
        (("429", "409"), ExchangeOutcome.REFUSED, 0),
        (("timed out", "connection lost", "409"), ExchangeOutcome.REFUSED, 0),
        (("503", "409"), ExchangeOutcome.REFUSED, 1),
        (("500",), ExchangeOutcome.FAILED, 1),
        (("502 and Retry-After",), ExchangeOutcome.FAILED, 1),
        (("unreadable answer",), ExchangeOutcome.FAILED, 1),
        (("timed out", "timed out"), ExchangeOutcome.UNANSWERED, 1),
        (("503 and Retry-After", "503 and Retry-After"), ExchangeOutcome.UNANSWERED, 1),
    ],
)
def test_what_is_an_error(tries: tuple[str, ...], outcome: ExchangeOutcome, errors: int) -> None:
    other = exchange(Action.RESERVE, 1, tries=tries, outcome=outcome)
    assert judged(granted(0, "a"), other, entries={"a": Status.PENDING}).errors == errors


def test_a_customer_who_is_never_answered_counts_once() -> None:
    lost = [exchange(Action.RESERVE, 1, tries=("timed out",), outcome=ExchangeOutcome.UNANSWERED)] * 2
    assert judged(granted(0, "a"), *lost, entries={"a": Status.PENDING}).errors == 1


def test_refusals_that_break_a_promise_are_unexpected() -> None:
    refused = {"outcome": ExchangeOutcome.REFUSED, "tries": ("410",)}
    judgement = judged(
        granted(0, "a"),
        exchange(Action.CONFIRM, 0, reservation_id="a", done_ms=900, **refused),
        exchange(Action.RESERVE, 0, done_ms=950, **refused),
        exchange(Action.RESERVE, 1, outcome=ExchangeOutcome.UNEXPECTED, tries=("422",), code="key-reused"),
        entries={"a": Status.PENDING},
    )
    assert judgement.unexpected == {
        "confirm refused before the hold was over": 1,
        "the same key refused after it was granted": 1,
        "reserve 422 key-reused": 1,
    }


def test_a_confirmation_refused_after_the_hold_was_over_is_expected() -> None:
    late = exchange(
        Action.CONFIRM, 0, reservation_id="a", done_ms=1_001, outcome=ExchangeOutcome.REFUSED, tries=("410",)
    )
    judgement = judged(granted(0, "a"), late, entries={"a": Status.EXPIRED}, read_ms=2_000)
    assert counts(judgement) == (0, 0, 0, 0)
    assert judgement.unexpected == {}


def test_latency_counts_from_the_moment_a_request_was_due() -> None:
    tally = Tally()
    tally.add(granted(n, str(n), due_ms=0, sent_ms=500, done_ms=1_000 + n) for n in range(100))
    tally.add([confirmed(0, "0", due_ms=0, done_ms=9_000)])
    latency = tally.latency()
    assert (latency.p50, latency.p99, latency.max) == (1_049, 1_098, 1_099)


def test_percentiles_are_values_that_occurred() -> None:
    assert percentile([], 0.5) == 0
    assert percentile([7], 0.99) == 7
    assert percentile([1, 2, 3, 4], 0.5) == 2
    assert percentile([1, 2, 3, 4], 1) == 4


def test_a_tokens_user_is_read_without_its_key() -> None:
    assert subject_of("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhYmMifQ.c2ln") == "abc"
    assert [subject_of(text) for text in ("", "opaque", "a.b.c", "a.!!!.c", "a.e30.c")] == [None] * 5
