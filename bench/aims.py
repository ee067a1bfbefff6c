"""The aims, and how the figures compare with them."""

from typing import Final, Literal, NamedTuple

from bench.figures import CaseFigures, Figures, Spread

from bench import figures

Sense = Literal["at least", "below", "reported"]


class Aim(NamedTuple):
    """A line of the table: a case's requests per second, divided by the reference's; with no reference, its p99."""

    what: str
    section: str
    case: str
    reference: str = ""
    sense: Sense = "at least"
    bound: float = 0.0


class AimVerdict(NamedTuple):
    """An aim and its result. `met` is None if there is no target, or nothing was measured."""

    what: str
    aim: str
    figure: str
    met: bool | None


AIMS: Final = (
    Aim("durable reservations, SQLite, 64 connections ÷ bare ASGI", "hot", "SQLite", "bare", "at least", 0.65),
    Aim("the same with idempotency keys ÷ bare ASGI", "hot", "SQLite, keys", "bare", "at least", 0.55),
    Aim("durable reservations, MongoDB, 64 connections ÷ bare", "mongodb", "MongoDB, 64", "bare, 64", "at least", 0.25),
    Aim("the same, 256 connections ÷ bare", "mongodb", "MongoDB, 256", "bare, 256", "at least", 0.35),
    Aim("1,000 products ÷ one hot product, SQLite", "products", "SQLite, 1000", "SQLite, 1", "at least", 0.8),
    Aim("1,000 products ÷ one hot product, MongoDB", "products", "MongoDB, 1000", "MongoDB, 1", "at least", 0.4),
    Aim("sold-out answers ÷ bare ASGI", "hot", "SQLite, sold out", "bare", "at least", 0.8),
    Aim("stock polls ÷ bare ASGI GET", "hot", "SQLite, stock poll", "bare GET", "at least", 0.8),
    Aim("MongoDB ÷ Express + Mongoose + BullMQ, 64", "mongodb", "MongoDB, 64", "Express, 64", "at least", 15),
    Aim("MongoDB ÷ Express + Mongoose + BullMQ, 256", "mongodb", "MongoDB, 256", "Express, 256", "at least", 15),
    Aim("SQLite ÷ FastAPI + asyncpg", "peers", "SQLite", "FastAPI + asyncpg", "at least", 20),
    Aim("SQLite ÷ FastAPI + Redis Lua", "peers", "SQLite", "FastAPI + Redis Lua", "at least", 8),
    Aim("p99 at 70 % of the maximum load, SQLite", "latency", "SQLite at 70%", "", "below", 15),
    Aim("p99 at 70 % of the maximum load, MongoDB", "latency", "MongoDB at 70%", "", "below", 40),
    Aim("throughput with many reservations ÷ empty", "growth", "filled", "empty", "at least", 0.85),
    Aim("the same with idempotency keys", "growth", "filled, keys", "empty, keys", "reported"),
    Aim("a token of the shop's own issuer ÷ an own token", "callers", "foreign token", "own token", "at least", 0.95),
    Aim("an API key on behalf of customers ÷ an own token", "callers", "key on behalf", "own token", "at least", 0.95),
    Aim("a page on another origin ÷ an own token", "callers", "own token, CORS", "own token", "at least", 0.95),
    *(
        aim
        for shop in ("SQLite", "MongoDB")
        for aim in (
            Aim(f"an endpoint for all events ÷ none, {shop}", "events", f"{shop}, endpoint", shop, "at least", 0.9),
            Aim("the same with grants logged", "events", f"{shop}, endpoint, grants on", shop, "reported"),
            Aim(f"p99 of a delivery at 1,000 events a second, {shop}", "deliveries", shop, "", "below", 2_000),
        )
    ),
    Aim("p99 of reservations at 300 a second beside 5,000 streams", "streams", "5,000 streams", "", "below", 250),
    Aim("p99 of an event's age at one of 5,000 streams", "streams", "events, 5,000 streams", "", "below", 500),
    Aim("p99 from a grant to the number in a visitor's browser", "browser", "SQLite", "", "below", 500),
    Aim("lane off ÷ lane on", "hot", "SQLite, lane off", "SQLite", "reported"),
)


def verdicts(found: Figures) -> list[AimVerdict]:
    """All aims, in the order of the table."""
    return [_verdict(aim, found) for aim in AIMS]


def _verdict(aim: Aim, found: Figures) -> AimVerdict:
    words = {"at least": f"≥ {aim.bound:g}", "below": f"< {aim.bound:g} ms", "reported": "reported"}
    what = aim.what
    if aim.section == "growth" and (sitting := found.get("growth")):
        what = what.replace("many reservations", sitting.conditions["reservations in the filled database"] + " rows")
    named = [case for case in (aim.case, aim.reference) if case]
    lacking = [why for case in named if (why := figures.why_missing(found, aim.section, case))]
    if lacking:
        return AimVerdict(what, words[aim.sense], f"not measured ({lacking[0]})", None)
    cases = found[aim.section].cases
    measured, reference = cases[aim.case], cases.get(aim.reference)
    spread = figures.p99_ms(measured) if reference is None else figures.ratio(measured, reference)
    late = measured.late()
    shown = ", ".join(filter(None, [_shown(spread, aim), _processor(measured, reference), late]))
    return AimVerdict(what, words[aim.sense], shown, _met(spread.median, aim) and not late)


def _processor(measured: CaseFigures, reference: CaseFigures | None) -> str:
    found = None if reference is None else figures.processor_ratio(measured, reference)
    return "" if found is None else f"processor time {found:.2f}"


def _shown(spread: Spread, aim: Aim) -> str:
    places = 2 if aim.reference and spread.median < 10 else 1  # noqa: PLR2004 - three digits are enough
    unit = "" if aim.reference else " ms"
    median, low, high = (f"{value:.{places}f}" for value in spread)
    return f"{median}{unit} ({low} to {high})"


def _met(median: float, aim: Aim) -> bool | None:
    if aim.sense == "reported":
        return None
    return median >= aim.bound if aim.sense == "at least" else median < aim.bound
