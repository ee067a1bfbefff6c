"""The steps of pauses, of reserves and of new products: atomic operations on one document each."""

from typing import ClassVar

from msgspec.structs import replace
from typing_extensions import override

from model.pauses.documents import PauseAnswer, PausedProduct, PauseOfAll, PauseState
from model.scene_space import SceneStep

STARTING = "the product is being made"
"""The reason why the sale of a new product is paused for a moment."""


class WriteShop(SceneStep[PauseOfAll], frozen=True):
    """P1: write the reason and the next version. The reply is both."""

    label: ClassVar[str] = "P1"
    reason: str | None

    @override
    def apply(self, before: PauseState) -> tuple[PauseState, PauseOfAll]:
        shop = PauseOfAll(self.reason, before.shop.version + 1)
        resumed = shop.version if self.reason is None else before.resumed
        return replace(before, shop=shop, resumed=resumed), shop


class ReadShop(SceneStep[PauseOfAll], frozen=True):
    """Read the document `shop`."""

    writes: ClassVar[bool] = False

    @override
    def apply(self, before: PauseState) -> tuple[PauseState, PauseOfAll]:
        return before, before.shop


class ReadProducts(SceneStep[tuple[str, ...]], frozen=True):
    """Read the ids of all products, of those with a lower version, or of those that are being made."""

    writes: ClassVar[bool] = False
    below: int | None = None
    starting: bool = False

    @override
    def apply(self, before: PauseState) -> tuple[PauseState, tuple[str, ...]]:
        return before, tuple(
            product.id
            for product in before.products
            if (self.below is None or product.version < self.below) and (product.starting or not self.starting)
        )


class PauseProduct(SceneStep[bool], frozen=True):
    """P2: write the reason and the version to a product, and raise `rev`.

    Guard: the product's version is lower, its reason another one, and it isn't being made. (A fence left out: it may
    be, and is started.)
    """

    label: ClassVar[str] = "P2"
    product: str
    state: PauseOfAll
    by_version: bool = True
    raises_rev: bool = True
    started_by_maker: bool = True

    @override
    def apply(self, before: PauseState) -> tuple[PauseState, bool]:
        product = before.product(self.product)
        reason, version = self.state
        if product is None or product.reason == reason or (self.by_version and product.version >= version):
            return before, False
        if product.starting and self.started_by_maker:
            return before, False
        rev = product.rev + self.raises_rev
        return before.with_product(replace(product, reason=reason, version=version, rev=rev, starting=False)), True


class RaiseVersion(SceneStep[bool], frozen=True):
    """P2: write the version alone to a product.

    Guard: its version is lower, and its reason the same, or it is being made.
    """

    label: ClassVar[str] = "P2 version"
    product: str
    state: PauseOfAll
    started_by_maker: bool = True

    @override
    def apply(self, before: PauseState) -> tuple[PauseState, bool]:
        product = before.product(self.product)
        if product is None or product.version >= self.state.version:
            return before, False
        if product.reason != self.state.reason and not (product.starting and self.started_by_maker):
            return before, False
        return before.with_product(replace(product, version=self.state.version)), True


class NoteWritten(SceneStep[None], frozen=True):
    """P2 has ended. Only the model notes that."""

    writes: ClassVar[bool] = False
    label: ClassVar[str] = "P2 ended"
    version: int

    @override
    def apply(self, before: PauseState) -> tuple[PauseState, None]:
        return replace(before, written=before.written | {self.version}), None


class CountIntents(SceneStep[int], frozen=True):
    """Read the number of open movements that reserve units of the product."""

    writes: ClassVar[bool] = False
    product: str

    @override
    def apply(self, before: PauseState) -> tuple[PauseState, int]:
        product = before.product(self.product)
        return before, 0 if product is None else len(product.intents)


class AnswerPause(SceneStep[None], frozen=True):
    """Answer the admin. Only the model notes that."""

    writes: ClassVar[bool] = False
    label: ClassVar[str] = "ANSWER"
    answer: PauseAnswer

    @override
    def apply(self, before: PauseState) -> tuple[PauseState, None]:
        return replace(before, answers=before.answers | {self.answer}), None


