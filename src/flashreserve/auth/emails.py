"""Email addresses as accounts know them: one spelling for each."""

import re
from typing import Final

from flashreserve.auth.outcomes import InvalidField

EMAIL_LENGTH_MAX: Final = 254
"""Characters; the longest address that SMTP carries (RFC 5321 with erratum 1690)."""

_LOCAL = r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}"
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_EMAIL = re.compile(rf"{_LOCAL}@(?:localhost|(?:{_LABEL}\.)+{_LABEL})")


def normalised_email(text: str) -> str | InvalidField:
    """The address without spaces around it and in lower case, which is what accounts are found by.

    The form is the one of HTML's email fields, with a domain that has a dot, or `localhost`. ASCII only: two letters
    of other scripts that become one when lower-cased would let one customer pass for another. An international domain
    is written in its xn-- form.
    """
    if len(text) > EMAIL_LENGTH_MAX:
        return InvalidField("email", f"must have at most {EMAIL_LENGTH_MAX} characters")
    stripped = text.strip(" ")
    if not stripped.isascii():
        return InvalidField("email", "must have ASCII characters only (an international domain in its xn-- form)")
    email = stripped.lower()
    if _EMAIL.fullmatch(email) is None:
        return InvalidField("email", "must be an email address such as name@example.com")
    return email
