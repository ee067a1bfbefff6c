"""The fences of the protocol, each of which a configuration can leave out to see what happens then.

docs/adr/0010-mongodb-fences.md has the argument for each; for returns, docs/adr/0022-returns.md.
"""

import msgspec


class Fences(msgspec.Struct, frozen=True, kw_only=True):
    """All true: the protocol as it is. One false: the fence is left out, or its rejected alternative is tried."""

    first_steps_sent_once: bool = True
    """R1 and L1 are sent once for a movement and a product. Else: again, after a lost reply, if no intent is found."""

    inserts_sent_once: bool = True
    """R2 is sent once for an id. Else: again, after a lost reply, if no reservation is found."""

    void_before_refusal: bool = True
    """After a lost R2, a hold is refused only once a VOID stands under its id. Else: as soon as none is found."""

    duplicates_read: bool = True
    """A refused insert is looked at. Else: an id that is occupied counts as granted."""

    rolls_back: bool = True
    """Recovery only undoes. Else: it inserts the reservation that is missing."""

    owner_guard: bool = True
    """Settling is guarded by the owner, and recovery takes a movement over first. Else: by the id f alone."""

    fresh_owners: bool = True
    """Every movement and every takeover has a fresh token. Else: the owner is the process."""

    listed_where_they_are: bool = True
    """A release intent names the reservations of its own product. Else: all of the movement, on every product."""

    baskets_released_afresh: bool = True
    """Recovery releases baskets by a whole release of its own. Else: by L2 under the old movement's id."""

    lapsed_holds_by_movement: bool = True
    """A lapsed hold that has a wanted claim is released by L1 to L4. Else: by a bare change of status and of stock."""

    extensions_grow: bool = True
    """An extension is guarded by `expires_at < new`. Else: by the number of extensions alone."""

    over_when_released: bool = True
    """A customer is told that a hold is over once it is released. Else: as soon as it has lapsed."""

    lost_announcement_unknown: bool = True
    """After a lost L1, the release may still happen. Else: it counts as not begun, and the customer is told so."""

    counted_when_final: bool = True
    """L3 counts once every reservation is there and L2 can change none. Else: what it reads after L2's reply."""

    moving_key_not_refused: bool = True
    """A key isn't refused while an open movement names it. Else: it is."""

    intents_read_first: bool = True
    """Before a key is refused, open intents are read before reservations. Else: after them."""

    returns_in_place: bool = True
    """G2 is guarded by the number of returns. Else: by its movement and its key alone."""

    returned_when_announced: bool = True
    """G2 is sent once all products of the return carry f. Else: once any does."""

    baskets_returned_afresh: bool = True
    """Recovery finishes a basket's return by a whole one of its own. Else: by G2 under the old movement's id."""

    old_reads_not_over: bool = True
    """A return is over by changes that come later than its plan. Else: by any difference from it."""

    returned_whoever_has_it: bool = True
    """A return that was announced is finished though its customer was erased. Else: it looks for that customer's."""

    returns_counted_when_over: bool = True
    """G3 counts once G2 can change the reservation no more. Else: what it reads after G2's reply."""


ALL_FENCES = Fences()
