"""The steps of the protocol: atomic operations on one document each. Every class says its guard.

A process `await`s a step, and gets its reply. Between two steps anything may happen. The names R1 … V0 are those of
docs/adr/0010-mongodb-fences.md (G1 … G4: 0022-returns.md) and of the code in `src/flashreserve/stores/mongo`. R3 is the
answer to the customer, and L3 and G3 are adding up; none is an operation of the database. V1 to V3 are made of the
steps here (`recovery.py`).
"""

from collections.abc import Generator
from typing import Any, ClassVar, Generic, TypeVar

import msgspec
from msgspec.structs import replace
from typing_extensions import override

from model.documents import (
    KEY,
    DatabaseState,
    Intent,
    IntentItem,
    Mode,
    ProductDoc,
    ReleaseIntent,
    ReservationDoc,
    ReserveIntent,
    ReturnDoc,
    ReturnIntent,
    ReturnPlan,
    Status,
    brief,
)

Reply = TypeVar("Reply")


class ReplyLostError(Exception):
    """The reply to a write was lost. The write may have been carried out, may be at any time, or never."""


class AtomicStep(msgspec.Struct, Generic[Reply], frozen=True, cache_hash=True):
    """One operation. It is carried out at one instant."""

    writes: ClassVar[bool] = True
    """Whether it is a write. The reply to a write is True if its guard held, else False; and it can be lost."""

    current: ClassVar[bool] = True
    """Whether a read shows all that was acknowledged before, even right after an election."""

    label: ClassVar[str] = "read"
    """Its name in the protocol."""

    def __await__(self) -> Generator["AtomicStep[Any]", Any, Reply]:
        reply: Reply = yield self
        return reply

    def apply(self, before: Any) -> tuple[Any, Reply]:
        """The database afterwards, and the reply."""
        raise NotImplementedError

    def __str__(self) -> str:
        fields = ", ".join(f"{field}={brief(getattr(self, field))}" for field in self.__struct_fields__)
        return f"{self.label} {type(self).__name__}({fields})"


class MovementKey(msgspec.Struct, frozen=True):
    """The id `f` of a movement, and the token of whoever may settle it."""

    f: str
    owner: str

    def __str__(self) -> str:
        return f"{self.f} of {self.owner}"


class TakeUnits(AtomicStep[bool], frozen=True):
    """R1: take units out of `available`, and leave a reserve intent that says for whom.

    Guard: `available` is enough for all items, and there is no intent f.

    With `settled`, the R4 of an earlier movement rides on it. That its intent is still there is no part of the guard.
    """

    label: ClassVar[str] = "R1"
    product: str
    movement: MovementKey
    items: tuple[IntentItem, ...]
    settled: MovementKey | None = None

    @override
    def apply(self, before: DatabaseState) -> tuple[DatabaseState, bool]:
        product, units = before.product(self.product), sum(item.quantity for item in self.items)
        if product.available < units or product.intent(self.movement.f) is not None:
            return before, False
        kept = tuple(intent for intent in product.intents if MovementKey(intent.f, intent.owner) != self.settled)
        intent = ReserveIntent(self.movement.f, self.movement.owner, self.items)
        return _with(before, product, product.available - units, (*kept, intent)), True


class InsertReservation(AtomicStep[bool], frozen=True):
    """R2: insert a reservation.

    Guard: the id is new, and no other reservation of this customer has one of its claims (two unique indexes). The
    reply doesn't say which of the two was violated.
    """

    label: ClassVar[str] = "R2"
    document: ReservationDoc

    @override
    def apply(self, before: DatabaseState) -> tuple[DatabaseState, bool]:
        new = self.document
        for other in before.reservations:
            if other.id == new.id or (other.user == new.user and not set(other.claims).isdisjoint(new.claims)):
                return before, False
        return before.with_reservation(new), True


class InsertVoid(AtomicStep[bool], frozen=True):
    """R2 and V1: insert a VOID under a reservation's id, so that the reservation can't be inserted any more.

    Guard: the id is new.
    """

    label: ClassVar[str] = "VOID"
    reservation: str
    user: str

    @override
    def apply(self, before: DatabaseState) -> tuple[DatabaseState, bool]:
        if before.reservation(self.reservation) is not None:
            return before, False
        return before.with_reservation(ReservationDoc(self.reservation, self.user, "VOID")), True


class Settle(AtomicStep[bool], frozen=True):
    """R4, L4 and G4: end a movement on a product. Take its intent out, and put units back into `available`.

    Guard: the intent f is there, and has this owner. Without an owner (a fence left out): the intent f is there.
    """

    label: ClassVar[str] = "settle"
    product: str
    f: str
    owner: str | None
    units: int

    @override
    def apply(self, before: DatabaseState) -> tuple[DatabaseState, bool]:
        product = before.product(self.product)
        intent = product.intent(self.f)
        if intent is None or self.owner not in {None, intent.owner}:
            return before, False
        return _with(before, product, product.available + self.units, product.without(intent)), True


