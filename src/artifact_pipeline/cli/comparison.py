"""`artifact-pipeline compare`, and how a comparison with a champion is shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from artifact_pipeline.cli.options import held_out_option, verb, with_artifact
from artifact_pipeline.errors import plural
from artifact_pipeline.files import shown
from artifact_pipeline.reports.tables import shown_comparison

if TYPE_CHECKING:
    from artifact_pipeline.artifact.provenance import Comparison
    from artifact_pipeline.cli.output import Output


@verb("Compare two artifacts on the held-out rows that they share.", 4, 5)
@click.argument("candidate", type=click.Path(path_type=Path))
@click.argument("champion", type=click.Path(path_type=Path))
@click.option(
    "--data",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The table that both were trained from (any that train reads); not needed for the built-in digits.",
)
@held_out_option
@click.option(
    "--margin",
    type=click.FloatRange(0, 1),
    default=0.02,
    show_default=True,
    metavar="SHARE",
    help="By how much the candidate may be worse.",
)
@click.pass_obj
def compare(
    output: Output, candidate: Path, champion: Path, *, data: Path | None, held_out: Path | None, margin: float
) -> None:
    """Compare CANDIDATE with CHAMPION (pointers, or artifacts' folders) on the rows that both held out.

    Both are verified first; their gates may have failed. Nothing is trained, and nothing is put in charge.
    """
    from artifact_pipeline.training import champion as comparing

    ours, comparison = comparing.compare(candidate, champion, data=data, held_out=held_out, margin=margin)
    output.say(f"candidate: {shown(candidate)}, {ours}")
    say_comparison(output, comparison)
    output.next(with_artifact("artifact-pipeline inspect", candidate))
    output.result({"candidate": ours, "comparison": plain(comparison)})


def plain(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as `--json` prints it."""
    from msgspec import structs

    fields = structs.asdict(comparison)
    return fields | {name: structs.asdict(fields[name]) for name in ("accuracy", "f1_weighted")}


def say_comparison(output: Output, comparison: Comparison, *, looks: int | None = None) -> None:
    """Say both differences with their intervals, and the outcome.

    Args:
        output: where to say it.
        comparison: what was found.
        looks: how often the held-out rows have been looked at, where that is counted.
    """
    counted = f", looked at {plural(looks, 'time')}" if looks is not None else ""
    output.say(f"champion: {comparison.champion}, on the same {plural(comparison.rows, 'held-out row')}{counted}")
    output.say()
    shows = shown_comparison(comparison)
    output.table(shows.header, shows.rows)
    output.say()
    output.say(f"comparison: {comparison.outcome}, {shows.meaning} ({shows.counts})")
