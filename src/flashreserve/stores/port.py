"""The contract of a store. The docstrings define it, and tests/contract checks every store against it.

Stores contain no rule: they load the facts that `gather_facts` asks for, let `rules.plan` decide, and apply the
effects. A store raises the errors below, never those of its driver.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from flashreserve.core.accounts import Restricted, Restriction
from flashreserve.core.audits import Audit, SetAside
from flashreserve.core.commands import Command
from flashreserve.core.events import BY_COMMAND_LINE
from flashreserve.core.model import (
    Account,
    ApiKey,
    DetailsEdit,
    Product,
    ProductDetails,
    Reservation,
    Role,
)
from flashreserve.core.outcomes import Outcome
from flashreserve.stores.filters import (
    ProductFilter,
    ProductsFound,
    ReservationFilter,
    ReservationsFound,
)
from flashreserve.stores.monitor import MonitorStore
from flashreserve.stores.outbox import DeliveryStore, EventStore


class StoreUnavailableError(Exception):
    """The database is away, full or locked, and nothing of the call was written."""


class StoreReadOnlyError(StoreUnavailableError):
    """The database answers, but takes no writes: it is read-only, full, locked or has lost its majority."""


class StoreOutcomeUnknownError(Exception):
    """The connection was lost during the call, which may or may not have been written."""


class StoreDefectError(Exception):
    """The call is invalid by a defect of the calling code, such as an id used twice. Nothing of it was written."""


class Flushed(msgspec.Struct, frozen=True):
    """The result of a flush.

    `outcomes` are in the order of the commands. A store that writes a flush in one step returns only the rules'
    outcomes. One that writes commands separately may also return `Unavailable` (nothing of the command was written) or
    `OutcomeUnknown`. `products` are those that the flush loaded, as they are after it, for the stock view.
    """

    outcomes: Sequence[Outcome]
    products: list[Product]


class Swept(msgspec.Struct, frozen=True):
    """The result of one step of a sweep: the number of holds `released`, and whether `more` are due."""

    released: int
    more: bool


Progress = Callable[[int], None]
"""Called from time to time with the number of reservations read so far."""


class Taken(NamedTuple):
    """The commands of a flush, and the instant (`now`, UTC milliseconds) as of which to decide them.

    `given_up` takes a command's index in `commands`, and says whether its deadline is over. Its caller was then told
    that the outcome is unknown, may have sent the request again to another process, and may have been refused there.
    So the store doesn't decide the command on facts that it reads after that.
    """

    commands: Sequence[Command]
    now: int
    given_up: Callable[[int], bool]


Take = Callable[[], Taken]
"""Returns commands when a store asks for them."""


class ReservationStore(Protocol):
    """Reservations and stock movements."""

    flushes_ahead: int
    """How many further flushes the store accepts while it writes one. It writes them in the order of arrival."""

    sweep_max: int
    """How many lapsed holds one step of a sweep releases at most, so that other requests don't wait long for it."""

    async def flush_late(self, take: Take) -> Flushed:
        """Flush the commands that `take` returns. The store calls `take` once, when it is ready to write this flush.

        It may call `take` on another thread. If it fails before that, `take` is never called. If `take` returns no
        commands, nothing is written.
        """
        ...

    async def flush(self, commands: Sequence[Command], now: int) -> Flushed:
        """Decide and write `commands` (at most `limits.FLUSH_MAX`) as of `now`, in one durable step.

        When it returns, all that its outcomes say is durable. Any exception other than `StoreOutcomeUnknownError` means
        that nothing was written. If a store has to try a reserve again, it uses a new id; the outcome's reservation has
        that id.
        """
        ...

    async def release_lapsed(self, now: int, most: int) -> Swept:
        """Release at most `most` holds that have lapsed at `now`, the earliest first."""
        ...

    async def recover(self, now: int, most: int) -> int:
        """Finish or undo at most `most` movements that a crashed process began. Returns how many.

        A store that writes in transactions has none, so it returns 0.
        """
        ...

    async def reservation(self, reservation_id: str) -> Reservation | None:
        """The reservation as last written, or None."""
        ...

    async def search_reservations(
        self, where: ReservationFilter, beyond: str | None, most: int, now: int, *, newest_first: bool = False
    ) -> ReservationsFound:
        """A page of at most `most` reservations that `where` allows at `now`, in the order of their ids.

        It has the ids above `beyond`, or with `newest_first` those below.
        """
        ...

    async def grants(self, since: int, most: int) -> dict[int, int]:
        """How many reservations were made in each second (counted from 1970 on); seconds without any are absent.

        It counts the first `most` of those made from `since` on (UTC milliseconds), by the times in their ids. So one
        that was made by a machine whose clock is behind may be missing.
        """
        ...

    async def oldest_due(self, now: int) -> int | None:
        """The `expires_at` of the earliest due hold (UTC milliseconds); None if no hold is due."""
        ...

    async def audit(self, progress: Progress | None = None) -> Audit:
        """Check rule 1 for every product. Its memory grows with the products, not with the reservations."""
        ...


