"""Several processes on one port: forked from one that holds nothing heavy, and started again if they die.

Parent and workers are joined by two pipes. By one of its own each worker reports that it serves, what it serves later,
or why it cannot. Nobody writes to the other one: it ends when the parent does, however that dies, and the workers then.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn

from artifact_pipeline.errors import PipelineError, Problem
from artifact_pipeline.registry import remote
from artifact_pipeline.serving.binding import url_of
from artifact_pipeline.serving.metrics import forget_process, remove_metrics_folder
from artifact_pipeline.serving.process import WorkerPlace, run_worker
from artifact_pipeline.serving.reloading import one_line
from artifact_pipeline.serving.window import Windows

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from types import FrameType

    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.serving.reloading import ServerObserver
    from artifact_pipeline.serving.settings import Settings

PATIENCE = 30.0
"""Seconds that the workers have to start."""
_PAUSE = 1.0
"""Seconds between two starts of a worker at least."""
_TICK = 0.1
"""Seconds between two looks at the workers at most."""
_LATE = 0.5
"""Seconds beyond its own ones that a worker gets to end."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def serve_by_workers(
    load: Callable[[], Verified], settings: Settings, observer: ServerObserver, bound: socket.socket
) -> None:
    """Serve by `settings.workers` processes until SIGTERM or Ctrl-C.

    Raises:
        ArtifactRejected: the artifact is refused at the start.
        PipelineError: a worker does not start; of the kind that it has reported.
        KeyboardInterrupt: Ctrl-C was pressed twice.
    """
    _Family(load, settings, observer, bound).serve()


@dataclass(slots=True)
class _Child:
    """A worker's process.

    Attributes:
        worker: which worker it is.
        pid: its number.
        pipe: where it reports.
        born: when it was started.
        serves: the artifact digest that it has reported; None until it serves.
        news: whether it has reported that since it was last asked for.
        refused: why it cannot start, or None.
        begun: of what it reports, a line that has no end yet.
    """

    worker: int
    pid: int
    pipe: int
    born: float
    serves: str | None = None
    news: bool = False
    refused: PipelineError | None = None
    begun: bytes = b""

    def listen(self) -> bool:
        """Take in what it reports; False where nothing more can come."""
        data = os.read(self.pipe, 1 << 16)
        *lines, self.begun = (self.begun + data).split(b"\n")
        for report in map(json.loads, lines):
            if "serves" in report:
                self.serves, self.news = report["serves"], True
            else:
                self.refused = _error(report["refused"])
        return bool(data)


class _Ended(BaseException):
    """A signal has begun the end while the parent was busy."""


