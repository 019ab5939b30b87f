"""The limit: Granian on uvloop, as `serve` runs it, and an application that reads a request and answers a constant.

python bare_server.py PORT

The folder `answers` holds what each path answers, one file each.
"""

import asyncio
import gc
import logging
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

ANSWERS = {f"/{file.name}": file.read_bytes() for file in Path("answers").iterdir()}
STARTS = {
    path: {
        "type": "http.response.start",
        "status": 200,
        "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())],
    }
    for path, body in ANSWERS.items()
}


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Read the whole body, and answer."""
    parts = []
    while True:
        message = await receive()
        parts.append(message["body"])
        if not message["more_body"]:
            break
    b"".join(parts)
    await send(STARTS[scope["path"]])
    await send({"type": "http.response.body", "body": ANSWERS[scope["path"]]})


async def main() -> None:
    """Serve until the process is ended."""
    logging.getLogger("_granian").setLevel(logging.CRITICAL)
    server = Server(
        app,
        address="127.0.0.1",
        port=int(sys.argv[1]),
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        websockets=False,
        log_enabled=False,
    )
    await server.serve()


gc.freeze()
with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(main())
