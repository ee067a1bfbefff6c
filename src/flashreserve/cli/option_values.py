"""Values of options, by the same rules as those of the API."""

from typing import Any

import rich_click as click

from flashreserve.http import reader
from flashreserve.http.problems import FieldError


def instant_value(text: str | None, option: str) -> int | None:
    """The option's value as an instant (UTC milliseconds); None without it.

    Raises:
        click.BadParameter: it is invalid.
    """
    at = None if text is None else reader.instant(text, option)
    if isinstance(at, FieldError):
        raise click.BadParameter(at.message, param_hint=option)
    return at


def option_value(text: str | None, kind: Any, option: str) -> Any:
    """The option's value as this kind; None without it.

    Raises:
        click.BadParameter: it is invalid.
    """
    if text is None:
        return None
    value: Any = reader.convert(text, kind, option)
    if isinstance(value, FieldError):
        raise click.BadParameter(value.message, param_hint=option)
    return value
