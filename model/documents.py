"""The database of the model: a clock, products with their open intents, and reservations.

Nothing here is ever changed in place. A step takes a state of the database and returns another.
"""

from typing import Final, Literal

import msgspec

Status = Literal["PENDING", "CONFIRMED", "EXPIRED", "CANCELLED", "VOID"]
"""VOID: no such reservation ever existed. Its document only occupies the id."""

Mode = Literal["sweep", "cancel"]

LIVE: Final = ("PENDING", "CONFIRMED")
PSEUDONYM: Final = "erased"
"""The customer of reservations whose customer was erased."""

KEY: Final = "key:"
"""The beginning of a claim that stands for an idempotency key. All others stand for a limit."""

Lines = tuple[tuple[str, int], ...]
"""Product and quantity, in the order of products."""


def brief(value: object) -> str:
    """A value as a trace shows it."""
    if isinstance(value, tuple):
        return "[" + ", ".join(brief(each) for each in value) + "]"
    return str(value)


class HoldRequest(msgspec.Struct, frozen=True):
    """A customer's request for a hold: a single product, or a basket of several.

    `claims` are unique per customer: `key:…` for an idempotency key, anything else for a unit of a limit.
    """

    name: str
    lines: Lines
    user: str = "u"
    claims: tuple[str, ...] = ()
    expires_at: int = 9
    id: str | None = None
    """The beginning of its reservations' ids, if not the name: two requests may be given one id by mistake."""

    @property
    def key(self) -> str | None:
        """The claim of its idempotency key, if it has one."""
        return next((claim for claim in self.claims if claim.startswith(KEY)), None)


class IntentItem(msgspec.Struct, frozen=True):
    """A hold in a reserve intent: so many units of this product were taken for it."""

    reservation: str
    user: str
    quantity: int
    key: str | None = None

    def __str__(self) -> str:
        return f"{self.quantity} for {self.reservation}"


class ReserveIntent(msgspec.Struct, frozen=True):
    """The note of movement f inside a product: R1 took these units, and nobody settled yet."""

    f: str
    owner: str
    items: tuple[IntentItem, ...]

    def __str__(self) -> str:
        return f"reserve {self.f} of {self.owner}: {brief(self.items)}"


class ReleaseIntent(msgspec.Struct, frozen=True):
    """The note of movement f inside a product: L1 announced the release of these reservations."""

    f: str
    owner: str
    mode: Mode
    reservations: tuple[str, ...]
    cutoff: int

    def __str__(self) -> str:
        return f"{self.mode} {self.f} of {self.owner}: {brief(self.reservations)}"


class ReturnPlan(msgspec.Struct, frozen=True):
    """A return as it was planned: the reservation, its customer, status and number of returns, and what goes back.

    `key` is None for a confirmation of fewer units. `freed` are the claims of limits that it gives up.
    """

    reservation: str
    user: str
    status: Status
    place: int
    lines: Lines
    key: str | None = None
    freed: tuple[str, ...] = ()

    @property
    def products(self) -> tuple[str, ...]:
        """The products of which units go back."""
        return tuple(product for product, _ in self.lines)

    def __str__(self) -> str:
        units = ", ".join(f"{quantity} of {product}" for product, quantity in self.lines)
        return f"{units} of {self.reservation} as its return {self.place}"


class ReturnIntent(msgspec.Struct, frozen=True):
    """The note of movement f inside a product: G1 announced this return."""

    f: str
    owner: str
    plan: ReturnPlan

    def __str__(self) -> str:
        return f"return {self.f} of {self.owner}: {self.plan}"


Intent = ReserveIntent | ReleaseIntent | ReturnIntent


class ProductDoc(msgspec.Struct, frozen=True):
    """A product. `available` is the number of units that can be reserved now, `stocked` of all ever put in."""

    id: str
    stocked: int
    available: int
    intents: tuple[Intent, ...] = ()

    def intent(self, f: str) -> Intent | None:
        """The open intent of movement f."""
        return next((intent for intent in self.intents if intent.f == f), None)

    def without(self, gone: Intent) -> tuple[Intent, ...]:
        """The intents, but for one."""
        return tuple(intent for intent in self.intents if intent != gone)


class ReturnDoc(msgspec.Struct, frozen=True):
    """A return in a reservation: the movement that entered it, and the units that went back."""

    f: str
    lines: Lines
    key: str | None = None

    def __str__(self) -> str:
        return f"{self.lines} by {self.f}"


