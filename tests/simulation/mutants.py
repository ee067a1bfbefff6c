"""Mutants: plausible mistakes in the real code. The simulation has to catch each of them within its budget.

python -m tests.simulation.mutants                        all of them, with the seed that caught each
python -m tests.simulation.mutants --only NAME --only …   some of them
python -m tests.simulation.mutants --first 5              the first five
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

from tests.mutants.mutants import HOLDS, Mutant
from tests.mutants.mutants import MUTANTS as RULES
from tests.simulation.script import StoreName

import flashreserve

BUDGET: Final = 3_000
"""The number of seeds, from 0 on, within which a mutant has to be caught."""

ROOT: Final = Path(__file__).parents[2]
PACKAGE: Final = Path(flashreserve.__file__).parent

_MONGO: Final = "stores/mongo"
_RESERVE_MOVEMENT: Final = f"{_MONGO}/reserve_movement.py"
_RELEASE_MOVEMENT: Final = f"{_MONGO}/release_movement.py"
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
        "(WriteResult.APPLIED if held is not None and held.status is Status.CONFIRMED else WriteResult.REFUSED)",
        "WriteResult.APPLIED",
        _RESERVATION_WRITES,
    ),
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
        "            elif result is WriteResult.UNKNOWN or self._given_up(place):\n"
        "                self._outcomes[place] = OutcomeUnknown()",
        "            elif result is WriteResult.UNKNOWN or self._given_up(place):\n"
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
        "Sightings(), bounded=False)",
        "Sightings())",
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
        "        if claim not in loaded.moving:\n            return outcome\n",
        "        if loaded.current:\n            return outcome\n",
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
)

ONLY_OF_MODEL: Final = (
    Mutant(
        "a refused restock has no fence",
        'guard, {"$inc": {"refusals": 1}}, fields',
        'guard, {"$inc": {"moves": 0}}, fields',
        _PRODUCT_WRITES,
    ),
)
"""On MongoDB: found by the checker in `tests/modelcheck`, but by none of 3,000 seeds, as too much has to coincide."""

OF_ALL: Final = (
    Mutant(
        "who waits for a flush is told that nothing was taken",
        "if waiting.deadline <= now], OutcomeUnknown())",
        'if waiting.deadline <= now], Unavailable("too slow"))',
        "combiner.py",
    ),
    Mutant(
        "nobody minds the deadline",
        "self._clock.monotonic() + self._deadline_s",
        "self._clock.monotonic() + 100 * self._deadline_s",
        "combiner.py",
    ),
    Mutant(
        "a step of the clock is adopted at once",
        "elapsed_ms - step.since_ms < LASTING_MS",
        "elapsed_ms < step.since_ms",
        "clock.py",
    ),
    Mutant("old stock is believed", "STALE_AFTER_S: Final = 0.25", "STALE_AFTER_S: Final = 25", "stock_view.py"),
    Mutant(
        "a key isn't looked up where the stock is gone",
        "        if key is not None:\n            return None\n",
        "",
        "stock_view.py",
    ),
    Mutant(
        "an expired hold is told before it is released",
        "        book.release(reservation, Status.EXPIRED)\n    return Expired",
        "        pass\n    return Expired",
        HOLDS,
    ),
)

OF_SQLITE: Final = (
    Mutant(
        "a lost flush is told as nothing done",
        "            _answer_all(batch, OutcomeUnknown())",
        '            _answer_all(batch, Unavailable("lost"))',
        "combiner.py",
    ),
    Mutant(
        "a lapsed hold is confirmed",
        "    if over is not None:\n        return over\n    return Confirmed(",
        "    return Confirmed(",
        HOLDS,
    ),
    Mutant(
        "a failed commit is told as nothing done",
        '        raise StoreOutcomeUnknownError(f"commit: {error}") from error',
        '        raise StoreUnavailableError(f"commit: {error}") from error',
        "stores/sqlite/store.py",
    ),
    Mutant(
        "a failed commit is told as done",
        '        raise StoreOutcomeUnknownError(f"commit: {error}") from error',
        "        return result",
        "stores/sqlite/store.py",
    ),
    Mutant(
        "nothing holds a transaction together",
        '        connection.execute("BEGIN IMMEDIATE")',
        '        connection.execute("SELECT 1")',
        "stores/sqlite/store.py",
    ),
    Mutant(
        "a key that isn't filed yet is overlooked",
        "    return products, indexed | unindexed.holders(lookup.keys), ",
        "    return products, indexed, ",
        "stores/sqlite/facts.py",
    ),
    Mutant(
        "a hold that isn't filed yet counts for no quota",
        "chain(_indexed(of_filed), unindexed.counting(customers, now))",
        "_indexed(of_filed)",
        "stores/sqlite/facts.py",
    ),
    Mutant(
        "a hold that is filed counts for no quota",
        "chain(_indexed(of_filed), unindexed.counting(customers, now))",
        "unindexed.counting(customers, now)",
        "stores/sqlite/facts.py",
    ),
    Mutant(
        "a place in the table of unindexed keys is used again",
        "deleted = min(deleted + self._step, run.last)",
        "deleted += self._step",
        "stores/sqlite/customer_index.py",
    ),
    Mutant(
        "a key is deleted before it is indexed",
        "            if indexed < len(run.parts):",
        "            if indexed < len(run.parts) - 1:",
        "stores/sqlite/customer_index.py",
    ),
)

_NOTICED_RULES: Final = {
    "a hold lasts one millisecond longer",
    "the last unit is kept back",
    "the limit is exceeded by one",
    "a replay shows what became of the hold",
    "a key isn't bound",
    "another customer's reservation is found",
    "one extension more than allowed",
    "one open hold more than the quota",
    "one hold an hour more than the quota",
    "one lapse more than the quota",
    "lapses count against those who bought",
}
_NOTICED_RULES_OF_SQLITE: Final = {
    "what is cancelled isn't given back",
    "purchases don't count towards the limit",
    "stock can be lowered below what is taken",
}
"""On MongoDB, guards and the unique index of claims keep these out: the database decides."""
OF_RULES: Final = tuple(mutant for mutant in RULES if mutant.name in _NOTICED_RULES)
"""Mutants of the contract suite that the simulation catches on MongoDB, too."""

MUTANTS: Final[tuple[tuple[StoreName, Mutant], ...]] = (
    *(("mongo", mutant) for mutant in OF_MONGO),
    *(("mongo", mutant) for mutant in OF_ALL),
    *(("mongo", mutant) for mutant in OF_RULES),
    *(("sqlite", mutant) for mutant in RULES if mutant.name in _NOTICED_RULES_OF_SQLITE),
    *(("sqlite", mutant) for mutant in OF_SQLITE),
)


class Catch(NamedTuple):
    """The seed that caught a mutant and the rule that it broke; None if no seed did."""

    mutant: Mutant
    store: StoreName
    seed: int | None
    rule: str


def catch(mutant: Mutant, store: StoreName, budget: int = BUDGET) -> Catch:
    """Play seeds on a copy of the package with the mutant in it, until one breaks a rule."""
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory) / PACKAGE.name
        shutil.copytree(PACKAGE, copy)  # including the compiled files
        mutant.apply(copy)
        environment = os.environ | {"PYTHONPATH": directory, "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-m", "tests.simulation", "--seeds", f"0-{budget}", "--store", store, "--stop"]
        run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    seed = re.search(r"--seed (\d+)", run.stdout)
    rule = re.search(r"^VIOLATION of ([^:]+):", run.stdout, re.MULTILINE)
    if run.returncode not in {0, 1} or (run.returncode == 1) != (seed is not None):
        raise RuntimeError(f"{mutant.name}: {run.stdout[-2000:]}{run.stderr[-2000:]}")
    return Catch(mutant, store, int(seed[1]) if seed else None, rule[1] if rule else "")


def main(arguments: list[str]) -> int:
    """Run the command; 1 if a mutant wasn't caught."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.mutants", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--first", type=int, default=len(MUTANTS))
    parser.add_argument("--budget", type=int, default=BUDGET)
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args(arguments)
    chosen = [each for each in MUTANTS[: given.first] if not given.only or each[1].name in given.only]
    escaped = 0
    with ThreadPoolExecutor(given.jobs) as pool:
        for caught in pool.map(lambda each: catch(each[1], each[0], given.budget), chosen):
            escaped += caught.seed is None
            by = f"seed {caught.seed:>5} ({caught.rule})" if caught.seed is not None else "NOT CAUGHT"
            _say(f"{caught.store:7} {by:28} {caught.mutant.name}")
    _say(f"{len(chosen) - escaped} of {len(chosen)} mutants caught within {given.budget} seeds")
    return 1 if escaped else 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
