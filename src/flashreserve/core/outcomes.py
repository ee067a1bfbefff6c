"""The outcomes of commands, as values, not exceptions. `http.answers` maps each to an HTTP status in one match."""

import msgspec

from flashreserve.core.model import Adjustment, Product, Reservation


class Reserved(msgspec.Struct, frozen=True, gc=False):
    """The hold is granted and durable."""

    reservation: Reservation


class Replayed(msgspec.Struct, frozen=True, gc=False):
    """The key was used before with the same lines. `reservation` is as it was granted then."""

    reservation: Reservation


class Confirmed(msgspec.Struct, frozen=True, gc=False):
    """Bought for good, now or by an earlier call."""

    reservation: Reservation


class Extended(msgspec.Struct, frozen=True, gc=False):
    """The hold lasts longer."""

    reservation: Reservation


class Released(msgspec.Struct, frozen=True, gc=False):
    """The hold is over (EXPIRED or CANCELLED), now or by an earlier call. Its units are on sale again."""

    reservation: Reservation


class Returned(msgspec.Struct, frozen=True, gc=False):
    """The units were given back, by an earlier call with this key if `replayed`. The reservation is as it is now."""

    reservation: Reservation
    replayed: bool = False


class Labelled(msgspec.Struct, frozen=True, gc=False):
    """The reservation has the labels, now or by an earlier call."""

    reservation: Reservation


class Restocked(msgspec.Struct, frozen=True, gc=False):
    """The stock was changed, by an earlier call with this key if `replayed`."""

    adjustment: Adjustment
    replayed: bool = False


class Edited(msgspec.Struct, frozen=True, gc=False):
    """The edit was made, or changed nothing. `product` is as it is now."""

    product: Product


class NotFound(msgspec.Struct, frozen=True, gc=False):
    """There is no such product or reservation, or it isn't the caller's. `what` is `product` or `reservation`."""

    what: str
    id: str


class KeyReused(msgspec.Struct, frozen=True, gc=False):
    """The key was used for a different request."""

    key: str


class NotOnSale(msgspec.Struct, frozen=True, gc=False):
    """The sale hasn't begun or is over. `retry_after_s` is the time until it begins; None if it is over."""

    product_id: str
    sale_starts_at: int | None
    sale_ends_at: int | None
    retry_after_s: int | None = None


class SalePaused(msgspec.Struct, frozen=True, gc=False):
    """The sale of the product is paused by an admin, for this reason."""

    product_id: str
    reason: str


class SoldOut(msgspec.Struct, frozen=True, gc=False):
    """Fewer units are available than asked for."""

    product_id: str
    available: int


class LimitReached(msgspec.Struct, frozen=True, gc=False):
    """The customer would have more units of the product, held and bought, than `limit`."""

    product_id: str
    limit: int


class OpenHoldsReached(msgspec.Struct, frozen=True, gc=False):
    """The customer has `limit` open holds. Buying or cancelling one makes room; the first lapses in `retry_after_s`."""

    limit: int
    retry_after_s: int


class HourlyHoldsReached(msgspec.Struct, frozen=True, gc=False):
    """The customer was granted `limit` holds in this hour, which ends in `retry_after_s`."""

    limit: int
    retry_after_s: int


class LapsesReached(msgspec.Struct, frozen=True, gc=False):
    """The customer let `limit` holds of this hour lapse and bought none. The hour ends in `retry_after_s`."""

    limit: int
    retry_after_s: int


class Expired(msgspec.Struct, frozen=True, gc=False):
    """The hold was over at `expires_at`. Its units are on sale again."""

    reservation_id: str
    expires_at: int


class AlreadyConfirmed(msgspec.Struct, frozen=True, gc=False):
    """The reservation was bought, so it can't be cancelled or extended, nor bought in other quantities."""

    reservation_id: str


