"""Mutants of the MongoDB store, which the simulation or the checker of the real code has to catch."""

from typing import Final

from tests.mutants.mutants import Mutant

_MONGO: Final = "stores/mongo"
_RESERVE_MOVEMENT: Final = f"{_MONGO}/reserve_movement.py"
_RELEASE_MOVEMENT: Final = f"{_MONGO}/release_movement.py"
_RETURN_MOVEMENT: Final = f"{_MONGO}/return_movement.py"
_RECOVERY: Final = f"{_MONGO}/recovery.py"
_RESERVATION_WRITES: Final = f"{_MONGO}/reservation_writes.py"
_INTENTS: Final = f"{_MONGO}/intents.py"
_FLUSH: Final = f"{_MONGO}/flush.py"
_PRODUCT_WRITES: Final = f"{_MONGO}/product_writes.py"

OF_MONGO: Final = (
    Mutant(
        "the first step is sent twice",
        "        return await _read_which_opened(database, [sent], seen)",
        '        found = await database.find_one_and_update("products", *step, fields=PRODUCT_FIELDS)',
        _INTENTS,
    ),
    Mutant(
        "a lost insert is refused without a VOID",
        'return await decide(database, f, {document["_id"]: document["user_id"] for document in documents})',
        'return {document["_id"]: WriteResult.REFUSED for document in documents}',
        _RESERVE_MOVEMENT,
    ),
    Mutant(
        "a duplicate id is taken as done",
        "return {id_: WriteResult.APPLIED if standing.get(id_) else WriteResult.REFUSED for id_ in ids}",
        "return dict.fromkeys(ids, WriteResult.APPLIED)",
        _RESERVE_MOVEMENT,
    ),
    Mutant(
        "it is settled without its guard",
        '{"_id": settlement.product_id, "intents": {"$elemMatch": mine}},',
        '{"_id": settlement.product_id},',
        _INTENTS,
    ),
    Mutant(
        "a claim isn't pulled on release",
        '        "$pull": {"claims": {"$regex": "^limit:"}},\n',
        "",
        _RELEASE_MOVEMENT,
    ),
    Mutant(
        "an open hold's place isn't given up on release",
        '        "$unset": {"open": ""},\n',
        "",
        _RELEASE_MOVEMENT,
    ),
    Mutant(
        "an open hold's place isn't given up on confirming",
        '        "$unset": {"open": ""},\n',
        "",
        _RESERVATION_WRITES,
    ),
    Mutant(
        "claims of quotas aren't kept",
        "        document[kind] = place\n",
        "        del place\n",
        f"{_MONGO}/documents.py",
    ),
    Mutant(
        "more is taken than is available",
        '"available": {"$gte": units}}',
        '"available": {"$gt": 0}}',
        _RESERVE_MOVEMENT,
    ),
    Mutant(
        "one unit more is taken than is available",
        '"available": {"$gte": units}}',
        '"available": {"$gte": units - 1}}',
        _RESERVE_MOVEMENT,
    ),
    Mutant(
        "the intent stays when it is settled",
        ', "$pull": {"intents": mine}},',
        "},",
        _INTENTS,
    ),
    Mutant(
        "a settlement that rides along sweeps out all movements",
        'change["intents"] = {"$concatArrays": [others, [',
        'change["intents"] = {"$concatArrays": [[], [',
        _INTENTS,
    ),
    Mutant(
        "a lost bulk is taken as carried out",
        "        if (product_id, movement.f, movement.owner) in there\n",
        "",
        _INTENTS,
    ),
    Mutant(
        "what a basket took before isn't given back",
        "of_each = [(planned, results.get(planned.effect.reservation.id, WriteResult.REFUSED))",
        "of_each = [(planned, results.get(planned.effect.reservation.id, WriteResult.APPLIED))",
        _RESERVE_MOVEMENT,
    ),
    Mutant(
        "it is settled although a result is unknown",
        "        if any(result is WriteResult.UNKNOWN for _, result in of_each):\n            continue\n",
        "",
        _RESERVE_MOVEMENT,
    ),
    Mutant(
        "an occupied id is taken as refused",
        "for place, id_ in enumerate(absent) if place not in occupied}",
        "for place, id_ in enumerate(absent)}",
        _RESERVE_MOVEMENT,
    ),
    Mutant(
        "an undecided insert is taken as refused",
        "return {id_: results.get(id_, WriteResult.UNKNOWN) for id_ in user_ids}",
        "return {id_: results.get(id_, WriteResult.REFUSED) for id_ in user_ids}",
        _RESERVE_MOVEMENT,
    ),
    Mutant(
        "a purchase is released",
        'return {"status": Status.PENDING.value} |',
        'return {"status": {"$ne": "VOID"}} |',
        _RELEASE_MOVEMENT,
    ),
    Mutant(
        "a sweep doesn't look at the time again",
        '({"expires_at": lapsed(cutoff)} if mode == "sweep" else {})',
        "{}",
        _RELEASE_MOVEMENT,
    ),
    Mutant(
        "a basket is released with one product announced",
        "if all(line.product_id in announced for line in held.lines)]",
        "if any(line.product_id in announced for line in held.lines)]",
        _RELEASE_MOVEMENT,
    ),
    Mutant(
        "released units are counted whoever released them",
        '        if document.get("released_by") == f\n',
        "",
        _RELEASE_MOVEMENT,
    ),
    Mutant(
        "recover rolls forward",
        '    results = await decide(database, f, {item["id"]: item["user_id"] for item in items})\n',
        '    results = dict.fromkeys([item["id"] for item in items], WriteResult.APPLIED)\n',
        _RECOVERY,
    ),
    Mutant(
        "recover skips the VOID",
        '    results = await decide(database, f, {item["id"]: item["user_id"] for item in items})\n',
        '    found = await database.find("reservations", {"_id": {"$in": [item["id"] for item in items]}})\n'
        '    there = {each["_id"] for each in found}\n'
        "    applied, refused = WriteResult.APPLIED, WriteResult.REFUSED\n"
        '    results = {item["id"]: applied if item["id"] in there else refused for item in items}\n',
        _RECOVERY,
    ),
    Mutant(
        "recover settles although a result is unknown",
        "    if WriteResult.UNKNOWN in results.values():\n        return None\n",
        "",
        _RECOVERY,
    ),
    Mutant(
        "recover releases a basket under another's id",
        'singles = [document["_id"] for document in found if len(document["lines"]) == 1]',
        'singles = [document["_id"] for document in found]',
        _RECOVERY,
    ),
    Mutant(
        "recover goes by its own time",
        'mode, cutoff = cast("Mode", intent["mode"]), intent["cutoff"]',
        'mode, cutoff = cast("Mode", intent["mode"]), now',
        _RECOVERY,
    ),
    Mutant(
        "nothing is ever old enough to recover",
        "ABANDONED_AFTER_MS: Final = 30_000",
        "ABANDONED_AFTER_MS: Final = 3_000_000",
        _RECOVERY,
    ),
    Mutant(
        "a confirmation isn't read back",
        "(WriteResult.APPLIED if confirmed else WriteResult.REFUSED)",
        "WriteResult.APPLIED",
        _RESERVATION_WRITES,
    ),
    Mutant("a lost label is told as nothing done", "            lost = True\n", "", _RESERVATION_WRITES),
    Mutant(
        "an extension moves back",
        '"expires_at": {**not_lapsed(now), "$lt": after.expires_at},\n        "extensions": after.extensions - 1,\n',
        '"expires_at": not_lapsed(now),\n',
        _RESERVATION_WRITES,
    ),
    Mutant(
        "a lost extension is taken as done",
        "    return WriteResult.UNKNOWN, held\n",
        "    return WriteResult.APPLIED, after\n",
        _RESERVATION_WRITES,
    ),
    Mutant(
        "a restock is carried out twice",
        '        "adjustments.key": {"$ne": wanted.key},\n',
        "",
        _PRODUCT_WRITES,
    ),
    Mutant(
        "stock is taken out that is held",
        '        "available": {"$gte": -wanted.change},\n',
        "",
        _PRODUCT_WRITES,
    ),
    Mutant(
        "a refusal stands on what wasn't written",
        "            elif result is None and results.all_applied:",
        "            elif result is None:",
        _FLUSH,
    ),
    Mutant(
        "an unknown outcome is told as nothing done",
        "            elif result is WriteResult.UNKNOWN:\n                self._outcomes[place] = OutcomeUnknown()",
        "            elif result is WriteResult.UNKNOWN:\n"
        '                self._outcomes[place] = Unavailable("perhaps")',
        _FLUSH,
    ),
    Mutant(
        "the driver sends writes again by itself",
        "DRIVER_RETRIES_WRITES: Final = False",
        "DRIVER_RETRIES_WRITES: Final = True",
        f"{_MONGO}/database.py",
    ),
    Mutant(
        "an announced release is told as nothing done",
        "    return (WriteResult.IN_FLIGHT if anywhere else WriteResult.REFUSED), None",
        "    return WriteResult.REFUSED, None",
        _RELEASE_MOVEMENT,
    ),
    Mutant(
        "recovery has no room for a release of its own",
        "Releasing(mode, baskets, cutoff, by), now, Sightings(), bounded=False)",
        "Releasing(mode, baskets, cutoff, by), now, Sightings())",
        _RECOVERY,
    ),
    Mutant(
        "released units are counted on what an old read shows",
        "    return len(documents) == len(set(ids)) and not any(\n"
        "        may_still_match(document, mode, cutoff) for document in documents\n"
        "    )\n",
        "    return True\n",
        _RELEASE_MOVEMENT,
    ),
    Mutant(
        "a key is refused while an earlier request with it is in flight",
        "if (user_id, key) not in loaded.moving or ",
        "if loaded.current or ",
        _FLUSH,
    ),
    Mutant(
        "places in the quota of an hour aren't unique",
        '(("user_id", 1), ("hour", 1)), unique=True, ',
        '(("user_id", 1), ("hour", 1)), ',
        f"{_MONGO}/documents.py",
    ),
    Mutant(
        "places of open holds aren't unique",
        '(("user_id", 1), ("open", 1)), unique=True, ',
        '(("user_id", 1), ("open", 1)), ',
        f"{_MONGO}/documents.py",
    ),
    Mutant(
        "claims aren't unique",
        '        (("user_id", 1), ("claims", 1)),\n        unique=True,\n',
        '        (("user_id", 1), ("claims", 1)),\n',
        f"{_MONGO}/documents.py",
    ),
    Mutant(
        "a return is entered at any place",
        '        f"returns.{place}": {"$exists": False},\n'
        "    }\n"
        "    if place:\n"
        '        query[f"returns.{place - 1}"] = {"$exists": True}\n',
        "    }\n",
        _RETURN_MOVEMENT,
    ),
    Mutant(
        "a return is entered whatever the status",
        '        "status": returning.status.value,\n        f"returns',
        '        f"returns',
        _RETURN_MOVEMENT,
    ),
    Mutant(
        "a basket is returned with one product announced",
        "if len(opened.took) < len(returning.units):",
        "if not opened.took:",
        _RETURN_MOVEMENT,
    ),
    Mutant(
        "recover returns a basket under another's id",
        "    if len(returning.units) == 1:\n",
        "    if returning.units:\n",
        _RECOVERY,
    ),
    Mutant(
        "recovery has no room for a return of its own",
        "returning, now, Sightings(), bounded=False)",
        "returning, now, Sightings())",
        _RECOVERY,
    ),
    Mutant(
        "returned units are counted whoever returned them",
        '        if entry.get("f") == f\n',
        "",
        _RETURN_MOVEMENT,
    ),
    Mutant(
        "a return is settled without being counted",
        "Settlement(product_id, movement, units_returned(document, movement.f, product_id))",
        "Settlement(product_id, movement, returning.units[product_id])",
        _RETURN_MOVEMENT,
    ),
    Mutant(
        "a line doesn't count the units returned",
        "for number, units in enumerate(returning.returned)}",
        "for number, units in enumerate(returning.returned) if units < 0}",
        _RETURN_MOVEMENT,
    ),
    Mutant(
        "a claim isn't pulled on return",
        "    if returning.claims:\n",
        "    if not returning.claims:\n",
        _RETURN_MOVEMENT,
    ),
    Mutant(
        "a release gives back units that were returned before",
        'line["quantity"] - line.get("returned", 0)',
        'line["quantity"]',
        _RELEASE_MOVEMENT,
    ),
    Mutant(
        "the audit counts units that were returned",
        "total.live += line.left",
        "total.live += line.quantity",
        f"{_MONGO}/audit.py",
    ),
    Mutant(
        "an announced return is told as nothing done",
        "        return (WriteResult.IN_FLIGHT if opened.took or opened.in_flight else WriteResult.REFUSED), None\n",
        "        return WriteResult.REFUSED, None\n",
        _RETURN_MOVEMENT,
    ),
)

