"""Forwarding: sends events to a receiver on the developer's own machine, as `flashreserve listen --forward` does.

The requests are those of a delivery: same headers, body and signature. Unlike deliveries they are made by one process,
one after the other, and nothing of them is stored. A failed one is repeated for some seconds, which is enough for a
program that is being restarted.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, NamedTuple

from flashreserve.clock import Clock
from flashreserve.core.events import Event
from flashreserve.service.deliveries import Encode, WebhookSender
from flashreserve.webhooks.attempts import DeliveryAttempt
from flashreserve.webhooks.signatures import signed_headers

WAITS_S: Final = (1.0, 2.0, 4.0)
"""The time before the second try of an event, before the third, and so on."""

TRIES_MAX: Final = 1 + len(WAITS_S)

SUBJECTS_MAX: Final = 50_000
"""Subjects whose last number is remembered. Beyond that, the one that was sent nothing for the longest is forgotten."""


class ForwardAttempt(NamedTuple):
    """The result of one request, number `tries` for its event.

    `again_s` is the wait before the next try; None if there is none.
    """

    event: Event
    attempt: DeliveryAttempt
    tries: int
    again_s: float | None


class Forwarder:
    """Forwards events to one URL, in the order in which they are added."""

    def __init__(
        self,
        *,
        sender: WebhookSender,
        url: str,
        secret: str,
        encode: Encode,
        clock: Clock,
        tell: Callable[[ForwardAttempt], None],
    ) -> None:
        """`tell` is called with the result of each request. The receiver needs the `secret` to verify them."""
        self._sender = sender
        self._url = url
        self.secret = secret
        self._encode = encode
        self._clock = clock
        self._tell = tell
        self._queue: deque[Event] = deque()
        self._added = asyncio.Event()
        self._previous: dict[str, int] = {}

    @property
    def waiting(self) -> int:
        """How many events aren't forwarded yet, the one that is being sent included. The caller bounds it."""
        return len(self._queue)

    def add(self, event: Event) -> None:
        """Forward this event after all earlier ones."""
        self._queue.append(event)
        self._added.set()

    async def run(self) -> None:
        """Forward until cancelled."""
        while True:
            while self._queue:
                await self._forward(self._queue[0])
                self._queue.popleft()
            self._added.clear()
            await self._added.wait()

    async def _forward(self, event: Event) -> None:
        """Send the event until the receiver has it, or no try is left."""
        body = self._encode(event, self._previous.get(event.subject_id))
        for tries, wait_s in enumerate((*WAITS_S, None), start=1):
            headers = signed_headers((self.secret,), event.id, body, self._clock.now_ms())
            attempt = await self._sender.send(self._url, headers, body)
            over = attempt.delivered or attempt.status == HTTPStatus.GONE
            again_s = None if over else wait_s
            self._tell(ForwardAttempt(event, attempt, tries, again_s))
            if again_s is None:
                break
            await asyncio.sleep(again_s)
        self._remember(event)

    def _remember(self, event: Event) -> None:
        """Note the number that the subject's next event names, also if this one was given up."""
        self._previous.pop(event.subject_id, None)
        self._previous[event.subject_id] = event.n
        if len(self._previous) > SUBJECTS_MAX:
            del self._previous[next(iter(self._previous))]