class ReadProduct(SceneStep[PausedProduct | None], frozen=True):
    """Read a product."""

    writes: ClassVar[bool] = False
    product: str

    @override
    def apply(self, before: PauseState) -> tuple[PauseState, PausedProduct | None]:
        return before, before.product(self.product)


class EditProduct(SceneStep[bool], frozen=True):
    """Pause a product by itself, and raise its `rev`. Guard: `rev` is what was read."""

    label: ClassVar[str] = "edit"
    product: str
    rev: int
    reason: str
    raises_rev: bool = True

    @override
    def apply(self, before: PauseState) -> tuple[PauseState, bool]:
        product = before.product(self.product)
        if product is None or product.rev != self.rev:
            return before, False
        return before.with_product(replace(product, own_reason=self.reason, rev=self.rev + self.raises_rev)), True


class InsertProduct(SceneStep[bool], frozen=True):
    """Insert a new product. Guard: there is none with its id."""

    label: ClassVar[str] = "insert"
    product: PausedProduct

    @override
    def apply(self, before: PauseState) -> tuple[PauseState, bool]:
        if before.product(self.product.id) is not None:
            return before, False
        return before.with_product(self.product), True


class StartProduct(SceneStep[bool], frozen=True):
    """Write what the document `shop` said to a new product, and end `starting`.

    Guard: it still has `starting`, and no higher version.
    """

    label: ClassVar[str] = "start"
    product: str
    state: PauseOfAll
    if_starting: bool = True
    by_version: bool = True

    @override
    def apply(self, before: PauseState) -> tuple[PauseState, bool]:
        product = before.product(self.product)
        if product is None or (self.if_starting and not product.starting):
            return before, False
        reason, version = self.state
        if self.by_version and product.version > version:
            return before, False
        return before.with_product(replace(product, reason=reason, version=version, starting=False)), True


class TakeUnit(SceneStep[bool], frozen=True):
    """R1: take a unit, and leave an intent. Guard: `rev` is what the plan rests on, and a unit is available."""

    label: ClassVar[str] = "R1"
    product: str
    f: str
    rev: int

    @override
    def apply(self, before: PauseState) -> tuple[PauseState, bool]:
        product = before.product(self.product)
        if product is None or product.rev != self.rev or not product.available or self.f in product.intents:
            return before, False
        fault = before.fault
        if before.standing(self.product):
            fault = fault or f"PAUSED: {self.f} takes a unit of {self.product} during its pause"
        taken = replace(product, available=product.available - 1, intents=(*product.intents, self.f))
        return replace(before.with_product(taken), fault=fault), True


class GrantReserve(SceneStep[bool], frozen=True):
    """R2: insert the reservation. Guard: there is none with its id, nor a VOID."""

    label: ClassVar[str] = "R2"
    product: str
    f: str

    @override
    def apply(self, before: PauseState) -> tuple[PauseState, bool]:
        if self.f in before.granted | before.voided:
            return before, False
        fault = before.fault
        if any(answer.settling == 0 for answer in before.standing(self.product)):
            fault = fault or f"PAUSED: {self.f} is granted after an answer that nothing is settling"
        return replace(before, granted=before.granted | {self.f}, fault=fault), True


class VoidReserve(SceneStep[bool], frozen=True):
    """Insert a VOID under the reservation's id, so that R2 fails. Guard: there is no document with it."""

    label: ClassVar[str] = "VOID"
    f: str

    @override
    def apply(self, before: PauseState) -> tuple[PauseState, bool]:
        if self.f in before.granted | before.voided:
            return before, False
        return replace(before, voided=before.voided | {self.f}), True


class SettleReserve(SceneStep[bool], frozen=True):
    """R4: take the intent out, and put the unit back unless it was granted. Guard: the intent is there."""

    label: ClassVar[str] = "R4"
    product: str
    f: str
    units: int

    @override
    def apply(self, before: PauseState) -> tuple[PauseState, bool]:
        product = before.product(self.product)
        if product is None or self.f not in product.intents:
            return before, False
        rest = tuple(f for f in product.intents if f != self.f)
        return before.with_product(replace(product, available=product.available + self.units, intents=rest)), True


class ReadReserve(SceneStep[bool], frozen=True):
    """Read whether the reservation exists."""

    writes: ClassVar[bool] = False
    f: str

    @override
    def apply(self, before: PauseState) -> tuple[PauseState, bool]:
        return before, self.f in before.granted
