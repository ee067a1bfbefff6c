"""Each mutant of the simulation fits the present code. `make proof` checks that they are caught."""

import shutil
from pathlib import Path

import pytest
from tests.mutants.mutants import Mutant
from tests.simulation.mutants import MUTANTS, PACKAGE, catch
from tests.simulation.script import StoreName


@pytest.mark.parametrize(("store", "mutant"), MUTANTS, ids=lambda value: getattr(value, "name", value))
def test_the_mutant_fits_the_code(tmp_path: Path, store: StoreName, mutant: Mutant) -> None:
    copy = tmp_path / PACKAGE.name
    target = copy / mutant.file
    target.parent.mkdir(parents=True)
    shutil.copy(PACKAGE / mutant.file, target)
    mutant.apply(copy)


def test_there_are_enough_mutants() -> None:
    names = [mutant.name for _, mutant in MUTANTS]
    assert len(names) == len(set(names)) >= 30


def test_a_mutant_is_caught() -> None:
    store, mutant = MUTANTS[2]
    caught = catch(mutant, store, budget=60)
    assert caught.seed is not None
    assert caught.rule


def test_the_unchanged_code_is_not_caught() -> None:
    unchanged = Mutant("none", "return expires_at <= now", "return expires_at <= now", "core/holds.py")
    assert catch(unchanged, "mongo", budget=30).seed is None
