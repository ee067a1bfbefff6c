"""The guards and orders on which deliveries rest, each of which a configuration can leave out."""

import msgspec


class DeliveryFences(msgspec.Struct, frozen=True, kw_only=True):
    """All true: the protocol as it has to be. One false: the fence is left out."""

    ended_by_lease: bool = True
    """A turn is ended under the guard of its lease. Else: in any case."""

    claimed_if_free: bool = True
    """A group is claimed if nobody has an unexpired lease of it. Else: whenever it is due."""

    raised_before_seen: bool = True
    """Groups are raised before the endpoint's place in the log moves. Else: after it."""

    waiting_keeps_its_time: bool = True
    """New events make an idle group due, and no other. Else: they make every group due."""

    busy_stays_due: bool = True
    """A group that gets events during its turn is due again afterwards. Else: it is idle."""

    seen_of_one_replay: bool = True
    """The place in the log moves if no replay has begun since it was read. Else: if it is where it was."""

    again_ends_turns: bool = True
    """A replay ends the turn that a group is in, which may have sent events that aren't done yet. Else: it doesn't."""


ALL_DELIVERY_FENCES = DeliveryFences()
