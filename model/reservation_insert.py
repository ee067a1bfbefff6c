"""R2, and deciding whether a reservation exists once that has become uncertain."""

from enum import Enum, auto

from model.documents import IntentItem, ReservationDoc
from model.processes import ModelActor
from model.steps import InsertReservation, InsertVoid, ReadReservation, ReplyLostError


class InsertFate(Enum):
    """The fate of an insert: the reservation exists, or never will, or it isn't known."""

    GRANTED = auto()
    NOT_MADE = auto()
    UNKNOWN = auto()


async def insert(actor: ModelActor, document: ReservationDoc) -> InsertFate:
    """R2, sent once. It counts as refused only when no copy of it can still arrive.

    That is after a definite reply, or once a VOID stands under the id.
    """
    fences, step = actor.fences, InsertReservation(document)
    try:
        if await step:
            return InsertFate.GRANTED
    except ReplyLostError:
        if not fences.void_before_refusal:
            return _fate(await ReadReservation(document.id), document.taken_by)
        if fences.inserts_sent_once:
            return await decide(document.taken_by, document.id, document.user)
        return await _insert_again(step)
    # A claim is taken, or the id is: perhaps by a recoverer's VOID. The reply doesn't tell which, so look.
    found = await ReadReservation(document.id)
    if found is not None and not fences.duplicates_read:
        return InsertFate.GRANTED
    return _fate(found, document.taken_by)


async def _insert_again(step: InsertReservation) -> InsertFate:
    """A fence left out: R2 is sent again after a lost reply, and a refusal of the second copy is believed."""
    document = step.document
    found = await ReadReservation(document.id)
    if found is None:
        try:
            if await step:
                return InsertFate.GRANTED
        except ReplyLostError:
            return await decide(document.taken_by, document.id, document.user)
        found = await ReadReservation(document.id)
    return _fate(found, document.taken_by)


async def decide(f: str, reservation: str, user: str) -> InsertFate:
    """Whether movement f made this reservation. Where nothing is under its id, put a VOID there, so that it never will.

    The code tries this three times, the model once: it gives up sooner, so fewer lost replies show what happens then.
    """
    found = await ReadReservation(reservation)
    if found is None:
        try:
            if await InsertVoid(reservation, user):
                return InsertFate.NOT_MADE
        except ReplyLostError:
            pass
        found = await ReadReservation(reservation)
        if found is None:
            return InsertFate.UNKNOWN
    return _fate(found, f)


async def make_it_so(f: str, product: str, item: IntentItem) -> InsertFate:
    """A fence left out: recovery inserts the reservation that is missing, instead of a VOID."""
    if await ReadReservation(item.reservation) is None:
        missing = ReservationDoc(
            id=item.reservation,
            user=item.user,
            status="PENDING",
            request=item.reservation.partition(".")[0],
            lines=((product, item.quantity),),
            taken_by=f,
            expires_at=9,
        )
        try:
            if await InsertReservation(missing):
                return InsertFate.GRANTED
        except ReplyLostError:
            pass
    return await decide(f, item.reservation, item.user)


def _fate(found: ReservationDoc | None, f: str) -> InsertFate:
    """The meaning of the document under the id. It may be a VOID, or another movement's, if an id was used twice."""
    made = found is not None and found.status != "VOID" and found.taken_by == f
    return InsertFate.GRANTED if made else InsertFate.NOT_MADE
