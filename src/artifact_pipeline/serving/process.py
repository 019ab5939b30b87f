"""One server process: it listens, handles signals, and ends once its requests have been answered."""

from __future__ import annotations

import asyncio
import gc
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from artifact_pipeline.serving.binding import listen, url_of
from artifact_pipeline.serving.connections import Connections
from artifact_pipeline.serving.metrics import ServerMetrics
from artifact_pipeline.serving.model import open_model
from artifact_pipeline.serving.reloading import Reloader, ServerObserver

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.serving.app import App
    from artifact_pipeline.serving.asgi import Asgi
    from artifact_pipeline.serving.settings import Settings
    from artifact_pipeline.serving.window import Windows

_TICKS = 10
"""Rounds of the main loop in a second."""
_CUT_OFF_TIME = 0.5
"""Seconds in which requests that are cut off at the end get their answer."""
_GC_THRESHOLD = 5000
"""New objects after which Python looks for cycles among them; most objects of a request are freed with it."""


@dataclass(frozen=True, slots=True)
class WorkerPlace:
    """What a process shares with the other workers and with their parent.

    Attributes:
        windows: the memory that the workers share.
        worker: the worker's number.
        parent: a pipe that reaches its end when the parent ends, or asks the workers to; None without a parent.
        served: called with the digest of each artifact that the process serves after its first one.
    """

    windows: Windows
    worker: int = 0
    parent: int | None = None
    served: Callable[[str], None] = lambda _digest: None


def run_worker(
    verified: Verified,
    load: Callable[[], Verified],
    settings: Settings,
    *,
    observer: ServerObserver,
    bound: socket.socket,
    place: WorkerPlace,
) -> None:
    """Serve in this process.

    Raises:
        ArtifactRejected: the artifact's golden answers differ.
        ConfigError: another process has begun to listen on the port.
        StorageError: the feedback cannot be written.
        KeyboardInterrupt: Ctrl-C was pressed twice.
    """
    import uvloop

    from artifact_pipeline.serving.app import App

    served = open_model(verified)
    app = App(served, settings, ServerMetrics(place.windows, place.worker, served))
    listen(bound, settings)
    # What is there by now is never collected; what requests leave in cycles is collected soon: the memory stays flat.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GC_THRESHOLD, 10, 10)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_Process(app, Reloader(app, load, observer, place.served), observer).run(bound, place.parent))


async def _wait_for_requests(application: Asgi, served: asyncio.Task[None]) -> None:
    """Wait for the requests in progress, then for the library, which closes the idle connections."""
    await application.finished.wait()
    await served


class _Process:
    """The main loop of a server process, and what its signals change."""

    def __init__(self, app: App, reloader: Reloader, observer: ServerObserver) -> None:
        self._app, self._reloader, self._observer = app, reloader, observer
        self._stop_at: float | None = None
        self._interrupted = self._forced = False  # Ctrl-C was pressed, or pressed twice
        self._waiting: asyncio.Task[None] | None = None  # for the end of the requests in progress

    async def run(self, bound: socket.socket, parent: int | None) -> None:
        """Serve until a signal or the parent ends it, and wait for the requests in progress.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed twice.
        """
        from artifact_pipeline.serving.asgi import Asgi
        from artifact_pipeline.serving.http_server import HttpServer
        from artifact_pipeline.serving.request_queue import RequestQueue

        loop, settings, queue = asyncio.get_running_loop(), self._app.settings, RequestQueue(self._app)
        connections = Connections(bound, settings.keep_alive)
        application = Asgi(self._app, queue, connections if settings.tls else None, self._observer.log)
        self._app.metrics.connections = connections.count
        self._handle_signals(loop, parent)
        server = HttpServer(application, bound, settings)
        served = loop.create_task(server.serve())
        self._observer.ready(url_of(bound, settings))
        ticks = 0
        while (self._stop_at is None or loop.time() < self._stop_at) and not served.done():
            second = ticks % _TICKS == 0
            self._reloader.tick(second=second)
            application.cut_off_late()
            self._app.metrics.update()
            if second:
                self._app.metrics.update_connections()
                if settings.tls is not None:
                    connections.close_idle()
            ticks += 1
            await asyncio.sleep(1 / _TICKS)
        bound.close()
        server.end()
        application.finish()
        if not self._forced:
            self._waiting = waiting = loop.create_task(_wait_for_requests(application, served))
            await asyncio.wait({waiting}, timeout=settings.grace)
            application.cut_off()
            await asyncio.wait({waiting}, timeout=_CUT_OFF_TIME)
        queue.end()
        # A late callback of the library would report that its own future is cancelled.
        loop.set_exception_handler(lambda _loop, _context: None)
        if self._forced:
            raise KeyboardInterrupt

    def _handle_signals(self, loop: asyncio.AbstractEventLoop, parent: int | None) -> None:
        """From now on handle signals, and the parent's end."""
        loop.add_signal_handler(signal.SIGTERM, self._end)
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            loop.add_signal_handler(signal.SIGINT, self._interrupt)
        loop.add_signal_handler(signal.SIGHUP, self._reloader.request)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        if parent is not None:
            loop.add_reader(parent, self._parent_ended, loop, parent)

    def _end(self, delay: float | None = None) -> None:
        """Be no longer ready, and stop listening after the delay, which is `--drain` by default."""
        self._app.ready = False
        stop_at = asyncio.get_running_loop().time() + (self._app.settings.drain if delay is None else delay)
        self._stop_at = stop_at if self._stop_at is None else min(stop_at, self._stop_at)

    def _interrupt(self) -> None:
        """Stop listening now; at the second Ctrl-C do not wait for requests either."""
        self._forced, self._interrupted = self._interrupted, True
        self._end(delay=0.0)
        if self._forced and self._waiting is not None:
            self._waiting.cancel()

    def _parent_ended(self, loop: asyncio.AbstractEventLoop, parent: int) -> None:
        loop.remove_reader(parent)
        self._end(delay=0.0)
