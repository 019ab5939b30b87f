"""`artifact-pipeline report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from artifact_pipeline.artifact import ARTIFACT
from artifact_pipeline.cli.options import ArtifactPlace, file_option, verb, with_artifact
from artifact_pipeline.files import shown

if TYPE_CHECKING:
    from artifact_pipeline.cli.output import Output

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
