"""The processes of the pauses' model: admins, reserves, recovery, and makers of new products."""

from model.pauses.documents import PauseAnswer, PausedProduct, PauseOfAll
from model.pauses.fences import PauseFences
from model.pauses.steps import (
    STARTING,
    AnswerPause,
    CountIntents,
    EditProduct,
    GrantReserve,
    InsertProduct,
    NoteWritten,
    PauseProduct,
    RaiseVersion,
    ReadProduct,
    ReadProducts,
    ReadReserve,
    ReadShop,
    SettleReserve,
    StartProduct,
    TakeUnit,
    VoidReserve,
    WriteShop,
)
from model.processes import ModelActor, Program
from model.scene_space import Choose, carry_out
from model.steps import ReplyLostError


async def change_all(actor: ModelActor, fences: PauseFences, reason: str | None) -> Program | None:
    """Pause the sales of all products for the reason, or with None end that. A lost reply is the end."""
    try:
        state = await WriteShop(reason)
    except ReplyLostError:
        return None
    return Program(actor.name, _write_products, (fences, state))


async def _write_products(actor: ModelActor, fences: PauseFences, state: PauseOfAll) -> Program | None:
    """P2. A command on several products finds those that are there, and changes them in any order."""
    try:
        there = await ReadProducts()
        await carry_out([_pausing(fences, each, state) for each in there])
        await carry_out([RaiseVersion(each, state, fences.started_by_maker) for each in await ReadProducts()])
    except ReplyLostError:
        return None
    if await ReadProducts(below=state.version):
        return Program(actor.name, _write_products, (fences, state))
    await NoteWritten(state.version)
    return None if state.reason is None else Program(actor.name, _answer, (fences, None, state.version))


def _pausing(fences: PauseFences, product: str, state: PauseOfAll) -> PauseProduct:
    return PauseProduct(product, state, fences.by_version, fences.raises_rev, fences.started_by_maker)


async def _answer(actor: ModelActor, fences: PauseFences, product: str | None, version: int) -> Program | None:
    """Answer how many movements are open; or look again, as long as there are any."""
    settling = 0
    if fences.waits_for_settling:
        counted = (product,) if product is not None else await ReadProducts()
        for each in counted:
            settling += await CountIntents(each)
    if settling and await Choose(("look again", "answer")) == "look again":
        return Program(actor.name, _answer, (fences, product, version))
    await AnswerPause(PauseAnswer(product, version, settling))
    return None


async def pause_one(actor: ModelActor, fences: PauseFences, product: str) -> Program | None:
    """Pause one product by itself; again if its rules were changed meanwhile."""
    found = await ReadProduct(product)
    if found is None:
        return None
    try:
        if not await EditProduct(product, found.rev, "own", fences.edited_by_rev):
            return Program(actor.name, pause_one, (fences, product))
    except ReplyLostError:
        return None
    return Program(actor.name, _answer, (fences, product, 0))


async def make_product(actor: ModelActor, fences: PauseFences, product: str) -> Program | None:
    """Make a new product, and start its sale unless all sales are paused."""
    new = PausedProduct(product, reason=STARTING if fences.inserted_paused else None, starting=True)
    try:
        state = None if fences.read_after_insert else await ReadShop()
        await InsertProduct(new)
        if state is not None:
            await _starting(fences, product, state)
            return None
    except ReplyLostError:
        return None
    return Program(actor.name, _start, (fences, (product,)))


async def start_products(actor: ModelActor, fences: PauseFences) -> Program | None:
    """Recovery: start the products whose processes have died."""
    products = await ReadProducts(starting=True)
    return Program(actor.name, _start, (fences, products)) if products else None


async def _start(actor: ModelActor, fences: PauseFences, products: tuple[str, ...]) -> Program | None:
    """Start the products; again while there are any that a later pause or end of one came to before."""
    state = await ReadShop()
    try:
        await carry_out([_starting(fences, each, state) for each in products])
    except ReplyLostError:
        return None
    left = tuple(each for each in await ReadProducts(starting=True) if each in products)
    return Program(actor.name, _start, (fences, left)) if left else None


def _starting(fences: PauseFences, product: str, state: PauseOfAll) -> StartProduct:
    return StartProduct(product, state, fences.started_if_starting, fences.started_by_version)


async def reserve_one(actor: ModelActor, product: str, tries: int = 1) -> Program | None:
    """Reserve a unit: plan on facts that may be old by the time of R1; then R1, R2 and R4."""
    f = f"{actor.name}{tries}"
    again = Program(actor.name, reserve_one, (product, tries - 1)) if tries > 1 else None
    facts = await ReadProduct(product)
    if facts is None or not facts.is_on_sale or not facts.available:
        return again
    try:
        taken = await TakeUnit(product, f, facts.rev)
    except ReplyLostError:
        return again
    return Program(actor.name, _grant, (product, f)) if taken else again


async def _grant(_actor: ModelActor, product: str, f: str) -> None:
    """R2. After a lost reply, a VOID decides."""
    try:
        granted: bool | None = await GrantReserve(product, f) or await ReadReserve(f)
    except ReplyLostError:
        granted = await _void(f)
    if granted is not None:
        await _settle(product, f, granted=granted)


async def _void(f: str) -> bool | None:
    """Put a VOID where the reservation is missing. Returns whether it is there; None if that is unknown."""
    try:
        return not await VoidReserve(f) and await ReadReserve(f)
    except ReplyLostError:
        return None


async def _settle(product: str, f: str, *, granted: bool) -> None:
    """R4."""
    try:
        await SettleReserve(product, f, 0 if granted else 1)
    except ReplyLostError:
        return


async def undo_reserves(actor: ModelActor, product: str, turn: int = 0) -> Program | None:
    """Recovery of reserves: void what is missing, then settle."""
    found = await ReadProduct(product)
    if found is None or not found.intents:
        return None
    granted = await _void(found.intents[0])
    if granted is None:
        return None
    await _settle(product, found.intents[0], granted=granted)
    return Program(actor.name, undo_reserves, (product, turn + 1)) if len(found.intents) > 1 else None
