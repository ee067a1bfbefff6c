"""The processes of the deliveries' model: events, fan-out, delivery, replays."""

from contextlib import suppress
from typing import NamedTuple

from msgspec.structs import replace

from model.deliveries.documents import ClaimedGroup, EventName
from model.deliveries.fences import DeliveryFences
from model.deliveries.steps import (
    BeginAgain,
    ClaimGroup,
    EndTurn,
    GiveUp,
    InsertGroup,
    MoveSeen,
    Publish,
    RaisedGroup,
    RaiseGroup,
    ReadClaimed,
    ReadDue,
    ReadEndpoint,
    ReadLogPage,
    ReadWanted,
    Send,
    StartReplay,
)
from model.processes import ModelActor, Program
from model.scene_space import carry_out
from model.steps import ReplyLostError

TRIES_MAX = 2
"""After so many tries an event is given up."""

Raises = tuple[RaisedGroup, ...]


async def publish(actor: ModelActor, events: tuple[EventName, ...]) -> Program | None:
    """Let the events come into the log, one after the other."""
    await Publish(events[0])
    return Program(actor.name, publish, (events[1:],)) if events[1:] else None


async def replay(_actor: ModelActor, after: int) -> None:
    """Let the endpoint have the events after a place of the log once more."""
    await StartReplay(after)


async def fan_out(actor: ModelActor, fences: DeliveryFences, passes: int, most: int = 9) -> Program | None:
    """Raise the groups of the subjects in a page of the log. A pass has one page."""
    endpoint = await ReadEndpoint()
    looked_to, raises = await ReadLogPage(endpoint, most)
    again = Program(actor.name, fan_out, (fences, passes - 1, most)) if passes > 1 else None
    if looked_to <= endpoint.seen:
        return again
    move = MoveSeen(endpoint, looked_to, fences.seen_of_one_replay)
    with suppress(ReplyLostError):
        if fences.raised_before_seen:
            await _raise(fences, raises)
            await move
        elif await move:
            await _raise(fences, raises)
    return again


async def _raise(fences: DeliveryFences, raises: Raises) -> None:
    there = [raised for raised in raises if not await InsertGroup(raised)]
    if any(raised.again for raised in there):
        await carry_out([BeginAgain(raised, fences.again_ends_turns) for raised in there if raised.again])
    if there:
        await carry_out([RaiseGroup(raised, fences.waiting_keeps_its_time) for raised in there])


async def deliver(actor: ModelActor, fences: DeliveryFences, passes: int) -> Program | None:
    """Claim the due groups under a fresh lease, and give each its turn."""
    lease = f"{actor.name}{passes}"
    again = _next_pass(actor, fences, passes)
    due = await ReadDue(fences.claimed_if_free)
    if not due:
        return again
    try:
        await carry_out([ClaimGroup(subject, lease, fences.claimed_if_free) for subject in due])
    except ReplyLostError:
        return again
    claimed = await ReadClaimed(lease)
    if not claimed:
        return again
    return Program(actor.name, _take_turns, (_Turns(fences, passes, lease, claimed),))


def _next_pass(actor: ModelActor, fences: DeliveryFences, passes: int) -> Program | None:
    return Program(actor.name, deliver, (fences, passes - 1)) if passes > 1 else None


class _Turns(NamedTuple):
    """The groups whose turns aren't over, and the ends of the other turns."""

    fences: DeliveryFences
    passes: int
    lease: str
    groups: tuple[ClaimedGroup, ...]
    ends: tuple[EndTurn, ...] = ()


async def _take_turns(actor: ModelActor, turns: _Turns) -> Program | None:
    """Send the next event of the first group. After the last one, write what came of all turns."""
    if not turns.groups:
        with suppress(ReplyLostError):
            await carry_out(turns.ends)
        return _next_pass(actor, turns.fences, turns.passes)
    group, *others = turns.groups
    n = await ReadWanted(group.subject, group.done, group.upto)
    if n is None:
        end = _end(turns, replace(group, done=group.upto, tries=0), later=False)
        return Program(actor.name, _take_turns, (turns._replace(groups=tuple(others), ends=(*turns.ends, end)),))
    try:
        answered = await Send((group.subject, n), group.previous, group.round)
    except ReplyLostError:
        answered = False
    tries = group.tries + 1
    if not answered and tries < TRIES_MAX:
        end = _end(turns, replace(group, tries=tries), later=True)
        return Program(actor.name, _take_turns, (turns._replace(groups=tuple(others), ends=(*turns.ends, end)),))
    if not answered:
        await GiveUp((group.subject, n))
    after = replace(group, done=n, previous=n, tries=0)
    return Program(actor.name, _take_turns, (turns._replace(groups=(after, *others)),))


def _end(turns: _Turns, group: ClaimedGroup, *, later: bool) -> EndTurn:
    return EndTurn(
        lease=turns.lease,
        subject=group.subject,
        done=group.done,
        previous=group.previous,
        tries=group.tries,
        later=later,
        by_lease=turns.fences.ended_by_lease,
        busy_stays_due=turns.fences.busy_stays_due,
    )
