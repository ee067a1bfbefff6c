"""The customers: they send requests, wait, retry, hang up, and remember their answers. A history records it all."""

import asyncio  # noqa: TC003 - annotations with its types are evaluated at run time, too
import re
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Final, assert_never

from tests.proof.records import Answered, Asked, Lines, Lost, Record
from tests.simulation.histories import held
from tests.simulation.processes import SimulatedProcess
from tests.simulation.script import ADMIN, ScriptedOperation
from tests.simulation.world import World

from flashreserve.core import outcomes as told
from flashreserve.core.commands import Edit, Restock
from flashreserve.core.model import Reservation, Units
from flashreserve.service.pauses import SalePause
from flashreserve.stores.filters import ReservationFilter
from flashreserve.stores.port import StoreOutcomeUnknownError, StoreUnavailableError

_PAGE: Final = 200
_UNBOUGHT: Final = 5
"""One in so many returns is of any reservation, which needn't be a purchase."""

_UNSURE: Final = {"unavailable", "outcome-unknown"}


class SimulatedCrowd:
    """Sends the operations of a script."""

    def __init__(self, world: World, processes: Sequence[SimulatedProcess], history: list[Record]) -> None:
        self._world = world
        self._apis = [process for process in processes if not process.is_worker]
        self._history = history
        self._known: dict[str, list[str]] = {}
        self._lines: dict[str, Lines] = {}
        """By reservation that a customer knows of, the lines that were granted."""
        self._bought: dict[str, list[str]] = {}
        """By customer, the reservations of which the customer knows that they are purchases."""
        self._asked = 0
        self._open: dict[int, tuple[SimulatedProcess, ScriptedOperation]] = {}
        for process in processes:
            process.on_end = self._lose_all_of

    @property
    def waiting(self) -> int:
        """The number of unanswered requests."""
        return len(self._open)

    @property
    def asked(self) -> int:
        """The number of requests so far."""
        return self._asked

    def ask(self, operation: ScriptedOperation) -> None:
        """Send the request to its process, or to another one if that process is down."""
        up = [process for process in self._apis if process.up]
        if not up:
            self._world.after(0.1, self.ask, operation)
            return
        named = self._apis[operation.process]
        process = named if named.up else up[operation.process % len(up)]
        asked = self._request(operation, process)
        number = asked.number
        self._history.append(asked)
        self._open[number] = (process, operation)
        task: list[asyncio.Task[None]] = []
        # A frozen process takes the request when it wakes up.
        process.loop.call_soon(lambda: task.append(process.loop.create_task(self._serve(number, process, asked))))
        if operation.gone_after is not None:
            self._world.after(operation.gone_after, self._hang_up, number, process, task)

    def _request(self, operation: ScriptedOperation, process: SimulatedProcess) -> Asked:
        number, self._asked = self._asked, self._asked + 1
        at = self._world.now * 1_000
        kind, of = operation.kind, operation.product
        lines, key = operation.lines, operation.key
        rules, label = operation.rules, operation.label
        if kind in {"confirm", "cancel", "extend", "read", "return", "label"}:
            known = self._known.get(operation.user, [])
            if kind == "return" and operation.number % _UNBOUGHT:
                known = self._bought.get(operation.user, known)
            if operation.stray:
                strangers = [ids for user, ids in self._known.items() if user != operation.user]
                known = strangers[0] if strangers else ["nobody's"]
            if known:
                of = known[-1 - operation.target % len(known)]
                if operation.part:
                    lines = _part_of(self._lines.get(of, ()), operation.part, returned=kind == "return")
            else:  # A customer without a reservation makes one instead.
                kind, lines, key, label = "reserve", (("product-0", 1),), None, None
        user, change = operation.user, operation.change
        return Asked(at, number, process.name, kind, user, lines, key, of, change, rules, label)

    async def _serve(self, number: int, process: SimulatedProcess, asked: Asked) -> None:
        try:
            answer = await _CALLS[asked.kind](process, asked)
        except StoreUnavailableError:
            answer = Answered(0, 0, "unavailable")
        except StoreOutcomeUnknownError:
            answer = Answered(0, 0, "outcome-unknown")
        except Exception as error:  # noqa: BLE001 - the auditor judges it
            answer = Answered(0, 0, f"failed: {error!r}")
        if number not in self._open:
            return
        _, operation = self._open.pop(number)
        self._history.append(answer._replace(at=self._world.now * 1_000, number=number))
        if answer.held is not None and answer.answer in {"reserved", "replayed"}:
            known = self._known.setdefault(operation.user, [])
            self._lines[answer.held.id] = answer.held.lines
            if answer.held.id not in known:
                known.append(answer.held.id)
        if answer.held is not None and answer.answer == "confirmed":
            self._bought.setdefault(operation.user, []).append(answer.held.id)
        if answer.answer in _UNSURE:
            self._ask_again(operation)

    def _hang_up(self, number: int, process: SimulatedProcess, task: "list[asyncio.Task[None]]") -> None:
        if number in self._open and task and not process.loop.frozen:
            del self._open[number]
            self._history.append(Lost(self._world.now * 1_000, number))
            process.loop.call_soon(task[0].cancel)

    def _lose_all_of(self, process: SimulatedProcess) -> None:
        for number, (host, operation) in list(self._open.items()):
            if host is process:
                del self._open[number]
                self._history.append(Lost(self._world.now * 1_000, number))
                self._ask_again(operation)

    def _ask_again(self, operation: ScriptedOperation) -> None:
        """Retry the request, perhaps at another process."""
        if operation.retries == 0:
            return
        again = operation._replace(
            retries=operation.retries - 1,
            process=(operation.process + self._world.random.randrange(len(self._apis))) % len(self._apis),
        )
        self._world.after(self._world.random.uniform(0.001, 1.5), self.ask, again)


