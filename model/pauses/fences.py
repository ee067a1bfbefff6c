"""The guards and orders on which a pause rests, each of which a configuration can leave out."""

import msgspec


class PauseFences(msgspec.Struct, frozen=True, kw_only=True):
    """All true: the protocol as it has to be. One false: the fence is left out."""

    raises_rev: bool = True
    """P2 raises `rev`, which guards R1. Else: it doesn't."""

    by_version: bool = True
    """P2 is guarded by the product's version. Else: it changes every product."""

    started_if_starting: bool = True
    """A new product is started if it still has `starting`. Else: in any case."""

    started_by_maker: bool = True
    """P2 raises only the version of a product that is being made. Else: it writes the reason too, and starts it."""

    started_by_version: bool = True
    """A new product is started if its version isn't above the one that its maker read. Else: in any case."""

    inserted_paused: bool = True
    """A new product is inserted paused. Else: on sale."""

    read_after_insert: bool = True
    """A new product's process reads the document `shop` after it inserted the product. Else: before."""

    waits_for_settling: bool = True
    """A pause is answered with the number of open movements. Else: with 0 at once."""

    edited_by_rev: bool = True
    """A product's own pause raises `rev`. Else: it doesn't."""


ALL_PAUSE_FENCES = PauseFences()
