"""The shop's database as a simulated MongoDB server."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from tests.proof.records import FinalProduct, Goods, Held, ReturnedUnits, ToldEvent
from tests.simulation.faults import AT_A_READ, AT_A_WRITE, SimulatedFault
from tests.simulation.histories import told
from tests.simulation.mongo.server import SimulatedMongoServer
from tests.simulation.network import Link, Network, SimulatedDatabase
from tests.simulation.processes import SimulatedIds, SimulatedProcess
from tests.simulation.script import EPOCH_MS, Options
from tests.simulation.shop import SimulatedShop
from tests.simulation.world import World
from typing_extensions import override

from flashreserve.core import limits
from flashreserve.core.endpoints import Endpoint
from flashreserve.core.model import Product
from flashreserve.stores.mongo import MongoStore, chunks, event_log, release_movement
from flashreserve.stores.mongo.database import Collection
from flashreserve.stores.mongo.documents import INDEXES, product_document, struct_document
from flashreserve.stores.port import Store

SLOWNESS: Final = 60.0
_WITH_TRAILS: Final[tuple[Collection, ...]] = ("products", "reservations")
_PART_MIN: Final = chunks.PART_MIN
_SWEEP_MAX: Final = limits.SWEEP_MAX
_RELEASE_INTENTS_MAX: Final = release_movement.RELEASE_INTENTS_MAX


def product_of(goods: Goods) -> Product:
    """The record as a product of the service."""
    return Product(
        id=goods.id,
        name=goods.id,
        price=100,
        currency="EUR",
        stocked=goods.units,
        available=goods.units,
        sale_starts_at=goods.sale_starts_at,
        sale_ends_at=goods.sale_ends_at,
        per_customer_limit=goods.limit,
        hold_s=goods.hold_ms // 1_000,
        extensions_max=goods.extensions_max,
        created_at=EPOCH_MS,
        updated_at=EPOCH_MS,
    )


class MongoShop(SimulatedShop):
    """One server for all processes."""

    def __init__(
        self,
        world: World,
        options: Options,
        goods: Sequence[Goods],
        note: Callable[[str, str, float], None],
        server: SimulatedMongoServer | None = None,
    ) -> None:
        # The real limits are for hundreds of customers at once.
        chunks.PART_MIN = options.part_min  # type: ignore[misc]
        limits.SWEEP_MAX = options.sweep_max  # type: ignore[misc]
        release_movement.RELEASE_INTENTS_MAX = options.release_intents_max  # type: ignore[misc]
        self._quotas = options.quotas
        self._server = server or SimulatedMongoServer()
        self._server.make_indexes(INDEXES)
        self._network = Network(world, self._server, options, note)
        self._links: dict[str, Link] = {}
        for part in self._server.insert_parts("products", [product_document(product_of(each)) for each in goods]):
            part()

    @override
    def connect(self, process: SimulatedProcess, ids: SimulatedIds) -> Store:
        # Faults that were armed before the process restarted stay armed.
        link = Link(process)
        before = self._links.get(process.name)
        if before is not None:
            link.armed = before.armed
            link.cut_until = before.cut_until
        self._links[process.name] = link
        return MongoStore(SimulatedDatabase(self._network, self._server, link), ids, self._quotas)

    @override
    def meet(self, process: SimulatedProcess, fault: SimulatedFault) -> bool:
        if fault.kind in AT_A_WRITE or fault.kind in AT_A_READ:
            self._links[process.name].armed.append(fault)
            return False
        match fault.kind:
            case "cut":
                link = self._links[process.name]
                link.cut_until = max(link.cut_until, fault.at + fault.seconds)
            case "slow":
                self._network.slow_down(fault.seconds, SLOWNESS)
            case "storm":
                self._network.storm(fault.seconds)
            case "election":
                self._network.elect(fault.seconds)
            case "server-crash":
                self._network.crash_server(min(fault.seconds, 8.0))
            case _:
                raise NotImplementedError(fault.kind)
        return True

    @override
    def heal(self) -> None:
        self._network.heal()
        for link in self._links.values():
            link.armed.clear()
            link.cut_until = 0.0

    @override
    def quiet_at(self) -> float:
        return self._network.quiet_at

    @override
    def products(self) -> tuple[FinalProduct, ...]:
        return tuple(
            FinalProduct(each["_id"], each["stocked"], each["available"], len(each["intents"]), each["trail_n"])
            for each in self._server.documents("products")
        )

    @override
    def reservations(self) -> tuple[Held, ...]:
        found = self._server.documents("reservations")
        return tuple(_held(document) for document in found if document["status"] != "VOID")

    @override
    def log(self) -> tuple[ToldEvent, ...]:
        found = [each for each in self._server.documents("events") if "place" in each]
        return tuple(sorted(told(event_log.logged(each)) for each in found))

    @override
    def subscribe(self, endpoints: Sequence[Endpoint]) -> None:
        documents = [struct_document(each) | {"types": list(each.types)} for each in endpoints]
        for part in self._server.insert_parts("endpoints", documents):
            part()

    @override
    def undelivered(self) -> int:
        due: int = sum(each["next_at"] is not None for each in self._server.documents("deliveries"))
        last = max((each.get("place", 0) for each in self._server.documents("events")), default=0)
        behind: int = sum(each["seen"] < last for each in self._server.documents("endpoints"))
        return due + behind

    @override
    def unlogged(self) -> int:
        return sum("ship_at" in each for of in _WITH_TRAILS for each in self._server.documents(of))

    @override
    def balance(self) -> str | None:
        reservations = {each["_id"]: each for each in self._server.documents("reservations")}
        for product in self._server.documents("products"):
            wrong = _wrong_with(product, reservations)
            if wrong is not None:
                return wrong
        return None

    @override
    def discard(self) -> None:
        chunks.PART_MIN = _PART_MIN  # type: ignore[misc]
        limits.SWEEP_MAX = _SWEEP_MAX  # type: ignore[misc]
        release_movement.RELEASE_INTENTS_MAX = _RELEASE_INTENTS_MAX  # type: ignore[misc]


def _wrong_with(product: dict[str, Any], reservations: dict[str, dict[str, Any]]) -> str | None:
    """Why the product breaks rule 1, unfinished movements included; None if it doesn't."""
    id_ = product["_id"]
    live = moving = 0
    giving_back = {intent["f"] for intent in product["intents"] if intent["kind"] != "reserve"}
    for each in reservations.values():
        returned = [(entry["f"], line) for entry in each.get("returns", ()) for line in entry["lines"]]
        here = [(f, line["quantity"]) for f, line in returned if line["product_id"] == id_]
        left = sum(line["quantity"] for line in each.get("lines", ()) if line["product_id"] == id_)
        left -= sum(quantity for _, quantity in here)
        if each["status"] in {"PENDING", "CONFIRMED"}:
            live += left
        elif each.get("released_by") in giving_back:
            moving += left
        moving += sum(quantity for f, quantity in here if f in giving_back)
    for intent in product["intents"]:
        for item in intent.get("items", ()):
            found = reservations.get(item["id"])
            if found is None or found["status"] == "VOID" or found["taken_by"] != intent["f"]:
                moving += item["quantity"]
    if product["available"] < 0 or product["available"] != product["stocked"] - live - moving:
        return f"{id_}: available {product['available']}, stocked {product['stocked']}, live {live}, moving {moving}"
    return None


def _held(document: dict[str, Any]) -> Held:
    return Held(
        id=document["_id"],
        user=document["user_id"],
        status=document["status"],
        lines=tuple((line["product_id"], line["quantity"]) for line in document["lines"]),
        created_at=document["created_at"],
        expires_at=document["expires_at"],
        hold_ms=document["hold_s"] * 1_000,
        extensions=document["extensions"],
        confirmed_at=document.get("confirmed_at"),
        released_at=document.get("released_at"),
        key=document.get("key"),
        returns=tuple(
            ReturnedUnits(tuple((line["product_id"], line["quantity"]) for line in entry["lines"]), entry["key"])
            for entry in document.get("returns", ())
        ),
        label=document.get("external_id"),
    )
