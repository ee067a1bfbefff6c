"""The configurations: with all fences, with some left out, and of the smaller protocols."""

from typing import Final

from model.configuration import Configuration
from model.configurations.deliveries import DELIVERED_IN_ORDER, DELIVERY_FENCES_LEFT_OUT
from model.configurations.event_logs import LOG_FENCES_LEFT_OUT, LOGGED
from model.configurations.fences_left_out import FENCES_LEFT_OUT
from model.configurations.pauses import PAUSE_FENCES_LEFT_OUT, PAUSED
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
    *LOGGED,
    *LOG_FENCES_LEFT_OUT,
    *DELIVERED_IN_ORDER,
    *DELIVERY_FENCES_LEFT_OUT,
    *PAUSED,
    *PAUSE_FENCES_LEFT_OUT,
)
"""All of them, in the order in which they are explored."""
