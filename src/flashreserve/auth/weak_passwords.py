"""Passwords that anybody would try first: the most common ones, one's own e-mail address, and the shop's name.

NIST SP 800-63B, 5.1.1.2, asks for exactly these checks when a password is chosen. The list is a file of 150 KB, read at
the first registration and searched as it stands.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from typing import Final

from flashreserve.auth.outcomes import InvalidField

LIST_FILE: Final = files("flashreserve.auth") / "common-passwords.txt"
"""A head that names the sources, then a password a line. `tools/common_passwords.py` writes it."""

HEAD_END: Final = "\n\n"
"""Stands between the file's head and the passwords."""

_WORD_LENGTH_MIN: Final = 3
_ADDED_DIGITS_MAX: Final = 4
_DIGITS: Final = "0123456789"


def refusal_of_weak(password: str, email: str, shop_names: Iterable[str]) -> InvalidField | None:
    """Why the password may not be chosen for this account; None if it may."""
    folded = _folded(password)
    if f"\n{folded}\n".encode() in _common():
        return InvalidField("password", "is one of the most common passwords; choose another")
    if _is_made_of(folded, (email, email.partition("@")[0])):
        return InvalidField("password", "must not be your e-mail address; choose another")
    if _is_made_of(folded, shop_names):
        return InvalidField("password", "must not be the shop's name; choose another")
    return None


def shop_names(hosts: Sequence[str]) -> Sequence[str]:
    """The names that a shop is known by: the product's, and its hosts' with their parts but the last."""
    return ["flashreserve", *hosts, *(part for host in hosts for part in host.split(".")[:-1])]


def _is_made_of(folded: str, words: Iterable[str]) -> bool:
    """Whether the password is one of the words, whatever stands between its letters, or with a few digits around it."""
    letters = _letters(folded)
    core = letters.strip(_DIGITS)
    near = core if len(letters) - len(core) <= _ADDED_DIGITS_MAX else letters
    return any(len(word) >= _WORD_LENGTH_MIN and word in {letters, near} for word in map(_letters, map(_folded, words)))


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text))


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).strip().casefold()


@cache
def _common() -> bytes:
    return b"\n" + LIST_FILE.read_bytes().partition(HEAD_END.encode())[2]
