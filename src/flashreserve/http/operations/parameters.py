"""Parameters that several operations have, and the answers that go with them."""

from typing import Annotated, Final

from msgspec import Meta

from flashreserve.core import limits
from flashreserve.http import fields
from flashreserve.http.operations.examples import PRODUCT_ID, RESERVATION_ID
from flashreserve.http.operations.operation import Parameter, Success


def _id(what: str, example: str) -> Parameter:
    return Parameter("id", "path", fields.Id, f"The {what}'s id.", required=True, example=example)


def _key(description: str, *, required: bool = False) -> Parameter:
    kind = Annotated[str, Meta(min_length=1, max_length=limits.KEY_LENGTH_MAX, pattern="^[!-~]+$")]
    return Parameter("Idempotency-Key", "header", kind, description, required=required)


PRODUCT_IN_PATH: Final = _id("product", PRODUCT_ID)
RESERVATION_IN_PATH: Final = _id("reservation", RESERVATION_ID)
PAGE: Final = (
    Parameter("cursor", "query", fields.Id, "`nextCursor` of the page before. Without it, the first page is sent."),
    Parameter("limit", "query", fields.PageLimit, "Highest number of entries in the page."),
)
RESERVE_KEY: Final = _key(
    "Makes retries safe: the same request with the same key gets the first answer again, and nothing is taken twice."
    " Only a granted request binds its key; it is kept for at least 24 hours. Visible ASCII, at most 255 characters."
)
RESTOCK_KEY: Final = _key(
    "Keeps a repeated request from counting twice. Visible ASCII, at most 255 characters.", required=True
)
IF_NONE_MATCH: Final = Parameter(
    "If-None-Match", "header", str, "The `ETag` of an earlier answer. If it is current, the answer is 304."
)
UNCHANGED: Final = Success(304, "The client's version is current.", headers=("ETag",))
