"""`artifact-pipeline runs` and `rollback`: what the store holds, and back to an earlier artifact."""

from __future__ import annotations

import re
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import click

from artifact_pipeline.cli.options import artifact_option, asked_trust, policy_options, verb, with_artifact
from artifact_pipeline.files import shown

if TYPE_CHECKING:
    from pathlib import Path

    from artifact_pipeline.artifact.store import Run
    from artifact_pipeline.cli.output import Output


@verb("List the artifacts of the store, the latest training first.", 4)
@artifact_option("The pointer; the store is artifacts/ beside it.")
@click.pass_obj
def runs(output: Output, artifact: Path) -> None:
    """List the artifacts of the store: digest, verdict, metrics, what changed in the recipe since the one before.

    The pointer leads to the one marked with a star. The list is read, not verified.
    """
    from artifact_pipeline.artifact.store import Store

    found = Store(artifact).runs()
    listed = [_entry(run, older) for run, older in zip_longest(found, found[1:])]
    if listed:
        output.table(
            ["", "digest", "gate", "held-out accuracy", "held-out F1", "changed"], [_row(entry) for entry in listed]
        )
    else:
        output.say(f"no artifact has been published beside {shown(artifact)} yet")
    output.next(_next(found, artifact))
    output.result({"runs": listed})


def _next(found: list[Run], artifact: Path) -> str:
    # Never a rollback: what stands is in charge for a reason, and to put another in its place is a person's decision.
    if not any(run.current for run in found):
        return with_artifact("artifact-pipeline train", artifact, option="--artifact")
    return with_artifact("artifact-pipeline inspect", artifact)


def _entry(run: Run, older: Run | None) -> dict[str, Any]:
    entry: dict[str, Any] = {"digest": run.digest, "current": run.current, "readable": run.manifest is not None}
    if run.manifest is None:
        return entry
    held_out = run.manifest.metrics.held_out
    before = older.manifest.recipe if older and older.manifest else None
    return {
        **entry,
        "gate": run.manifest.gate.verdict if run.manifest.gate else None,
        "comparison": run.comparison.outcome if run.comparison else None,
        "accuracy": held_out.accuracy.value,
        "f1_weighted": held_out.f1_weighted.value,
        "changed": None if before is None else _changes(before, run.manifest.recipe),
    }


def _changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """The recipe's keys that differ from the artifact before, with their new values."""
    from artifact_pipeline.canonical import dotted

    old, new = dotted(before), dotted(after)
    return {key: new.get(key) for key in sorted({*old, *new}) if old.get(key) != new.get(key)}


def _row(entry: dict[str, Any]) -> list[str]:
    mark, digest = "*" if entry["current"] else "", entry["digest"].removeprefix("sha256:")[:12]
    if not entry["readable"]:
        return [mark, digest, "unreadable", "", "", ""]
    changed = entry["changed"]
    words = "" if changed is None else ", ".join(f"{key}={value}" for key, value in changed.items()) or "nothing"
    return [
        mark,
        digest,
        (entry["gate"] or "none") + (f", champion: {entry['comparison']}" if entry["comparison"] else ""),
        f"{entry['accuracy']:.4f}",
        f"{entry['f1_weighted']:.4f}",
        words,
    ]


def first_digits(_context: click.Context, _argument: click.Parameter, value: str | None) -> str | None:
    """Let click refuse what is neither a digest nor the beginning of one."""
    if value is not None and not re.fullmatch(r"(sha256:)?[0-9a-f]{1,64}", value):
        raise click.BadParameter(f"must be sha256: and hexadecimal digits, or the first of them, got {value!r:.80}")
    return value


@verb("Let the pointer lead to an earlier artifact.", 4, 8)
@click.argument("digest", required=False, callback=first_digits)
@artifact_option("The pointer.")
@policy_options
@click.pass_obj
def rollback(output: Output, /, digest: str | None, artifact: Path, **asked: Any) -> None:
    """Let the pointer lead to the artifact DIGEST of the store (its first digits are enough).

    Without DIGEST it is the latest one before the artifact in charge that passed its gate, and the comparison with its
    champion if there was one. It is verified first, with --policy or --public-key by what you trust: what that refuses
    is not put in charge.
    model_train.pkl stays as it is: train to renew it.
    """
    from artifact_pipeline.training import publication

    moved = publication.rollback(artifact, to=digest, trust=asked_trust(asked))
    output.say(f"artifact: {shown(artifact)} -> {moved.digest}")
    output.next(with_artifact("artifact-pipeline verify", artifact))
    output.result({"artifact": moved.digest})
