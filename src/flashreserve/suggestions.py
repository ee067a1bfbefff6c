"""Suggests the known name that is most similar to an unknown one."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Final

_LENGTH_MAX: Final = 100
"""Letters of an unknown name that are compared. Names come from outside, and may have any length."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most similar: the same but for case, a part, misspelt, or abbreviated (`qty`)."""
    word = _plain(name[:_LENGTH_MAX])
    plain = {_plain(each): each for each in known}
    if word in plain:
        return plain[word]
    alike = [
        each for each in plain if min(len(each), len(word)) > 1 and (each.startswith(word) or word.startswith(each))
    ]
    alike = alike or get_close_matches(word, plain, n=1) or [each for each in plain if _abbreviates(word, each)]
    return plain[alike[0]] if alike else None


def unknown(kind: str, name: str, known: Sequence[str]) -> str:
    """The message about an unknown name of this kind. `known` are the valid names."""
    near = nearest(name, known)
    if near is not None:
        return f"unknown {kind}; did you mean {near}?"
    match known:
        case []:
            return f"unknown {kind}; none is expected here"
        case [one]:
            return f"unknown {kind}; expected {one}"
        case _:
            return f"unknown {kind}; expected {', '.join(known[:-1])} or {known[-1]}"


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def _abbreviates(word: str, name: str) -> bool:
    """Whether the word starts as the name does, and its letters, three or more, follow in the name in order."""
    if len(word) < _ABBREVIATION_MIN or word[0] != name[0]:
        return False
    rest = iter(name)
    return all(letter in rest for letter in word)


_ABBREVIATION_MIN: Final = 3
