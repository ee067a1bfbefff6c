"""What a command came to: values, not exceptions. `http.answers` turns each into a status in one match."""

import msgspec

from flashreserve.core.model import Adjustment, Product, Reservation


class Reserved(msgspec.Struct, frozen=True, gc=False):
    """The hold is granted and durable."""

    reservation: Reservation


class Replayed(msgspec.Struct, frozen=True, gc=False):
    """The key was seen before with the same lines; `reservation` is as it was granted then."""

    reservation: Reservation


class Confirmed(msgspec.Struct, frozen=True, gc=False):
    """Bought for good, now or by an earlier call."""

    reservation: Reservation


class Extended(msgspec.Struct, frozen=True, gc=False):
    """The hold lasts longer."""

    reservation: Reservation


class Released(msgspec.Struct, frozen=True, gc=False):
    """The hold is over (EXPIRED or CANCELLED), now or by an earlier call; its stock is back."""

    reservation: Reservation


class Restocked(msgspec.Struct, frozen=True, gc=False):
    """The stock was changed; `replayed` when an earlier call with this key did it."""

    adjustment: Adjustment
    replayed: bool = False


class Edited(msgspec.Struct, frozen=True, gc=False):
    """The product as it now is."""

    product: Product


class NotFound(msgspec.Struct, frozen=True, gc=False):
    """No such product or reservation, or not the caller's. `what` is `product` or `reservation`."""

    what: str
    id: str


class KeyReused(msgspec.Struct, frozen=True, gc=False):
    """The key stands for another request."""

    key: str


class NotOnSale(msgspec.Struct, frozen=True, gc=False):
    """The sale hasn't begun or is over."""

    product_id: str
    sale_starts_at: int | None
    sale_ends_at: int | None


class SoldOut(msgspec.Struct, frozen=True, gc=False):
    """Fewer units are available than asked for."""

    product_id: str
    available: int


class LimitReached(msgspec.Struct, frozen=True, gc=False):
    """The customer would have more units of the product, held and bought, than `limit`."""

    product_id: str
    limit: int


class OpenHoldsReached(msgspec.Struct, frozen=True, gc=False):
    """The customer has `limit` open holds. One of them has to be bought, cancelled, or lapse, in `retry_after_s`."""

    limit: int
    retry_after_s: int


class HourlyHoldsReached(msgspec.Struct, frozen=True, gc=False):
    """The customer was granted `limit` holds in this hour, which is over in `retry_after_s`."""

    limit: int
    retry_after_s: int


class LapsesReached(msgspec.Struct, frozen=True, gc=False):
    """The customer let `limit` holds of this hour lapse and bought none; the hour is over in `retry_after_s`."""

    limit: int
    retry_after_s: int


class Expired(msgspec.Struct, frozen=True, gc=False):
    """The hold was over at `expires_at`; its stock is back."""

    reservation_id: str
    expires_at: int


class AlreadyConfirmed(msgspec.Struct, frozen=True, gc=False):
    """What was bought can't be cancelled or extended."""

    reservation_id: str


class AlreadyCancelled(msgspec.Struct, frozen=True, gc=False):
    """What was cancelled can't be confirmed or extended."""

    reservation_id: str


class ExtensionsUsedUp(msgspec.Struct, frozen=True, gc=False):
    """The hold was extended as often as it may be."""

    reservation_id: str
    extensions_max: int


class NotDue(msgspec.Struct, frozen=True, gc=False):
    """The sweep found the reservation not PENDING any more, or its hold not yet over."""

    reservation_id: str


class StockTaken(msgspec.Struct, frozen=True, gc=False):
    """Stock can't be lowered below what is held and bought; `available` units could be taken out."""

    product_id: str
    available: int


class RulesFixed(msgspec.Struct, frozen=True, gc=False):
    """A rule that can't change any more once somebody has reserved. `field` is the product's."""

    field: str
    message: str


class Invalid(msgspec.Struct, frozen=True, gc=False):
    """A value of the command is invalid. `field` is the command's or the product's."""

    field: str
    message: str


class Unavailable(msgspec.Struct, frozen=True, gc=False):
    """Nothing was taken: the queue is full, or the database was away before anything was sent."""

    reason: str
    retry_after_s: int = 1


class OutcomeUnknown(msgspec.Struct, frozen=True, gc=False):
    """Something may have been taken. Repeat with the same key."""

    retry_after_s: int = 1


class Failed(msgspec.Struct, frozen=True, gc=False):
    """The command failed by a fault of ours, and nothing of it was applied. The log has the rest."""

    error: str


QuotaReached = OpenHoldsReached | HourlyHoldsReached | LapsesReached
ReserveOutcome = Reserved | Replayed | NotFound | KeyReused | NotOnSale | SoldOut | LimitReached | QuotaReached
ConfirmOutcome = Confirmed | NotFound | Expired | AlreadyCancelled
ExtendOutcome = Extended | NotFound | Expired | AlreadyConfirmed | AlreadyCancelled | ExtensionsUsedUp
CancelOutcome = Released | NotFound | AlreadyConfirmed
ExpireOutcome = Released | NotDue
RestockOutcome = Restocked | NotFound | KeyReused | StockTaken | Invalid
EditOutcome = Edited | NotFound | RulesFixed | Invalid
Refused = (
    NotFound
    | KeyReused
    | NotOnSale
    | SoldOut
    | LimitReached
    | QuotaReached
    | AlreadyConfirmed
    | AlreadyCancelled
    | ExtensionsUsedUp
    | NotDue
    | StockTaken
    | RulesFixed
    | Invalid
)
"""Outcomes that say no and leave nothing behind. `Expired` isn't one: the hold may be released as it is found."""
SystemOutcome = Unavailable | OutcomeUnknown | Failed
Ruled = ReserveOutcome | ConfirmOutcome | ExtendOutcome | CancelOutcome | ExpireOutcome | RestockOutcome | EditOutcome
"""What the rules can come to."""
Outcome = Ruled | SystemOutcome
"""What a caller can be told: the rules' outcomes and the system's own."""