class CatalogueStore(Protocol):
    """Products, whose edits and restocks are commands of a flush, because the rules decide on them.

    Each change records its event (`core.trail`) in the same write, under the name `by`.
    """

    async def add_products(self, products: Sequence[Product], by: str = BY_COMMAND_LINE) -> None:
        """Insert new products without external ids, all or none. While all sales are paused, theirs are too."""
        ...

    async def add_each(self, products: Sequence[Product], by: str = BY_COMMAND_LINE) -> list[bool]:
        """Insert new products, each on its own. False: another product, maybe of this call, has its external id."""
        ...

    async def pause_all(self, reason: str, by: str, at: int) -> None:
        """Pause the sales of all products, and of those that will be added, for this reason.

        When it returns, no command is granted units of any product any more, in any process, except by the movements
        that `settling` counts. If it fails, some sales may be paused already; repeat it.
        """
        ...

    async def resume_all(self, by: str, at: int) -> None:
        """End what `pause_all` began. Products that were paused by themselves stay paused."""
        ...

    async def shop_pause(self) -> str | None:
        """The reason why all sales are paused; None if they aren't."""
        ...

    async def settling(self, product_id: str | None) -> int:
        """The number of open movements that reserve units of the product, or of any product.

        After a pause, only these can still be granted. Each ends within moments, or is undone by recovery.
        """
        ...

    async def product(self, product_id: str) -> Product | None:
        """The product as last written, or None."""
        ...

    async def products(self, product_ids: Sequence[str]) -> list[Product]:
        """The products that exist among these ids, in no particular order, each as it was at one instant.

        A store that takes the units of a basket's products at one instant also reads all of them as of one instant.
        """
        ...

    async def products_by_external_id(self, external_ids: Sequence[str]) -> list[Product]:
        """The products that have these external ids, in no particular order."""
        ...

    async def set_details(self, details: Mapping[str, ProductDetails]) -> None:
        """Replace the details of existing products, given by their ids."""
        ...

    async def edit_details(self, product_id: str, edit: DetailsEdit) -> ProductDetails:
        """Change an existing product's details in one step. Returns them as they are after it.

        The edit gives at least one change. Only that is written, so concurrent edits of other fields, or of other
        `pairs`, are kept.
        """
        ...

    async def details(self, product_ids: Sequence[str]) -> dict[str, ProductDetails]:
        """The details of those of these products that have any, by their ids."""
        ...

    async def search_products(self, where: ProductFilter, beyond: str | None, most: int) -> ProductsFound:
        """A page of at most `most` products that `where` allows, with ids above `beyond`, oldest (lowest id) first."""
        ...


class AccountStore(Protocol):
    """Accounts.

    A read of one account, its sign-out or its reset code shows every write that was acknowledged before the call. Lists
    (`accounts`, `list_accounts`, `signed_out_since`) may be older while an election of MongoDB's primary lasts.

    A change of a role, disabling and enabling record their events in the same write, if they change anything.
    """

    async def add_account(self, account: Account) -> bool:
        """Insert the account. Returns False, and writes nothing, if its email is taken."""
        ...

    async def account_by_email(self, email: str) -> Account | None:
        """The account with exactly this (normalised) email."""
        ...

    async def account_by_id(self, account_id: str) -> Account | None:
        """The account, or None."""
        ...

    async def has_admin(self) -> bool:
        """Whether there is an admin's account, disabled or not."""
        ...

    async def replace_password_hash(self, account_id: str, old: str, new: str) -> bool:
        """Replace the hash if it is still `old`. Returns whether it was."""
        ...

    async def set_password(self, account_id: str, old: str, new: str, at: int) -> bool:
        """Replace the hash if it is still `old`, sign the account out at `at`, and delete its reset code, in one step.

        Returns whether it was.
        """
        ...

    async def restrict(
        self, account_id: str, restriction: Restriction, at: int, by: str = BY_COMMAND_LINE
    ) -> Restricted:
        """Demote or disable the account as of `at` (UTC milliseconds), and sign it out.

        Some admin's account that isn't disabled always stays, however many calls run at once: another is found and this
        one is changed in one step. Disabling deletes the reset code; an account that is disabled already keeps its
        `disabled_at`.

        Raises:
            StoreUnavailableError: also if too many other restrictions are carried out at the same time.
        """
        ...

    async def set_role(self, account_id: str, role: Role, at: int, by: str = BY_COMMAND_LINE) -> bool:
        """Give the account a role as of `at`, even if no admin is left. False: there is no such account."""
        ...

    async def enable(self, account_id: str, at: int, by: str = BY_COMMAND_LINE) -> bool:
        """Let a disabled account sign in again, as of `at` (UTC milliseconds). False: there is no such account."""
        ...

    async def sign_out(self, account_id: str, at: int) -> bool:
        """Refuse the account's tokens that were issued so far, at `at` (UTC milliseconds).

        `core.accounts.signed_out_at` says which instant is noted. False: there is no such account.
        """
        ...

    async def accounts(self, account_ids: Sequence[str]) -> list[Account]:
        """The accounts that exist among these ids, in no particular order."""
        ...

    async def list_accounts(self, after: str | None, most: int) -> list[Account]:
        """The accounts with ids above `after`, oldest (lowest id) first, at most `most`."""
        ...

    async def set_reset_code(self, account_id: str, code_hash: str, expires_at: int) -> None:
        """Replace the account's reset code: its hash, good until `expires_at` (UTC milliseconds)."""
        ...

    async def has_reset_code(self, account_id: str, code_hash: str, now: int) -> bool:
        """Whether the account's reset code has this hash and is good at `now`."""
        ...

    async def use_reset_code(self, account_id: str, code_hash: str, now: int) -> bool:
        """Delete the account's reset code if it has this hash and is good at `now`. Returns whether it was deleted."""
        ...

    async def signed_out_since(self, since: int, most: int) -> dict[str, int]:
        """By account id, `signed_out_at` of the accounts where it is `since` or later, the latest `most` of them.

        Customers who were erased within `limits.ERASURES_KEPT_S` are among them, by `core.customers.hashed_id`.
        """
        ...

    async def signed_out_at(self, customer_id: str) -> int | None:
        """When the customer was signed out or erased last, as `signed_out_since` has it; None: never."""
        ...


