"""A folder of parts on many machines: each part is a task of a Dask cluster, and may be done twice.

Dask itself is trusted: whatever can connect to a scheduler can run anything on its workers. The cluster that is started
here has its own keys, and so only this process can connect to it.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from importlib import import_module
from multiprocessing import resource_tracker
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import convert

from artifact_pipeline import __version__
from artifact_pipeline.artifact.parts import NAME
from artifact_pipeline.errors import ConfigError, PipelineError, Problem
from artifact_pipeline.prediction.counts import MISTAKES, SAMPLES, PredictionCounts, Sample
from artifact_pipeline.prediction.parts import PART, Part
from artifact_pipeline.prediction.receipt import Receipt
from artifact_pipeline.prediction.workers import ArtifactCopy, Task, TaskResult, answer, environment_text, mismatch
from artifact_pipeline.rows.formats.opening import BY_POSITION
from artifact_pipeline.rows.sources import STDIN
from artifact_pipeline.storage import places as storage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from artifact_pipeline.prediction.folders import Ledger
    from artifact_pipeline.prediction.scoring import Scorer

    Shown = list[tuple[tuple[int, int], Sample]]

_RETRIES = 3
"""How often a task is tried again after a disk or a network failed; after a worker's death Dask tries it anyway."""
TIMEOUT = 10
"""Seconds within which a scheduler must answer and have a worker."""
_SAFE_PATH = "PYTHONSAFEPATH"
_LOGGERS = ("distributed", "distributed.client", "tornado", "tornado.application", "asyncio")
_SETTINGS: dict[str, Any] = {
    "distributed.admin.large-graph-warning-threshold": "1GiB",  # the artifact may be large, and nothing else is
    # By default memory goes back to the system after each batch, which costs a fifth more time.
    "distributed.nanny.pre-spawn-environ": {},
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
}
_HINT_RESUME = "--resume goes on with what was begun"


def answer_parts_on_cluster(
    ledger: Ledger, progress: Callable[[int, float], None], *, scheduler: str | None, workers: int | None
) -> None:
    """Answer the missing parts on a Dask cluster.

    Args:
        ledger: the folder.
        progress: called with the rows of each finished task, and the share of all tasks that are finished.
        scheduler: the address of a running scheduler, such as `tcp://host:8786`; None starts one on this machine.
        workers: how many processes the cluster on this machine has.

    Raises:
        ConfigError: standard input is to be read.
    """
    if any(source.place == STDIN for source in ledger.sources):
        raise ConfigError("a cluster cannot read standard input", hint="name files that every worker can read")
    tasks = list(_tasks(ledger))
    if not tasks:
        return
    with connected(scheduler, workers) as client:
        _collect(ledger, _finished(client, _payload(ledger.scorer), tasks), len(tasks), progress)


def _payload(scorer: Scorer) -> ArtifactCopy:
    verified = scorer.artifact
    return ArtifactCopy(
        digest=verified.digest,
        files=((NAME, verified.manifest.canonical()), *sorted(verified.members.items())),
        options=scorer.options,
        environment=environment_text(),
    )


