"""Start-up and shutdown of the application (ASGI's lifespan), run in a task beside the requests."""

import asyncio
import logging
from typing import Any, Final, Literal

from flashreserve.server.asgi import App, Message

ASGI_VERSION: Final = "3.0"
_SPEC_VERSION: Final = "2.0"

_log: Final = logging.getLogger("flashreserve.server")


class Lifespan:
    """One run of an application. `state` is the application's own; each request gets a copy of it."""

    def __init__(self, app: App) -> None:
        self.state: dict[str, Any] = {}
        self._app = app
        self._asked: asyncio.Queue[Message] = asyncio.Queue()
        self._answers: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> bool:
        """Start the application, and return whether it started. If not, the log says why."""
        self._task = asyncio.create_task(self._run())
        return await self._ask("startup")

    async def end(self) -> None:
        """Shut the application down, unless it has ended already."""
        if self._task is not None and not self._task.done():
            await self._ask("shutdown")

    async def _ask(self, step: Literal["startup", "shutdown"]) -> bool:
        self._asked.put_nowait({"type": f"lifespan.{step}"})
        answer = await self._answers.get()
        done: bool = answer["type"] == f"lifespan.{step}.complete"
        if not done:
            _log.error("the application's %s failed: %s", step, answer.get("message", ""), exc_info=answer.get("error"))
        return done

    async def _run(self) -> None:
        asgi = {"version": ASGI_VERSION, "spec_version": _SPEC_VERSION}
        ended: Message = {"type": "lifespan.ended", "message": "it returned without an answer"}
        try:
            await self._app({"type": "lifespan", "asgi": asgi, "state": self.state}, self._asked.get, self._answers.put)
        except Exception as error:  # noqa: BLE001 any error means that it didn't start or end
            ended = {"type": "lifespan.ended", "message": "it raised an error", "error": error}
        self._answers.put_nowait(ended)
