"""Subscriptions: the types of events that an endpoint is sent, as an admin writes them."""

from collections.abc import Sequence
from typing import Final

from flashreserve.core.events import EventType
from flashreserve.core.outcomes import Invalid
from flashreserve.suggestions import unknown

ALL: Final = "*"
"""Stands for all types, also for those of later versions."""

SUBSCRIBABLE: Final = tuple(type_ for type_ in EventType if type_ is not EventType.ENDPOINT_TESTED)
"""The types that an endpoint can be sent. A test is sent to the endpoint that is tested, and to no other."""

_NAMES: Final = {type_.value: type_ for type_ in SUBSCRIBABLE}
_FIELD: Final = "events"


def read_types(names: Sequence[str]) -> tuple[EventType, ...] | Invalid:
    """The types with these names; none for `*` alone. The message of `Invalid` says what was expected."""
    if not names:
        return Invalid(_FIELD, f"expected {ALL} or types such as {EventType.RESERVATION_CONFIRMED}")
    if ALL in names:
        return () if len(names) == 1 else Invalid(_FIELD, f"expected {ALL} alone, or types without it")
    for place, name in enumerate(names):
        if name not in _NAMES:
            return Invalid(f"{_FIELD}[{place}]", unknown("type of event", name, tuple(_NAMES)))
    return tuple(_NAMES[name] for name in names)


def written_types(types: Sequence[EventType]) -> tuple[str, ...]:
    """The names of the types, as `read_types` reads them."""
    return tuple(type_.value for type_ in types) or (ALL,)
