"""Several worker processes on one port: forked from a parent that holds nothing heavy, and restarted if they die.

Each worker has a pipe to the parent, by which it reports what it serves, or why it cannot start. Another pipe goes from
the parent to all workers, and nothing is written to it: it reaches its end when the parent ends, however that happens,
and then the workers end too.
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
from artifact_pipeline.files import reason_of
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

START_TIMEOUT = 30.0
"""Seconds that the workers have to start."""
_RESTART_PAUSE = 1.0
"""Seconds between two starts of a worker at least."""
_POLL_INTERVAL = 0.1
"""Seconds between two rounds of the parent's loop at most."""
_KILL_DELAY = 0.5
"""Seconds after its own grace period at which a worker that still runs is killed."""
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
    _Supervisor(load, settings, observer, bound).serve()


@dataclass(slots=True)
class _Child:
    """A worker's process, as the parent sees it.

    Attributes:
        worker: the worker's number.
        pid: its process id.
        pipe: the descriptor from which its reports are read.
        started: when it was started.
        serves: the artifact digest that it has reported; None until it serves.
        unverified: whether the parent has yet to verify that artifact.
        refused: why it cannot start, or None.
        incomplete: the bytes of a report that has not come whole.
    """

    worker: int
    pid: int
    pipe: int
    started: float
    serves: str | None = None
    unverified: bool = False
    refused: PipelineError | None = None
    incomplete: bytes = b""

    def read_reports(self) -> bool:
        """Read what it has reported; return False at the end of the pipe."""
        data = os.read(self.pipe, 1 << 16)
        *lines, self.incomplete = (self.incomplete + data).split(b"\n")
        for report in map(json.loads, lines):
            if "serves" in report:
                self.serves, self.unverified = report["serves"], True
            else:
                self.refused = _error(report["refused"])
        return bool(data)


class _EndRequested(BaseException):
    """A signal asked for the end while the parent verified an artifact."""


