"""What a training says of itself: when, where, from which commit and files; `artifact.provenance` has the form."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from artifact_pipeline import __version__
from artifact_pipeline.artifact import provenance, store
from artifact_pipeline.canonical import PREFIX, digest
from artifact_pipeline.files import read_bounded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from artifact_pipeline.artifact.provenance import Comparison, Resource, Statement
    from artifact_pipeline.artifact.verify import Verified
    from artifact_pipeline.pipeline import Candidate

LOCK = "requirements.txt"
MAX_BYTES = 16 << 20
"""Of a file whose digest is recorded; a larger one is no config and no lock."""
PATIENCE = 10.0
"""Seconds that git may take."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a training began.

    Attributes:
        config: the config file.
        lock: the environment's lock, which need not be there.
        began: when, as `now` says it.
    """

    config: Path
    lock: Path
    began: str


def now() -> str:
    """The time as RFC 3339 writes it, UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def state(
    candidate: Candidate,
    origin: Origin,
    *,
    key: Mapping[str, str],
    looks: int,
    comparison: Comparison | None = None,
) -> Statement:
    """Say of a candidate how it came about; call it when it is ready to be published.

    Args:
        candidate: what was trained.
        origin: where it began.
        key: `unchanged.key_of`.
        looks: `looks_at`.
        comparison: how it stood beside its champion.
    """
    manifest = candidate.manifest
    internal = provenance.Internal(
        key=dict(key), held_out=manifest.data.split.digest, looks=looks, comparison=comparison
    )
    definition = provenance.Definition(
        build_type=provenance.BUILD,
        external_parameters={"recipe": manifest.recipe},
        internal_parameters=internal,
        resolved_dependencies=tuple(_materials(candidate, origin)),
    )
    details = provenance.Details(
        builder=provenance.Builder(id=_builder(), version={"artifact-pipeline": __version__}),
        metadata=provenance.Metadata(started_on=origin.began, finished_on=now(), invocation_id=_invocation()),
    )
    return provenance.about(candidate.digest, provenance.Predicate(build_definition=definition, run_details=details))


def looks_at(split: str, artifact: Path, champion: Verified | None = None) -> int:
    """How often the held-out rows of this split have been looked at, the training that asks included.

    As far as anyone knows: one more than the most that the champion or an artifact of this store tells of.

    Args:
        split: the split's digest.
        artifact: where the pointer stands.
        champion: the model in charge; one without provenance was measured on its held-out rows once.
    """
    statements = [run.statement for run in store.runs(artifact) if run.statement]
    looks = [each.internal.looks for each in statements if each.internal.held_out == split]
    if champion is not None:
        told = provenance.read(champion.folder)
        looks.append(told.internal.looks if told else 1)
    return 1 + max(looks, default=0)


def _materials(candidate: Candidate, origin: Origin) -> Iterator[Resource]:
    for name, path in (("config", origin.config), (LOCK, origin.lock)):
        found = _file_digest(path)
        if found is not None:
            yield provenance.Resource(name=name, digest={"sha256": found})
    for source in candidate.manifest.data.sources:
        hexadecimal = source.digest.removeprefix(PREFIX)
        annotations = {"rows": source.rows}
        yield provenance.Resource(
            name=f"data:{source.name}", digest={source.algorithm: hexadecimal}, annotations=annotations
        )
    commit = _commit(origin.config.parent)
    if commit is not None:
        yield commit


def _file_digest(path: Path) -> str | None:
    try:
        return digest(read_bounded(path, MAX_BYTES)).removeprefix(PREFIX)
    except (OSError, ValueError):
        return None


def _commit(folder: Path) -> Resource | None:
    """The commit that is checked out around this folder, and whether tracked files differ from it."""
    # No lock on the index of somebody who works there, and no monitor that the repository would have us start.
    command = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false"]
    command += ["status", "--porcelain=v2", "--branch", "--untracked-files=no"]
    try:
        done = subprocess.run(  # noqa: S603 - a literal command, and git is whichever the user has
            command, cwd=folder, capture_output=True, check=False, timeout=PATIENCE, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):  # there is no git, or no end to it
        return _ci_commit()
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    head = next((line.removeprefix("# branch.oid ") for line in lines if line.startswith("# branch.oid ")), "(initial)")
    if done.returncode or head == "(initial)":
        return _ci_commit()
    dirty = any(not line.startswith("#") for line in lines)
    return provenance.Resource(
        name="source", uri=_repository(), digest={"gitCommit": head}, annotations={"dirty": dirty}
    )


def _ci_commit() -> Resource | None:
    """What a CI says of the commit, where there is no clone to ask."""
    commit = os.environ.get("GITHUB_SHA")
    return provenance.Resource(name="source", uri=_repository(), digest={"gitCommit": commit}) if commit else None


def _repository() -> str:
    """The repository that a CI runs for; a clone's own remote may hold a password, and is not asked."""
    return f"git+{_server()}/{os.environ['GITHUB_REPOSITORY']}" if os.environ.get("GITHUB_REPOSITORY") else ""


def _server() -> str:
    return os.environ.get("GITHUB_SERVER_URL", "https://github.com")


def _builder() -> str:
    workflow = os.environ.get("GITHUB_WORKFLOW_REF")
    return f"{_server()}/{workflow}" if workflow else provenance.LOCAL


def _invocation() -> str:
    run, repository = os.environ.get("GITHUB_RUN_ID"), os.environ.get("GITHUB_REPOSITORY")
    if not (run and repository):
        return ""
    return f"{_server()}/{repository}/actions/runs/{run}/attempts/{os.environ.get('GITHUB_RUN_ATTEMPT', '1')}"
