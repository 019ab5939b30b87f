"""What the connections of one process share: the queue, the thread for what is large, and the clock."""

from __future__ import annotations

import asyncio
import functools
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from artifact_pipeline.serving.http import BUG, Refusal
from artifact_pipeline.serving.limits import BODIES, SPARE, UNREAD

if TYPE_CHECKING:
    from collections.abc import Callable

    from artifact_pipeline.serving.app import App
    from artifact_pipeline.serving.exchange import Client, Exchange
    from artifact_pipeline.serving.http import Response

_LOOKS = 4
"""How often within the time-out every connection is looked at; at least once a second."""
_TOGETHER = 32
"""Requests that are answered step by step together at most: a client waits for what is before it, and little more."""
_BUSY = Refusal(503, "too many requests wait already; try again", (b"retry-after", b"1")).response()


class Service:
    """One process's requests.

    Attributes:
        app: what answers them.
        loop: the event loop.
        ending: whether the end of all connections is waited for.
        gone: set once it ends and all connections have.
    """

    def __init__(
        self, app: App, loop: asyncio.AbstractEventLoop, log: Callable[[dict[str, Any]], None] | None = None
    ) -> None:
        self.app, self.loop, self.ending, self.gone = app, loop, False, asyncio.Event()
        self._log = log
        self._connections: set[Client] = set()
        self._queue: deque[tuple[Client, Exchange]] = deque()
        self._called = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="large")
        self._aside = ThreadPoolExecutor(1, thread_name_prefix="figures")  # who asks for them does not wait for work
        self._apart = self._behind = self._held = 0  # large requests, those of them that wait, bytes of bodies
        self._date, self._date_until = b"", 0.0
        self._look_on()

    # Connections

    def welcome(self, connection: Client) -> bool | None:
        """Take in a connection; whether there is room for it, or None where not even for a refusal."""
        more = len(self._connections) - self.app.settings.connections
        if more >= SPARE:
            return None
        self._connections.add(connection)
        self._level()
        return more < 0

    def farewell(self, connection: Client) -> None:
        """A connection has ended."""
        self._connections.discard(connection)
        self._level()
        if self.ending and not self._connections:
            self.gone.set()

    def _look_on(self) -> None:
        now = self.loop.time()
        self._cut_off()
        for connection in list(self._connections):
            connection.look(now)
        self.app.figures.settle()
        self.loop.call_later(min(1.0, self.app.settings.timeout / _LOOKS), self._look_on)

    def _cut_off(self) -> None:
        """Wait no more for those who take nothing, the largest responses first, where there is too much of them."""
        unread = sum(connection.unread for connection in self._connections)
        if unread > UNREAD:
            for connection in sorted(self._connections, key=lambda each: each.unread, reverse=True):
                if unread <= UNREAD:
                    break
                unread -= connection.unread
                connection.abort()

    def finish(self) -> None:
        """Close every connection behind what it is due."""
        self.ending = True
        if not self._connections:
            self.gone.set()
        for connection in list(self._connections):
            connection.finish()

    def abort(self) -> None:
        """Wait for nobody any more."""
        for thread in (self._thread, self._aside):
            thread.shutdown(wait=False, cancel_futures=True)
        for connection in list(self._connections):
            connection.abort()

    # Requests

    def hold(self, exchange: Exchange, size: int) -> bool:
        """Make room for what has come of a body by now; whether there is any."""
        more = size - exchange.held
        if self._held + more > BODIES * self.app.settings.max_body:
            return False
        self._held += more
        exchange.held = size
        return True

    def release(self, exchange: Exchange) -> None:
        """A body is no longer needed."""
        self._held -= exchange.held
        exchange.held = 0

    def submit(self, connection: Client, exchange: Exchange) -> None:
        """Take a request that has come whole: it waits for those that have come before it, or is refused."""
        route = exchange.route
        if exchange.refused is not None or route is None:
            connection.respond(exchange, exchange.refused or BUG)
        elif len(self._queue) + self._behind >= self.app.settings.queue and not route.always:
            connection.respond(exchange, _BUSY)
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
                self._work_on([self._queue.popleft() for _ in range(min(len(self._queue), _TOGETHER))])
        finally:
            if self._queue:  # a bug of ours in one of them is not the others' end
                self._called = True
                self.loop.call_soon(self._work)

    def _work_on(self, waiting: list[tuple[Client, Exchange]]) -> None:
        together = []
        for connection, exchange in waiting:
            if self.app.is_large(exchange):
                self._answer_apart(connection, exchange)
            elif exchange.route is not None and exchange.route.name == "infer":
                together.append((connection, exchange))
            else:
                self._respond([(connection, exchange)], lambda one: [self.app.answer(one[0])])
        if together:
            self._respond(together, self.app.infer_together)

    def _respond(
        self, waiting: list[tuple[Client, Exchange]], answer: Callable[[list[Exchange]], list[Response]]
    ) -> None:
        responses = [BUG] * len(waiting)
        try:
            responses = answer([exchange for _, exchange in waiting])
        finally:  # where it is a bug, the loop tells of the exception, and the clients of this
            for (connection, exchange), response in zip(waiting, responses, strict=True):
                connection.respond(exchange, response)

    def _answer_apart(self, connection: Client, exchange: Exchange) -> None:
        """Answer in a thread what would keep all others waiting."""
        counted = int(exchange.route is None or not exchange.route.always)
        self._take(counted)
        done = self.loop.run_in_executor(self._thread if counted else self._aside, self.app.answer, exchange)
        done.add_done_callback(functools.partial(self._done, connection, exchange, counted))

    def _done(self, connection: Client, exchange: Exchange, counted: int, done: asyncio.Future[Response]) -> None:
        self._take(-counted)
        if done.cancelled():
            return
        response = BUG
        try:
            response = done.result()
        finally:
            connection.respond(exchange, response)

    def _take(self, more: int) -> None:
        self._apart += more
        self._behind = max(0, self._apart - 1)  # all but the one that the thread is at

    # Figures

    def _level(self) -> None:
        self.app.figures.level(waiting=len(self._queue) + self._behind, connections=len(self._connections))

    def count(self, connection: Client, exchange: Exchange, response: Response) -> None:
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
