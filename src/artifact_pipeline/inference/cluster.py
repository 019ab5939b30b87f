"""A folder of parts on many machines: each part is a task of a Dask cluster, which may be done twice and changes nothing.

The artifact crosses as the bytes of its files beside the digest that is expected of them, and every worker verifies it
as any consumer does. What comes back is counts and digests; rows never pass through here. Dask itself is trusted: who
reaches its scheduler can run anything on its workers.
"""

from __future__ import annotations

import signal
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import convert

from artifact_pipeline import __version__, storage
from artifact_pipeline.artifact import manifest as manifests
from artifact_pipeline.artifact.verify import verify
from artifact_pipeline.canonical import PREFIX
from artifact_pipeline.errors import ArtifactRejected, ConfigError, DataRejected, PipelineError, Problem, StorageError
from artifact_pipeline.inference.predictions import quietly
from artifact_pipeline.inference.receipt import Output, environment, gate_of
from artifact_pipeline.inference.scoring import Options, Scorer
from artifact_pipeline.inference.sheets import PART, Part, score_parts
from artifact_pipeline.inference.tally import MISTAKES, SAMPLES, Sample, Tally
from artifact_pipeline.rows.formats import BY_POSITION, open_rows
from artifact_pipeline.rows.sources import STDIN, Source
from artifact_pipeline.runtime import pin_numerics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from artifact_pipeline.inference.destination import Destination
    from artifact_pipeline.inference.folders import Ledger

    Shown = tuple[tuple[int, int], list[Any], list[Any]]

RETRIES = 3
"""How often a task is tried again after it failed on a disk or a network; after a worker's death Dask does it anyway."""
TIMEOUT = 10
"""Seconds within which a scheduler must answer, and have a worker."""
HINT_RESUME = "--resume goes on with what was begun"
HINT_INSTALL = "install the same artifact-pipeline[scale], and the same packages, on every machine of the cluster"
HINT_SHARED = (
    "every machine of the cluster must see the same files by the same paths: share one file system, copy with times "
    "kept (rsync -t), or name URLs such as s3://bucket/rows/"
)


class Artifact(NamedTuple):
    """What a worker needs before it can answer a row; it crosses once, and is checked where it arrives.

    Attributes:
        digest: the artifact digest that the bytes must have.
        accept_failed_gate: whether the user accepted a gate that failed.
        files: name and bytes of each file.
        options: what is asked.
        environment: interpreter, system and packages of the client; the receipt tells of one environment.
    """

    digest: str
    accept_failed_gate: bool
    files: tuple[tuple[str, bytes], ...]
    options: Options
    environment: str


class Task(NamedTuple):
    """Work for one worker.

    Attributes:
        to: the folder of parts.
        index: the source's position among the sources.
        source: what to read, its place absolute.
        stamp: what the client knows the source by.
        first: the first part to answer; None where only the source's digest is missing.
        count: how many parts; None for all that follow.
    """

    to: Destination
    index: int
    source: Source
    stamp: str
    first: int | None
    count: int | None

    @property
    def name(self) -> str:
        """How Dask's own pages call it."""
        return f"{self.source.name}-{'digest' if self.first is None else self.first}"


class Done(NamedTuple):
    """What came of a task: plain values, some kilobytes a part.

    Attributes:
        index: the source's position.
        digest: the source's digest, where the task was to find it.
        parts: number, output, bad rows, counts, first rows and first mistakes of each part.
    """

    index: int
    digest: str | None
    parts: list[tuple[int, dict[str, Any], dict[str, Any] | None, dict[str, Any], list[Any], list[Any]]]


# --- what runs on a worker


def answer(artifact: Artifact, task: Task) -> Done | PipelineError:
    """Do a task; a refusal is a result, since doing it again would only refuse again.

    Raises:
        StorageError: a part cannot be written; another try may be luckier.
        DataRejected: likewise the rows cannot be read.
    """
    try:
        return _done(_scorer(artifact), task)
    except PipelineError as error:
        if isinstance(error, StorageError) or "unreadable" in error.rules:
            raise
        return error


@lru_cache(maxsize=1)
def _scorer(artifact: Artifact) -> Scorer:
    """Verify the artifact as any consumer does, in a folder of its own, and open it; once in a process."""
    pin_numerics()
    with tempfile.TemporaryDirectory(prefix="artifact-pipeline-") as folder:
        for name, data in artifact.files:
            if Path(name).name != name:
                problem = Problem(f"{name!r:.80}", "file-unlisted", "is no plain name")
                raise ArtifactRejected("the artifact that arrived is not what it claims to be", problems=[problem])
            Path(folder, name).write_bytes(data)
        verified = verify(Path(folder), expect=artifact.digest, accept_failed_gate=artifact.accept_failed_gate)
    scorer = Scorer(verified, artifact.options)
    _check_environment(artifact)
    return scorer


