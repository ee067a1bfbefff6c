"""Changes of products: restocking, and edits of their names, prices and rules."""

from typing import Any, Final

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from flashreserve.core import limits
from flashreserve.core.book import Book
from flashreserve.core.commands import Edit, Restock
from flashreserve.core.effects import EditEffect, RestockEffect
from flashreserve.core.model import Adjustment, Product
from flashreserve.core.outcomes import (
    Edited,
    EditOutcome,
    Invalid,
    KeyReused,
    NotFound,
    Restocked,
    RestockOutcome,
    RulesFixed,
    StockTaken,
)
from flashreserve.core.words import counted


def adjusted(product: Product, change: int, at: int) -> Product:
    """The product with `change` units put in, or taken out if it is negative, as of `at` (UTC milliseconds)."""
    return replace(
        product,
        stocked=product.stocked + change,
        available=product.available + change,
        updated_at=max(at, product.updated_at),
        trail_n=product.trail_n + 1,
    )


def refuse_product(product: Product) -> Invalid | None:
    """The refusal of a product whose fields contradict each other; None if they don't."""
    starts, ends = product.sale_starts_at, product.sale_ends_at
    if starts is not None and ends is not None and ends <= starts:
        return Invalid("sale_ends_at", "expected an instant after sale_starts_at")
    return None


def restock(book: Book, command: Restock) -> RestockOutcome:
    """Put units in or take them out. A repeated key is answered before any refusal except NotFound."""
    product = book.products.get(command.product_id)
    if product is None:
        return NotFound("product", command.product_id)
    earlier = book.adjustments.get((command.product_id, command.key))
    if earlier is not None:
        return Restocked(earlier, replayed=True) if earlier.change == command.change else KeyReused(command.key)
    if product.available + command.change < 0:
        return StockTaken(product.id, product.available)
    if product.stocked + command.change > limits.STOCK_MAX:
        return Invalid("change", f"expected at most {counted(limits.STOCK_MAX - product.stocked, 'more unit')}")
    after = adjusted(product, command.change, book.now)
    adjustment = Adjustment(
        product_id=product.id,
        key=command.key,
        change=command.change,
        by=command.by,
        at=book.now,
        stocked=after.stocked,
        available=after.available,
    )
    book.products[product.id] = after
    book.adjustments[product.id, command.key] = adjustment
    book.effects.append(RestockEffect(adjustment, after))
    book.units_returned = book.units_returned or command.change > 0
    return Restocked(adjustment)


def edit(book: Book, command: Edit) -> EditOutcome:
    """Change the fields that the command sets. An edit that changes nothing writes nothing.

    But a pause of a paused sale, and an end of a pause that is over, are written: they raise `rev`. Otherwise a late
    copy of an earlier command could still be carried out and undo what this one was told.
    """
    product = book.products.get(command.product_id)
    if product is None:
        return NotFound("product", command.product_id)
    changes: dict[str, Any] = {
        field: value
        for field, value in msgspec.structs.asdict(command).items()
        if field not in _NOT_FIELDS and value is not UNSET and value != getattr(product, field)
    }
    if command.archived is not UNSET and command.archived != (product.archived_at is not None):
        changes["archived_at"] = book.now if command.archived else None
    if not changes and command.pause_reason is UNSET:
        return Edited(product)
    after = replace(product, **changes, rev=product.rev + 1)
    if changes:
        after = replace(after, updated_at=max(book.now, product.updated_at), trail_n=product.trail_n + 1)
    refusal = _refuse_limit_change(book, product, after) or refuse_product(after)
    if refusal is not None:
        return refusal
    book.products[product.id] = after
    book.effects.append(EditEffect(after, product, command.by, book.now))
    return Edited(after)


_NOT_FIELDS: Final = frozenset({"product_id", "archived", "by"})
"""Fields of the command that aren't fields of the product."""


def _refuse_limit_change(book: Book, before: Product, after: Product) -> RulesFixed | None:
    """Refuse to set or lower a limit once the product was reserved: earlier units have no claims, or too many."""
    old, new = before.per_customer_limit, after.per_customer_limit
    if old == new or not _was_reserved(book, before.id):
        return None
    if old is not None and new is not None and new > old:
        return None
    return RulesFixed("per_customer_limit", "after the first reservation the limit can only be raised")


def _was_reserved(book: Book, product_id: str) -> bool:
    """Whether the product was ever reserved, in this plan or before."""
    return product_id in book.facts.reserved_product_ids or any(
        line.product_id == product_id for held in book.reservations.values() for line in held.lines
    )
