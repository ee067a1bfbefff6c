"""The order in which effects have to be carried out, and which of them can be carried out at the same time."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, assert_never

import msgspec

from flashreserve.core.effects import (
    ConfirmEffect,
    EditEffect,
    Effect,
    ExtendEffect,
    LabelEffect,
    ReleaseEffect,
    ReserveEffect,
    RestockEffect,
    ReturnEffect,
)
from flashreserve.core.model import Product, Reservation
from flashreserve.core.quotas import is_first_of_hour
from flashreserve.stores.mongo.reserve_movement import PlannedReserve
from flashreserve.stores.mongo.write_results import Written

_NOWHERE: Final[dict[type[Effect], int]] = {}


class PlannedEdit(msgspec.Struct, frozen=True):
    """An edit to be written. `fixes_limit`: it is allowed only because the product was never reserved."""

    effect: EditEffect
    fixes_limit: bool


PlannedWrite = (
    PlannedReserve
    | ExtendEffect
    | ConfirmEffect
    | ReleaseEffect
    | ReturnEffect
    | LabelEffect
    | RestockEffect
    | PlannedEdit
)
"""An effect, with the other values that its write needs."""


class Stage(msgspec.Struct):
    """Writes that are independent of each other."""

    writes: list[PlannedWrite] = []

    def effects(self) -> Iterator[Effect]:
        """The effects of its writes."""
        for write in self.writes:
            yield write.effect if isinstance(write, PlannedReserve | PlannedEdit) else write

    def by_kind(self) -> list[list[PlannedWrite]]:
        """The writes, grouped by type."""
        kinds: dict[type[PlannedWrite], list[PlannedWrite]] = {}
        for write in self.writes:
            kinds.setdefault(type(write), []).append(write)
        return list(kinds.values())


def arrange(effects: Iterable[Effect], products: Mapping[str, Product]) -> list[Stage]:
    """The effects in stages. `products` are as they were before all effects.

    Effects on the same reservation are in successive stages, as planned. On a product, holds share a stage, and so do
    releases and returns; all other effects are in successive stages. A hold comes after the effect that gives up a
    claim that the hold takes. It also comes after the customer's hold that takes the first claim of the hour: if that
    one is refused, the customer's other holds were planned on a wrong count.
    """
    arranging = _Arranging(products)
    for effect in effects:
        arranging.add(effect)
    return arranging.stages


class _Arranging:
    def __init__(self, products: Mapping[str, Product]) -> None:
        self.stages: list[Stage] = []
        self._rules = {id_: (product.rev, product.per_customer_limit) for id_, product in products.items()}
        self._reservation_at: dict[str, int] = {}
        self._product_at: dict[str, dict[type[Effect], int]] = {}
        self._free_after: dict[tuple[str, str], int] = {}
        self._first_of_hour: dict[str, int] = {}

    def add(self, effect: Effect) -> None:
        match effect:
            case ReserveEffect(reservation, claims):
                revs = {line.product_id: self._rules[line.product_id][0] for line in reservation.lines}
                freed = [self._free_after.get((reservation.user_id, claim), -1) for claim in claims]
                first = self._first_of_hour.get(reservation.user_id, -1)
                stage = self._stage(effect, reservation.id, list(revs), least=max([first, *freed]) + 1)
                stage.writes.append(PlannedReserve(effect, revs))
                if any(map(is_first_of_hour, claims)):
                    self._first_of_hour[reservation.user_id] = self._reservation_at[reservation.id]
            case ExtendEffect(after) | LabelEffect(after, _):
                self._stage(effect, after.id, []).writes.append(effect)
            case ConfirmEffect(after, claims):
                self._stage(effect, after.id, []).writes.append(effect)
                self._note_free(after, claims)
            case ReleaseEffect(after, claims):
                product_ids = [line.product_id for line in after.lines]
                self._stage(effect, after.id, product_ids).writes.append(effect)
                self._note_free(after, claims)
            case ReturnEffect(after, entry, claims):
                product_ids = [line.product_id for line in entry.lines]
                self._stage(effect, after.id, product_ids).writes.append(effect)
                self._note_free(after, claims)
            case RestockEffect(adjustment):
                self._stage(effect, None, [adjustment.product_id]).writes.append(effect)
            case EditEffect(after, _):
                self._stage(effect, None, [after.id]).writes.append(self._planned_edit(effect))
            case _:
                assert_never(effect)

    def _note_free(self, after: Reservation, claims: Iterable[str]) -> None:
        place = self._reservation_at[after.id]
        self._free_after |= {(after.user_id, claim): place for claim in claims}

    def _planned_edit(self, effect: EditEffect) -> PlannedEdit:
        after = effect.after
        _, limit = self._rules[after.id]
        self._rules[after.id] = (after.rev, after.per_customer_limit)
        new = after.per_customer_limit
        raised = limit is not None and new is not None and new >= limit
        return PlannedEdit(effect, fixes_limit=new != limit and not raised)

    def _stage(self, effect: Effect, reservation_id: str | None, product_ids: list[str], *, least: int = 0) -> Stage:
        """The first stage, from number `least` on, that comes after all effects for which this one has to wait."""
        kind = type(effect)
        place = least
        if reservation_id is not None:
            place = max(place, self._reservation_at.get(reservation_id, -1) + 1)
        for product_id in product_ids:
            for other, at in self._product_at.get(product_id, _NOWHERE).items():
                together = other is kind and kind in (ReserveEffect, ReleaseEffect, ReturnEffect)
                place = max(place, at if together else at + 1)
        if reservation_id is not None:
            self._reservation_at[reservation_id] = place
        for product_id in product_ids:
            self._product_at.setdefault(product_id, {})[kind] = place
        while len(self.stages) <= place:
            self.stages.append(Stage())
        return self.stages[place]


def intended(effect: Effect) -> Written:
    """The document that the effect is planned to write, which identifies the effect."""
    match effect:
        case ReserveEffect(reservation, _):
            return reservation
        case ExtendEffect(after) | ConfirmEffect(after, _) | ReleaseEffect(after, _) | ReturnEffect(after, _, _):
            return after
        case LabelEffect(after, _) | EditEffect(after, _):
            return after
        case RestockEffect(adjustment):
            return adjustment
        case _:
            assert_never(effect)
