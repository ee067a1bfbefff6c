"""Customers' ids: opaque texts, which nothing here takes apart.

Those of own accounts are UUIDs. A customer of a shop whose tokens are accepted (an issuer) has the id
`<issuer>:<subject>`, so that ids of two sources never collide.
"""

import hashlib
import re
from typing import Final

from flashreserve.core import limits

CUSTOMER_ID_PATTERN: Final = f"[!-+.-~-]{{1,{limits.CUSTOMER_ID_LENGTH_MAX}}}"
"""Visible ASCII characters: an id is a header's value, a cell of a table, and part of a key in the database.

A comma isn't allowed: some proxies join two headers of one name by it, and two ids would become a third one.
"""

PSEUDONYM: Final = "erased:"
"""The start of what stands in place of a customer who was erased. It is nobody's id, and never changes again."""

EXPECTED: Final = (
    f"1 to {limits.CUSTOMER_ID_LENGTH_MAX} visible ASCII characters without commas, not beginning with {PSEUDONYM}"
)

HASHED: Final = "sha256:"
"""The start of a hashed id."""

_is_id: Final = re.compile(CUSTOMER_ID_PATTERN).fullmatch

_is_uuid: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch


def is_customer_id(text: str) -> bool:
    """Whether the text may be a customer's id."""
    return _is_id(text) is not None and not is_pseudonym(text)


def may_be_of_account(text: str) -> bool:
    """Whether the text has the form of an own account's id."""
    return _is_uuid(text.lower()) is not None


def is_pseudonym(text: str) -> bool:
    """Whether the text stands in place of a customer who was erased."""
    return text.startswith(PSEUDONYM)


def hashed_id(customer_id: str) -> str:
    """The id's SHA-256 in hex: a name for a person who was erased, which doesn't say who it was."""
    return HASHED + hashlib.sha256(customer_id.encode()).hexdigest()
