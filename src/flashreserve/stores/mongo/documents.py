"""The documents of products, reservations and accounts, and the indexes that the store relies on."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final, TypeVar

import msgspec
from msgspec import UNSET

from flashreserve.core.facts import Claim
from flashreserve.core.model import (
    Account,
    Adjustment,
    ApiKey,
    DetailsEdit,
    Product,
    ProductDetails,
    Reservation,
    ReturnEntry,
    Status,
)
from flashreserve.core.quotas import is_quota_claim
from flashreserve.expectations import why_not
from flashreserve.stores.mongo.database import Document, Fields, Index, Query, Update
from flashreserve.stores.unreadable import UnreadableError, checked_key

VOID: Final = "VOID"
"""The status of a document that blocks an id: no reservation existed under it, and none ever will."""

INDEXES: Final = (
    # Finds products with an open movement, for recovery. Other products aren't in it.
    Index("products", "intents", (("intents.at", 1),), sparse=True),
    Index("products", "external", (("external_id", 1),), unique=True, where={"external_id": {"$type": "string"}}),
    # Each claim belongs to one reservation. Strings only, because two empty arrays would collide. Starts with the shard
    # key.
    Index(
        "reservations",
        "claims",
        (("user_id", 1), ("claims", 1)),
        unique=True,
        where={"claims": {"$type": "string"}},
    ),
    # Finds the holders of a list of claims. With the customer in the index, each pair would be searched for by itself.
    Index("reservations", "claimed", (("claims", 1),), where={"claims": {"$type": "string"}}),
    # Each place in a quota belongs to one reservation. A text costs half as much as an entry in the list of claims.
    Index("reservations", "open", (("user_id", 1), ("open", 1)), unique=True, where={"open": {"$type": "string"}}),
    Index("reservations", "hour", (("user_id", 1), ("hour", 1)), unique=True, where={"hour": {"$type": "string"}}),
    Index("reservations", "due", (("expires_at", 1), ("_id", 1)), where={"status": "PENDING"}),
    Index("reservations", "of_user", (("user_id", 1), ("_id", -1))),
    Index("reservations", "of_product", (("product", 1), ("_id", 1))),
    Index("reservations", "external", (("external_id", 1), ("_id", 1)), where={"external_id": {"$type": "string"}}),
    Index("accounts", "email", (("email", 1),), unique=True),
    Index("accounts", "signed_out", (("signed_out_at", -1),), where={"signed_out_at": {"$type": "number"}}),
    Index("erasures", "at", (("at", -1),)),
    Index("batches", "state", (("state", 1), ("at", 1))),
    # Find the documents whose trails have entries that aren't in the log yet. Others aren't in these.
    Index("reservations", "ship", (("ship_at", 1),), sparse=True),
    Index("products", "ship", (("ship_at", 1),), sparse=True),
    Index("accounts", "ship", (("ship_at", 1),), sparse=True),
    Index("keys", "ship", (("ship_at", 1),), sparse=True),
    Index("products", "starting", (("starting", 1),), sparse=True),
    Index("endpoints", "ship", (("ship_at", 1),), sparse=True),
    Index("deliveries", "due", (("endpoint_id", 1), ("next_at", 1)), where={"next_at": {"$type": "number"}}),
    Index("deliveries", "at", (("at", 1),)),
    Index("attempts", "of", (("endpoint_id", 1), ("_id", -1))),
    Index("events", "place", (("place", 1),), sparse=True),
    Index("events", "subject", (("subject", 1), ("n", 1))),
    Index("events", "at", (("at", 1), ("place", 1))),
)

VISIBLE: Final[Document] = {"batch": {"$exists": False}}
"""Products of complete imports. The others must not be seen."""

PRODUCT_FIELDS: Final[Fields] = {"adjustments": 0, "intents": 0, "trail": 0}
"""A product without the lists that can get long."""

_T = TypeVar("_T")


def lapsed(now: int) -> Query:
    """`core.holds.has_lapsed` as a condition on `expires_at`."""
    return {"$lte": now}


def not_lapsed(now: int) -> Query:
    """The opposite of `lapsed`."""
    return {"$gt": now}


def due(now: int) -> Query:
    """The holds that a sweep releases."""
    return {"status": Status.PENDING.value, "expires_at": lapsed(now)}


def product_document(product: Product) -> Document:
    """A new product, without movements.

    `moves` counts every change of its stock or intents: if two readings have the same count, neither changed between
    them.
    """
    return {**struct_document(product), "moves": 0, "intents": [], "adjustments": []}


def product_from(document: Document) -> Product:
    """The product in a document that has all fields except the lists.

    Raises:
        UnreadableError: the document is invalid.
    """
    return read_struct(document, Product)


def reservation_document(reservation: Reservation, claims: Collection[str], taken_by: str) -> Document:
    """A reservation with its claims, and the id of the movement that took its units.

    `open` and `hour` are its places in the customer's quotas, one of each: see `core.quotas`. Fields that are None, and
    an empty list of returns, are left out. `product` is for searching: the product, or a basket's list of products. In
    an index, a list costs some servers several times as much, so only baskets have one.
    """
    product_ids = [line.product_id for line in reservation.lines]
    document = {name: value for name, value in struct_document(reservation).items() if value not in (None, (), {})}
    document |= kept_labels(reservation)
    document["lines"] = list(document["lines"])
    document["product"] = product_ids if len(product_ids) > 1 else product_ids[0]
    document["claims"] = [kept_claim((reservation.user_id, claim)) for claim in claims if not is_quota_claim(claim)]
    document["taken_by"] = taken_by
    for claim in filter(is_quota_claim, claims):
        kind, _, place = claim.partition(":")
        document[kind] = place
    return document


LABELS: Final = ("external_id", "metadata")


def kept_labels(reservation: Reservation) -> Document:
    """The reservation's labels as they are stored; those that it doesn't have are left out."""
    labels: Document = {}
    if reservation.external_id is not None:
        labels["external_id"] = reservation.external_id
    if reservation.metadata:
        labels["metadata"] = _pairs(reservation.metadata)
    return labels


def _pairs(metadata: Mapping[str, str]) -> list[list[str]]:
    """Metadata as pairs: MongoDB would take a key with a dot apart if it were a field's name."""
    return sorted([name, value] for name, value in metadata.items())


