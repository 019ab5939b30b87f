"""The limit: uvicorn on uvloop and httptools, and an application that reads a request and answers a constant.

python bare_server.py PORT

The folder `answers` holds what each path answers, one file each.
"""

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvicorn

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


uvicorn.run(
    app,
    host="127.0.0.1",
    port=int(sys.argv[1]),
    loop="uvloop",
    http="httptools",
    lifespan="off",
    log_level="warning",
    access_log=False,
    server_header=False,
    date_header=False,
)