class AlreadyCancelled(msgspec.Struct, frozen=True, gc=False):
    """The reservation was cancelled, so it can't be confirmed or extended, and nothing of it can be returned."""

    reservation_id: str


class ExtensionsUsedUp(msgspec.Struct, frozen=True, gc=False):
    """The hold was already extended `extensions_max` times."""

    reservation_id: str
    extensions_max: int


class NotConfirmed(msgspec.Struct, frozen=True, gc=False):
    """The hold isn't bought yet, so nothing of it can be returned."""

    reservation_id: str


class TooMany(msgspec.Struct, frozen=True, gc=False):
    """The reservation has only `left` units of the product that weren't given back yet."""

    reservation_id: str
    product_id: str
    left: int


class ReturnsUsedUp(msgspec.Struct, frozen=True, gc=False):
    """Units of the reservation were already given back `returns_max` times."""

    reservation_id: str
    returns_max: int


class NotDue(msgspec.Struct, frozen=True, gc=False):
    """The reservation isn't PENDING any more, or its hold isn't over yet. Only the sweep gets this."""

    reservation_id: str


class ExternalIdTaken(msgspec.Struct, frozen=True, gc=False):
    """Another product has this external id: `product_id`."""

    external_id: str
    product_id: str


class StockTaken(msgspec.Struct, frozen=True, gc=False):
    """The stock can't be lowered below the units held and bought. At most `available` units can be taken out."""

    product_id: str
    available: int


class RulesFixed(msgspec.Struct, frozen=True, gc=False):
    """The rule can't be changed any more, because the product was reserved. `field` is the product's."""

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
    """Something may have been taken. Repeat the request with the same key."""

    retry_after_s: int = 1


class Failed(msgspec.Struct, frozen=True, gc=False):
    """The command failed by a defect of ours, and nothing of it was written. The log has the details."""

    error: str


QuotaReached = OpenHoldsReached | HourlyHoldsReached | LapsesReached
ReserveOutcome = (
    Reserved | Replayed | NotFound | KeyReused | SalePaused | NotOnSale | SoldOut | LimitReached | QuotaReached
)
ConfirmOutcome = (
    Confirmed | NotFound | Expired | AlreadyConfirmed | AlreadyCancelled | TooMany | ReturnsUsedUp | Invalid
)
ExtendOutcome = Extended | NotFound | Expired | AlreadyConfirmed | AlreadyCancelled | ExtensionsUsedUp
CancelOutcome = Released | NotFound | AlreadyConfirmed
ReturnOutcome = (
    Returned | NotFound | KeyReused | NotConfirmed | Expired | AlreadyCancelled | TooMany | ReturnsUsedUp | Invalid
)
LabelOutcome = Labelled | NotFound
ExpireOutcome = Released | NotDue
RestockOutcome = Restocked | NotFound | KeyReused | StockTaken | Invalid
EditOutcome = Edited | NotFound | RulesFixed | Invalid
Refused = (
    NotFound
    | KeyReused
    | SalePaused
    | NotOnSale
    | SoldOut
    | LimitReached
    | QuotaReached
    | AlreadyConfirmed
    | AlreadyCancelled
    | ExtensionsUsedUp
    | NotConfirmed
    | TooMany
    | ReturnsUsedUp
    | NotDue
    | StockTaken
    | RulesFixed
    | Invalid
)
"""Outcomes that refuse and write nothing. `Expired` isn't one, because its command may release the hold."""
SystemOutcome = Unavailable | OutcomeUnknown | Failed
Ruled = (
    ReserveOutcome
    | ConfirmOutcome
    | ExtendOutcome
    | CancelOutcome
    | ReturnOutcome
    | LabelOutcome
    | ExpireOutcome
    | RestockOutcome
    | EditOutcome
)
"""All outcomes of the rules."""
Outcome = Ruled | SystemOutcome | ExternalIdTaken
"""All outcomes that a caller can get: those of the rules and those of the system, and of making a product."""