def _part_of(lines: Lines, part: float, *, returned: bool) -> Lines:
    """The units of the first product to be returned; or the units to be bought, if those aren't.

    With a part of 1, all of the first product's units. A return of a whole basket is one of every product.
    """
    if returned and part == 1.0:
        return lines
    if not lines:
        return ()
    (product, quantity), *others = lines
    back = max(1, int(quantity * part))
    if returned:
        return ((product, back),)
    bought = [(product, quantity - back), *others] if quantity > back else others
    return tuple(bought) or lines


_WORDS: Final = re.compile("(?<!^)(?=[A-Z])")


def _code(outcome: told.Outcome) -> str:
    """The outcome's name in a history, such as `already-confirmed`."""
    return _WORDS.sub("-", type(outcome).__name__).lower()


def _answered(outcome: told.Outcome) -> Answered:
    answer = Answered(0, 0, _code(outcome))
    match outcome:
        case (
            told.Reserved(reservation)
            | told.Replayed(reservation)
            | told.Confirmed(reservation)
            | told.Extended(reservation)
            | told.Released(reservation)
            | told.Labelled(reservation)
        ):
            return answer._replace(held=held(reservation))
        case told.Returned(reservation, replayed):
            return answer._replace(answer="returned-before" if replayed else "returned", held=held(reservation))
        case told.Restocked(adjustment, replayed):
            code = "restocked-before" if replayed else "restocked"
            return answer._replace(answer=code, units=adjustment.available, stocked=adjustment.stocked)
        case told.SoldOut(_, available) | told.StockTaken(_, available):
            return answer._replace(units=available)
        case told.Expired(_, expires_at):
            return answer._replace(instant=expires_at)
        case (
            told.Edited()
            | told.NotFound()
            | told.KeyReused()
            | told.SalePaused()
            | told.NotOnSale()
            | told.LimitReached()
            | told.OpenHoldsReached()
            | told.HourlyHoldsReached()
            | told.LapsesReached()
            | told.AlreadyConfirmed()
            | told.AlreadyCancelled()
            | told.ExtensionsUsedUp()
            | told.NotConfirmed()
            | told.TooMany()
            | told.ReturnsUsedUp()
            | told.NotDue()
            | told.RulesFixed()
            | told.ExternalIdTaken()
            | told.Invalid()
            | told.Unavailable()
            | told.OutcomeUnknown()
            | told.Failed()
        ):
            return answer
        case _:
            assert_never(outcome)


async def _reserve(process: SimulatedProcess, asked: Asked) -> Answered:
    """Reserve; every other request by `reserve_soon`, as the express lane does."""
    lines = [Units(product, quantity) for product, quantity in asked.lines]
    if len(lines) > 1 or asked.number % 2:
        return _answered(await process.reservations.reserve(asked.user, lines, asked.key))
    future: asyncio.Future[told.Outcome] = process.loop.create_future()
    process.reservations.reserve_soon(asked.user, lines[0], asked.key, partial(_tell, future))
    return _answered(await future)


