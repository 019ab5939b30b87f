"""`artifact-pipeline card`, `bom` and `export`: an artifact in the forms that others read."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

import click

from artifact_pipeline.cli.options import artifact_argument, expect_option, file_option, is_given, verb
from artifact_pipeline.errors import ConfigError
from artifact_pipeline.files import shown

if TYPE_CHECKING:
    from pathlib import Path

    from artifact_pipeline.cli.options import Verb
    from artifact_pipeline.cli.output import Output
    from artifact_pipeline.reports.documents import Kind

_NAMES: dict[Kind, str] = {"card": "model card", "bom": "bill of materials", "facts": "facts"}
_OF_MLFLOW = {
    "tracking_uri": "--tracking-uri",
    "experiment": "--experiment",
    "model": "--model",
    "alias": "--alias",
}


def _document_options(function: Verb) -> Verb:
    """`[ARTIFACT]`, `-o FILE` and `--expect`."""
    place = file_option(
        "-o",
        "--output",
        "to",
        words="Where it is written, in the place of what stands there; by default it is printed.",
    )
    return artifact_argument(place(expect_option(function)))


@verb("Write the model card of an artifact, as Hugging Face has it.", 4, 8)
@_document_options
@click.pass_obj
def card(output: Output, /, artifact: Path | str, *, to: Path | None, expect: str | None) -> None:
    """Write the model card of ARTIFACT: metadata that the Hub reads, and a page for people.

    What the model is for, what it is not for, its licence and its authors are what the config's about says. The
    artifact is verified first; one whose gate failed has a card that says so.
    """
    _document(output, "card", artifact, to=to, expect=expect)


@verb("Write the bill of materials of an artifact, in CycloneDX.", 4, 8)
@_document_options
@click.pass_obj
def bom(output: Output, /, artifact: Path | str, *, to: Path | None, expect: str | None) -> None:
    """Write the bill of materials of ARTIFACT in CycloneDX 1.6: its files, data and packages, and its model card.

    It is a function of the artifact: no time is in it, and its serial number follows from the artifact digest.
    """
    _document(output, "bom", artifact, to=to, expect=expect)


@verb("Send an artifact to MLflow, or write its facts as JSON.", 4, 8)
@click.argument("tracker", type=click.Choice(["mlflow", "json"]), metavar="mlflow|json")
@_document_options
@click.option("--tracking-uri", metavar="URI", help="mlflow: the server, https://…; by default $MLFLOW_TRACKING_URI.")
@click.option("--experiment", metavar="NAME", help="mlflow: the experiment; by default the name of the model.")
@click.option("--model", metavar="NAME", help="mlflow: the registered model; by default the name of the model.")
@click.option("--alias", metavar="NAME", help="mlflow: the alias that moves to this version, if its gate passed.")
@click.pass_obj
def export(
    output: Output, /, tracker: str, artifact: Path | str, *, to: Path | None, expect: str | None, **asked: str | None
) -> None:
    """Send ARTIFACT to a server of MLflow, or write what any other tracker wants to know as one JSON document.

    `export mlflow` makes one run with all parameters, metrics, data, tags and files, and one version of a registered
    model, which MLflow loads as it stands; what is there already is not sent again. It needs the extra [track].
    $MLFLOW_TRACKING_TOKEN, or $MLFLOW_TRACKING_USERNAME and $MLFLOW_TRACKING_PASSWORD, say who you are. The artifact
    is verified first; the alias stays where it is if the gate failed.
    """
    if tracker == "json":
        given = [option for name, option in _OF_MLFLOW.items() if is_given(name)]
        if given:
            raise ConfigError(f"{given[0]} goes with export mlflow", hint="artifact-pipeline export mlflow --help")
        _document(output, "facts", artifact, to=to, expect=expect)
        return
    if to is not None:
        raise ConfigError("--output goes with export json", hint="artifact-pipeline export json -o facts.json")
    from artifact_pipeline.reports.mlflow_export import ExportRequest, export_to_mlflow

    request = ExportRequest(artifact, expect=expect, **asked)
    with output.progress() as progress:
        done = export_to_mlflow(request, os.environ, progress=progress)
    output.say(f"{done.outcome}: {done.artifact}")
    output.say(f"run: {done.run} in experiment {done.experiment} ({done.url})")
    output.say(f"model: {done.model}, version {done.version}")
    if done.alias is not None:
        output.say(f"alias: {done.alias} -> version {done.version}")
    for note in done.notes:
        output.talk(f"note: {note}")
    output.result(done.plain())


def _document(output: Output, kind: Kind, artifact: Path | str, *, to: Path | None, expect: str | None) -> None:
    """Make one document and write it, or print it."""
    from artifact_pipeline.reports.documents import document

    made = document(kind, artifact, to, expect=expect)
    if to is None:
        if not output.as_json:
            output.print(made.text)
        output.result({"artifact": made.artifact, kind: made.text})
        return
    output.say(f"{_NAMES[kind]}: {shown(to)}")
    output.say(f"artifact digest: {made.artifact}")
    output.next(f"artifact-pipeline verify {shlex.quote(shown(made.place))} --expect {made.artifact}")
    output.result({"artifact": made.artifact, "written": shown(to)})
