"""What a store must be able to do. The docstrings are the contract; tests/contract holds every store to it.

Stores hold no rule: they load the facts that `gather_facts` asks for, let `rules.plan` decide, and apply the effects.
No driver's exception leaves a store: what goes wrong is one of the errors below.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import msgspec

from flashreserve.core.commands import Command
from flashreserve.core.model import Account, Product, Reservation, Role
from flashreserve.core.outcomes import Outcome


class StoreUnavailableError(Exception):
    """The database is away, full or locked, and nothing of the call was written."""


class StoreReadOnlyError(StoreUnavailableError):
    """The database answers, but takes no writes: it is read-only, full, locked or has lost its majority."""


class StoreOutcomeUnknownError(Exception):
    """The connection was lost in the middle: the call may or may not have been written."""


class StoreDefectError(Exception):
    """The call is impossible, such as an id used twice: a fault of the calling code. Nothing of it was written."""


class Flushed(msgspec.Struct, frozen=True):
    """What a flush came to.

    `outcomes` stand in the order of the commands. A store that writes a flush in one step has none but the rules' own;
    one that writes commands apart may answer some of them by `Unavailable` (nothing of it was written) or
    `OutcomeUnknown`. `products` are those that the flush loaded, as it left them: the stock view learns from them.
    """

    outcomes: Sequence[Outcome]
    products: list[Product]


class Swept(msgspec.Struct, frozen=True):
    """What one step of a sweep came to: holds `released`, and whether `more` were due than it could take."""

    released: int
    more: bool


class SetAside(msgspec.Struct, frozen=True):
    """A document or row that was left out because it can't be read or released.

    `kind` is `reservation`, `product`, `account` or `movement`; `why` says what is wrong, for an operator.
    """

    kind: str
    id: str
    why: str


class Difference(msgspec.Struct, frozen=True):
    """A product whose books don't balance.

    Rule 1 wants `available = stocked - live - moving`; `live` are the units of PENDING and CONFIRMED
    reservations, `moving` those of movements not yet finished.
    """

    product_id: str
    stocked: int
    available: int
    live: int
    moving: int = 0


class Audit(msgspec.Struct, frozen=True):
    """Rule 1, checked for every product at one instant.

    `complete` is false where no still picture of some product could be had. `unreadable` counts the reservations and
    products that can't be read, or whose product isn't there: their units are in no sum. `set_aside` names some.
    """

    products: int
    reservations: int
    differences: list[Difference]
    complete: bool = True
    unreadable: int = 0
    set_aside: list[SetAside] = []


Progress = Callable[[int], None]
"""Is told from time to time how many reservations have been read so far."""


class Taken(NamedTuple):
    """Commands, and the instant as of which to decide them.

    `given_up` tells, by a command's place, whether its deadline is over. Its caller was then told that the outcome is
    unknown and may have asked again elsewhere. So what isn't written by then must not be written any more.
    """

    commands: Sequence[Command]
    now: int
    given_up: Callable[[int], bool]


Take = Callable[[], Taken]
"""Returns commands when a store asks for them."""


class ReservationStore(Protocol):
    """Reservations and stock movements."""

    flushes_ahead: int
    """How many flushes may be handed over while one is being written. They are written in order of arrival."""

    sweep_max: int
    """How many lapsed holds to release in one step of a sweep, so that nobody else waits long."""

    async def flush_late(self, take: Take) -> Flushed:
        """`flush` what `take` returns when this flush's turn has come; it is called once, perhaps on another thread.

        Where an exception is raised before that, it isn't called. No commands are no fault, and nothing is written.
        """
        ...

    async def flush(self, commands: Sequence[Command], now: int) -> Flushed:
        """Decide and write `commands` (at most `limits.FLUSH_MAX`) as of `now`, in one durable step.

        When it returns, everything its outcomes promise survives a crash. Any exception other than
        `StoreOutcomeUnknownError` means that nothing was written. A store that has to try a reserve again does so under
        a new id: the outcome's reservation tells it.
        """
        ...

    async def release_lapsed(self, now: int, most: int) -> Swept:
        """Release at most `most` holds that have lapsed at `now`, the longest lapsed first."""
        ...

    async def recover(self, now: int, most: int) -> int:
        """Finish or undo at most `most` movements that a crashed process began; returns how many.

        A store that writes in transactions has none.
        """
        ...

    async def reservation(self, reservation_id: str) -> Reservation | None:
        """The reservation as last written, or None."""
        ...

    async def reservations_of_user(self, user_id: str, before: str | None, most: int) -> list[Reservation]:
        """The customer's reservations, newest (highest id) first, those with ids below `before`."""
        ...

    async def reservations_of_product(self, product_id: str, after: str | None, most: int) -> list[Reservation]:
        """All reservations with a line of the product, lowest id first, those with ids above `after`."""
        ...

    async def all_reservations(self, after: str | None, most: int) -> list[Reservation]:
        """All reservations, lowest id first, those with ids above `after`."""
        ...

    async def oldest_due(self, now: int) -> int | None:
        """When the longest lapsed hold that isn't released yet lapsed (UTC milliseconds); None where none has."""
        ...

    async def audit(self, progress: Progress | None = None) -> Audit:
        """Check rule 1 for every product, in memory that grows with the products only."""
        ...


