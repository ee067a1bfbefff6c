"""Problem documents (RFC 9457): the form of every refusal and error."""

from collections.abc import Sequence
from typing import Final, Literal, TypedDict, Unpack

import msgspec
from msgspec import UNSET, UnsetType

from flashreserve.http.places import Place

CONTENT_TYPE: Final = "application/problem+json"

Code = Literal[
    "bad-request",
    "unauthenticated",
    "forbidden",
    "cross-site",
    "not-on-sale",
    "sale-paused",
    "not-found",
    "method-not-allowed",
    "request-timeout",
    "sold-out",
    "limit-reached",
    "already-confirmed",
    "cancelled",
    "extensions-used-up",
    "not-confirmed",
    "too-many",
    "too-many-keys",
    "too-many-endpoints",
    "returns-used-up",
    "stock-taken",
    "rules-fixed",
    "external-id-taken",
    "wrong-code",
    "last-admin",
    "email-taken",
    "link-used",
    "audit-running",
    "still-admin",
    "erasure-unfinished",
    "expired",
    "too-large",
    "uri-too-long",
    "unsupported-media-type",
    "key-reused",
    "too-many-tries",
    "open-holds-reached",
    "hourly-holds-reached",
    "lapses-reached",
    "headers-too-large",
    "internal",
    "unavailable",
    "outcome-unknown",
]


class Kind(msgspec.Struct, frozen=True):
    """Facts that all problems of one code share.

    `meaning` is one sentence for the page that a problem's `type` links to.
    """

    status: int
    title: str
    meaning: str


KINDS: Final[dict[Code, Kind]] = {
    "bad-request": Kind(
        400, "Bad request", "The request is invalid; the errors name the fields and what was expected."
    ),
    "unauthenticated": Kind(
        401,
        "Not signed in",
        "The request needs a valid token, as a bearer token or as the cookie that signing in sets.",
    ),
    "forbidden": Kind(403, "Forbidden", "The account that signed in may not do this."),
    "cross-site": Kind(
        403,
        "Request from another site",
        "A change asked for with the sign-in cookie must come from a page of this site.",
    ),
    "not-on-sale": Kind(403, "Not on sale", "The product's sale hasn't begun yet or is over."),
    "sale-paused": Kind(403, "Sale paused", "The shop has paused the sale for a while; the reason says why."),
    "not-found": Kind(404, "Not found", "There is no such thing, or it belongs to another customer."),
    "method-not-allowed": Kind(
        405,
        "Method not allowed",
        "The address exists, but not for this method; the Allow header names the methods that it has.",
    ),
    "request-timeout": Kind(
        408, "Request too slow", "The request wasn't sent completely within the time that the server waits for it."
    ),
    "sold-out": Kind(
        409, "Sold out", "Fewer units are available than asked for; units come back when holds expire or are cancelled."
    ),
    "limit-reached": Kind(
        409, "Limit reached", "The customer would hold and have bought more units of the product than one customer may."
    ),
    "already-confirmed": Kind(409, "Already confirmed", "A confirmed reservation can't be cancelled or extended."),
    "cancelled": Kind(409, "Cancelled", "A cancelled reservation can't be confirmed or extended; reserve again."),
    "extensions-used-up": Kind(409, "Extensions used up", "The hold was extended as often as the product allows."),
    "not-confirmed": Kind(409, "Not confirmed", "Only what was bought can be returned; a hold can be cancelled."),
    "too-many": Kind(409, "Too many units", "The reservation has fewer units left than the request names."),
    "too-many-keys": Kind(409, "Too many API keys", "There are as many API keys as there may be; revoke some."),
    "too-many-endpoints": Kind(
        409, "Too many endpoints", "There are as many webhook endpoints as there may be; remove some."
    ),
    "returns-used-up": Kind(409, "Returns used up", "The reservation has as many returns as it may have."),
    "stock-taken": Kind(409, "Stock is taken", "Stock can't be lowered below what is held and bought."),
    "rules-fixed": Kind(
        409, "Rule is fixed", "This rule of the product can't change any more, because somebody has reserved under it."
    ),
    "external-id-taken": Kind(409, "External id taken", "Another product has this external id."),
    "wrong-code": Kind(
        409, "Wrong code", "The reset code is wrong, used or older than half an hour, or there is no such account."
    ),
    "last-admin": Kind(409, "Last admin", "The account of the last admin can't be disabled or demoted."),
    "email-taken": Kind(409, "E-mail address taken", "There is an account with this e-mail address already."),
    "link-used": Kind(
        409, "Link is used up", "The link is invalid, older than a day, or an admin's account was made meanwhile."
    ),
    "audit-running": Kind(409, "Audit is running", "The process runs an audit already; its verdict will be listed."),
    "still-admin": Kind(409, "Still an admin", "The account is an admin's; demote it before you erase it."),
    "erasure-unfinished": Kind(
        409, "Erasure is unfinished", "Some reservations are still being changed; erase again in a minute."
    ),
    "expired": Kind(410, "Hold expired", "The hold was over before the request came, and its units are back on sale."),
    "too-large": Kind(413, "Body too large", "The request's body is larger than the server takes."),
    "uri-too-long": Kind(414, "Address too long", "The request's address is longer than the server takes."),
    "unsupported-media-type": Kind(
        415, "Unsupported media type", "The request's body must be JSON and say so in its Content-Type."
    ),
    "key-reused": Kind(
        422, "Idempotency key reused", "The idempotency key stands for another request; a new request needs a new key."
    ),
    "too-many-tries": Kind(
        429,
        "Too many tries",
        "There were too many tries in a short time; the Retry-After header says when to try again.",
    ),
    "open-holds-reached": Kind(
        429,
        "Too many open holds",
        "The customer has as many open holds as one may have; buy or cancel one, or wait Retry-After seconds.",
    ),
    "hourly-holds-reached": Kind(
        429,
        "Too many holds in an hour",
        "The customer was granted as many holds as one may have in an hour; the next begins in Retry-After seconds.",
    ),
    "lapses-reached": Kind(
        429,
        "Too many lapsed holds",
        "The customer let too many holds of this hour lapse and bought none; the next begins in Retry-After seconds.",
    ),
    "headers-too-large": Kind(
        431, "Headers too large", "The request's headers are larger or more than the server takes."
    ),
    "internal": Kind(
        500, "Internal error", "The server failed; its log has the cause, under the answer's X-Request-Id."
    ),
    "unavailable": Kind(
        503,
        "Unavailable",
        "The server can't take the request now and has taken nothing; try again after Retry-After seconds.",
    ),
    "outcome-unknown": Kind(
        503,
        "Outcome unknown",
        "The request may or may not have been carried out; repeat it with the same idempotency key.",
    ),
}


