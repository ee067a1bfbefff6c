"""The simulation: seeds of each store break no rule, replay the same history, and are made short if they fail."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final, get_args

import pytest
from tests.proof.records import Answered, Asked, Trouble
from tests.simulation.mongo import updater
from tests.simulation.narration import replay_command, tell
from tests.simulation.play import play, quietly
from tests.simulation.script import OPERATIONS, StoreName, draw
from tests.simulation.seeds import CHUNK, Totals, load_state, play_seeds, resume
from tests.simulation.shrinker import shrink
from tests.simulation.sources import PLAYED, code_of

import flashreserve
from flashreserve.core.commands import Command, Expire
from flashreserve.stores.mongo import intents

ROOT: Final = Path(__file__).parents[2]
STORES: Final = get_args(StoreName)
SEEDS: Final = 40


@pytest.mark.parametrize("store", STORES)
def test_no_promise_is_broken(store: StoreName) -> None:
    with quietly():
        for seed in range(SEEDS):
            played = play(draw(seed, store))
            assert not played.violations, tell(played)
            assert played.operations >= OPERATIONS
            assert sum(played.faults.values()) >= played.script.faults_min


@pytest.mark.parametrize("store", STORES)
def test_a_process_answers_nothing_that_it_was_asked_before_it_crashed(store: StoreName) -> None:
    with quietly():
        for seed in range(SEEDS):
            unanswered: dict[int, str] = {}
            dead: set[int] = set()
            for record in play(draw(seed, store)).history:
                match record:
                    case Asked(number=number, process=process):
                        unanswered[number] = process
                    case Trouble(kind="crash" | "crash-before" | "crash-after", process=process):
                        dead |= {number for number, asked in unanswered.items() if asked == process}
                    case Answered(number=number):
                        assert number not in dead, (seed, record)
                        del unanswered[number]
                    case _:
                        pass


@pytest.mark.parametrize("store", STORES)
def test_a_seed_plays_the_same_history_again(store: StoreName) -> None:
    with quietly():
        hashes = {play(draw(7, store)).hash for _ in range(2)}
        assert len(hashes) == 1
        assert play(draw(8, store)).hash not in hashes


@pytest.mark.parametrize("store", STORES)
def test_a_seed_plays_the_same_history_under_another_hash_seed(store: StoreName) -> None:
    told = [_replay(11, store, hash_seed) for hash_seed in ("1", "2")]
    assert told[0] == told[1]
    with quietly():
        assert f"history {play(draw(11, store)).hash}" in told[0]


NOT_PLAYED: Final = (
    "auth",
    "bootstrap/issuers.py",
    "bootstrap/keys.py",
    "bootstrap/services.py",
    "bootstrap/stores.py",
    "bootstrap/webhooks.py",
    "decode_errors.py",
    "expectations.py",
    "files.py",
    "host_names.py",
    "http",
    "jobs/bullmq.py",
    "metrics.py",
    "processors.py",
    "redaction.py",
    "redis_server.py",
    "server_urls.py",
    "service/access.py",
    "service/account_changes.py",
    "service/accounts.py",
    "service/events.py",
    "service/orders.py",
    "service/process_reports.py",
    "service/webhooks.py",
    "settings.py",
    "shared_read.py",
    "suggestions.py",
    "web_origins.py",
    "webhooks/addresses.py",
    "webhooks/endpoint_urls.py",
    "webhooks/subscriptions.py",
)
"""Modules that the simulation imports but doesn't run."""


def test_the_digest_is_of_all_that_is_played() -> None:
    program = (
        "import sys, tests.simulation.play\n"
        "print(*filter(None, (getattr(each, '__file__', None) for each in sys.modules.values())), sep='\\n')"
    )
    told = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    package = Path(flashreserve.__file__).parent
    imported = [path.relative_to(package) for path in map(Path, told.split("\n")) if path.is_relative_to(package)]
    known = [Path(part) for part in (*PLAYED, *NOT_PLAYED)]
    unknown = [path for path in imported if path.name != "__init__.py" and not any(map(path.is_relative_to, known))]
    assert len(imported) > 50
    assert unknown == []


