"""Deliveries: sends events to the endpoints, in order for each subject, and again after failures.

Every endpoint has a pump of its own, so a slow one delays no other. A pump claims due groups in batches, sends the
events of each group one after the other, several groups at a time, and writes what came of it.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol, assert_never

import structlog
from msgspec.structs import replace

from flashreserve.auth.keys import KeyRing
from flashreserve.clock import Clock, Ids
from flashreserve.core.endpoints import (
    AttemptResult,
    Delivery,
    DeliveryEnd,
    DisabledWhy,
    Endpoint,
    LoggedAttempt,
    changed,
)
from flashreserve.core.events import BY_SYSTEM, Event
from flashreserve.metrics import Cell, Distribution
from flashreserve.service.fan_out import OutboxStore, wanted
from flashreserve.side_by_side import all_ended, end_all
from flashreserve.stores.port import StoreOutcomeUnknownError, StoreUnavailableError
from flashreserve.webhooks.attempts import DeliveryAttempt
from flashreserve.webhooks.backoff import (
    Delivered,
    EndpointGone,
    GivenUp,
    Retry,
    has_failed_too_long,
    has_one_slot,
    judge,
)
from flashreserve.webhooks.signatures import (
    EndpointSecrets,
    MissingKey,
    SecretVersion,
    signed_headers,
    signing_secrets,
)

SLOTS: Final = 8
"""Requests to one endpoint at a time."""

SLOTS_OF_PROCESS: Final = 64

LEASE_MS: Final = 60_000
"""How long a claimed group is this process's alone."""

SEND_MS_MAX: Final = 20_000
"""A request isn't begun if its lease ends within this time: it may take 15 s, and its result has to be written."""

_BATCH_MAX: Final = 256
_BATCH_MS: Final = 5_000
"""How long a batch may take if its requests take as long as those of the one before."""

_BATCHES_AT_ONCE: Final = 2
"""While the last requests of a batch are on their way, the next batch has begun."""

_KEY_MISSING_RETRY_MS: Final = 60_000
_AFTER_DEFECT_MS: Final = 60_000
_DISABLE_TRIES_MAX: Final = 5

_log = structlog.get_logger(__name__)

Encode = Callable[[Event, int | None], bytes]
"""Makes the body of a delivery from the event, and the number of the event that was sent before it."""


class WebhookSender(Protocol):
    """Sends requests; see `webhooks.sender.Sender`."""

    async def send(self, url: str, headers: dict[str, str], body: bytes) -> DeliveryAttempt:
        """Send the body to the URL once. Network faults are results, not errors."""
        ...


class _GroupTurn(NamedTuple):
    """The end of a group's turn, the attempts made in it, and whether the endpoint is gone."""

    end: DeliveryEnd
    attempts: list[LoggedAttempt]
    gone: bool = False


class _Pump:
    """The state of one endpoint's pump, in this process."""

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        self.slots = asyncio.Semaphore(SLOTS)
        self.one_slot = False
        self.only = asyncio.Lock()
        """Held by each request while the endpoint has one slot."""
        self.request_ms = float(_BATCH_MS)
        self.idle = True

    def batch_size(self) -> int:
        """How many groups to claim: so many as are done in time, going by the requests before."""
        slots = 1 if self.one_slot else SLOTS
        return max(slots, min(_BATCH_MAX, int(slots * _BATCH_MS / max(self.request_ms, 1.0))))

    def learn(self, attempt: DeliveryAttempt) -> None:
        self.request_ms += (attempt.duration_ms - self.request_ms) / 8
        self.one_slot = has_one_slot(attempt, before=self.one_slot)