class _Supervisor:
    """The parent: it starts the workers, passes signals on to them, and restarts those that die."""

    def __init__(
        self, load: Callable[[], Verified], settings: Settings, observer: ServerObserver, bound: socket.socket
    ) -> None:
        self._load, self._settings, self._observer, self._bound = load, settings, observer, bound
        self._verified = load()
        self._windows = Windows(settings.workers, settings.window, len(self._verified.manifest.model.inputs))
        self._children: list[_Child] = []
        self._restart_at: dict[int, float] = {}  # of each worker that does not run
        self._kill_at: float | None = None  # set once the end has begun: when workers that still run are killed
        self._close_at = 0.0  # when the parent stops listening
        self._interrupted = self._forced = False  # Ctrl-C was pressed, or pressed twice
        self._interruptible = False  # while an artifact is verified, which may have to be pulled
        self._life_reader, self._life_writer = os.pipe()
        self._pid = os.getpid()

    def serve(self) -> None:
        """Start the workers, and supervise them until all have ended."""
        for number in _SIGNALS:
            if number != signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._handle_signal)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        try:
            self._start()
            while self._children or (self._restart_at and not self._ending()):
                self._supervise()
        finally:
            self._signal_children(signal.SIGKILL)
            for child in self._children:
                os.waitpid(child.pid, 0)
        if self._forced:
            raise KeyboardInterrupt

    def _ending(self) -> bool:
        return self._kill_at is not None

    def _start(self) -> None:
        """Start all workers, and wait until all serve.

        Raises:
            PipelineError: one cannot be forked, has ended, for the reason that it reports, or takes too long.
        """
        for worker in range(self._settings.workers):
            try:
                self._fork(worker)
            except OSError as error:
                words = f"worker {worker} cannot be started: {reason_of(error)}"
                raise PipelineError(words, hint="fewer --workers, or a higher limit (ulimit -u)") from error
        deadline = time.monotonic() + START_TIMEOUT
        while not self._ending():
            ended = self._poll()
            if not self._ending() and (ended or time.monotonic() > deadline):
                for child, _ in ended:
                    if child.refused is not None:
                        raise child.refused
                raise PipelineError("a worker did not start", hint="its own error stands above")
            if all(child.serves for child in self._children):
                self._observer.ready(url_of(self._bound, self._settings))
                return

    def _supervise(self) -> None:
        """Restart workers that have ended; once the end has begun, kill those that take too long."""
        ended, now = self._poll(), time.monotonic()
        if self._kill_at is not None:
            if now >= self._close_at:
                self._bound.close()  # or the system would accept connections that no worker answers
            if now > self._kill_at:
                self._signal_children(signal.SIGKILL)
            return
        self._verify_reported()
        for child, status in ended:
            outcome = f"refused: {one_line(str(child.refused))}" if child.refused else f"ended with {status}"
            self._observer.notice(f"worker {child.worker} has {outcome}; it is started again")
            self._restart_at[child.worker] = max(now, child.started + _RESTART_PAUSE)
            forget_process(child.pid)
        for worker in [worker for worker, due in self._restart_at.items() if due <= now]:
            try:
                self._fork(worker)
            except OSError as error:
                self._observer.notice(f"worker {worker} cannot be started: {error.strerror}")
                self._restart_at[worker] = now + _RESTART_PAUSE
            else:
                del self._restart_at[worker]

    def _poll(self) -> list[tuple[_Child, int]]:
        """Read the workers' reports, or wait a moment for one; return the workers that have ended, and how."""
        pipes = {child.pipe: child for child in self._children}
        for pipe in select.select(pipes, [], [], _POLL_INTERVAL)[0]:
            pipes[pipe].read_reports()
        ended = []
        for child in list(self._children):
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid:
                self._children.remove(child)
                while child.read_reports():
                    pass
                os.close(child.pipe)
                ended.append((child, os.waitstatus_to_exitcode(status)))
        return ended

    def _verify_reported(self) -> None:
        """Verify in the parent what a worker has begun to serve: a worker that is restarted begins with it."""
        for child in self._children:
            if child.unverified and child.serves != self._verified.digest:
                verified = self._verify()
                if verified is None:  # the pointer has moved once more
                    continue
                if verified.digest == child.serves:
                    self._verified = verified
            child.unverified = False

    def _verify(self) -> Verified | None:
        """Verify what is to be served now; None where it is refused, out of reach, or the end has begun meanwhile."""
        try:
            self._interruptible = True
            try:
                return self._load()
            except PipelineError:
                return None
            finally:
                self._interruptible = False
        except _EndRequested:
            return None

    def _fork(self, worker: int) -> None:
        """Fork a worker, unless the end has begun: it would miss the signal that the others have got."""
        # A signal that comes now is for the parent, and waits until the parent has noted its child.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            if not self._ending():
                self._children.append(self._forked(worker))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _forked(self, worker: int) -> _Child:
        reader, writer = os.pipe()
        try:
            pid = os.fork()
            if not pid:
                self._run_child(worker, writer)
        except OSError:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        return _Child(worker, pid, reader, time.monotonic())

    def _run_child(self, worker: int, pipe: int) -> NoReturn:
        """Run a worker in the process that was forked, and end that process."""
        status = 1
        try:
            # Until the worker has its own handlers, SIGTERM ends it, and SIGHUP is blocked. A terminal sends Ctrl-C to
            # the workers too, and the parent passes it on: they ignore the first.
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGHUP})
            for descriptor in (self._life_writer, *(child.pipe for child in self._children)):
                os.close(descriptor)
            status = self._work(worker, pipe)
        finally:
            if sys.exc_info()[0] is not None:
                sys.excepthook(*sys.exc_info())
            remote.remove_copies()
            if os.getppid() != self._pid:
                remove_metrics_folder()
            os._exit(status)  # without the parent's exit handlers

    def _work(self, worker: int, pipe: int) -> int:
        def report(**members: Any) -> None:
            with suppress(BrokenPipeError):  # the parent has died
                os.write(pipe, json.dumps(members).encode() + b"\n")

        observer = replace(
            self._observer,
            ready=lambda _url: report(serves=self._verified.digest),
            notice=lambda text: self._observer.notice(f"worker {worker}: {text}"),
        )
        place = WorkerPlace(self._windows, worker, self._life_reader, lambda digest: report(serves=digest))
        try:
            run_worker(self._verified, self._load, self._settings, observer=observer, bound=self._bound, place=place)
        except PipelineError as error:
            report(refused=_plain(error))
            return error.exit_status
        return 0

    def _handle_signal(self, number: int, _frame: FrameType | None) -> None:
        """Pass SIGHUP and SIGTERM on; let the workers end at the first Ctrl-C, and kill them at the second."""
        now, settings = time.monotonic(), self._settings
        if number == signal.SIGHUP:
            self._signal_children(signal.SIGHUP)
            return
        if number == signal.SIGTERM:
            if self._kill_at is None:
                self._close_at = now + settings.drain
                self._kill_at = self._close_at + settings.grace + _KILL_DELAY
            self._signal_children(signal.SIGTERM)
        elif self._interrupted:
            self._forced = True
            self._signal_children(signal.SIGKILL)
        else:
            self._interrupted, self._close_at, self._kill_at = True, now, now + settings.grace + _KILL_DELAY
            os.close(self._life_writer)
        if self._interruptible:
            self._interruptible = False
            raise _EndRequested

    def _signal_children(self, number: int) -> None:
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
