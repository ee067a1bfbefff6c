"""Set-up for all tests. With TESTS_REQUIRE_ALL=1, as in `.ci/run`, a skipped test fails."""

import os
import signal
from collections.abc import Generator
from pathlib import Path
from typing import Final

import pytest
from tests.process_log import log_as_it_was

__all__ = ["log_as_it_was"]

# Several tests send these signals. nohup ignores SIGHUP, and a shell's background ignores SIGINT; processes that tests
# start would inherit that.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)

ALONE: Final = ("bench",)
"""Directories of tests that get the mark `alone`."""

SLOW_S: Final = 600
"""Seconds for a slow test that sets no limit of its own: far more than any takes, for a machine under load."""

EVERY_TEST_REQUIRED = os.environ.get("TESTS_REQUIRE_ALL") == "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    alone = [Path(__file__).with_name(name) for name in ALONE]
    for item in items:
        if any(map(item.path.is_relative_to, alone)):
            item.add_marker(pytest.mark.alone)
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW_S))


# The outermost wrapper sees the report after the skip and xfail marks have changed it.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        _fail_where_every_test_is_required(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if report.skipped:
        _fail_where_every_test_is_required(report)
    return report


def _fail_where_every_test_is_required(report: pytest.TestReport | pytest.CollectReport) -> None:
    if EVERY_TEST_REQUIRED:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"TESTS_REQUIRE_ALL=1 asks for every test, and this one did not run. {reason}"
