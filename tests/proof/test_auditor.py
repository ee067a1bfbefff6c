"""The auditor finds nothing wrong with a history that could be, and what is wrong with each that couldn't."""

from typing import Final

import pytest
from tests.proof.auditor import audit
from tests.proof.records import Answered, Asked, Ended, Goods, Healed, Held, Kind, Left, Lost, Record, Terms, Trouble

EPOCH: Final = 1_795_000_000_000
CUP: Final = Goods("cup", 3, 2, 10_000, 1, None, None)
TERMS: Final = Terms((CUP,), EPOCH, 0)


class Tale:
    """A history in the making: requests that take 10 ms each, and what is left at the end."""

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
        """A reservation that was asked for at `at`, and is left as it was granted."""
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
        product = Left("cup", self.stocked, self.stocked - live if available is None else available, 0)
        end = Ended(60_000, (product,), tuple(self.left.values()), self.books_balance)
        return {violation.rule for violation in audit([*self.records, Healed(20_000), end], terms)}


def a_hold(id_: str, at: float, **given: object) -> Held:
    created = EPOCH + int(at) + 5
    held = Held(id_, "ann", "PENDING", (("cup", 1),), created, created + 10_000, 10_000, 0, None, None, None)
    return held._replace(**given)  # type: ignore[arg-type]


@pytest.fixture
def tale() -> Tale:
    return Tale()


def test_an_ordinary_day_breaks_no_rule(tale: Tale) -> None:
    first = tale.granted("r1", 0, key="k")
    tale.ask(100, "reserve", "replayed", key="k", held=first)
    tale.ask(150, "reserve", "key-reused", key="k", units=2)
    tale.granted("r2", 200)
    tale.ask(300, "reserve", "limit-reached")
    tale.granted("r3", 400, user="ben")
    tale.ask(500, "reserve", "sold-out", user="cid")
    tale.ask(600, "confirm", "confirmed", of="r1", held=tale.ends("r1", "CONFIRMED", 605))
    tale.ask(700, "cancel", "released", of="r2", held=tale.ends("r2", "CANCELLED", 705))
    tale.ends("r3", "EXPIRED", 11_000)
    tale.ask(12_000, "confirm", "expired", user="ben", of="r3", instant=tale.left["r3"].expires_at)
    tale.ask(13_000, "restock", "restocked", user="admin", of="cup", key="d", change=2)
    tale.stocked = 5
    tale.ask(14_000, "stock", "stock", of="cup", shown=4)
    assert tale.rules_broken() == set()


def test_more_held_than_was_put_in(tale: Tale) -> None:
    for place, user in enumerate(("ann", "ben", "cid", "dan")):
        tale.granted(f"r{place}", 100 * place, user=user)
        tale.ends(f"r{place}", "CONFIRMED", 100 * place + 500)
        tale.ask(100 * place + 499, "confirm", "confirmed", user=user, of=f"r{place}", held=tale.left[f"r{place}"])
    assert "oversold" in tale.rules_broken()


def test_a_unit_leaked(tale: Tale) -> None:
    assert tale.rules_broken(available=2) == {"books"}


def test_the_shops_own_audit_fails(tale: Tale) -> None:
    tale.books_balance = False
    assert tale.rules_broken() == {"books"}


def test_what_was_granted_is_gone(tale: Tale) -> None:
    tale.granted("r1", 0)
    del tale.left["r1"]
    assert "durable" in tale.rules_broken()


def test_what_was_granted_is_not_found(tale: Tale) -> None:
    tale.granted("r1", 0)
    tale.ends("r1", "EXPIRED", 10_010)
    tale.ask(100, "confirm", "not-found", of="r1")
    assert tale.rules_broken() == {"durable"}


def test_nobody_asked_for_it(tale: Tale) -> None:
    tale.left["r1"] = a_hold("r1", 0, status="EXPIRED", released_at=EPOCH + 10_010)
    assert tale.rules_broken() == {"asked for"}


