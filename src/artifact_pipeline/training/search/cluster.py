"""The trials of a search on a Dask cluster: one at a time in each worker process, assigned by this process.

Dask brings the bench to each worker once, from one to the other. The trial of a worker that is gone runs again. A
worker must have the same packages, code and BLAS kernel as this process: another one is refused, whenever it joins.
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
    from artifact_pipeline.training.search.bench import Bench, TrialKey

    Sent = tuple[TrialKey, Any]

_MAX_DEATHS = 3
"""Workers that one trial may end."""
_UPDATE_SECONDS = 1.0
"""Seconds between two requests for the list of workers."""
_MAX_IDLE_SECONDS = 60.0
"""Seconds without any worker after which the search ends."""
_HINT_RESUME = "what was found is kept: the same train goes on with it"
_HINT_SAME = (
    "install the same packages on every machine of the cluster, and start each worker with OPENBLAS_CORETYPE=Haswell "
    "OPENBLAS_L2_SIZE=512, as train runs"
)


@contextmanager
def on_cluster(bench: Bench, scheduler: str) -> Iterator[_ClusterWorkers]:
    """Connect to a Dask cluster that runs trials; `scheduler` is its address, such as `tcp://host:8786`.

    Raises:
        PipelineError: it does not answer, it has no worker, or a worker computes with something else than this process.
    """
    with cluster.connected(scheduler) as client:
        # A task, and not scattered: what is scattered is lost with the workers that hold it, a task is done again.
        sent = client.submit(_same, bench, pure=False)
        yield _ClusterWorkers(client, sent)


@dataclass(slots=True)
class _ClusterWorkers:
    client: Any
    bench: Any
    _workers: set[str] = field(default_factory=set)
    _running: dict[str, Sent] = field(default_factory=dict)
    _deaths: Counter[TrialKey] = field(default_factory=Counter)
    _updated: float = float("-inf")
    _last_with_workers: float = field(default_factory=time.monotonic)

    def results(self, keys: Sequence[TrialKey]) -> Iterator[SearchResults.Trial]:
        """Run as many at a time as there are workers, those that join later too.

        Raises:
            PipelineError: a trial ends each worker that runs it, no worker is left, or one that joined is refused.
        """
        waiting, done = deque(keys), SimpleQueue[str]()
        while waiting or self._running:
            if time.monotonic() - self._updated >= _UPDATE_SECONDS:
                self._update_workers(waiting)
            self._assign(waiting, done)
            try:
                worker = done.get(timeout=_UPDATE_SECONDS)
            except Empty:
                continue
            if worker not in self._running or not self._running[worker][1].done():
                continue  # the worker was dropped meanwhile
            trial = self._result_of(worker)
            if trial is None:
                self._updated = float("-inf")
                waiting.appendleft(self._drop(worker))
                continue
            self._assign(waiting, done)  # before the result is written
            yield trial

    def _update_workers(self, waiting: deque[TrialKey]) -> None:
        """Update the list of workers; the trials of those that are gone wait again.

        Raises:
            PipelineError: the scheduler is gone, no worker is left, or one that joined is refused.
        """
        try:
            found = {*self.client.nthreads()}
            joined = [*(found - self._workers)]
            answers = self.client.run(_numerics, workers=joined, on_error="return") if joined else {}
        except (OSError, RuntimeError, ValueError) as error:
            raise PipelineError("the Dask scheduler is gone", hint=_HINT_RESUME) from error
        self._updated = time.monotonic()
        gone = {address for address, answer in answers.items() if isinstance(answer, OSError)}
        _check({address: answer for address, answer in answers.items() if address not in gone})
        self._workers = found - gone
        waiting.extendleft(self._drop(worker) for worker in [*self._running] if worker not in self._workers)
        if self._workers:
            self._last_with_workers = self._updated
        elif self._updated - self._last_with_workers >= _MAX_IDLE_SECONDS:
            message = f"the Dask cluster has had no worker for {_MAX_IDLE_SECONDS:.0f} seconds"
            raise PipelineError(message, hint=f"start some; {_HINT_RESUME}")

    def _assign(self, waiting: deque[TrialKey], done: SimpleQueue[str]) -> None:
        """Assign a trial to each free worker."""
        for worker in self._workers - self._running.keys():
            if not waiting:
                return
            key = waiting.popleft()
            future = self.client.submit(_run, self.bench, key, workers=[worker], pure=False)
            self._running[worker] = key, future
            future.add_done_callback(partial(_report_done, done, worker))

    def _result_of(self, worker: str) -> SearchResults.Trial | None:
        """Return the result of a worker that is done; None where the worker died with it."""
        from concurrent.futures import CancelledError

        from distributed.scheduler import KilledWorker

        try:
            trial: SearchResults.Trial = self._running[worker][1].result(timeout=cluster.TIMEOUT)
        except (CancelledError, KilledWorker, TimeoutError):
            return None
        del self._running[worker]  # and Dask forgets the result
        return trial

    def _drop(self, worker: str) -> TrialKey:
        """Remove a worker that is gone, and return its trial.

        Raises:
            PipelineError: the trial has ended too many workers.
        """
        key, future = self._running.pop(worker)
        self._workers.discard(worker)
        future.cancel()
        self._deaths[key] += 1
        if self._deaths[key] >= _MAX_DEATHS:
            message = f"the trial {key[0]} of the search has ended {_MAX_DEATHS} workers of the cluster"
            raise PipelineError(message, hint=f"see their logs, perhaps for a lack of memory; {_HINT_RESUME}")
        return key


def _report_done(done: SimpleQueue[str], worker: str, _: Any) -> None:
    done.put(worker)


def _check(answers: Mapping[str, object]) -> None:
    """Refuse workers with other numerics than this process, each by its name.

    Raises:
        PipelineError: there are some.
    """
    here = _numerics()
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

_ONE_TRIAL = Lock()
"""One trial at a time in a process, whatever threads it has: each sets how many threads BLAS has."""


@lru_cache(maxsize=1)
def _numerics() -> dict[str, str]:
    """Return all that decides the bits of a result: Python, system, packages, this package's code, the BLAS kernel."""
    import sklearn.linear_model

    assert sklearn.linear_model  # BLAS is loaded by it, SciPy's too
    found = dotted(Environment.here().plain())
    return {name: str(value) for name, value in found.items()} | {
        "source": source_digest(),
        CACHE_VARIABLE: os.environ.get(CACHE_VARIABLE, ""),
    }


def _same(bench: Bench) -> Bench:
    """Return the bench, as a task on which the others depend: so Dask brings it to each worker once."""
    return bench


def _run(bench: Bench, key: TrialKey) -> SearchResults.Trial:
    with _ONE_TRIAL:
        return bench.run(key)
