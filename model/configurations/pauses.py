"""Pauses: every fence in its place, and each left out."""

from typing import Final

from model.configuration import Configuration
from model.pauses.documents import PausedProduct, PauseState
from model.pauses.fences import ALL_PAUSE_FENCES, PauseFences
from model.pauses.processes import change_all, make_product, pause_one, reserve_one, start_products, undo_reserves
from model.pauses.rules import PauseRules
from model.processes import Program
from model.scene_space import SceneSetting

A: Final = PausedProduct("A")
TWO_UNITS: Final = PausedProduct("A", available=2)
UNDO: Final = Program("V", undo_reserves, ("A",))


def scene(
    products: tuple[PausedProduct, ...],
    *processes: Program,
    losses: int = 0,
    fences: PauseFences = ALL_PAUSE_FENCES,
) -> SceneSetting[PauseState]:
    """A scene of pauses."""
    return SceneSetting(
        documents=PauseState(products), processes=processes, rules=PauseRules(), losses=losses, fences=fences
    )


def pauses(name: str, fences: PauseFences = ALL_PAUSE_FENCES, reason: str = "x") -> Program:
    """An admin who pauses all sales."""
    return Program(name, change_all, (fences, reason))


def resumes(name: str, fences: PauseFences = ALL_PAUSE_FENCES) -> Program:
    """An admin who resumes all sales."""
    return Program(name, change_all, (fences, None))


def pauses_one(fences: PauseFences = ALL_PAUSE_FENCES) -> Program:
    """An admin who pauses the product A alone."""
    return Program("O", pause_one, (fences, "A"))


def makes(fences: PauseFences = ALL_PAUSE_FENCES) -> Program:
    """A process that makes the product B."""
    return Program("N", make_product, (fences, "B"))


def starts(fences: PauseFences = ALL_PAUSE_FENCES) -> Program:
    """A process that starts products whose makers may have died."""
    return Program("S", start_products, (fences,))


def wants_one(name: str, product: str = "A", tries: int = 1) -> Program:
    """A process that reserves a unit."""
    return Program(name, reserve_one, (product, tries))


PAUSED: Final = (
    Configuration(
        "pause",
        "all sales are paused while two units are reserved, one of which is recovered",
        scene((TWO_UNITS,), pauses("P"), wants_one("R"), wants_one("Q"), UNDO),
    ),
    Configuration(
        "pause-lost",
        "all sales are paused while a unit is reserved, and any reply is lost",
        scene((A,), pauses("P"), wants_one("R", tries=2), UNDO, losses=1),
    ),
    Configuration(
        "pause-and-resume",
        "one admin pauses, another resumes, any reply is lost; a unit is reserved",
        scene((A,), pauses("P"), resumes("U"), wants_one("R"), losses=1),
    ),
    Configuration(
        "pause-twice",
        "two admins pause for two reasons, a third one resumes",
        scene((A,), pauses("P"), pauses("Q", reason="y"), resumes("U")),
        size="full",
    ),
    Configuration(
        "pause-twice-alike",
        "two admins pause for one reason, a third one resumes; a unit is reserved",
        scene((A,), pauses("P"), pauses("Q"), resumes("U"), wants_one("R")),
        size="full",
    ),
    Configuration(
        "pause-one",
        "a product is paused by itself while two units are reserved, one of which is recovered",
        scene((TWO_UNITS,), pauses_one(), wants_one("R"), wants_one("Q"), UNDO),
    ),
    Configuration(
        "pause-one-and-all",
        "a product is paused by itself, and all sales are paused and resumed; a unit is reserved",
        scene((A,), pauses_one(), pauses("P"), resumes("U"), wants_one("R")),
    ),
    Configuration(
        "pause-one-and-all-lost",
        "the same, and any reply is lost",
        scene((A,), pauses_one(), pauses("P"), resumes("U"), wants_one("R"), losses=1),
        size="full",
    ),
    Configuration(
        "pause-new",
        "a product is made while all sales are paused and resumed, and recovery starts it too",
        scene((), pauses("P"), resumes("U"), makes(), starts()),
    ),
    Configuration(
        "pause-new-reserved",
        "a product is made while all sales are paused, recovery starts it too, and a unit of it is reserved",
        scene((), pauses("P"), makes(), starts(), wants_one("R", "B")),
    ),
    Configuration(
        "pause-new-lost",
        "a product is made while all sales are paused and resumed, recovery starts it too, and any reply is lost",
        scene((), pauses("P"), resumes("U"), makes(), starts(), losses=1),
        size="full",
    ),
    Configuration(
        "pause-new-beside-another",
        "a product is made while the sales of another and all are paused and resumed",
        scene((A,), pauses("P"), resumes("U"), makes()),
        size="full",
    ),
    Configuration(
        "pause-new-by-three",
        "a product is made and reserved while two admins pause and one resumes",
        scene((), pauses("P"), pauses("Q", reason="y"), resumes("U"), makes(), wants_one("R", "B")),
        size="full",
    ),
)

