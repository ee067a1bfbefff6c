"""Sales: the order of a basket, whether a sale is on, and whether enough units are available."""

from collections.abc import Iterable, Sequence

from flashreserve.core.model import Product, Units
from flashreserve.core.outcomes import NotOnSale, SalePaused, SoldOut


def basket(lines: Iterable[Units]) -> tuple[Units, ...]:
    """The lines of one request in the order of product ids. Lines of the same product are summed."""
    sums: dict[str, int] = {}
    for line in lines:
        sums[line.product_id] = sums.get(line.product_id, 0) + line.quantity
    return tuple(Units(product_id, sums[product_id]) for product_id in sorted(sums))


def refuse_sale(product: Product, now: int) -> SalePaused | NotOnSale | None:
    """Refuse a product that isn't on sale.

    It is on sale from `sale_starts_at` until before `sale_ends_at`, unless its sale is paused.
    """
    if product.pause_reason is not None or product.shop_pause_reason is not None:
        return SalePaused(product.id, product.pause or "")
    starts, ends = product.sale_starts_at, product.sale_ends_at
    if starts is None and ends is None:
        return None
    begun = starts is None or starts <= now
    over = ends is not None and ends <= now
    if begun and not over:
        return None
    left_ms = 0 if starts is None or over else starts - now
    return NotOnSale(product.id, starts, ends, -(-left_ms // 1000) if left_ms > 0 else None)


def refuse_products(
    products: Sequence[Product], lines: Sequence[Units], now: int
) -> SalePaused | NotOnSale | SoldOut | None:
    """The first refusal of the products at `now`, or None. `products` are in the order of `lines`."""
    for product in products:
        off_sale = refuse_sale(product, now)
        if off_sale is not None:
            return off_sale
    for product, wanted in zip(products, lines):  # noqa: B905 - a check here would cost as much as the rule
        # All units or none: a smaller number is never granted.
        if product.available < wanted.quantity:
            return SoldOut(product.id, product.available)
    return None
