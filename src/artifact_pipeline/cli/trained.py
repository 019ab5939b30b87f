"""What `train` prints of its table, its changes, its plan and its candidate."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from artifact_pipeline.canonical import dotted
from artifact_pipeline.cli import views
from artifact_pipeline.errors import listing, plural
from artifact_pipeline.files import shown
from artifact_pipeline.rows.matrix import FEEDBACK, HELD_OUT

if TYPE_CHECKING:
    from artifact_pipeline.artifact.manifest import Manifest
    from artifact_pipeline.artifact.manifest1 import Data
    from artifact_pipeline.artifact.provenance import Statement
    from artifact_pipeline.cli.output import Output
    from artifact_pipeline.training.request import Columns, Plan, TrainingRequest
    from artifact_pipeline.training.sealed import Candidate
    from artifact_pipeline.training.unchanged import Look

_SHOWN = 10
"""Names that a line lists."""


def say_columns(output: Output, columns: Columns) -> None:
    """Print which columns of a table are learned from, which are left out, and what is suspicious."""
    parts = f" of {plural(columns.files, 'file')}" if columns.files > 1 else ""
    without = f", {columns.empty_files:,} of them without a row" if columns.empty_files else ""
    beside = f", and {plural(columns.held_out, 'row')} of the held-out file" if columns.held_out else ""
    output.say(
        f"columns: {columns.target!r} is learned from {listing([repr(name) for name in columns.names], _SHOWN)}; "
        f"{plural(columns.rows - columns.held_out, 'row')}{parts}{without}{beside}"
    )
    if columns.left_out:
        reasons = [f"{each.name!r} ({each.reason})" for each in columns.left_out]
        output.say(f"left out: {listing(reasons, _SHOWN, separator='; ')}")
    for warning in columns.warnings:
        output.log(f"warning: {warning}")


def plain_columns(columns: Columns | None) -> dict[str, Any]:
    """Return the columns as `--json` prints them; nothing for a built-in data set."""
    if columns is None:
        return {}
    return {
        "columns": {
            "target": columns.target,
            "learned": [{"name": name, "kind": kind} for name, kind in zip(columns.names, columns.kinds, strict=True)],
            "left_out": [each._asdict() for each in columns.left_out],
            "rows": columns.rows,
            "held_out_file_rows": columns.held_out,
            "files": columns.files,
            "empty_files": columns.empty_files,
            "warnings": list(columns.warnings),
        }
    }


def _feedback_of(manifest: Manifest) -> list[Data.Source]:
    """Return the sources that are learned from beside the training rows."""
    return [each for each in manifest.data.sources if each.name == FEEDBACK]


def plain_feedback(manifest: Manifest, candidate: Candidate | None) -> dict[str, Any]:
    """Return the feedback as `--json` prints it; nothing where there is none."""
    found = [{"digest": each.digest, "rows": each.rows} for each in _feedback_of(manifest)]
    left_out = candidate.left_out if candidate else None
    return {"feedback": {"files": found, "left_out": left_out}} if found or left_out else {}


def say_changes(output: Output, look: Look) -> None:
    """Print what has changed since the artifact in charge was made, or why there is a training all the same."""
    for each in look.changes:
        output.say(f"changed: {each.part}: {each.old or 'not there'} -> {each.new or 'not there'}")
    if look.reason is not None:
        output.say(f"to be trained: {look.reason}")
    elif not look.changes:
        output.say("changed: nothing")


def plain_look(look: Look) -> dict[str, Any]:
    """Return what has changed as `--json` prints it."""
    return {"changed": [asdict(change) for change in look.changes], "reason": look.reason}


def say_plan(output: Output, request: TrainingRequest, plan: Plan) -> None:
    """Print what would be trained and written, and with `--explain` what has changed."""
    from artifact_pipeline.config import recipe

    assert request.export is not None
    resolved, store = recipe(plan.config), shown(plan.store)
    artifact, export = shown(request.artifact), shown(request.export)
    for key, value in dotted(resolved).items():
        output.say(f"{key}: {json.dumps(value, ensure_ascii=False)}")
    output.say(f"would write: {artifact}, {store}/<digest>/, {export}")
    output.next("the same command without --dry-run")
    written = {"artifact": artifact, "store": store, "export": export}
    changes = {} if plan.look is None else plain_look(plan.look)
    output.result({"recipe": resolved, "would_write": written, **plain_columns(plan.columns), **changes})


def say_candidate(output: Output, candidate: Candidate) -> None:
    """Print what was trained: digests, figures, verdict, and warnings."""
    manifest = candidate.manifest
    if not manifest.model.converged:
        output.log(f"warning: the fit did not converge in {manifest.model.iterations} iterations; {_mend(candidate)}")
    if candidate.repeated:
        held_out = plural(manifest.data.split.held_out, "held-out row")
        of_file = any(each.name == HELD_OUT for each in manifest.data.sources)
        mend = "leave them out of one of the two files" if of_file else "-S split.by=hash keeps equal rows together"
        output.log(
            f"warning: {candidate.repeated:,} of {held_out} also stand among the training rows, in every feature, so "
            f"the figures may be too high; {mend}"
        )
    for each in _feedback_of(manifest):
        output.say(f"feedback: {plural(each.rows, 'row')} learned from beside the training rows, {each.digest}")
    for note in candidate.notes:
        output.log(f"note: {note}")
    if manifest.model.parity.ties:
        output.log(f"note: {plural(manifest.model.parity.ties, 'tie')} between two classes")
    views.say_digests(output, candidate.digest, manifest)
    views.say_figures(output, manifest)
    views.warn_of_unpredicted(output, manifest.metrics.held_out)
    if manifest.metrics.held_out.never_predicted:
        output.log(
            "hint: -S class_weight=balanced weighs rare classes more; -S gate.min_recall=0.5 lets none pass unseen"
        )
    views.say_gate(output, manifest)


def _mend(candidate: Candidate) -> str:
    """Return what lets the fit converge."""
    model, scales = candidate.manifest.model, candidate.scales
    if scales is not None:
        wide = f"{scales.wide!r} ({scales.wide_deviation:.3g})"
        narrow = f"{scales.narrow!r} ({scales.narrow_deviation:.3g})"
        return (
            f"the standard deviation of {wide} is {scales.ratio:,.0f} times that of {narrow}: "
            "-S preprocess=auto scales the columns"
        )
    place = "" if model.estimator.endswith(".LogisticRegression") else "model."
    return f"give it more with -S {place}max_iter={10 * (model.iterations or 1)}, or another solver"


def say_unknown(output: Output, statement: Statement) -> None:
    """Print which facts about the commit are unknown, and why."""
    annotations = statement.source.annotations if statement.source is not None else {}
    if "reason" in annotations:
        what = "the commit" if "commit" in annotations else "whether tracked files differ from the commit"
        output.log(f"note: {what} is unknown, as the provenance says, too: {annotations['reason']}")