class DeliveryService:
    """Delivers the events of due groups. One process has one."""

    def __init__(
        self,
        *,
        store: OutboxStore,
        sender: WebhookSender,
        keys: KeyRing,
        encode: Encode,
        clock: Clock,
        ids: Ids,
        draw: Callable[[], float],
    ) -> None:
        self._store = store
        self._sender = sender
        self._keys = keys
        self._encode = encode
        self._clock = clock
        self._ids = ids
        self._draw = draw
        self._slots = asyncio.Semaphore(SLOTS_OF_PROCESS)
        self._pumps: dict[str, _Pump] = {}
        self._endpoints: dict[str, Endpoint] = {}
        self._delivered = 0
        self._attempts: Mapping[AttemptResult, Cell] = {result: Cell() for result in AttemptResult}
        self._latency = Distribution(())

    def count_in(self, attempts: Mapping[AttemptResult, Cell], latency: Distribution) -> None:
        """From now on, count the attempts by result in these cells, and the seconds from each event to its delivery.

        The latency is that of first deliveries and replays; an event that an admin sends once more isn't in it.
        """
        self._attempts, self._latency = attempts, latency

    async def pass_on(self) -> int:
        """Start the pumps of all endpoints that don't run. Returns how many events were delivered since the last call.

        It doesn't wait for the pumps, which run until no group is due.
        """
        self._endpoints = {each.id: each for each in await self._store.endpoints()}
        for endpoint in self._endpoints.values():
            pump = self._pumps.setdefault(endpoint.id, _Pump())
            while endpoint.disabled_at is None and len(pump.tasks) < _BATCHES_AT_ONCE:
                task = asyncio.create_task(self._run(endpoint.id, pump), name=f"deliver to {endpoint.id}")
                pump.tasks.add(task)
                task.add_done_callback(pump.tasks.discard)
        for gone in self._pumps.keys() - self._endpoints.keys():
            await end_all(*self._pumps.pop(gone).tasks)
        delivered, self._delivered = self._delivered, 0
        return delivered

    async def finish(self) -> int:
        """Wait until no group is due. Returns how many events were delivered."""
        await self.pass_on()
        await asyncio.gather(*[task for pump in self._pumps.values() for task in pump.tasks])
        delivered, self._delivered = self._delivered, 0
        return delivered

    async def close(self) -> None:
        """Stop. Requests on their way are dropped, and made again when their leases are over."""
        await end_all(*[task for pump in self._pumps.values() for task in pump.tasks])

    async def _run(self, endpoint_id: str, pump: _Pump) -> None:
        """Deliver batches until no group is due, or the endpoint is disabled or removed."""
        try:
            while await self._deliver_batch(endpoint_id, pump):
                pass
        except (StoreUnavailableError, StoreOutcomeUnknownError) as error:
            _log.warning("deliveries put off", endpoint=endpoint_id, error=str(error))
        except Exception:  # noqa: BLE001 - a defect of one endpoint's deliveries must not end the others
            _log.exception("deliveries failed", endpoint=endpoint_id)

    async def _deliver_batch(self, endpoint_id: str, pump: _Pump) -> bool:
        """Claim due groups and give each its turn. Returns whether there may be more."""
        most, lease, now = pump.batch_size(), self._ids.new(), self._clock.now_ms()
        deliveries = await self._store.claim(endpoint_id, now, most, lease, now + LEASE_MS)
        if not deliveries:
            return False
        endpoint = await self._store.endpoint(endpoint_id)
        if endpoint is None:
            return False
        self._endpoints[endpoint_id] = endpoint
        events = await self._store.subject_events(_wanted_by(deliveries))
        of_subject: dict[str, list[Event]] = {}
        for event in wanted(endpoint, events):
            of_subject.setdefault(event.subject_id, []).append(event)
        turns = await all_ended(
            [self._turn_apart(pump, each, of_subject.get(each.subject_id, []), now + LEASE_MS) for each in deliveries]
        )
        await self._store.log_attempts([attempt for turn in turns for attempt in turn.attempts])
        await self._store.end_turns([turn.end for turn in turns], lease, self._clock.now_ms())
        await self._note(endpoint_id, turns)
        return len(deliveries) == most

    async def _turn_apart(
        self, pump: _Pump, delivery: Delivery, events: Sequence[Event], leased_until: int
    ) -> _GroupTurn:
        """The group's turn. A defect that one event brings to light holds up its own group only."""
        try:
            return await self._turn(pump, delivery, events, leased_until)
        except Exception:  # noqa: BLE001 - see above
            _log.exception("delivery failed", endpoint=delivery.endpoint_id, key=delivery.key)
            later = self._clock.now_ms() + _AFTER_DEFECT_MS
            return _GroupTurn(DeliveryEnd(delivery, delivery.done, delivery.previous, delivery.tries, later), [])

    async def _turn(self, pump: _Pump, delivery: Delivery, events: Sequence[Event], leased_until: int) -> _GroupTurn:
        """Send the group's events, until one fails."""
        due = [event for event in events if delivery.done < event.n <= delivery.upto]
        done, previous, tries = delivery.done, delivery.previous, delivery.tries
        attempts: list[LoggedAttempt] = []
        for event in due:
            async with self._slots, pump.slots:
                if pump.one_slot:
                    async with pump.only:
                        attempt = await self._send(delivery.endpoint_id, event, previous, leased_until)
                else:
                    attempt = await self._send(delivery.endpoint_id, event, previous, leased_until)
            if isinstance(attempt, int):
                return _GroupTurn(DeliveryEnd(delivery, done, previous, tries, attempt), attempts)
            pump.learn(attempt)
            tries += 1
            now = self._clock.now_ms()
            consequence = judge(attempt, tries, now, self._draw)
            attempts.append(self._logged(delivery, event, tries, attempt, consequence))
            self._attempts[attempts[-1].result].count += 1
            match consequence:
                case Delivered():
                    self._delivered += 1
                    if delivery.key == delivery.subject_id:
                        self._latency.observe((now - event.at) / 1000)
                    done, previous, tries = event.n, event.n, 0
                case GivenUp():
                    _log.warning("event given up", endpoint=delivery.endpoint_id, event_id=event.id, tries=tries)
                    # Written before the next event is sent: otherwise a crash would bring this one after that one.
                    return _GroupTurn(DeliveryEnd(delivery, event.n, event.n, 0, None), attempts)
                case Retry(at_ms):
                    return _GroupTurn(DeliveryEnd(delivery, done, previous, tries, at_ms), attempts)
                case EndpointGone():
                    return _GroupTurn(DeliveryEnd(delivery, done, previous, tries, now), attempts, gone=True)
                case _:
                    assert_never(consequence)
        return _GroupTurn(DeliveryEnd(delivery, delivery.upto, previous, 0, None), attempts)

    async def _send(
        self, endpoint_id: str, event: Event, previous: int | None, leased_until: int
    ) -> DeliveryAttempt | int:
        """Send the event once; or when to try, if that isn't possible now (UTC milliseconds)."""
        now = self._clock.now_ms()
        endpoint = self._endpoints.get(endpoint_id)
        if endpoint is None or endpoint.disabled_at is not None or now > leased_until - SEND_MS_MAX:
            return now
        secrets = signing_secrets(self._keys, secrets_of(endpoint), now)
        if isinstance(secrets, MissingKey):
            _log.error("delivery can't be signed", endpoint=endpoint_id, missing_key=secrets.kid)
            return now + _KEY_MISSING_RETRY_MS
        body = self._encode(event, previous)
        return await self._sender.send(endpoint.url, signed_headers(secrets, event.id, body, now), body)

    def _logged(
        self,
        delivery: Delivery,
        event: Event,
        tries: int,
        attempt: DeliveryAttempt,
        consequence: Delivered | Retry | GivenUp | EndpointGone,
    ) -> LoggedAttempt:
        result = AttemptResult.DELIVERED if attempt.delivered else AttemptResult.RETRIED
        return LoggedAttempt(
            id=self._ids.new(),
            endpoint_id=delivery.endpoint_id,
            event_id=event.id,
            number=tries,
            at=self._clock.now_ms(),
            status=attempt.status,
            duration_ms=attempt.duration_ms,
            error=None if attempt.error is None else attempt.error.value,
            result=AttemptResult.FAILED if isinstance(consequence, GivenUp) else result,
        )

    async def _note(self, endpoint_id: str, turns: Sequence[_GroupTurn]) -> None:
        """Keep the endpoint's failures in the database, and disable it if it is gone or has failed for too long."""
        attempts = [attempt for turn in turns for attempt in turn.attempts]
        endpoint = self._endpoints.get(endpoint_id)
        if not attempts or endpoint is None:
            return
        if any(turn.gone for turn in turns):
            await self._disable(endpoint_id, DisabledWhy.GONE)
            return
        if any(attempt.result is AttemptResult.DELIVERED for attempt in attempts):
            if endpoint.failing_since is not None:
                await self._store.note_success(endpoint_id)
            return
        await self._store.note_failures(endpoint_id, attempts[0].at, len(attempts))
        endpoint = await self._store.endpoint(endpoint_id)
        if endpoint is None or endpoint.failing_since is None:
            return
        if has_failed_too_long(endpoint.failing_since, endpoint.failures, self._clock.now_ms()):
            await self._disable(endpoint_id, DisabledWhy.FAILING)

    async def _disable(self, endpoint_id: str, why: DisabledWhy) -> None:
        """Disable the endpoint, once."""
        for _ in range(_DISABLE_TRIES_MAX):
            endpoint = await self._store.endpoint(endpoint_id)
            if endpoint is None or endpoint.disabled_at is not None:
                return
            now = self._clock.now_ms()
            change = changed(endpoint, replace(endpoint, disabled_at=now, disabled_why=why), now, BY_SYSTEM)
            if await self._store.change_endpoint(endpoint, change, BY_SYSTEM):
                self._endpoints[endpoint_id] = change.after
                _log.error("endpoint disabled", endpoint=endpoint_id, why=why.value)
                return


def _wanted_by(deliveries: Sequence[Delivery]) -> list[tuple[str, int, int]]:
    """The numbers of the events to read. A subject may have two groups: its own, and an event that is sent again."""
    ranges: dict[str, tuple[int, int]] = {}
    for each in deliveries:
        above, upto = ranges.get(each.subject_id, (each.done, each.upto))
        ranges[each.subject_id] = min(above, each.done), max(upto, each.upto)
    return [(subject_id, above, upto) for subject_id, (above, upto) in ranges.items()]


def secrets_of(endpoint: Endpoint) -> EndpointSecrets:
    """The endpoint's secrets, as signatures need them."""
    old = None
    if endpoint.old_kid is not None and endpoint.old_generation is not None:
        old = SecretVersion(endpoint.old_kid, endpoint.old_generation)
    current = SecretVersion(endpoint.kid, endpoint.generation)
    return EndpointSecrets(endpoint.id, current, old, endpoint.old_until or 0)
