"""The auditor accepts a possible history, and finds the broken rule in each impossible one."""

from typing import Final

import pytest
from tests.proof.auditor import audit
from tests.proof.records import (
    Answered,
    Asked,
    Ended,
    FinalProduct,
    Goods,
    Healed,
    Held,
    Kind,
    Lost,
    Record,
    ReturnedUnits,
    Terms,
    Trouble,
)

EPOCH: Final = 1_795_000_000_000
CUP: Final = Goods("cup", 3, 2, 10_000, 1, None, None)
TERMS: Final = Terms((CUP,), EPOCH, 0)


class HistoryDraft:
    """A history that a test builds: requests that take 10 ms each, and the final state."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.left: dict[str, Held] = {}
        self.stocked = CUP.units
        self.books_balance = True
        self._number = 0

    def ask(
        self,
        at: float,
        kind: Kind,
        answer: str | None,
        *,
        user: str = "ann",
        of: str = "",
        units: int = 1,
        key: str | None = None,
        change: int = 0,
        held: Held | None = None,
        shown: int | None = None,
        instant: int | None = None,
        rules: tuple[tuple[str, int | None], ...] = (),
        took: float = 10.0,
    ) -> None:
        self._number += 1
        lines = (("cup", units),) if kind == "reserve" else ()
        self.records.append(Asked(at, self._number, "api", kind, user, lines, key, of, change, rules))
        if answer is not None:
            told = Answered(at + took, self._number, answer, held, units=shown, instant=instant)
            self.records.append(told)

    def lose(self, at: float) -> None:
        self.records.append(Lost(at, self._number))

    def granted(self, id_: str, at: float, **given: object) -> Held:
        """A reservation that was requested at `at`, and stays as it was granted."""
        held = a_hold(id_, at, **given)
        self.left[id_] = held
        self.ask(at, "reserve", "reserved", user=held.user, units=held.lines[0][1], key=held.key, held=held)
        return held

    def ends(self, id_: str, status: str, at: float, **given: object) -> Held:
        stamp = EPOCH + int(at)
        stamps = {"confirmed_at": stamp} if status == "CONFIRMED" else {"released_at": stamp}
        self.left[id_] = self.left[id_]._replace(status=status, **stamps, **given)  # type: ignore[arg-type]
        return self.left[id_]

    def rules_broken(self, available: int | None = None, terms: Terms = TERMS) -> set[str]:
        live = sum(held.lines[0][1] for held in self.left.values() if held.status in {"PENDING", "CONFIRMED"})
        product = FinalProduct("cup", self.stocked, self.stocked - live if available is None else available, 0)
        end = Ended(60_000, (product,), tuple(self.left.values()), self.books_balance)
        return {violation.rule for violation in audit([*self.records, Healed(20_000), end], terms)}


def a_hold(id_: str, at: float, **given: object) -> Held:
    created = EPOCH + int(at) + 5
    held = Held(id_, "ann", "PENDING", (("cup", 1),), created, created + 10_000, 10_000, 0, None, None, None)
    return held._replace(**given)  # type: ignore[arg-type]


@pytest.fixture
def draft() -> HistoryDraft:
    return HistoryDraft()


def test_an_ordinary_day_breaks_no_rule(draft: HistoryDraft) -> None:
    first = draft.granted("r1", 0, key="k")
    draft.ask(100, "reserve", "replayed", key="k", held=first)
    draft.ask(150, "reserve", "key-reused", key="k", units=2)
    draft.granted("r2", 200)
    draft.ask(300, "reserve", "limit-reached")
    draft.granted("r3", 400, user="ben")
    draft.ask(500, "reserve", "sold-out", user="cid")
    draft.ask(600, "confirm", "confirmed", of="r1", held=draft.ends("r1", "CONFIRMED", 605))
    draft.ask(700, "cancel", "released", of="r2", held=draft.ends("r2", "CANCELLED", 705))
    draft.ends("r3", "EXPIRED", 11_000)
    draft.ask(12_000, "confirm", "expired", user="ben", of="r3", instant=draft.left["r3"].expires_at)
    draft.ask(13_000, "restock", "restocked", user="admin", of="cup", key="d", change=2)
    draft.stocked = 5
    draft.ask(14_000, "stock", "stock", of="cup", shown=4)
    assert draft.rules_broken() == set()


def test_more_held_than_was_put_in(draft: HistoryDraft) -> None:
    for place, user in enumerate(("ann", "ben", "cid", "dan")):
        draft.granted(f"r{place}", 100 * place, user=user)
        draft.ends(f"r{place}", "CONFIRMED", 100 * place + 500)
        draft.ask(100 * place + 499, "confirm", "confirmed", user=user, of=f"r{place}", held=draft.left[f"r{place}"])
    assert "oversold" in draft.rules_broken()


def test_a_unit_leaked(draft: HistoryDraft) -> None:
    assert draft.rules_broken(available=2) == {"books"}


def test_the_shops_own_audit_fails(draft: HistoryDraft) -> None:
    draft.books_balance = False
    assert draft.rules_broken() == {"books"}


def test_a_granted_hold_is_gone(draft: HistoryDraft) -> None:
    draft.granted("r1", 0)
    del draft.left["r1"]
    assert "durable" in draft.rules_broken()


def test_a_granted_hold_is_not_found(draft: HistoryDraft) -> None:
    draft.granted("r1", 0)
    draft.ends("r1", "EXPIRED", 10_010)
    draft.ask(100, "confirm", "not-found", of="r1")
    assert draft.rules_broken() == {"durable"}


def test_a_hold_that_nobody_asked_for(draft: HistoryDraft) -> None:
    draft.left["r1"] = a_hold("r1", 0, status="EXPIRED", released_at=EPOCH + 10_010)
    assert draft.rules_broken() == {"asked for"}


@pytest.mark.parametrize(("kind", "status"), [("cancel", "CANCELLED"), ("confirm", "CONFIRMED")])
def test_a_hold_ends_though_its_customer_was_told_otherwise(draft: HistoryDraft, kind: Kind, status: str) -> None:
    draft.granted("r1", 0)
    draft.ask(1_000, kind, "unavailable", of="r1")
    draft.ends("r1", status, 1_005)
    assert draft.rules_broken() == {"asked for"}
    draft.ask(1_000, kind, "outcome-unknown", of="r1")
    assert draft.rules_broken() == set()


def test_a_customer_who_was_told_that_nothing_was_taken_has_a_hold(draft: HistoryDraft) -> None:
    draft.ask(0, "reserve", "unavailable")
    draft.left["r1"] = a_hold("r1", 0, status="EXPIRED", released_at=EPOCH + 10_010)
    assert draft.rules_broken() == {"asked for"}


@pytest.mark.parametrize("answer", ["outcome-unknown", None])
def test_a_customer_who_was_told_nothing_may_have_one_hold_but_not_two(draft: HistoryDraft, answer: str | None) -> None:
    draft.ask(0, "reserve", answer)
    if answer is None:
        draft.lose(10)
    draft.left["r1"] = a_hold("r1", 0, status="EXPIRED", released_at=EPOCH + 10_010)
    assert draft.rules_broken() == set()
    draft.left["r2"] = a_hold("r2", 0, status="EXPIRED", released_at=EPOCH + 10_010)
    assert draft.rules_broken() == {"asked for"}


def test_one_key_has_two_holds(draft: HistoryDraft) -> None:
    for id_ in ("r1", "r2"):
        draft.granted(id_, 0, key="k")
        draft.ends(id_, "EXPIRED", 10_010)
    assert "one a key" in draft.rules_broken()


@pytest.mark.parametrize("died", [False, True])
def test_a_refused_key_has_a_hold_by_a_message_of_a_process_that_died(draft: HistoryDraft, *, died: bool) -> None:
    draft.ask(0, "reserve", None, key="k", units=3)
    draft.lose(10)
    if died:  # otherwise the process may still carry it out
        draft.records.append(Trouble(10, 10, "crash-late", "api"))
    draft.ask(100, "reserve", "sold-out", key="k", units=3)
    draft.left["r1"] = a_hold("r1", 0, key="k", lines=(("cup", 3),), status="EXPIRED", released_at=EPOCH + 10_010)
    assert ("one a key" in draft.rules_broken()) is died


def test_a_key_may_be_refused_for_other_products_than_it_gets(draft: HistoryDraft) -> None:
    draft.ask(0, "reserve", None, key="k")
    draft.lose(10)
    draft.records.append(Trouble(10, 10, "crash-late", "api"))
    draft.records.append(Asked(100, 99, "api", "reserve", "ann", (("hat", 1),), "k"))
    draft.records.append(Answered(105, 99, "sold-out"))
    draft.left["r1"] = a_hold("r1", 0, key="k", status="EXPIRED", released_at=EPOCH + 10_010)
    assert draft.rules_broken() == set()


@pytest.mark.parametrize("died", [False, True])
def test_a_refused_restock_is_made_by_a_message_of_a_process_that_died(draft: HistoryDraft, *, died: bool) -> None:
    draft.ask(0, "restock", None, user="admin", of="cup", key="d", change=-2)
    draft.lose(10)
    if died:
        draft.records.append(Trouble(10, 10, "crash-late", "api"))
    draft.ask(100, "restock", "stock-taken", user="admin", of="cup", key="d", change=-2)
    draft.stocked = CUP.units - 2
    assert ("restock" in draft.rules_broken()) is died


def test_a_key_is_forgotten(draft: HistoryDraft) -> None:
    draft.granted("r1", 0, key="k", lines=(("cup", 2),))
    draft.ends("r1", "EXPIRED", 10_010)
    draft.ask(100, "reserve", "limit-reached", key="k", units=2)
    assert draft.rules_broken() == {"one a key"}


def test_the_limit_is_exceeded(draft: HistoryDraft) -> None:
    for place in range(3):
        draft.granted(f"r{place}", place)
        draft.ends(f"r{place}", "EXPIRED", 10_010)
    assert draft.rules_broken() == {"limit"}


def test_the_limit_is_said_to_be_reached_and_is_not(draft: HistoryDraft) -> None:
    draft.ask(0, "reserve", "limit-reached")
    assert draft.rules_broken() == {"limit"}


def test_two_ends_are_told(draft: HistoryDraft) -> None:
    draft.granted("r1", 0)
    released = draft.ends("r1", "CANCELLED", 105)
    draft.ask(100, "cancel", "released", of="r1", held=released)
    confirmed = released._replace(status="CONFIRMED", confirmed_at=EPOCH + 205, released_at=None)
    draft.ask(200, "confirm", "confirmed", of="r1", held=confirmed)
    assert draft.rules_broken() == {"one end"}


def test_a_hold_is_confirmed_after_its_time(draft: HistoryDraft) -> None:
    draft.granted("r1", 0)
    confirmed = draft.ends("r1", "CONFIRMED", 10_005)
    draft.ask(10_000, "confirm", "confirmed", of="r1", held=confirmed)
    assert draft.rules_broken() == {"time"}


def test_a_hold_is_released_before_its_time(draft: HistoryDraft) -> None:
    draft.granted("r1", 0)
    draft.ends("r1", "EXPIRED", 9_000)
    assert draft.rules_broken() == {"time"}


def test_a_hold_outlives_its_time(draft: HistoryDraft) -> None:
    draft.granted("r1", 0)
    draft.ends("r1", "EXPIRED", 13_000)
    assert draft.rules_broken() == {"prompt"}


def test_in_trouble_a_hold_may_outlive_its_time_a_little(draft: HistoryDraft) -> None:
    draft.records.append(Trouble(9_000, 9_500, "freeze", "worker"))
    draft.granted("r1", 0)
    draft.ends("r1", "EXPIRED", 13_000)
    assert draft.rules_broken() == set()


def test_a_hold_is_never_released(draft: HistoryDraft) -> None:
    draft.granted("r1", 0)
    assert draft.rules_broken() == {"rest"}


@pytest.mark.parametrize(("trouble", "broken"), [(False, {"sold out"}), (True, set())])
def test_sold_out_while_there_was_stock(draft: HistoryDraft, trouble: bool, broken: set[str]) -> None:  # noqa: FBT001
    if trouble:
        draft.records.append(Trouble(100, 200, "crash", "api"))
    draft.granted("r1", 0)
    draft.ends("r1", "EXPIRED", 10_010)
    draft.ask(500, "reserve", "sold-out", user="ben", units=2)
    assert draft.rules_broken() == broken


@pytest.mark.parametrize(("until", "broken"), [(501, set()), (200, {"sold out"})])
def test_sold_out_while_units_were_on_their_way_back(draft: HistoryDraft, until: float, broken: set[str]) -> None:
    draft.records.append(Trouble(100, until, "takeover", "worker", passing=True))
    draft.ask(500, "reserve", "sold-out", user="ben", key="k")
    assert draft.rules_broken() == broken


@pytest.mark.parametrize(("trouble", "broken"), [(False, {"limit"}), (True, set())])
def test_a_long_flush_counts_holds_that_lapsed_meanwhile(draft: HistoryDraft, trouble: bool, broken: set[str]) -> None:  # noqa: FBT001
    if trouble:
        draft.records.append(Trouble(9_000, 13_000, "slow", "api"))
    draft.granted("r1", 0)
    draft.ends("r1", "EXPIRED", 10_010)
    draft.granted("r2", 11_000)
    draft.ends("r2", "EXPIRED", 21_010)
    draft.ask(9_900, "reserve", "limit-reached", took=3_000)
    assert draft.rules_broken() == broken


@pytest.mark.parametrize("asked_at", [700, 1_200])
def test_only_an_election_makes_returned_units_count_against_the_limit(draft: HistoryDraft, asked_at: float) -> None:
    """The election lasts until 0.8 s, and then shows no state from before any more."""
    draft.granted("r1", 0, lines=(("cup", 2),))
    bought = draft.ends("r1", "CONFIRMED", 105)
    draft.ask(100, "confirm", "confirmed", of="r1", held=bought)
    draft.records.append(Trouble(250, 750, "election", "server"))
    back = bought._replace(returns=(ReturnedUnits(bought.lines, "g1"),))
    draft.left["r1"] = back
    draft.records.append(Asked(300, 100, "api", "return", "ann", bought.lines, "g1", "r1", 0, ()))
    draft.records.append(Answered(310, 100, "returned", back))
    draft.ask(asked_at, "reserve", "limit-reached", units=2)
    broken = draft.rules_broken(available=3, terms=TERMS._replace(stale_reads=True))
    assert broken == (set() if asked_at == 700 else {"limit"})


def test_sold_out_by_a_stock_view_of_a_moment_ago(draft: HistoryDraft) -> None:
    draft.granted("r1", 0, lines=(("cup", 2),), user="ben")
    draft.granted("r2", 0)
    draft.ask(100, "cancel", "released", user="ben", of="r1", held=draft.ends("r1", "CANCELLED", 105))
    draft.ends("r2", "EXPIRED", 10_010)
    draft.ask(300, "reserve", "sold-out", user="cid")
    assert draft.rules_broken() == set()
    draft.ask(4_000, "reserve", "sold-out", user="cid")
    assert draft.rules_broken() == {"sold out"}


def test_more_is_shown_than_there_can_be(draft: HistoryDraft) -> None:
    draft.granted("r1", 0)
    draft.ends("r1", "EXPIRED", 10_010)
    draft.ask(1_000, "stock", "stock", of="cup", shown=3)
    assert draft.rules_broken() == {"poll"}


def test_stock_is_put_in_twice(draft: HistoryDraft) -> None:
    draft.ask(0, "restock", "restocked", user="admin", of="cup", key="d", change=2)
    draft.stocked = 7
    assert draft.rules_broken() == {"restock"}


QUOTAS: Final = Terms((CUP._replace(units=9, limit=None),), EPOCH, 0, open_holds_max=2, holds_per_hour_max=3)
QUOTAS_OF_LAPSES: Final = QUOTAS._replace(lapses_per_hour_max=2)


@pytest.fixture
def fair(draft: HistoryDraft) -> HistoryDraft:
    """A history with enough stock for every customer."""
    draft.stocked = 9
    return draft


def lapses(draft: HistoryDraft, *ids: str) -> None:
    """Let the holds lapse, and sweep them."""
    for id_ in ids:
        draft.ends(id_, "EXPIRED", draft.left[id_].expires_at - EPOCH + 500)


def test_more_open_holds_than_the_quota(fair: HistoryDraft) -> None:
    for place in range(3):
        fair.granted(f"r{place}", 100 * place)
    lapses(fair, "r0", "r1", "r2")
    assert fair.rules_broken(terms=QUOTAS) == {"quota"}


@pytest.mark.parametrize(
    ("kind", "answer", "status"), [("confirm", "confirmed", "CONFIRMED"), ("cancel", "released", "CANCELLED")]
)
def test_a_hold_that_has_ended_is_open_no_more(fair: HistoryDraft, kind: Kind, answer: str, status: str) -> None:
    fair.granted("r0", 0)
    fair.granted("r1", 100)
    fair.ask(200, "reserve", "open-holds-reached")
    fair.ask(300, kind, answer, of="r0", held=fair.ends("r0", status, 305))
    fair.granted("r2", 400)
    lapses(fair, "r1", "r2")
    assert fair.rules_broken(terms=QUOTAS) == set()


@pytest.mark.parametrize("stale", [False, True])
def test_only_an_election_makes_an_ended_hold_look_open(fair: HistoryDraft, *, stale: bool) -> None:
    fair.granted("r0", 0)
    fair.granted("r1", 100)
    fair.ask(300, "confirm", "confirmed", of="r0", held=fair.ends("r0", "CONFIRMED", 305))
    fair.records.append(Trouble(320, 820, "election", "server"))
    fair.ask(400, "reserve", "open-holds-reached")
    lapses(fair, "r1")
    assert (fair.rules_broken(terms=QUOTAS._replace(stale_reads=stale)) == set()) is stale


def test_more_holds_in_an_hour_than_the_quota(fair: HistoryDraft) -> None:
    for place in range(4):
        at = 1_000 * place
        fair.granted(f"r{place}", at)
        ended = fair.ends(f"r{place}", "CANCELLED", at + 105)
        fair.ask(at + 100, "cancel", "released", of=f"r{place}", held=ended)
    assert fair.rules_broken(terms=QUOTAS) == {"quota"}


def test_a_hold_is_granted_after_too_many_lapsed(fair: HistoryDraft) -> None:
    for place in range(2):
        fair.granted(f"r{place}", 100 * place)
    lapses(fair, "r0", "r1")
    fair.ask(11_000, "reserve", "lapses-reached")
    assert fair.rules_broken(terms=QUOTAS_OF_LAPSES) == set()
    fair.granted("r2", 12_000)
    lapses(fair, "r2")
    assert fair.rules_broken(terms=QUOTAS_OF_LAPSES) == {"quota"}


@pytest.mark.parametrize("answer", ["open-holds-reached", "hourly-holds-reached", "lapses-reached"])
def test_a_quota_is_said_to_be_reached_and_is_not(fair: HistoryDraft, answer: str) -> None:
    fair.granted("r0", 0)
    fair.ask(5_000, "reserve", answer)
    lapses(fair, "r0")
    assert fair.rules_broken(terms=QUOTAS_OF_LAPSES) == {"quota"}


def test_a_customer_who_bought_is_told_to_have_let_too_many_lapse(fair: HistoryDraft) -> None:
    fair.granted("r0", 0)
    fair.granted("r1", 100)
    fair.ask(200, "confirm", "confirmed", of="r1", held=fair.ends("r1", "CONFIRMED", 205))
    lapses(fair, "r0")
    fair.ask(12_000, "reserve", "lapses-reached")
    assert fair.rules_broken(terms=QUOTAS_OF_LAPSES) == {"quota"}


def test_a_limit_appears_after_the_first_reservation(draft: HistoryDraft) -> None:
    draft.granted("r1", 0)
    draft.ends("r1", "EXPIRED", 10_010)
    draft.ask(100, "edit", "edited", user="admin", of="cup", rules=(("limit", 1),))
    assert draft.rules_broken() == {"limit"}


def test_an_extension_that_nobody_asked_for_is_told(draft: HistoryDraft) -> None:
    held = draft.granted("r1", 0)
    draft.left["r1"] = held._replace(extensions=1, expires_at=held.expires_at + 500)
    draft.ends("r1", "EXPIRED", 10_600)
    assert draft.rules_broken() == {"extensions"}


def tells_extensions(draft: HistoryDraft, *tellings: tuple[float, int, int]) -> None:
    """Requests answered with an extension: the time of each, the extension's number, and the time that it adds."""
    held = draft.granted("r1", 0)
    for at, number, by in tellings:
        draft.left["r1"] = held._replace(extensions=number, expires_at=held.expires_at + by)
        draft.ask(at, "extend", "extended", of="r1", held=draft.left["r1"])
    draft.ends("r1", "EXPIRED", 10_700)


