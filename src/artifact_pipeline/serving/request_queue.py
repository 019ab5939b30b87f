"""The queue of requests: small ones are answered together, large ones in a thread, and too many are refused."""

from __future__ import annotations

import asyncio
import functools
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from artifact_pipeline.serving.http import BUG, RETRY_SOON, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from artifact_pipeline.serving.app import App
    from artifact_pipeline.serving.http import Exchange, Response

    Waiting = tuple[Exchange, asyncio.Future[Response]]

MAX_BATCH = 32
"""Requests that are answered together at most: the first one waits for the last."""
BUSY = Refusal(503, "too many requests wait already; try again", RETRY_SOON).response()


class RequestQueue:
    """Requests that have come whole and wait for their response."""

    def __init__(self, app: App) -> None:
        self._app, self._loop = app, asyncio.get_running_loop()
        self._queue: deque[Waiting] = deque()
        self._scheduled = self._postponed = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="large")
        self._always_thread = ThreadPoolExecutor(1, thread_name_prefix="figures")  # does not wait for large requests
        self._large = 0  # requests that were given to the thread, and have no response yet

    async def answer(self, exchange: Exchange) -> Response:
        """Return the response to a request, after those that have come before it; a refusal where too many wait."""
        if self._length() >= self._app.settings.queue and not exchange.route.always:
            return BUSY
        future: asyncio.Future[Response] = self._loop.create_future()
        # All that has come in one look at the sockets is queued before the first of it is answered.
        self._queue.append((exchange, future))
        self._schedule()
        return await future

    def end(self) -> None:
        """Answer nothing more."""
        for thread in (self._thread, self._always_thread):
            thread.shutdown(wait=False, cancel_futures=True)

    def _length(self) -> int:
        """How many requests wait; the thread is at one of the large ones, and that does not wait."""
        return len(self._queue) + max(0, self._large - 1)

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._work)

    def _work(self) -> None:
        if len(self._queue) < self._app.metrics.in_progress and not self._postponed:
            # Others are coming in, from the thread that reads: they cost half as much when they are answered together.
            self._postponed = True
            self._loop.call_soon(self._work)
            return
        self._scheduled = self._postponed = False
        self._app.metrics.waiting = self._length()
        try:
            while self._queue:
                self._answer_batch([self._queue.popleft() for _ in range(min(len(self._queue), MAX_BATCH))])
        finally:
            if self._queue:  # a bug in the answer to one request does not leave the others without one
                self._schedule()

    def _answer_batch(self, waiting: list[Waiting]) -> None:
        together = []
        for exchange, future in waiting:
            if self._app.is_large(exchange):
                self._answer_in_thread(exchange, future)
            elif exchange.route.name == "infer":
                together.append((exchange, future))
            else:
                self._respond([(exchange, future)], lambda one: [self._app.answer(one[0])])
        if together:
            self._respond(together, self._app.infer_together)

    def _respond(self, waiting: list[Waiting], answer: Callable[[list[Exchange]], list[Response]]) -> None:
        responses = [BUG] * len(waiting)
        try:
            responses = answer([exchange for exchange, _ in waiting])
        finally:  # where it is a bug, the loop reports the exception, and the clients get this response
            for (_, future), response in zip(waiting, responses, strict=True):
                _resolve(future, response)

    def _answer_in_thread(self, exchange: Exchange, future: asyncio.Future[Response]) -> None:
        """Answer in a thread what would make all others wait."""
        counted = 0 if exchange.route.always else 1
        self._large += counted
        thread = self._thread if counted else self._always_thread
        done = self._loop.run_in_executor(thread, self._app.answer, exchange)
        done.add_done_callback(functools.partial(self._done, future, counted))

    def _done(self, future: asyncio.Future[Response], counted: int, done: asyncio.Future[Response]) -> None:
        self._large -= counted
        if done.cancelled():
            return
        response = BUG
        try:
            response = done.result()
        finally:
            _resolve(future, response)


def _resolve(future: asyncio.Future[Response], response: Response) -> None:
    if not future.done():  # the server has ended meanwhile
        future.set_result(response)
