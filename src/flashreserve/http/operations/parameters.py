"""Parameters that several operations have, and the answers that go with them."""

from typing import Annotated, Final

from msgspec import Meta

from flashreserve.core import limits
from flashreserve.core.model import Status
from flashreserve.http import fields
from flashreserve.http.operations.examples import ENDPOINT_ID, EXTERNAL_ID, PRODUCT_ID, RESERVATION_ID, USER_ID
from flashreserve.http.operations.operation import Parameter, Success


def _id(what: str, example: str) -> Parameter:
    return Parameter("id", "path", fields.Id, f"The {what}'s id.", required=True, example=example)


def _key(description: str, *, required: bool = False) -> Parameter:
    kind = Annotated[str, Meta(min_length=1, max_length=limits.KEY_LENGTH_MAX, pattern="^[!-~]+$")]
    return Parameter("Idempotency-Key", "header", kind, description, required=required)


PRODUCT_IN_PATH: Final = _id("product", PRODUCT_ID)
ACCOUNT_IN_PATH: Final = _id("account", USER_ID)
ENDPOINT_IN_PATH: Final = _id("endpoint", ENDPOINT_ID)
RESERVATION_IN_PATH: Final = _id("reservation", RESERVATION_ID)
EXTERNAL_ID_IN_PATH: Final = Parameter(
    "externalId",
    "path",
    fields.ExternalId,
    "The shop's own id of the product.",
    required=True,
    example=EXTERNAL_ID,
)
LIMIT: Final = Parameter("limit", "query", fields.PageLimit, "Highest number of entries in the page.")
PAGE: Final = (
    Parameter("cursor", "query", fields.Id, "`nextCursor` of the page before. Without it, the first page is sent."),
    LIMIT,
)
RESERVATION_FILTER: Final = (
    Parameter("status", "query", Status, "Only reservations that have this status now."),
    Parameter("productId", "query", fields.Id, "Only reservations of this product."),
    Parameter("customerId", "query", fields.CustomerId, "Only reservations of this customer."),
    Parameter("externalId", "query", fields.ExternalId, "Only reservations with this id of the shop's own."),
    Parameter("from", "query", fields.Instant, "Only reservations made at this time or later."),
    Parameter("to", "query", fields.Instant, "Only reservations made before this time."),
)
RESERVE_KEY: Final = _key(
    "Makes retries safe: the same request with the same key gets the first answer again, and nothing is taken twice."
    " Only a granted request binds its key; it is kept for at least 24 hours. Visible ASCII, at most 255 characters."
)
RESTOCK_KEY: Final = _key(
    "Keeps a repeated request from counting twice. Visible ASCII, at most 255 characters.", required=True
)
RETURN_KEY: Final = _key(
    "Keeps a repeated request from giving units back twice. It stands for one return of this reservation. Visible"
    " ASCII, at most 255 characters.",
    required=True,
)
ON_BEHALF_OF: Final = Parameter(
    "On-Behalf-Of",
    "header",
    fields.CustomerId,
    "With an API key of the scope `customers`: the customer for whom the request acts. Others may not send it.",
)
IF_NONE_MATCH: Final = Parameter(
    "If-None-Match", "header", str, "The `ETag` of an earlier answer. If it is current, the answer is 304."
)
UNCHANGED: Final = Success(304, "The client's version is current.", headers=("ETag",))