class CatalogueStore(Protocol):
    """Products. Their edits and restocking are commands of a flush, because the rules decide on them."""

    async def add_products(self, products: Sequence[Product]) -> None:
        """Insert new products, all or none."""
        ...

    async def product(self, product_id: str) -> Product | None:
        """The product as last written, or None."""
        ...

    async def products(self, product_ids: Sequence[str]) -> list[Product]:
        """Those of the products that exist, in no particular order, each read at one instant.

        A store that takes the products of a basket at one instant also reads all of them at one.
        """
        ...

    async def list_products(self, after: str | None, most: int) -> list[Product]:
        """Products, oldest (lowest id) first, those with ids above `after`."""
        ...


class AccountStore(Protocol):
    """Accounts."""

    async def add_account(self, account: Account) -> bool:
        """Insert the account; False, and nothing written, when its email is taken."""
        ...

    async def account_by_email(self, email: str) -> Account | None:
        """The account with exactly this (normalised) email."""
        ...

    async def account_by_id(self, account_id: str) -> Account | None:
        """The account, or None."""
        ...

    async def replace_password_hash(self, account_id: str, old: str, new: str) -> bool:
        """Replace the hash if it is still `old`; whether it was."""
        ...

    async def set_role(self, account_id: str, role: Role) -> bool:
        """Give the account a role; False when there is no such account."""
        ...


class Store(ReservationStore, CatalogueStore, AccountStore, Protocol):
    """One database that keeps everything."""

    async def check_writable(self) -> None:
        """Return if the database answers and takes writes now. `/readyz` asks so, one question at a time.

        A store proves it by a small durable write that changes nothing anyone reads; it may leave that out when
        another write succeeded within the last second, and none has failed since.

        Raises:
            StoreReadOnlyError: it answers, but takes no writes.
            StoreUnavailableError: it doesn't answer.
        """
        ...

    async def database_now_ms(self) -> int | None:
        """The time of day by the database's own clock, UTC milliseconds; None where that is this machine's.

        Raises:
            StoreUnavailableError: it doesn't answer.
        """
        ...

    def set_aside(self) -> Sequence[SetAside]:
        """What this process left out so far because it can't be read or released, and still is so as far as known.

        Such documents are missing from lists, single reads and sweeps; the others go on.
        """
        ...

    def beat(self) -> str:
        """Count a beat of the process's watchdog, about one a second.

        Returns:
            Which call to the database is stuck, in words, or an empty text. A call is stuck when it has outlived all
            its time limits, so that only ending the process can help.
        """
        ...

    async def close(self) -> None:
        """Finish what runs and let go of the database. Nothing may be asked of the store afterwards."""
        ...
