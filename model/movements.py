"""The two ends of every movement: first steps (R1, L1, G1), and settling (R4, L4, G4)."""

from enum import Enum, auto

from model.processes import ModelActor
from model.steps import Announce, AnnounceReturn, MovementKey, ReadWhetherOpen, ReplyLostError, Settle, TakeUnits


class FirstStep(Enum):
    """The fate of a first step: it took, or its guard failed, or it may arrive at any time."""

    TOOK = auto()
    REFUSED = auto()
    IN_FLIGHT = auto()


async def send_first_step(actor: ModelActor, step: TakeUnits | Announce | AnnounceReturn) -> FirstStep:
    """Send R1, L1 or G1, once. If the reply is lost, read whether the intent is there. If not, give the movement up."""
    try:
        return FirstStep.TOOK if await step else FirstStep.REFUSED
    except ReplyLostError:
        pass
    if await ReadWhetherOpen(step.product, step.movement):
        return FirstStep.TOOK
    if actor.fences.first_steps_sent_once:
        return FirstStep.IN_FLIGHT
    try:
        return FirstStep.TOOK if await step else FirstStep.REFUSED
    except ReplyLostError:
        return FirstStep.IN_FLIGHT


async def settle(actor: ModelActor, product: str, movement: MovementKey, units: int) -> None:
    """R4, L4 and G4. If the reply is lost, send it again; if that is lost too, leave the movement to recovery."""
    settlement = Settle(product, movement.f, movement.owner if actor.fences.owner_guard else None, units)
    for _ in range(2):
        try:
            await settlement
        except ReplyLostError:
            continue
        return
