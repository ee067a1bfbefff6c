"""Runs several acts at once, and decides which of them makes its next call: to try out orders of their calls."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from typing import Any, cast


class Interleaving:
    """One order of calls. `choose` gets the number of acts that can go on, and returns the place of one of them."""

    def __init__(self, choose: Callable[[int], int]) -> None:
        self._choose = choose
        self._waiting: dict[asyncio.Task[Any] | None, asyncio.Future[None]] = {}
        self._moved = asyncio.Event()

    def of(self, inner: Any) -> Any:
        """The object, each call of which waits for its turn."""
        return _Gated(inner, self._pass)

    async def _pass(self) -> None:
        turn = self._waiting[asyncio.current_task()] = asyncio.get_running_loop().create_future()
        self._moved.set()
        await turn

    async def run(self, acts: Sequence[Coroutine[Any, Any, Any]]) -> list[Any]:
        """Run the acts to their ends. Returns their results."""
        tasks = [asyncio.create_task(act) for act in acts]
        for task in tasks:
            task.add_done_callback(lambda _: self._moved.set())
        while left := [task for task in tasks if not task.done()]:
            if len(self._waiting) < len(left):
                self._moved.clear()
                await self._moved.wait()
                continue
            ready = [task for task in left if task in self._waiting]
            self._waiting.pop(ready[self._choose(len(ready))]).set_result(None)
        return [task.result() for task in tasks]


class _Gated:
    def __init__(self, inner: Any, gate: Callable[[], Awaitable[None]]) -> None:
        self._inner = inner
        self._gate = gate

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._inner, name)

        async def gated(*args: Any, **named: Any) -> Any:
            await self._gate()
            return await call(*args, **named)

        return gated if asyncio.iscoroutinefunction(call) else call


def every_interleaving() -> Iterator[Interleaving]:
    """All orders, one after the other. Each is to be run before the next is asked for."""
    open_choices: list[list[int]] = [[]]
    while open_choices:
        chosen = open_choices.pop()
        options: list[int] = []

        def choose(count: int, chosen: list[int] = chosen, options: list[int] = options) -> int:
            options.append(count)
            return chosen[len(options) - 1] if len(options) <= len(chosen) else 0

        yield Interleaving(choose)
        for place in range(len(chosen), len(options)):
            before = [*chosen, *[0] * (place - len(chosen))]
            open_choices.extend([*before, other] for other in range(1, options[place]))


NOTHING = cast("Any", None)
"""Stands for a part that the acts don't use."""
