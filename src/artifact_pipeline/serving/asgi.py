"""The ASGI application: it reads a request within bounds, waits for its response, and sends that in time."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from artifact_pipeline.serving import coding
from artifact_pipeline.serving.http import RETRY_SOON, Exchange, Refusal, Request
from artifact_pipeline.serving.limits import BODIES, MAX_HEAD, MEAN, PIECE, PIECES, QUIET, SMALL, STALLED
from artifact_pipeline.serving.request_queue import BUSY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from artifact_pipeline.serving.app import App
    from artifact_pipeline.serving.connections import Connections
    from artifact_pipeline.serving.http import Response
    from artifact_pipeline.serving.request_queue import RequestQueue

    Receive = Callable[[], Awaitable[dict[str, Any]]]
    Headers = Sequence[tuple[bytes, bytes]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]

_CLOSE = (b"connection", b"close")
_CUT_OFF = Refusal(400, "the request ends before it is whole, or its chunks or trailers are wrong or too large")
_TOO_MANY_CHUNKS = Refusal(413, "the body comes in too many small pieces; send larger chunks")
_ENDING = Refusal(503, "the server ends before the request has come whole; try again", RETRY_SOON).response()
_NO_ROOM = Refusal(503, "too much is being sent to this server at once; try again", RETRY_SOON)
_SINGLE = frozenset({b"host", b"origin", b"sec-fetch-site", b"inference-header-content-length"})
"""Headers that decide something and are no lists: where one stands twice, programs differ in which one they take."""


class Asgi:
    """The application that the HTTP server calls, once for each request.

    Attributes:
        finished: set after `finish`, once no request is in progress.
    """

    def __init__(
        self,
        app: App,
        queue: RequestQueue,
        connections: Connections | None,
        log: Callable[[dict[str, Any]], None] | None,
    ) -> None:
        """Prepare for the first request; `connections` is None where the library closes idle connections itself."""
        self._app, self._queue, self._connections, self._log = app, queue, connections, log
        self._now = asyncio.get_running_loop().time
        self._in_progress = self._held = 0  # requests, and bytes of their bodies
        self._deadlines: dict[asyncio.Task[Any], float] = {}  # of the body, then of the response that is being sent
        self._small = min(SMALL, app.settings.max_body)
        self._ending = False
        self.finished = asyncio.Event()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Read a request, and send its response."""
        task: Any = asyncio.current_task()
        self._count_in_progress(1)
        if self._connections is not None:
            self._connections.begin(scope["client"][1])
        try:
            exchange = self._begin(scope)
            response = await self._response(exchange, receive, task)
            self._count(scope, exchange, response)
            # After this time the connection is closed, and with it goes what the library holds of the response.
            self._deadlines[task] = self._now() + STALLED * self._app.settings.timeout
            await self._respond(exchange, response, receive, send)
        finally:
            self._deadlines.pop(task, None)
            self._count_in_progress(-1)
            if self._connections is not None:
                self._connections.end(scope["client"][1])

    async def _response(self, exchange: Exchange, receive: Receive, task: asyncio.Task[Any]) -> Response:
        self._deadlines[task] = exchange.started + self._app.settings.timeout
        try:
            if exchange.refused is None and exchange.request.has_body:
                message = await receive()
                if (
                    message["type"] == "http.request"
                    and not message["more_body"]
                    and len(message["body"]) <= self._small
                ):
                    exchange.body = message["body"]  # it has come whole, as nearly all do
                    exchange.end()
                else:
                    await self._read(exchange, message, receive)
            self._deadlines[task] = math.inf
            return exchange.refused or await self._queue.answer(exchange)
        except Refusal as refusal:
            exchange.body = b""
            exchange.unread, exchange.last = refusal is not _CUT_OFF, refusal is _CUT_OFF
            return refusal.response()
        except asyncio.CancelledError:
            exchange.last = True
            if self._deadlines[task] > self._now():  # `cut_off`: the process ends
                return _ENDING
            return Refusal(408, f"the request did not come whole within {self._app.settings.timeout:g} s").response()
        finally:
            self._held -= exchange.held

    def cut_off_late(self) -> None:
        """Refuse the requests whose body is late, and close the connections whose client has not read the response."""
        now = self._now()
        for task, deadline in self._deadlines.items():
            if deadline <= now:
                task.cancel()

    def finish(self) -> None:
        """Set `finished` as soon as no request is in progress."""
        self._ending = True
        self._count_in_progress(0)

    def cut_off(self) -> None:
        """Refuse the requests that have no response yet."""
        for task in self._deadlines:
            self._deadlines[task] = math.inf
            task.cancel()

    def _count_in_progress(self, more: int) -> None:
        self._in_progress += more
        self._app.metrics.in_progress = self._in_progress
        if self._ending and not self._in_progress:
            self.finished.set()

    def _begin(self, scope: dict[str, Any]) -> Exchange:
        """Route or refuse a request by its head."""
        request = Request(scope["method"], _path(scope["raw_path"]), {})
        exchange = Exchange(self._app.served, request, self._now())
        try:
            request.headers = _headers(scope["raw_path"], scope["headers"])
        except Refusal as refusal:  # programs could differ in what they read after such a head
            exchange.refused, exchange.last = refusal.response(), True
            return exchange
        try:
            exchange.route = self._app.route(request)
        except Refusal as refusal:
            exchange.refused, exchange.unread = refusal.response(), request.has_body
        else:
            if self._in_progress > self._app.settings.connections and not exchange.route.always:
                exchange.refused, exchange.unread = BUSY, request.has_body
        return exchange

    # The body

    async def _read(self, exchange: Exchange, message: dict[str, Any], receive: Receive) -> None:
        """Read the body.

        Raises:
            Refusal: it does not come whole, or is beyond one of the bounds.
        """
        pieces = 0
        while True:
            pieces += 1
            if message["type"] == "http.disconnect":
                raise _CUT_OFF
            more = message.get("more_body", False)
            size = exchange.take(message.get("body", b""))
            if size > self._app.settings.max_body:
                raise self._app.too_large()
            if pieces > PIECES + size // MEAN:
                raise _TOO_MANY_CHUNKS
            if size > SMALL and not self._reserve(exchange, size):
                raise _NO_ROOM
            if not more:
                exchange.end()
                return
            message = await receive()

    def _reserve(self, exchange: Exchange, size: int) -> bool:
        """Count what has come of a body by now; False where all bodies together are too large."""
        more = size - exchange.held
        if self._held + more > BODIES * self._app.settings.max_body:
            return False
        self._held += more
        exchange.held = size
        return True

    # The response

    async def _respond(self, exchange: Exchange, response: Response, receive: Receive, send: Send) -> None:
        """Send the response, in pieces: the library holds one of them until the client reads it."""
        exchange.last = exchange.last or not self._app.ready
        headers, body = _packed(response, exchange.request)
        # A client that may not ask learns nothing of the model.
        if response.status not in {403, 431}:
            headers.append(exchange.served.header)
        if exchange.last:
            headers.append(_CLOSE)
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        if len(body) <= PIECE and not exchange.unread:
            await send({"type": "http.response.body", "body": body})
            return
        if exchange.unread:  # the library closes the connection after the last byte
            await send({"type": "http.response.body", "body": body[:-1], "more_body": True})
            await self._drain_body(receive)
            body = body[-1:]
        for first in range(0, len(body), PIECE):
            last = first + PIECE >= len(body)
            await send({"type": "http.response.body", "body": body[first : first + PIECE], "more_body": not last})

    async def _drain_body(self, receive: Receive) -> None:
        """Read and drop the rest of a body: a client that is still sending would lose the response at a close."""
        with suppress(TimeoutError):
            more = True
            while more:
                async with asyncio.timeout(QUIET):
                    more = (await receive()).get("more_body", False)

    def _count(self, scope: dict[str, Any], exchange: Exchange, response: Response) -> None:
        """Count a response, and log it."""
        seconds = self._now() - exchange.started
        self._app.metrics.request(exchange.route.name, response.status, seconds, response.rows)
        if self._log is not None:
            client = scope.get("client")
            self._log(
                {
                    "client": str(client[0]) if client else "",
                    "method": exchange.request.method,
                    "path": exchange.request.path[:256],
                    "status": response.status,
                    "rows": response.rows,
                    "milliseconds": round(1000 * seconds, 3),
                    "artifact": exchange.served.verified.digest,
                }
            )


