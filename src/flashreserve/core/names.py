"""Product names: visible, on one line, and without effect on the text around them.

Code points are listed here, not looked up by category, so that all versions of Python accept the same names.
"""

import re
from typing import Final
from unicodedata import combining

from flashreserve.core import limits
from flashreserve.core.outcomes import Invalid

_CONTROLS: Final = r"\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069"
"""Characters that a name must not have, in the form of a regular expression's brackets: control characters, line and
paragraph separators, and bidirectional embeddings, overrides and isolates, which also change the direction of the text
after the name."""

_UNSEEN: Final = _CONTROLS + (
    r"\u0020\u00a0\u00ad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u202f\u205f-\u206f"
    r"\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    r"\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""Characters that are invisible by themselves, in the same form: those above, spaces, format characters, and all others
that fonts may ignore by Unicode's Default_Ignorable_Code_Point."""

_first_to_last_seen: Final = re.compile(f"[^{_UNSEEN}](?:.*[^{_UNSEEN}])?", re.DOTALL).search
_control: Final = re.compile(f"[{_CONTROLS}]").search
_selection: Final = re.compile(
    r"[\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]"  # the variant of a letter or emoji
    r"|(?<=\U0001f3f4)[\U000e0020-\U000e007e]+\U000e007f"  # the region of a flag, such as Scotland's
).match
_JOINERS: Final = "\u200c\u200d"
_VIRAMA: Final = 9
"""Canonical combining class of the signs after which a joiner changes a letter's shape (RFC 5892, appendix A)."""


def parse_name(text: str) -> str | Invalid:
    """The name without invisible characters at its ends. Refused if empty, too long, or with control characters."""
    return parse_line(text, "name", limits.NAME_LENGTH_MAX)


def parse_line(text: str, field: str, length_max: int) -> str | Invalid:
    """A text by the rules of names, of at most `length_max` characters. Refusals name it as `field`."""
    seen = _first_to_last_seen(text)
    if seen is None:
        return Invalid(field, f"expected 1 to {length_max} characters on one line, some of them visible")
    line = text[seen.start() : _end(text, seen.end())]
    control = _control(line)
    if control is not None:
        found = f"U+{ord(control[0]):04X}"
        return Invalid(field, f"expected text on one line, without control and direction characters; found {found}")
    if len(line) > length_max:
        return Invalid(field, f"expected 1 to {length_max} characters; found {len(line)}")
    return line


def _end(text: str, end: int) -> int:
    """The end of a name whose last visible character ends at `end`. A character that changes its look is included."""
    selection = _selection(text, end)
    if selection is not None:
        return selection.end()
    if end < len(text) and text[end] in _JOINERS and combining(text[end - 1]) == _VIRAMA:
        return end + 1
    return end
