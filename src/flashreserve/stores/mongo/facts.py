"""Loading the facts that `rules.plan` needs. They may be stale when the plan is carried out: guards see to that."""

import asyncio
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from flashreserve.core.commands import Command, Reserve
from flashreserve.core.facts import Claim, Facts, Lookup, limit_claim
from flashreserve.core.model import Adjustment, Product, Status
from flashreserve.core.quotas import HOUR_MS, Quotas, hour_at, is_quota_claim
from flashreserve.core.rules import lookup
from flashreserve.stores.mongo.database import Database, Document
from flashreserve.stores.mongo.documents import (
    PRODUCT_FIELDS,
    VISIBLE,
    VOID,
    adjustment_from,
    claims_of,
    kept_claim,
    product_from,
    readable,
    reservation_from,
)


class Loaded(msgspec.Struct, frozen=True):
    """Facts, and what the guards need beside them.

    `moves` are the edited products' counts; None for one that has a movement open. `refusals` are how many restocks of
    each restocked product were refused. `used_ids` are ids of new
    reservations under which there is one already, `void_ids` those under which there is a VOID.

    With `current`, every write acknowledged before is among the facts. `moving` are then the keys, each with its
    customer, of reserves that may still be carried out: their movement was open before the other facts were read.
    """

    facts: Facts
    moves: dict[str, int | None] = {}
    refusals: dict[str, int] = {}
    used_ids: set[str] = set()
    void_ids: set[str] = set()
    current: bool = False
    moving: set[Claim] = set()


async def load(
    database: Database,
    commands: Sequence[Command],
    quotas: Quotas,
    now: int,
    *,
    counting: bool = False,
    current: bool = False,
) -> Loaded:
    """All that planning the commands takes. Whether a product was ever reserved is read after its count of moves.

    Quota claims are left out where the stock is ample, as if nobody had any, unless `counting`: the guard of a hold
    finds out who has, and then its command comes here again, to be counted.

    With `current`, by reads that see every write acknowledged before.

    Raises:
        StoreUnavailableError: the database can't be read.
    """
    wanted = lookup(commands)
    new_ids = {command.reservation_id for command in commands if isinstance(command, Reserve)}
    moving = await _moving(database, commands) if current else set()
    documents, by_id, by_key = await asyncio.gather(
        _products(database, wanted.product_ids, wanted, current=current),
        _by_id(database, wanted.reservation_ids | new_ids, current=current),
        _by_claim(database, wanted.claims, current=current),
    )
    products = readable(documents.values(), product_from)
    frequent = _frequent_customers(commands, products, counting=counting)
    by_limit, by_quota = await asyncio.gather(
        _by_claim(database, _limit_claims(products, wanted.buyers), current=current),
        _by_quota(database, frequent, quotas, now, current=current),
    )
    reservations = by_id | by_key | by_limit | by_quota
    held = readable((each for each in reservations.values() if each.get("status") != VOID), reservation_from)
    missing = {line.product_id for each in held.values() for line in each.lines} - products.keys()
    if missing:
        products |= readable((await _products(database, missing)).values(), product_from)
        held = {id_: each for id_, each in held.items() if all(line.product_id in products for line in each.lines)}
    facts = Facts(
        products=products,
        reservations=held,
        claims=_claims([reservations[id_] for id_ in held], frequent),
        adjustments=_adjustments(documents, wanted.adjustments),
        reserved_product_ids=await _reserved(database, wanted.edited_product_ids, documents),
        quotas=quotas,
    )
    return Loaded(
        facts=facts,
        moves=_moves(documents, wanted.edited_product_ids),
        refusals={id_: documents[id_].get("refusals", 0) for id_, _ in wanted.adjustments if id_ in documents},
        used_ids=new_ids & held.keys(),
        void_ids=new_ids & (reservations.keys() - held.keys()),
        current=current,
        moving=moving,
    )


def _claims(documents: Iterable[Document], counted: Container[str]) -> dict[Claim, str]:
    """The claims of the reservations; those of quotas for `counted` customers only, of whom all were loaded.

    A part of a customer's holds of an hour would tell of lapses and not of purchases, and refuse what it shouldn't.
    """
    return {
        (user_id, claim): document["_id"]
        for document in documents
        for user_id, claim in claims_of(document)
        if user_id in counted or not is_quota_claim(claim)
    }


async def _moving(database: Database, commands: Sequence[Command]) -> set[Claim]:
    """The commands' keys, with their customers, that an open movement of their products names."""
    keyed = [command for command in commands if isinstance(command, Reserve) and command.key is not None]
    if not keyed:
        return set()
    wanted = {(command.user_id, command.key) for command in keyed}
    found = await database.find(
        "products",
        {
            "_id": {"$in": list({line.product_id for command in keyed for line in command.lines})},
            "intents.items.key": {"$in": list({command.key for command in keyed})},
        },
        fields={"intents.items.user_id": 1, "intents.items.key": 1},
        current=True,
    )
    named = {
        (item["user_id"], item["key"])
        for document in found
        for intent in document["intents"]
        for item in intent.get("items", ())
        if "key" in item
    }
    return {(user_id, key) for user_id, key in named if (user_id, key) in wanted}