def _metadata_of(document: Document) -> dict[str, str]:
    return dict(msgspec.convert(document.get("metadata", []), list[tuple[str, str]]))


def kept_claim(claim: Claim) -> str:
    """A customer's claim as it is stored: with the customer in it, so that it can be looked up alone.

    A colon in the customer's id is escaped, so that no two customers' claims are stored as the same text.
    """
    user_id, text = claim
    kind, _, rest = text.partition(":")
    return f"{kind}:{_without_colon(user_id)}:{rest}"


def _without_colon(user_id: str) -> str:
    return user_id.replace("%", "%25").replace(":", "%3A")


def claims_of(document: Document) -> Iterator[Claim]:
    """The claims in a reservation's document."""
    user_id: str = document["user_id"]
    length = len(_without_colon(user_id))
    for kept in document.get("claims", ()):
        kind, _, rest = kept.partition(":")
        yield user_id, f"{kind}:{rest[length + 1 :]}"
    for kind in ("open", "hour"):
        if kind in document:
            yield user_id, f"{kind}:{document[kind]}"


def void_document(reservation_id: str, user_id: str) -> Document:
    """A VOID. It has the customer, so that a sharded cluster puts it on the same shard as the reservation."""
    return {"_id": reservation_id, "user_id": user_id, "status": VOID}


def reservation_from(document: Document) -> Reservation:
    """The reservation in a document that isn't a VOID.

    Raises:
        UnreadableError: the document is invalid.
    """
    if "metadata" in document:
        document = {**document, "metadata": _readable_metadata(document)}
    held = read_struct(document, Reservation)
    if not held.lines or any(line.quantity < 1 for line in held.lines):
        raise UnreadableError("expected lines of at least one unit")
    return held


def _readable_metadata(document: Document) -> dict[str, str]:
    try:
        return _metadata_of(document)
    except msgspec.ValidationError as error:
        raise UnreadableError("expected metadata as pairs of texts") from error


