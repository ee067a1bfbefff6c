"""Checks for weak passwords: common ones, patterns, the account's email address, and the shop's name.

NIST SP 800-63B, 5.1.1.2, requires exactly these checks for a new password. The list of common passwords is a file of
150 KB, which is read at the first registration and searched without parsing.
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
"""A header that names the sources, then one password per line. `tools/common_passwords.py` writes it."""

HEAD_END: Final = "\n\n"
"""Separates the file's header from the passwords."""

_WORD_LENGTH_MIN: Final = 3
_ADDED_DIGITS_MAX: Final = 4
_REPEATED_MAX: Final = 2
_DIGITS: Final = "0123456789"


def refusal_of_weak(password: str, email: str, shop_names: Iterable[str]) -> InvalidField | None:
    """The reason why the password is too weak for this account; None if it isn't."""
    folded = _folded(password)
    if f"\n{folded}\n".encode() in _common():
        return InvalidField("password", "is one of the most common passwords; choose another")
    if _is_pattern(folded):
        return InvalidField("password", "must not repeat one or two characters, or count up or down as 12345678 does")
    local, _, domain = email.partition("@")
    untagged = local.partition("+")[0]
    if _is_made_of(folded, (email, local, untagged, f"{untagged}@{domain}")):
        return InvalidField("password", "must not be your e-mail address; choose another")
    if _is_made_of(folded, shop_names):
        return InvalidField("password", "must not be the shop's name; choose another")
    return None


def shop_names(hosts: Sequence[str]) -> Sequence[str]:
    """The shop's names: FlashReserve, the shop's hosts, and the parts of their names except the last."""
    return ["flashreserve", *hosts, *(part for host in hosts for part in host.split(".")[:-1])]


def _is_made_of(folded: str, words: Iterable[str]) -> bool:
    """Whether the password is one of the words, apart from other characters in between and a few digits around it."""
    letters = _letters(folded)
    return any(
        len(word) >= _WORD_LENGTH_MIN and _is_with_digits(letters, word) for word in map(_letters, map(_folded, words))
    )


def _is_with_digits(letters: str, word: str) -> bool:
    """Whether the letters are the word, with at most `_ADDED_DIGITS_MAX` digits before and after it."""
    added = len(letters) - len(word)
    return 0 <= added <= _ADDED_DIGITS_MAX and any(
        letters[at:].startswith(word) and set(letters[:at] + letters[at + len(word) :]) <= set(_DIGITS)
        for at in range(added + 1)
    )


def _is_pattern(folded: str) -> bool:
    """Whether the password repeats one or two characters, or counts up or down, such as 12345678."""
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
