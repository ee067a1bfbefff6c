"""The report of the figures: tables for the terminal and the docs, and plots."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from bench.aims import AimVerdict, verdicts
from bench.batches import BATCHES
from bench.figures import CaseFigures, Figures, Section, Spread, p50_ms, p99_ms, per_second, server_us, why_missing
from bench.sections import CONNECTIONS, PRODUCTS, SHARES
from bench.summary import summary

from bench import svg

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "performance.md"
PLOTS: Final = ROOT / "docs" / "plots"
FIGURES: Final = PLOTS / "figures.json"
"""The figures from which the page and the plots are made."""

BEGIN: Final = "<!-- figures: written by `make bench`, as is all up to the end mark -->"
END: Final = "<!-- figures: end -->"
SUMMARY_BEGIN: Final = "<!-- summary: written by `make bench`, as is all up to the end mark -->"
SUMMARY_END: Final = "<!-- summary: end -->"

TITLES: Final = {
    "hot": "One hot product, 64 connections, embedded engine",
    "mongodb": "One hot product, clustered engine, and Express + Mongoose + BullMQ on the same servers",
    "peers": "One hot product, 64 connections: FlashReserve on SQLite and the Python peers",
    "products": "One product or many, 64 connections",
    "connections": "One connection or many, one hot product",
    "processes": "One serving process or two, 64 and 256 connections",
    "latency": "Latency at a fixed rate, as a share of the server's maximum",
    "callers": "Who sends the requests, one hot product, 64 connections, embedded engine",
    "events": "With and without an endpoint for webhooks, one hot product, 64 connections",
    "deliveries": "Deliveries to one endpoint at 1,000 events a second",
    "streams": "300 reservations a second, alone and beside 5,000 open streams of the product",
    "browser": "From a grant to the changed number in a visitor's browser",
    "growth": "An empty database and a filled one, embedded engine, 64 connections",
    "batches": "Small and large flushes: 512 callers, one hot product, without HTTP",
    "quotas": "The cost of quotas: flushes of 128 reserves of 128 customers, without HTTP",
    "memory": "Memory of the embedded engine's process",
}
_MARKS: Final[Mapping[bool | None, str]] = {True: "met", False: "missed", None: ""}
_ENGINES: Final = ("bare", "SQLite", "MongoDB")


# --------------------------------------------------------------------------------------------------------- the terminal


def terminal(found: Figures) -> str:
    """The cases of every section, then the aims."""
    parts = [_plain_section(name, found[name]) for name in TITLES if name in found]
    return "\n\n".join([*parts, _plain_aims(verdicts(found))])


def _plain_section(name: str, section: Section) -> str:
    lines = [f"{TITLES[name]} ({section.rounds} rounds of {section.seconds:g} s, {section.when})"]
    if section.cases:
        lines.append(
            f"  {'':30}{'per second':>11}{'lowest':>9}{'highest':>9}{'p50 ms':>9}{'p99 ms':>9}{'server µs':>11}"
        )
    for case, measured in section.cases.items():
        fault = measured.fault()
        rate, half, most = (per_second(measured), p50_ms(measured), p99_ms(measured)) if measured.rounds else _NOTHING
        lines.append(
            f"  {case:30}{rate.median:11,.0f}{rate.low:9,.0f}{rate.high:9,.0f}{half.median:9.2f}{most.median:9.2f}"
            f"{_server_us(measured):>11}"
            + (f"  void: {fault}" if fault else f"  {measured.late()}" if measured.late() else "")
        )
    lines += [f"  {of:52}{kib:11,.1f} KiB" for of, kib in section.kib.items()]
    lines += [f"  {case:30} not measured: {why}" for case, why in section.missing.items()]
    lines += [f"  audit, {shop}: {told}" for shop, told in section.audits.items()]
    return "\n".join(lines)


_NOTHING: Final = (Spread(0, 0, 0),) * 3


def _plain_aims(rows: Sequence[AimVerdict]) -> str:
    width = max(len(row.what) for row in rows)
    lines = [f"{'':{width}}  {'aim':12}figure"]
    lines += [f"{row.what:{width}}  {row.aim:12}{row.figure}  {_MARKS[row.met]}".rstrip() for row in rows]
    return "\n".join(lines)


# ------------------------------------------------------------------------------------------------------------- the docs


def write(found: Figures, page: Path = PAGE, plots: Path = PLOTS) -> None:
    """Put the summary and the tables each between their two marks of the page, and the plots beside it.

    Raises:
        SystemExit: the page lacks a mark.
    """
    drawn = dict(_plots(found))
    text = page.read_text(encoding="utf-8")
    text = _put(text, page, SUMMARY_BEGIN, SUMMARY_END, summary(found))
    text = _put(text, page, BEGIN, END, markdown(found, tuple(drawn)))
    plots.mkdir(parents=True, exist_ok=True)
    for name, drawing in drawn.items():
        (plots / f"{name}.svg").write_text(drawing, encoding="utf-8")
    page.write_text(text, encoding="utf-8")


def _put(text: str, page: Path, begin: str, end: str, written: str) -> str:
    """The text, with the part between the two marks replaced."""
    before, _, rest = text.partition(begin)
    if end not in rest:
        raise SystemExit(f"{page}: expected the lines {begin} and {end}")
    return f"{before}{begin}\n\n{written}\n\n{end}{rest.partition(end)[2]}"


def markdown(found: Figures, drawn: Sequence[str]) -> str:
    """The aims, then each section with its plot, then the conditions."""
    parts = ["### Aims and figures", _markdown_aims(verdicts(found))]
    for name, title in TITLES.items():
        if name in found:
            parts += [f"### {title}", *_markdown_section(name, found[name], plotted=name in drawn)]
    return "\n\n".join([*parts, "### Conditions", *_markdown_conditions(found)])


def _markdown_aims(rows: Sequence[AimVerdict]) -> str:
    head = "| what | aim | figure: median of the rounds (lowest to highest) | |\n|---|---|---|---|\n"
    return head + "\n".join(f"| {row.what} | {row.aim} | {row.figure} | {_MARKS[row.met]} |" for row in rows)


def _markdown_section(name: str, section: Section, *, plotted: bool) -> Iterator[str]:
    if plotted:
        yield f"![{TITLES[name]}](plots/{name}.svg)"
    if section.cases or section.missing:
        yield "\n".join(
            [
                "| | answers a second: median (lowest to highest) | p50 ms | p99 ms | server µs |",
                "|---|---|---|---|---|",
                *(_markdown_case(case, measured) for case, measured in section.cases.items()),
                *(f"| {case} | not measured: {why} | | | |" for case, why in section.missing.items()),
            ]
        )
    if section.kib:
        yield "\n".join(["| | KiB |", "|---|---|", *(f"| {of} | {kib:,.1f} |" for of, kib in section.kib.items())])


def _markdown_case(case: str, measured: CaseFigures) -> str:
    fault = measured.fault()
    if fault:
        return f"| {case} | void: {fault} | | | |"
    rate = per_second(measured)
    shown = f"{rate.median:,.0f} ({rate.low:,.0f} to {rate.high:,.0f})"
    late = f", {measured.late()}" if measured.late() else ""
    half, most, spent = p50_ms(measured).median, p99_ms(measured).median, _server_us(measured)
    return f"| {case} | {shown} | {half:.2f} | {most:.2f}{late} | {spent} |"


def _server_us(measured: CaseFigures) -> str:
    spread = server_us(measured)
    return f"{spread.median:.0f}" if spread else ""


def _markdown_conditions(found: Figures) -> Iterator[str]:
    """The conditions that all sections share, then those of each section."""
    sittings = {name: found[name] for name in TITLES if name in found}
    conditions: dict[str, list[str]] = {}
    for section in sittings.values():
        for name, value in section.conditions.items():
            conditions.setdefault(name, []).append(value)
    fixed = {name: values[0] for name, values in conditions.items() if len(set(values)) == 1}
    yield "\n".join(f"- {name}: {value}" for name, value in fixed.items())
    rows = ["| section | when | rounds of seconds | other conditions | audits |", "|---|---|---|---|---|"]
    for name, section in sittings.items():
        own = "; ".join(f"{of}: {value}" for of, value in section.conditions.items() if of not in fixed)
        audits = "; ".join(f"{shop}: {told}" for shop, told in section.audits.items())
        rows.append(f"| {name} | {section.when} | {section.rounds} of {section.seconds:g} | {own} | {audits} |")
    yield "\n".join(rows)


# ---------------------------------------------------------------------------------------------------------------- plots


def _plots(found: Figures) -> Iterator[tuple[str, str]]:
    """The name and the drawing of each plot with figures."""
    for name in ("hot", "mongodb", "peers", "processes", "callers", "growth"):
        rows = {
            case: per_second(measured)
            for case, measured in (found[name].cases if name in found else {}).items()
            if not measured.fault()
        }
        if rows:
            yield name, svg.bars(f"{TITLES[name]}: answers a second", rows)
    yield from _curve(found, "connections", _ENGINES, CONNECTIONS)
    yield from _curve(found, "products", _ENGINES[1:], PRODUCTS)
    yield from _curve(found, "batches", _ENGINES[1:], BATCHES)
    if "latency" in found:
        series = {
            shop: [_spread(found, "latency", f"{shop} at {share:.0%}", p99=True) for share in SHARES]
            for shop in _ENGINES[1:]
        }
        steps = [f"{share:.0%}" for share in SHARES]
        yield "latency", svg.lines(f"{TITLES['latency']}: p99 in ms", steps, series, "share of the server's maximum")


def _curve(found: Figures, name: str, shops: Sequence[str], steps: Sequence[int]) -> Iterator[tuple[str, str]]:
    if name in found:
        series = {shop: [_spread(found, name, f"{shop}, {step}") for step in steps] for shop in shops}
        yield name, svg.lines(f"{TITLES[name]}: answers a second", [f"{step:,}" for step in steps], series, name)


def _spread(found: Figures, section: str, case: str, *, p99: bool = False) -> Spread | None:
    if why_missing(found, section, case):
        return None
    measured = found[section].cases[case]
    return p99_ms(measured) if p99 else per_second(measured)
