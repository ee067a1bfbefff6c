"""The operator's view: the sale as it runs, then the verdict, in a shop owner's words."""

from collections.abc import Iterator
from typing import Final, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from flashreserve.clock import Clock
from flashreserve.rehearsal.run import Progress
from flashreserve.rehearsal.verdict import Verdict

_REFRESH_PER_S: Final = 4
_LINE_EVERY_S: Final = 2.0


class LiveView:
    """Redraws one panel on a terminal. Use as a context."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, refresh_per_second=_REFRESH_PER_S, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, progress: Progress) -> None:
        """Draw the progress at the next refresh."""
        self._live.update(panel(progress))


class PlainView:
    """Prints a line now and then, if there is no terminal. Use as a context."""

    def __init__(self, console: Console, clock: Clock) -> None:
        self._console = console
        self._clock = clock
        self._next_s = 0.0
        self._phase = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, progress: Progress) -> None:
        """Print the progress, at most every `_LINE_EVERY_S` and when a phase begins."""
        now = self._clock.monotonic()
        if now >= self._next_s or progress.phase != self._phase:
            self._next_s, self._phase = now + _LINE_EVERY_S, progress.phase
            self._console.print(line(progress), soft_wrap=True, highlight=False)


def panel(progress: Progress) -> RenderableType:
    """The live panel: the progress of the crowd, and the sale's figures."""
    bar = ProgressBar(total=max(1, progress.customers), completed=progress.arrived)
    figures = Table.grid(padding=(0, 3))
    for _ in range(4):
        figures.add_column(justify="left")
    figures.add_row(*_pair("granted", progress.granted), *_pair("sold out / refused", progress.refused))
    figures.add_row(*_pair("bought", progress.confirmed), *_pair("available", progress.available))
    figures.add_row(*_pair("requests", progress.requests), *_pair("waiting for an answer", progress.in_flight))
    errors = Text(f"{progress.errors:,}", style="bold red" if progress.errors else "green")
    latency = f"{_ms(progress.latency.p50)} / {_ms(progress.latency.p99)}"
    figures.add_row("errors", errors, "latency p50 / p99", latency)
    head = f"{progress.arrived:,} of {progress.customers:,} customers came"
    return Panel(Group(head, bar, "", figures), title=f"{progress.phase} · {progress.elapsed_s:.0f} s", width=78)


def line(progress: Progress) -> str:
    """The same in one line of text."""
    return (
        f"{progress.elapsed_s:5.1f} s  {progress.phase}: {progress.arrived:,}/{progress.customers:,} customers, "
        f"{progress.requests:,} requests, {progress.granted:,} granted, {progress.refused:,} refused, "
        f"{progress.errors:,} errors, {_count(progress.available)} available, "
        f"latency p50 {_ms(progress.latency.p50)} p99 {_ms(progress.latency.p99)}"
    )


def verdict_table(verdict: Verdict) -> RenderableType:
    """The verdict as a table for people."""
    counts = Table.grid(padding=(0, 2))
    counts.add_column(justify="right")
    counts.add_column(style="bold")
    counts.add_column()
    for count, word, meaning in _counts(verdict):
        style = "bold red" if count else "bold green"
        counts.add_row(Text(f"{count:,}", style=style), word, meaning)
    story = Table.grid(padding=(0, 2))
    story.add_column(style="bold")
    story.add_column()
    for name, text in _story(verdict):
        story.add_row(name, text)
    findings = [Text(f"! {finding}", style="red") for finding in verdict.findings]
    mark = (
        Text("PASSED: this sale can open.", style="bold green")
        if verdict.passed
        else Text("FAILED: do not open this sale yet.", style="bold red")
    )
    title = f"Rehearsal of {verdict.customers:,} customers on {verdict.units:,} units"
    return Panel(Group(counts, "", story, *findings, "", mark), title=title, width=100)


def _counts(verdict: Verdict) -> Iterator[tuple[int, str, str]]:
    yield verdict.oversold, "oversold", "units promised to more customers than there were units"
    yield verdict.leaked, "leaked", "units lost: neither on sale nor held or bought; and promises the shop forgot"
    yield verdict.double_grants, "double grants", "customers who pressed twice and were given two"
    yield verdict.errors, "errors", "failures of the shop, and customers who were never answered"


def _story(verdict: Verdict) -> Iterator[tuple[str, str]]:
    latency = verdict.latency_ms
    yield (
        "waiting",
        (
            f"half were answered within {_ms(latency.p50)} (p50), 99 of 100 within {_ms(latency.p99)} (p99), "
            f"the slowest in {_ms(latency.max)} (max)"
        ),
    )
    yield "crowd", f"{verdict.requests:,} requests, {verdict.requests_per_second_max:,} in the busiest second"
    yield (
        "sale",
        (
            f"{verdict.granted:,} holds granted, {verdict.confirmed:,} bought, {verdict.cancelled:,} given back, "
            f"{verdict.lapsed:,} lapsed; {verdict.refused:,} times refused (sold out)"
        ),
    )
    yield "keys", f"{verdict.replayed:,} repeated requests got the answer they had got before, and took nothing more"
    if verdict.resold:
        yield "resale", f"{verdict.resold:,} units came back and went to somebody else"
    if verdict.late_customers:
        back = (
            ""
            if verdict.returned_seconds is None
            else f"; the last unit was back {verdict.returned_seconds:.1f} s late"
        )
        yield "latecomers", f"{verdict.late_customers:,} customers came back for returned units{back}"
    yield "left", f"{verdict.available:,} units available at the end"
    if verdict.too_late:
        yield "too late", f"{verdict.too_late:,} wanted to buy after their hold was over"
    if verdict.unexpected:
        yield "unexpected", ", ".join(f"{count:,} x {what}" for what, count in verdict.unexpected.items())
    if verdict.audit is not None:
        said = {
            True: "its books are exact",
            False: "its books do NOT add up",
            None: "undecided: its books could not be read at one instant",
        }
        yield "shop's audit", said[verdict.audit.clean]
    yield "again", f"--seed {verdict.seed} sends the same crowd"


def _pair(name: str, count: int | None) -> tuple[str, str]:
    return name, _count(count)


def _count(count: int | None) -> str:
    return "?" if count is None else f"{count:,}"


def _ms(latency_ms: float) -> str:
    return f"{latency_ms:.0f} ms" if latency_ms < 10_000 else f"{latency_ms / 1_000:.1f} s"  # noqa: PLR2004 - 10 s