TWO_EXTENSIONS: Final = Terms((CUP._replace(extensions_max=2),), EPOCH, 0)


def test_two_requests_at_once_are_told_of_one_extension(draft: HistoryDraft) -> None:
    tells_extensions(draft, (500, 1, 505), (505, 1, 505))
    assert draft.rules_broken(terms=TWO_EXTENSIONS) == set()


def test_one_extension_is_told_to_one_request_after_the_other(draft: HistoryDraft) -> None:
    tells_extensions(draft, (500, 1, 505), (511, 1, 505))
    assert draft.rules_broken(terms=TWO_EXTENSIONS) == {"extensions"}


def test_two_requests_at_once_are_told_of_one_extension_with_different_times(draft: HistoryDraft) -> None:
    tells_extensions(draft, (500, 1, 505), (505, 1, 506))
    assert draft.rules_broken(terms=TWO_EXTENSIONS) == {"extensions"}


def test_an_extension_is_told_that_extended_nothing(draft: HistoryDraft) -> None:
    tells_extensions(draft, (500, 0, 0))
    assert draft.rules_broken(terms=TWO_EXTENSIONS) == {"extensions"}


def test_a_second_extension_moves_nothing(draft: HistoryDraft) -> None:
    tells_extensions(draft, (500, 1, 505), (520, 2, 505))
    assert draft.rules_broken(terms=TWO_EXTENSIONS) == {"extensions"}


def test_an_answer_takes_too_long_or_never_comes(draft: HistoryDraft) -> None:
    draft.ask(0, "reserve", "unavailable", took=6_000)
    assert draft.rules_broken() == {"answered"}
    draft.ask(7_000, "reserve", None)
    assert draft.rules_broken() == {"answered"}


def test_a_service_that_fails_by_its_own_fault(draft: HistoryDraft) -> None:
    draft.ask(0, "reserve", "failed")
    assert draft.rules_broken() == {"answers"}


def test_with_clocks_far_apart_only_stock_counts(draft: HistoryDraft) -> None:
    far = TERMS._replace(skew_ms=40_000, stock_only=True)
    draft.granted("r1", 0)
    draft.ends("r1", "EXPIRED", 30_000)
    draft.ask(500, "reserve", "sold-out", user="ben")
    assert draft.rules_broken(terms=far) == set()
    assert draft.rules_broken(available=0, terms=far) == {"books"}
