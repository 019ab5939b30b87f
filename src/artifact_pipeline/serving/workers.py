"""Several processes on one port: forked from one that holds nothing heavy, and started anew if they die."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from artifact_pipeline.errors import PipelineError
from artifact_pipeline.serving.figures import Board
from artifact_pipeline.serving.server import run_worker, url_of

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from types import FrameType

    from artifact_pipeline.artifact.verify import Verified
    from artifact_pipeline.serving.server import Voice
    from artifact_pipeline.serving.settings import Settings

PATIENCE = 30.0
"""Seconds that the workers have to start."""
PAUSE = 1.0
"""Seconds that a worker must have lived to be started anew at once."""


def serve_by_workers(load: Callable[[], Verified], settings: Settings, voice: Voice, bound: socket.socket) -> None:
    """Serve by `settings.workers` processes until SIGTERM or Ctrl-C.

    Raises:
        ArtifactRejected: the artifact is refused at the start.
        PipelineError: a worker does not start.
    """
    verified = load()
    board = Board(settings.workers, settings.window, len(verified.manifest.model.inputs))
    family = _Family(lambda ready, worker: _work(ready, verified, load, settings, place=(voice, bound, board, worker)))
    family.start(settings.workers)
    voice.ready(url_of(bound))
    family.tend(voice)


def _work(
    ready: Callable[[], None],
    verified: Verified,
    load: Callable[[], Verified],
    settings: Settings,
    *,
    place: tuple[Voice, socket.socket, Board, int],
) -> None:
    voice, bound, board, worker = place
    told = replace(voice, ready=lambda _url: ready(), tell=lambda text: voice.tell(f"worker {worker}: {text}"))
    run_worker(verified, load, settings, voice=told, bound=bound, place=(board, worker))


class _Family:
    """The workers, by their process numbers, and what becomes of signals and of the dead."""

    def __init__(self, work: Callable[[Callable[[], None], int], None]) -> None:
        self._work = work
        self._children: dict[int, tuple[int, float]] = {}
        self._ending = False

    def start(self, workers: int) -> None:
        """Start all, and wait until all listen."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._pass_on)
        reader, writer = os.pipe()
        try:
            for worker in range(workers):
                self._fork(worker, writer)
            self._wait_for(reader, workers)
        finally:
            os.close(reader)
            os.close(writer)

    def _wait_for(self, reader: int, workers: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while workers and not self._ending:
            ready, _, _ = select.select([reader], [], [], 0.1)
            if ready:
                workers -= len(os.read(reader, workers))
            dead, _ = os.waitpid(-1, os.WNOHANG)
            self._children.pop(dead, None)
            if dead or time.monotonic() > deadline:
                self._pass_on(signal.SIGTERM, None)
                raise PipelineError("a worker did not start", hint="its own error stands above")

    def _fork(self, worker: int, writer: int | None) -> None:
        pid = os.fork()
        if pid:
            self._children[pid] = (worker, time.monotonic())
            return
        status = 1
        try:
            # Until the worker has handlers of its own, a signal ends it.
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            self._work(lambda: _write(writer), worker)
            status = 0
        finally:
            if sys.exc_info()[0] not in {None, KeyboardInterrupt}:
                sys.excepthook(*sys.exc_info())
            os._exit(status)  # what the parent would do at its end is the parent's

    def tend(self, voice: Voice) -> None:
        """Wait for the end, and start anew whoever has died before it."""
        while self._children:
            try:
                pid, status = os.waitpid(-1, 0)
            except ChildProcessError:
                return
            worker, born = self._children.pop(pid)
            if self._ending:
                continue
            voice.tell(f"worker {worker} has ended with {os.waitstatus_to_exitcode(status)}; it is started anew")
            if time.monotonic() - born < PAUSE:
                time.sleep(PAUSE)
            if not self._ending:
                self._fork(worker, None)

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        self._ending = self._ending or number != signal.SIGHUP
        for pid in list(self._children):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue


def _write(writer: int | None) -> None:
    if writer is not None:
        os.write(writer, b"1")
