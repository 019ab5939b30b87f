"""The server: one process that listens, loads anew when it is told to, and ends when its requests have."""

from __future__ import annotations

import asyncio
import errno
import gc
import resource
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from artifact_pipeline.artifact.pointer import is_fixed, resolve
from artifact_pipeline.errors import ArtifactRejected, ConfigError, PipelineError
from artifact_pipeline.serving.figures import Board, Figures
from artifact_pipeline.serving.model import open_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from artifact_pipeline.artifact.verified import Verified
    from artifact_pipeline.serving.app import App
    from artifact_pipeline.serving.figures import Outcome
    from artifact_pipeline.serving.settings import Settings

TICKS = 10
"""Looks a second at what is to be done."""
BACKLOG = 1024
OWN_FILES = 128
"""Open files beside the connections' at most: those of the process, and of an artifact that it loads anew."""
YOUNG = 5000
"""New objects after which garbage is looked for among them; a request's own are gone with it."""


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


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process stands among those that serve together.

    Attributes:
        board: the memory that they share.
        worker: which of them it is.
        parent: a pipe that ends when the process that has started it does, or wants its end; None where there is none.
        served: told the digest of each artifact that it serves after its first one.
    """

    board: Board
    worker: int = 0
    parent: int | None = None
    served: Callable[[str], None] = lambda _digest: None


def bind(settings: Settings) -> socket.socket:
    """Take the port, without listening on it yet.

    Raises:
        ConfigError: it is taken, or the address is not this machine's, or there is none.
    """
    if not settings.host:
        raise ConfigError("--host is empty", hint="--host 127.0.0.1 is this machine alone; 0.0.0.0 is all addresses")
    try:
        (family, _, _, _, address), *_ = socket.getaddrinfo(
            _without_brackets(settings.host), settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
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


def _without_brackets(host: str) -> str:
    """The address, where it is written as in a URL: `[::1]`."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def _unbound(settings: Settings, error: Exception) -> ConfigError:
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    busy = isinstance(error, OSError) and error.errno in {errno.EADDRINUSE, errno.EACCES}
    return ConfigError(
        f"cannot listen on {settings.host}, port {settings.port}: {words.lower()}",
        hint="--port 0 takes any that is free" if busy else "--host names an address of this machine; 0.0.0.0 is all",
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
        ConfigError: the port cannot be had, the policy cannot be used, more connections are asked for than the
            process may hold, or what is to be followed is no pointer.
        StorageError: the feedback cannot be written.
        PipelineError: a worker could not start.
    """
    _make_room(settings)
    if settings.follow is not None and is_fixed(settings.follow):
        raise ConfigError(
            f"--follow: {settings.follow} is a folder and no pointer, so it never leads elsewhere",
            hint="serve a symbolic link that leads to it, or leave --follow out and send SIGHUP after a change",
        )
    with bind(settings) as bound, _hangups_later():
        if settings.workers > 1:
            from artifact_pipeline.serving.workers import serve_by_workers

            serve_by_workers(load, settings, voice, bound)
            return
        verified = load()
        board = Board(1, settings.window, len(verified.manifest.model.inputs))
        run_worker(verified, load, settings, voice=voice, bound=bound, place=Place(board))


def _make_room(settings: Settings) -> None:
    """Let the process open as many files as its connections may come to: no client can take the last one of them."""
    from artifact_pipeline.serving.limits import SPARE

    needed = settings.connections + SPARE + OWN_FILES
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if now == resource.RLIM_INFINITY or now >= needed:
        return
    if most != resource.RLIM_INFINITY and most < needed:
        raise ConfigError(
            f"--connections {settings.connections} needs {needed:,} open files, and this process may have {most:,}",
            hint="fewer connections, or a higher limit (ulimit -n, LimitNOFILE=)",
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, most))


@contextmanager
def _hangups_later() -> Iterator[None]:
    """Keep a SIGHUP until somebody heeds it: before that, it would end the process."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def run_worker(
    verified: Verified,
    load: Callable[[], Verified],
    settings: Settings,
    *,
    voice: Voice,
    bound: socket.socket,
    place: Place,
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
    app = App(served, settings, Figures(place.board, place.worker, served))
    _listen(bound, settings)
    # What is there by now stays; what a request leaves in cycles goes soon, so that the memory stays flat.
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 10, 10)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_Life(app, Reloader(app, load, voice, place.served), voice).live(bound, place.parent))


