"""Passwords that anybody would try first: common ones, patterns, one's own e-mail address, and the shop's name.

NIST SP 800-63B, 5.1.1.2, asks for exactly these checks when a password is chosen. The list is a file of 150 KB, read at
the first registration and searched as it stands.
"""

import sys
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Final

from flashreserve.auth.outcomes import InvalidField

LIST_FILE: Final = files("flashreserve.auth") / "common-passwords.txt"
"""A head that names the sources, then a password a line. `tools/common_passwords.py` writes it."""

HEAD_END: Final = "\n\n"
"""Stands between the file's head and the passwords."""

_WORD_LENGTH_MIN: Final = 3
_ADDED_DIGITS_MAX: Final = 4
_REPEATED_MAX: Final = 2
_DIGITS: Final = "0123456789"


def refusal_of_weak(password: str, email: str, shop_names: Iterable[str]) -> InvalidField | None:
    """Why the password may not be chosen for this account; None if it may."""
    folded = _folded(password)
    if f"\n{folded}\n".encode() in _common():
        return InvalidField("password", "is one of the most common passwords; choose another")
    if _is_pattern(folded):
        return InvalidField("password", "must be more than a character or two over and over, or a row such as 12345678")
    local, _, domain = email.partition("@")
    untagged = local.partition("+")[0]
    if _is_made_of(folded, (email, local, untagged, f"{untagged}@{domain}")):
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
    return any(
        len(word) >= _WORD_LENGTH_MIN and _is_with_digits(letters, word) for word in map(_letters, map(_folded, words))
    )


def _is_with_digits(letters: str, word: str) -> bool:
    """Whether the letters are the word, which may have digits of its own, with few others before and behind."""
    added = len(letters) - len(word)
    return 0 <= added <= _ADDED_DIGITS_MAX and any(
        letters[at:].startswith(word) and set(letters[:at] + letters[at + len(word) :]) <= set(_DIGITS)
        for at in range(added + 1)
    )


def _is_pattern(folded: str) -> bool:
    """Whether these are one or two characters over and over, or each follows the one before, up or down."""
    if len(set(folded)) <= _REPEATED_MAX:
        return True
    modulus = len(_DIGITS) if set(folded) <= set(_DIGITS) else sys.maxunicode  # 9 is followed by 0
    steps = {(ord(after) - ord(before)) % modulus for before, after in pairwise(folded)}
    return steps in ({1}, {modulus - 1})


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text))


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).strip().casefold()


@cache
def _common() -> bytes:
    return b"\n" + LIST_FILE.read_bytes().partition(HEAD_END.encode())[2]
