"""One of several server processes for test_workers.py. Answers with its place and process id."""

import asyncio
import os
import socket
import sys
import time

import uvloop

from flashreserve.http.origins import Origins
from flashreserve.http.places import NO_PREFIX
from flashreserve.http.refusals import server_refusals
from flashreserve.http.request_ids import RequestIds
from flashreserve.server.application import Application
from flashreserve.server.asgi import Receive, Scope, Send
from flashreserve.server.limits import HttpLimits
from flashreserve.server.process import Hooks, serve
from flashreserve.server.signals import stop_on_signals, stop_with_parent


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["path"] == "/slow":
        await asyncio.sleep(0.3)
    elif scope["path"] == "/body":
        await receive()
    body = f"{sys.argv[1]} {os.getpid()}".encode()
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": body})


async def main() -> None:
    _, number, listener_fd, lifeline_fd = sys.argv
    stop = asyncio.Event()
    stop_with_parent(stop, int(lifeline_fd))
    with stop_on_signals(stop) as hurry:
        await serve(
            Application(app, server_refusals(RequestIds(f"child-{number}"), lambda _: None, NO_PREFIX, Origins())),
            listener=socket.socket(fileno=int(listener_fd)),
            limits=HttpLimits(),
            address_of=lambda peer: peer,
            wall_clock_s=time.time,
            hooks=Hooks(ready=lambda: None, draining=lambda: None),
            stop=stop,
            hurry=hurry,
            idle_grace_s=0.0,
        )


if __name__ == "__main__":
    uvloop.run(main())
