"""Large writes go in parts side by side, so that a server with several cores may work on them at the same time."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, TypeVar

T = TypeVar("T")

PARTS_MAX: Final = 2
PART_MIN: Final = 64
"""What a command of its own is worth while for."""


def parts(things: Sequence[T]) -> list[Sequence[T]]:
    """The things in order, in at most `PARTS_MAX` parts of about the same size; in one, if they are few."""
    count = max(1, min(PARTS_MAX, len(things) // PART_MIN))
    bounds = [len(things) * place // count for place in range(count + 1)]
    return [things[start:end] for start, end in pairwise(bounds)]
