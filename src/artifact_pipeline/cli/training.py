"""`artifact-pipeline train`: config → artifact, and `model_train.pkl` beside it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from artifact_pipeline.canonical import PREFIX
from artifact_pipeline.cli.options import (
    artifact_option,
    export_option,
    refuse_device,
    report_options,
    verb,
    with_artifact,
)
from artifact_pipeline.cli.output import Output, shown

if TYPE_CHECKING:
    from artifact_pipeline.config import Config
    from artifact_pipeline.pipeline import Candidate


@verb("Train from a config, measure, judge and publish.", 3, 4, 5, 8)
@click.option(
    "--config",
    default="config/config.json",
    show_default=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The config.",
)
@click.option(
    "-S",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set one key of the config for this run, such as -S max_iter=500 or -S gate.min_f1=0.9; can be repeated.",
)
@artifact_option("Where the pointer to the artifact is written; the store is artifacts/ beside it.")
@export_option("Where the pickle for Python users is written.")
@click.option("--dry-run", is_flag=True, help="Print the resolved config and what would be written, and write nothing.")
@report_options(outputs=True)
@click.pass_obj
def train(
    output: Output,
    /,
    config: Path,
    overrides: tuple[str, ...],
    *,
    artifact: Path,
    export: Path,
    dry_run: bool,
    **reports: Path | None,
) -> None:
    """Train the model that a config describes, and publish it as an artifact that can be proven.

    The same config, data and packages give the same bytes. The model is measured as it will be served, from the
    published bytes; if its gate fails, the status is 3 and what stood before still stands.
    """
    from artifact_pipeline import pipeline
    from artifact_pipeline.config import load_config

    resolved = load_config(config, overrides)
    refuse_device(export)
    pipeline.check_places(artifact, export)
    if dry_run:
        _say_plan(output, resolved, artifact, export)
        return
    with output.progress() as progress:
        candidate = pipeline.train(resolved, progress=progress)
    _say_candidate(output, candidate)
    _report(candidate, artifact, **reports)
    folder = pipeline.publish(candidate, artifact=artifact, export=export)
    output.say(f"artifact: {shown(artifact)} -> {folder.relative_to(artifact.parent)}")
    output.say(f"export: {shown(export)}")
    output.next(_next(output, artifact))
    output.result(_summary(candidate, artifact=artifact, export=export))


def _report(candidate: Candidate, artifact: Path, *, summary: Path | None, outputs: Path | None) -> None:
    """Pass on what a job needs to know, whatever the verdict: also of a failed gate one wants to read why."""
    from artifact_pipeline.artifact.store import STORE
    from artifact_pipeline.cli import github, markdown

    manifest = candidate.manifest
    if summary is not None:
        github.append_summary(summary, markdown.manifest_page(candidate.digest, manifest))
    if outputs is not None:
        found = {
            "digest": candidate.digest,
            "verdict": manifest.gate.verdict if manifest.gate else "missing",
            "accuracy": str(manifest.metrics.held_out.accuracy.value),
            "artifact-path": str((artifact.parent / STORE / candidate.digest.removeprefix(PREFIX)).absolute()),
        }
        github.append_outputs(outputs, found)


def _next(output: Output, artifact: Path) -> str:
    if output.root is None:
        return with_artifact("artifact-pipeline verify", artifact)
    door = f"python {shlex.quote(shown(output.root / 'src' / 'inference.py'))}"
    return door if artifact == output.root / "artifact" else with_artifact(door, artifact, option="--artifact")


def _say_plan(output: Output, config: Config, artifact: Path, export: Path) -> None:
    from artifact_pipeline.artifact.store import STORE
    from artifact_pipeline.cli.views import dotted
    from artifact_pipeline.config import recipe

    resolved = recipe(config)
    for key, value in dotted(resolved).items():
        output.say(f"{key}: {json.dumps(value, ensure_ascii=False)}")
    output.say(f"would write: {shown(artifact)}, {shown(artifact.parent / STORE)}/<digest>/, {shown(export)}")
    output.next("the same command without --dry-run")
    written = {"artifact": shown(artifact), "store": shown(artifact.parent / STORE), "export": shown(export)}
    output.result({"recipe": resolved, "would_write": written})


def _say_candidate(output: Output, candidate: Candidate) -> None:
    from artifact_pipeline.cli import views

    manifest = candidate.manifest
    if not manifest.model.converged:
        output.talk(
            f"warning: the fit did not converge in {manifest.model.iterations} iterations; "
            f"give it more with -S max_iter={10 * manifest.model.iterations}, or another solver"
        )
    if manifest.model.parity.ties:
        output.talk(f"note: {manifest.model.parity.ties} rows are ties between two classes")
    views.say_digests(output, candidate.digest, manifest)
    views.say_figures(output, manifest)
    views.say_gate(output, manifest)


def _summary(candidate: Candidate, *, artifact: Path, export: Path) -> dict[str, Any]:
    manifest = candidate.manifest
    return {
        "artifact": candidate.digest,
        "model": manifest.model.digest,
        "gate": manifest.gate.plain() if manifest.gate else None,
        "metrics": manifest.metrics.plain(),
        "converged": manifest.model.converged,
        "written": {"artifact": shown(artifact), "export": shown(export)},
    }
