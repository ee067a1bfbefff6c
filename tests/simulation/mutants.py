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
from tests.simulation.mutants_of_events import (
    OF_DELIVERIES,
    OF_DELIVERIES_ON_MONGO,
    OF_DELIVERIES_ON_SQLITE,
    OF_EVENTS_ON_MONGO,
    OF_EVENTS_ON_SQLITE,
    OF_PAUSES,
    OF_PAUSES_ON_MONGO,
)
from tests.simulation.mutants_of_mongo import OF_MONGO
from tests.simulation.script import StoreName

import flashreserve

BUDGET: Final = 3_000
"""The number of seeds, from 0 on, within which a mutant has to be caught."""

ROOT: Final = Path(__file__).parents[2]
PACKAGE: Final = Path(flashreserve.__file__).parent

_TRANSACTIONS: Final = "stores/sqlite/transactions.py"
_ROWS: Final = "stores/sqlite/rows.py"

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
        "    if over is not None:\n        return over\n    if command.lines is None:",
        "    if command.lines is None:",
        HOLDS,
    ),
    Mutant(
        "a failed commit is told as nothing done",
        '        raise StoreOutcomeUnknownError(f"commit: {error}") from error',
        '        raise StoreUnavailableError(f"commit: {error}") from error',
        _TRANSACTIONS,
    ),
    Mutant(
        "a failed commit is told as done",
        '        raise StoreOutcomeUnknownError(f"commit: {error}") from error',
        "        return result",
        _TRANSACTIONS,
    ),
    Mutant(
        "nothing holds a transaction together",
        '        connection.execute("BEGIN IMMEDIATE")',
        '        connection.execute("SELECT 1")',
        _TRANSACTIONS,
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
    Mutant(
        "a line doesn't count the units returned on SQLite",
        "    connection.executemany(UPDATE_RETURNED, returned)\n",
        "    del returned\n",
        _ROWS,
    ),
    Mutant(
        "a claim isn't deleted on return",
        "    connection.executemany(UPDATE_RETURNED, returned)\n    _delete_limit_claims(connection, effects)\n",
        "    connection.executemany(UPDATE_RETURNED, returned)\n",
        _ROWS,
    ),
    Mutant(
        "a return isn't kept under its key",
        '[(row["id"], row["lines"], row["returns"], row["trail_n"]) for row in rows]',
        '[(row["id"], row["lines"], "[]", row["trail_n"]) for row in rows]',
        _ROWS,
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
    "more units go back than are left",
    "a repeated key of a return gives back again",
    "a hold is returned like a purchase",
    "returned units count towards the limit",
    "a confirmation of fewer units gives back those that are bought",
    "a confirmation of fewer units buys all",
}
_NOTICED_RULES_OF_SQLITE: Final = {
    "what is cancelled isn't given back",
    "purchases don't count towards the limit",
    "stock can be lowered below what is taken",
    "a return frees all places of the limit",
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
    *(("mongo", mutant) for mutant in OF_EVENTS_ON_MONGO),
    *(("sqlite", mutant) for mutant in OF_EVENTS_ON_SQLITE),
    *(("sqlite", mutant) for mutant in OF_PAUSES),
    *(("mongo", mutant) for mutant in OF_PAUSES_ON_MONGO),
    *(("sqlite", mutant) for mutant in OF_DELIVERIES),
    *(("mongo", mutant) for mutant in OF_DELIVERIES_ON_MONGO),
    *(("sqlite", mutant) for mutant in OF_DELIVERIES_ON_SQLITE),
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
