"""The checker finds no fault in the store, and finds each fault again whose fix is taken away."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from tests.simulation.mutants import PACKAGE, ROOT
from tests.simulation.mutants_of_mongo import OF_MONGO, ONLY_OF_MODEL

FALLEN: Final = ("k1", "k3", "u1", "l1", "l2", "s1", "s3", "n1", "n2", "n3", "n4", "y11", "y13")
"""Configurations in which an earlier version broke a promise."""

MISTAKES: Final = {
    "the driver sends writes again by itself": "k1",
    "an announced release is told as nothing done": "u1",
    "recovery has no room for a release of its own": "l1",
    "released units are counted on what an old read shows": "s1",
    "a key is refused while an earlier request with it is in flight": "n1",
    "a refused restock has no fence": "n3",
    "returned units are counted on what an old read shows": "y10",
    "a return is over once the status isn't the planned one": "y11",
    "a return is over once the customer isn't the planned one": "y13",
    "a return that was announced looks for its customer's reservation alone": "y12",
    "a return is entered whoever has the reservation": "y14",
}


def explore(*arguments: str, package_in: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ)
    if package_in is not None:
        environment["PYTHONPATH"] = str(package_in)
    command = [sys.executable, "-m", "tests.modelcheck", "--brief", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", FALLEN)
def test_what_once_broke_a_promise_keeps_it(name: str) -> None:
    explored = explore(name, "--states", "6000")
    assert explored.returncode == 0, explored.stdout + explored.stderr
    assert "1 configurations, 0 violations" in explored.stdout


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_mistake_is_found(mistake: str, tmp_path: Path) -> None:
    (mutant,) = [each for each in (*OF_MONGO, *ONLY_OF_MODEL) if each.name == mistake]
    copy = tmp_path / PACKAGE.name
    shutil.copytree(PACKAGE, copy)  # including compiled files
    mutant.apply(copy)
    explored = explore(MISTAKES[mistake], "--states", "100000", package_in=tmp_path)
    assert explored.returncode == 1, explored.stdout + explored.stderr
    assert "VIOLATION" in explored.stdout


@pytest.mark.slow
def test_no_configuration_breaks_a_promise_within_some_thousand_states() -> None:
    explored = explore("--states", os.environ.get("MODEL_STATES", "3000"))
    assert explored.returncode == 0, explored.stdout + explored.stderr
