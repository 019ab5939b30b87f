"""Where the trials of a search run: here, in processes of their own, or on a cluster.

Workers take the keys of trials, and yield each result as it comes, in any order. The bench is sent to each process
once, and a process that dies in mid-trial is replaced, and its trial runs again.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import connection, get_context, parent_process
from typing import TYPE_CHECKING, Any, Protocol

from artifact_pipeline.errors import PipelineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    from artifact_pipeline.artifact.trials import SearchResults
    from artifact_pipeline.training.search.bench import Bench, TrialKey

_MAX_DEATHS = 3
"""Processes that one trial may end."""


class Workers(Protocol):
    """Runs the trials of a search."""

    def results(self, keys: Sequence[TrialKey]) -> Iterator[SearchResults.Trial]:
        """Run trials, and yield each result as it comes, in any order."""
        ...


@contextmanager
def workers(bench: Bench, at: int | str) -> Iterator[Workers]:
    """Start the workers of a search; no process of them is left afterwards.

    `at` is how many trials run at a time, of which 1 runs in this process; or the address of a Dask scheduler.
    """
    if isinstance(at, str):
        from artifact_pipeline.training.search.cluster import on_cluster

        with on_cluster(bench, at) as there:
            yield there
        return
    if at == 1:
        yield _InProcess(bench)
        return
    pool = _Processes(bench, at)
    try:
        yield pool
    finally:
        pool.end()


@dataclass(frozen=True, slots=True)
class _InProcess:
    bench: Bench

    def results(self, keys: Sequence[TrialKey]) -> Iterator[SearchResults.Trial]:
        """Run one after the other."""
        yield from map(self.bench.run, keys)


@dataclass(slots=True)
class _Worker:
    """A process, the end of its pipe, and the trial that it runs."""

    process: SpawnProcess
    pipe: Connection
    key: TrialKey | None = None


@dataclass(slots=True)
class _Processes:
    bench: Bench
    jobs: int
    _alive: list[_Worker] = field(default_factory=list)
    _deaths: Counter[TrialKey] = field(default_factory=Counter)

    def results(self, keys: Sequence[TrialKey]) -> Iterator[SearchResults.Trial]:
        """Run several at a time.

        Raises:
            PipelineError: a trial ends each process that runs it.
        """
        waiting = deque(keys)
        running = 0
        while waiting or running:
            self._start(min(self.jobs, len(waiting) + running) - len(self._alive))
            for each in self._alive:
                if each.key is None and waiting:
                    self._assign(each, waiting)
            done: Any = connection.wait([each.pipe for each in self._alive if each.key is not None])
            for each in [worker for worker in self._alive if worker.pipe in done]:
                try:
                    trial: SearchResults.Trial | BaseException = each.pipe.recv()
                except (EOFError, OSError):
                    waiting.appendleft(self._drop(each))
                    continue
                each.key = None
                if isinstance(trial, BaseException):
                    raise trial
                if waiting:  # before the result is written
                    self._assign(each, waiting)
                yield trial
            running = sum(each.key is not None for each in self._alive)

    def _assign(self, worker: _Worker, waiting: deque[TrialKey]) -> None:
        worker.key = waiting.popleft()
        with suppress(OSError):  # it has died; its pipe says so, too, and the trial runs again
            worker.pipe.send(worker.key)

    def _drop(self, worker: _Worker) -> TrialKey:
        """Remove a process that died, and return its trial.

        Raises:
            PipelineError: the trial has ended too many processes.
        """
        self._alive.remove(worker)
        worker.pipe.close()
        worker.process.join()
        key = worker.key
        assert key is not None
        self._deaths[key] += 1
        if self._deaths[key] >= _MAX_DEATHS:
            status = worker.process.exitcode
            raise PipelineError(
                f"the trial {key[0]} of the search has ended {_MAX_DEATHS} processes, the last with status {status}",
                hint="the memory may be too small for so many at a time: set fewer --jobs",
            )
        return key

    def _start(self, count: int) -> None:
        """Start some processes, and give each the bench."""
        context, started = get_context("spawn"), []
        for _ in range(count):
            ours, its = context.Pipe()
            process = context.Process(target=_run_trials, args=(its,), daemon=True)
            process.start()
            its.close()
            self._alive.append(_Worker(process, ours))
            started.append(ours)
        for pipe in started:  # which waits until the process reads
            with suppress(OSError):  # it died before it read; the first trial that it is given finds that out
                pipe.send(self.bench)

    def end(self) -> None:
        """End every process, in mid-trial too."""
        for each in self._alive:
            each.process.kill()
        for each in self._alive:
            each.process.join()
            each.pipe.close()
        self._alive.clear()


def _run_trials(pipe: Connection) -> None:
    """Run trials in a process of its own until the pipe is closed."""
    import signal
    from threading import Thread

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process ends this one
    Thread(target=_exit_with_parent, daemon=True).start()
    try:
        bench: Bench = pipe.recv()
        while True:
            key: TrialKey = pipe.recv()
            try:
                trial = bench.run(key)
            except BaseException as error:
                pipe.send(error)  # it is raised where the search runs
                raise
            pipe.send(trial)
    except (EOFError, OSError):
        return


def _exit_with_parent() -> None:
    """End this process as soon as the one that started it has ended, however that was."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
