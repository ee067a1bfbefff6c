"""The in-process loop: repeats a pass until the process ends, even if some passes fail."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog

from flashreserve.stores.port import StoreOutcomeUnknownError, StoreUnavailableError

_log = structlog.get_logger(__name__)


async def repeat(
    name: str,
    run_once: Callable[[], Awaitable[int]],
    *,
    every_s: float,
    jitter: Callable[[], float],
    often: bool = False,
) -> None:
    """Call `run_once` until cancelled, with `every_s` seconds between passes, less up to a tenth by `jitter` (0 to 1).

    The jitter lets several processes on one database drift apart instead of waiting for each other. A pass that fails
    is logged under `name`, and the next one tries again. So is one that did something, but not if that happens `often`.
    """
    while True:
        try:
            done = await run_once()
        except (StoreUnavailableError, StoreOutcomeUnknownError) as error:
            _log.warning("job put off", job=name, error=str(error))
        except Exception:  # noqa: BLE001 - a bug in one pass must not end all later ones
            _log.exception("job failed", job=name)
        else:
            if done and not often:
                _log.info("job done", job=name, count=done)
        await asyncio.sleep(every_s * (1 - jitter() / 10))


async def run_shielded(cleanup: Coroutine[Any, Any, None]) -> None:
    """Run a clean-up to its end, and only then raise a cancellation that came meanwhile; `end_all` sends several.

    The clean-up needs a time limit of its own.
    """
    task = asyncio.ensure_future(cleanup)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    task.result()
    if cancelled is not None:
        raise cancelled
