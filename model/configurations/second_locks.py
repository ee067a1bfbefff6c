"""A second lock is left out: the protocol keeps every promise without it.

Owners make sure that a movement is settled once by those who know. But nobody counts before the count can no longer
change, so all count the same, and the intent is there for one of them alone.
"""

from typing import Final

from msgspec.structs import replace

from model.configuration import Configuration
from model.configurations.releases import RELEASES
from model.configurations.reserves import RESERVES
from model.fences import Fences

_NAMES: Final = (
    "reserve",
    "reserve-two-recoverers",
    "reserve-over-lapsed",
    "reserve-over-lapsed-lost",
    "reserve-limit-by-two",
    "key-by-two",
    "key-again-limited",
    "basket-and-single",
    "basket-over-lapsed-basket",
    "mixed-two-recoverers",
    "ride-two-recoverers",
    "sweep-and-cancel",
    "sweep-basket-two-recoverers",
)


def _unguarded(configuration: Configuration) -> Configuration:
    setting = replace(configuration.setting, fences=Fences(owner_guard=False))
    purpose = f"`{configuration.name}` without looking at owners"
    return replace(configuration, name=f"{configuration.name}-unguarded", purpose=purpose, setting=setting)


SECOND_LOCKS: Final = tuple(_unguarded(each) for each in (*RESERVES, *RELEASES) if each.name in _NAMES)
