import re
from pathlib import Path

import pytest
from bench.aims import AIMS, verdicts
from bench.figures import CaseFigures, Section, load_figures, ratio, save_figures, spread_of, why_missing
from bench.load import Result
from bench.report import BEGIN, END, FIGURES, PAGE, SUMMARY_BEGIN, SUMMARY_END, terminal, write
from bench.run import NAMES
from bench.sections import SECTIONS
from bench.summary import summary

from bench import browser, deliveries, streams


def result(per_second: float, *, refused: int = 0, late_share: float = 0.0, server_us: float = 0.0) -> Result:
    return Result(per_second, 1.0, 2.0, 10_000, refused, errors=0, late_share=late_share, server_us=server_us)


def sitting(**cases: CaseFigures) -> Section:
    named = {name.replace("_", " "): measured for name, measured in cases.items()}
    return Section("2026-11-24T00:00:00+00:00", 2, 3, {"machine": "2 cores"}, named)


def steady(per_second: float, *, void: str = "") -> CaseFigures:
    return CaseFigures("SQLite", 64, rounds=[result(per_second)] * 3, void=void)


def test_a_ratio_is_the_median_of_the_rounds_and_shows_the_lowest_and_the_highest() -> None:
    fast = CaseFigures("SQLite", 64, rounds=[result(900), result(400), result(800)])
    slow = CaseFigures("bare", 64, rounds=[result(1000), result(1000), result(1000)])

    assert ratio(fast, slow) == spread_of([0.9, 0.4, 0.8]) == (0.8, 0.4, 0.9)


@pytest.mark.parametrize(
    ("measured", "why"),
    [
        (steady(1, void="the audit is not clean"), "the audit is not clean"),
        (CaseFigures("SQLite", 64, rounds=[result(1, refused=11)]), "11 of 10,000"),
        (CaseFigures("SQLite", 64, refusing=True, rounds=[result(1, refused=9_000)]), "1,000 of 10,000"),
        (CaseFigures("SQLite", 64, rounds=[]), "nothing"),
    ],
)
def test_what_does_not_audit_clean_or_is_not_the_expected_answer_is_no_figure(measured: CaseFigures, why: str) -> None:
    assert why in measured.fault()
    assert why_missing({"hot": sitting(SQLite=measured)}, "hot", "SQLite").startswith("void: ")


def test_refusals_are_the_right_answer_where_nothing_is_left() -> None:
    assert CaseFigures("SQLite", 64, refusing=True, rounds=[result(1, refused=10_000)]).fault() == ""


def test_every_aim_is_about_a_case_that_is_measured() -> None:
    known = {(section, case.name) for section, cases in SECTIONS.items() for case in cases}
    known |= {("deliveries", case) for case in deliveries.CASES}
    known |= {("streams", case) for case in streams.CASES} | {("browser", browser.CASE)}

    assert [aim for aim in AIMS if (aim.section, aim.case) not in known] == []
    assert [aim for aim in AIMS if aim.reference and (aim.section, aim.reference) not in known] == []


def test_the_aims_table_says_met_missed_and_not_measured() -> None:
    found = {"hot": sitting(bare=steady(1000), SQLite=steady(700))}
    found["hot"].cases["SQLite, keys"] = steady(500)
    found["hot"].cases["SQLite, sold out"] = steady(900, void="the audit is not clean")

    shown = {verdict.what: verdict for verdict in verdicts(found)}

    assert [verdict.met for verdict in list(shown.values())[:3]] == [True, False, None]
    assert "void" in shown["sold-out answers ÷ bare ASGI"].figure
    assert shown["SQLite ÷ FastAPI + asyncpg"].figure == "not measured (not run)"


def test_an_aim_shows_the_processor_time_too_where_it_was_measured() -> None:
    spent = [[result(700, server_us=each) for each in round_] for round_ in ((55, 60, 50), (50, 50, 50))]
    foreign, own = (CaseFigures("SQLite", 64, rounds=rounds) for rounds in spent)
    found = {"callers": sitting(foreign_token=foreign, own_token=own), "hot": sitting(bare=steady(9), SQLite=foreign)}

    shown = {verdict.what: verdict.figure for verdict in verdicts(found)}

    assert shown["a token of the shop's own issuer ÷ an own token"] == "1.00 (1.00 to 1.00), processor time 1.10"
    assert "processor" not in shown["durable reservations, SQLite, 64 connections ÷ bare ASGI"]
    assert re.search(r"foreign token +700 .* 55$", terminal(found), re.MULTILINE)


@pytest.mark.parametrize(("late_share", "met"), [(0.005, True), (0.02, False)])
def test_a_rate_that_the_server_does_not_bear_is_a_missed_aim(late_share: float, met: bool) -> None:  # noqa: FBT001
    found = {"latency": sitting()}
    found["latency"].cases["SQLite at 70%"] = CaseFigures("SQLite", 512, rounds=[result(1, late_share=late_share)])

    [verdict] = [each for each in verdicts(found) if each.what == "p99 at 70 % of the maximum load, SQLite"]

    assert verdict.met is met
    assert ("sent late" in verdict.figure) is not met


def test_the_page_is_written_between_its_marks_and_nowhere_else(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    marked = f"{SUMMARY_BEGIN}\nof an earlier run\n{SUMMARY_END}\nbetween\n{BEGIN}\nof an earlier run\n{END}"
    page.write_text(f"before\n{marked}\nafter\n")
    found = {"hot": sitting(bare=steady(1000), SQLite=steady(700))}

    for _ in range(2):
        write(found, page, tmp_path / "plots")

    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "of an earlier run" not in text
    assert text.count("\nbetween\n") == 1
    assert text.count("| SQLite | 700 (700 to 700) |") == 1
    assert text.count("700 durable reservations a second, 0.70 of") == 1
    assert (tmp_path / "plots" / "hot.svg").read_text().startswith("<svg")


def test_a_page_without_marks_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text("mine")

    with pytest.raises(SystemExit, match="expected the lines"):
        write({}, page, tmp_path)

    assert page.read_text() == "mine"


def test_the_summary_leaves_out_what_was_not_measured(tmp_path: Path) -> None:
    found = {"hot": sitting(bare=steady(1000), SQLite=steady(700, void="the audit is not clean"))}

    assert "durable reservations" not in summary(found)
    assert summary({}) == ""


def test_the_page_is_what_the_kept_figures_come_to(tmp_path: Path) -> None:
    """A figure that is changed by hand, or a sentence that the generator doesn't write any more, is found."""
    page = tmp_path / "performance.md"
    page.write_text(PAGE.read_text())

    write(load_figures(FIGURES), page, tmp_path)

    assert page.read_text() == PAGE.read_text()


def test_figures_are_kept_as_they_were(tmp_path: Path) -> None:
    found = {"hot": sitting(SQLite=steady(700))}

    save_figures(found, tmp_path / "kept" / "figures.json")

    assert load_figures(tmp_path / "kept" / "figures.json") == found
    assert load_figures(tmp_path / "none") == {}
    assert "700" in terminal(found)


def test_the_docs_page_has_the_marks_and_names_every_section() -> None:
    text = Path("docs/performance.md").read_text()

    assert BEGIN in text
    assert END in text
    assert [name for name in NAMES if f"`{name}`" not in text] == []
