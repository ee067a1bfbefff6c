"""Splitting large writes into concurrent commands, so that a server with several cores can work on them in parallel."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, TypeVar

T = TypeVar("T")

PARTS_MAX: Final = 2
PART_MIN: Final = 64
"""The smallest part that is worth a command of its own."""


def parts(things: Sequence[T]) -> list[Sequence[T]]:
    """The things in order, in at most `PARTS_MAX` parts of about the same size, of at least about `PART_MIN` each."""
    count = max(1, min(PARTS_MAX, len(things) // PART_MIN))
    bounds = [len(things) * place // count for place in range(count + 1)]
    return [things[start:end] for start, end in pairwise(bounds)]
