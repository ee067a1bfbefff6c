from collections.abc import Callable

import pytest
from bench.figures import CaseFigures, Section
from bench.load import Result
from bench.shops import BenchShop, ShopAudit, ShopError

from bench import sections


def test_every_round_begins_with_another_case_and_has_them_all() -> None:
    cases = [sections.Case(name, "SQLite") for name in "abc"]

    orders = ["".join(case.name for case in sections._turns(cases, number)) for number in range(4)]

    assert orders == ["abc", "bca", "cab", "abc"]


def no_audit() -> ShopAudit:
    raise ShopError("the database is gone")


@pytest.mark.parametrize(
    ("audit", "why"),
    [
        (lambda: ShopAudit(clean=True, reservations=1_010, summary=""), ""),
        (lambda: ShopAudit(clean=False, reservations=1_010, summary="1 differs"), "not clean"),
        (
            lambda: ShopAudit(clean=True, reservations=1_009, summary=""),
            "1,000 reservations were granted, and 999 are there",
        ),
        (no_audit, "the database is gone"),
    ],
)
def test_only_the_figures_of_a_shop_that_audits_clean_and_has_what_it_granted_count(
    audit: Callable[[], ShopAudit], why: str
) -> None:
    rounds = [Result(1_000, 1, 2, answers=1_000, refused=0, errors=0)]
    cases = {"SQLite": CaseFigures("SQLite", 64, rounds=rounds), "bare": CaseFigures("bare", 64, rounds=rounds)}
    section = Section("2026-11-24T00:00:00+00:00", 1, 1, {}, cases)
    shop = BenchShop("http://127.0.0.1", (), (), audit=audit, reservations_before=10)

    sections._audit("SQLite", shop, 1_000, section)

    assert why in section.cases["SQLite"].void
    assert bool(section.cases["SQLite"].void) is bool(why)
    assert section.cases["bare"].fault() == ""
