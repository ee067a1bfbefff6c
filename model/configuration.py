"""A configuration: a named setting, what it is for, and what must come of it."""

from typing import Any, Final, Literal

import msgspec

from model.documents import DatabaseState, HoldRequest, ProductDoc, ReservationDoc
from model.explorer import Space
from model.processes import Program
from model.reserve_movement import Batch, flush
from model.scene_space import SceneSetting, SceneSpace
from model.space import ModelSpace, Setting

ModelSize = Literal["small", "full"]


class Configuration(msgspec.Struct, frozen=True):
    """A setting to be explored.

    `expected` is None if no promise may be broken; else it is the beginning of the violation that must be found, since
    a fence is left out. A configuration of size `full` takes minutes, and is explored by `make model SIZE=full` alone.
    """

    name: str
    purpose: str
    setting: Setting | SceneSetting[Any]
    expected: str | None = None
    size: ModelSize = "small"

    def space(self) -> Space[Any]:
        """The states of the setting, for the explorer."""
        return ModelSpace(self.setting) if isinstance(self.setting, Setting) else SceneSpace(self.setting)


def products(**units: int) -> tuple[ProductDoc, ...]:
    """Products with so many units each, none of them taken."""
    return tuple(ProductDoc(name, stocked, stocked) for name, stocked in sorted(units.items()))


def held(name: str, lines: dict[str, int], expires_at: int, *, claims: tuple[str, ...] = ()) -> ReservationDoc:
    """A hold that was made long ago."""
    wanted = tuple(sorted(lines.items()))
    return ReservationDoc(name, "u", "PENDING", name, wanted, claims, claims, "before", expires_at)


def database(stock: tuple[ProductDoc, ...], *reservations: ReservationDoc) -> DatabaseState:
    """The database with these holds, whose units are taken out of the stock."""
    left = tuple(
        msgspec.structs.replace(
            product, available=product.stocked - sum(document.units(product.id) for document in reservations)
        )
        for product in stock
    )
    return DatabaseState(left, reservations)


def wants(name: str, *lines: str, user: str = "u", claims: tuple[str, ...] = (), expires_at: int = 9) -> HoldRequest:
    """A request for a unit of each of these products."""
    return HoldRequest(name, tuple((product, 1) for product in sorted(lines)), user, claims, expires_at)


def flusher(name: str, *batches: Batch, tries: int = 1) -> Program:
    """A process that carries these flushes out, one after the other."""
    return Program(name, flush, (batches, tries))


LIMIT: Final = ("limit:A:0",)
"""The claims of a request for a product of which each customer may have one."""

KEYED: Final = ("key:k",)
"""The claims of a request with an idempotency key."""