def _tasks(ledger: Ledger) -> Iterator[Task]:
    """The tasks: one for each missing part where rows are found by their position, else one for each source."""
    to = replace(ledger.to, place=_absolute(ledger.to.place))
    for index, (source, opened) in enumerate(zip(ledger.sources, ledger.opened, strict=True)):
        place = source.place if source.built_in else _absolute(source.place)
        there = replace(source, place=place, members=tuple((_absolute(each), name) for each, name in source.members))
        task = Task(to, index, there, opened.stamp, first=None, count=1)
        known = index in ledger.digests
        if source.format not in BY_POSITION:
            if not known:
                yield replace(task, first=ledger.first_missing(index), count=None)
            continue
        assert opened.total is not None
        missing = [number for number in range(-(-opened.total // PART)) if (index, number) not in ledger.parts]
        yield from (replace(task, first=number) for number in missing)
        if not known and 0 not in missing:  # the task of the first part also returns the digest
            yield task


def _absolute(place: str) -> str:
    """A place as a process in any folder names it."""
    return place if storage.is_url(place) else str(Path(place).absolute())


@contextmanager
def connected(scheduler: str | None, workers: int | None = None) -> Iterator[Any]:
    """Connect to a cluster for the block; the client prints nothing.

    Args:
        scheduler: the address of a running scheduler; None starts one on this machine.
        workers: how many processes the cluster on this machine has.

    Raises:
        PipelineError: the scheduler does not answer, it has no worker, or a worker has another version of the package.
    """
    distributed: Any = import_module("distributed")
    with ExitStack() as stack:
        stack.enter_context(_silenced())
        stack.enter_context(import_module("dask.config").set(_SETTINGS))
        cluster = stack.enter_context(_local(workers or 1)) if scheduler is None else scheduler
        try:
            client = stack.enter_context(distributed.Client(cluster, timeout=TIMEOUT, set_as_default=False))
            client.wait_for_workers(1, timeout=TIMEOUT)
        except (OSError, ValueError) as error:
            place = scheduler or "this machine"
            reason = "has no workers" if isinstance(error, TimeoutError) else "does not answer"
            hint = "dask scheduler starts one, and dask worker tcp://host:8786 its workers"
            raise PipelineError(f"the Dask scheduler at {place} {reason}", hint=hint) from error
        _check_workers(client)
        yield client


@contextmanager
def _local(workers: int) -> Iterator[Any]:
    """Start a cluster on this machine; by keys that are made for this run, only this process can connect to it."""
    distributed: Any = import_module("distributed")
    import_module("cryptography")  # without it the keys below would fail with another message
    with ExitStack() as stack:
        stack.enter_context(_safe_path())
        with _uninterrupted():
            cluster = distributed.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                memory_limit=0,  # the readers bound it; a worker that is killed for it would only start again
                dashboard_address=None,
                scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},  # any free port
                security=distributed.Security.temporary(),
                silence_logs=logging.CRITICAL,
            )
            stack.enter_context(cluster)
        yield cluster


@contextmanager
def _safe_path() -> Iterator[None]:
    """Keep the working folder off the module path of each Python that is started in the block.

    A worker is started by `python -c …`, which would import a `multiprocessing.py` of the working folder.
    """
    before = os.environ.get(_SAFE_PATH)
    os.environ[_SAFE_PATH] = "1"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(_SAFE_PATH, None)
        else:
            os.environ[_SAFE_PATH] = before


@contextmanager
def _silenced() -> Iterator[None]:
    """Silence Dask's logs for the block: what matters in them is raised as an error."""
    before = {name: logging.getLogger(name).level for name in _LOGGERS}
    for name in before:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Block SIGINT, so that processes that are started in the block ignore Ctrl-C, which a terminal sends to all.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed meanwhile.
    """
    held: list[int] = []
    resource_tracker.ensure_running()  # first, since its own start lets the signal through again
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    # Another thread may still receive the signal, and Python then calls the handler in this one.
    main = threading.current_thread() is threading.main_thread()
    handler = signal.signal(signal.SIGINT, lambda number, _: held.append(number)) if main else None
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if handler is not None:
            signal.signal(signal.SIGINT, handler)
    if held:
        raise KeyboardInterrupt


def _version() -> str:
    """Return the version; a worker calls this before it gets any task."""
    return __version__


def _hold(artifact: ArtifactCopy) -> ArtifactCopy:
    """Return the artifact: as the result of a task, Dask copies it to each worker once."""
    return artifact


def _check_workers(client: Any) -> None:
    problems = []
    for address, found in sorted(client.run(_version, on_error="return").items()):
        if found != __version__:
            there = f"cannot load it: {found}" if isinstance(found, Exception) else f"has {found}"
            message = f"{there}; the client has artifact-pipeline {__version__}"
            problems.append(Problem(f"worker {address}", "worker-version", message))
    if problems:
        raise mismatch(problems)


def _finished(client: Any, artifact: ArtifactCopy, tasks: list[Task]) -> Iterator[TaskResult]:
    """Send all tasks, and yield their results in the order in which they come.

    Raises:
        PipelineError: a worker refuses a task, or the cluster is gone.
    """
    distributed: Any = import_module("distributed")
    # Not scattered: what is scattered is lost with the workers that hold it, while a task is done again.
    sent = client.submit(_hold, artifact, retries=_RETRIES, pure=False)
    futures = [client.submit(answer, sent, task, retries=_RETRIES, pure=False) for task in tasks]
    completed = distributed.as_completed(futures, loop=client.loop)
    futures.clear()  # so that each result is freed here and on its worker once it is taken
    for future in completed:
        yield _result(future)
        future.release()


def _result(future: Any) -> TaskResult:
    from concurrent.futures import CancelledError

    from distributed.scheduler import KilledWorker

    try:
        found: TaskResult | PipelineError = future.result()
    except KilledWorker as error:
        message = f"{error.allowed_failures + 1} workers died one after another at the same part"
        raise PipelineError(message, hint=f"see their logs, perhaps for a lack of memory; {_HINT_RESUME}") from error
    except CancelledError as error:
        raise PipelineError("the Dask scheduler is gone", hint=_HINT_RESUME) from error
    if isinstance(found, PipelineError):
        raise found
    return found


def _collect(ledger: Ledger, results: Iterable[TaskResult], count: int, progress: Callable[[int, float], None]) -> None:
    """Add finished parts to the ledger; the rows that are shown are the first ones, in whatever order parts come."""
    first: Shown = []
    wrong: Shown = []
    for finished, done in enumerate(results, start=1):
        for number, output, rejected, counted, samples, mistakes in done.parts:
            bad = convert(rejected, Receipt.Output) if rejected is not None else None
            counts = PredictionCounts.from_plain(counted, ledger.scorer.reference)
            ledger.add(Part(done.index, number, convert(output, Receipt.Output), bad, counts))
            key = done.index, number
            first = _first([*first, *((key, Sample(*each)) for each in samples)], SAMPLES)
            wrong = _first([*wrong, *((key, Sample(*each)) for each in mistakes)], MISTAKES)
        if done.digest is not None:  # after its parts: a source with a digest counts as read to its end
            ledger.digests[done.index] = done.digest
        progress(sum(part[3]["read"] for part in done.parts), finished / count)
    ledger.counts.samples = [row for _, row in first]
    ledger.counts.mistakes = [row for _, row in wrong]


def _first(rows: Shown, most: int) -> Shown:
    """The first rows, by the number of their part and in its order."""
    return sorted(rows, key=itemgetter(0))[:most]
