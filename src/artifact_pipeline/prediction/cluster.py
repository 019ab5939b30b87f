"""A folder of parts on many machines: a part is a task of a Dask cluster; done twice, it changes nothing.

Dask itself is trusted: who reaches a scheduler can run anything on its workers. The cluster that is started here has
keys of its own, and so only this process reaches it.
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
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import convert

from artifact_pipeline import __version__
from artifact_pipeline.artifact.parts import NAME
from artifact_pipeline.errors import ConfigError, PipelineError, Problem
from artifact_pipeline.prediction.counts import MISTAKES, SAMPLES, PredictionCounts, Sample
from artifact_pipeline.prediction.parts import PART, Part
from artifact_pipeline.prediction.receipt import Receipt
from artifact_pipeline.prediction.workers import ArtifactCopy, Task, TaskResult, answer, environment_words, foreign
from artifact_pipeline.rows.formats.opening import BY_POSITION
from artifact_pipeline.rows.sources import STDIN
from artifact_pipeline.storage import places as storage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from artifact_pipeline.prediction.folders import Ledger
    from artifact_pipeline.prediction.scoring import Scorer

    Shown = tuple[tuple[int, int], list[Any], list[Any]]

_RETRIES = 3
"""How often a task is tried again after a disk or a network failed; after a worker's death Dask does it anyway."""
TIMEOUT = 10
"""Seconds within which a scheduler must answer, and have a worker."""
_SAFE_PATH = "PYTHONSAFEPATH"
_LOGGERS = ("distributed", "distributed.client", "tornado", "tornado.application", "asyncio")
_SETTINGS: dict[str, Any] = {
    "distributed.admin.large-graph-warning-threshold": "1GiB",  # the artifact may be large, and nothing else is
    # Dask would have memory given back to the system after each batch, which costs a fifth more of its time.
    "distributed.nanny.pre-spawn-environ": {},
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
}
_HINT_RESUME = "--resume goes on with what was begun"


def answer_parts_on_cluster(
    ledger: Ledger, progress: Callable[[int, float], None], *, scheduler: str | None, workers: int | None
) -> None:
    """Answer what is missing on a Dask cluster.

    Args:
        ledger: the folder.
        progress: is called with the rows of each task that is done, and the share of all tasks.
        scheduler: the address of one that is there, such as `tcp://host:8786`; None starts one on this machine.
        workers: how many processes the cluster on this machine has.

    Raises:
        ConfigError: standard input is to be read.
    """
    _refuse_stdin(ledger)
    tasks = list(_tasks(ledger))
    if not tasks:
        return
    with connected(scheduler, workers) as client:
        _collect(ledger, _finished(client, _payload(ledger.scorer), tasks), len(tasks), progress)


def _refuse_stdin(ledger: Ledger) -> None:
    if any(source.place == STDIN for source in ledger.sources):
        raise ConfigError("a cluster cannot read standard input", hint="name files that every worker can read")


def _payload(scorer: Scorer) -> ArtifactCopy:
    verified = scorer.artifact
    return ArtifactCopy(
        digest=verified.digest,
        files=((NAME, verified.manifest.canonical()), *sorted(verified.members.items())),
        options=scorer.options,
        environment=environment_words(),
    )


def _tasks(ledger: Ledger) -> Iterator[Task]:
    """What is missing: a task a part where rows are found by their position, else a task a source."""
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
        if not known and 0 not in missing:  # the first part's task brings the digest with it
            yield task


def _absolute(place: str) -> str:
    """A place as any process names it, wherever it runs."""
    return place if storage.is_url(place) else str(Path(place).absolute())