def _check_environment(artifact: Artifact) -> None:
    import pyarrow as _  # noqa: F401 - so that it is among the packages that are compared

    here = _words(environment())
    if here != artifact.environment:
        message = f"has {here}; the client has {artifact.environment}"
        raise _foreign([Problem(_where(), "worker-environment", message)])


def _words(found: dict[str, Any]) -> str:
    packages = [f"{name} {version}" for name, version in sorted(found["packages"].items())]
    return ", ".join([found["python"], found["system"], found["architecture"], *packages])


def _where() -> str:
    from distributed import get_worker

    try:
        return f"worker {get_worker().address}"
    except ValueError:  # not on a worker
        return "here"


def _foreign(problems: list[Problem]) -> PipelineError:
    return PipelineError("the workers are not as the client is", problems=problems, hint=HINT_INSTALL)


def _done(scorer: Scorer, task: Task) -> Done:
    source, parts = task.source, list[Part]()
    try:
        with open_rows(source, scorer.wanted(source), digest=task.first is None) as rows:
            _compare(task, rows.stamp)
            if task.first is None:
                return Done(task.index, PREFIX + rows.digest(), [])
        digest, stamp = score_parts(
            scorer,
            task.to,
            (task.index, source),
            parts=slice(task.first, None if task.count is None else task.first + task.count),
            done=parts.append,
            progress=quietly,
        )
    except DataRejected as error:
        if "missing-file" in error.rules:
            raise DataRejected(error.message, problems=error.problems, hint=HINT_SHARED) from error
        raise
    _compare(task, stamp)
    return Done(task.index, digest, [_plain(part) for part in parts])


def _compare(task: Task, stamp: str) -> None:
    """Refuse another file than the client's: parts of two files must not become one result.

    By size and time, or by the store's tag, and so a copy needs its time too: only the first part's task reads the
    whole file for its digest, and a copy of equal size could hold other rows in the parts of the others.
    """
    if stamp != task.stamp:
        message = f"{_where()} has another file there than the client (size and time {stamp}, not {task.stamp})"
        problem = Problem(task.source.place, "changed", message)
        raise DataRejected("the rows cannot be read", problems=[problem], hint=HINT_SHARED)


def _plain(part: Part) -> tuple[int, dict[str, Any], dict[str, Any] | None, dict[str, Any], list[Any], list[Any]]:
    rejected = part.rejected.plain() if part.rejected is not None else None
    samples, mistakes = (list(map(tuple, each)) for each in (part.tally.samples, part.tally.mistakes))
    return part.number, part.output.plain(), rejected, part.tally.plain(), samples, mistakes


# --- what runs on the client


def on_cluster(
    *, scheduler: str | None, workers: int | None, progress: Callable[[int, float], None] = quietly
) -> Callable[[Ledger], None]:
    """Do what is missing on a Dask cluster.

    Args:
        scheduler: the address of one that is there, such as `tcp://host:8786`; None starts one on this machine.
        workers: how many processes the cluster on this machine has.
        progress: is told the rows of each task that is done, and the share of all tasks.

    Raises:
        ConfigError: both are given, or standard input is to be read.
    """
    if scheduler is not None and workers is not None:
        raise ConfigError("--scheduler and --workers: a cluster that is there has its workers", hint="leave one out")

    def _run(ledger: Ledger) -> None:
        _refuse_stdin(ledger)
        tasks = list(_tasks(ledger))
        if not tasks:
            return
        with _client(scheduler, workers) as client:
            _collect(ledger, _finished(client, _payload(ledger.scorer), tasks), len(tasks), progress)

    return _run


def _refuse_stdin(ledger: Ledger) -> None:
    if any(source.place == STDIN for source in ledger.sources):
        raise ConfigError("a cluster cannot read standard input", hint="name files that every worker can read")


def _payload(scorer: Scorer) -> Artifact:
    import pyarrow as _  # noqa: F401 - the workers need it, and the receipt names it

    verified = scorer.artifact
    return Artifact(
        digest=verified.digest,
        accept_failed_gate=gate_of(verified) != "passed",
        files=((manifests.NAME, verified.manifest.canonical()), *sorted(verified.members.items())),
        options=scorer.options,
        environment=_words(environment()),
    )


