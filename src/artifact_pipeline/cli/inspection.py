"""`artifact-pipeline verify` and `inspect`: is it what it claims to be, and what does it claim?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from artifact_pipeline.cli.options import ARTIFACT, common, export_option, trust_options
from artifact_pipeline.cli.output import Output, shown

if TYPE_CHECKING:
    from artifact_pipeline.artifact.manifest import Manifest
    from artifact_pipeline.artifact.verify import Verified

artifact_argument = click.argument("artifact", default=ARTIFACT, type=click.Path(path_type=Path))


@click.command(short_help="Check an artifact, whole, before anything of it is used.")
@artifact_argument
@trust_options
@export_option("The pickle to compare with the manifest.")
@common
@click.pass_context
def verify(
    context: click.Context, artifact: Path, *, expect: str | None, accept_failed_gate: bool, export: Path
) -> None:
    """Check ARTIFACT (a pointer, or an artifact's folder): every file, in both directions, and the gate's verdict.

    Every problem is named, and the status is 4. Without --expect this proves integrity only: that nothing was
    changed since the manifest was written, not who wrote it.
    """
    from artifact_pipeline.artifact import verify as v

    output: Output = context.obj
    verified = v.verify(artifact, expect=expect, accept_failed_gate=accept_failed_gate)
    verdict = verified.manifest.gate.verdict if verified.manifest.gate else "missing"
    output.say(f"verified: {shown(artifact)}, {len(verified.members) + 1} files, {_trust(expect)}")
    output.say(f"artifact digest: {verified.digest}")
    output.say(f"model digest:    {verified.manifest.model.digest}")
    output.say(f"gate: {verdict}")
    asked = context.get_parameter_source("export") is click.core.ParameterSource.COMMANDLINE
    state = check_export(output, verified.manifest, export if asked else artifact.parent / export, required=asked)
    output.next("artifact-pipeline predict")
    output.result(
        {
            "artifact": verified.digest,
            "model": verified.manifest.model.digest,
            "gate": verdict,
            "files": {record.name: record.sha256 for record in verified.manifest.files},
            "expected": expect is not None,
            "export": state,
        }
    )


def _trust(expect: str | None) -> str:
    return "as expected" if expect else "integrity only (--expect takes a digest known from elsewhere)"


def check_export(output: Output, manifest: Manifest, export: Path, *, required: bool = False) -> str:
    """Compare the pickle with the manifest, by its digest alone, and say what was found.

    Args:
        output: where to say it.
        manifest: the manifest that binds the export.
        export: where the pickle should be.
        required: refuse where it is missing or another one, and do not merely say so.

    Returns:
        `matches`, `differs` or `missing`.

    Raises:
        ArtifactRejected: it is required, and missing or another one.
    """
    from artifact_pipeline.artifact import verify as v

    state = v.export_state(manifest, export)
    words = {
        "matches": f"export: {shown(export)} belongs to this artifact",
        "differs": f"warning: {shown(export)} does not belong to this artifact; train again to mend it",
        "missing": f"export: {shown(export)} is not there",
    }[state]
    if required and state != "matches":
        raise v.export_rejected(export, words.removeprefix("warning: ").removeprefix("export: "))
    (output.talk if state == "differs" else output.say)(words)
    return state


@click.command(short_help="Show what an artifact says of itself.")
@artifact_argument
@common
@click.pass_obj
def inspect(output: Output, artifact: Path) -> None:
    """Show ARTIFACT: recipe, data, metrics with intervals, classes, confusion matrix, gate, environment.

    It is verified first; one whose gate failed is shown too, so that one can see why.
    """
    from artifact_pipeline.artifact import verify as v

    verified = v.verify(artifact, accept_failed_gate=True)
    _say_manifest(output, verified)
    output.next("artifact-pipeline predict")
    manifest: dict[str, Any] = verified.manifest.plain()
    output.result({"artifact": verified.digest, "manifest": manifest})


def _say_manifest(output: Output, verified: Verified) -> None:
    from artifact_pipeline.cli import views

    manifest = verified.manifest
    model, data, environment = manifest.model, manifest.data, manifest.environment
    output.say(f"name: {manifest.name}")
    views.say_digests(output, verified.digest, manifest)
    output.say(f"recipe: {', '.join(f'{key}={value}' for key, value in manifest.recipe.items())}")
    output.say(f"estimator: {model.estimator}, {_fit(model.iterations, converged=model.converged)}")
    output.say(f"data: {', '.join(f'{each.name}, {each.rows:,} rows, {each.digest}' for each in data.sources)}")
    output.say(f"split: {data.split.training:,} training rows, {data.split.held_out:,} held out")
    views.say_figures(output, manifest)
    output.table(
        ["class", "rows", "precision", "recall", "F1"],
        [
            [str(each.label), f"{each.rows:,}", f"{each.precision:.4f}", f"{each.recall:.4f}", f"{each.f1:.4f}"]
            for each in manifest.metrics.held_out.classes
        ],
    )
    output.say()
    views.say_confusion(output, model.classes, manifest.metrics.held_out.confusion)
    views.say_gate(output, manifest)
    output.say(
        f"environment: {environment.python.implementation} {environment.python.version}, {environment.system} "
        f"{environment.architecture}, {environment.libc}"
    )
    output.say(f"packages: {', '.join(f'{name} {number}' for name, number in environment.packages.items())}")
    output.say(f"BLAS: {', '.join(f'{each.library} {each.version} ({each.kernel})' for each in environment.blas)}")


def _fit(iterations: int, *, converged: bool) -> str:
    return f"{'converged' if converged else 'did NOT converge'} in {iterations} iterations"
