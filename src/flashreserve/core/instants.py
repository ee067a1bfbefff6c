"""Instants: RFC 3339 in the API, integers of UTC milliseconds inside."""

from datetime import UTC, datetime
from functools import lru_cache

_EPOCH = datetime.fromtimestamp(0, UTC)


# Cached, because all reservations of a flush have the same instants.
@lru_cache(maxsize=4096)
def format_instant(ms: int) -> str:
    """The instant as text, such as `2026-11-23T10:00:00.000Z`."""
    seconds, rest = divmod(ms, 1000)
    return f"{_format_second(seconds)}.{rest:03d}Z"


@lru_cache(maxsize=4096)
def _format_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def instant_of(moment: datetime) -> int:
    """The milliseconds of an aware datetime, rounded down."""
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000