def _tasks(ledger: Ledger) -> Iterator[Task]:
    """What is missing: a task a part where rows are found by their position, else a task a source."""
    to = replace(ledger.to, place=_absolute(ledger.to.place))
    for index, (source, opened) in enumerate(zip(ledger.sources, ledger.opened, strict=True)):
        place = _absolute(source.place) if source.format != "digits" else source.place
        there = replace(source, place=place, members=tuple((_absolute(each), name) for each, name in source.members))
        task = Task(to, index, there, opened.stamp, first=None, count=1)
        known = index in ledger.digests
        if source.format not in BY_POSITION:
            if not known:
                yield task._replace(first=ledger.first_missing(index), count=None)
            continue
        assert opened.total is not None
        missing = [number for number in range(-(-opened.total // PART)) if (index, number) not in ledger.parts]
        yield from (task._replace(first=number) for number in missing)
        if not known and 0 not in missing:  # the first part's task brings the digest with it
            yield task


def _absolute(place: str) -> str:
    """A place as any process names it, wherever it runs."""
    return place if storage.is_url(place) else str(Path(place).absolute())


@contextmanager
def _client(scheduler: str | None, workers: int | None) -> Iterator[Any]:
    """A client of the cluster, which talks of nothing but by its errors.

    Raises:
        PipelineError: nobody answers, there is no worker, or one has not the same package.
    """
    import dask

    quiet = {"distributed": "critical", "distributed.client": "critical", "tornado": "critical"}
    with ExitStack() as stack:
        # Before `distributed` is loaded: it sets up its logging then.
        stack.enter_context(
            dask.config.set({"logging": quiet, "distributed.admin.large-graph-warning-threshold": "1GiB"})
        )
        from distributed import Client

        cluster = stack.enter_context(_local(workers or 1)) if scheduler is None else scheduler
        try:
            client = stack.enter_context(Client(cluster, timeout=TIMEOUT, set_as_default=False))
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
    """A cluster on this machine that nobody else can reach: its own keys, made for this run."""
    import logging

    from distributed import LocalCluster
    from distributed.security import Security

    # What is started meanwhile does not see a Ctrl-C, which a terminal sends to all processes; this one does, at once
    # thereafter, and ends the others.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        cluster = LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            memory_limit=0,  # memory is bounded by what the readers hold; a worker that is killed for it helps nobody
            dashboard_address=None,
            security=Security.temporary(),
            silence_logs=logging.CRITICAL,
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    with cluster:
        yield cluster


def version() -> str:
    """What a worker is asked for, before anything is sent to it."""
    return __version__


def _check_workers(client: Any) -> None:
    problems = []
    for address, found in sorted(client.run(version, on_error="return").items()):
        if found != __version__:
            told = f"cannot load it: {found}" if isinstance(found, Exception) else f"has {found}"
            message = f"{told}; the client has artifact-pipeline {__version__}"
            problems.append(Problem(f"worker {address}", "worker-version", message))
    if problems:
        raise _foreign(problems)


def _finished(client: Any, artifact: Artifact, tasks: list[Task]) -> Iterator[Done]:
    """Send all tasks, and give what comes back, in whatever order.

    Raises:
        PipelineError: what a worker refused, or that the cluster is gone.
    """
    from distributed import as_completed

    # A task too, and not scattered: what is scattered is lost with the workers that hold it, a task is done again.
    sent = client.submit(Artifact, *artifact, key=f"artifact-{artifact.digest}", pure=False)
    futures = [client.submit(answer, sent, task, retries=RETRIES, pure=False) for task in tasks]
    completed = as_completed(futures)
    futures.clear()  # each is let go as soon as it was taken, and its worker forgets it
    for future in completed:
        yield _result(future)
        future.release()


def _result(future: Any) -> Done:
    from concurrent.futures import CancelledError

    from distributed.scheduler import KilledWorker

    try:
        found: Done | PipelineError = future.result()
    except KilledWorker as error:
        message = f"{error.allowed_failures + 1} workers in turn died of the same part"
        raise PipelineError(message, hint=f"see their logs, perhaps for a lack of memory; {HINT_RESUME}") from error
    except CancelledError as error:
        raise PipelineError("the Dask scheduler is gone", hint=HINT_RESUME) from error
    if isinstance(found, PipelineError):
        raise found
    return found


def _collect(ledger: Ledger, results: Iterable[Done], count: int, progress: Callable[[int, float], None]) -> None:
    """Tell the ledger what was done; what is shown of the rows is in the order of the rows, not of the workers."""
    shown: list[Shown] = []
    for finished, done in enumerate(results, start=1):
        for number, output, rejected, counted, samples, mistakes in done.parts:
            bad = convert(rejected, Output) if rejected is not None else None
            tally = Tally.from_plain(counted, ledger.scorer.reference)
            ledger.add(Part(done.index, number, convert(output, Output), bad, tally))
            shown = _first([*shown, ((done.index, number), samples, mistakes)])
        if done.digest is not None:  # after its parts: what has a digest counts as read to its end
            ledger.digests[done.index] = done.digest
        progress(sum(part[3]["read"] for part in done.parts), finished / count)
    ledger.tally.samples = [Sample(*each) for _, samples, _ in shown for each in samples][:SAMPLES]
    ledger.tally.mistakes = [Sample(*each) for _, _, mistakes in shown for each in mistakes][:MISTAKES]


def _first(shown: list[Shown]) -> list[Shown]:
    """The first parts, as many as are needed to show as many rows and mistakes as are wanted."""
    kept: list[Shown] = []
    samples = mistakes = 0
    for each in sorted(shown):
        if samples < SAMPLES or mistakes < MISTAKES:
            kept.append(each)
            samples, mistakes = samples + len(each[1]), mistakes + len(each[2])
    return kept