@contextmanager
def connected(scheduler: str | None, workers: int | None = None) -> Iterator[Any]:
    """A client of a cluster, which prints nothing and raises what is wrong.

    Args:
        scheduler: the address of one that is there; None starts one on this machine.
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
    """A cluster on this machine that only this process can reach, by keys that are made for this run."""
    distributed: Any = import_module("distributed")
    import_module("cryptography")  # without it the keys below would fail with other words
    with ExitStack() as stack:
        stack.enter_context(_safe_path())
        with _uninterrupted():
            cluster = distributed.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                memory_limit=0,  # the readers bound it; a worker that is killed for it would only begin again
                dashboard_address=None,
                scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},  # any free port
                security=distributed.Security.temporary(),
                silence_logs=logging.CRITICAL,
            )
            stack.enter_context(cluster)
        yield cluster


@contextmanager
def _safe_path() -> Iterator[None]:
    """Keep the working folder off the module path of each Python that is started meanwhile.

    A worker begins as `python -c …`, which would take a `multiprocessing.py` of the working folder for Python's own.
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
    """Silence Dask's logs: what matters in them comes as an error."""
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
    """Start processes that never see a Ctrl-C, which a terminal sends to all; this one obeys it when they stand.

    Raises:
        KeyboardInterrupt: there was one meanwhile.
    """
    held: list[int] = []
    resource_tracker.ensure_running()  # first, since its own start lets the signal through again
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    # Another thread may still take the signal, and Python then calls the handler in this one.
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
    """What a worker answers before anything is sent to it."""
    return __version__


def _hold(artifact: ArtifactCopy) -> ArtifactCopy:
    """Give the artifact back, as a task that others wait for: Dask brings it to each worker once."""
    return artifact


def _check_workers(client: Any) -> None:
    problems = []
    for address, found in sorted(client.run(_version, on_error="return").items()):
        if found != __version__:
            there = f"cannot load it: {found}" if isinstance(found, Exception) else f"has {found}"
            message = f"{there}; the client has artifact-pipeline {__version__}"
            problems.append(Problem(f"worker {address}", "worker-version", message))
    if problems:
        raise foreign(problems)


def _finished(client: Any, artifact: ArtifactCopy, tasks: list[Task]) -> Iterator[TaskResult]:
    """Send all tasks, and give what comes back, in whatever order.

    Raises:
        PipelineError: what a worker refused, or that the cluster is gone.
    """
    distributed: Any = import_module("distributed")
    # A task too, and not scattered: what is scattered is lost with the workers that hold it, a task is done again.
    sent = client.submit(_hold, artifact, retries=_RETRIES, pure=False)
    futures = [client.submit(answer, sent, task, retries=_RETRIES, pure=False) for task in tasks]
    completed = distributed.as_completed(futures, loop=client.loop)
    futures.clear()  # each is let go as soon as it was taken, and its worker forgets it
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
    """Add to the ledger what was done; what is shown of the rows is in the order of the rows, not of the workers."""
    shown: list[Shown] = []
    for finished, done in enumerate(results, start=1):
        for number, output, rejected, counted, samples, mistakes in done.parts:
            bad = convert(rejected, Receipt.Output) if rejected is not None else None
            counts = PredictionCounts.from_plain(counted, ledger.scorer.reference)
            ledger.add(Part(done.index, number, convert(output, Receipt.Output), bad, counts))
            shown = _first([*shown, ((done.index, number), samples, mistakes)])
        if done.digest is not None:  # after its parts: what has a digest counts as read to its end
            ledger.digests[done.index] = done.digest
        progress(sum(part[3]["read"] for part in done.parts), finished / count)
    ledger.counts.samples = [Sample(*each) for _, samples, _ in shown for each in samples][:SAMPLES]
    ledger.counts.mistakes = [Sample(*each) for _, _, mistakes in shown for each in mistakes][:MISTAKES]


def _first(shown: list[Shown]) -> list[Shown]:
    """The first parts, as many as are needed to show as many rows and mistakes as are wanted."""
    kept: list[Shown] = []
    samples = mistakes = 0
    for each in sorted(shown):
        if samples < SAMPLES or mistakes < MISTAKES:
            kept.append(each)
            samples, mistakes = samples + len(each[1]), mistakes + len(each[2])
    return kept
