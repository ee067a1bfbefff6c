"""The summary at the top of docs/performance.md: the figures that most readers come for, in sentences."""

import textwrap
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

from bench.aims import verdicts
from bench.figures import Figures, p50_ms, p99_ms, per_second, ratio, why_missing

WIDTH: Final = 120
"""Characters in a line of the docs."""


class KeyFigure(NamedTuple):
    """A figure in a sentence: a case's answers per second, alone or divided by the reference's, or its latency."""

    section: str
    case: str
    reference: str = ""
    of: Literal["rate", "p50", "p99"] = "rate"


SENTENCES: Final[tuple[tuple[str, tuple[KeyFigure, ...]], ...]] = (
    (
        (
            "**Embedded engine (SQLite), one hot product, 64 connections:** {} durable reservations a second, {} of"
            " what a bare server answers that stores nothing. Half of the answers come within {} ms, 99 of 100 within"
            " {} ms."
        ),
        (
            KeyFigure("hot", "SQLite"),
            KeyFigure("hot", "SQLite", "bare"),
            KeyFigure("hot", "SQLite", of="p50"),
            KeyFigure("hot", "SQLite", of="p99"),
        ),
    ),
    (
        "**With an idempotency key for each request:** {} a second, {} of the bare server.",
        (KeyFigure("hot", "SQLite, keys"), KeyFigure("hot", "SQLite, keys", "bare")),
    ),
    (
        "**Clustered engine (MongoDB), one API process:** {} a second over 64 connections, {} over 256.",
        (KeyFigure("mongodb", "MongoDB, 64"), KeyFigure("mongodb", "MongoDB, 256")),
    ),
    (
        "**The crowd that gets nothing:** {} sold-out answers and {} stock polls a second.",
        (KeyFigure("hot", "SQLite, sold out"), KeyFigure("hot", "SQLite, stock poll")),
    ),
    (
        "**Beside Express + Mongoose + BullMQ on the same servers:** {} times as many at 64 connections, {} at 256.",
        (
            KeyFigure("mongodb", "MongoDB, 64", "Express, 64"),
            KeyFigure("mongodb", "MongoDB, 256", "Express, 256"),
        ),
    ),
    (
        (
            "**Beside FastAPI:** {} times as many as with PostgreSQL (asyncpg), and {} times as many as with a Lua"
            " script in Redis, which keeps nothing on disk."
        ),
        (
            KeyFigure("peers", "SQLite", "FastAPI + asyncpg"),
            KeyFigure("peers", "SQLite", "FastAPI + Redis Lua"),
        ),
    ),
    (
        "**A thousand products instead of one:** {} of the rate on SQLite, {} on MongoDB.",
        (
            KeyFigure("products", "SQLite, 1000", "SQLite, 1"),
            KeyFigure("products", "MongoDB, 1000", "MongoDB, 1"),
        ),
    ),
    (
        "**At a fixed 70 % of the highest rate:** 99 of 100 answers within {} ms on SQLite, {} ms on MongoDB.",
        (KeyFigure("latency", "SQLite at 70%", of="p99"), KeyFigure("latency", "MongoDB at 70%", of="p99")),
    ),
    (
        "**A filled database:** {} of the rate on an empty one.",
        (KeyFigure("growth", "filled", "empty"),),
    ),
    (
        (
            "**Large flushes make it fast:** flushes of up to 512 reservations bring {} a second on SQLite and"
            " {} on MongoDB, flushes of one {} and {} (through the combiner, without HTTP)."
        ),
        (
            KeyFigure("batches", "SQLite, 512"),
            KeyFigure("batches", "MongoDB, 512"),
            KeyFigure("batches", "SQLite, 1"),
            KeyFigure("batches", "MongoDB, 1"),
        ),
    ),
)


def summary(found: Figures) -> str:
    """The sentences whose figures were all measured, as a list. The last one says how many aims were met."""
    return "\n".join(
        textwrap.fill(sentence, WIDTH, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False)
        for sentence in _sentences(found)
    )


def _sentences(found: Figures) -> Iterator[str]:
    for sentence, figures in SENTENCES:
        if not any(why_missing(found, each.section, case) for each in figures for case in _cases(each)):
            yield sentence.format(*(_shown(found, each) for each in figures))
    sizes = found["memory"].kib if "memory" in found else {}
    if "server before" in sizes and "1,000 open connections" in sizes:
        server_mib, each_kib = sizes["server before"] / 1024, sizes["1,000 open connections"] / 1000
        yield f"**Memory:** {server_mib:.0f} MiB for a server process, {each_kib:.1f} KiB more for each connection."
    judged = [verdict for verdict in verdicts(found) if verdict.met is not None]
    if judged:
        met = sum(verdict.met is True for verdict in judged)
        yield f"**Aims:** {met} of the {len(judged)} below are met."


def _cases(figure: KeyFigure) -> tuple[str, ...]:
    return (figure.case, figure.reference) if figure.reference else (figure.case,)


def _shown(found: Figures, figure: KeyFigure) -> str:
    cases = found[figure.section].cases
    measured = cases[figure.case]
    match figure.of:
        case "p50":
            return f"{p50_ms(measured).median:.1f}"
        case "p99":
            return f"{p99_ms(measured).median:.0f}"
        case "rate" if figure.reference:
            share = ratio(measured, cases[figure.reference]).median
            return f"{share:.2f}" if share < 5 else f"{share:.1f}"  # noqa: PLR2004 - three digits say enough
        case "rate":
            return f"{per_second(measured).median:,.0f}"
