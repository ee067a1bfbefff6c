"""A mistake in a rule fails the contract suite on every store: the rules are in the core, and stores have no others.

A mutant meets the suite on the reference first, which takes a second. The test that fails there is then asked of the
other stores; only a store that passes it is put to the rest of the suite.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from operator import itemgetter
from pathlib import Path
from typing import Final, cast

import pytest
from tests.mutants.mutants import MUTANTS, Mutant
from tests.servers.mongodb import require_mongodb

import flashreserve
from flashreserve.processors import usable_processors

ROOT: Final = Path(__file__).parents[2]
PACKAGE: Final = Path(flashreserve.__file__).parent
_OF_MUTANTS: Final = "test_a_mistake_in_a_rule_fails_the_contract_suite"
REFERENCE: Final = "memory"
STORES: Final = {REFERENCE: REFERENCE, "sqlite": "sqlite and not inline", "mongodb": "mongodb"}
"""How the contract suite's tests of each store are selected by their names."""

Run = subprocess.CompletedProcess[str]


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
    (str(path.relative_to(ROOT)) for path in (ROOT / "tests" / "contract").glob("test_*.py")),
    key=lambda path: (not path.endswith(FIRST), path),
)
OPTIONS: Final = (
    *("-q", "--no-header", "--tb=no", "-x", "-p", "no:cacheprovider"),
    *("-p", "pytest_asyncio.plugin", "-p", "pytest_timeout"),
)
_FAILED: Final = re.compile(r"^FAILED (tests/contract/\S+)", re.MULTILINE)


def run_contract_suite(copy: Path, store: str) -> Run:
    """The contract suite's tests of one store, on the copy of the package, up to the first failure."""
    chosen = (path for path in FILES if not path.endswith("test_differential.py"))
    return _run_tests(copy, *chosen, "-k", STORES[store])


def _run_tests(copy: Path, *chosen: str) -> Run:
    """The tests on the copy of the package.

    Its temporary files are beside the copy. By default, all runs share one directory that each clears at its end. If
    two runs clear it at once, one ends with an error and without a summary.
    """
    return subprocess.run(
        [sys.executable, "-m", "pytest", *OPTIONS, "--basetemp", str(copy.parent / "temporary"), *chosen],
        cwd=ROOT,
        env=environment(copy) | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=200,
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


_OF_STORES: Final = {store: [pytest.mark.mongodb] if store == "mongodb" else [] for store in STORES}


@pytest.fixture(autouse=True)
def server(request: pytest.FixtureRequest) -> None:
    """A MongoDB server for the tests that need one. They are skipped if there is none."""
    if request.node.get_closest_marker("mongodb") is not None:
        require_mongodb()


@pytest.mark.slow
@pytest.mark.parametrize("store", ["memory", "sqlite"])  # MongoDB takes two minutes, and `make test` has it anyway.
def test_without_a_mistake_the_contract_suite_passes(copy: Path, store: str) -> None:
    run = run_contract_suite(copy, store)
    assert run.returncode == 0, run.stdout + run.stderr
    passed = re.search(r"(\d+) passed", run.stdout)
    assert passed is not None
    assert int(passed[1]) > len(MUTANTS)


def run_on_mutant(directory: Path, mutant: Mutant, stores: Sequence[str]) -> dict[str, Run]:
    """By store, the contract suite on a copy with the mistake, up to its first failure."""
    copy = copy_of_package(directory)
    mutant.apply(copy)
    runs = {REFERENCE: run_contract_suite(copy, REFERENCE)}
    failed = _FAILED.search(runs[REFERENCE].stdout)
    for store in stores:
        if store != REFERENCE:
            if failed is not None:
                runs[store] = _run_tests(copy, failed[1].replace(f"[{REFERENCE}", f"[{store}"))
            if failed is None or runs[store].returncode != pytest.ExitCode.TESTS_FAILED:
                runs[store] = run_contract_suite(copy, store)
    return runs


Runs = dict[str, Future[dict[str, Run]]]


def _start_mongodb() -> None:
    """Start the session's MongoDB server, if there can be one. All runs use it, by the URL in their environment."""
    with suppress(pytest.skip.Exception):
        require_mongodb()


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """By mutant, the runs of the tests that were selected: one mutant on each processor, in the tests' order."""
    chosen: dict[str, tuple[Mutant, list[str]]] = {}
    for item in request.session.items:
        if isinstance(item, pytest.Function) and item.originalname == _OF_MUTANTS:
            mutant, store = cast("tuple[Mutant, str]", itemgetter("mutant", "store")(item.callspec.params))
            chosen.setdefault(mutant.name, (mutant, []))[1].append(store)
    if any("mongodb" in stores for _, stores in chosen.values()):
        _start_mongodb()
    with ThreadPoolExecutor(usable_processors()) as pool:
        yield {
            name: pool.submit(run_on_mutant, tmp_path_factory.mktemp("mutant"), mutant, stores)
            for name, (mutant, stores) in chosen.items()
        }
        pool.shutdown(cancel_futures=True)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("mutant", "store"),
    [
        pytest.param(mutant, store, marks=marks, id=f"{mutant.name}-{store}")
        for mutant in MUTANTS
        for store, marks in _OF_STORES.items()
        if store not in mutant.spares
    ],
)
def test_a_mistake_in_a_rule_fails_the_contract_suite(runs: Runs, mutant: Mutant, store: str) -> None:
    run = runs[mutant.name].result()[store]
    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout + run.stderr
    assert _FAILED.search(run.stdout), run.stdout