async def facts_to_expire(database: Database, documents: Sequence[Document], known: Mapping[str, Product]) -> Facts:
    """What planning to expire these reservations takes; of their products only that they are there, so known ones do.

    Raises:
        StoreUnavailableError: the database can't be read.
    """
    held = {document["_id"]: reservation_from(document) for document in documents}
    named = {line.product_id for each in held.values() for line in each.lines}
    products = {id_: known[id_] for id_ in named if id_ in known}
    for id_, document in (await _products(database, named - products.keys())).items():
        products[id_] = product_from(document)
    claims = {claim: document["_id"] for document in documents for claim in claims_of(document)}
    return Facts(products=products, reservations=held, claims=claims)


async def _products(
    database: Database, ids: Iterable[str], wanted: Lookup | None = None, *, current: bool = False
) -> dict[str, Document]:
    """The products; with their lists only where a restock or an edit needs them."""
    whole = wanted is not None and (wanted.adjustments or wanted.edited_product_ids)
    listed = list(ids)
    if not listed:
        return {}
    fields = {"intents.items": 0} if whole else PRODUCT_FIELDS
    found = await database.find("products", {"_id": {"$in": listed}, **VISIBLE}, fields=fields, current=current)
    return {document["_id"]: document for document in found}


async def _by_id(database: Database, ids: set[str], *, current: bool) -> dict[str, Document]:
    """The reservations named, and whatever stands under ids that should be new."""
    if not ids:
        return {}
    found = await database.find("reservations", {"_id": {"$in": list(ids)}}, current=current)
    return {each["_id"]: each for each in found}


async def _by_claim(database: Database, claims: set[Claim], *, current: bool) -> dict[str, Document]:
    """The reservations that hold the claims."""
    if not claims:
        return {}
    # Naming the type as well lets the partial index answer.
    query: dict[str, Any] = {"claims": {"$in": [kept_claim(claim) for claim in claims], "$type": "string"}}
    return {each["_id"]: each for each in await database.find("reservations", query, current=current)}


def _limit_claims(products: dict[str, Product], buyers: Iterable[tuple[str, str]]) -> set[Claim]:
    return {
        (user_id, limit_claim(product_id, unit))
        for user_id, product_id in buyers
        if product_id in products
        for unit in range(products[product_id].per_customer_limit or 0)
    }


def _frequent_customers(commands: Sequence[Command], products: dict[str, Product], *, counting: bool) -> set[str]:
    """Whose quota claims to load: those who may be granted a hold, and take units that nobody else could have then."""
    reserves = [command for command in commands if type(command) is Reserve]
    wanted: Counter[str] = Counter()
    for command in reserves:
        for line in command.lines:
            wanted[line.product_id] += line.quantity
    there = {id_: products[id_].available if id_ in products else 0 for id_ in wanted}
    return {
        command.user_id
        for command in reserves
        if all(there[line.product_id] for line in command.lines)
        and (counting or any(there[line.product_id] < 2 * wanted[line.product_id] for line in command.lines))
    }


async def _by_quota(
    database: Database, customers: set[str], quotas: Quotas, now: int, *, current: bool
) -> dict[str, Document]:
    """All holds that the customers' quota claims of now are in: those PENDING, and those granted in the hour of `now`.

    Looked for by customer, not by claim: 128 customers have 15,000 places for a claim, and looking for each of them
    took 70 ms where this takes 3. It reads through all that a customer ever reserved.
    """
    if not customers or not quotas.some:
        return {}
    counted = [{"status": Status.PENDING.value}, {"created_at": {"$gte": hour_at(now) * HOUR_MS}}]
    query = {"user_id": {"$in": list(customers)}, "$or": counted}
    return {each["_id"]: each for each in await database.find("reservations", query, current=current)}


def _adjustments(
    documents: dict[str, Document], wanted: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], Adjustment]:
    keys = set(wanted)
    return {
        (id_, each["key"]): adjustment_from(id_, each)
        for id_, document in documents.items()
        for each in document.get("adjustments", ())
        if (id_, each["key"]) in keys
    }


async def _reserved(database: Database, ids: Iterable[str], documents: dict[str, Document]) -> frozenset[str]:
    """Which of the products anybody ever reserved."""
    return frozenset(
        [
            id_
            for id_ in ids
            if id_ in documents and await database.find("reservations", {"product": id_}, fields={"_id": 1}, most=1)
        ]
    )


def _moves(documents: dict[str, Document], ids: Iterable[str]) -> dict[str, int | None]:
    return {id_: None if documents[id_]["intents"] else documents[id_]["moves"] for id_ in ids if id_ in documents}