@pytest.mark.parametrize(("kind", "status"), [("cancel", "CANCELLED"), ("confirm", "CONFIRMED")])
def test_who_was_told_that_nothing_was_done_finds_it_done(tale: Tale, kind: Kind, status: str) -> None:
    tale.granted("r1", 0)
    tale.ask(1_000, kind, "unavailable", of="r1")
    tale.ends("r1", status, 1_005)
    assert tale.rules_broken() == {"asked for"}
    tale.ask(1_000, kind, "outcome-unknown", of="r1")
    assert tale.rules_broken() == set()


def test_who_was_told_that_nothing_was_taken_has_a_hold(tale: Tale) -> None:
    tale.ask(0, "reserve", "unavailable")
    tale.left["r1"] = a_hold("r1", 0, status="EXPIRED", released_at=EPOCH + 10_010)
    assert tale.rules_broken() == {"asked for"}


@pytest.mark.parametrize("answer", ["outcome-unknown", None])
def test_who_was_told_nothing_may_have_one_hold_but_not_two(tale: Tale, answer: str | None) -> None:
    tale.ask(0, "reserve", answer)
    if answer is None:
        tale.lose(10)
    tale.left["r1"] = a_hold("r1", 0, status="EXPIRED", released_at=EPOCH + 10_010)
    assert tale.rules_broken() == set()
    tale.left["r2"] = a_hold("r2", 0, status="EXPIRED", released_at=EPOCH + 10_010)
    assert tale.rules_broken() == {"asked for"}


def test_one_key_has_two_holds(tale: Tale) -> None:
    for id_ in ("r1", "r2"):
        tale.granted(id_, 0, key="k")
        tale.ends(id_, "EXPIRED", 10_010)
    assert "one a key" in tale.rules_broken()


@pytest.mark.parametrize("died", [False, True])
def test_a_refused_key_has_a_hold_by_what_a_process_had_sent_before_it_died(tale: Tale, *, died: bool) -> None:
    tale.ask(0, "reserve", None, key="k", units=3)
    tale.lose(10)
    if died:  # else the process may still be at it
        tale.records.append(Trouble(10, 10, "crash-late", "api"))
    tale.ask(100, "reserve", "sold-out", key="k", units=3)
    tale.left["r1"] = a_hold("r1", 0, key="k", lines=(("cup", 3),), status="EXPIRED", released_at=EPOCH + 10_010)
    assert ("one a key" in tale.rules_broken()) is died


def test_a_key_may_be_refused_for_other_products_than_it_gets(tale: Tale) -> None:
    tale.ask(0, "reserve", None, key="k")
    tale.lose(10)
    tale.records.append(Trouble(10, 10, "crash-late", "api"))
    tale.records.append(Asked(100, 99, "api", "reserve", "ann", (("hat", 1),), "k"))
    tale.records.append(Answered(105, 99, "sold-out"))
    tale.left["r1"] = a_hold("r1", 0, key="k", status="EXPIRED", released_at=EPOCH + 10_010)
    assert tale.rules_broken() == set()


@pytest.mark.parametrize("died", [False, True])
def test_a_refused_restock_is_made_by_what_a_process_had_sent_before_it_died(tale: Tale, *, died: bool) -> None:
    tale.ask(0, "restock", None, user="admin", of="cup", key="d", change=-2)
    tale.lose(10)
    if died:
        tale.records.append(Trouble(10, 10, "crash-late", "api"))
    tale.ask(100, "restock", "stock-taken", user="admin", of="cup", key="d", change=-2)
    tale.stocked = CUP.units - 2
    assert ("restock" in tale.rules_broken()) is died


def test_a_key_is_forgotten(tale: Tale) -> None:
    tale.granted("r1", 0, key="k", lines=(("cup", 2),))
    tale.ends("r1", "EXPIRED", 10_010)
    tale.ask(100, "reserve", "limit-reached", key="k", units=2)
    assert tale.rules_broken() == {"one a key"}


def test_the_limit_is_exceeded(tale: Tale) -> None:
    for place in range(3):
        tale.granted(f"r{place}", place)
        tale.ends(f"r{place}", "EXPIRED", 10_010)
    assert tale.rules_broken() == {"limit"}


