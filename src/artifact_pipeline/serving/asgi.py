"""The ASGI application: a request is taken in within bounds, waits for its turn, and is answered in time."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from artifact_pipeline.serving import coding
from artifact_pipeline.serving.http import Exchange, Refusal, Request
from artifact_pipeline.serving.limits import BODIES, MAX_HEAD, MEAN, PIECE, PIECES, QUIET, SMALL, STALLED
from artifact_pipeline.serving.line import BUSY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from artifact_pipeline.serving.app import App
    from artifact_pipeline.serving.connections import Connections
    from artifact_pipeline.serving.http import Response
    from artifact_pipeline.serving.line import Line

    Receive = Callable[[], Awaitable[dict[str, Any]]]
    Headers = Sequence[tuple[bytes, bytes]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]

_CLOSE = (b"connection", b"close")
_CUT_OFF = Refusal(400, "the request ends before it is whole, or its chunks or trailers are wrong or too large")
_CRUMBS = Refusal(413, "the body comes in too many small pieces; send larger chunks")
_AGAIN = (b"retry-after", b"1")
_ENDING = Refusal(503, "the server ends before the request has come whole; try again", _AGAIN).response()
_TOO_MUCH = Refusal(503, "too much is being sent to this server at once; try again", _AGAIN)


_ONCE = frozenset({b"host", b"origin", b"sec-fetch-site", b"inference-header-content-length"})
"""Headers that are no lists, and that something is decided by: two of them could be read in two ways."""


class Asgi:
    """What the HTTP server calls, once for each request.

    Attributes:
        gone: set once the end is waited for and no request is under way.
    """

    def __init__(
        self,
        app: App,
        line: Line,
        connections: Connections | None = None,
        log: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        """Begin.

        Args:
            app: what answers.
            line: where requests wait for it.
            connections: notes when a client's request begins and ends; None where the library bounds idle ones itself.
            log: takes a line of the access log; None where none is wanted.
        """
        self._app, self._line, self._connections, self._log = app, line, connections, log
        self._now = asyncio.get_running_loop().time
        self._under_way = self._held = 0  # requests, and bytes of their bodies
        self._deadlines: dict[asyncio.Task[Any], float] = {}  # of what is waited for
        self._small = min(SMALL, app.settings.max_body)
        self._ending = False
        self.gone = asyncio.Event()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Take a request in, and answer it."""
        task: Any = asyncio.current_task()
        self._level(1)
        if self._connections is not None:
            self._connections.begin(scope["client"][1])
        try:
            exchange = self._begin(scope)
            response = await self._response(exchange, receive, task)
            self._count(scope, exchange, response)
            # In time; else the connection ends, and with it what the library holds of the answer.
            self._deadlines[task] = self._now() + STALLED * self._app.settings.timeout
            await self._respond(exchange, response, receive, send)
        finally:
            self._deadlines.pop(task, None)
            self._level(-1)
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
                    await self._take_in(exchange, message, receive)
            self._deadlines[task] = math.inf
            return exchange.refused or await self._line.answer(exchange)
        except asyncio.CancelledError:
            exchange.last = True
            if self._deadlines[task] > self._now():  # the process ends
                return _ENDING
            return Refusal(408, f"the request did not come whole within {self._app.settings.timeout:g} s").response()
        finally:
            self._release(exchange)

    def cut_off_late(self) -> None:
        """Refuse the requests whose time to come is over, and drop those whose answer has not been taken in time."""
        now = self._now()
        for task, deadline in self._deadlines.items():
            if deadline <= now:
                task.cancel()

    def finish(self) -> None:
        """Set `gone` as soon as no request is under way."""
        self._ending = True
        self._level(0)

    def cut_off(self) -> None:
        """Refuse the requests that have no response yet."""
        for task in self._deadlines:
            self._deadlines[task] = math.inf
            task.cancel()

    def _level(self, more: int) -> None:
        self._under_way += more
        self._app.metrics.in_progress = self._under_way
        if self._ending and not self._under_way:
            self.gone.set()

    def _begin(self, scope: dict[str, Any]) -> Exchange:
        """What can be said of a request by its head."""
        request = Request(scope["method"], _path(scope["raw_path"]), {})
        exchange = Exchange(self._app.served, request, None, None, self._now())
        try:
            request.headers = _headers(scope["raw_path"], scope["headers"])
        except Refusal as refusal:  # what follows such a head could be read in two ways
            exchange.refused, exchange.last = refusal.response(), True
            return exchange
        try:
            exchange.route = self._app.route(request)
        except Refusal as refusal:
            exchange.refused, exchange.unread = refusal.response(), request.has_body
        else:
            if self._under_way > self._app.settings.connections and not exchange.route.always:
                exchange.refused, exchange.unread = BUSY, request.has_body
        return exchange

    # The body

    async def _take_in(self, exchange: Exchange, message: dict[str, Any], receive: Receive) -> None:
        """Read the body within its bounds, or refuse it."""
        try:
            await self._read(exchange, message, receive)
        except Refusal as refusal:
            exchange.refused, exchange.body = refusal.response(), b""
            exchange.unread, exchange.last = refusal is not _CUT_OFF, refusal is _CUT_OFF
            self._release(exchange)

    async def _read(self, exchange: Exchange, message: dict[str, Any], receive: Receive) -> None:
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
                raise _CRUMBS
            if size > SMALL and not self._hold(exchange, size):
                raise _TOO_MUCH
            if not more:
                exchange.end()
                return
            message = await receive()

    def _hold(self, exchange: Exchange, size: int) -> bool:
        """Make room for what has come of a body by now; whether there is any."""
        more = size - exchange.held
        if self._held + more > BODIES * self._app.settings.max_body:
            return False
        self._held += more
        exchange.held = size
        return True

    def _release(self, exchange: Exchange) -> None:
        self._held -= exchange.held
        exchange.held = 0

    # The response

    async def _respond(self, exchange: Exchange, response: Response, receive: Receive, send: Send) -> None:
        """Hand the response over, no more at a time than may lie about untaken."""
        exchange.last = exchange.last or not self._app.ready
        headers, body = _packed(response, exchange.request)
        # Nothing of the model for whom it is not meant.
        if response.status not in {403, 431}:
            headers.append(exchange.served.header)
        if exchange.last:
            headers.append(_CLOSE)
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        if len(body) <= PIECE and not exchange.unread:
            await send({"type": "http.response.body", "body": body})
            return
        if exchange.unread:  # once the last byte is there, the library closes
            await send({"type": "http.response.body", "body": body[:-1], "more_body": True})
            await self._hear_out(receive)
            body = body[-1:]
        for first in range(0, len(body), PIECE):
            last = first + PIECE >= len(body)
            await send({"type": "http.response.body", "body": body[first : first + PIECE], "more_body": not last})

    async def _hear_out(self, receive: Receive) -> None:
        """Read what is not wanted: to close while the client is still sending would take the response from it."""
        with suppress(TimeoutError):
            more = True
            while more:
                async with asyncio.timeout(QUIET):
                    more = (await receive()).get("more_body", False)

    def _count(self, scope: dict[str, Any], exchange: Exchange, response: Response) -> None:
        """Count a response, and log it."""
        seconds = self._now() - exchange.started
        route = exchange.route.name if exchange.route is not None else "other"
        self._app.metrics.request(route, response.status, seconds, response.rows)
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
    """The headers of a request by their names; what stands in several lines becomes one list, as HTTP has it.

    Args:
        path: of the request's target.
        lines: each header, its name in lower case.

    Raises:
        Refusal: it is too large, a header could be read in two ways, or the body is framed as no server must know.
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
        if before is not None and name in _ONCE:
            raise Refusal(400, f"the header {name.decode().title()} stands twice")
        headers[name] = value if before is None else before + b", " + value
    return headers


def _path(url: bytes) -> str:
    """The path of a request's target, decoded and without the query."""
    path = url.partition(b"?")[0]
    text = path.decode("ascii", "replace")
    return unquote(text) if "%" in text else text


def _packed(response: Response, request: Request) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """The headers of a response and its body, packed if that is large and the client wants it."""
    headers, body = [*response.headers], response.body
    if len(body) >= coding.WORTHWHILE:
        body, packing = coding.encode(body, request.headers.get(b"accept-encoding", b""))
        headers += packing
    headers.append((b"content-length", b"%d" % len(body)))
    return headers, body
