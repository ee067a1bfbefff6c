from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.examples import NOON

from flashreserve.core import limits
from flashreserve.core.instants import format_instant, instant_of


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (NOON, "2026-11-23T12:00:00.000Z"),
        (NOON + 7, "2026-11-23T12:00:00.007Z"),
        (limits.INSTANT_MAX_MS, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_an_instant_is_written_in_utc_with_milliseconds(ms: int, text: str) -> None:
    assert format_instant(ms) == text


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2026-11-23T12:00:00+00:00", NOON),
        ("2026-11-23T13:00:00+01:00", NOON),
        ("2026-11-23T06:30:00-05:30", NOON),
        ("2026-11-23T12:00:00.001999+00:00", NOON + 1),
        ("1969-12-31T23:59:59.999+00:00", -1),
    ],
)
def test_a_moment_anywhere_is_one_instant(text: str, ms: int) -> None:
    assert instant_of(datetime.fromisoformat(text)) == ms


@given(st.integers(0, limits.INSTANT_MAX_MS))
def test_what_is_written_reads_as_the_same_instant(ms: int) -> None:
    moment = datetime.fromisoformat(format_instant(ms))
    assert moment.tzinfo == UTC
    assert instant_of(moment) == ms
