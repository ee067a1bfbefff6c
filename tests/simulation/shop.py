"""The database of a simulated shop, as a play sees it."""

from collections.abc import Sequence
from typing import Protocol

from tests.proof.records import FinalProduct, Held, ToldEvent
from tests.simulation.faults import SimulatedFault
from tests.simulation.processes import SimulatedIds, SimulatedProcess

from flashreserve.core.endpoints import Endpoint
from flashreserve.stores.port import Store


class SimulatedShop(Protocol):
    """The database of all processes."""

    def connect(self, process: SimulatedProcess, ids: SimulatedIds) -> Store:
        """A new store for a process that starts."""
        ...

    def meet(self, process: SimulatedProcess, fault: SimulatedFault) -> bool:
        """Let a fault happen, or arm it for a later message or transaction; whether it has happened."""
        ...

    def heal(self) -> None:
        """End all faults. Messages that are late still arrive."""
        ...

    def quiet_at(self) -> float:
        """When the last message that is in flight will have arrived (seconds)."""
        ...

    def products(self) -> tuple[FinalProduct, ...]:
        """The products as they are now."""
        ...

    def reservations(self) -> tuple[Held, ...]:
        """The reservations as they are now."""
        ...

    def log(self) -> tuple[ToldEvent, ...]:
        """All events that are in the log now, in its order."""
        ...

    def subscribe(self, endpoints: Sequence[Endpoint]) -> None:
        """Add webhook endpoints, before anything happens."""
        ...

    def undelivered(self) -> int:
        """The number of groups with events to deliver, and of endpoints that haven't seen the whole log."""
        ...

    def unlogged(self) -> int:
        """The number of documents with events that aren't in the log yet."""
        ...

    def balance(self) -> str | None:
        """Why the books break rule 1 at this instant, unfinished movements included; None if they don't."""
        ...

    def discard(self) -> None:
        """Close and remove everything."""
        ...
