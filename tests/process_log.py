"""Restores the log of the test process after each test: commands that run in it configure the log."""

import logging
from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def log_as_it_was() -> Iterator[None]:
    """Restore the log that a command has set up."""
    root = logging.getLogger()
    levels = {name: logging.getLogger(name).level for name in ("", "flashreserve")}
    handlers, raising = list(root.handlers), logging.raiseExceptions
    yield
    for handler in [each for each in root.handlers if each not in handlers]:
        root.removeHandler(handler)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    logging.raiseExceptions = raising
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
