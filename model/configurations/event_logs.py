"""The trails and the log of events: every fence in its place, and each left out."""

from typing import Final

from model.configuration import Configuration
from model.event_log.documents import LogState, SubjectDoc
from model.event_log.fences import ALL_LOG_FENCES, LogFences
from model.event_log.processes import RelayWork, read_log, relay, transitions
from model.event_log.rules import LogRules
from model.processes import Program
from model.scene_space import SceneSetting

KEPT: Final = SubjectDoc("r", keeps_trail=True)
"""A reservation, whose trail stays."""

EMPTIED: Final = SubjectDoc("p", keeps_trail=False)
"""A product, whose trail E3 empties."""


def scene(
    subjects: tuple[SubjectDoc, ...], *processes: Program, losses: int = 0, fences: LogFences = ALL_LOG_FENCES
) -> SceneSetting[LogState]:
    """A scene of the log."""
    return SceneSetting(
        documents=LogState(subjects), processes=processes, rules=LogRules(), losses=losses, fences=fences
    )


def changes(*subjects: str) -> Program:
    """A process that makes these transitions."""
    return Program("T", transitions, (subjects,))


def relays(
    *names: str, fences: LogFences = ALL_LOG_FENCES, kinds: tuple[bool, ...] = (True,), passes: int = 1
) -> tuple[Program, ...]:
    """Relays, the first of which makes so many passes, and the others one."""
    return tuple(
        Program(name, relay, (RelayWork(fences, kinds, 1 if place else passes),)) for place, name in enumerate(names)
    )


def reads(pages: int, fences: LogFences = ALL_LOG_FENCES) -> Program:
    """A reader of so many pages."""
    return Program("X", read_log, (fences, pages))


_BOTH: Final = (False, True)
_EMPTIED_ONLY: Final = (False,)

LOGGED: Final = (
    Configuration(
        "log-three",
        "a reservation changes three times; two relays",
        scene((KEPT,), changes("r", "r", "r"), *relays("A", "B")),
    ),
    Configuration(
        "log-lost",
        "a reservation changes twice; two relays, and any reply lost",
        scene((KEPT,), changes("r", "r"), *relays("A", "B", passes=2), losses=1),
    ),
    Configuration(
        "log-emptied",
        "a product changes twice, whose trail is emptied; two relays, and any reply lost",
        scene((EMPTIED,), changes("p", "p"), *relays("A", "B", kinds=_EMPTIED_ONLY, passes=2), losses=1),
    ),
    Configuration(
        "log-read",
        "a reservation changes twice; two relays, and a reader",
        scene((KEPT,), changes("r", "r"), *relays("A", "B"), reads(2)),
    ),
    Configuration(
        "log-of-two",
        "two reservations change, one of them twice; two relays",
        scene((KEPT, SubjectDoc("s", keeps_trail=True)), changes("r", "s", "r"), *relays("A", "B")),
        size="full",
    ),
    Configuration(
        "log-of-two-kinds",
        "a reservation changes twice and a product once; two relays, and a reader",
        scene((EMPTIED, KEPT), changes("r", "p", "r"), *relays("A", "B", kinds=_BOTH), reads(2)),
        size="full",
    ),
    Configuration(
        "log-two-lost",
        "a reservation changes twice; two relays, and any two replies lost",
        scene((KEPT,), changes("r", "r"), *relays("A", "B", passes=2), losses=2),
        size="full",
    ),
    Configuration(
        "log-three-lost",
        "a reservation changes three times; two relays, and any reply lost",
        scene((KEPT,), changes("r", "r", "r"), *relays("A", "B", passes=2), losses=1),
        size="full",
    ),
    Configuration(
        "log-three-emptied",
        "a product changes three times; two relays, and any reply lost",
        scene((EMPTIED,), changes("p", "p", "p"), *relays("A", "B", kinds=_EMPTIED_ONLY, passes=2), losses=1),
        size="full",
    ),
)

_NO_LENGTH: Final = LogFences(unlisted_by_length=False)
_E3_FIRST: Final = LogFences(inserted_before_unlisted=False)
_E3_SECOND: Final = LogFences(placed_before_unlisted=False)
_ALL_READ: Final = LogFences(closed_batches_only=False)
_OVER_OPEN: Final = LogFences(taken_if_none_open=False)
_CLOSED_FIRST: Final = LogFences(carried_out_before_closed=False)
_PART: Final = LogFences(inserted_whole=False)
_ANY_PLACE: Final = LogFences(placed_in_closed_batches=False)

LOG_FENCES_LEFT_OUT: Final = (
    Configuration(
        "log-without-length",
        "E3 takes a document off the list that has changed since E1",
        scene((KEPT,), changes("r", "r"), *relays("A", fences=_NO_LENGTH), fences=_NO_LENGTH),
        "UNLISTED",
    ),
    Configuration(
        "log-without-e1-first",
        "a relay dies between E3 and E1",
        scene((KEPT,), changes("r"), *relays("A", fences=_E3_FIRST), fences=_E3_FIRST),
        "UNLISTED",
    ),
    Configuration(
        "log-without-e2-first",
        "a relay dies between E3 and E2",
        scene((KEPT,), changes("r"), *relays("A", fences=_E3_SECOND), fences=_E3_SECOND),
        "UNLISTED",
    ),
    Configuration(
        "log-without-closed-batches",
        "a reader sees the second place of an open batch before the first",
        scene((KEPT,), changes("r", "r"), *relays("A", fences=_ALL_READ), reads(1, _ALL_READ), fences=_ALL_READ),
        "READER",
    ),
    Configuration(
        "log-without-none-open",
        "a batch is put in the place of an open one, and closed with the other's size",
        scene((KEPT,), changes("r", "r"), *relays("A", "B", fences=_OVER_OPEN), fences=_OVER_OPEN),
        "HIDDEN",
    ),
    Configuration(
        "log-without-carrying-out",
        "a batch is closed before its places are written",
        scene((KEPT,), changes("r"), *relays("A", fences=_CLOSED_FIRST), fences=_CLOSED_FIRST),
        "GAP",
    ),
    Configuration(
        "log-without-whole-insert",
        "the reply to E1 is lost, and the relay goes on to E2",
        scene((KEPT,), changes("r"), *relays("A", fences=_PART), losses=1, fences=_PART),
        "GAP",
    ),
    Configuration(
        "log-without-closed-places",
        "a relay dies while its batch is open, another finds the places written, and takes the document off the list",
        scene((KEPT,), changes("r"), *relays("A", "B", fences=_ANY_PLACE), fences=_ANY_PLACE),
        "HIDDEN",
    ),
)
