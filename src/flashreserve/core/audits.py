"""The findings of an audit, which checks every product's stock against its reservations."""

import msgspec


class SetAside(msgspec.Struct, frozen=True):
    """A document or row that was left out because it can't be read or released.

    `kind` is `reservation`, `product`, `account` or `movement`. `why` is the fault, in words for an operator.
    """

    kind: str
    id: str
    why: str


class Difference(msgspec.Struct, frozen=True):
    """A product that breaks rule 1.

    The rule is `available = stocked - live - moving`. `live` are the units of PENDING and CONFIRMED reservations,
    `moving` those of unfinished movements.
    """

    product_id: str
    stocked: int
    available: int
    live: int
    moving: int = 0


class Audit(msgspec.Struct, frozen=True):
    """Rule 1, checked for every product at one instant.

    `complete` is false if some product kept changing, so that no consistent sum of it was possible. `unreadable` counts
    the products that can't be read, and the reservations that can't be read or whose product is missing. Their units
    are in no sum. `set_aside` names some of them.
    """

    products: int
    reservations: int
    differences: list[Difference]
    complete: bool = True
    unreadable: int = 0
    set_aside: list[SetAside] = []
