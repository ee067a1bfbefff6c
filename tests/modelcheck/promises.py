"""The promises in all answers, to customers, admins and operators, and whether they are kept."""

from collections.abc import Mapping

import msgspec
from tests.modelcheck.stored_documents import Document
from typing_extensions import override


class StoredBooks(msgspec.Struct, frozen=True):
    """The database's products and reservations by id, for checking promises."""

    products: Mapping[str, Document]
    reservations: Mapping[str, Document]

    def status(self, reservation: str) -> str:
        """The status of a reservation; VOID if there is none."""
        document = self.reservations.get(reservation)
        return "VOID" if document is None else document["status"]

    def returns(self, reservation: str, key: str) -> int:
        """The number of returns of the reservation under the key."""
        return sum(entry["key"] == key for entry in self.reservations[reservation].get("returns", ()))

    def restocks(self, product: str, key: str) -> int:
        """The number of restocks of the product under the key."""
        return sum(adjustment["key"] == key for adjustment in self.products[product]["adjustments"])

    def is_shown(self, product: str) -> bool:
        """Whether the product exists, and isn't hidden by an unfinished import."""
        return product in self.products and "batch" not in self.products[product]


class CodePromise(msgspec.Struct, frozen=True):
    """A promise in an answer."""

    def broken(self, books: StoredBooks) -> str | None:
        """The way in which the promise is broken; None if it is kept."""
        raise NotImplementedError


class ProcessError(CodePromise, frozen=True):
    """A process ended by an error, which must never happen."""

    error: str

    @override
    def broken(self, books: StoredBooks) -> str | None:
        return f"error: {self.error}"


class GrantPromise(CodePromise, frozen=True):
    """The reservation exists."""

    reservation: str

    @override
    def broken(self, books: StoredBooks) -> str | None:
        there = books.status(self.reservation) != "VOID"
        return None if there else f"{self.reservation} was acknowledged and isn't there"


class StatusPromise(CodePromise, frozen=True):
    """The reservation is CONFIRMED, EXPIRED or CANCELLED."""

    reservation: str
    status: str

    @override
    def broken(self, books: StoredBooks) -> str | None:
        status = books.status(self.reservation)
        return None if status == self.status else f"{self.reservation} was told {self.status}, is {status}"


class ExtensionPromise(CodePromise, frozen=True):
    """The reservation has been extended at least this often."""

    reservation: str
    extensions: int

    @override
    def broken(self, books: StoredBooks) -> str | None:
        extended = books.reservations[self.reservation]["extensions"] >= self.extensions
        return None if extended else f"{self.reservation} was told extension {self.extensions}"


class ReturnPromise(CodePromise, frozen=True):
    """Units of the reservation were returned under the key, once; or never will be, if they were refused."""

    reservation: str
    key: str
    returned: bool

    @override
    def broken(self, books: StoredBooks) -> str | None:
        count = books.returns(self.reservation, self.key)
        if count == self.returned:
            return None
        return f"return {self.key} was told {'done' if self.returned else 'refused'}, and is there {count} times"


class NothingTaken(CodePromise, frozen=True):
    """Nothing was taken: the customer has at most `others` reservations, which belong to other requests."""

    user: str
    others: int

    @override
    def broken(self, books: StoredBooks) -> str | None:
        count = sum(
            document["status"] != "VOID" and document["user_id"] == self.user
            for document in books.reservations.values()
        )
        return None if count <= self.others else f"{self.user} was told that nothing was taken, but has {count}"


class NotCancelled(CodePromise, frozen=True):
    """The outcome of cancelling was `Unavailable`, so nothing was written. No other process cancels."""

    reservation: str

    @override
    def broken(self, books: StoredBooks) -> str | None:
        if books.status(self.reservation) != "CANCELLED":
            return None
        return f"cancelling {self.reservation} was answered 'unavailable' (nothing was written), and it is CANCELLED"


class RestockPromise(CodePromise, frozen=True):
    """The product was restocked under the key, once."""

    product: str
    key: str

    @override
    def broken(self, books: StoredBooks) -> str | None:
        once = books.restocks(self.product, self.key) == 1
        return None if once else f"restock {self.key} was told, and isn't there once"


class NotRestocked(CodePromise, frozen=True):
    """The restock was refused, for good."""

    product: str
    key: str

    @override
    def broken(self, books: StoredBooks) -> str | None:
        done = books.restocks(self.product, self.key) > 0
        return f"restock {self.key} was refused, and was carried out" if done else None


class AuditPromise(CodePromise, frozen=True):
    """The differences that an audit found. There must be none."""

    differences: str

    @override
    def broken(self, books: StoredBooks) -> str | None:
        return f"the audit found {self.differences}" if self.differences else None


class ImportPromise(CodePromise, frozen=True):
    """The products were imported, or else none of them was."""

    products: tuple[str, ...]
    imported: bool

    @override
    def broken(self, books: StoredBooks) -> str | None:
        for product in self.products:
            if books.is_shown(product) is not self.imported:
                told, shown = ("imported", "isn't") if self.imported else ("not imported", "is")
                return f"{product} was told {told} and {shown} shown"
        return None
