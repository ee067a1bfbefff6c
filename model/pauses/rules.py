"""What must hold of pauses: at every instant, and when nothing is left to do."""

from collections.abc import Iterable

from typing_extensions import override

from model.pauses.documents import PauseState
from model.pauses.fences import ALL_PAUSE_FENCES
from model.pauses.processes import start_products, undo_reserves
from model.processes import Program
from model.scene_space import SceneRules, run_alone


class PauseRules(SceneRules[PauseState]):
    """Nothing is sold during a pause; and once P2 has ended, the products are as the highest version says."""

    @override
    def wrong(self, documents: PauseState) -> str | None:
        if documents.fault is not None:
            return documents.fault
        shop = documents.shop
        for product in documents.products:
            if product.is_on_sale and documents.standing(product.id):
                return f"ON SALE: {product.id} is on sale during its pause"
            state = product.reason, product.version
            if shop.version in documents.written and not product.starting and state != shop:
                return f"STATE of {product.id} is {state}, should be {tuple(shop)}"
        return None

    @override
    def passing(self, documents: PauseState) -> Iterable[tuple[str, PauseState]]:
        return ()

    @override
    def settled(self, documents: PauseState) -> PauseState:
        documents = run_alone(documents, Program("Y", start_products, (ALL_PAUSE_FENCES,)))
        for product in documents.products:
            documents = run_alone(documents, Program("Z", undo_reserves, (product.id,)))
        return documents

    @override
    def wrong_at_rest(self, documents: PauseState) -> str | None:
        for product in documents.products:
            if product.starting:
                return f"STUCK: the sale of {product.id} is never started"
            if product.intents:
                return f"STUCK: {product.id} has a movement that is never settled"
        return None
