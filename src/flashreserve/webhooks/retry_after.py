"""Retry-After of an endpoint's answer (RFC 9110, 10.2.3): seconds, or a date."""

import re
from email.utils import parsedate_to_datetime
from typing import Final

from flashreserve.core.instants import instant_of

RETRY_AFTER_S_MAX: Final = 2 * 24 * 3600
"""Longer times are cut. It is twice the longest wait between two tries."""

_LENGTH_MAX: Final = 64
_SECONDS: Final = re.compile(r"[0-9]+")
_DATE: Final = re.compile(r"[A-Za-z]{3,9}, .+ GMT")


def read_retry_after(text: str | None, now_ms: int) -> int | None:
    """The seconds to wait, rounded up: from 0 to `RETRY_AFTER_S_MAX`. None if the header is absent or invalid."""
    if text is None or len(text) > _LENGTH_MAX:
        return None
    text = text.strip()
    if _SECONDS.fullmatch(text) is not None:
        return min(int(text), RETRY_AFTER_S_MAX)
    if _DATE.fullmatch(text) is None:
        return None
    try:
        until_ms = instant_of(parsedate_to_datetime(text))
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(-((now_ms - until_ms) // 1000), 0), RETRY_AFTER_S_MAX)