class KeyStore(Protocol):
    """API keys. Making and revoking one record their events (`core.trail`) in the same write."""

    async def add_key(self, key: ApiKey, most: int) -> bool:
        """Insert a new key. Returns False, and writes nothing, if there are `most` keys that aren't revoked."""
        ...

    async def keys(self, *, current: bool = False) -> list[ApiKey]:
        """All keys, oldest (lowest id) first; of the revoked ones the latest `limits.API_KEYS_MAX`.

        With `current`, every write is shown that was acknowledged before the call. Without it, the read costs less, and
        the keys may be older while an election of MongoDB's primary lasts.
        """
        ...

    async def revoke_key(self, key_id: str, at: int, by: str = BY_COMMAND_LINE) -> bool:
        """Revoke the key as of `at`, unless it is revoked already. Returns False if there is no such key."""
        ...

    async def touch_keys(self, used: Mapping[str, int]) -> None:
        """Note by key id when keys were last used, unless a later use is noted."""
        ...


class PersonStore(Protocol):
    """Erasing a person: a customer's own account, and the name in the customer's reservations."""

    async def begin_erasure(self, customer_id: str, at: int) -> bool:
        """Delete the customer's own account, if there is one, and refuse all tokens issued at `at` or earlier.

        The hash of the id is kept for that, for `limits.ERASURES_KEPT_S`. False: it is an admin's account, so it stays.
        """
        ...

    async def has_reservations(self, customer_id: str) -> bool:
        """Whether the customer has a reservation, or an unfinished movement may still add one.

        Recovery ends a movement whose process has died within `recovery.ABANDONED_AFTER_MS` and some seconds.
        """
        ...

    async def erase_reservations(self, customer_id: str, pseudonym: str, most: int) -> int:
        """Rewrite at most `most` of the customer's reservations that aren't PENDING. Returns how many.

        The pseudonym takes the customer's place. Idempotency key, external id, metadata and the reasons of returns are
        removed. Units, prices, statuses and times stay. Reservations with an unfinished movement are left for later.

        Raises:
            StoreOutcomeUnknownError: also if the database is sharded, so that a reservation's customer can't change.
        """
        ...


class Store(
    ReservationStore,
    CatalogueStore,
    AccountStore,
    KeyStore,
    PersonStore,
    DeliveryStore,
    EventStore,
    MonitorStore,
    Protocol,
):
    """One database that keeps everything."""

    async def check_writable(self) -> None:
        """Return if the database answers and takes writes now. `/readyz` calls this, one call at a time.

        A store makes a small durable write of a value that is never read. It may omit this write if another one
        succeeded within the last second and none has failed since.

        Raises:
            StoreReadOnlyError: the database answers, but takes no writes.
            StoreUnavailableError: the database doesn't answer.
        """
        ...

    async def database_now_ms(self) -> int | None:
        """The time of day by the database's own clock, UTC milliseconds; None if it uses this machine's clock.

        Raises:
            StoreUnavailableError: the database doesn't answer.
        """
        ...

    def set_aside(self) -> Sequence[SetAside]:
        """The documents or rows that this process has set aside and that, as far as it knows, are still faulty.

        They are missing from lists, single reads and sweeps. All others are served as usual.
        """
        ...

    def beat(self) -> str:
        """Count a beat of the process's watchdog, about one a second.

        Returns:
            A description of the call to the database that is stuck, or an empty text. A call is stuck if it has run
            longer than all its time limits, so that only ending the process can help.
        """
        ...

    async def close(self) -> None:
        """Finish the running calls and close the database. The store must not be used afterwards."""
        ...
