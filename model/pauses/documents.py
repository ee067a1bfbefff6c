"""The documents of the pauses' model: the shop, its products, reservations; and what admins were told."""

from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace


class PauseOfAll(NamedTuple):
    """The document `shop`: why all sales are paused (None if they aren't), and the version of that."""

    reason: str | None
    version: int


class PausedProduct(Struct, frozen=True):
    """A product. `intents` are the movements that took a unit of it, and aren't settled."""

    id: str
    available: int = 1
    rev: int = 0
    own_reason: str | None = None
    reason: str | None = None
    version: int = 0
    starting: bool = False
    intents: tuple[str, ...] = ()

    @property
    def is_on_sale(self) -> bool:
        """Whether the rules let a reserve through."""
        return self.own_reason is None and self.reason is None


class PauseAnswer(NamedTuple):
    """An answer to an admin who paused a product, or all (None). `version` is that of a pause of all."""

    product: str | None
    version: int
    settling: int


class PauseState(Struct, frozen=True, cache_hash=True):
    """All documents.

    `written` are the versions whose P2 has ended; `resumed` is the highest version that ended a pause of all. `fault`
    is the first mistake that was noticed.
    """

    products: tuple[PausedProduct, ...]
    shop: PauseOfAll = PauseOfAll(None, 0)
    granted: frozenset[str] = frozenset()
    voided: frozenset[str] = frozenset()
    answers: frozenset[PauseAnswer] = frozenset()
    written: frozenset[int] = frozenset()
    resumed: int = 0
    fault: str | None = None

    def product(self, name: str) -> PausedProduct | None:
        """The product of this name; None if there is none."""
        return next((each for each in self.products if each.id == name), None)

    def with_product(self, changed: PausedProduct) -> "PauseState":
        """The documents with the product."""
        others = [each for each in self.products if each.id != changed.id]
        return replace(self, products=tuple(sorted([*others, changed], key=lambda product: product.id)))

    def standing(self, product: str) -> list[PauseAnswer]:
        """The answers by which the product is paused, and which no end of a pause has overtaken."""
        return [
            answer
            for answer in self.answers
            if answer.product == product or (answer.product is None and answer.version > self.resumed)
        ]
