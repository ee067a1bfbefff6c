"""Values of options, by the same rules as those of the API."""

from typing import Any, TypeVar

import rich_click as click

from flashreserve.http import reader
from flashreserve.http.problems import FieldError

T = TypeVar("T")


def instant_value(text: str | None, option: str) -> int | None:
    """The option's value as an instant (UTC milliseconds); None without it.

    Raises:
        click.BadParameter: it is invalid.
    """
    return None if text is None else _valid(reader.instant(text, option), option)


def option_value(text: str | None, kind: Any, option: str) -> Any:
    """The option's value as this kind; None without it.

    Raises:
        click.BadParameter: it is invalid.
    """
    return None if text is None else _valid(reader.convert(text, kind, option), option)


def _valid(value: T | FieldError, option: str) -> T:
    if isinstance(value, FieldError):
        raise click.BadParameter(value.message, param_hint=option)
    return value
