"""An election, as readers see it: for a while, majority reads show less than was acknowledged."""

from enum import Enum, auto
from typing import NamedTuple


class Phase(Enum):
    """How far an election has come."""

    KNOWN = auto()
    """The next primary has got as far as this state; more was acknowledged since, perhaps."""
    STALE = auto()
    """It has taken over. Its majority reads show that state."""
    OVER = auto()
    """It has caught up."""


class Election(NamedTuple):
    """The election's phase, and the number of the database as the next primary knows it."""

    phase: Phase
    database: int = 0


def next_phase(election: Election | None, database: int) -> tuple[str, Election] | None:
    """How an election goes on, in words and as a state; None if it can't. `database` is what is acknowledged now."""
    match election:
        case None:
            return "the next primary has got this far", Election(Phase.KNOWN, database)
        case Election(Phase.KNOWN, known):
            return (
                ("it is elected, and its reads are stale", Election(Phase.STALE, known)) if known != database else None
            )
        case Election(Phase.STALE):
            return "the new primary has caught up", Election(Phase.OVER)
        case Election():
            return None


def database_read(election: Election | None, database: int) -> int:
    """The database that a majority read shows."""
    return election.database if election is not None and election.phase is Phase.STALE else database


def after_write(election: Election | None) -> Election | None:
    """The election once a write was acknowledged: by then, a new primary's majority has caught up."""
    return Election(Phase.OVER) if election is not None and election.phase is Phase.STALE else election