def test_the_limit_is_said_to_be_reached_and_is_not(tale: Tale) -> None:
    tale.ask(0, "reserve", "limit-reached")
    assert tale.rules_broken() == {"limit"}


def test_two_ends_are_told(tale: Tale) -> None:
    tale.granted("r1", 0)
    released = tale.ends("r1", "CANCELLED", 105)
    tale.ask(100, "cancel", "released", of="r1", held=released)
    confirmed = released._replace(status="CONFIRMED", confirmed_at=EPOCH + 205, released_at=None)
    tale.ask(200, "confirm", "confirmed", of="r1", held=confirmed)
    assert tale.rules_broken() == {"one end"}


def test_a_hold_is_confirmed_after_its_time(tale: Tale) -> None:
    tale.granted("r1", 0)
    confirmed = tale.ends("r1", "CONFIRMED", 10_005)
    tale.ask(10_000, "confirm", "confirmed", of="r1", held=confirmed)
    assert tale.rules_broken() == {"time"}


def test_a_hold_is_released_before_its_time(tale: Tale) -> None:
    tale.granted("r1", 0)
    tale.ends("r1", "EXPIRED", 9_000)
    assert tale.rules_broken() == {"time"}


def test_a_hold_outlives_its_time(tale: Tale) -> None:
    tale.granted("r1", 0)
    tale.ends("r1", "EXPIRED", 13_000)
    assert tale.rules_broken() == {"prompt"}


def test_in_trouble_a_hold_may_outlive_its_time_a_little(tale: Tale) -> None:
    tale.records.append(Trouble(9_000, 9_500, "freeze", "worker"))
    tale.granted("r1", 0)
    tale.ends("r1", "EXPIRED", 13_000)
    assert tale.rules_broken() == set()


def test_a_hold_is_never_released(tale: Tale) -> None:
    tale.granted("r1", 0)
    assert tale.rules_broken() == {"rest"}


@pytest.mark.parametrize(("trouble", "broken"), [(False, {"sold out"}), (True, set())])
def test_sold_out_while_there_was_stock(tale: Tale, trouble: bool, broken: set[str]) -> None:  # noqa: FBT001
    if trouble:
        tale.records.append(Trouble(100, 200, "crash", "api"))
    tale.granted("r1", 0)
    tale.ends("r1", "EXPIRED", 10_010)
    tale.ask(500, "reserve", "sold-out", user="ben", units=2)
    assert tale.rules_broken() == broken


@pytest.mark.parametrize(("until", "broken"), [(501, set()), (200, {"sold out"})])
def test_sold_out_while_units_were_on_their_way_back(tale: Tale, until: float, broken: set[str]) -> None:
    tale.records.append(Trouble(100, until, "takeover", "worker", passing=True))
    tale.ask(500, "reserve", "sold-out", user="ben", key="k")
    assert tale.rules_broken() == broken


@pytest.mark.parametrize(("trouble", "broken"), [(False, {"limit"}), (True, set())])
def test_a_long_flush_counts_what_lapsed_meanwhile(tale: Tale, trouble: bool, broken: set[str]) -> None:  # noqa: FBT001
    if trouble:
        tale.records.append(Trouble(9_000, 13_000, "slow", "api"))
    tale.granted("r1", 0)
    tale.ends("r1", "EXPIRED", 10_010)
    tale.granted("r2", 11_000)
    tale.ends("r2", "EXPIRED", 21_010)
    tale.ask(9_900, "reserve", "limit-reached", took=3_000)
    assert tale.rules_broken() == broken


def test_sold_out_by_what_was_seen_a_moment_ago(tale: Tale) -> None:
    tale.granted("r1", 0, lines=(("cup", 2),), user="ben")
    tale.granted("r2", 0)
    tale.ask(100, "cancel", "released", user="ben", of="r1", held=tale.ends("r1", "CANCELLED", 105))
    tale.ends("r2", "EXPIRED", 10_010)
    tale.ask(300, "reserve", "sold-out", user="cid")
    assert tale.rules_broken() == set()
    tale.ask(4_000, "reserve", "sold-out", user="cid")
    assert tale.rules_broken() == {"sold out"}