class FieldError(msgspec.Struct, frozen=True, gc=False):
    """One fault of the input. `field` is its name in the API; `message` says what was expected."""

    field: str
    message: str


class CheckView(msgspec.Struct, frozen=True, omit_defaults=True):
    """One part that requests need, and its state. `detail` is left out if it is for operators only."""

    name: str
    ok: bool
    detail: str = ""


class Problem(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The document. `type` is relative to the site's address; `instance` is the path that was asked for.

    `errors` names the first field at fault, and is left out when no field is; `checks` is left out everywhere but in
    the answer to `/readyz?verbose`. The other members are the facts of some problems, for programs: `productId`, the
    product that the request failed for; `available`, its available units; `limit`, how much one customer may have;
    `saleStartsAt`, `saleEndsAt` and `expiresAt`; `reason`, why a sale is paused; and `retryAfterSeconds`, the same as
    Retry-After.
    """

    type: str
    code: Code
    title: str
    status: int
    detail: str
    instance: str
    errors: Sequence[FieldError] = ()
    checks: Sequence[CheckView] = ()
    product_id: str | UnsetType = UNSET
    available: int | UnsetType = UNSET
    limit: int | UnsetType = UNSET
    sale_starts_at: str | UnsetType = UNSET
    sale_ends_at: str | UnsetType = UNSET
    expires_at: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    retry_after_seconds: int | UnsetType = UNSET


class ProblemFacts(TypedDict, total=False):
    """The facts of a problem, see `Problem`."""

    product_id: str | UnsetType
    available: int
    limit: int
    sale_starts_at: str | UnsetType
    sale_ends_at: str | UnsetType
    expires_at: str
    reason: str
    retry_after_seconds: int | UnsetType


def problem(
    code: Code, detail: str, place: Place, errors: Sequence[FieldError] = (), **facts: Unpack[ProblemFacts]
) -> Problem:
    """A problem of this code."""
    kind = KINDS[code]
    return Problem(place.prefix + _TYPES[code], code, kind.title, kind.status, detail, place.shown, errors, **facts)


def encode(
    code: Code, detail: str, place: Place, errors: Sequence[FieldError] = (), **facts: Unpack[ProblemFacts]
) -> bytes:
    """The document as JSON, to be sent with `CONTENT_TYPE` and the status of `KINDS[code]`."""
    return _encode(problem(code, detail, place, errors, **facts))


_TYPES: Final[dict[Code, str]] = {code: f"/problems/{code}" for code in KINDS}
_encode: Final = msgspec.json.Encoder().encode
