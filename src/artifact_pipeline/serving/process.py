"""One process that answers: it listens, heeds signals, and ends when its requests have been answered."""

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
"""Looks a second at what is to be done."""
_LAST_WORDS = 0.5
"""Seconds in which requests that are cut off at the end get their answer."""
_YOUNG = 5000
"""New objects after which garbage is looked for among them; a request's own are gone with it."""


@dataclass(frozen=True, slots=True)
class WorkerPlace:
    """Where a process stands among those that serve together.

    Attributes:
        windows: the memory that they share.
        worker: which of them it is.
        parent: a pipe that ends when the process that has started it does, or wants its end; None where there is none.
        served: called with the digest of each artifact that it serves after its first one.
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
        ConfigError: somebody else has begun to listen on the port.
        StorageError: the feedback cannot be written.
        KeyboardInterrupt: Ctrl-C was pressed twice.
    """
    import uvloop

    from artifact_pipeline.serving.app import App

    served = open_model(verified)
    app = App(served, settings, ServerMetrics(place.windows, place.worker, served))
    listen(bound, settings)
    # What is there by now stays; what a request leaves in cycles goes soon, so that the memory stays flat.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 10, 10)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_Life(app, Reloader(app, load, observer, place.served), observer).live(bound, place.parent))


async def _rest(application: Asgi, served: asyncio.Task[None]) -> None:
    """Wait for the requests that are under way, then for the library, which closes the connections that are kept."""
    await application.gone.wait()
    await served


class _Life:
    """A process's life as a server: it listens until a signal ends it, and ends when its requests have."""

    def __init__(self, app: App, reloader: Reloader, observer: ServerObserver) -> None:
        self._app, self._reloader, self._observer = app, reloader, observer
        self._stop_at: float | None = None
        self._hurried = self._forced = False  # Ctrl-C was pressed, or pressed twice
        self._rest: asyncio.Task[None] | None = None  # once only the end of requests is waited for

    async def live(self, bound: socket.socket, parent: int | None) -> None:
        """Answer, and return once the end has come.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed twice.
        """
        from artifact_pipeline.serving.asgi import Asgi
        from artifact_pipeline.serving.http_server import HttpServer
        from artifact_pipeline.serving.line import Line

        loop, settings, line = asyncio.get_running_loop(), self._app.settings, Line(self._app)
        connections = Connections(bound, settings.keep_alive)
        application = Asgi(self._app, line, connections if settings.tls else None, self._observer.log)
        self._app.metrics.connections = connections.count
        self._heed(loop, parent)
        server = HttpServer(application, bound, settings)
        served = loop.create_task(server.serve())
        self._observer.ready(url_of(bound, settings))
        ticks = 0
        while (self._stop_at is None or loop.time() < self._stop_at) and not served.done():
            self._reloader.tick(second=ticks % _TICKS == 0)
            application.cut_off_late()
            self._app.metrics.settle()
            if ticks % _TICKS == 0:
                self._app.metrics.settle_connections()
                if settings.tls is not None:
                    connections.close_idle()
            ticks += 1
            await asyncio.sleep(1 / _TICKS)
        bound.close()
        server.end()
        application.finish()
        if not self._forced:
            self._rest = rest = loop.create_task(_rest(application, served))
            await asyncio.wait({rest}, timeout=settings.grace)
            application.cut_off()
            await asyncio.wait({rest}, timeout=_LAST_WORDS)
        line.end()
        # What the library still calls back finds its own future cancelled, and would say so.
        loop.set_exception_handler(lambda _loop, _context: None)
        if self._forced:
            raise KeyboardInterrupt

    def _heed(self, loop: asyncio.AbstractEventLoop, parent: int | None) -> None:
        """Let signals be heard from now on, and the parent's end."""
        loop.add_signal_handler(signal.SIGTERM, self._end)
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            loop.add_signal_handler(signal.SIGINT, self._hurry)
        loop.add_signal_handler(signal.SIGHUP, self._reloader.want)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        if parent is not None:
            loop.add_reader(parent, self._orphaned, loop, parent)

    def _end(self, delay: float | None = None) -> None:
        """Be ready no more, and end after the delay."""
        self._app.ready = False
        stop_at = asyncio.get_running_loop().time() + (self._app.settings.drain if delay is None else delay)
        self._stop_at = stop_at if self._stop_at is None else min(stop_at, self._stop_at)

    def _hurry(self) -> None:
        """End without the delay, and at once if that is said again."""
        self._forced, self._hurried = self._hurried, True
        self._end(delay=0.0)
        if self._forced and self._rest is not None:
            self._rest.cancel()

    def _orphaned(self, loop: asyncio.AbstractEventLoop, parent: int) -> None:
        loop.remove_reader(parent)
        self._end(delay=0.0)