class ReservationDoc(msgspec.Struct, frozen=True):
    """A reservation. `claims` are those it has now; a release gives up the limits', and keeps the key's.

    `request` names the request that it answers, and `limits` are the claims of limits that it began with, but for those
    that returns freed. The database has neither; they are here to be checked.
    """

    id: str
    user: str
    status: Status
    request: str = ""
    lines: Lines = ()
    limits: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()
    taken_by: str = ""
    """The movement that took its units."""
    expires_at: int = 0
    extensions: int = 0
    released_by: str | None = None
    returns: tuple[ReturnDoc, ...] = ()

    def __str__(self) -> str:
        released = f", released by {self.released_by}" if self.released_by else ""
        returned = f", returned {brief(self.returns)}" if self.returns else ""
        return f"{self.id} {self.status} until {self.expires_at}{released}{returned}"

    @property
    def is_live(self) -> bool:
        """Whether its units are held or sold."""
        return self.status in LIVE

    def units(self, product: str) -> int:
        """Its units of this product that weren't returned."""
        return _units_of(self.lines, product) - sum(_units_of(entry.lines, product) for entry in self.returns)

    def units_returned(self, f: str, product: str) -> int:
        """The units of this product in the return that movement f entered."""
        return sum(_units_of(entry.lines, product) for entry in self.returns if entry.f == f)

    def return_of(self, key: str) -> ReturnDoc | None:
        """The return under this key."""
        return next((entry for entry in self.returns if entry.key == key), None)

    def may_be_returned(self, plan: ReturnPlan) -> bool:
        """The guard of G2: the customer, the status and the number of returns as planned."""
        return (self.user, self.status, len(self.returns)) == (plan.user, plan.status, plan.place)

    def is_past(self, plan: ReturnPlan) -> bool:
        """Whether the guard of G2 fails for good. An older read than the plan's never says so."""
        erased = self.user == PSEUDONYM != plan.user
        return erased or self.status not in {"PENDING", plan.status} or len(self.returns) > plan.place

    def may_be_released(self, mode: Mode, cutoff: int) -> bool:
        """The guard of L2: PENDING, and for a sweep lapsed by the cutoff."""
        return self.status == "PENDING" and (mode == "cancel" or self.expires_at <= cutoff)


class DatabaseState(msgspec.Struct, frozen=True, cache_hash=True):
    """Everything that the database has, and its clock. Both tuples are in the order of ids."""

    products: tuple[ProductDoc, ...]
    reservations: tuple[ReservationDoc, ...] = ()
    clock: int = 0

    def product(self, id_: str) -> ProductDoc:
        """The product of that id, which is there."""
        return next(product for product in self.products if product.id == id_)

    def reservation(self, id_: str) -> ReservationDoc | None:
        """The reservation of that id."""
        return next((document for document in self.reservations if document.id == id_), None)

    def with_product(self, changed: ProductDoc) -> "DatabaseState":
        """The same, with a changed product in the old one's place. Open intents are kept in the order of their ids."""
        ordered = tuple(sorted(changed.intents, key=_place))
        changed = msgspec.structs.replace(changed, intents=ordered)
        products = tuple(changed if product.id == changed.id else product for product in self.products)
        return msgspec.structs.replace(self, products=products)

    def with_reservation(self, changed: ReservationDoc) -> "DatabaseState":
        """The same, with a reservation that is new, or stands in the old one's place."""
        others = [document for document in self.reservations if document.id != changed.id]
        ordered = tuple(sorted([*others, changed], key=lambda document: document.id))
        return msgspec.structs.replace(self, reservations=ordered)


def _units_of(lines: Lines, product: str) -> int:
    return sum(quantity for each, quantity in lines if each == product)


def _place(intent: Intent) -> tuple[str, str]:
    return intent.f, intent.owner


def new_reservation(request: HoldRequest, id_: str, f: str) -> ReservationDoc:
    """The document of a hold as R2 inserts it."""
    return ReservationDoc(
        id=id_,
        user=request.user,
        status="PENDING",
        request=request.name,
        lines=request.lines,
        limits=tuple(claim for claim in request.claims if not claim.startswith(KEY)),
        claims=request.claims,
        taken_by=f,
        expires_at=request.expires_at,
    )
