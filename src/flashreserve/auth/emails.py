"""Email addresses of accounts, in one normal form."""

import re
from typing import Final

from flashreserve.auth.outcomes import InvalidField

EMAIL_LENGTH_MAX: Final = 254
"""Characters; the longest address that SMTP carries (RFC 5321 with erratum 1690)."""

_LOCAL = r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}"
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_EMAIL = re.compile(rf"{_LOCAL}@(?:localhost|(?:{_LABEL}\.)+{_LABEL})")


def normalised_email(text: str) -> str | InvalidField:
    """The address in lower case, without spaces around it. Accounts are found by this form.

    It must be valid in an HTML email field, and have a domain with a dot, or `localhost`. Only ASCII is allowed: in
    other scripts, different letters may become one in lower case, and so one customer could pass for another. An
    international domain is written in its xn-- form.
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