def _headers(path: bytes, lines: Headers) -> dict[bytes, bytes]:
    """The headers of a request by their names in lower case; a header in several lines becomes one list.

    Raises:
        Refusal: the head is too large, a header that is no list stands twice, or the transfer coding is not supported.
    """
    if len(path) + sum(len(name) + len(value) for name, value in lines) > MAX_HEAD:
        raise Refusal(431, f"the request's line and headers are larger than {MAX_HEAD:,} bytes")
    headers = dict(lines)
    if len(headers) < len(lines):
        headers = _combined(lines)
    framing = headers.get(b"transfer-encoding")
    if framing is not None and framing.strip().lower() != b"chunked":
        raise Refusal(501, f"the transfer coding must be chunked, got {framing[:80].decode('ascii', 'replace')!a}")
    return headers


def _combined(lines: Headers) -> dict[bytes, bytes]:
    headers: dict[bytes, bytes] = {}
    for name, value in lines:
        before = headers.get(name)
        if before is not None and name in _SINGLE:
            raise Refusal(400, f"the header {name.decode().title()} stands twice")
        headers[name] = value if before is None else before + b", " + value
    return headers


def _path(url: bytes) -> str:
    """The path of a request's target, decoded and without the query."""
    path = url.partition(b"?")[0]
    text = path.decode("ascii", "replace")
    return unquote(text) if "%" in text else text


def _packed(response: Response, request: Request) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """The headers and the body of a response, compressed if it is large and the client accepts that."""
    headers, body = [*response.headers], response.body
    if len(body) >= coding.WORTHWHILE:
        body, packing = coding.encode(body, request.headers.get(b"accept-encoding", b""))
        headers += packing
    headers.append((b"content-length", b"%d" % len(body)))
    return headers, body
