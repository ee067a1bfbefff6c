"""Mutants of the trail, of the log of events and of pauses, which the simulation has to catch."""

from typing import Final

from tests.mutants.mutants import Mutant

_EVENT_LOG: Final = "stores/mongo/event_log.py"
_DELIVERIES: Final = "service/deliveries.py"

OF_EVENTS_ON_MONGO: Final = (
    Mutant(
        "a trail is taken off the list whatever was added meanwhile",
        '{"trail_n": count}',
        "{}",
        _EVENT_LOG,
    ),
    Mutant(
        "a trail is taken off the list before it is in the log",
        "    await _log(database, events)\n    await _unlist(database, source, documents)\n",
        "    await _unlist(database, source, documents)\n    await _log(database, events)\n",
        _EVENT_LOG,
    ),
    Mutant(
        "readers see the places of an open batch",
        "    last = await last_place(database)\n    looked_to,",
        "    last = 10**9\n    looked_to,",
        _EVENT_LOG,
    ),
    Mutant(
        "a batch is closed before it is carried out",
        '    await update_all(database, "events", without, [{"$set": {"place": place}}])\n    closed =',
        "    closed =",
        _EVENT_LOG,
    ),
    Mutant(
        "events that a command missed get no place",
        "        if not await database.find(collection,",
        "        if True or not await database.find(collection,",
        "stores/mongo/alike.py",
    ),
    Mutant(
        "an open batch is overwritten",
        'mine = {"_id": _LOG, "next": place, "batch": None}',
        'mine = {"_id": _LOG, "next": place}',
        _EVENT_LOG,
    ),
    Mutant(
        "readers go on behind events that an old read doesn't show",
        "most=most + 1, current=True",
        "most=most + 1",
        _EVENT_LOG,
    ),
    Mutant(
        "a confirmation isn't recorded",
        "    change = recording(change, entry(EventType.RESERVATION_CONFIRMED, now, by))\n",
        "",
        "stores/mongo/reservation_writes.py",
    ),
    Mutant(
        "a release isn't recorded",
        "    change = recording(change, entry(_EVENT[mode], cutoff, by))\n",
        "",
        "stores/mongo/release_movement.py",
    ),
    Mutant(
        "an entry doesn't put its document on the list",
        '"$set": {**change.get("$set", {}), "ship_at": added[0]["at"]},',
        '"$set": {**change.get("$set", {})},',
        "stores/mongo/trail.py",
    ),
)

OF_DELIVERIES: Final = (
    Mutant(
        "a failed event is skipped",
        "                    return _GroupTurn(DeliveryEnd(delivery, done, previous, tries, at_ms), attempts)\n",
        "                    return _GroupTurn(DeliveryEnd(delivery, event.n, event.n, 0, at_ms), attempts)\n",
        _DELIVERIES,
    ),
    Mutant(
        "an event that was given up isn't named as the one before",
        "return _GroupTurn(DeliveryEnd(delivery, event.n, event.n, 0, None), attempts)",
        "return _GroupTurn(DeliveryEnd(delivery, event.n, previous, 0, None), attempts)",
        _DELIVERIES,
    ),
    Mutant(
        "the rest of a group is sent after a failure",
        "                case Retry(at_ms):\n",
        "                case Retry(at_ms):\n"
        "                    if event is not due[-1]:\n                        continue\n",
        _DELIVERIES,
    ),
)

OF_DELIVERIES_ON_MONGO: Final = (
    Mutant(
        "a group that got events in its turn becomes idle",
        '        next_at = {"$cond": [{"$gt": ["$upto", end.done]}, now, None]}\n',
        "        pass\n",
        "stores/mongo/deliveries.py",
    ),
    Mutant(
        "the log counts as seen before the groups are raised",
        "        if raises:\n            await self._raise(endpoint.id, raises, now)\n        change =",
        "        change =",
        "stores/mongo/deliveries.py",
    ),
)

OF_DELIVERIES_ON_SQLITE: Final = (
    Mutant(
        "a claimed group is claimed again",
        "next_at <= ?2 AND leased_until <= ?2 ORDER BY",
        "next_at <= ?2 ORDER BY",
        "stores/sqlite/deliveries.py",
    ),
    Mutant(
        "a group that got events in its turn becomes idle on SQLite",
        "WHEN upto > ?4 THEN ?8 END",
        "END",
        "stores/sqlite/deliveries.py",
    ),
)

OF_PAUSES_ON_MONGO: Final = (
    Mutant(
        "a pause of all leaves the revision",
        '"$inc": {"rev": 1}, "$max"',
        '"$inc": {"rev": 0}, "$max"',
        "stores/mongo/pauses.py",
    ),
)

OF_PAUSES: Final = (
    Mutant(
        "the pause of one product has no effect",
        "if product.pause_reason is not None or product.shop_pause_reason is not None:",
        "if product.shop_pause_reason is not None:",
        "core/sale.py",
    ),
)

OF_EVENTS_ON_SQLITE: Final = (
    Mutant(
        "an extension is told with the number of the event before it",
        "extensions=before.extensions + 1, trail_n=before.trail_n + 1",
        "extensions=before.extensions + 1",
        "core/book.py",
    ),
    Mutant(
        "a return is told with the next number",
        "n=after.trail_n,\n        type=type_,",
        "n=after.trail_n + (type_ is EventType.RESERVATION_RETURNED),\n        type=type_,",
        "core/trail.py",
    ),
    Mutant(
        "a confirmation isn't counted",
        "confirmed_at = ?2, trail_n = ?3 WHERE id = ?1",
        "confirmed_at = ?2 WHERE id = ?1 AND ?3",
        "stores/sqlite/rows.py",
    ),
    Mutant(
        "only the first event of a flush is written",
        "record(connection, events_of(plan.effects, grants=self._logs_grants))",
        "record(connection, events_of(plan.effects, grants=self._logs_grants)[:1])",
        "stores/sqlite/store.py",
    ),
)
