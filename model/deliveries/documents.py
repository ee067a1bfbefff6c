"""The documents of the deliveries' model: the log, an endpoint, its groups; and what its receiver got."""

from enum import Enum

from msgspec import Struct
from msgspec.structs import replace

EventName = tuple[str, int]
"""A subject, and the number of an event of it."""


class NextTry(Enum):
    """When a group's next event is sent. Times are left out of the model."""

    NEVER = "idle"
    LATER = "waiting"
    NOW = "due"

    def __str__(self) -> str:
        return self.value


class GroupDoc(Struct, frozen=True):
    """A group: of the subject's events after `done`, up to `upto`.

    The last three fields aren't in the database: who holds an unexpired lease, how often the group began again because
    of a replay, and the numbers that were received since then.
    """

    subject: str
    done: int
    previous: int | None
    upto: int
    tries: int = 0
    next: NextTry = NextTry.NOW
    lease: str | None = None
    is_leased: bool = False
    holder: str | None = None
    round: int = 0
    got: tuple[int, ...] = ()


class ClaimedGroup(Struct, frozen=True):
    """A group as a process claimed it."""

    subject: str
    done: int
    previous: int | None
    upto: int
    tries: int
    round: int


class DeliveryDocuments(Struct, frozen=True, cache_hash=True):
    """All documents, with the failures that may still come.

    `owed` are the events that were asked for once more by a replay, and weren't received since. `given_up` were tried
    as often as may be. `fault` is the first mistake that was noticed.
    """

    log: tuple[EventName, ...] = ()
    unwanted: tuple[EventName, ...] = ()
    seen: int = 0
    replay_to: int = 0
    replays: int = 0
    groups: tuple[GroupDoc, ...] = ()
    failures: int = 0
    received: frozenset[EventName] = frozenset()
    given_up: frozenset[EventName] = frozenset()
    owed: frozenset[EventName] = frozenset()
    fault: str | None = None

    def group(self, subject: str) -> GroupDoc | None:
        """The group of the subject; None if there is none."""
        return next((each for each in self.groups if each.subject == subject), None)

    def with_group(self, changed: GroupDoc) -> "DeliveryDocuments":
        """The documents with the group."""
        others = [each for each in self.groups if each.subject != changed.subject]
        return replace(self, groups=tuple(sorted([*others, changed], key=lambda group: group.subject)))

    def wanted(self, subject: str) -> list[int]:
        """The numbers of the subject's events that the endpoint wants."""
        return [n for name, n in self.log if name == subject and (name, n) not in self.unwanted]

    def previous(self, subject: str, before: int) -> int | None:
        """The number of the wanted event before this number; None if there is none."""
        return max((n for n in self.wanted(subject) if n < before), default=None)
