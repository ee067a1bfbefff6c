"""The check of `flashreserve doctor` on webhook endpoints: whether they can be delivered to, and are."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from flashreserve.bootstrap import key_ring, open_store_to_read
from flashreserve.cli.checks import CheckResult, Finding
from flashreserve.cli.interrupts import interrupts
from flashreserve.core.endpoints import DeliveryBacklog, DisabledWhy, Endpoint, terms_of
from flashreserve.core.instants import format_instant
from flashreserve.core.words import counted
from flashreserve.settings import Settings, SettingsError
from flashreserve.stores.port import StoreUnavailableError

BACKLOG_OLD_MS: Final = 5 * 60_000
"""Milliseconds from which due deliveries count as stuck: they are made within a second."""

_WHAT: Final = "webhooks"
_Found = Sequence[tuple[Endpoint, DeliveryBacklog]]


def endpoints(settings: Settings, now_ms: int) -> Iterable[Finding]:
    """The endpoints that are disabled, fail, wait, or can't be signed for. No finding if there are no endpoints."""
    found, now_ms = interrupts.run(_read(settings, now_ms))
    findings = list(findings_of(found, _kids(settings), now_ms))
    if found and not findings:
        yield Finding(CheckResult.OK, _WHAT, f"{counted(len(found), 'endpoint')}, no trouble with deliveries")
    yield from findings


async def _read(settings: Settings, now_ms: int) -> tuple[_Found, int]:
    """The endpoints with their backlogs, and the time by which these are due. A missing database has none."""
    try:
        store = await open_store_to_read(settings)
    except (StoreUnavailableError, OSError):  # The check of the database says why.
        return [], now_ms
    try:
        found = [(each, await store.backlog(each.id)) for each in await store.endpoints()]
        return found, await store.database_now_ms() or now_ms
    except StoreUnavailableError:
        return [], now_ms
    finally:
        await store.close()


def _kids(settings: Settings) -> Sequence[str]:
    """The ids of the keys; none if they are missing or invalid, which their own check reports."""
    try:
        return key_ring(settings, create=False).kids
    except SettingsError:
        return ()


def findings_of(found: _Found, kids: Sequence[str], now_ms: int) -> Iterator[Finding]:
    """Everything that keeps events from these endpoints."""
    for endpoint, backlog in found:
        name = f"{terms_of(endpoint).origin} ({endpoint.id})"
        yield from _without_key(endpoint, name, kids, now_ms)
        if endpoint.disabled_at is not None:
            yield _disabled(endpoint, name, endpoint.disabled_at)
            continue
        if endpoint.failing_since is not None:
            since = format_instant(endpoint.failing_since)
            seen = f"{name} only fails since {since}, {counted(endpoint.failures, 'time')}"
            yield _warn(seen, f"`flashreserve webhooks test {endpoint.id}` says why")
        if backlog.oldest_due is not None and now_ms - backlog.oldest_due > BACKLOG_OLD_MS:
            seen = f"events for {name} wait since {format_instant(backlog.oldest_due)}"
            yield _warn(seen, "start `flashreserve worker`; if one runs, its log says why it doesn't deliver")


def _without_key(endpoint: Endpoint, name: str, kids: Sequence[str], now_ms: int) -> Iterator[Finding]:
    """A key that signs for the endpoint and isn't among `kids`."""
    if endpoint.kid not in kids:
        seen = f"the key {endpoint.kid} is gone, which signs for {name}; nothing is delivered to it"
        advice = f"put the key back, or run `flashreserve webhooks rotate {endpoint.id}` for a new secret"
        yield Finding(CheckResult.FAIL, _WHAT, seen, advice)
    elif endpoint.old_kid is not None and endpoint.old_kid not in kids and now_ms < (endpoint.old_until or 0):
        seen = f"the key {endpoint.old_kid} is gone, by which the old secret of {name} still has to sign"
        advice = f"put the key back until {format_instant(endpoint.old_until or 0)}"
        yield Finding(CheckResult.FAIL, _WHAT, seen, advice)


def _disabled(endpoint: Endpoint, name: str, since: int) -> Finding:
    seen = f"{name} is disabled since {format_instant(since)}"
    if endpoint.disabled_why is DisabledWhy.GONE:
        seen += ", because it answered 410"
    elif endpoint.disabled_why is DisabledWhy.FAILING:
        seen += ", because it only failed for five days"
    else:
        seen += ", by an admin"
    start = format_instant(endpoint.failing_since or since)
    enable = f"flashreserve webhooks enable {endpoint.id} --replay-from {start}"
    return _warn(seen, f"mend its receiver, then run `{enable}`; or remove it")


def _warn(seen: str, advice: str) -> Finding:
    return Finding(CheckResult.WARN, _WHAT, seen, advice)
