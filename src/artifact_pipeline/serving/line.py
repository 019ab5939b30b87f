"""The line in which requests wait: small ones are answered together, large ones by a thread, too many refused."""

from __future__ import annotations

import asyncio
import functools
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from artifact_pipeline.serving.http import BUG, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from artifact_pipeline.serving.app import App
    from artifact_pipeline.serving.http import Exchange, Response

    Waiting = tuple[Exchange, asyncio.Future[Response]]

TOGETHER = 32
"""Requests that are answered step by step together at most: a client waits for what is before it, and little more."""
BUSY = Refusal(503, "too many requests wait already; try again", (b"retry-after", b"1")).response()


class Line:
    """Requests that have come whole and wait for their answer."""

    def __init__(self, app: App) -> None:
        self._app, self._loop = app, asyncio.get_running_loop()
        self._queue: deque[Waiting] = deque()
        self._called = self._waited = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="large")
        self._aside = ThreadPoolExecutor(1, thread_name_prefix="figures")  # who asks for them does not wait for work
        self._apart = self._behind = 0  # large requests, and those of them that wait

    async def answer(self, exchange: Exchange) -> Response:
        """The response to a request, behind those that have come before it; a refusal where too many wait."""
        route = exchange.route
        if route is None:
            return BUG
        if len(self._queue) + self._behind >= self._app.settings.queue and not route.always:
            return BUSY
        future: asyncio.Future[Response] = self._loop.create_future()
        # All that has come in one look at the sockets is here before the first of it is answered.
        self._queue.append((exchange, future))
        self._call()
        return await future

    def end(self) -> None:
        """Answer nothing more."""
        for thread in (self._thread, self._aside):
            thread.shutdown(wait=False, cancel_futures=True)

    def _call(self) -> None:
        if not self._called:
            self._called = True
            self._loop.call_soon(self._work)

    def _work(self) -> None:
        if len(self._queue) < self._app.metrics.in_progress and not self._waited:
            # Others are coming in, from the thread that reads: they cost half as much when they are answered together.
            self._waited = True
            self._loop.call_soon(self._work)
            return
        self._called = self._waited = False
        self._level()
        try:
            while self._queue:
                self._work_on([self._queue.popleft() for _ in range(min(len(self._queue), TOGETHER))])
        finally:
            if self._queue:  # a bug of ours in one of them is not the others' end
                self._call()

    def _work_on(self, waiting: list[Waiting]) -> None:
        together = []
        for exchange, future in waiting:
            if self._app.is_large(exchange):
                self._answer_apart(exchange, future)
            elif exchange.route is not None and exchange.route.name == "infer":
                together.append((exchange, future))
            else:
                self._respond([(exchange, future)], lambda one: [self._app.answer(one[0])])
        if together:
            self._respond(together, self._app.infer_together)

    def _respond(self, waiting: list[Waiting], answer: Callable[[list[Exchange]], list[Response]]) -> None:
        responses = [BUG] * len(waiting)
        try:
            responses = answer([exchange for exchange, _ in waiting])
        finally:  # where it is a bug, the loop reports the exception, and the clients get this answer
            for (_, future), response in zip(waiting, responses, strict=True):
                _resolve(future, response)

    def _answer_apart(self, exchange: Exchange, future: asyncio.Future[Response]) -> None:
        """Answer in a thread what would keep all others waiting."""
        counted = int(exchange.route is None or not exchange.route.always)
        self._take(counted)
        done = self._loop.run_in_executor(self._thread if counted else self._aside, self._app.answer, exchange)
        done.add_done_callback(functools.partial(self._done, future, counted))

    def _done(self, future: asyncio.Future[Response], counted: int, done: asyncio.Future[Response]) -> None:
        self._take(-counted)
        if done.cancelled():
            return
        response = BUG
        try:
            response = done.result()
        finally:
            _resolve(future, response)

    def _take(self, more: int) -> None:
        self._apart += more
        self._behind = max(0, self._apart - 1)  # all but the one that the thread is at

    def _level(self) -> None:
        self._app.metrics.waiting = len(self._queue) + self._behind


def _resolve(future: asyncio.Future[Response], response: Response) -> None:
    if not future.done():  # the server has ended meanwhile
        future.set_result(response)
