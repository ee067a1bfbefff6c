"""Endpoints and deliveries in memory."""

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace
from typing_extensions import override

from flashreserve.core.endpoints import (
    Delivery,
    DeliveryBacklog,
    DeliveryEnd,
    Endpoint,
    EndpointChange,
    GroupRaise,
    LoggedAttempt,
    added,
    enables,
    with_progress,
)
from flashreserve.stores.memory_events import MemoryEvents
from flashreserve.stores.outbox import DeliveryStore


class _DueGroup(msgspec.Struct):
    """A group, and when it is due; None while it is idle."""

    delivery: Delivery
    at: int
    next_at: int | None
    lease: str | None = None
    leased_until: int = 0


class MemoryDeliveries(DeliveryStore, MemoryEvents):
    """The endpoints and deliveries of `MemoryStore`."""

    def __init__(self) -> None:
        MemoryEvents.__init__(self)
        self._endpoints: dict[str, Endpoint] = {}
        self._groups: dict[tuple[str, str], _DueGroup] = {}
        self._attempts: list[LoggedAttempt] = []

    @override
    async def add_endpoint(self, endpoint: Endpoint, most: int) -> bool:
        if len(await self.endpoints()) >= most:
            return False
        self._endpoints[endpoint.id] = endpoint
        self._record([added(endpoint)])
        return True

    @override
    async def endpoints(self) -> list[Endpoint]:
        return [self._endpoints[id_] for id_ in sorted(self._endpoints) if self._endpoints[id_].removed_at is None]

    @override
    async def endpoint(self, endpoint_id: str) -> Endpoint | None:
        return next((each for each in await self.endpoints() if each.id == endpoint_id), None)

    @override
    async def change_endpoint(self, before: Endpoint, change: EndpointChange, by: str) -> bool:
        now = await self.endpoint(before.id)
        if now is None or now.trail_n != before.trail_n:
            return False
        self._endpoints[before.id] = change.after if enables(before, change.after) else with_progress(change.after, now)
        self._record(change.events)
        return True

    @override
    async def note_failures(self, endpoint_id: str, at: int, count: int) -> None:
        endpoint = self._endpoints[endpoint_id]
        since = at if endpoint.failing_since is None else endpoint.failing_since
        self._endpoints[endpoint_id] = replace(endpoint, failing_since=since, failures=endpoint.failures + count)

    @override
    async def note_success(self, endpoint_id: str) -> None:
        self._endpoints[endpoint_id] = replace(self._endpoints[endpoint_id], failing_since=None, failures=0)

    @override
    async def raise_groups(self, endpoint: Endpoint, raises: Sequence[GroupRaise], seen: int, now: int) -> bool:
        now_known = self._endpoints[endpoint.id]
        if (now_known.seen, now_known.trail_n) != (endpoint.seen, endpoint.trail_n):
            return False
        for each in raises:
            self._raise(endpoint.id, each, now)
        self._endpoints[endpoint.id] = replace(self._endpoints[endpoint.id], seen=seen)
        return True

    def _raise(self, endpoint_id: str, each: GroupRaise, now: int) -> None:
        group = self._groups.get((endpoint_id, each.subject_id))
        if group is None:
            subject_id = each.subject_id
            fresh = Delivery(endpoint_id, subject_id, subject_id, each.first - 1, each.previous, each.last, 0)
            self._groups[endpoint_id, subject_id] = _DueGroup(fresh, now, now)
            return
        delivery = replace(group.delivery, upto=max(group.delivery.upto, each.last))
        if each.again and (each.first <= delivery.done or group.lease is not None):
            if each.first <= delivery.done:
                delivery = replace(delivery, done=each.first - 1, previous=each.previous)
            delivery = replace(delivery, tries=0)
            group.next_at, group.lease, group.leased_until = now, None, 0
        if group.next_at is None and delivery.upto > delivery.done:
            delivery, group.next_at = replace(delivery, done=max(delivery.done, each.first - 1)), now
        group.delivery, group.at = delivery, now

    @override
    async def skip_groups(self, endpoint_id: str, now: int) -> None:
        for group in self._groups.values():
            if group.delivery.endpoint_id == endpoint_id and group.next_at is not None and group.at <= now:
                group.delivery = replace(group.delivery, done=group.delivery.upto, tries=0)
                group.next_at, group.lease, group.leased_until = None, None, 0

    @override
    async def resend(self, delivery: Delivery, now: int) -> None:
        self._groups[delivery.endpoint_id, delivery.key] = _DueGroup(delivery, now, now)

    @override
    async def claim(self, endpoint_id: str, now: int, most: int, lease: str, until: int) -> list[Delivery]:
        due = [
            (group.next_at, key)
            for (of, key), group in self._groups.items()
            if of == endpoint_id and group.next_at is not None and group.next_at <= now and group.leased_until <= now
        ]
        claimed = []
        for _, key in sorted(due)[:most]:
            group = self._groups[endpoint_id, key]
            group.lease, group.leased_until = lease, until
            claimed.append(group.delivery)
        return claimed

    @override
    async def end_turns(self, ends: Sequence[DeliveryEnd], lease: str, now: int) -> None:
        for end in ends:
            group = self._groups.get((end.delivery.endpoint_id, end.delivery.key))
            if group is None or group.lease != lease:
                continue
            group.delivery = replace(group.delivery, done=end.done, previous=end.previous, tries=end.tries)
            left = group.delivery.upto > end.done
            group.next_at = end.next_at if end.next_at is not None else now if left else None
            group.lease, group.leased_until, group.at = None, 0, now

    @override
    async def log_attempts(self, attempts: Sequence[LoggedAttempt]) -> None:
        self._attempts += attempts

    @override
    async def attempts(self, endpoint_id: str, beyond: str | None, most: int) -> list[LoggedAttempt]:
        found = [each for each in self._attempts if each.endpoint_id == endpoint_id]
        found = [each for each in found if beyond is None or each.id < beyond]
        return sorted(found, key=_by_id, reverse=True)[:most]

    @override
    async def backlog(self, endpoint_id: str) -> DeliveryBacklog:
        due = [
            group.next_at for (of, _), group in self._groups.items() if of == endpoint_id and group.next_at is not None
        ]
        return DeliveryBacklog(len(due), min(due, default=None))

    @override
    async def forget_deliveries(self, before: int, most: int) -> int:
        old = [each for each in sorted(self._attempts, key=_by_id) if each.at < before][:most]
        self._attempts = [each for each in self._attempts if each not in old]
        idle = [place for place, group in self._groups.items() if group.next_at is None and group.at < before][:most]
        removed = {endpoint.id for endpoint in self._endpoints.values() if endpoint.removed_at is not None}
        orphans = [place for place in self._groups if place[0] in removed][:most]
        for place in {*idle, *orphans}:
            del self._groups[place]
        return len(old) + len({*idle, *orphans})


def _by_id(attempt: LoggedAttempt) -> str:
    return attempt.id
