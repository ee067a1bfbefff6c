"""The processes of the log's model: transitions, relays, readers."""

from typing import NamedTuple

from model.event_log.documents import EventKey, PlaceBatch, SubjectDoc
from model.event_log.fences import LogFences
from model.event_log.steps import (
    Append,
    CloseBatch,
    InsertEvent,
    ReadListed,
    ReadLog,
    ReadPage,
    ReadPlaced,
    TakeBatch,
    Unlist,
    WritePlace,
)
from model.processes import ModelActor, Program
from model.scene_space import carry_out
from model.steps import ReplyLostError


async def transitions(actor: ModelActor, subjects: tuple[str, ...]) -> Program | None:
    """Make a transition of each subject in turn."""
    await Append(subjects[0])
    return Program(actor.name, transitions, (subjects[1:],)) if subjects[1:] else None


class RelayWork(NamedTuple):
    """The place of a relay in its work: so many passes are left, and it is at this kind of documents.

    A kind is named by whether its trails stay.
    """

    fences: LogFences
    kinds: tuple[bool, ...]
    passes: int
    at: int = 0


class _Copied(NamedTuple):
    """The documents that a relay read, and the events of their trails."""

    documents: tuple[SubjectDoc, ...]
    keys: tuple[EventKey, ...]


async def relay(actor: ModelActor, work: RelayWork) -> Program | None:
    """Copy the trails of the listed documents, kind after kind. After a lost reply the next pass begins."""
    if work.at == len(work.kinds):
        return _next_pass(actor, work)
    documents = await ReadListed(work.kinds[work.at])
    if not documents:
        return Program(actor.name, relay, (work._replace(at=work.at + 1),))
    copied = _Copied(documents, tuple((document.id, n) for document in documents for n in document.numbers))
    return Program(actor.name, _insert, (work, copied))


def _next_pass(actor: ModelActor, work: RelayWork) -> Program | None:
    return Program(actor.name, relay, (work._replace(passes=work.passes - 1, at=0),)) if work.passes > 1 else None


async def _insert(actor: ModelActor, work: RelayWork, copied: _Copied) -> Program | None:
    """E1. A fence left out, E3 comes before it, or right after it."""
    try:
        if not work.fences.inserted_before_unlisted:
            await _unlist(work, copied)
        await carry_out([InsertEvent(key) for key in copied.keys])
        if not work.fences.placed_before_unlisted:
            await _unlist(work, copied)
    except ReplyLostError:
        if work.fences.inserted_whole:
            return _next_pass(actor, work)
    return Program(actor.name, _allot, (work, copied))


async def _allot(actor: ModelActor, work: RelayWork, copied: _Copied) -> Program | None:
    """E2: give places to those of the events that have none."""
    finished = Program(actor.name, _finish, (work, copied))
    try:
        place, batch = await ReadLog()
        if batch is None:
            known = await ReadPlaced(copied.keys, place if work.fences.placed_in_closed_batches else None)
            mine = PlaceBatch(place, tuple(key for key in copied.keys if key not in known))
            if not mine.events:
                return finished
            if await TakeBatch(mine, work.fences.taken_if_none_open):
                await _carry_out(work.fences, mine)
                return finished
        else:
            await _carry_out(work.fences, batch)
    except ReplyLostError:
        return _next_pass(actor, work)
    return Program(actor.name, _allot, (work, copied))


async def _carry_out(fences: LogFences, batch: PlaceBatch) -> None:
    """Write the places of the batch, and close it."""
    close = CloseBatch(batch.first, len(batch.events))
    if not fences.carried_out_before_closed:
        await close
    await carry_out([WritePlace(key, place) for place, key in enumerate(batch.events, start=batch.first)])
    if fences.carried_out_before_closed:
        await close


async def _finish(actor: ModelActor, work: RelayWork, copied: _Copied) -> Program | None:
    """Go on with the next kind, after E3 in its place."""
    if work.fences.inserted_before_unlisted and work.fences.placed_before_unlisted:
        try:
            await _unlist(work, copied)
        except ReplyLostError:
            return _next_pass(actor, work)
    return Program(actor.name, relay, (work._replace(at=work.at + 1),))


async def _unlist(work: RelayWork, copied: _Copied) -> None:
    """E3."""
    guarded = work.fences.unlisted_by_length
    await carry_out([Unlist(document.id, document.trail_n if guarded else None) for document in copied.documents])


async def read_log(actor: ModelActor, fences: LogFences, pages: int, cursor: int = 0) -> Program | None:
    """Read so many pages of the log, from a cursor on."""
    place, _ = await ReadLog()
    last = place - 1 if fences.closed_batches_only else None
    reached = cursor
    if last is None or last > cursor:
        reached = await ReadPage(cursor, last, most=1)
    return Program(actor.name, read_log, (fences, pages - 1, reached)) if pages > 1 else None