def test_more_is_shown_than_there_can_be(tale: Tale) -> None:
    tale.granted("r1", 0)
    tale.ends("r1", "EXPIRED", 10_010)
    tale.ask(1_000, "stock", "stock", of="cup", shown=3)
    assert tale.rules_broken() == {"poll"}


def test_stock_is_put_in_twice(tale: Tale) -> None:
    tale.ask(0, "restock", "restocked", user="admin", of="cup", key="d", change=2)
    tale.stocked = 7
    assert tale.rules_broken() == {"restock"}


QUOTAS: Final = Terms((CUP._replace(units=9, limit=None),), EPOCH, 0, open_holds_max=2, holds_per_hour_max=3)
QUOTAS_OF_LAPSES: Final = QUOTAS._replace(lapses_per_hour_max=2)


@pytest.fixture
def fair(tale: Tale) -> Tale:
    """A tale with stock enough for everybody."""
    tale.stocked = 9
    return tale


def lapses(tale: Tale, *ids: str) -> None:
    """The holds are left to lapse, and swept."""
    for id_ in ids:
        tale.ends(id_, "EXPIRED", tale.left[id_].expires_at - EPOCH + 500)


def test_more_open_holds_than_the_quota(fair: Tale) -> None:
    for place in range(3):
        fair.granted(f"r{place}", 100 * place)
    lapses(fair, "r0", "r1", "r2")
    assert fair.rules_broken(terms=QUOTAS) == {"quota"}


@pytest.mark.parametrize(
    ("kind", "answer", "status"), [("confirm", "confirmed", "CONFIRMED"), ("cancel", "released", "CANCELLED")]
)
def test_what_is_settled_is_open_no_more(fair: Tale, kind: Kind, answer: str, status: str) -> None:
    fair.granted("r0", 0)
    fair.granted("r1", 100)
    fair.ask(200, "reserve", "open-holds-reached")
    fair.ask(300, kind, answer, of="r0", held=fair.ends("r0", status, 305))
    fair.granted("r2", 400)
    lapses(fair, "r1", "r2")
    assert fair.rules_broken(terms=QUOTAS) == set()


@pytest.mark.parametrize("stale", [False, True])
def test_only_an_election_makes_what_was_settled_look_open(fair: Tale, *, stale: bool) -> None:
    fair.granted("r0", 0)
    fair.granted("r1", 100)
    fair.ask(300, "confirm", "confirmed", of="r0", held=fair.ends("r0", "CONFIRMED", 305))
    fair.records.append(Trouble(320, 820, "election", "server"))
    fair.ask(400, "reserve", "open-holds-reached")
    lapses(fair, "r1")
    assert (fair.rules_broken(terms=QUOTAS._replace(stale_reads=stale)) == set()) is stale


def test_more_holds_in_an_hour_than_the_quota(fair: Tale) -> None:
    for place in range(4):
        at = 1_000 * place
        fair.granted(f"r{place}", at)
        ended = fair.ends(f"r{place}", "CANCELLED", at + 105)
        fair.ask(at + 100, "cancel", "released", of=f"r{place}", held=ended)
    assert fair.rules_broken(terms=QUOTAS) == {"quota"}


def test_a_hold_is_granted_after_too_many_lapsed(fair: Tale) -> None:
    for place in range(2):
        fair.granted(f"r{place}", 100 * place)
    lapses(fair, "r0", "r1")
    fair.ask(11_000, "reserve", "lapses-reached")
    assert fair.rules_broken(terms=QUOTAS_OF_LAPSES) == set()
    fair.granted("r2", 12_000)
    lapses(fair, "r2")
    assert fair.rules_broken(terms=QUOTAS_OF_LAPSES) == {"quota"}


@pytest.mark.parametrize("answer", ["open-holds-reached", "hourly-holds-reached", "lapses-reached"])
def test_a_quota_is_said_to_be_reached_and_is_not(fair: Tale, answer: str) -> None:
    fair.granted("r0", 0)
    fair.ask(5_000, "reserve", answer)
    lapses(fair, "r0")
    assert fair.rules_broken(terms=QUOTAS_OF_LAPSES) == {"quota"}