def _tell(future: "asyncio.Future[told.Outcome]", outcome: told.Outcome) -> None:
    if not future.done():
        future.set_result(outcome)


async def _confirm(process: SimulatedProcess, asked: Asked) -> Answered:
    lines = [Units(product, quantity) for product, quantity in asked.lines] or None
    return _answered(await process.reservations.confirm(asked.user, asked.of, lines, asked.user))


async def _return(process: SimulatedProcess, asked: Asked) -> Answered:
    lines = [Units(product, quantity) for product, quantity in asked.lines]
    return _answered(
        await process.reservations.return_units(asked.user, asked.of, lines, key=asked.key or "", by=ADMIN, reason=None)
    )


async def _extend(process: SimulatedProcess, asked: Asked) -> Answered:
    return _answered(await process.reservations.extend(asked.user, asked.of))


async def _cancel(process: SimulatedProcess, asked: Asked) -> Answered:
    return _answered(await process.reservations.cancel(asked.user, asked.of))


async def _label(process: SimulatedProcess, asked: Asked) -> Answered:
    return _answered(await process.reservations.label(asked.of, asked.label))


async def _read(process: SimulatedProcess, asked: Asked) -> Answered:
    found = await process.reservations.reservation(asked.user, asked.of)
    if isinstance(found, Reservation):
        return Answered(0, 0, "found", held(found))
    return _answered(found)


async def _list(process: SimulatedProcess, asked: Asked) -> Answered:
    found = await process.reservations.search(ReservationFilter(user_id=asked.user), None, _PAGE, newest_first=True)
    return Answered(0, 0, "listed", several=tuple(held(each) for each in found.reservations))


async def _stock(process: SimulatedProcess, asked: Asked) -> Answered:
    sight = await process.catalogue.stock(asked.of)
    if isinstance(sight, told.NotFound):
        return _answered(sight)
    return Answered(0, 0, "stock", units=sight.product.available, stocked=sight.product.stocked)


async def _restock(process: SimulatedProcess, asked: Asked) -> Answered:
    return _answered(await process.catalogue.restock(Restock(asked.of, asked.key or "", asked.change, ADMIN)))


_FIELDS: Final[dict[str, Callable[[Any], dict[str, Any]]]] = {
    "limit": lambda value: {"per_customer_limit": value},
    "hold_ms": lambda value: {"hold_s": value // 1_000},
    "extensions_max": lambda value: {"extensions_max": value},
}


async def _edit(process: SimulatedProcess, asked: Asked) -> Answered:
    fields: dict[str, Any] = {}
    for name, value in asked.rules:
        fields |= _FIELDS[name](value)
    return _answered(await process.catalogue.edit(Edit(asked.of, **fields)))


async def _pause(process: SimulatedProcess, asked: Asked) -> Answered:
    """Pause; `paused` means that nothing is granted any more, `pausing` that a movement was still open."""
    if asked.of:
        return _paused(await process.pauses.pause(asked.of, "a pause", ADMIN))
    return _paused(await process.pauses.pause_all("a pause of all", ADMIN))


async def _resume(process: SimulatedProcess, asked: Asked) -> Answered:
    if asked.of:
        outcome = await process.pauses.resume(asked.of, ADMIN)
        return Answered(0, 0, "resumed") if isinstance(outcome, SalePause) else _answered(outcome)
    await process.pauses.resume_all(ADMIN)
    return Answered(0, 0, "resumed")


def _paused(outcome: SalePause | told.Outcome) -> Answered:
    if isinstance(outcome, SalePause):
        return Answered(0, 0, "pausing" if outcome.settling else "paused")
    return _answered(outcome)


async def _audit(process: SimulatedProcess, _asked: Asked) -> Answered:
    audit = await process.store.audit()
    if audit.differences:
        return Answered(0, 0, f"out-of-balance: {audit.differences}")
    return Answered(0, 0, "balanced" if audit.complete else "moving")


_CALLS: Final[dict[str, Callable[[SimulatedProcess, Asked], Coroutine[Any, Any, Answered]]]] = {
    "reserve": _reserve,
    "confirm": _confirm,
    "extend": _extend,
    "cancel": _cancel,
    "return": _return,
    "label": _label,
    "read": _read,
    "list": _list,
    "stock": _stock,
    "restock": _restock,
    "edit": _edit,
    "pause": _pause,
    "resume": _resume,
    "audit": _audit,
}
