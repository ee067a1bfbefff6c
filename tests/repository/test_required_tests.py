import os
import subprocess
import sys
from pathlib import Path

import pytest

SKIPS = {
    "by a mark": "import pytest\n@pytest.mark.skip(reason='no server')\ndef test_it(): pass\n",
    "while it runs": "import pytest\ndef test_it(): pytest.skip('no server')\n",
    "in a fixture": "import pytest\n@pytest.fixture\ndef it(): pytest.skip('no server')\ndef test_it(it): pass\n",
    "as a module": "import pytest\npytest.skip('no server', allow_module_level=True)\n",
}


def run_tests(root: Path, directory: Path, source: str, *, required: str) -> subprocess.CompletedProcess[str]:
    """Run the source as a test file of its own, with the hooks of tests/conftest.py."""
    (directory / "test_sample.py").write_text(source)
    (directory / "pytest.ini").write_text("[pytest]\n")
    settings = {
        "PYTHONPATH": str(root),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # plugins take seconds to load
        "TESTS_REQUIRE_ALL": required,
    }
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-rs", "-p", "tests.conftest", "-p", "no:cacheprovider", "test_sample.py"],
        cwd=directory,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("source", SKIPS.values(), ids=SKIPS.keys())
def test_a_skipped_test_fails_where_every_test_is_required(root: Path, tmp_path: Path, source: str) -> None:
    done = run_tests(root, tmp_path, source, required="1")

    assert done.returncode in {1, 2}, done.stdout
    assert "no server" in done.stdout
    assert "skipped" not in done.stdout.splitlines()[-1]


def test_a_skipped_test_is_only_reported_otherwise(root: Path, tmp_path: Path) -> None:
    done = run_tests(root, tmp_path, SKIPS["by a mark"], required="")

    assert done.returncode == 0, done.stdout
    assert "1 skipped" in done.stdout


def test_a_failure_that_is_expected_stays_expected(root: Path, tmp_path: Path) -> None:
    source = "import pytest\n@pytest.mark.xfail(reason='known')\ndef test_it(): raise ValueError\n"

    done = run_tests(root, tmp_path, source, required="1")

    assert done.returncode == 0, done.stdout
    assert "1 xfailed" in done.stdout
