"""The provenance of a training: when, where, from which commit and files; `artifact.provenance` has its form."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from artifact_pipeline.artifact import provenance
from artifact_pipeline.artifact.store import Store
from artifact_pipeline.canonical import PREFIX, digest
from artifact_pipeline.files import read_bounded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.artifact.provenance import Comparison, Resource, Statement
    from artifact_pipeline.training.sealed import Candidate

LOCK = "requirements.txt"
_MAX_CONFIG = 65_536
"""A larger one is refused by what parses it."""
_MAX_LOCK = 16 << 20


@dataclass(frozen=True, slots=True)
class TrainingOrigin:
    """Where a training began.

    Attributes:
        config: the config file; None where the config was given as a mapping.
        lock: the environment's lock file, which may be missing.
        began: when, as RFC 3339 writes it.
        data: what the config file held then: what is parsed is what is recorded, whatever it holds when the training
            ends. None where there is none, or it cannot be read.
    """

    config: Path | None
    lock: Path
    began: str = field(default_factory=provenance.now)
    data: bytes | None = field(init=False)

    def __post_init__(self) -> None:
        """Read the config file."""
        object.__setattr__(self, "data", _read(self.config, _MAX_CONFIG) if self.config is not None else None)


def make_statement(
    candidate: Candidate,
    origin: TrainingOrigin,
    *,
    key: Mapping[str, str],
    looks: int,
    comparison: Comparison | None = None,
    fingerprint: str | None = None,
) -> Statement:
    """Return the provenance of a candidate; call it when it is ready to be published.

    Args:
        candidate: what was trained.
        origin: where the training began.
        key: `unchanged.key_of`.
        looks: `count_looks`.
        comparison: the candidate beside its champion.
        fingerprint: `unchanged.fingerprint_of`; None where more than the config's file decides the recipe.
    """
    manifest = candidate.manifest
    internal = provenance.Internal(
        key=dict(key),
        held_out=manifest.data.split.digest,
        looks=looks,
        comparison=comparison,
        fingerprint=fingerprint,
    )
    return provenance.Statement.make(
        candidate.digest,
        internal,
        recipe=manifest.recipe,
        dependencies=tuple(_materials(candidate, origin)),
        builder=provenance.builder(),
        run=provenance.BuildRun(
            started_on=origin.began, finished_on=provenance.now(), invocation_id=provenance.invocation()
        ),
    )


def count_looks(split: str, artifact: Path, champion: Verified | None = None) -> int:
    """Return how often the held-out rows of this split have been looked at, the training that asks included.

    It is one more than the most that the champion or an artifact of this store records.

    Args:
        split: the split's digest.
        artifact: where the pointer stands.
        champion: the model in charge; one without provenance was measured on its held-out rows once.
    """
    statements = [run.statement for run in Store(artifact).runs() if run.statement]
    looks = [each.internal.looks for each in statements if each.internal.held_out == split]
    if champion is not None:
        its = provenance.Statement.of(champion)
        looks.append(its.internal.looks if its else 1)
    return 1 + max(looks, default=0)


def _materials(candidate: Candidate, origin: TrainingOrigin) -> Iterator[Resource]:
    for name, data in (("config", origin.data), (LOCK, _read(origin.lock, _MAX_LOCK))):
        if data is not None:
            yield provenance.Resource(name=name, digest={"sha256": digest(data).removeprefix(PREFIX)})
    for source in candidate.manifest.data.sources:
        hexadecimal = source.digest.removeprefix(PREFIX)
        annotations = {"rows": source.rows}
        yield provenance.Resource(
            name=f"data:{source.name}", digest={source.algorithm: hexadecimal}, annotations=annotations
        )
    commit = _source(origin.config.parent if origin.config is not None else Path.cwd())
    if commit is not None:
        yield commit


def _read(path: Path, limit: int) -> bytes | None:
    try:
        return read_bounded(path, limit)
    except (OSError, ValueError):
        return None


def _source(folder: Path) -> Resource | None:
    """The commit of the files around this folder; None where there is no clone, and no CI names a commit."""
    # Imported here, because a training that finds nothing to do needs no commit.
    from artifact_pipeline.training.checkout import Checkout

    found, of_job = Checkout.around(folder), os.environ.get("GITHUB_SHA")
    if found is None:
        if not of_job:
            return None
        found = Checkout(of_job, reason="there is no clone to compare with")
    commit = found.commit or of_job
    annotations: dict[str, str | bool] = {"dirty": provenance.UNKNOWN if found.dirty is None else found.dirty}
    if found.reason is not None:
        annotations["reason"] = found.reason
    if commit is None:
        annotations["commit"] = provenance.UNKNOWN
    return provenance.Resource(
        name=provenance.SOURCE,
        uri=_repository() or ("" if commit else provenance.UNKNOWN_SOURCE),
        digest={"gitCommit": commit} if commit else {},
        annotations=annotations,
    )


def _repository() -> str:
    """The repository that a CI runs for; a clone's own remote may hold a password, and is not read."""
    return f"git+{provenance.server()}/{os.environ['GITHUB_REPOSITORY']}" if os.environ.get("GITHUB_REPOSITORY") else ""