class Announce(AtomicStep[bool], frozen=True):
    """L1: leave a release intent on a product of reservations that are to be released.

    Guard: there is no intent f.
    """

    label: ClassVar[str] = "L1"
    product: str
    movement: MovementKey
    mode: Mode
    reservations: tuple[str, ...]
    cutoff: int

    @override
    def apply(self, before: DatabaseState) -> tuple[DatabaseState, bool]:
        product = before.product(self.product)
        if product.intent(self.movement.f) is not None:
            return before, False
        intent = ReleaseIntent(self.movement.f, self.movement.owner, self.mode, self.reservations, self.cutoff)
        return _with(before, product, product.available, (*product.intents, intent)), True


class Release(AtomicStep[bool], frozen=True):
    """L2: release one reservation under movement f. Its claims of limits are given up.

    Guard: PENDING, and for a sweep `expires_at` ≤ cutoff.
    """

    label: ClassVar[str] = "L2"
    reservation: str
    f: str
    mode: Mode
    cutoff: int

    @override
    def apply(self, before: DatabaseState) -> tuple[DatabaseState, bool]:
        document = before.reservation(self.reservation)
        if document is None or not document.may_be_released(self.mode, self.cutoff):
            return before, False
        status: Status = "EXPIRED" if self.mode == "sweep" else "CANCELLED"
        kept = tuple(claim for claim in document.claims if claim.startswith(KEY))
        return before.with_reservation(replace(document, status=status, claims=kept, released_by=self.f)), True


class AnnounceReturn(AtomicStep[bool], frozen=True):
    """G1: leave a return intent on a product of which units go back.

    Guard: there is no intent f.
    """

    label: ClassVar[str] = "G1"
    product: str
    movement: MovementKey
    plan: ReturnPlan

    @override
    def apply(self, before: DatabaseState) -> tuple[DatabaseState, bool]:
        product = before.product(self.product)
        if product.intent(self.movement.f) is not None:
            return before, False
        intent = ReturnIntent(self.movement.f, self.movement.owner, self.plan)
        return _with(before, product, product.available, (*product.intents, intent)), True


class EnterReturn(AtomicStep[bool], frozen=True):
    """G2: enter a return in its reservation under movement f. Claims of limits are given up for the units.

    Guard: the customer, the status and the number of returns as planned. Without `in_place` (a fence left out): the
    customer and the status as planned, and no return under f or the key.
    """

    label: ClassVar[str] = "G2"
    f: str
    plan: ReturnPlan
    in_place: bool = True

    @override
    def apply(self, before: DatabaseState) -> tuple[DatabaseState, bool]:
        plan, document = self.plan, before.reservation(self.plan.reservation)
        if document is None or (document.user, document.status) != (plan.user, plan.status):
            return before, False
        entered = any(entry.f == self.f or (plan.key and entry.key == plan.key) for entry in document.returns)
        if not document.may_be_returned(plan) if self.in_place else entered:
            return before, False
        after = replace(
            document,
            returns=(*document.returns, ReturnDoc(self.f, plan.lines, plan.key)),
            claims=tuple(claim for claim in document.claims if claim not in plan.freed),
            limits=tuple(claim for claim in document.limits if claim not in plan.freed),
        )
        return before.with_reservation(after), True


class PutPseudonym(AtomicStep[bool], frozen=True):
    """Erase a customer from one reservation: it is a pseudonym's from now on.

    Guard: the customer, the status and the number of returns as they were read.
    """

    label: ClassVar[str] = "erase"
    read: ReservationDoc
    pseudonym: str

    @override
    def apply(self, before: DatabaseState) -> tuple[DatabaseState, bool]:
        read, document = self.read, before.reservation(self.read.id)
        if document is None or (document.user, document.status) != (read.user, read.status):
            return before, False
        if len(document.returns) != len(read.returns):
            return before, False
        return before.with_reservation(replace(document, user=self.pseudonym)), True


class TakeOver(AtomicStep[bool], frozen=True):
    """V0: make a movement one's own, by a fresh token.

    Guard: the intent f is there, and has still the owner that was read.
    """

    label: ClassVar[str] = "V0"
    product: str
    f: str
    old_owner: str
    new_owner: str

    @override
    def apply(self, before: DatabaseState) -> tuple[DatabaseState, bool]:
        product = before.product(self.product)
        intent = product.intent(self.f)
        if intent is None or intent.owner != self.old_owner:
            return before, False
        mine = replace(intent, owner=self.new_owner)
        return _with(before, product, product.available, (*product.without(intent), mine)), True


class ConfirmHold(AtomicStep[bool], frozen=True):
    """Confirm a hold.

    Guard: PENDING, and `expires_at` > now.
    """

    label: ClassVar[str] = "confirm"
    reservation: str
    now: int

    @override
    def apply(self, before: DatabaseState) -> tuple[DatabaseState, bool]:
        document = before.reservation(self.reservation)
        if document is None or document.status != "PENDING" or document.expires_at <= self.now:
            return before, False
        return before.with_reservation(replace(document, status="CONFIRMED")), True


