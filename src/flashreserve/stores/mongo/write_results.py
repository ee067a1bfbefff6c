"""The results of a plan's effects, each of which was carried out under its own guard."""

from enum import Enum

from flashreserve.core.model import Adjustment, Product, Reservation


class WriteResult(Enum):
    """APPLIED: written. REFUSED: not written, and never will be. UNTRIED: never sent.

    UNKNOWN: sent, but it isn't known whether it was written, and a retry is forbidden. IN_FLIGHT: sent and not written
    so far, but it may still be written. A retry is allowed, because both together do no harm.
    """

    APPLIED = 1
    REFUSED = 2
    UNKNOWN = 3
    UNTRIED = 4
    IN_FLIGHT = 5


Written = Reservation | Adjustment | Product
"""The document that an effect writes."""


class WriteResults:
    """The result of each effect, and what it really wrote. The document that it was planned to write identifies it."""

    def __init__(self) -> None:
        self._results: dict[int, WriteResult] = {}
        self._written: dict[int, Written] = {}
        self._planned: list[Written] = []

    def add_planned(self, planned: Written) -> None:
        """Note an effect that is about to be carried out."""
        self._planned.append(planned)  # kept alive, because its identity is the key
        self._results[id(planned)] = WriteResult.UNTRIED

    def record(self, planned: Written, result: WriteResult, written: Written | None = None) -> None:
        """Note the effect's result, and the document that it wrote if that isn't the planned one."""
        self._results[id(planned)] = result
        if written is not None:
            self._written[id(planned)] = written

    def of(self, planned: object) -> WriteResult | None:
        """The effect's result; None if no effect writes this document."""
        return self._results.get(id(planned))

    def written(self, planned: object) -> Written | None:
        """The document that the effect really wrote, if it isn't the planned one."""
        return self._written.get(id(planned))

    @property
    def all_applied(self) -> bool:
        """Whether everything was carried out as planned."""
        return all(result is WriteResult.APPLIED for result in self._results.values())