def returns_from(document: Document) -> tuple[ReturnEntry, ...]:
    """The returns in a reservation's document.

    Raises:
        UnreadableError: they are invalid.
    """
    try:
        return msgspec.convert(whole(document.get("returns", [])), tuple[ReturnEntry, ...])
    except msgspec.ValidationError as error:
        raise UnreadableError("expected returns, each with lines, at and by") from error


def adjustment_document(adjustment: Adjustment) -> Document:
    """An adjustment as it is stored in its product."""
    fields: Document = msgspec.to_builtins(adjustment)
    del fields["product_id"]
    return fields


def adjustment_from(product_id: str, document: Document) -> Adjustment:
    """The adjustment that is stored in its product as `document`.

    Raises:
        UnreadableError: the document is invalid.
    """
    return read_struct({**document, "_id": None, "product_id": product_id}, Adjustment)


def details_document(product_id: str, details: ProductDetails) -> Document:
    """The details of a product."""
    fields: Document = msgspec.to_builtins(details)
    return {**fields, "_id": product_id, "metadata": _pairs(details.metadata)}


def details_change(edit: DetailsEdit) -> Update:
    """The update that an edit makes in a product's details. It writes only what the edit gives."""
    given: Document = {"description": edit.description, "image_url": edit.image_url}
    change: Document = {name: {"$literal": value} for name, value in given.items() if value is not UNSET}
    metadata = {"$literal": _pairs(edit.apply(ProductDetails()).metadata)}
    if edit.metadata is not UNSET:
        change["metadata"] = metadata
    elif edit.pairs:
        is_changed = {"$in": [{"$arrayElemAt": ["$$this", 0]}, {"$literal": list(edit.pairs)}]}
        others = {"$filter": {"input": {"$ifNull": ["$metadata", []]}, "cond": {"$not": [is_changed]}}}
        change["metadata"] = {"$concatArrays": [others, metadata]}
    return [{"$set": change}]


def details_from(document: Document) -> ProductDetails:
    """The details in a document.

    Raises:
        UnreadableError: the document is invalid.
    """
    try:
        return msgspec.convert({**document, "metadata": _metadata_of(document)}, ProductDetails)
    except msgspec.ValidationError as error:
        raise UnreadableError("expected the details of a product") from error


def account_document(account: Account) -> Document:
    """The document of an account."""
    return struct_document(account)


def account_from(document: Document) -> Account:
    """The account in a document.

    Raises:
        UnreadableError: the document is invalid.
    """
    return read_struct(document, Account)


def key_document(key: ApiKey) -> Document:
    """The document of an API key."""
    return struct_document(key)


def key_from(document: Document) -> ApiKey:
    """The API key in a document.

    Raises:
        UnreadableError: the document is invalid.
    """
    return checked_key(read_struct(document, ApiKey))


def readable(documents: Iterable[Document], read: Callable[[Document], _T]) -> dict[str, _T]:
    """The documents that can be read, by id. The others are left out, as if they didn't exist."""
    found: dict[str, _T] = {}
    for document in documents:
        with suppress(UnreadableError):
            found[document["_id"]] = read(document)
    return found


def id_of(document: Document) -> str:
    """The document's id as a text, even if it is of another type."""
    return str(document["_id"])


def struct_document(struct: msgspec.Struct) -> Document:
    """The fields of a struct, with its id as that of the document."""
    fields: Document = msgspec.to_builtins(struct)
    fields["_id"] = fields.pop("id")
    return fields


def read_struct(document: Document, kind: type[_T]) -> _T:
    """The struct of the fields that `kind` has.

    A missing field gets its default, and a field that a newer version added is ignored, so two successive versions can
    share a database.
    """
    document = {**document, "id": document["_id"]}
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError:
        pass
    try:  # Numbers that somebody entered in a MongoDB shell are doubles.
        return msgspec.convert(whole(document), kind)
    except msgspec.ValidationError as error:
        raise UnreadableError(why_not(whole(document), kind)) from error


def whole(value: Any) -> Any:
    """The value with whole numbers as integers: those that somebody entered in a MongoDB shell are doubles."""
    match value:
        case dict():
            return {key: whole(each) for key, each in value.items()}
        case list():
            return [whole(each) for each in value]
        case float() if value.is_integer():
            return int(value)
        case _:
            return value
