"""The configurations: with all fences, with second locks left out, and with fences left out."""

from typing import Final

from model.configuration import Configuration
from model.configurations.fences_left_out import FENCES_LEFT_OUT
from model.configurations.releases import RELEASES
from model.configurations.reserves import RESERVES
from model.configurations.returns import RETURNS
from model.configurations.second_locks import SECOND_LOCKS

CONFIGURATIONS: Final[tuple[Configuration, ...]] = (
    *RESERVES,
    *RELEASES,
    *RETURNS,
    *SECOND_LOCKS,
    *FENCES_LEFT_OUT,
)
"""All of them, in the order in which they are explored."""
