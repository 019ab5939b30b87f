"""`artifact-pipeline runs` and `rollback`: what the store holds, and back to an earlier artifact."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from artifact_pipeline.cli.options import artifact_option, common
from artifact_pipeline.cli.output import Output, shown

if TYPE_CHECKING:
    from artifact_pipeline.artifact.store import Run


@click.command(short_help="List the artifacts of the store, the latest training first.")
@artifact_option("The pointer; the store is artifacts/ beside it.")
@common
@click.pass_obj
def runs(output: Output, artifact: Path) -> None:
    """List the artifacts of the store: digest, what changed in the recipe since the one before, metrics, verdict.

    The pointer leads to the one marked with a star. The list is read, not verified.
    """
    from artifact_pipeline.artifact import store

    found = store.runs(artifact)
    listed = [_entry(run, older) for run, older in zip(found, [*found[1:], None], strict=True)]
    if not listed:
        output.say(f"no artifact has been published beside {shown(artifact)} yet")
        output.next("artifact-pipeline train")
    else:
        output.table(["", "digest", "gate", "accuracy", "F1 weighted", "changed"], [_row(entry) for entry in listed])
        output.next("artifact-pipeline rollback" if len(listed) > 1 else "artifact-pipeline inspect")
    output.result({"runs": listed})


def _entry(run: Run, older: Run | None) -> dict[str, Any]:
    entry: dict[str, Any] = {"digest": run.digest, "current": run.current, "readable": run.manifest is not None}
    if run.manifest is None:
        return entry
    held_out = run.manifest.metrics.held_out
    before = older.manifest.recipe if older and older.manifest else None
    return {
        **entry,
        "gate": run.manifest.gate.verdict if run.manifest.gate else None,
        "accuracy": held_out.accuracy.value,
        "f1_weighted": held_out.f1_weighted.value,
        "changed": None if before is None else _changes(before, run.manifest.recipe),
    }


def _changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """The recipe's keys that differ from the artifact before, with their new values."""
    keys = sorted({*before, *after})
    return {key: after.get(key) for key in keys if before.get(key) != after.get(key)}


def _row(entry: dict[str, Any]) -> list[str]:
    mark, digest = "*" if entry["current"] else "", entry["digest"].removeprefix("sha256:")[:12]
    if not entry["readable"]:
        return [mark, digest, "unreadable", "", "", ""]
    changed = entry["changed"]
    words = "" if changed is None else ", ".join(f"{key}={value}" for key, value in changed.items()) or "nothing"
    return [
        mark,
        digest,
        entry["gate"] or "none",
        f"{entry['accuracy']:.4f}",
        f"{entry['f1_weighted']:.4f}",
        words,
    ]


@click.command(short_help="Let the pointer lead to an earlier artifact.")
@click.argument("digest", required=False)
@artifact_option("The pointer.")
@common
@click.pass_obj
def rollback(output: Output, digest: str | None, artifact: Path) -> None:
    """Let the pointer lead to the artifact DIGEST, or its first digits, of the store; by default the one that passed
    its gate before the one in charge. It is verified first. model_train.pkl stays as it is: train to renew it.
    """  # noqa: D205 - one sentence, and click shows it as one paragraph
    from artifact_pipeline import pipeline

    moved = pipeline.rollback(artifact, to=digest)
    output.say(f"artifact: {shown(artifact)} -> {moved.digest}")
    output.next("artifact-pipeline verify")
    output.result({"artifact": moved.digest})
