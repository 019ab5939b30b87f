"""A candidate is written: into charge if its gate passed, into the store alone if not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from artifact_pipeline.artifact.store import Store
from artifact_pipeline.errors import GateFailed, Problem
from artifact_pipeline.storage.outputs import Place, check_outputs, refuse_overlap
from artifact_pipeline.training import champion

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from artifact_pipeline.artifact import manifest as m
    from artifact_pipeline.artifact.provenance import Statement
    from artifact_pipeline.training.candidate import Candidate


def publish(candidate: Candidate, *, artifact: Path, export: Path | None, statement: Statement | None = None) -> Path:
    """Write a candidate: into charge if its gate passed, into the store alone if not.

    Args:
        candidate: what `train` gave.
        artifact: where the pointer stands.
        export: where `model_train.pkl` is written, last; None writes none.
        statement: what `provenance.state` says of it; a comparison in it that is not accepted is a gate that failed.

    Returns:
        The artifact's folder.

    Raises:
        GateFailed: the gate failed; the candidate stands in the store, pointer and export as they were.
        ConfigError: the export would be written over the pointer, or into an artifact.
        StorageError: the disk is full, the folder read-only, or the store busy.
    """
    check_places(artifact, export)
    comparison = statement.internal.comparison if statement else None
    problems = [*_gate_problems(candidate.manifest), *(champion.problems(comparison) if comparison else ())]
    folder = Store(artifact).publish(
        candidate.manifest.canonical(),
        candidate.members,
        in_charge=not problems,
        export=(export, candidate.export) if export is not None else None,
        statement=statement.encode() if statement else None,
    )
    if problems:
        stands = artifact.is_symlink() or artifact.exists()
        raise GateFailed(
            f"the gate failed; {'what stood before still stands' if stands else 'no model is in charge yet'}",
            problems=problems,
            hint=f"the candidate is kept: artifact-pipeline inspect {folder}",
        )
    return folder


def _gate_problems(manifest: m.Manifest) -> list[Problem]:
    assert manifest.gate is not None
    unseen = {each.label for each in manifest.metrics.held_out.classes if not each.rows}
    return [
        Problem(
            "gate",
            f"gate-{rule.metric}",
            f"{rule.name} {rule.observed} is below {rule.minimum}"
            + (", since no held-out row has this label" if rule.label in unseen else ""),
        )
        for rule in manifest.gate.rules
        if not rule.passed
    ]


def check_places(
    artifact: Path, export: Path | None, *, inputs: Iterable[Place] = (), outputs: Iterable[Place] = ()
) -> None:
    """Make sure, before an expensive training, that its results can be written, and over nothing that is read.

    Args:
        artifact: where the pointer stands, the store beside it.
        export: where `model_train.pkl` is written; None where none is.
        inputs: what is read.
        outputs: what else is written.

    Raises:
        ConfigError: an output is an input, or lies in an artifact, or two are one.
        StorageError: something else stands there, or a folder is missing.
    """
    store = Store(artifact)
    kept = [Place("the artifact", str(folder), "folder") for folder in store.folders()]
    pointer = Place("--artifact", str(artifact), "link")
    folder = Place("the store", str(store.folder))
    written = [*([Place("--export", str(export))] if export is not None else []), *outputs]
    refuse_overlap([*inputs, *kept], [pointer, *written])
    refuse_overlap([], [folder, pointer, *written])
    store.check()
    check_outputs([], written)