ONLY_OF_MODEL: Final = (
    Mutant(
        "a refused restock has no fence",
        'guard, {"$inc": {"refusals": 1}}, fields',
        'guard, {"$inc": {"moves": 0}}, fields',
        _PRODUCT_WRITES,
    ),
    Mutant(
        "returned units are counted on what an old read shows",
        'len(document.get("returns", ())) > returning.place',
        "True",
        _RETURN_MOVEMENT,
    ),
    Mutant(
        "a return is over once the status isn't the planned one",
        'document["status"] not in {Status.PENDING.value, returning.status.value}',
        'document["status"] != returning.status.value',
        _RETURN_MOVEMENT,
    ),
    Mutant(
        "a return is over once the customer isn't the planned one",
        'is_pseudonym(document["user_id"]) and not is_pseudonym(returning.user_id)',
        'document["user_id"] != returning.user_id',
        _RETURN_MOVEMENT,
    ),
    Mutant(
        "a return that was announced looks for its customer's reservation alone",
        '"reservations", {"_id": returning.reservation_id})',
        '"reservations", {"_id": returning.reservation_id, "user_id": returning.user_id})',
        _RETURN_MOVEMENT,
    ),
    Mutant(
        "a return is entered whoever has the reservation",
        '''        "user_id": returning.user_id,
        "status"''',
        '''        "status"''',
        _RETURN_MOVEMENT,
    ),
)
"""On MongoDB: found by the checker in `tests/modelcheck`, but by none of 3,000 seeds, as too much has to coincide."""