def _listen(bound: socket.socket, settings: Settings) -> None:
    try:
        bound.listen(BACKLOG)
    except OSError as error:  # whoever listened first has the port, and not who took it first
        raise _unbound(settings, error) from error


class _Life:
    """A process's life as a server: it listens until it is told to end, and ends when its requests have."""

    def __init__(self, app: App, reloader: Reloader, voice: Voice) -> None:
        self._app, self._reloader, self._voice = app, reloader, voice
        self._stop_at: float | None = None
        self._hurried = self._forced = False  # Ctrl-C was pressed, or pressed twice
        self._gone: asyncio.Event | None = None  # once only the end of connections is waited for

    async def live(self, bound: socket.socket, parent: int | None) -> None:
        """Answer, and return once the end has come.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed twice.
        """
        from artifact_pipeline.serving.connection import Connection
        from artifact_pipeline.serving.service import Service

        loop, settings = asyncio.get_running_loop(), self._app.settings
        service = Service(self._app, loop, self._voice.log)
        self._heed(loop, parent)
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
        if not self._forced:
            with suppress(TimeoutError):
                await asyncio.wait_for(service.gone.wait(), settings.grace)
        service.abort()
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
        if self._forced and self._gone is not None:
            self._gone.set()

    def _orphaned(self, loop: asyncio.AbstractEventLoop, parent: int) -> None:
        loop.remove_reader(parent)
        self._end(delay=0.0)


class Reloader:
    """Looks at the artifact anew: verified first, swapped between two requests, or left as it is."""

    def __init__(
        self, app: App, load: Callable[[], Verified], voice: Voice, served: Callable[[str], None] = lambda _digest: None
    ) -> None:
        self._app, self._load, self._voice, self._served = app, load, voice, served
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="reload")
        self._task: asyncio.Task[None] | None = None
        self._wanted = False
        # Not what the pointer leads to by now: it may have moved since this artifact was read.
        self._looked_at = app.served.verified.folder

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
            self._looked_at = self._target() or self._looked_at
            self._task = asyncio.get_running_loop().create_task(self._reload())
            self._task.add_done_callback(self._done)

    def _target(self) -> Path | None:
        pointer = self._app.settings.follow
        if pointer is None:
            return None
        try:
            return resolve(pointer)
        except ArtifactRejected:  # nothing is there just now
            return None

    async def _reload(self) -> None:
        loop, before = asyncio.get_running_loop(), self._app.served.verified.digest
        verified = await loop.run_in_executor(self._thread, self._load)
        if verified.digest == before:
            self._tell("unchanged", f"unchanged: {before}")
            return
        served = await loop.run_in_executor(self._thread, open_model, verified)
        self._app.serve(served)
        self._served(verified.digest)
        self._tell("served", f"serving: {verified.digest}, after {before}")

    def _done(self, task: asyncio.Task[None]) -> None:
        """Tell of a reload that was refused, or has failed by a bug of ours; the old artifact goes on either way."""
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        words = str(error) if isinstance(error, PipelineError) else f"{type(error).__name__}: {error}"
        self._tell("refused", f"refused, {self._app.served.verified.digest} goes on serving: {one_line(words)}")
        if not isinstance(error, PipelineError | ModuleNotFoundError):
            told = {"message": "a reload has failed, which is a bug of artifact-pipeline", "exception": error}
            task.get_loop().call_exception_handler(told)

    def _tell(self, outcome: Outcome, words: str) -> None:
        self._app.figures.reload(outcome)
        self._voice.tell(words)


def one_line(text: str) -> str:
    """A text of several lines as one sentence of a log."""
    return "; ".join(line.strip() for line in text.splitlines())
