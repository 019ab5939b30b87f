"""The code of a cluster's workers: verify the artifact, answer parts, return counts and digests.

The artifact is sent as the bytes of its files, with the digest that they must have, and every worker verifies it as any
consumer does. Rows never pass through the client.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artifact_pipeline.canonical import PREFIX
from artifact_pipeline.errors import ArtifactRejected, DataRejected, PipelineError, Problem, StorageError
from artifact_pipeline.prediction.parts import Part, ignore_progress, score_parts
from artifact_pipeline.prediction.receipt import environment
from artifact_pipeline.prediction.scoring import Options, Scorer
from artifact_pipeline.rows.formats.opening import open_rows
from artifact_pipeline.runtime import pin_numerics
from artifact_pipeline.verification import verify

if TYPE_CHECKING:
    from artifact_pipeline.prediction.destination import Destination
    from artifact_pipeline.rows.sources import Source

    PlainPart = tuple[int, dict[str, Any], dict[str, Any] | None, dict[str, Any], list[Any], list[Any]]

_HINT_INSTALL = "install the same artifact-pipeline[scale], and the same packages, on every machine of the cluster"
_HINT_SHARED = (
    "every machine of the cluster must see the same files by the same paths: share one file system, copy with times "
    "kept (rsync -t), or name URLs such as s3://bucket/rows/"
)


@dataclass(frozen=True, slots=True)
class ArtifactCopy:
    """The artifact as it is sent, once, to a worker, which verifies it.

    Attributes:
        digest: the artifact digest that the bytes must have.
        files: name and bytes of each file.
        options: the options of the prediction.
        environment: interpreter, system and packages of the client; the receipt records one environment.
    """

    digest: str
    files: tuple[tuple[str, bytes], ...]
    options: Options
    environment: str


@dataclass(frozen=True, slots=True)
class Task:
    """Work for one worker.

    Attributes:
        to: the folder of parts.
        index: the source's position among the sources.
        source: the source, its place absolute.
        stamp: the stamp of the source on the client.
        first: the first part to answer; None where only the source's digest is missing.
        count: how many parts; None for all that follow.
    """

    to: Destination
    index: int
    source: Source
    stamp: str
    first: int | None
    count: int | None


@dataclass(frozen=True, slots=True)
class TaskResult:
    """The result of a task: plain values, some kilobytes for each part.

    Attributes:
        index: the source's position.
        digest: the source's digest, where the task had to compute it.
        parts: number, output, bad rows, counts, first rows and first mistakes of each part.
    """

    index: int
    digest: str | None
    parts: list[PlainPart]


def answer(artifact: ArtifactCopy, task: Task) -> TaskResult | PipelineError:
    """Do a task; a refusal is a result, since doing it again would only refuse again.

    Raises:
        StorageError: a part cannot be written; another try may succeed.
        DataRejected: the rows cannot be read; another try may succeed.
    """
    try:
        return _run(_scorer(artifact), task)
    except PipelineError as error:
        if isinstance(error, StorageError) or "unreadable" in error.rules:
            raise
        return error


@lru_cache(maxsize=1)
def _scorer(artifact: ArtifactCopy) -> Scorer:
    """Verify the artifact in a temporary folder, and open it; once in a process."""
    pin_numerics()
    with tempfile.TemporaryDirectory(prefix="artifact-pipeline-") as folder:
        for name, data in artifact.files:
            if Path(name).name != name:
                problem = Problem(f"{name!r:.80}", "file-unlisted", "is no plain name")
                raise ArtifactRejected("the artifact that arrived is not what it claims to be", problems=[problem])
            Path(folder, name).write_bytes(data)
        # The client has checked the gate of this artifact.
        verified = verify(Path(folder), expect=artifact.digest, accept_failed_gate=True)
    scorer = Scorer(verified, artifact.options)
    _check_environment(artifact)
    return scorer


def _check_environment(artifact: ArtifactCopy) -> None:
    here = environment_text()
    if here != artifact.environment:
        message = f"has {here}; the client has {artifact.environment}"
        raise mismatch([Problem(_this_worker(), "worker-environment", message)])


def environment_text() -> str:
    """Return interpreter, system and packages of this process in one line, as a receipt records them."""
    import pyarrow as pa

    assert pa.__version__  # it is loaded now, and so it is among them
    found = environment()
    packages = [f"{name} {version}" for name, version in sorted(found["packages"].items())]
    return ", ".join([found["python"], found["system"], found["architecture"], *packages])


def _this_worker() -> str:
    from distributed import get_worker

    try:
        return f"worker {get_worker().address}"
    except ValueError:  # not on a worker
        return "here"


def mismatch(problems: list[Problem]) -> PipelineError:
    """The error for workers whose packages are not those of the client."""
    return PipelineError("the workers are not as the client is", problems=problems, hint=_HINT_INSTALL)


def _run(scorer: Scorer, task: Task) -> TaskResult:
    source, parts = task.source, list[Part]()
    try:
        with open_rows(source, scorer.wanted(source), digest=task.first is None) as rows:
            _compare(task, rows.stamp)
            if task.first is None:
                return TaskResult(task.index, PREFIX + rows.digest(), [])
        digest, stamp = score_parts(
            scorer,
            task.to,
            (task.index, source),
            parts=slice(task.first, None if task.count is None else task.first + task.count),
            done=parts.append,
            progress=ignore_progress,
        )
    except DataRejected as error:
        if "missing-file" in error.rules:
            raise DataRejected(error.message, problems=error.problems, hint=_HINT_SHARED) from error
        raise
    _compare(task, stamp)
    return TaskResult(task.index, digest, [_plain(part) for part in parts])


def _compare(task: Task, stamp: str) -> None:
    """Refuse another file than the client's: parts of two files must not become one result.

    Files are compared by size and time, or by the store's tag, so a copy must keep its time. Only the task of the first
    part reads the whole file for its digest, and a copy of equal size could hold other rows in other parts.
    """
    if stamp != task.stamp:
        message = f"{_this_worker()} has another file there than the client (size and time {stamp}, not {task.stamp})"
        problem = Problem(task.source.place, "changed", message)
        raise DataRejected("the rows cannot be read", problems=[problem], hint=_HINT_SHARED)


def _plain(part: Part) -> PlainPart:
    rejected = part.rejected.plain() if part.rejected is not None else None
    samples, mistakes = (list(map(tuple, each)) for each in (part.counts.samples, part.counts.mistakes))
    return part.number, part.output.plain(), rejected, part.counts.plain(), samples, mistakes