class ExtendHold(AtomicStep[bool], frozen=True):
    """Extend a hold to `until`.

    Guard: PENDING, `expires_at` > now, `expires_at` < until, and so many extensions as were read. Without `grows`
    (a fence left out), `expires_at` is not compared with until.
    """

    label: ClassVar[str] = "extend"
    reservation: str
    now: int
    until: int
    extensions: int
    grows: bool = True

    @override
    def apply(self, before: DatabaseState) -> tuple[DatabaseState, bool]:
        document = before.reservation(self.reservation)
        if document is None or document.status != "PENDING" or document.expires_at <= self.now:
            return before, False
        if document.extensions != self.extensions or (self.grows and document.expires_at >= self.until):
            return before, False
        extended = replace(document, expires_at=self.until, extensions=document.extensions + 1)
        return before.with_reservation(extended), True


class ReturnUnits(AtomicStep[bool], frozen=True):
    """Put units back without an intent. The protocol has no such step; `Fences.lapsed_holds_by_movement` tries it."""

    label: ClassVar[str] = "bare"
    product: str
    units: int

    @override
    def apply(self, before: DatabaseState) -> tuple[DatabaseState, bool]:
        product = before.product(self.product)
        return _with(before, product, product.available + self.units, product.intents), True


class ReadClock(AtomicStep[int], frozen=True):
    """Read the time."""

    writes: ClassVar[bool] = False

    @override
    def apply(self, before: DatabaseState) -> tuple[DatabaseState, int]:
        return before, before.clock


class ReadIntents(AtomicStep[tuple[Intent, ...]], frozen=True):
    """Read a product's open intents."""

    writes: ClassVar[bool] = False
    current: ClassVar[bool] = False
    product: str

    @override
    def apply(self, before: DatabaseState) -> tuple[DatabaseState, tuple[Intent, ...]]:
        return before, before.product(self.product).intents


class ReadIntentsNow(ReadIntents, frozen=True):
    """The same by a current read."""

    current: ClassVar[bool] = True


class ReadWhetherOpen(AtomicStep[bool], frozen=True):
    """Read whether a movement is open on a product, and still its owner's."""

    writes: ClassVar[bool] = False
    current: ClassVar[bool] = False
    product: str
    movement: MovementKey

    @override
    def apply(self, before: DatabaseState) -> tuple[DatabaseState, bool]:
        intent = before.product(self.product).intent(self.movement.f)
        return before, intent is not None and intent.owner == self.movement.owner


class ReadWhetherKeyMoves(AtomicStep[bool], frozen=True):
    """Read by a current read whether an open reserve intent of a product names the customer's key."""

    writes: ClassVar[bool] = False
    product: str
    user: str
    key: str

    @override
    def apply(self, before: DatabaseState) -> tuple[DatabaseState, bool]:
        intents = before.product(self.product).intents
        items = [item for intent in intents if isinstance(intent, ReserveIntent) for item in intent.items]
        return before, any((item.user, item.key) == (self.user, self.key) for item in items)


class ReadReservation(AtomicStep[ReservationDoc | None], frozen=True):
    """Read a reservation, or the VOID in its place."""

    writes: ClassVar[bool] = False
    current: ClassVar[bool] = False
    reservation: str

    @override
    def apply(self, before: DatabaseState) -> tuple[DatabaseState, ReservationDoc | None]:
        return before, before.reservation(self.reservation)


class FindHolders(AtomicStep[tuple[ReservationDoc, ...]], frozen=True):
    """Find the reservations of a customer that have any of these claims."""

    writes: ClassVar[bool] = False
    current: ClassVar[bool] = False
    user: str
    claims: tuple[str, ...]

    @override
    def apply(self, before: DatabaseState) -> tuple[DatabaseState, tuple[ReservationDoc, ...]]:
        mine = [document for document in before.reservations if document.user == self.user]
        return before, tuple(each for each in mine if not set(each.claims).isdisjoint(self.claims))


class FindHoldersNow(FindHolders, frozen=True):
    """The same by a current read."""

    current: ClassVar[bool] = True


class FindLapsed(AtomicStep[tuple[ReservationDoc, ...]], frozen=True):
    """Find the holds that have lapsed."""

    writes: ClassVar[bool] = False
    current: ClassVar[bool] = False
    now: int

    @override
    def apply(self, before: DatabaseState) -> tuple[DatabaseState, tuple[ReservationDoc, ...]]:
        return before, tuple(each for each in before.reservations if each.may_be_released("sweep", self.now))


def _with(before: DatabaseState, product: ProductDoc, available: int, intents: tuple[Intent, ...]) -> DatabaseState:
    return before.with_product(replace(product, available=available, intents=intents))
