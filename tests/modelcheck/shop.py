"""Products, holds and requests of the configurations, and the structure of a configuration."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec.structs import replace
from tests.modelcheck.programs import recover
from tests.modelcheck.setting import CodeProcess, CodeSetting
from tests.modelcheck.store_seam import product_document, stored_reservation
from tests.modelcheck.stored_documents import Document

from flashreserve.core.commands import Confirm, Reserve, Return
from flashreserve.core.model import Line, Product, Reservation, Status, Units


class CodeConfiguration(msgspec.Struct, frozen=True):
    """A setting of the real code, in which no promise may be broken."""

    name: str
    purpose: str
    setting: CodeSetting


def product(id_: str, units: int, taken: int = 0, **fields: Any) -> Product:
    """A product with `units` in stock, of which `taken` are held already."""
    plain = Product(
        id=id_,
        name="n",
        price=1,
        currency="EUR",
        stocked=units,
        available=units - taken,
        sale_starts_at=None,
        sale_ends_at=None,
        per_customer_limit=None,
        hold_s=1,
        extensions_max=3,
        created_at=0,
        updated_at=0,
    )
    return replace(plain, **fields)


def hold(id_: str, user: str, *product_ids: str, expires_at: int = 1000, claims: Sequence[str] = ()) -> Document:
    """A hold of one unit of each product, which was made long ago."""
    held = Reservation(
        id=id_,
        user_id=user,
        status=Status.PENDING,
        lines=tuple(Line(product_id, 1, 1, "EUR") for product_id in product_ids),
        created_at=0,
        expires_at=expires_at,
        hold_s=1,
        extensions_max=3,
        key=None,
    )
    return stored_reservation(held, claims)


def bought(id_: str, user: str, *product_ids: str, quantity: int = 1, claims: Sequence[str] = ()) -> Document:
    """A purchase of units of each product, which was made long ago."""
    document = hold(id_, user, *product_ids, claims=claims)
    lines = [{**line, "quantity": quantity} for line in document["lines"]]
    return {**document, "lines": lines, "status": Status.CONFIRMED.value, "confirmed_at": 0}


def give_back(key: str, *product_ids: str, quantity: int = 1, id_: str = "h") -> Return:
    """A return of units of each product of a purchase."""
    return Return(id_, None, tuple(Units(product_id, quantity) for product_id in product_ids), key, "admin")


def buy(*product_ids: str, quantity: int = 1, id_: str = "h") -> Confirm:
    """A confirmation of only these units of a hold."""
    return Confirm(id_, None, tuple(Units(product_id, quantity) for product_id in product_ids), "admin")


def reserve(id_: str, user: str, *product_ids: str, quantity: int = 1, key: str | None = None) -> Reserve:
    """A request for units of each product."""
    return Reserve(id_, user, tuple(Units(product_id, quantity) for product_id in product_ids), key)


def limit_claims(*numbers: int) -> list[str]:
    """The claims of units of product A, which has a limit per customer."""
    return [f"limit:A:{number}" for number in numbers]


def stored(*products: Product, reservations: Sequence[Document] = ()) -> dict[str, list[Document]]:
    """The initial documents."""
    documents = {"products": [product_document(each) for each in products]}
    return {**documents, "reservations": list(reservations)} if reservations else documents


V: Final = CodeProcess("v", recover)
W: Final = CodeProcess("w", recover)
"""Two processes that recover."""
