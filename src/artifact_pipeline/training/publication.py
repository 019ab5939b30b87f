"""What goes into charge: a candidate whose gate passed, or an earlier artifact of the store."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from artifact_pipeline.artifact.gate import GATE_ALONE
from artifact_pipeline.artifact.manifest2 import BASELINE
from artifact_pipeline.artifact.store import Store
from artifact_pipeline.canonical import PREFIX, digest
from artifact_pipeline.errors import ArtifactRejected, GateFailed, Problem, plural
from artifact_pipeline.files import write_atomic
from artifact_pipeline.storage.outputs import Place, check_outputs, refuse_overlap
from artifact_pipeline.verification import export_state, verify

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from artifact_pipeline.artifact.figures import HeldOut
    from artifact_pipeline.artifact.manifest import Manifest, Verified
    from artifact_pipeline.artifact.provenance import Comparison, Statement
    from artifact_pipeline.artifact.store import Run
    from artifact_pipeline.training.request import Training
    from artifact_pipeline.training.sealed import Candidate
    from artifact_pipeline.trust.policy import Trust


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


def publish(candidate: Candidate, *, artifact: Path, export: Path | None, statement: Statement | None = None) -> Path:
    """Write a candidate: into charge if its gate passed, into the store alone if not.

    Args:
        candidate: what `train` returned.
        artifact: where the pointer stands.
        export: where `model_train.pkl` is written, last; None writes none.
        statement: its provenance; a comparison in it that is not accepted is a gate that failed.

    Returns:
        The artifact's folder.

    Raises:
        GateFailed: the gate failed; the candidate stands in the store, pointer and export as they were.
        ConfigError: the export would be written over the pointer, or into an artifact.
        StorageError: the disk is full, the folder read-only, or the store busy.
    """
    check_places(artifact, export)
    comparison = statement.internal.comparison if statement else None
    problems = [*_gate_problems(candidate.manifest), *(comparison_problems(comparison) if comparison else ())]
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


def put_in_charge(training: Training, *, artifact: Path, export: Path | None) -> Training:
    """Publish the candidate of a training, and return the training with where that stands.

    Raises:
        GateFailed: as `publish`; its `result` is the training.
        ConfigError: as `publish`.
        StorageError: likewise.
    """
    assert training.candidate is not None
    try:
        publish(training.candidate, artifact=artifact, export=export, statement=training.statement)
    except GateFailed as error:
        error.result = training
        raise
    return replace(training, in_charge=True, export=export)


def _gate_problems(manifest: Manifest) -> Iterator[Problem]:
    assert manifest.gate is not None
    held_out = manifest.metrics.held_out
    unseen = {each.label for each in held_out.classes if not each.rows}
    for rule in manifest.gate.rules:
        if not rule.passed:
            why = ", since no held-out row has this label" if rule.label in unseen else ""
            if rule.metric == BASELINE:
                why = _why_unreachable(held_out)
            yield Problem("gate", f"gate-{rule.metric}", rule.shortfall + why)


def _why_unreachable(held_out: HeldOut) -> str:
    """Why no model at all could beat the baseline on these rows; empty where one could."""
    from artifact_pipeline.metrics.classification import wilson_interval

    least, _ = wilson_interval(held_out.rows, held_out.rows)
    if held_out.majority_share == 1:
        return f", since all held-out rows have the label {held_out.majority.label!r}; hold out rows of others, too"
    if least > held_out.majority_share:
        return ""
    return f"; {plural(held_out.rows, 'held-out row')} are too few: of a model without a mistake it is {least:.6f}"


def comparison_problems(comparison: Comparison) -> Iterator[Problem]:
    """Yield what keeps a candidate from taking its champion's place; nothing where the comparison is accepted."""
    if comparison.accepted:
        return
    for name, each in (("accuracy", comparison.accuracy), ("f1_weighted", comparison.f1_weighted)):
        if not each.low > -comparison.margin:
            message = (
                f"{name} lies {each.low:+.4f} to {each.high:+.4f} from the champion's (95 %), "
                f"and must lie above {-comparison.margin:+.4f}"
            )
            yield Problem("gate", f"champion-{comparison.outcome}", message)


def renew_export(candidate: Candidate, standing: Verified, export: Path) -> bool:
    """Write `model_train.pkl` of an artifact that stays, where the file is missing or belongs to another artifact.

    Returns:
        Whether the export belongs to the artifact afterwards.

    Raises:
        StorageError: it cannot be written.
    """
    if export_state(standing.manifest, export) == "matches":
        return True
    if digest(candidate.export) not in {each.sha256 for each in standing.manifest.exports}:
        return False
    write_atomic(export, candidate.export)
    return True


def rollback(artifact: Path, *, to: str | None = None, trust: Trust | None = None) -> Verified:
    """Let the pointer lead to an earlier artifact of the store, verified and with a gate that passed.

    Args:
        artifact: where the pointer stands.
        to: the artifact digest, or its first hexadecimal digits; None for the latest one that passed before the one in
            charge, of the same name.
        trust: whom and what to trust; None where integrity is enough.

    Raises:
        ArtifactRejected: there is no such artifact, its gate failed, it is not what it claims to be, or not trusted.
        StorageError: the pointer cannot be written.
    """
    store = Store(artifact)
    earlier = _earlier(store.runs(), to).digest
    try:
        verified = verify(store.place(earlier), trust=trust)
    except ArtifactRejected as error:
        if not error.rules or not error.rules <= GATE_ALONE:
            raise
        raise ArtifactRejected(
            f"{earlier} did not pass its gate, and rollback puts nothing else in charge",
            problems=error.problems,
            hint="artifact-pipeline runs lists the artifacts that passed",
        ) from error
    store.move_pointer(verified.digest)
    return verified


def _earlier(runs: Sequence[Run], to: str | None) -> Run:
    """Return the artifact of the store that `rollback` puts in charge."""
    if to is None:
        after = next((index + 1 for index, run in enumerate(runs) if run.current), 0)
        name = _name_of(runs[after - 1]) if after else None
        found = [run for run in runs[after:] if run.passed and name in {None, _name_of(run)}][:1]
        wanted = "earlier artifact of this name whose gate passed"
    else:
        digits = to.removeprefix(PREFIX)
        found = [run for run in runs if digits and run.digest.removeprefix(PREFIX).startswith(digits)]
        wanted = f"artifacts whose digest begins with {to or 'nothing'}"
    if len(found) != 1:
        hint = "artifact-pipeline runs lists what there is; name one digest"
        raise ArtifactRejected(f"the store has {len(found) or 'no'} {wanted}", hint=hint)
    return found[0]


def _name_of(run: Run) -> str | None:
    """The name of the model; None where its manifest cannot be read."""
    return run.manifest.name if run.manifest is not None else None
