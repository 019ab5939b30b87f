"""The server: one process that listens, loads anew when it is told to, and ends when its requests have."""

from __future__ import annotations

import asyncio
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from artifact_pipeline.artifact.store import resolve
from artifact_pipeline.errors import ArtifactRejected, ConfigError, PipelineError
from artifact_pipeline.serving.figures import Board, Figures
from artifact_pipeline.serving.model import open_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from artifact_pipeline.artifact.verify import Verified
    from artifact_pipeline.serving.app import App
    from artifact_pipeline.serving.figures import Outcome
    from artifact_pipeline.serving.settings import Settings

TICKS = 10
"""Looks a second at what is to be done."""
BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class Voice:
    """How a server speaks.

    Attributes:
        ready: told once the server listens, with its URL.
        tell: told what happens afterwards, a sentence each.
        log: takes a line of the access log; None where none is wanted.
    """

    ready: Callable[[str], None]
    tell: Callable[[str], None]
    log: Callable[[dict[str, Any]], None] | None = None


def bind(settings: Settings) -> socket.socket:
    """Take the port, without listening on it yet.

    Raises:
        ConfigError: it is taken, or the address is not this machine's.
    """
    try:
        (family, _, _, _, address), *_ = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        bound = socket.socket(family, socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise _unbound(settings, error) from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except (OSError, OverflowError) as error:
        bound.close()
        raise _unbound(settings, error) from error
    return bound


def _unbound(settings: Settings, error: Exception) -> ConfigError:
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return ConfigError(
        f"cannot listen on {settings.host}, port {settings.port}: {words.lower()}",
        hint="--port 0 takes any that is free",
    )


def url_of(bound: socket.socket) -> str:
    """Where a browser on this machine finds it."""
    host, port = bound.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - what is listened on was asked for
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(load: Callable[[], Verified], settings: Settings, voice: Voice) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Args:
        load: verifies the artifact; called at the start, and whenever it is to be looked at anew.
        settings: what is asked of the server.
        voice: how it speaks.

    Raises:
        ArtifactRejected: the artifact is refused at the start.
        ConfigError: the port cannot be had, or the policy cannot be used.
        StorageError: the feedback cannot be written.
        PipelineError: a worker could not start.
    """
    with bind(settings) as bound:
        if settings.workers > 1:
            from artifact_pipeline.serving.workers import serve_by_workers

            serve_by_workers(load, settings, voice, bound)
            return
        verified = load()
        board = Board(1, settings.window, len(verified.manifest.model.inputs))
        run_worker(verified, load, settings, voice=voice, bound=bound, place=(board, 0))


def run_worker(
    verified: Verified,
    load: Callable[[], Verified],
    settings: Settings,
    *,
    voice: Voice,
    bound: socket.socket,
    place: tuple[Board, int],
) -> None:
    """Serve in this process, with a part of the board."""
    import uvloop

    from artifact_pipeline.serving.app import App

    board, worker = place
    served = open_model(verified)
    app = App(served, settings, Figures(board, worker, served))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_Life(app, Reloader(app, load, voice), voice).live(bound))


class _Life:
    """A process's life as a server: it listens until it is told to end, and ends when its requests have."""

    def __init__(self, app: App, reloader: Reloader, voice: Voice) -> None:
        self._app, self._reloader, self._voice = app, reloader, voice
        self._stop_at: float | None = None
        self._gone: asyncio.Event | None = None  # once only the end of connections is waited for
        self._forced = False

    async def live(self, bound: socket.socket) -> None:
        """Listen, and return once the end has come.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed twice.
        """
        from artifact_pipeline.serving.connection import Connection
        from artifact_pipeline.serving.service import Service

        loop, settings = asyncio.get_running_loop(), self._app.settings
        service = Service(self._app, loop, self._voice.log)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end, number)
        loop.add_signal_handler(signal.SIGHUP, self._reloader.want)
        server = await loop.create_server(lambda: Connection(service), sock=bound, backlog=BACKLOG)
        self._voice.ready(url_of(bound))
        ticks = 0
        while self._stop_at is None or loop.time() < self._stop_at:
            self._reloader.tick(second=ticks % TICKS == 0)
            ticks += 1
            await asyncio.sleep(1 / TICKS)
        server.close()
        self._gone = service.gone
        service.finish()
        with suppress(TimeoutError):
            await asyncio.wait_for(service.gone.wait(), settings.grace)
        service.abort()
        if self._forced:
            raise KeyboardInterrupt

    def _end(self, number: int) -> None:
        again = self._stop_at is not None
        self._app.ready = False
        delay = 0.0 if number == signal.SIGINT or again else self._app.settings.drain
        self._stop_at = asyncio.get_running_loop().time() + delay
        self._forced = again and number == signal.SIGINT
        if self._forced and self._gone is not None:
            self._gone.set()


class Reloader:
    """Looks at the artifact anew: verified first, swapped between two requests, or left as it is."""

    def __init__(self, app: App, load: Callable[[], Verified], voice: Voice) -> None:
        self._app, self._load, self._voice = app, load, voice
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="reload")
        self._task: asyncio.Task[None] | None = None
        self._wanted = False
        self._looked_at = self._target()

    def want(self) -> None:
        """Reload, once the reload that may be under way is done."""
        self._wanted = True

    def tick(self, *, second: bool) -> None:
        """Begin a reload that is wanted; with `second`, see whether the pointer has moved."""
        if second and self._app.settings.follow is not None:
            target = self._target()
            # What was refused is not tried again before the pointer moves on.
            self._wanted |= target is not None and target != self._looked_at
        if self._wanted and (self._task is None or self._task.done()):
            self._wanted = False
            self._looked_at = self._target()
            self._task = asyncio.get_running_loop().create_task(self._reload())

    def _target(self) -> Path | None:
        pointer = self._app.settings.follow
        if pointer is None:
            return None
        try:
            return resolve(pointer)
        except ArtifactRejected:  # nothing is there just now
            return None

    async def _reload(self) -> None:
        before = self._app.served
        outcome: Outcome = "refused"
        try:
            verified = await asyncio.get_running_loop().run_in_executor(self._thread, self._load)
            if verified.digest == before.verified.digest:
                outcome = "unchanged"
                told = f"unchanged: {verified.digest}"
            else:
                served = await asyncio.get_running_loop().run_in_executor(self._thread, open_model, verified)
                self._app.serve(served)
                outcome = "served"
                told = f"serving: {verified.digest}, after {before.verified.digest}"
        except PipelineError as error:
            told = f"refused, {before.verified.digest} goes on serving: {'; '.join(str(error).splitlines())}"
        self._app.figures.reload(outcome)
        self._voice.tell(told)
