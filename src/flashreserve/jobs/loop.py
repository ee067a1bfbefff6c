"""The in-process loop: repeats a pass until the process ends, even if some passes fail."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

import structlog

from flashreserve.stores.port import StoreOutcomeUnknownError, StoreUnavailableError

HEARD_AFTER_S: Final = 0.1
"""How long a cancelled task has before it is cancelled again."""

_log = structlog.get_logger(__name__)


async def repeat(
    name: str, run_once: Callable[[], Awaitable[int]], *, every_s: float, jitter: Callable[[], float]
) -> None:
    """Call `run_once` until cancelled, with `every_s` seconds between passes, less up to a tenth by `jitter` (0 to 1).

    The jitter lets several processes on one database drift apart instead of waiting for each other. A pass that fails
    is logged under `name`, and the next one tries again.
    """
    while True:
        try:
            done = await run_once()
        except (StoreUnavailableError, StoreOutcomeUnknownError) as error:
            _log.warning("job put off", job=name, error=str(error))
        except Exception:  # noqa: BLE001 - a bug in one pass must not end all later ones
            _log.exception("job failed", job=name)
        else:
            if done:
                _log.info("job done", job=name, count=done)
        await asyncio.sleep(every_s * (1 - jitter() / 10))


async def end(*tasks: "asyncio.Task[None]") -> None:
    """Cancel the tasks, again and again until all have ended. Their exceptions are dropped.

    Libraries swallow a cancellation at some moments: redis-py 8.1 while it connects, PyMongo 4.20 during a command.
    """
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=HEARD_AFTER_S)
    await asyncio.gather(*tasks, return_exceptions=True)


async def run_shielded(cleanup: Coroutine[Any, Any, None]) -> None:
    """Run a clean-up to its end, and only then raise a cancellation that came meanwhile; `end` sends several.

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
