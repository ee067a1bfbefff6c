"""The reference store: plain dictionaries, nothing durable. Every store must behave like it."""

from collections.abc import Collection, Container, Sequence
from typing import assert_never

from msgspec.structs import replace
from typing_extensions import override

from flashreserve.core import limits, rules
from flashreserve.core.catalogue import adjusted
from flashreserve.core.commands import Command, Expire
from flashreserve.core.effects import (
    ConfirmEffect,
    EditEffect,
    Effect,
    ExtendEffect,
    ReleaseEffect,
    ReserveEffect,
    RestockEffect,
)
from flashreserve.core.facts import Claim
from flashreserve.core.holds import has_lapsed, live_units
from flashreserve.core.lookup import Found, Lookup, facts_from, gather_facts
from flashreserve.core.model import Account, Adjustment, Product, Reservation, Role, Status
from flashreserve.core.quotas import NO_QUOTAS, Quotas, is_quota_claim
from flashreserve.stores.port import (
    Audit,
    Difference,
    Flushed,
    Progress,
    SetAside,
    Store,
    StoreDefectError,
    Swept,
    Take,
)


class MemoryStore(Store):
    """Keeps all data in this process. Each call runs to its end without awaiting, so calls never interleave."""

    flushes_ahead = 0
    sweep_max = limits.SWEEP_MAX

    def __init__(self, quotas: Quotas = NO_QUOTAS) -> None:
        self._quotas = quotas
        self._products: dict[str, Product] = {}
        self._reservations: dict[str, Reservation] = {}
        self._claims: dict[Claim, str] = {}
        self._adjustments: dict[tuple[str, str], Adjustment] = {}
        self._accounts: dict[str, Account] = {}

    @override
    async def flush_late(self, take: Take) -> Flushed:
        taken = take()
        return await self.flush(taken.commands, taken.now)

    @override
    async def flush(self, commands: Sequence[Command], now: int) -> Flushed:
        facts = facts_from(gather_facts(commands, self._quotas, now), self._find)
        plan = rules.plan(facts, commands, now)
        new_ids = [effect.reservation.id for effect in plan.effects if isinstance(effect, ReserveEffect)]
        _refuse_used_ids(new_ids, self._reservations)
        for effect in plan.effects:
            self._apply(effect)
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
            case ExtendEffect(after) | ConfirmEffect(after, _):
                self._reservations[after.id] = after
            case ReleaseEffect(after, claims):
                self._reservations[after.id] = after
                for claim in claims:
                    self._claims.pop((after.user_id, claim), None)
                self._move(after, +1)
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

    def _move(self, reservation: Reservation, sign: int) -> None:
        for line in reservation.lines:
            product = self._products[line.product_id]
            self._products[product.id] = replace(product, available=product.available + sign * line.quantity)

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
    async def reservations_of_user(self, user_id: str, before: str | None, most: int) -> list[Reservation]:
        own = [
            held for held in self._reservations.values() if held.user_id == user_id and (not before or held.id < before)
        ]
        return sorted(own, key=lambda held: held.id, reverse=True)[:most]

    @override
    async def reservations_of_product(self, product_id: str, after: str | None, most: int) -> list[Reservation]:
        every = await self.all_reservations(after, len(self._reservations))
        return [held for held in every if any(line.product_id == product_id for line in held.lines)][:most]

    @override
    async def all_reservations(self, after: str | None, most: int) -> list[Reservation]:
        return [self._reservations[id_] for id_ in sorted(self._reservations) if not after or id_ > after][:most]

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
    async def add_products(self, products: Sequence[Product]) -> None:
        _refuse_used_ids([product.id for product in products], self._products)
        self._products |= {product.id: product for product in products}

    @override
    async def product(self, product_id: str) -> Product | None:
        return self._products.get(product_id)

    @override
    async def products(self, product_ids: Sequence[str]) -> list[Product]:
        return [self._products[id_] for id_ in product_ids if id_ in self._products]

    @override
    async def list_products(self, after: str | None, most: int) -> list[Product]:
        return [self._products[id_] for id_ in sorted(self._products) if not after or id_ > after][:most]

    @override
    async def add_account(self, account: Account) -> bool:
        if await self.account_by_email(account.email) is not None:
            return False
        _refuse_used_ids([account.id], self._accounts)
        self._accounts[account.id] = account
        return True

    @override
    async def account_by_email(self, email: str) -> Account | None:
        return next((account for account in self._accounts.values() if account.email == email), None)

    @override
    async def account_by_id(self, account_id: str) -> Account | None:
        return self._accounts.get(account_id)

    @override
    async def replace_password_hash(self, account_id: str, old: str, new: str) -> bool:
        account = self._accounts.get(account_id)
        if account is None or account.password_hash != old:
            return False
        self._accounts[account_id] = replace(account, password_hash=new)
        return True

    @override
    async def set_role(self, account_id: str, role: Role) -> bool:
        account = self._accounts.get(account_id)
        if account is None:
            return False
        self._accounts[account_id] = replace(account, role=role)
        return True

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


def _refuse_used_ids(new_ids: Sequence[str], used_ids: Container[str]) -> None:
    if len(set(new_ids)) < len(new_ids) or any(id_ in used_ids for id_ in new_ids):
        raise StoreDefectError("an id that should be new is in use")
