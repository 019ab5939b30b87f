"""`artifact-pipeline verify` and `inspect`: is it what it claims to be, and what does it claim?"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from artifact_pipeline.artifact import ARTIFACT, EXPORT
from artifact_pipeline.cli import views
from artifact_pipeline.cli.options import (
    artifact_argument,
    export_option,
    is_given,
    trust_from,
    trust_options,
    verb,
    with_artifact,
)
from artifact_pipeline.errors import ArtifactRejected, ConfigError, Problem, plural
from artifact_pipeline.files import shown

if TYPE_CHECKING:
    from artifact_pipeline.artifact.manifest import Manifest, Verified
    from artifact_pipeline.artifact.trials import SearchResults
    from artifact_pipeline.cli.output import Output


@verb("Check an artifact, whole, before anything of it is used; or predictions, against their receipt.", 4)
@click.argument("artifact", default=ARTIFACT, type=click.Path())  # a text: predictions may have a URL
@trust_options
@export_option("The pickle to compare with the manifest; by default the one beside the artifact, if it is there.")
@click.option(
    "--receipt",
    is_flag=False,
    flag_value="",
    metavar="[FILE]",
    type=click.Path(),
    help="ARTIFACT is predictions instead: compare them with their receipt, by default the one beside them.",
)
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="FILE",
    type=click.Path(),
    help="With --receipt: a file that must be an input.",
)
@click.pass_obj
def verify(
    output: Output,
    /,
    artifact: str,
    *,
    expect: str | None,
    accept_failed_gate: bool,
    export: Path,
    **options: Any,  # as the groups of options name it
) -> None:
    """Check ARTIFACT (a pointer, an artifact's folder, or oci://HOST/NAME:TAG): every file, and the gate's verdict.

    Every problem is named, and the status is 4. Without --expect, --public-key or --policy this proves integrity only:
    that nothing was changed since the manifest was written, not who wrote it.

    With --receipt, check predictions (a file, or a folder of parts): that they are what the receipt records, every
    byte; with --input also what they were made from, and with --expect by which artifact.
    """
    from artifact_pipeline.registry import remote
    from artifact_pipeline.reports.statements import verdict_of
    from artifact_pipeline.storage import places as storage
    from artifact_pipeline.trust.beside import check_beside

    trust = trust_from({**options, "expect": expect})
    if options["receipt"] is not None:
        if trust is not None:
            raise ConfigError("a receipt is not signed; of --expect, --public-key and --policy it takes --expect alone")
        _verify_receipt(output, artifact, expect=expect, receipt=options["receipt"], inputs=options["inputs"])
        return
    if options["inputs"]:
        raise ConfigError("--input goes with --receipt")
    place = storage.artifact_place(artifact)
    verified = remote.verify(place, expect=expect, accept_failed_gate=accept_failed_gate, trust=trust)
    check_beside(verified)
    path = verified.reference or place
    verdict = verdict_of(verified.manifest)
    output.say(f"verified: {shown(path)}, {plural(len(verified.members) + 1, 'file')}, {_trust(verified.trust)}")
    views.say_digests(output, verified.digest, verified.manifest)
    output.say(f"gate: {verdict}")
    state = check_export(output, verified.manifest, path, export, required=is_given("export"))
    output.next(with_artifact(_with_trust("artifact-pipeline predict", options), path, option="--artifact"))
    output.result(
        {
            "artifact": verified.digest,
            "reference": verified.reference,
            "model": verified.manifest.model.digest,
            "gate": verdict,
            "files": {record.name: record.sha256 for record in verified.manifest.files},
            "expected": expect is not None,
            "trust": verified.trust.plain(),
            "export": state,
        }
    )


def _verify_receipt(output: Output, place: str, *, expect: str | None, receipt: str, inputs: tuple[str, ...]) -> None:
    from artifact_pipeline.prediction.proof import PROVES, prove

    if not is_given("artifact"):
        raise ConfigError("--receipt: name the predictions", hint="artifact-pipeline verify predictions.csv --receipt")
    found = prove(place, receipt or None, inputs=inputs, expect=expect)
    rows = found.rows
    counts = f"{plural(len(found.outputs), 'file')}, {plural(rows.written, 'row')}"
    output.say(f"verified: {place}, {counts}, as its receipt records")
    output.say(f"artifact digest: {found.artifact}")
    output.say(f"rows: {rows.read:,} read = {rows.written:,} written + {rows.rejected:,} rejected")
    for each in found.inputs[:10]:
        output.say(f"input: {each.name}, {plural(each.rows, 'row')}, {each.sha256}")
    if len(found.inputs) > 10:
        output.say(f"{plural(len(found.inputs) - 10, 'more input')} in the receipt")
    output.say(f"note: {PROVES}")
    output.result({"receipt": found.plain()})


def _with_trust(command: str, options: dict[str, Any]) -> str:
    """Return the command with the options of trust that this command has."""
    for name in ("policy", "public_key", "signature"):
        if options[name] is not None:
            command += f" --{name.replace('_', '-')} {shlex.quote(str(options[name]))}"
    return command


def _trust(trust: Verified.Trusted) -> str:
    words = [
        "as expected" if trust.expected else "",
        f"signed by {trust.signer}" if trust.signer is not None else "",
        f"as the policy {trust.policy} asks" if trust.policy is not None else "",
    ]
    return ", ".join(filter(None, words)) or "integrity only (--expect takes a digest known from elsewhere)"


def check_export(
    output: Output, manifest: Manifest, artifact: Path | str, export: Path, *, required: bool = False
) -> str:
    """Print whether the pickle is the manifest's, by its digest alone; return `matches`, `differs` or `missing`.

    It should stand beside the artifact, which a registry does not give, unless the command line names a place.

    Raises:
        ArtifactRejected: it is required, and missing or another one.
    """
    from artifact_pipeline.artifact.pointer import HINT_TRAIN
    from artifact_pipeline.verification import export_state

    if isinstance(artifact, str) and not is_given("export"):
        return "missing"
    place = export if is_given("export") else Path(artifact).parent / EXPORT
    state = export_state(manifest, place)
    words = {
        "matches": f"{shown(place)} belongs to this artifact",
        "differs": f"{shown(place)} does not belong to this artifact",
        "missing": f"{shown(place)} is not there",
    }[state]
    if not manifest.exports:
        words = "no pickle belongs to this artifact"
    if required and state != "matches":
        problem = Problem(str(place), "export-digest", words)
        raise ArtifactRejected(words, problems=[problem], hint=HINT_TRAIN)
    if state == "differs" and manifest.exports:
        output.log(f"warning: {words}; train again to mend it")
    else:
        output.say(f"export: {words}")
    return state


@verb("Show what an artifact says of itself.", 4)
@artifact_argument
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown"]),
    default="text",
    show_default=True,
    help="Text, or the page of Markdown that a job's summary shows.",
)
@click.pass_obj
def inspect(output: Output, artifact: Path | str, form: str) -> None:
    """Show ARTIFACT: recipe, data, metrics with intervals, classes, confusion matrix, gate, environment.

    It is verified first; one whose gate failed is shown too, so that one can see why.
    """
    from artifact_pipeline.artifact.trials import SearchResults
    from artifact_pipeline.cli.searching import plain_search
    from artifact_pipeline.registry import remote

    verified = remote.verify(artifact, accept_failed_gate=True)
    results = SearchResults.of_artifact(verified)
    if form == "markdown":
        from artifact_pipeline.reports.markdown import manifest_page

        for line in manifest_page(verified.digest, verified.manifest).splitlines():
            output.say(line)
    else:
        _say_manifest(output, verified, results)
        gate = verified.manifest.gate
        if gate is not None and gate.verdict == "passed":
            place = verified.reference or artifact
            output.next(with_artifact("artifact-pipeline predict", place, option="--artifact"))
        else:
            output.next("artifact-pipeline train")
    baseline = views.plain_baseline(verified.manifest.metrics.held_out)
    search = plain_search(verified.manifest, results)
    output.result({"artifact": verified.digest, "manifest": verified.manifest.plain(), "search": search, **baseline})


def _say_manifest(output: Output, verified: Verified, results: SearchResults | None) -> None:
    from artifact_pipeline.artifact.about import KEY, AboutRecord
    from artifact_pipeline.canonical import dotted
    from artifact_pipeline.cli.searching import say_search

    manifest = verified.manifest
    model, data = manifest.model, manifest.data
    output.say(f"name: {manifest.name}")
    views.say_digests(output, verified.digest, manifest)
    recipe = {key: value for key, value in manifest.recipe.items() if key not in {KEY, "search"}}
    output.say(f"recipe: {', '.join(f'{key}={value}' for key, value in dotted(recipe).items())}")
    for name, text in AboutRecord.of(manifest).lines().items():
        output.say(f"{name}: {' '.join(text.split())}")
    fit = f", {'converged' if model.converged else 'did NOT converge'} in {model.iterations} iterations"
    output.say(f"estimator: {model.estimator}{'' if model.iterations is None else fit}")
    say_search(output, manifest, results)
    sources = (f"{each.name}, {plural(each.rows, 'row')}, {each.digest}" for each in data.sources)
    output.say(f"data: {'; '.join(sources)}")
    output.say(f"split: {plural(data.split.training, 'training row')}, {data.split.held_out:,} held out")
    views.say_figures(output, manifest)
    views.warn_of_unpredicted(output, manifest.metrics.held_out)
    views.say_classes(output, manifest.metrics.held_out)
    views.say_confusion(output, model.classes, manifest.metrics.held_out.confusion)
    views.say_gate(output, manifest)
    views.say_environment(output, manifest)
