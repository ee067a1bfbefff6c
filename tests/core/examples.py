"""Short functions and constants for tests: products, customers, commands."""

from typing import Any, Final

from msgspec.structs import replace

from flashreserve.core.commands import Cancel, Confirm, Edit, Expire, Extend, Label, Reserve, Restock, Return
from flashreserve.core.model import Account, ApiKey, Product, Reservation, Role, Scope, Units
from flashreserve.core.outcomes import Reserved
from flashreserve.core.sale import basket

NOON: Final = 1_795_435_200_000
"""The time of most tests: 2026-11-23T12:00:00Z."""

HOLD_MS: Final = 600_000
"""Duration of a hold of `a_product`."""


def product_id(number: int) -> str:
    return f"0199c0de-0000-7000-8001-{number:012x}"


def reservation_id(number: int) -> str:
    return f"0199c0de-0000-7000-8002-{number:012x}"


def user_id(number: int) -> str:
    return f"0199c0de-0000-7000-8003-{number:012x}"


CUP: Final = product_id(1)
HAT: Final = product_id(2)
PEN: Final = product_id(3)
ANN: Final = user_id(1)
BEN: Final = user_id(2)
ADMIN: Final = user_id(99)


def a_product(id_: str = CUP, units: int = 10, **changes: Any) -> Product:
    """A product with `units` in stock, without limit, always on sale, with holds of ten minutes."""
    product = Product(
        id=id_,
        name="Cup",
        price=1_250,
        currency="EUR",
        stocked=units,
        available=units,
        sale_starts_at=None,
        sale_ends_at=None,
        per_customer_limit=None,
        hold_s=HOLD_MS // 1000,
        extensions_max=3,
        created_at=NOON - 1_000,
        updated_at=NOON - 1_000,
    )
    return replace(product, **changes)


def an_account(number: int = 1, email: str = "ann@example.com", role: Role = Role.CUSTOMER) -> Account:
    return Account(user_id(number), email, role, "$argon2id$first", NOON)


def a_key(number: int = 1, **changes: Any) -> ApiKey:
    key = ApiKey(f"{number:032x}", "Till 1 «é»", (Scope.READ, Scope.CUSTOMERS), "ab" * 32, 10, ADMIN)
    return replace(key, **changes)


def reserve(number: int, user: str = ANN, quantity: int = 1, *, of: str = CUP, key: str | None = None) -> Reserve:
    """The command to reserve one product. `number` gives the reservation's id."""
    return Reserve(reservation_id(number), user, (Units(of, quantity),), key)


def reserve_basket(number: int, lines: dict[str, int], user: str = ANN, *, key: str | None = None) -> Reserve:
    """The command to reserve a basket."""
    return Reserve(reservation_id(number), user, units(lines), key)


def confirm(number: int, user: str = ANN) -> Confirm:
    return Confirm(reservation_id(number), user)


def extend(number: int, user: str = ANN) -> Extend:
    return Extend(reservation_id(number), user)


def cancel(number: int, user: str = ANN) -> Cancel:
    return Cancel(reservation_id(number), user)


def confirm_some(number: int, lines: dict[str, int], user: str | None = ANN) -> Confirm:
    """The command to buy only these units of a hold."""
    return Confirm(reservation_id(number), user, units(lines), by=user or ADMIN)


def give_back(
    number: int, lines: dict[str, int], key: str = "parcel-1", *, user: str | None = None, reason: str | None = None
) -> Return:
    """The command to return these units of a purchase, by an admin."""
    return Return(reservation_id(number), user, units(lines), key, ADMIN, reason)


def label(number: int, external_id: str | None, user: str | None = ANN) -> Label:
    """The command to give a reservation the shop's own id, or to take it away."""
    return Label(reservation_id(number), user, external_id)


def units(lines: dict[str, int]) -> tuple[Units, ...]:
    return basket(Units(product, quantity) for product, quantity in lines.items())


def expire(number: int) -> Expire:
    return Expire(reservation_id(number))


def restock(change: int, key: str = "delivery-1", *, of: str = CUP) -> Restock:
    return Restock(of, key, change, ADMIN)


def edit(of: str = CUP, /, **changes: Any) -> Edit:
    return Edit(of, **changes)


def granted(outcome: object) -> Reservation:
    """The reservation that the outcome grants."""
    assert isinstance(outcome, Reserved), outcome
    return outcome.reservation