_NO_REV: Final = PauseFences(raises_rev=False)
_NO_VERSION: Final = PauseFences(by_version=False)
_ANY_START: Final = PauseFences(started_if_starting=False)
_STARTED_BY_P2: Final = PauseFences(started_by_maker=False)
_STALE_START: Final = PauseFences(started_by_version=False)
_ON_SALE: Final = PauseFences(inserted_paused=False)
_READ_FIRST: Final = PauseFences(read_after_insert=False)
_NO_WAIT: Final = PauseFences(waits_for_settling=False)
_EDIT_NO_REV: Final = PauseFences(edited_by_rev=False)

PAUSE_FENCES_LEFT_OUT: Final = (
    Configuration(
        "pause-without-rev",
        "a reserve that was planned before the pause takes a unit",
        scene((A,), pauses("P", _NO_REV), wants_one("R"), fences=_NO_REV),
        "PAUSED",
    ),
    Configuration(
        "pause-without-version",
        "the messages of the earlier admin come last",
        scene((A,), pauses("P", _NO_VERSION), resumes("U", _NO_VERSION), fences=_NO_VERSION),
        "STATE",
    ),
    Configuration(
        "pause-without-starting",
        "the maker of a product that recovery has started writes the pause to it, and P2 leaves out its `rev`",
        scene(
            (), pauses("P", _ANY_START), makes(_ANY_START), starts(_ANY_START), wants_one("R", "B"), fences=_ANY_START
        ),
        "PAUSED",
    ),
    Configuration(
        "pause-without-maker",
        "an earlier end of a pause comes late to a product that is made during the next pause, and starts it",
        scene(
            (),
            resumes("U", _STARTED_BY_P2),
            pauses("P", _STARTED_BY_P2),
            makes(_STARTED_BY_P2),
            fences=_STARTED_BY_P2,
        ),
        "STATE",
    ),
    Configuration(
        "pause-without-version-of-start",
        "a product's maker read the shop before the pause, and starts the product after it",
        scene((), pauses("P", _STALE_START), makes(_STALE_START), fences=_STALE_START),
        "STATE",
    ),
    Configuration(
        "pause-without-a-paused-insert",
        "a product is on sale until its maker has read that all sales are paused",
        scene((), pauses("P", _ON_SALE), makes(_ON_SALE), fences=_ON_SALE),
        "ON SALE",
    ),
    Configuration(
        "pause-without-reading-later",
        "a product's maker reads the shop, all sales are paused, and the product is inserted and started",
        scene((), pauses("P", _READ_FIRST), makes(_READ_FIRST), fences=_READ_FIRST),
        "STATE",
    ),
    Configuration(
        "pause-without-settling",
        "a reserve that has passed R1 is granted after the answer",
        scene((A,), pauses("P", _NO_WAIT), wants_one("R"), fences=_NO_WAIT),
        "PAUSED",
    ),
    Configuration(
        "pause-without-edited-rev",
        "a reserve that was planned before a product's own pause takes a unit",
        scene((A,), pauses_one(_EDIT_NO_REV), wants_one("R"), fences=_EDIT_NO_REV),
        "PAUSED",
    ),
)
