"""The guards and orders on which the log rests, each of which a configuration can leave out."""

import msgspec


class LogFences(msgspec.Struct, frozen=True, kw_only=True):
    """All true: the protocol as it has to be. One false: the fence is left out."""

    unlisted_by_length: bool = True
    """E3 is guarded by the trail's count. Else: it takes the document off the list in any case."""

    inserted_before_unlisted: bool = True
    """E1 comes before E3. Else: the document is taken off the list first."""

    placed_before_unlisted: bool = True
    """E2 comes before E3. Else: after it."""

    closed_batches_only: bool = True
    """Readers see the places below `next`. Else: all that there are."""

    taken_if_none_open: bool = True
    """A batch is taken under the guard that none is open. Else: under the guard of `next` alone."""

    carried_out_before_closed: bool = True
    """A batch is closed after its places are written. Else: before."""

    inserted_whole: bool = True
    """After a lost E1, the relay begins anew. Else: it goes on to E2 with what may be a part."""

    placed_in_closed_batches: bool = True
    """An event counts as placed if its place is below `next`. Else: by any place, perhaps of an open batch."""


ALL_LOG_FENCES = LogFences()
