"""The steps of fan-out and delivery: atomic operations on one document each. Every class says its guard."""

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

from msgspec.structs import replace
from typing_extensions import override

from model.deliveries.documents import ClaimedGroup, DeliveryDocuments, EventName, GroupDoc, NextTry
from model.scene_space import SceneStep


class Publish(SceneStep[bool], frozen=True):
    """An event comes into the log, at its end."""

    may_be_lost: ClassVar[bool] = False
    label: ClassVar[str] = "event"
    event: EventName

    @override
    def apply(self, before: DeliveryDocuments) -> tuple[DeliveryDocuments, bool]:
        return replace(before, log=(*before.log, self.event)), True


class SeenEndpoint(NamedTuple):
    """The endpoint as fan-out reads it. `replays` counts its replays."""

    seen: int
    replay_to: int
    replays: int


class RaisedGroup(NamedTuple):
    """Further events of a subject, as in `GroupRaise`."""

    subject: str
    first: int
    last: int
    again: bool
    previous: int | None


class ReadEndpoint(SceneStep[SeenEndpoint], frozen=True):
    """Read the endpoint."""

    writes: ClassVar[bool] = False

    @override
    def apply(self, before: DeliveryDocuments) -> tuple[DeliveryDocuments, SeenEndpoint]:
        return before, SeenEndpoint(before.seen, before.replay_to, before.replays)


class ReadLogPage(SceneStep[tuple[int, tuple[RaisedGroup, ...]]], frozen=True):
    """Read a page of the log. The reply is the place that was looked to, and the groups that its events raise."""

    writes: ClassVar[bool] = False
    endpoint: SeenEndpoint
    most: int

    @override
    def apply(self, before: DeliveryDocuments) -> tuple[DeliveryDocuments, tuple[int, tuple[RaisedGroup, ...]]]:
        beyond = self.endpoint.seen
        page = list(enumerate(before.log, start=1))[beyond : beyond + self.most]
        by_subject: dict[str, list[tuple[int, int]]] = {}
        for place, (subject, n) in page:
            if (subject, n) not in before.unwanted:
                by_subject.setdefault(subject, []).append((place, n))
        raises = []
        for subject, events in sorted(by_subject.items()):
            again = events[0][0] <= self.endpoint.replay_to
            previous = before.previous(subject, events[0][1]) if again else None
            raises.append(RaisedGroup(subject, events[0][1], events[-1][1], again, previous))
        return before, (max(beyond, page[-1][0] if page else 0), tuple(raises))


class InsertGroup(SceneStep[bool], frozen=True):
    """Insert a new group, which is due. Guard: the subject has none."""

    label: ClassVar[str] = "insert"
    raised: RaisedGroup

    @override
    def apply(self, before: DeliveryDocuments) -> tuple[DeliveryDocuments, bool]:
        subject, first, last, _, previous = self.raised
        if before.group(subject) is not None:
            return before, False
        return before.with_group(GroupDoc(subject, first - 1, previous, last)), True


class BeginAgain(SceneStep[bool], frozen=True):
    """A replay: let the group begin again. Guard: the first event of the raise was done, or a turn may have sent it."""

    label: ClassVar[str] = "again"
    raised: RaisedGroup
    ends_turns: bool = True

    @override
    def apply(self, before: DeliveryDocuments) -> tuple[DeliveryDocuments, bool]:
        group = before.group(self.raised.subject)
        was_done = group is not None and group.done >= self.raised.first
        if group is None or not (was_done or (group.lease is not None and self.ends_turns)):
            return before, False
        done, previous = (self.raised.first - 1, self.raised.previous) if was_done else (group.done, group.previous)
        return before.with_group(GroupDoc(group.subject, done, previous, group.upto, round=group.round + 1)), True


class RaiseGroup(SceneStep[bool], frozen=True):
    """Raise `upto` of a group. If it was idle, and has something to do, it becomes due."""

    label: ClassVar[str] = "raise"
    raised: RaisedGroup
    waiting_keeps_its_time: bool = True

    @override
    def apply(self, before: DeliveryDocuments) -> tuple[DeliveryDocuments, bool]:
        group = before.group(self.raised.subject)
        if group is None:
            return before, False
        upto, idle = max(group.upto, self.raised.last), group.next is NextTry.NEVER
        done = max(group.done, self.raised.first - 1) if idle else group.done
        due = upto > group.done and (idle or not self.waiting_keeps_its_time)
        after = replace(group, upto=upto, done=done, next=NextTry.NOW if due else group.next)
        fault = before.fault
        if group.next is NextTry.LATER and after.next is not NextTry.LATER:
            fault = fault or f"BACK-OFF: {group.subject} is due before its time"
        return replace(before.with_group(after), fault=fault), True


class MoveSeen(SceneStep[bool], frozen=True):
    """Move the endpoint's place in the log. Guard: it is where it was read, and no replay has begun since."""

    label: ClassVar[str] = "seen"
    read: SeenEndpoint
    seen: int
    of_one_replay: bool = True

    @override
    def apply(self, before: DeliveryDocuments) -> tuple[DeliveryDocuments, bool]:
        if before.seen != self.read.seen or (self.of_one_replay and before.replays != self.read.replays):
            return before, False
        return replace(before, seen=self.seen), True


class StartReplay(SceneStep[bool], frozen=True):
    """An admin lets the endpoint have all events of the log after a place, once more."""

    may_be_lost: ClassVar[bool] = False
    label: ClassVar[str] = "replay"
    after: int

    @override
    def apply(self, before: DeliveryDocuments) -> tuple[DeliveryDocuments, bool]:
        owed = frozenset(event for event in before.log[self.after :] if event not in before.unwanted)
        replays = before.replays + 1
        return replace(before, seen=self.after, replay_to=len(before.log), replays=replays, owed=owed), True