class _Family:
    """The workers, and what becomes of signals and of the dead."""

    def __init__(
        self, load: Callable[[], Verified], settings: Settings, observer: ServerObserver, bound: socket.socket
    ) -> None:
        self._load, self._settings, self._observer, self._bound = load, settings, observer, bound
        self._verified = load()
        self._windows = Windows(settings.workers, settings.window, len(self._verified.manifest.model.inputs))
        self._children: list[_Child] = []
        self._absent: dict[int, float] = {}  # workers, and when they are started again
        self._patience: float | None = None  # once the end has begun: until when it is waited for
        self._close_at = 0.0  # when the parent stops listening
        self._hurried = self._forced = False
        self._interruptible = False  # while an artifact is verified, which may have to be pulled
        self._alive, self._life = os.pipe()
        self._pid = os.getpid()

    def serve(self) -> None:
        """Start all, and tend them until the end."""
        for number in _SIGNALS:
            if number != signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._heed)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        try:
            self._start()
            while self._children or (self._absent and not self._ending()):
                self._tend()
        finally:
            self._pass_on(signal.SIGKILL)
            for child in self._children:
                os.waitpid(child.pid, 0)
        if self._forced:
            raise KeyboardInterrupt

    def _ending(self) -> bool:
        return self._patience is not None

    def _start(self) -> None:
        """Start all, and wait until all serve."""
        for worker in range(self._settings.workers):
            self._fork(worker)
        deadline = time.monotonic() + PATIENCE
        while not self._ending():
            ended = self._look()
            if not self._ending() and (ended or time.monotonic() > deadline):
                refused = [child.refused for child, _ in ended if child.refused is not None]
                raise (
                    refused[0]
                    if refused
                    else PipelineError("a worker did not start", hint="its own error stands above")
                )
            if all(child.serves for child in self._children):
                self._observer.ready(url_of(self._bound, self._settings))
                return

    def _tend(self) -> None:
        """Start dead workers again, and kill those that do not end."""
        ended, now = self._look(), time.monotonic()
        if self._patience is not None:
            if now >= self._close_at:
                self._bound.close()  # else what it listens on would take connections that no worker answers
            if now > self._patience:
                self._pass_on(signal.SIGKILL)
            return
        self._keep_up()
        for child, status in ended:
            outcome = f"refused: {one_line(str(child.refused))}" if child.refused else f"ended with {status}"
            self._observer.notice(f"worker {child.worker} has {outcome}; it is started again")
            self._absent[child.worker] = max(now, child.born + _PAUSE)
            forget_process(child.pid)
        for worker in [worker for worker, due in self._absent.items() if due <= now]:
            try:
                self._fork(worker)
            except OSError as error:
                self._observer.notice(f"worker {worker} cannot be started: {error.strerror}")
                self._absent[worker] = now + _PAUSE
            else:
                del self._absent[worker]

    def _look(self) -> list[tuple[_Child, int]]:
        """Take in what the workers report, or wait for it a moment; those that have ended, and how."""
        pipes = {child.pipe: child for child in self._children}
        for pipe in select.select(pipes, [], [], _TICK)[0]:
            pipes[pipe].listen()
        ended = []
        for child in list(self._children):
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid:
                self._children.remove(child)
                while child.listen():
                    pass
                os.close(child.pipe)
                ended.append((child, os.waitstatus_to_exitcode(status)))
        return ended

    def _keep_up(self) -> None:
        """Verify here too what a worker has begun to serve: one that is started again begins with it."""
        for child in self._children:
            if child.news and child.serves != self._verified.digest:
                verified = self._verify()
                if verified is None:  # what the pointer leads to has changed once more
                    continue
                if verified.digest == child.serves:
                    self._verified = verified
            child.news = False

    def _verify(self) -> Verified | None:
        """Verify what is to be served now; None where it is refused, out of reach, or the end has begun meanwhile."""
        try:
            self._interruptible = True
            try:
                verified = self._load()
            except PipelineError:
                verified = None
            self._interruptible = False
        except _Ended:
            return None
        return verified

    def _fork(self, worker: int) -> None:
        reader, writer = os.pipe()
        # A signal that comes now is the parent's, and waits until the parent knows its child.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            pid = os.fork()
            if not pid:
                self._become(worker, writer)
            self._children.append(_Child(worker, pid, reader, time.monotonic()))
        except OSError:
            os.close(reader)
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            os.close(writer)

    def _become(self, worker: int, pipe: int) -> NoReturn:
        """Be a worker, in a process of its own, to its end."""
        status = 1
        try:
            # Until the worker has a handler of its own, SIGTERM ends it, and SIGHUP waits for one. A terminal sends
            # Ctrl-C to parent and workers alike, and the parent passes it on: once is enough.
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGHUP})
            for descriptor in (self._life, *(child.pipe for child in self._children)):
                os.close(descriptor)
            status = self._work(worker, pipe)
        finally:
            if sys.exc_info()[0] is not None:
                sys.excepthook(*sys.exc_info())
            remote.remove_copies()
            if os.getppid() != self._pid:
                remove_metrics_folder()
            os._exit(status)  # what the parent would do at its end is the parent's

    def _work(self, worker: int, pipe: int) -> int:
        def report(**members: Any) -> None:
            with suppress(BrokenPipeError):  # the parent has died
                os.write(pipe, json.dumps(members).encode() + b"\n")

        def serves(digest: str) -> None:
            report(serves=digest)

        observer = replace(
            self._observer,
            ready=lambda _url: serves(self._verified.digest),
            notice=lambda text: self._observer.notice(f"worker {worker}: {text}"),
        )
        place = WorkerPlace(self._windows, worker, self._alive, serves)
        try:
            run_worker(self._verified, self._load, self._settings, observer=observer, bound=self._bound, place=place)
        except PipelineError as error:
            report(refused=_plain(error))
            return error.exit_status
        return 0

    def _heed(self, number: int, _frame: FrameType | None) -> None:
        """Pass a signal on, in the words that workers understand."""
        now, settings = time.monotonic(), self._settings
        if number == signal.SIGHUP:
            self._pass_on(signal.SIGHUP)
            return
        if number == signal.SIGTERM:
            if self._patience is None:
                self._close_at = now + settings.drain
                self._patience = self._close_at + settings.grace + _LATE
            self._pass_on(signal.SIGTERM)
        elif self._hurried:
            self._forced = True
            self._pass_on(signal.SIGKILL)
        else:
            self._hurried, self._close_at, self._patience = True, now, now + settings.grace + _LATE
            os.close(self._life)
        if self._interruptible:
            self._interruptible = False
            raise _Ended

    def _pass_on(self, number: int) -> None:
        for child in list(self._children):
            with suppress(ProcessLookupError):
                os.kill(child.pid, number)


def _plain(error: PipelineError) -> dict[str, Any]:
    problems = [(each.place, each.rule, each.message) for each in error.problems]
    return {"status": error.exit_status, "message": error.message, "problems": problems, "hint": error.hint}


def _error(plain: dict[str, Any]) -> PipelineError:
    family: tuple[type[PipelineError], ...] = (PipelineError, *PipelineError.__subclasses__())
    kinds = {kind.exit_status: kind for kind in family}
    problems = [Problem(*each) for each in plain["problems"]]
    return kinds[plain["status"]](plain["message"], problems=problems, hint=plain["hint"])
