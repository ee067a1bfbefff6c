"""The reference store: plain dictionaries, nothing durable. Every store must behave like it."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import assert_never

from msgspec.structs import replace
from typing_extensions import override

from flashreserve.core import limits, rules
from flashreserve.core.audits import Audit, Difference, SetAside
from flashreserve.core.catalogue import adjusted
from flashreserve.core.commands import Command, Expire
from flashreserve.core.customers import hashed_id
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
from flashreserve.core.events import BY_COMMAND_LINE
from flashreserve.core.facts import Claim, is_limit_claim
from flashreserve.core.holds import has_lapsed, live_units, status_at
from flashreserve.core.lookup import Found, Lookup, facts_from, gather_facts
from flashreserve.core.model import (
    Adjustment,
    DetailsEdit,
    Product,
    ProductDetails,
    Reservation,
    Role,
    Status,
)
from flashreserve.core.quotas import NO_QUOTAS, Quotas, is_quota_claim
from flashreserve.core.returns import without_person
from flashreserve.core.sale import refuse_sale
from flashreserve.core.trail import creation_event, events_of, shop_paused
from flashreserve.stores.filters import (
    ProductFilter,
    ProductsFound,
    ReservationFilter,
    ReservationsFound,
    first_id_at,
)
from flashreserve.stores.memory_accounts import MemoryAccounts, refuse_used_ids
from flashreserve.stores.memory_deliveries import MemoryDeliveries
from flashreserve.stores.memory_monitor import MemoryMonitor
from flashreserve.stores.port import Flushed, Progress, Store, Swept, Take


class MemoryStore(MemoryAccounts, MemoryDeliveries, MemoryMonitor, Store):
    """Keeps all data in this process. Each call runs to its end without awaiting, so calls never interleave."""

    flushes_ahead = 0
    sweep_max = limits.SWEEP_MAX

    def __init__(self, quotas: Quotas = NO_QUOTAS, *, logs_grants: bool = False) -> None:
        MemoryAccounts.__init__(self)
        MemoryDeliveries.__init__(self)
        MemoryMonitor.__init__(self)
        self._quotas = quotas
        self._logs_grants = logs_grants
        self._shop_pause: str | None = None
        self._products: dict[str, Product] = {}
        self._details: dict[str, ProductDetails] = {}
        self._claims: dict[Claim, str] = {}
        self._adjustments: dict[tuple[str, str], Adjustment] = {}

    @override
    async def flush_late(self, take: Take) -> Flushed:
        taken = take()
        return await self.flush(taken.commands, taken.now)

    @override
    async def flush(self, commands: Sequence[Command], now: int) -> Flushed:
        facts = facts_from(gather_facts(commands, self._quotas, now), self._find)
        plan = rules.plan(facts, commands, now)
        new_ids = [effect.reservation.id for effect in plan.effects if isinstance(effect, ReserveEffect)]
        refuse_used_ids(new_ids, self._reservations)
        for effect in plan.effects:
            self._apply(effect)
        self._record(events_of(plan.effects, grants=self._logs_grants))
        return Flushed(plan.outcomes, list(plan.products.values()))

    def _find(self, lookup: Lookup) -> Found:
        return Found(
            products={id_: self._products[id_] for id_ in lookup.product_ids if id_ in self._products},
            reservations={id_: self._reservations[id_] for id_ in lookup.reservation_ids if id_ in self._reservations},
            claims=self._holders(lookup.keys | lookup.claims),
            counting=self._reservation_ids_of(lookup.customers),
            adjustments={key: self._adjustments[key] for key in lookup.adjustments if key in self._adjustments},
            reserved_product_ids=frozenset(id_ for id_ in lookup.edited_product_ids if self._was_reserved(id_)),
        )

    def _holders(self, claims: Collection[Claim]) -> dict[Claim, str]:
        return {claim: self._claims[claim] for claim in claims if claim in self._claims}

    def _reservation_ids_of(self, customers: Collection[str]) -> dict[str, list[str]]:
        """The customers' reservations. Quota claims aren't stored, but counted: nothing changes until the flush."""
        ids: dict[str, list[str]] = {user_id: [] for user_id in customers}
        for held in self._reservations.values() if customers else ():
            if held.user_id in ids:
                ids[held.user_id].append(held.id)
        return ids

    def _was_reserved(self, product_id: str) -> bool:
        return any(line.product_id == product_id for held in self._reservations.values() for line in held.lines)

    def _apply(self, effect: Effect) -> None:
        match effect:
            case ReserveEffect(reservation, claims):
                self._reservations[reservation.id] = reservation
                self._claims |= {
                    (reservation.user_id, claim): reservation.id for claim in claims if not is_quota_claim(claim)
                }
                self._move(reservation, -1)
            case ExtendEffect(after) | ConfirmEffect(after) | LabelEffect(after):
                self._reservations[after.id] = after
            case ReleaseEffect(after, claims):
                self._reservations[after.id] = after
                self._give_up(after.user_id, claims)
                self._move(after, +1)
            case ReturnEffect(after, entry, claims):
                self._reservations[after.id] = after
                self._give_up(after.user_id, claims)
                for line in entry.lines:
                    self._put_back(line.product_id, line.quantity)
            case RestockEffect(adjustment):
                self._adjustments[adjustment.product_id, adjustment.key] = adjustment
                self._products[adjustment.product_id] = adjusted(
                    self._products[adjustment.product_id], adjustment.change, adjustment.at
                )
            case EditEffect(after):
                stock = self._products[after.id]
                self._products[after.id] = replace(after, stocked=stock.stocked, available=stock.available)
            case _:
                assert_never(effect)

    def _give_up(self, user_id: str, claims: Iterable[str]) -> None:
        for claim in claims:
            self._claims.pop((user_id, claim), None)

    def _move(self, reservation: Reservation, sign: int) -> None:
        for line in reservation.lines:
            self._put_back(line.product_id, sign * line.left)

    def _put_back(self, product_id: str, units: int) -> None:
        product = self._products[product_id]
        self._products[product_id] = replace(product, available=product.available + units)

    @override
    async def release_lapsed(self, now: int, most: int) -> Swept:
        due = sorted(
            (held.expires_at, held.id)
            for held in self._reservations.values()
            if held.status is Status.PENDING and has_lapsed(held.expires_at, now)
        )
        await self.flush([Expire(id_) for _, id_ in due[:most]], now)
        return Swept(released=len(due[:most]), more=len(due) > most)

    @override
    async def recover(self, now: int, most: int) -> int:
        del now, most
        return 0

    @override
    async def reservation(self, reservation_id: str) -> Reservation | None:
        return self._reservations.get(reservation_id)

    @override
    async def search_reservations(
        self, where: ReservationFilter, beyond: str | None, most: int, now: int, *, newest_first: bool = False
    ) -> ReservationsFound:
        ids = sorted(self._reservations, reverse=newest_first)
        after = [id_ for id_ in ids if beyond is None or (id_ < beyond if newest_first else id_ > beyond)]
        found = [self._reservations[id_] for id_ in after if _is_wanted(where, self._reservations[id_], now)]
        return ReservationsFound(found[:most], found[most - 1].id if len(found) > most else None)

    @override
    async def grants(self, since: int, most: int) -> dict[int, int]:
        first = first_id_at(since)
        made = [held for id_, held in sorted(self._reservations.items()) if id_ >= first][:most]
        return dict(Counter(held.created_at // 1000 for held in made if held.created_at >= since))

    @override
    async def oldest_due(self, now: int) -> int | None:
        return min(
            (
                held.expires_at
                for held in self._reservations.values()
                if held.status is Status.PENDING and has_lapsed(held.expires_at, now)
            ),
            default=None,
        )

    @override
    async def audit(self, progress: Progress | None = None) -> Audit:
        if progress is not None:
            progress(len(self._reservations))
        differences = []
        for product in self._products.values():
            live = live_units(self._reservations.values(), product.id)
            if product.available != product.stocked - live:
                differences.append(Difference(product.id, product.stocked, product.available, live))
        return Audit(len(self._products), len(self._reservations), differences)

    @override
    async def add_products(self, products: Sequence[Product], by: str = BY_COMMAND_LINE) -> None:
        refuse_used_ids([product.id for product in products], self._products)
        for product in products:
            added = replace(product, shop_pause_reason=self._shop_pause)
            self._products[product.id] = added
            self._record([creation_event(added, by)])

    @override
    async def pause_all(self, reason: str, by: str, at: int) -> None:
        self._pause_all(reason, by, at)

    @override
    async def resume_all(self, by: str, at: int) -> None:
        self._pause_all(None, by, at)

    def _pause_all(self, reason: str | None, by: str, at: int) -> None:
        self._shop_pause = reason
        for product in [each for each in self._products.values() if each.shop_pause_reason != reason]:
            self._products[product.id], event = shop_paused(product, reason, at, by)
            self._record([event])

    @override
    async def shop_pause(self) -> str | None:
        return self._shop_pause

    @override
    async def settling(self, product_id: str | None) -> int:
        return 0

    @override
    async def product(self, product_id: str) -> Product | None:
        return self._products.get(product_id)

    @override
    async def products(self, product_ids: Sequence[str]) -> list[Product]:
        return [self._products[id_] for id_ in product_ids if id_ in self._products]

    @override
    async def add_each(self, products: Sequence[Product], by: str = BY_COMMAND_LINE) -> list[bool]:
        added = []
        for product in products:
            taken = product.external_id is not None and await self.products_by_external_id([product.external_id])
            if not taken:
                await self.add_products([product], by)
            added.append(not taken)
        return added

    @override
    async def products_by_external_id(self, external_ids: Sequence[str]) -> list[Product]:
        return [product for product in self._products.values() if product.external_id in set(external_ids)]

    @override
    async def set_details(self, details: Mapping[str, ProductDetails]) -> None:
        self._details |= details

    @override
    async def edit_details(self, product_id: str, edit: DetailsEdit) -> ProductDetails:
        self._details[product_id] = edit.apply(self._details.get(product_id, ProductDetails()))
        return self._details[product_id]

    @override
    async def details(self, product_ids: Sequence[str]) -> dict[str, ProductDetails]:
        return {id_: self._details[id_] for id_ in product_ids if id_ in self._details}

    @override
    async def search_products(self, where: ProductFilter, beyond: str | None, most: int) -> ProductsFound:
        products = [self._products[id_] for id_ in sorted(self._products) if not beyond or id_ > beyond]
        found = [product for product in products if _allows(where, product)]
        return ProductsFound(found[:most], found[most - 1].id if len(found) > most else None)

    @override
    async def begin_erasure(self, customer_id: str, at: int) -> bool:
        account = self._accounts.pop(customer_id, None)
        if account is not None and account.role is Role.ADMIN:
            self._accounts[customer_id] = account
            return False
        self._reset_codes.pop(customer_id, None)
        kept_since = at - limits.ERASURES_KEPT_S * 1000
        kept = {id_: erased_at for id_, erased_at in self._erasures.items() if erased_at >= kept_since}
        hashed = hashed_id(customer_id)
        self._erasures = kept | {hashed: max(at, kept.get(hashed, 0))}
        return True

    @override
    async def has_reservations(self, customer_id: str) -> bool:
        return any(held.user_id == customer_id for held in self._reservations.values())

    @override
    async def erase_reservations(self, customer_id: str, pseudonym: str, most: int) -> int:
        own = [held for held in self._reservations.values() if held.user_id == customer_id]
        some = sorted((held for held in own if held.status is not Status.PENDING), key=_by_id)[:most]
        for held in some:
            self._reservations[held.id] = replace(
                held,
                user_id=pseudonym,
                key=None,
                external_id=None,
                metadata={},
                returns=tuple(without_person(entry) for entry in held.returns),
            )
        ids = {held.id for held in some}
        self._rename(ids, customer_id, pseudonym)
        for claim, reservation_id in [(claim, id_) for claim, id_ in self._claims.items() if id_ in ids]:
            del self._claims[claim]
            if is_limit_claim(claim[1]):
                self._claims[pseudonym, claim[1]] = reservation_id
        return len(some)

    @override
    async def check_writable(self) -> None:
        """Memory always takes writes."""

    @override
    async def database_now_ms(self) -> int | None:
        return None

    @override
    def set_aside(self) -> Sequence[SetAside]:
        return ()

    @override
    def beat(self) -> str:
        return ""

    @override
    async def close(self) -> None:
        pass


def _by_id(held: Reservation) -> str:
    return held.id


def _is_wanted(where: ReservationFilter, held: Reservation, now: int) -> bool:
    return (
        where.user_id in {None, held.user_id}
        and (where.product_id is None or any(line.product_id == where.product_id for line in held.lines))
        and where.external_id in {None, held.external_id}
        and where.status in {None, status_at(held, now)}
        and (where.since is None or held.created_at >= where.since)
        and (where.before is None or held.created_at < where.before)
    )


def _allows(where: ProductFilter, product: Product) -> bool:
    return (
        where.external_id in {None, product.external_id}
        and where.archived in {None, product.archived_at is not None}
        and (where.on_sale_at is None or refuse_sale(product, where.on_sale_at) is None)
        and (where.off_sale_at is None or refuse_sale(product, where.off_sale_at) is not None)
    )