class ReadDue(SceneStep[tuple[str, ...]], frozen=True):
    """Read which groups are due and not leased."""

    writes: ClassVar[bool] = False
    if_free: bool = True

    @override
    def apply(self, before: DeliveryDocuments) -> tuple[DeliveryDocuments, tuple[str, ...]]:
        return before, tuple(group.subject for group in before.groups if _is_free(group, if_free=self.if_free))


class ClaimGroup(SceneStep[bool], frozen=True):
    """Lease a group. Guard: it is due, and nobody has an unexpired lease of it."""

    label: ClassVar[str] = "claim"
    subject: str
    lease: str
    if_free: bool = True

    @override
    def apply(self, before: DeliveryDocuments) -> tuple[DeliveryDocuments, bool]:
        group = before.group(self.subject)
        if group is None or not _is_free(group, if_free=self.if_free):
            return before, False
        fault = before.fault
        if group.holder is not None:
            fault = fault or f"TWO LEASES of {group.subject}: {group.holder} and {self.lease}"
        after = replace(group, lease=self.lease, is_leased=True, holder=self.lease)
        return replace(before.with_group(after), fault=fault), True


class ReadClaimed(SceneStep[tuple[ClaimedGroup, ...]], frozen=True):
    """Read the groups that have the lease."""

    writes: ClassVar[bool] = False
    lease: str

    @override
    def apply(self, before: DeliveryDocuments) -> tuple[DeliveryDocuments, tuple[ClaimedGroup, ...]]:
        return before, tuple(
            ClaimedGroup(group.subject, group.done, group.previous, group.upto, group.tries, group.round)
            for group in before.groups
            if group.lease == self.lease
        )


class ReadWanted(SceneStep[int | None], frozen=True):
    """Read the number of the next event of a turn; None if there is none. Events of the log never change."""

    writes: ClassVar[bool] = False
    subject: str
    done: int
    upto: int

    @override
    def apply(self, before: DeliveryDocuments) -> tuple[DeliveryDocuments, int | None]:
        numbers = [n for n in before.wanted(self.subject) if self.done < n <= self.upto]
        return before, min(numbers, default=None)


class Send(SceneStep[bool], frozen=True):
    """Send an event to the receiver: received and answered, received only, or neither."""

    label: ClassVar[str] = "SEND"
    event: EventName
    previous: int | None
    round: int

    @override
    def apply(self, before: DeliveryDocuments) -> tuple[DeliveryDocuments, bool]:
        return self._received(before), True

    @override
    def outcomes(self, before: DeliveryDocuments) -> Sequence[tuple[Any, bool]]:
        if not before.failures:
            return [self.apply(before)]
        failing = replace(before, failures=before.failures - 1)
        return [self.apply(before), (self._received(failing), False), (failing, False)]

    def _received(self, before: DeliveryDocuments) -> DeliveryDocuments:
        received, owed = before.received | {self.event}, before.owed - {self.event}
        after = replace(before, received=received, owed=owed, fault=before.fault or self._fault(before))
        group = before.group(self.event[0])
        if group is not None and group.round and group.round == self.round:
            after = after.with_group(replace(group, got=tuple(sorted({*group.got, self.event[1]}))))
        return after

    def _fault(self, before: DeliveryDocuments) -> str | None:
        """An event comes after all those before it, once more in a replay; apart from those that were given up."""
        subject, n = self.event
        if self.previous != before.previous(subject, n):
            return f"PREVIOUS of {subject}-{n} is {self.previous}, should be {before.previous(subject, n)}"
        earlier = [m for m in before.wanted(subject) if m < n and (subject, m) not in before.given_up]
        if any((subject, m) not in before.received for m in earlier):
            return f"OUT OF ORDER: {subject}-{n} is received before an earlier event"
        group = before.group(subject)
        if group is not None and group.got and group.round == self.round:
            missing = [m for m in earlier if m > group.got[0] and m not in group.got]
            if missing:
                return f"OUT OF ORDER: {subject}-{n} is received again before {missing[0]}"
        return None


class GiveUp(SceneStep[None], frozen=True):
    """An event was tried as often as may be. Only the model notes that."""

    writes: ClassVar[bool] = False
    label: ClassVar[str] = "give up"
    event: EventName

    @override
    def apply(self, before: DeliveryDocuments) -> tuple[DeliveryDocuments, None]:
        return replace(before, given_up=before.given_up | {self.event}, owed=before.owed - {self.event}), None


class EndTurn(SceneStep[bool], frozen=True):
    """Write what came of a turn, and end its lease. Without `later`, the group is due if it has more events.

    Guard: the group has this lease.
    """

    label: ClassVar[str] = "end"
    lease: str
    subject: str
    done: int
    previous: int | None
    tries: int
    later: bool
    by_lease: bool = True
    busy_stays_due: bool = True

    @override
    def apply(self, before: DeliveryDocuments) -> tuple[DeliveryDocuments, bool]:
        group = before.group(self.subject)
        if group is None or (self.by_lease and group.lease != self.lease):
            return before, False
        more = group.upto > self.done and self.busy_stays_due
        following = NextTry.LATER if self.later else NextTry.NOW if more else NextTry.NEVER
        after = replace(
            group,
            done=self.done,
            previous=self.previous,
            tries=self.tries,
            next=following,
            lease=None,
            is_leased=False,
            holder=None if group.holder == self.lease else group.holder,
        )
        return before.with_group(after), True


def _is_free(group: GroupDoc, *, if_free: bool) -> bool:
    return group.next is NextTry.NOW and not (group.is_leased and if_free)