def test_the_digest_is_of_the_code_without_its_prose() -> None:
    code = code_of('"""A."""\ndef f(x: int) -> int:\n    """B."""\n    return x + 1  # C\n\nY = 2\n"""D."""\n')
    assert code == code_of("def f(x: int) -> int:\n    return x + 1\nY = 2")
    others = ("def f(x: int) -> int:\n    return x + 2\nY = 2", "def f(x: int) -> int:\n    return x + 1\nY = '2'")
    assert code not in map(code_of, others)


def _replay(seed: int, store: StoreName, hash_seed: str) -> str:
    command = replay_command(seed, store).split()
    return subprocess.run(
        [sys.executable, *command[1:]],
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_seeds_differ_in_what_goes_wrong() -> None:
    kinds = {fault.kind for seed in range(200) for fault in draw(seed, "mongo").faults}
    assert len(kinds) > 20
    assert {draw(seed, "mongo").options.apis for seed in range(20)} == {3, 4}


@pytest.mark.parametrize("store", STORES)
def test_scripts_have_every_command_of_callers(store: StoreName) -> None:
    """Only the sweep expires holds."""
    commands = {command.__name__.lower() for command in get_args(Command) if command is not Expire}
    assert commands <= {operation.kind for seed in range(20) for operation in draw(seed, store).operations}


@pytest.fixture
def unguarded_settlement(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake in the store: units are returned for a movement that is already settled."""

    def closing(settlement: intents.Settlement) -> tuple[dict[str, object], dict[str, object]]:
        mine = {"f": settlement.movement.f, "owner": settlement.movement.owner}
        change = {"$inc": {"available": settlement.units, "moves": 1}, "$pull": {"intents": mine}}
        return {"_id": settlement.product_id}, change

    monkeypatch.setattr(intents, "_closing", closing)


def test_a_failing_seed_is_made_short_and_tells_how_to_play_it_again(unguarded_settlement: None) -> None:
    with quietly():
        seed = next(seed for seed in range(100) if play(draw(seed, "mongo")).violations)
        script = draw(seed, "mongo")
        short = shrink(script)
    assert short.violations
    assert len(short.script.operations) < len(script.operations) / 2
    assert len(short.script.faults) <= len(script.faults)
    text = tell(short)
    assert re.search(r"^VIOLATION of ", text, re.MULTILINE)
    assert text.endswith(f"again: python -m tests.simulation --seed {seed} --store mongo")


def test_a_seed_that_breaks_no_rule_cannot_be_made_shorter() -> None:
    with quietly(), pytest.raises(ValueError, match="no rule is broken"):
        shrink(draw(0, "sqlite"))


def test_a_run_adds_up_and_can_be_resumed(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    whole = Totals()
    for part in play_seeds("sqlite", 0, 6):
        whole.add(part)
    state = load_state(path, "today's")
    assert sum(part.seeds for part in resume(state, "sqlite", 0, 3, jobs=1, stop=False)) == 3
    state.save(path)
    again = load_state(path, "today's")
    assert sum(part.seeds for part in resume(again, "sqlite", 0, 6, jobs=1, stop=False)) == 3
    assert again.totals["sqlite"] == whole
    assert load_state(path, "tomorrow's").totals == {}
    assert whole.seeds == whole.full == 6
    assert CHUNK >= 6


def test_a_document_that_was_read_never_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[dict[str, object], str]] = []
    real = updater.updated

    def watched(document: dict[str, object], query: dict[str, object], update: object) -> dict[str, object]:
        seen.append((document, repr(document)))
        after = real(document, query, update)
        seen.append((after, repr(after)))
        return after

    monkeypatch.setattr("tests.simulation.mongo.server.updated", watched)
    with quietly():
        play(draw(1, "mongo"))
    assert len(seen) > 50
    assert all(repr(document) == text for document, text in seen)
