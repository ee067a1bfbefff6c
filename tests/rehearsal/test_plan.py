from collections import Counter

import msgspec
import pytest

from flashreserve.rehearsal.plan import Crowd, Decision, Press, Shape, Shares, plan, plan_late

ON_SALE = Crowd(seed=3, customers=5_000, seconds=13)


def test_the_same_seed_sends_the_same_crowd_and_another_seed_another() -> None:
    assert plan(ON_SALE, run_id="a") == plan(ON_SALE, run_id="a")
    assert plan(ON_SALE, run_id="a") != plan(msgspec.structs.replace(ON_SALE, seed=4), run_id="a")


def test_a_changed_share_moves_nobodys_arrival() -> None:
    other = msgspec.structs.replace(ON_SALE, shares=Shares(confirm=0.1, walk_away=0.9, retry=0.5, double_click=0.5))
    assert [s.at_ms for s in plan(ON_SALE, run_id="a")] == [s.at_ms for s in plan(other, run_id="a")]


def test_everybody_comes_once_within_the_window_in_order_and_with_a_key_of_their_own() -> None:
    scripts = plan(ON_SALE, run_id="a")
    arrivals = [script.at_ms for script in scripts]
    assert arrivals == sorted(arrivals)
    assert arrivals[0] >= 0
    assert arrivals[-1] < 13_000
    assert sorted(script.customer for script in scripts) == list(range(5_000))
    assert len({script.key for script in scripts}) == 5_000


def test_two_runs_share_no_key() -> None:
    keys = [{script.key for script in plan(ON_SALE, run_id=run)} for run in ("a", "b")]
    assert not keys[0] & keys[1]


def test_a_spike_is_steep_and_has_a_tail() -> None:
    per_second = Counter(int(script.at_ms // 1_000) for script in plan(ON_SALE, run_id="a"))
    assert per_second[1] > 3 * 5_000 / 13, "it peaks early, far above the mean"
    assert per_second[0] > 600, "and climbs at once"
    assert per_second[1] > per_second[3] > per_second[5] > per_second[9]
    assert all(per_second[second] for second in range(12)), "stragglers come until the end"


def test_an_even_crowd_is_even() -> None:
    even = msgspec.structs.replace(ON_SALE, shape=Shape.EVEN)
    per_second = Counter(int(script.at_ms // 1_000) for script in plan(even, run_id="a"))
    assert all(300 < per_second[second] < 470 for second in range(13))


def test_shares_are_kept() -> None:
    shares = Shares(confirm=0.6, walk_away=0.3, retry=0.2, double_click=0.1)
    scripts = plan(msgspec.structs.replace(ON_SALE, shares=shares, products=4), run_id="a")
    decisions = Counter(script.decision for script in scripts)
    presses = Counter(script.press for script in scripts)
    products = Counter(script.product for script in scripts)
    assert decisions[Decision.CONFIRM] == pytest.approx(3_000, rel=0.05)
    assert decisions[Decision.WALK_AWAY] == pytest.approx(1_500, rel=0.1)
    assert decisions[Decision.CANCEL] == pytest.approx(500, rel=0.15)
    assert presses[Press.RETRY] == pytest.approx(1_000, rel=0.1)
    assert presses[Press.DOUBLE_CLICK] == pytest.approx(500, rel=0.15)
    assert all(count == pytest.approx(1_250, rel=0.1) for count in products.values())


def test_decisions_come_well_before_a_short_hold_is_over() -> None:
    assert max(s.think_ms for s in plan(msgspec.structs.replace(ON_SALE, hold_s=1), run_id="a")) <= 400


def test_latecomers_are_a_few_more_than_the_units_that_came_back_and_all_buy() -> None:
    late = plan_late(ON_SALE, customers=list(range(100, 400)), returned=[8, 40], run_id="a")
    assert Counter(script.product for script in late) == {0: 10, 1: 50}
    assert [script.customer for script in late] == list(range(100, 160))
    assert {script.decision for script in late} == {Decision.CONFIRM}
    assert not {s.key for s in late} & {s.key for s in plan(ON_SALE, run_id="a")}
    assert plan_late(ON_SALE, customers=[1, 2], returned=[0, 0], run_id="a") == []


def test_there_are_no_more_latecomers_than_customers() -> None:
    assert len(plan_late(ON_SALE, customers=[1, 2], returned=[40], run_id="a")) == 2


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"customers": 0}, "customers"),
        ({"customers": 10**6}, "customers"),
        ({"seconds": 0}, "seconds"),
        ({"seconds": float("nan")}, "seconds"),
        ({"products": 0}, "products"),
        ({"shares": Shares(confirm=0.9, walk_away=0.2)}, "confirm share"),
        ({"shares": Shares(retry=-0.1)}, "retry share"),
        ({"shares": Shares(double_click=float("nan"))}, "double-click share"),
    ],
)
def test_a_crowd_that_cannot_be_is_refused_by_name(change: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        plan(msgspec.structs.replace(ON_SALE, **change), run_id="a")
