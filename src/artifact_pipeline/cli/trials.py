"""`artifact-pipeline search show`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from artifact_pipeline.cli.options import artifact_argument, file_option, verb, with_artifact
from artifact_pipeline.files import shown

if TYPE_CHECKING:
    from pathlib import Path

    from artifact_pipeline.cli.output import Output


@verb("Show the trials of the search that gave an artifact.", 4, 8)
@click.argument("action", type=click.Choice(["show"]), metavar="show")
@artifact_argument
@file_option("-o", "--output", "to", words="Draw them, too, into FILE.svg, FILE.html or FILE.png (extra [report]).")
@click.pass_obj
def search(
    output: Output,
    /,
    action: str,  # noqa: ARG001 - click's form
    artifact: Path | str,
    *,
    to: Path | None,
) -> None:
    """Show the results of ARTIFACT's search: the best first, those that failed last, each with its parameters.

    The plot has the metric against each parameter, by fold, with the mean. How much better the chosen trial is than
    trial 0 is said by folds: the held-out rows are not read again.
    """
    from artifact_pipeline.cli.searching import plain_search, say_over_first
    from artifact_pipeline.reports.page.trials import HEAD, cells
    from artifact_pipeline.reports.search import search_overview

    found = search_overview(artifact, to)
    output.table(HEAD, [cells(each) for each in found.ordered])
    plain = plain_search(found.manifest, found.results)
    if plain is not None:
        output.say(f"chosen: trial {plain['winner']['trial']}, {plain['metric']} {plain['winner']['mean']:.4f}")
        if plain["over_first"] is not None:
            output.say(say_over_first(**plain["over_first"]))
    output.say(found.results.PROVES)
    if to is not None:
        output.say(f"plot: {shown(to)}")
    output.next(with_artifact("artifact-pipeline reproduce", artifact))
    trials = [each.plain() for each in found.ordered]
    written = None if to is None else shown(to)
    output.result({"artifact": found.artifact, "search": plain, "trials": trials, "written": written})
