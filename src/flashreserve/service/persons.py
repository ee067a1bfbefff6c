"""Persons: whether anything is stored about a customer, and erasing a customer."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import msgspec

from flashreserve.clock import SteadyClock
from flashreserve.core import limits
from flashreserve.core.customers import PSEUDONYM
from flashreserve.core.events import BY_COMMAND_LINE
from flashreserve.core.model import Account, Reservation, Status
from flashreserve.service.reservations import ReservationService
from flashreserve.stores.filters import ReservationFilter
from flashreserve.stores.outages import after_a_change
from flashreserve.stores.port import AccountStore, PersonStore

REFUSED_AFTER_S: Final = 10.0
"""After so long, every process refuses the tokens of a customer who is being erased."""

_PAUSE_S: Final = 1.0
_STEPS_MAX: Final = 2_000
"""Steps of one erasure: enough for a million reservations."""

_PAUSES_MAX: Final = 60
"""How often to wait for a movement that names a reservation: recovery ends abandoned ones after half a minute."""


class PersonalStore(AccountStore, PersonStore, Protocol):
    """The part of a store that this service needs."""


class Erased(msgspec.Struct, frozen=True, tag=True):
    """The customer was erased: an own account, if there was one, and the name in so many reservations."""

    account: bool
    reservations: int


class AdminKept(msgspec.Struct, frozen=True, tag=True):
    """The customer is an admin, so nothing was erased."""


class ErasureUnfinished(msgspec.Struct, frozen=True, tag=True):
    """Some of the customer's reservations couldn't be rewritten yet. The rest is done; erase again."""

    reservations: int


class PersonService:
    """Knows about whom something is stored, and erases customers."""

    def __init__(
        self,
        store: PersonalStore,
        reservations: ReservationService,
        clock: SteadyClock,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._reservations = reservations
        self._clock = clock
        self._pause = pause

    async def account(self, customer_id: str) -> Account | None:
        """The customer's own account; None for a customer of the shop's, or an unknown one."""
        return await self._store.account_by_id(customer_id)

    async def is_stored(self, customer_id: str) -> bool:
        """Whether the customer has an own account or a reservation."""
        return await self.account(customer_id) is not None or bool(await self._own(customer_id))

    async def was_erased(self, customer_id: str) -> bool:
        """Whether an erasure of the customer, who has no account, began in the last `ERASURES_KEPT_S`."""
        return await self._store.signed_out_at(customer_id) is not None

    async def erase(self, customer_id: str, by: str = BY_COMMAND_LINE) -> Erased | AdminKept | ErasureUnfinished:
        """Erase a customer: cancel open holds, delete the account, and put a pseudonym in place of the customer.

        The cancellations are recorded under the name `by`.

        Takes over ten seconds, so that no process accepts a token of the customer any more. It may be repeated.
        """
        account = await self.account(customer_id)
        if not await self._store.begin_erasure(customer_id, self._clock.now_ms()):
            return AdminKept()
        with after_a_change():
            return await self._erase_begun(customer_id, by, had_account=account is not None)

    async def _erase_begun(self, customer_id: str, by: str, *, had_account: bool) -> Erased | ErasureUnfinished:
        """The rest of an erasure, once the customer's tokens are refused and the account is deleted."""
        await self._pause(REFUSED_AFTER_S)
        await self._cancel_holds(customer_id, by)
        pseudonym, done, pauses = f"{PSEUDONYM}{secrets.token_hex(16)}", 0, 0
        for _ in range(_STEPS_MAX):
            left = await self._store.has_reservations(customer_id)  # first: what comes of movements is rewritten then
            rewritten = await self._store.erase_reservations(customer_id, pseudonym, limits.ERASED_AT_ONCE)
            done += rewritten
            if rewritten:
                continue
            if not left:
                return Erased(had_account, done)
            if pauses == _PAUSES_MAX:
                break
            pauses += 1
            await self._pause(_PAUSE_S)
            await self._cancel_holds(customer_id, by)
        return ErasureUnfinished(len(await self._own(customer_id)))

    async def _cancel_holds(self, customer_id: str, by: str) -> None:
        """Cancel open holds. One that has lapsed is released: it may not have been swept yet."""
        for status in (Status.PENDING, Status.EXPIRED):
            for held in await self._own(customer_id, status):
                await self._reservations.cancel(None, held.id, by)

    async def _own(self, customer_id: str, status: Status | None = None) -> list[Reservation]:
        where = ReservationFilter(user_id=customer_id, status=status)
        return (await self._reservations.search(where, None, limits.PAGE_MAX)).reservations
