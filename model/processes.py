"""How a process of the model is written: a coroutine that awaits the steps that it takes.

    async def someone(actor: ModelActor, reservation: str) -> Program | None:
        if await ConfirmHold(reservation, now=0):
            actor.promise(PromiseKind.CONFIRMED, reservation)
        return None

Each `await` of a step is a point at which any other process may come between, at which the process may stop for ever,
and at which the reply may be lost (`ReplyLostError`). Nothing else is: a coroutine must depend on its arguments and the
replies alone. It may end by returning a `Program`, which the process goes on with. That forgets the replies so far, so
that two pasts which don't matter any more become the same state.
"""

from collections.abc import Callable, Coroutine
from enum import Enum, auto
from typing import Any, NamedTuple

from model.fences import Fences
from model.steps import MovementKey


class PromiseKind(Enum):
    """The answers that a customer gets."""

    GRANTED = auto()
    """The reservation exists."""
    REFUSED = auto()
    """No reservation exists for this request, and none will."""
    CONFIRMED = auto()
    """The reservation is CONFIRMED."""
    OVER = auto()
    """The hold has expired or is cancelled. It is not live, and never will be."""
    EXTENDED = auto()
    """The hold lasts until `until` at least."""
    RETURNED = auto()
    """There is one return under the key (`subject` is the reservation's id and the key)."""
    NOT_RETURNED = auto()
    """There is no return under the key, and there will be none."""
    BOUGHT = auto()
    """The reservation is CONFIRMED, with `until` units."""
    NOT_CANCELLED = auto()
    """Cancelling did nothing, and will do nothing."""


class ModelPromise(NamedTuple):
    """An answer that was given. `subject` is a reservation's id; for REFUSED, a request's name."""

    kind: PromiseKind
    subject: str
    until: int = 0


class ModelActor:
    """A process, as its coroutine sees itself: its name, the fences that hold, and the answers that it gives."""

    def __init__(self, name: str, fences: Fences) -> None:
        self.name = name
        self.fences = fences
        self.promises: list[ModelPromise] = []

    def promise(self, kind: PromiseKind, subject: str, until: int = 0) -> None:
        """Answer a customer."""
        self.promises.append(ModelPromise(kind, subject, until))

    def movement(self, f: str) -> MovementKey:
        """A movement of this process, whose id is `f`."""
        return MovementKey(f, self.owner(f))

    def owner(self, occasion: str) -> str:
        """A token of this process: another one on each occasion, unless that fence is left out."""
        return f"{self.name}!{occasion}" if self.fences.fresh_owners else self.name


class Program(NamedTuple):
    """A process before its first step: its name, its coroutine's function and the function's arguments."""

    name: str
    run: Callable[..., Coroutine[Any, Any, "Program | None"]]
    arguments: tuple[Any, ...] = ()
