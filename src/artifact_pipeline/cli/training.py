"""`artifact-pipeline train`: config → artifact, and `model_train.pkl` beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from artifact_pipeline.cli.options import artifact_option, common, export_option
from artifact_pipeline.cli.output import Output, shown

if TYPE_CHECKING:
    from artifact_pipeline.artifact.manifest import Manifest
    from artifact_pipeline.config import Config
    from artifact_pipeline.pipeline import Candidate


@click.command(short_help="Train from a config, measure, judge and publish.")
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
@click.option("--dry-run", is_flag=True, help="Print the resolved config and what would be written, and do nothing.")
@common
@click.pass_obj
def train(
    output: Output, config: Path, overrides: tuple[str, ...], *, artifact: Path, export: Path, dry_run: bool
) -> None:
    """Train the model that a config describes, and publish it as an artifact that can be proven.

    The same config, data and packages give the same bytes. The model is measured as it will be served, from the
    published bytes; if its gate fails, the status is 3 and what stood before still stands.
    """
    from artifact_pipeline.config import load_config

    resolved = load_config(config, overrides)
    if dry_run:
        _say_plan(output, resolved, artifact, export)
        return
    from artifact_pipeline import pipeline

    pipeline.check_places(artifact, export)
    with output.progress() as progress:
        candidate = pipeline.train(resolved, progress=progress)
    _say_candidate(output, candidate)
    folder = pipeline.publish(candidate, artifact=artifact, export=export)
    output.say(f"artifact: {shown(artifact)} -> {folder.relative_to(artifact.parent)}")
    output.say(f"export: {shown(export)}")
    output.next("python src/inference.py" if output.door else "artifact-pipeline verify")
    output.result(_summary(candidate, artifact=artifact, export=export))


def _say_plan(output: Output, config: Config, artifact: Path, export: Path) -> None:
    from artifact_pipeline.config import recipe

    resolved = recipe(config)
    for key, value in resolved.items():
        output.say(f"{key}: {value}")
    output.say(f"would write: {shown(artifact)}, {shown(artifact.parent / 'artifacts')}/<digest>/, {shown(export)}")
    output.next("the same command without --dry-run")
    output.result({"recipe": resolved, "would_write": [shown(artifact), shown(export)]})


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
    manifest: Manifest = candidate.manifest
    return {
        "artifact": candidate.digest,
        "model": manifest.model.digest,
        "gate": manifest.gate.plain() if manifest.gate else None,
        "metrics": manifest.metrics.plain(),
        "converged": manifest.model.converged,
        "written": {"artifact": shown(artifact), "export": shown(export)},
    }
