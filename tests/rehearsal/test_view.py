import io

import msgspec
import pytest
from rich.console import Console, RenderableType
from typing_extensions import override

from flashreserve.clock import SystemClock
from flashreserve.rehearsal.run import Progress
from flashreserve.rehearsal.server import AuditReport
from flashreserve.rehearsal.tally import Latency
from flashreserve.rehearsal.verdict import Verdict
from flashreserve.rehearsal.view import LiveView, PlainView, verdict_table

PROGRESS = Progress(
    phase="the sale is on",
    customers=5_000,
    arrived=4_000,
    requests=6_001,
    in_flight=17,
    granted=1_002,
    confirmed=703,
    refused=3_104,
    errors=5,
    available=None,
    latency=Latency(p50=3.2, p99=41.7, max=99.0),
    elapsed_s=6.5,
)

VERDICT = Verdict(
    passed=True,
    oversold=0,
    leaked=0,
    double_grants=0,
    errors=0,
    latency_ms=Latency(p50=3.2, p99=41.7, max=12_340.0),
    unexpected={},
    findings=(),
    audit=AuditReport(clean=True, report={}),
    seed=42,
    customers=5_000,
    late_customers=45,
    units=1_000,
    products=1,
    hold_seconds=5,
    requests=7_169,
    requests_per_second_max=2_187,
    answers={"201": 1_740},
    granted=1_461,
    replayed=279,
    refused=4_288,
    confirmed=1_000,
    cancelled=141,
    too_late=0,
    lapsed=320,
    resold=461,
    available=0,
    returned_seconds=1.25,
    elapsed_seconds=18.6,
    crowd_lag_ms_max=13.7,
)


def printed(what: RenderableType, width: int = 110) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(what)
    assert isinstance(console.file, io.StringIO)
    return " ".join(console.file.getvalue().replace("│", " ").split())


def test_a_good_verdict_says_so_in_plain_words() -> None:
    text = printed(verdict_table(VERDICT))
    for expected in ("0 oversold", "0 leaked", "0 double grants", "0 errors", "PASSED", "--seed 42", "3 ms (p50)"):
        assert expected in text
    assert "42 ms (p99)" in text
    assert "12.3 s (max)" in text
    assert "461 units came back" in text
    assert "its books are exact" in text


def test_a_bad_verdict_says_what_was_found() -> None:
    bad = msgspec.structs.replace(
        VERDICT,
        passed=False,
        oversold=3,
        unexpected={"reserve 401": 7},
        findings=("product [x]: 1 unit, 4 promised",),
        audit=AuditReport(clean=False),
    )
    text = printed(verdict_table(bad))
    for expected in ("3 oversold", "FAILED", "7 x reserve 401", "product [x]: 1 unit, 4 promised", "do NOT add up"):
        assert expected in text


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_verdict_fits_any_terminal(width: int) -> None:
    assert "oversold" in printed(verdict_table(VERDICT), width)


def test_without_a_terminal_there_are_lines_now_and_then() -> None:
    class Standing(SystemClock):
        at = 0.0

        @override
        def monotonic(self) -> float:
            return self.at

    clock, file = Standing(), io.StringIO()
    with PlainView(Console(file=file, width=80), clock) as view:
        view.show(PROGRESS)
        view.show(PROGRESS)
        clock.at = 2.5
        view.show(PROGRESS)
        view.show(msgspec.structs.replace(PROGRESS, phase="over"))
    lines = file.getvalue().splitlines()
    assert len(lines) == 3
    assert "4,000/5,000 customers, 6,001 requests, 1,002 granted, 3,104 refused, 5 errors" in lines[0]
    assert "p50 3 ms p99 42 ms" in lines[0]
    assert " over: " in lines[2]


def test_on_a_terminal_the_panel_shows_all_figures() -> None:
    file = io.StringIO()
    with LiveView(Console(file=file, width=100, force_terminal=True, no_color=True)) as view:
        view.show(PROGRESS)
    for figure in ("4,000 of 5,000", "6,001", "1,002", "703", "3,104", "17", "5", "3 ms / 42 ms"):
        assert figure in file.getvalue()
