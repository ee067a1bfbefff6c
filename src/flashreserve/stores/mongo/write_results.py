"""What became of the effects of a plan, each of which was carried out under its own guard."""

from enum import Enum

from flashreserve.core.model import Adjustment, Product, Reservation


class WriteResult(Enum):
    """APPLIED: written. REFUSED: not written, and never will be. UNTRIED: never sent.

    UNKNOWN: sent; whether it was written is not known, and it may not be tried again. IN_FLIGHT: sent, and not written
    so far, but it may still be. It may be tried again, since both together do no harm.
    """

    APPLIED = 1
    REFUSED = 2
    UNKNOWN = 3
    UNTRIED = 4
    IN_FLIGHT = 5


Written = Reservation | Adjustment | Product
"""What an effect leaves behind."""


class WriteResults:
    """Which effect met which fate, and what it really left. An effect is known by what it was planned to leave."""

    def __init__(self) -> None:
        self._fates: dict[int, WriteResult] = {}
        self._written: dict[int, Written] = {}
        self._planned: list[Written] = []

    def expect(self, planned: Written) -> None:
        """An effect that is about to be carried out."""
        self._planned.append(planned)  # keeps it alive: it is known by its identity
        self._fates[id(planned)] = WriteResult.UNTRIED

    def meet(self, planned: Written, result: WriteResult, written: Written | None = None) -> None:
        """The effect met this fate, and left `written` behind if that isn't what was planned."""
        self._fates[id(planned)] = result
        if written is not None:
            self._written[id(planned)] = written

    def of(self, planned: object) -> WriteResult | None:
        """The effect's fate; None where no effect leaves this behind."""
        return self._fates.get(id(planned))

    def written(self, planned: object) -> Written | None:
        """What the effect really left behind, where that isn't what was planned."""
        return self._written.get(id(planned))

    @property
    def all_applied(self) -> bool:
        """Whether everything was carried out as planned."""
        return all(result is WriteResult.APPLIED for result in self._fates.values())
