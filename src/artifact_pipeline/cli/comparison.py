"""`artifact-pipeline compare`, and how a comparison with a champion is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from artifact_pipeline.cli.options import (
    ArtifactPlace,
    NumberRange,
    file_option,
    group,
    held_out_option,
    verb,
    with_artifact,
)
from artifact_pipeline.errors import plural
from artifact_pipeline.files import shown
from artifact_pipeline.reports.tables import shown_comparison

if TYPE_CHECKING:
    from pathlib import Path

    from artifact_pipeline.artifact.provenance import Comparison
    from artifact_pipeline.cli.output import Output


comparison_options = group(
    file_option(
        "--data",
        words="The table that all were trained from (any that train reads); not needed for the built-in digits.",
    ),
    held_out_option,
    click.option(
        "--margin",
        type=NumberRange(0, 1),
        default=0.02,
        show_default=True,
        metavar="SHARE",
        help="By how much the candidate may be worse.",
    ),
)
"""On which rows artifacts are compared, and what is good enough."""


@verb("Compare an artifact with others on the held-out rows that they share.", 4, 5, 8)
@click.argument("candidate", type=ArtifactPlace())
@click.argument("champions", nargs=-1, required=True, metavar="CHAMPION...", type=ArtifactPlace())
@comparison_options
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "html", "markdown"]),
    default="text",
    show_default=True,
    help="Text; one file of HTML without a request (extra [report]); or Markdown for a pull request.",
)
@file_option(
    "-o",
    "--output",
    "place",
    words="Where the page is written, in the place of what stands there; by default it is printed.",
)
@click.pass_obj
def compare(
    output: Output,
    /,
    candidate: Path | str,
    champions: tuple[Path | str, ...],
    *,
    form: str,
    place: Path | None,
    **options: Any,
) -> None:
    """Compare CANDIDATE with each CHAMPION (pointers, or artifacts' folders) on the rows that all held out.

    Each may be elsewhere, such as oci://HOST/NAME:TAG. All are verified first; their gates may have failed. Nothing is
    trained, and nothing is put in charge.
    """
    from artifact_pipeline.training import side_by_side

    paged: Any = form if form != "text" else None
    request = side_by_side.ComparisonRequest((candidate, *champions), **options, form=paged, output=place)
    found = side_by_side.compare_side_by_side(request)
    if paged and place is None:
        for line in found.page.splitlines():
            output.say(line)
    else:
        output.say(f"candidate: {shown(found.place)}, {found.candidate}")
        for number, comparison in enumerate(found.comparisons):
            if number:
                output.say()
            say_comparison(output, comparison)
        if place is not None:
            output.say(f"page: {shown(place)}")
        output.next(with_artifact("artifact-pipeline inspect", found.place))
    compared = [plain(each) for each in found.comparisons]
    several = {"comparisons": compared} if len(compared) > 1 else {"comparison": compared[0]}
    output.result({"candidate": found.candidate, **several} | ({"page": str(place)} if place is not None else {}))


def plain(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as `--json` prints it."""
    from msgspec import structs

    fields = structs.asdict(comparison)
    return fields | {name: structs.asdict(fields[name]) for name in ("accuracy", "f1_weighted")}


def say_comparison(output: Output, comparison: Comparison, *, looks: int | None = None) -> None:
    """Say both differences with their intervals, the outcome, and how often the rows were looked at if counted."""
    counted = f", looked at {plural(looks, 'time')}" if looks is not None else ""
    output.say(f"champion: {comparison.champion}, on the same {plural(comparison.rows, 'held-out row')}{counted}")
    output.say()
    shows = shown_comparison(comparison)
    output.table(shows.header, shows.rows)
    output.say()
    output.say(f"comparison: {comparison.outcome}, {shows.meaning} ({shows.counts})")
