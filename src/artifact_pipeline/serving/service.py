"""What the connections of one process share: the queue, the thread for what is large, and the clock."""

from __future__ import annotations

import asyncio
import functools
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from artifact_pipeline.serving.connection import BUG
from artifact_pipeline.serving.http import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from artifact_pipeline.serving.app import App
    from artifact_pipeline.serving.connection import Connection, Exchange
    from artifact_pipeline.serving.http import Response

LOOKS = 4
"""How often within the time-out every connection is looked at; at least once a second."""
BUSY = Refusal(503, "too many requests wait already; try again", (b"retry-after", b"1")).response()


class Service:
    """One process's requests.

    Attributes:
        app: what answers them.
        loop: the event loop.
        ending: whether each response is the last one of its connection.
        gone: set once it ends and all connections have.
    """

    def __init__(
        self, app: App, loop: asyncio.AbstractEventLoop, log: Callable[[dict[str, Any]], None] | None = None
    ) -> None:
        self.app, self.loop, self.ending, self.gone = app, loop, False, asyncio.Event()
        self._log = log
        self._connections: set[Connection] = set()
        self._queue: deque[tuple[Connection, Exchange]] = deque()
        self._called = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="large")
        self._apart = 0
        self._date, self._date_until = b"", 0.0
        self._look_on()

    # Connections

    def welcome(self, connection: Connection) -> bool:
        """Take in a connection; whether there is room for it."""
        room = len(self._connections) < self.app.settings.connections
        self._connections.add(connection)
        self._level()
        return room

    def farewell(self, connection: Connection) -> None:
        """A connection has ended."""
        self._connections.discard(connection)
        self._level()
        if self.ending and not self._connections:
            self.gone.set()

    def _look_on(self) -> None:
        now = self.loop.time()
        for connection in list(self._connections):
            connection.look(now)
        self.app.figures.settle()
        self.loop.call_later(min(1.0, self.app.settings.timeout / LOOKS), self._look_on)

    def finish(self) -> None:
        """Close every connection behind what it is due."""
        self.ending = True
        if not self._connections:
            self.gone.set()
        for connection in list(self._connections):
            connection.finish()

    def abort(self) -> None:
        """Wait for nobody any more."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        for connection in list(self._connections):
            connection.abort()

    # Requests

    def submit(self, connection: Connection, exchange: Exchange) -> None:
        """Take a request that has come whole: it waits for those that have come before it, or is refused."""
        if exchange.refused is not None:
            connection.respond(exchange, exchange.refused)
        elif len(self._queue) >= self.app.settings.queue:
            connection.respond(exchange, BUSY)
        else:
            # All that has come in one look at the sockets is here before the first of it is answered.
            self._queue.append((connection, exchange))
            if not self._called:
                self._called = True
                self.loop.call_soon(self._work)

    def _work(self) -> None:
        self._called = False
        self._level()
        try:
            while self._queue:
                self._answer(*self._queue.popleft())
        finally:
            if self._queue:  # a bug of ours in one of them is not the others' end
                self._called = True
                self.loop.call_soon(self._work)

    def _answer(self, connection: Connection, exchange: Exchange) -> None:
        if self.app.is_large(exchange):
            self._answer_apart(connection, exchange)
            return
        response = BUG
        try:
            response = self.app.answer(exchange)
        finally:  # where it is a bug, the loop tells of the exception, and the client of this
            connection.respond(exchange, response)

    def _answer_apart(self, connection: Connection, exchange: Exchange) -> None:
        """Answer in the thread what would keep all others waiting."""
        if self._apart > self.app.settings.queue // 8:
            connection.respond(exchange, BUSY)
            return
        self._apart += 1
        done = self.loop.run_in_executor(self._thread, self.app.answer, exchange)
        done.add_done_callback(functools.partial(self._done, connection, exchange))

    def _done(self, connection: Connection, exchange: Exchange, done: asyncio.Future[Response]) -> None:
        self._apart -= 1
        if done.cancelled():
            return
        response = BUG
        try:
            response = done.result()
        finally:
            connection.respond(exchange, response)

    # Figures

    def _level(self) -> None:
        self.app.figures.level(waiting=len(self._queue) + self._apart, connections=len(self._connections))

    def count(self, connection: Connection, exchange: Exchange, response: Response) -> None:
        """Count a response, and log it."""
        seconds = self.loop.time() - exchange.started
        route = exchange.route.name if exchange.route is not None else "other"
        self.app.figures.request(route, response.status, seconds, response.rows)
        if self._log is not None:
            self._log(
                {
                    "client": connection.client,
                    "method": exchange.request.method,
                    "path": exchange.request.path[:256],
                    "status": response.status,
                    "rows": response.rows,
                    "milliseconds": round(1000 * seconds, 3),
                    "artifact": exchange.served.verified.digest,
                }
            )

    def date(self) -> bytes:
        """The header that tells the time, made once a second."""
        now = self.loop.time()
        if now >= self._date_until:
            self._date = f"date: {formatdate(time.time(), usegmt=True)}\r\n".encode()
            self._date_until = now + 1
        return self._date
