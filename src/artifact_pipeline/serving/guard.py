"""A connection that watches its client: uvicorn's own bounds neither a request's head nor the time that it may take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from artifact_pipeline.serving.app import TIMED_OUT, App

if TYPE_CHECKING:
    import asyncio
    from asyncio.events import TimerHandle

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

MAX_HEAD = 32 << 10
"""Bytes of a request's line and headers at most."""
TOO_LONG = (431, f"the request's headers are larger than {MAX_HEAD:,} bytes")
CHECKS = 4
"""How often within the time-out a connection is looked at."""
STALLED = 3
"""Time-outs within which a client must have taken a response."""


class GuardedProtocol(HttpToolsProtocol):
    """One connection of one client."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._app = cast("App", self.config.app)
        self._watch: TimerHandle | None = None
        self._since: float | None = None  # when the request that is coming in began
        self._unread: float | None = None  # since when a response has been waiting to be taken
        self._piece = self._head = 0  # bytes of what has just come, and of a head that is not whole yet
        self._in_head = False
        self._fault = (400, "the request is not HTTP/1.1")
        self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to watch, or refuse where there are too many already."""
        super().connection_made(transport)
        if len(self.connections) > self._app.settings.connections:
            self._refuse(503, "too many connections are open already; try again")
            return
        self._since = self.loop.time()
        self._watch_on()

    def connection_lost(self, exc: Exception | None) -> None:
        """Watch no more."""
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, but for what comes behind a refusal."""
        if self._refused:
            return
        self._piece = len(data)
        super().data_received(data)
        if self._in_head:  # still: of this request nothing but its head has come
            self._head += self._piece
            if self._head > MAX_HEAD and not self._refused:
                self._refuse(*TOO_LONG)

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._since, self._in_head, self._head = self.loop.time(), True, 0

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._in_head = False
        if (
            self._piece > MAX_HEAD
            and len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD
        ):
            self._fault = TOO_LONG
            raise ValueError(TOO_LONG[1])  # httptools hands it on as a fault of the request
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is there."""
        self._since = None
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - ours says more
        """Answer what is no request."""
        self._refuse(*self._fault)

    def _watch_on(self) -> None:
        self._watch = self.loop.call_later(self._app.settings.timeout / CHECKS, self._look)

    def _look(self) -> None:
        """Look at the connection, now and then."""
        now, timeout = self.loop.time(), self._app.settings.timeout
        if not self.transport.get_write_buffer_size():
            self._unread = None
        elif self._unread is None:
            self._unread = now
        elif now - self._unread > STALLED * timeout:
            self.transport.abort()
            return
        if self._since is not None and now - self._since > timeout:
            self._too_slow()
            return
        self._watch_on()

    def _too_slow(self) -> None:
        scope, cycle = cast("dict[str, Any] | None", self.scope), cast("RequestResponseCycle | None", self.cycle)
        # Nothing has come that could be answered, or it has been answered.
        if scope is None or (cycle is not None and cycle.response_started and not cycle.response_complete):
            self.transport.close()
            return
        scope[TIMED_OUT] = True
        self._refuse(408, f"the request did not come whole within {self._app.settings.timeout:g} s")

    def _refuse(self, status: int, message: str) -> None:
        """Answer without the application, and close."""
        self._refused = True
        if self.transport.is_closing():
            return
        body = msgspec.json.encode({"error": message})
        head = [
            STATUS_LINE[status],
            b"content-type: application/json\r\n",
            b"content-length: %d\r\n" % len(body),
            b"retry-after: 1\r\n" if status == 503 else b"",
            b"connection: close\r\n\r\n",
        ]
        self.transport.write(b"".join([*head, body]))
        self.transport.close()
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if status != 408 or cycle is None or cycle.response_complete:  # else the application counts it
            self._app.figures.request("other", status, 0.0, 0)