def test_who_bought_is_told_to_have_let_too_many_lapse(fair: Tale) -> None:
    fair.granted("r0", 0)
    fair.granted("r1", 100)
    fair.ask(200, "confirm", "confirmed", of="r1", held=fair.ends("r1", "CONFIRMED", 205))
    lapses(fair, "r0")
    fair.ask(12_000, "reserve", "lapses-reached")
    assert fair.rules_broken(terms=QUOTAS_OF_LAPSES) == {"quota"}


def test_a_limit_appears_after_the_first_reservation(tale: Tale) -> None:
    tale.granted("r1", 0)
    tale.ends("r1", "EXPIRED", 10_010)
    tale.ask(100, "edit", "edited", user="admin", of="cup", rules=(("limit", 1),))
    assert tale.rules_broken() == {"limit"}


def test_an_extension_is_told_that_nobody_asked_for(tale: Tale) -> None:
    held = tale.granted("r1", 0)
    tale.left["r1"] = held._replace(extensions=1, expires_at=held.expires_at + 500)
    tale.ends("r1", "EXPIRED", 10_600)
    assert tale.rules_broken() == {"extensions"}


def tells_extensions(tale: Tale, *tellings: tuple[float, int, int]) -> None:
    """Requests that are told of an extension: when each was asked, the number it was told, and by how much."""
    held = tale.granted("r1", 0)
    for at, number, by in tellings:
        tale.left["r1"] = held._replace(extensions=number, expires_at=held.expires_at + by)
        tale.ask(at, "extend", "extended", of="r1", held=tale.left["r1"])
    tale.ends("r1", "EXPIRED", 10_700)


TWO_EXTENSIONS: Final = Terms((CUP._replace(extensions_max=2),), EPOCH, 0)


def test_two_requests_at_once_are_told_of_one_extension(tale: Tale) -> None:
    tells_extensions(tale, (500, 1, 505), (505, 1, 505))
    assert tale.rules_broken(terms=TWO_EXTENSIONS) == set()


def test_one_extension_is_told_to_one_request_after_the_other(tale: Tale) -> None:
    tells_extensions(tale, (500, 1, 505), (511, 1, 505))
    assert tale.rules_broken(terms=TWO_EXTENSIONS) == {"extensions"}


def test_two_requests_at_once_are_told_of_one_extension_with_different_times(tale: Tale) -> None:
    tells_extensions(tale, (500, 1, 505), (505, 1, 506))
    assert tale.rules_broken(terms=TWO_EXTENSIONS) == {"extensions"}


def test_an_extension_is_told_that_extended_nothing(tale: Tale) -> None:
    tells_extensions(tale, (500, 0, 0))
    assert tale.rules_broken(terms=TWO_EXTENSIONS) == {"extensions"}


def test_a_second_extension_moves_nothing(tale: Tale) -> None:
    tells_extensions(tale, (500, 1, 505), (520, 2, 505))
    assert tale.rules_broken(terms=TWO_EXTENSIONS) == {"extensions"}


def test_an_answer_takes_too_long_or_never_comes(tale: Tale) -> None:
    tale.ask(0, "reserve", "unavailable", took=6_000)
    assert tale.rules_broken() == {"answered"}
    tale.ask(7_000, "reserve", None)
    assert tale.rules_broken() == {"answered"}


def test_a_service_that_fails_by_its_own_fault(tale: Tale) -> None:
    tale.ask(0, "reserve", "failed")
    assert tale.rules_broken() == {"answers"}


def test_with_clocks_far_apart_only_stock_counts(tale: Tale) -> None:
    far = TERMS._replace(skew_ms=40_000, stock_only=True)
    tale.granted("r1", 0)
    tale.ends("r1", "EXPIRED", 30_000)
    tale.ask(500, "reserve", "sold-out", user="ben")
    assert tale.rules_broken(terms=far) == set()
    assert tale.rules_broken(available=0, terms=far) == {"books"}
