"""`artifact-pipeline card`, `bom`, `export` and `report`: an artifact in the forms that others read."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from artifact_pipeline.artifact import ARTIFACT
from artifact_pipeline.cli.options import (
    ArtifactPlace,
    artifact_argument,
    expect_option,
    file_option,
    first_given,
    group,
    verb,
    with_artifact,
)
from artifact_pipeline.errors import ConfigError
from artifact_pipeline.files import shown

if TYPE_CHECKING:
    from artifact_pipeline.cli.output import Output
    from artifact_pipeline.reports.documents import Kind

_NAMES: dict[Kind, str] = {"card": "model card", "bom": "bill of materials", "facts": "facts"}


_document_options = group(
    artifact_argument,
    file_option(
        "-o",
        "--output",
        "to",
        words="Where it is written, in the place of what stands there; by default it is printed.",
    ),
    expect_option,
)


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
    output: Output, /, tracker: str, artifact: Path | str, *, to: Path | None, expect: str | None, **options: str | None
) -> None:
    """Send ARTIFACT to a server of MLflow, or write what any other tracker wants to know as one JSON document.

    `export mlflow` makes one run with all parameters, metrics, data, tags and files, and one version of a registered
    model, which MLflow loads as it stands; what is there already is not sent again. It needs the extra [track].
    $MLFLOW_TRACKING_TOKEN, or $MLFLOW_TRACKING_USERNAME and $MLFLOW_TRACKING_PASSWORD, say who you are. The artifact
    is verified first; the alias stays where it is if the gate failed.
    """
    if tracker == "json":
        if option := first_given("tracking_uri", "experiment", "model", "alias"):
            raise ConfigError(f"{option} goes with export mlflow", hint="artifact-pipeline export mlflow --help")
        _document(output, "facts", artifact, to=to, expect=expect)
        return
    if to is not None:
        raise ConfigError("--output goes with export json", hint="artifact-pipeline export json -o facts.json")
    from artifact_pipeline.reports.mlflow_export import ExportRequest, export_to_mlflow

    request = ExportRequest(artifact, expect=expect, **options)
    with output.progress() as progress:
        done = export_to_mlflow(request, os.environ, progress=progress)
    output.say(f"{done.outcome}: {done.artifact}")
    output.say(f"run: {done.run} in experiment {done.experiment} ({done.url})")
    output.say(f"model: {done.model}, version {done.version}")
    if done.alias is not None:
        output.say(f"alias: {done.alias} -> version {done.version}")
    for note in done.notes:
        output.log(f"note: {note}")
    output.result(done.plain())


def _document(output: Output, kind: Kind, artifact: Path | str, *, to: Path | None, expect: str | None) -> None:
    """Make one document and write it, or print it."""
    from artifact_pipeline.reports.documents import document

    made = document(kind, artifact, to, expect=expect)
    if to is None:
        output.document(made.text, {"artifact": made.artifact, kind: made.text})
        return
    output.say(f"{_NAMES[kind]}: {shown(to)}")
    output.say(f"artifact digest: {made.artifact}")
    output.next(f"artifact-pipeline verify {shlex.quote(shown(made.place))} --expect {made.artifact}")
    output.result({"artifact": made.artifact, "written": shown(to)})


_ENDINGS = {"html": ".html", "markdown": ".md"}


@verb("Write a page about an artifact, or about several beside each other.", 4, 5, 8)
@click.argument("artifacts", nargs=-1, metavar="[ARTIFACT]...", type=ArtifactPlace())
@file_option("-o", "--output", "place", words="The file to write; by default report.html, or report.md.")
@click.option("--data", metavar="FILE", help="A table with labels, any that predict reads, whose rows are shown.")
@file_option("--receipt", words="The receipt of a prediction by the artifact, whose drift is shown.")
@click.option(
    "--format",
    "form",
    type=click.Choice(list(_ENDINGS)),
    default="html",
    show_default=True,
    help="A page with plots, or Markdown for a pull request.",
)
@click.pass_obj
def report(
    output: Output,
    /,
    artifacts: tuple[Path | str, ...],
    *,
    place: Path | None,
    data: str | None,
    receipt: Path | None,
    form: Literal["html", "markdown"],
) -> None:
    """Write a page about ARTIFACT (a pointer, or an artifact's folder); by default `artifact`.

    One file without a request or a script: figures with intervals, the mistakes surest first, confusion matrix,
    calibration, weights, columns, checks, and how to prove it. Each artifact is verified first; its gate may have
    failed. It holds no rows: those of a built-in data set are shown, and those of a table with --data.
    """
    from artifact_pipeline.reports.page import request

    named = artifacts or (Path(ARTIFACT),)
    file = place if place is not None else Path(f"report{_ENDINGS[form]}")
    found = request.report(request.ReportRequest(named, file, data, receipt, form))
    output.say(f"report: {shown(found.output)}, {found.size / 1024:,.0f} KiB")
    for each, rows in zip(found.artifacts, found.rows, strict=True):
        output.say(f"artifact digest: {each.digest}")
        output.say(f"rows: {'none at hand, --data shows them' if rows is None else f'{rows[1]:,}, {rows[0]}'}")
    output.next(with_artifact("artifact-pipeline verify", found.artifacts[0].reference or named[0]))
    output.result(found.plain())
