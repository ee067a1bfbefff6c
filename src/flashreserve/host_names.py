"""Host names in settings, URLs and on the command line."""

import re
from collections.abc import Iterable
from typing import Final

_NAME: Final = re.compile(r"(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_][a-z0-9_-]{0,62})*")


def is_host_name(text: str) -> bool:
    """Whether a Host header can have this name, in lower case."""
    return _NAME.fullmatch(text) is not None


def split_host_names(text: str) -> list[str]:
    """The names in a list separated by commas, in lower case. The list may be empty."""
    return [entry.strip().lower() for entry in text.split(",")] if text.strip() else []


def check_host_names(names: Iterable[str]) -> None:
    """Refuse entries that are neither a host name nor `*.` and a host name.

    Raises:
        ValueError: The message names the entry, and what was expected.
    """
    for name in names:
        if not is_host_name(name.removeprefix("*.")):
            raise ValueError(f"host names such as shop.example or *.shop.example, not {name!r}")


def check_resolvable(host: str) -> None:
    """Refuse a name that `getaddrinfo` can't encode. It raises no OSError then, which callers could handle.

    Raises:
        ValueError: The message says what was expected.
    """
    if "\0" in host:
        raise ValueError("a name without U+0000")
    try:
        host.encode("idna")
    except UnicodeError:
        raise ValueError("1 to 63 characters between the dots of a name") from None
