"""A mistake in a rule fails the contract suite on every store, because stores have no rules of their own."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from operator import itemgetter
from pathlib import Path
from typing import Final, cast

import pytest
from tests.mutants.mutants import MUTANTS, Mutant

import flashreserve
from flashreserve.processors import usable_processors

ROOT: Final = Path(__file__).parents[2]
PACKAGE: Final = Path(flashreserve.__file__).parent
_OF_MUTANTS: Final = "test_a_mistake_in_a_rule_fails_the_contract_suite"
STORES: Final = {"memory": "memory", "sqlite": "sqlite and not inline"}
"""By store, the expression that selects its tests of the contract suite by name."""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package, for a mutant."""
    return copy_of_package(tmp_path)


def copy_of_package(directory: Path) -> Path:
    made = directory / PACKAGE.name
    shutil.copytree(PACKAGE, made)  # including compiled files
    return made


def environment(copy: Path) -> dict[str, str]:
    """An environment in which `flashreserve` is the copy."""
    return os.environ | {"PYTHONPATH": str(copy.parent), "PYTHONDONTWRITEBYTECODE": "1"}


# The differential test is left out, because it would compare two mutants. The tests of the rules come first, since most
# mutants fail there. Only the plugins that the suite needs are loaded, which saves a second at each start.
FIRST: Final = ("test_rules.py", "test_flush.py", "test_quotas.py")
FILES: Final = sorted(
    (str(path) for path in (ROOT / "tests" / "contract").glob("test_*.py") if path.name != "test_differential.py"),
    key=lambda path: (not path.endswith(FIRST), path),
)
SUITE: Final = [
    *(*FILES, "-q", "--no-header", "--tb=no"),
    *("-p", "no:cacheprovider", "-p", "pytest_asyncio.plugin", "-p", "pytest_timeout"),
]


def run_contract_suite(copy: Path, store: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the contract suite's tests of one store on the copy of the package.

    Its temporary files are beside the copy. By default, all runs share one directory that each clears at its end. If
    two runs clear it at once, one ends with an error and without a summary.
    """
    of_its_own = ["--basetemp", str(copy.parent / "temporary")]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *SUITE, *of_its_own, "-k", STORES[store], *options],
        cwd=ROOT,
        env=environment(copy) | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_a_copy_is_imported_in_place_of_the_package(copy: Path) -> None:
    asked = subprocess.run(
        [sys.executable, "-c", "import flashreserve.core.rules as rules; print(rules.__file__)"],
        cwd=ROOT,
        env=environment(copy),
        capture_output=True,
        text=True,
        check=True,
    )
    assert asked.stdout.strip() == str(copy / "core" / "rules.py")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_mutated_rule_is_there(copy: Path, mutant: Mutant) -> None:
    mutant.apply(copy)


def test_a_mutant_whose_rule_is_gone_says_so(copy: Path) -> None:
    with pytest.raises(LookupError, match=r"no such rule: core/rules\.py has 0 times"):
        Mutant("no such rule", "a text that stands nowhere", "", "core/rules.py").apply(copy)


@pytest.mark.slow
@pytest.mark.parametrize("store", STORES)
def test_without_a_mistake_the_contract_suite_passes(copy: Path, store: str) -> None:
    run = run_contract_suite(copy, store)
    assert run.returncode == 0, run.stdout + run.stderr
    passed = re.search(r"(\d+) passed", run.stdout)
    assert passed is not None
    assert int(passed[1]) > len(MUTANTS)


def run_on_mutant(directory: Path, mutant: Mutant, store: str) -> subprocess.CompletedProcess[str]:
    """Run the contract suite on a copy with the mistake, until its first failure."""
    mutated = copy_of_package(directory)
    mutant.apply(mutated)
    return run_contract_suite(mutated, store, "-x")


Runs = dict[tuple[str, str], Future[subprocess.CompletedProcess[str]]]


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """The runs of the selected tests, in the tests' order. As many run at a time as there are processors."""
    with ThreadPoolExecutor(usable_processors()) as pool:
        begun: Runs = {}
        for item in request.session.items:
            if isinstance(item, pytest.Function) and item.originalname == _OF_MUTANTS:
                mutant, store = cast("tuple[Mutant, str]", itemgetter("mutant", "store")(item.callspec.params))
                run = pool.submit(run_on_mutant, tmp_path_factory.mktemp("mutant"), mutant, store)
                begun[mutant.name, store] = run
        yield begun
        pool.shutdown(cancel_futures=True)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mistake_in_a_rule_fails_the_contract_suite(runs: Runs, mutant: Mutant, store: str) -> None:
    run = runs[mutant.name, store].result()
    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout + run.stderr
    assert re.search(r"^FAILED tests/contract/", run.stdout, re.MULTILINE), run.stdout
