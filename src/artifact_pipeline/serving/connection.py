"""One connection: bytes become requests, responses become bytes, and the client is watched all the while.

HTTP/1.1 is read by llhttp, Node's parser, strictly. What stands here is what a server must decide: how large a head
and a body may be, how long a request may take to come and a response to be taken, and in which order it answers.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, cast

import httptools

from artifact_pipeline.serving import head
from artifact_pipeline.serving.exchange import Exchange
from artifact_pipeline.serving.http import Refusal, Request
from artifact_pipeline.serving.limits import FRAMING, MAX_HEAD, MAX_PIPELINED, SMALL, STALLED

if TYPE_CHECKING:
    from artifact_pipeline.serving.http import Response
    from artifact_pipeline.serving.service import Service

_CLOSE = (b"connection", b"close")
_CUT_OFF = Refusal(400, "the request ends before it is whole")
_NO_HTTP = Refusal(400, head.NO_HTTP)
_TOO_MANY = Refusal(503, "too many connections are open already; try again", (b"retry-after", b"1"))
_TOO_MUCH = Refusal(503, "too much is being sent to this server at once; try again", (b"retry-after", b"1"))


class Connection(asyncio.Protocol):
    """A client's connection."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._now = service.loop.time
        self._parser: Any = httptools.HttpRequestParser(self)  # None once the connection is lost
        self._transport = cast("asyncio.Transport", None)  # until it is made
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._size = 0  # bytes of the lines of a request, and of its trailers
        self._raw = 0  # bytes that have come of a request, less `FRAMING` for each one of its body
        self._coming: Exchange | None = None  # its body is coming in
        self._at_work: Exchange | None = None
        self._ahead: deque[Exchange] = deque()
        self._in_head = False
        self._offered = False  # to go on by another protocol, by the head that has just come
        self._spare = False  # there are too many connections already
        self._over = False  # nothing more is read
        self._waiting = False  # reading is paused
        self._full = False  # the client does not take what is written
        self._held_up = False  # and the request at work waits until it does
        self._since: float | None = None  # when what is coming in began
        self._idle = self._unread = 0.0  # since when; 0 where not
        self.client = ""

    # The transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to watch, or refuse where there are too many already."""
        self._transport = cast("asyncio.Transport", transport)
        name = transport.get_extra_info("peername")
        self.client = str(name[0]) if name else ""
        self._since = self._now()
        room = self._service.welcome(self)
        if room is None:
            self._over = True
            self._transport.abort()
        else:
            self._spare = not room

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's form
        """Forget it."""
        self._over = True
        if self._held_up and self._at_work is not None:
            self._ahead.append(self._at_work)  # nobody is at work on it
        for exchange in (*self._ahead, *filter(None, [self._coming])):
            self._service.release(exchange)
        self._ahead.clear()
        self._coming, self._headers = None, []
        # It holds the connection, which holds it: nobody would let go of them, and of all that they hold, for long.
        self._parser = None
        self._service.farewell(self)

    def data_received(self, data: bytes) -> None:
        """Read on, but for what comes behind the end."""
        if self._over:
            return
        self._raw += len(data)
        rest = self._feed(data)
        while rest and not self._over:
            rest = self._feed(rest)
        if (self._raw > MAX_HEAD or self._size > MAX_HEAD) and not self._over:
            self._refuse(head.too_large())

    def _feed(self, data: bytes | memoryview) -> bytes | memoryview:
        """Let the parser read; what it has left unread behind a head that offers another protocol."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError:
            raise  # a bug of ours, which the loop tells of
        except httptools.HttpParserUpgrade as error:
            if self._offered:
                self._decline()
                return memoryview(data)[error.args[0] :]
            self._end()  # behind CONNECT, which has been refused
        except httptools.HttpParserError:
            self._refuse(_NO_HTTP)
        return b""

    def _decline(self) -> None:
        """Read a head again without its offer: the parser would take the body for another protocol."""
        self._offered = False
        version, method = self._parser.get_http_version(), self._parser.get_method()
        self._parser = httptools.HttpRequestParser(self)
        self._feed(head.without_upgrade(method, self._url, version, self._headers))

    def eof_received(self) -> bool:
        """The client sends no more; what it has asked is answered yet."""
        if self._is_coming() and not self._over:
            self._refuse(_CUT_OFF)
        else:
            self._end()
        return self._at_work is not None

    def pause_writing(self) -> None:
        """The client does not take its responses: it may not ask for more of them."""
        self._full = True
        self._wait()

    def resume_writing(self) -> None:
        """The client has taken what there was."""
        self._full = False
        if self._held_up and self._at_work is not None:
            self._held_up = False
            self._service.submit(self, self._at_work)
        elif not self._ahead:
            self._read_on()

    def _wait(self) -> None:
        if not self._waiting and not self._over:
            self._waiting = True
            self._transport.pause_reading()

    def _read_on(self) -> None:
        if self._waiting and not self._full:
            self._waiting = False
            self._transport.resume_reading()

    def _end(self) -> None:
        """Read nothing more, and close behind the responses that are due."""
        self._over = True
        due = self._ahead[-1] if self._ahead else self._at_work
        if due is not None:
            due.last = True
        elif not self._transport.is_closing():
            self._transport.close()

    # The parser

    def on_message_begin(self) -> None:
        """A request begins."""
        self._url, self._headers, self._size = b"", [], 0
        self._since, self._in_head = self._now(), True

    def on_url(self, url: bytes) -> None:
        """A part of its target."""
        self._size += len(url)
        if self._size <= MAX_HEAD:
            self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, which is counted and left."""
        self._size += len(name) + len(value) + 4
        if self._in_head and self._size <= MAX_HEAD:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The head is there: what can be refused now is not read."""
        self._in_head = False
        parser, service = self._parser, self._service
        if parser.should_upgrade() and parser.get_method() != b"CONNECT":
            self._offered = self._size <= MAX_HEAD
            if self._offered:
                return
        version = parser.get_http_version()
        request = Request(parser.get_method().decode("ascii", "replace"), head.path_of(self._url), {})
        last = self._spare or version != "1.1" or not parser.should_keep_alive()
        exchange = self._coming = Exchange(service.app.served, request, None, None, self._now(), last)
        try:
            request.headers = head.checked(version, self._headers, self._size)
        except Refusal as refusal:  # what follows such a head could be read in two ways
            exchange.last, self._size, self._raw = True, 0, 0
            self._refuse_early(exchange, refusal)
            return
        try:
            exchange.route = service.app.route(request)
        except Refusal as refused:
            self._refuse_early(exchange, refused)
            return
        if self._spare and not exchange.route.always:
            self._refuse_early(exchange, _TOO_MANY)
        elif self._at_work is None and (request.header(b"expect") or "").lower() == "100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        raw = self._raw - FRAMING * len(body)
        self._raw = raw if raw > 0 else 0  # noqa: FURB136 - max() takes three times as long, for each request
        exchange = self._coming
        if exchange is None or exchange.refused is not None:
            return
        size = exchange.take(body)
        if size > self._service.app.settings.max_body:
            self._refuse_early(exchange, self._service.app.too_large())
        elif size > SMALL and not self._service.hold(exchange, size):
            self._refuse_early(exchange, _TOO_MUCH)

    def on_message_complete(self) -> None:
        """The request is there."""
        if self._offered:  # no: its head alone
            return
        exchange, self._coming, self._since = self._coming, None, None
        size, self._size, self._raw = self._size, 0, 0
        if exchange is None:
            return
        if size > MAX_HEAD and exchange.refused is None:  # by its trailers
            exchange.last = True
            self._refuse_early(exchange, head.too_large())
        if exchange.told:  # it was refused before it was there
            if exchange.last:
                self._end()
            self._idle = self._now()
            return
        exchange.end()
        if self._at_work is None:
            self._at_work = exchange
            self._service.submit(self, exchange)
        elif len(self._ahead) < MAX_PIPELINED:
            self._ahead.append(exchange)
            self._wait()
        else:
            self._service.release(exchange)
            self._end()

    def _refuse_early(self, exchange: Exchange, refusal: Refusal) -> None:
        exchange.refused, exchange.body = refusal.response(), b""
        self._service.release(exchange)
        if self._at_work is None:
            self._tell(exchange, exchange.refused)

    # Responses

    def respond(self, exchange: Exchange, response: Response) -> None:
        """Write the response to the request at work, and go on with the next one."""
        self._tell(exchange, response)
        if exchange.held:
            self._service.release(exchange)
        self._at_work = self._ahead.popleft() if self._ahead else None
        if exchange.last:
            self._over = True
            self._transport.close()
        elif self._at_work is None:
            self._read_on()
        elif self._full:
            self._held_up = True
        else:
            self._service.submit(self, self._at_work)

    def _tell(self, exchange: Exchange, response: Response) -> None:
        exchange.told = True
        self._service.count(self, exchange, response)
        if self._transport.is_closing():
            return
        exchange.last = exchange.last or not self._service.app.ready
        # Nothing of the model for whom it is not meant, and not before it is known who asks.
        known = exchange.request.method and response.status not in {403, 431}
        more = [exchange.served.header] if known else []
        if exchange.last:
            more.append(_CLOSE)
        # In one piece: each write wakes the client.
        self._transport.write(head.written(response, exchange.request, self._service.date(), more))
        self._idle = self._now()

    def _refuse(self, refusal: Refusal) -> None:
        """Refuse what is no request, or none yet; without a word, where a response is due or there already."""
        exchange, self._coming = self._coming, None
        if exchange is not None:
            self._service.release(exchange)
        if self._at_work is not None or (exchange is not None and exchange.told):
            self._end()
            return
        if exchange is None:
            started = self._now() if self._since is None else self._since
            exchange = Exchange(self._service.app.served, Request("", "", {}), None, None, started, last=True)
        exchange.last = self._over = True
        self._tell(exchange, refusal.response())
        # To close while the client is still sending would take the response from it: hear it out, within the time-out.
        self._since = self._now()
        self._transport.write_eof()

    def abort(self) -> None:
        """Wait no more."""
        self._transport.abort()

    # The watch

    @property
    def unread(self) -> int:
        """Bytes that the client has not taken, if that is so since an earlier look."""
        return self._transport.get_write_buffer_size() if self._unread else 0

    def look(self, now: float) -> None:
        """Look at the client, now and then."""
        settings = self._service.app.settings
        if not self._transport.get_write_buffer_size():
            self._unread = 0.0
        elif not self._unread:
            self._unread = now
        elif now - max(self._unread, self._idle) > STALLED * settings.timeout:
            self._transport.abort()
            return
        if self._since is not None:
            if now - self._since > settings.timeout:
                self._too_slow()
        elif self._at_work is None and now - self._idle > settings.keep_alive:
            self._end()

    def _too_slow(self) -> None:
        if self._over or not self._is_coming():
            self._transport.abort()  # nothing has come, or it has been answered
        else:
            seconds = self._service.app.settings.timeout
            self._refuse(Refusal(408, f"the request did not come whole within {seconds:g} s"))

    def _is_coming(self) -> bool:
        """Whether there is a part of a request that has not been answered."""
        return self._in_head or (self._coming is not None and not self._coming.told)

    def finish(self) -> None:
        """The server ends: close, or answer what is due and close then."""
        if self._coming is None and not self._in_head:
            self._end()
        elif self._coming is not None:
            self._coming.last = True
