"""The trials of a search on a Dask cluster: one at a time in each worker process, and each where this process says.

Dask brings the bench to each worker once, from one to the other. A worker that is gone gives its trial back. What a
worker computes with must be what this process would compute with, to the kernel of BLAS: another one is refused,
whenever it joins.
"""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache, partial
from queue import Empty, SimpleQueue
from threading import Lock
from typing import TYPE_CHECKING, Any

from artifact_pipeline.artifact.environment import Environment
from artifact_pipeline.canonical import dotted
from artifact_pipeline.errors import PipelineError, Problem
from artifact_pipeline.prediction import cluster
from artifact_pipeline.runtime import CACHE_VARIABLE
from artifact_pipeline.training.unchanged import source_digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from artifact_pipeline.artifact.trials import SearchResults
    from artifact_pipeline.training.search.bench import Asked, Bench

    Sent = tuple[Asked, Any]

_TRIES = 3
"""How many workers a trial may end."""
_LOOK = 1.0
"""Seconds from one look at which workers there are to the next."""
_PATIENCE = 60.0
"""Seconds without any worker after which the search ends."""
_HINT_RESUME = "what was found is kept: the same train goes on with it"
_HINT_SAME = (
    "install the same packages on every machine of the cluster, and start each worker with OPENBLAS_CORETYPE=Haswell "
    "OPENBLAS_L2_SIZE=512, as train runs"
)


@contextmanager
def on_cluster(bench: Bench, scheduler: str) -> Iterator[_OnCluster]:
    """Give what runs trials on a Dask cluster that is there.

    Args:
        bench: what a trial needs.
        scheduler: its address, such as `tcp://host:8786`.

    Raises:
        PipelineError: it does not answer, it has no worker, or a worker computes with something else than this process.
    """
    with cluster.connected(scheduler) as client:
        # A task, and not scattered: what is scattered is lost with the workers that hold it, a task is done again.
        sent = client.submit(_hold, bench, pure=False)
        yield _OnCluster(client, sent)


@dataclass(slots=True)
class _OnCluster:
    client: Any
    bench: Any
    _workers: set[str] = field(default_factory=set)
    _running: dict[str, Sent] = field(default_factory=dict)
    _deaths: Counter[Asked] = field(default_factory=Counter)
    _looked: float = float("-inf")
    _seen: float = field(default_factory=time.monotonic)

    def results(self, asked: Sequence[Asked]) -> Iterator[SearchResults.Trial]:
        """Run as many at a time as there are workers, those that join later too.

        Raises:
            PipelineError: a trial ends each worker that runs it, no worker is left, or one that joined is refused.
        """
        waiting, done = deque(asked), SimpleQueue[str]()
        while waiting or self._running:
            if time.monotonic() - self._looked >= _LOOK:
                self._look(waiting)
            self._give(waiting, done)
            try:
                worker = done.get(timeout=_LOOK)
            except Empty:
                continue
            if worker not in self._running or not self._running[worker][1].done():
                continue  # it was given up meanwhile
            trial = self._taken(worker)
            if trial is None:
                self._looked = float("-inf")
                waiting.appendleft(self._buried(worker))
                continue
            self._give(waiting, done)  # before the result is written
            yield trial

    def _look(self, waiting: deque[Asked]) -> None:
        """See which workers there are; the trials of those that are gone wait again.

        Raises:
            PipelineError: the scheduler is gone, no worker is left, or one that joined is refused.
        """
        try:
            found = {*self.client.nthreads()}
            joined = [*(found - self._workers)]
            answers = self.client.run(_computes_with, workers=joined, on_error="return") if joined else {}
        except (OSError, RuntimeError, ValueError) as error:
            raise PipelineError("the Dask scheduler is gone", hint=_HINT_RESUME) from error
        self._looked = time.monotonic()
        gone = {address for address, answer in answers.items() if isinstance(answer, OSError)}
        _check({address: answer for address, answer in answers.items() if address not in gone})
        self._workers = found - gone
        waiting.extendleft(self._buried(worker) for worker in [*self._running] if worker not in self._workers)
        if self._workers:
            self._seen = self._looked
        elif self._looked - self._seen >= _PATIENCE:
            message = f"the Dask cluster has had no worker for {_PATIENCE:.0f} seconds"
            raise PipelineError(message, hint=f"start some; {_HINT_RESUME}")

    def _give(self, waiting: deque[Asked], done: SimpleQueue[str]) -> None:
        """Give each worker that is free a trial."""
        for worker in self._workers - self._running.keys():
            if not waiting:
                return
            asked = waiting.popleft()
            future = self.client.submit(_run, self.bench, asked, workers=[worker], pure=False)
            self._running[worker] = asked, future
            future.add_done_callback(partial(_note, done, worker))

    def _taken(self, worker: str) -> SearchResults.Trial | None:
        """Take the result of a worker; None where it went with the worker."""
        from concurrent.futures import CancelledError

        from distributed.scheduler import KilledWorker

        try:
            trial: SearchResults.Trial = self._running[worker][1].result(timeout=cluster.TIMEOUT)
        except (CancelledError, KilledWorker, TimeoutError):
            return None
        del self._running[worker]  # and Dask forgets the result
        return trial

    def _buried(self, worker: str) -> Asked:
        """Return the trial of a worker that is gone.

        Raises:
            PipelineError: it has ended some of them.
        """
        asked, future = self._running.pop(worker)
        self._workers.discard(worker)
        future.cancel()
        self._deaths[asked] += 1
        if self._deaths[asked] >= _TRIES:
            message = f"the trial {asked[0]} of the search has ended {_TRIES} workers of the cluster"
            raise PipelineError(message, hint=f"see their logs, perhaps for a lack of memory; {_HINT_RESUME}")
        return asked


def _note(done: SimpleQueue[str], worker: str, _: Any) -> None:
    done.put(worker)


def _check(answers: Mapping[str, object]) -> None:
    """Refuse workers that compute with something else than this process, each by its name.

    Raises:
        PipelineError: some do.
    """
    here = _computes_with()
    problems = []
    for address, there in sorted(answers.items()):
        if not isinstance(there, dict):
            problems.append(Problem(f"worker {address}", "worker-version", f"cannot load artifact-pipeline: {there}"))
            continue
        problems += [
            Problem(
                f"worker {address}", "worker-environment", f"{part} is {there.get(part)!r}, here {here.get(part)!r}"
            )
            for part in sorted({*here, *there})
            if here.get(part) != there.get(part)
        ]
    if problems:
        raise PipelineError("the workers are not as this process is", problems=problems, hint=_HINT_SAME)


# What runs on a worker.

_ONE = Lock()
"""One trial at a time in a process, whatever threads it has: each sets how many threads BLAS has."""


@lru_cache(maxsize=1)
def _computes_with() -> dict[str, str]:
    """All that decides the bits of a result: Python, system, packages, this package's code, BLAS and its kernel."""
    import sklearn.linear_model

    assert sklearn.linear_model  # BLAS is loaded by it, SciPy's too
    found = dotted(Environment.here().plain())
    return {name: str(value) for name, value in found.items()} | {
        "source": source_digest(),
        CACHE_VARIABLE: os.environ.get(CACHE_VARIABLE, ""),
    }


def _hold(bench: Bench) -> Bench:
    """Give the bench back, as a task that others wait for: Dask brings it to each worker once."""
    return bench


def _run(bench: Bench, asked: Asked) -> SearchResults.Trial:
    """Run a trial."""
    with _ONE:
        return bench.run(asked)
