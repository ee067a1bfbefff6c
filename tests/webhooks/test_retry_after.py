"""Retry-After in both forms, and everything that isn't one."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.moving_clock import START_MS

from flashreserve.webhooks.retry_after import RETRY_AFTER_S_MAX, read_retry_after

NOW = datetime.fromtimestamp(START_MS / 1000, UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("120", 120),
        (" 7 ", 7),
        ("172800", RETRY_AFTER_S_MAX),
        ("172801", RETRY_AFTER_S_MAX),
        ("9" * 64, RETRY_AFTER_S_MAX),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
        (format_datetime(NOW, usegmt=True), 0),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), 0),
        (format_datetime(NOW + timedelta(days=9), usegmt=True), RETRY_AFTER_S_MAX),
        (None, None),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("1e3", None),
        ("٣", None),
        ("soon", None),
        ("9" * 65, None),
        ("Mon, 99 Nov 2026 10:00:00 GMT", None),
        ("Mon, 30 Nov 2026", None),
        ("2026-11-30T10:00:00Z", None),
        ("Mon, 30 Nov 99999999 10:00:00 GMT", None),
    ],
)
def test_retry_after_is_read_or_left_out(text: str | None, expected: int | None) -> None:
    assert read_retry_after(text, START_MS) == expected


@pytest.mark.parametrize("now_ms", [START_MS - 1, START_MS - 999])
def test_a_part_of_a_second_is_rounded_up(now_ms: int) -> None:
    assert read_retry_after(format_datetime(NOW, usegmt=True), now_ms) == 1


@given(st.text(max_size=80), st.integers(0, START_MS * 2))
def test_no_text_is_an_error(text: str, now_ms: int) -> None:
    found = read_retry_after(text, now_ms)

    assert found is None or 0 <= found <= RETRY_AFTER_S_MAX
