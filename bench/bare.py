"""The reference: a bare ASGI callable that answers from memory, on the same server program and event loop.

The arguments are the port and the number of processes.
"""

import json
import sys
from pathlib import Path
from typing import Any

import uvicorn

_BODY = json.dumps({"id": "0199c0de-0000-7000-8002-000000000001", "status": "PENDING", "pad": "x" * 250}).encode()
_START = {
    "type": "http.response.start",
    "status": 201,
    "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(_BODY)).encode())],
}
_REST = {"type": "http.response.body", "body": _BODY}


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Read the body and answer 201."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    await send(_START)
    await send(_REST)


if __name__ == "__main__":
    uvicorn.run(
        "bare:app",
        app_dir=str(Path(__file__).parent),
        port=int(sys.argv[1]),
        workers=int(sys.argv[2]),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
    )
