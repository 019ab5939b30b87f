"""`artifact-pipeline search show`, and what is printed of a search: how it stands while it runs, and what it found."""

from __future__ import annotations

import json
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from artifact_pipeline.cli.options import artifact_argument, file_option, verb, with_artifact
from artifact_pipeline.cli.output import LogTimer
from artifact_pipeline.errors import plural
from artifact_pipeline.files import shown
from artifact_pipeline.reports.tables import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from artifact_pipeline.artifact.manifest import Manifest
    from artifact_pipeline.artifact.trials import SearchResults
    from artifact_pipeline.cli.output import Output

_HEAD = ("trial", "estimator", "parameters", "mean", "standard error", "rows")
_BEST = 5


@contextmanager
def search_progress(output: Output) -> Iterator[Callable[[SearchResults.Standing], None]]:
    """Show the progress of a search: a table of the best on a terminal, a line now and then in a log."""
    if output.quiet or not sys.stderr.isatty():
        yield SearchLog(output.log).update
        return
    from artifact_pipeline.cli.terminal import board

    begun = time.monotonic()
    with board() as show:
        yield lambda standing: show(
            clean(_line(standing, begun)), _HEAD, [[clean(cell) for cell in _row(each)] for each in standing.best]
        )


class SearchLog:
    """Lines in a log of how a search stands: at once where results were taken up, then some seconds apart."""

    def __init__(self, log: Callable[[str], None], pause: float = 10.0) -> None:
        self._log, self._timer, self._first = log, LogTimer(pause), True

    def update(self, standing: SearchResults.Standing) -> None:
        """Log how the search stands, where a line is due."""
        if self._first and standing.taken_up:
            self._log(f"taken up: {plural(standing.taken_up, 'result')} of an earlier run")
        self._first = False
        if standing.done > standing.taken_up and self._timer.is_due():
            self._log(_line(standing, self._timer.begun))


def _line(standing: SearchResults.Standing, begun: float) -> str:
    """Return a line of how many results there are, how fast they come, and the best of them."""
    fresh, minutes = standing.done - standing.taken_up, (time.monotonic() - begun) / 60
    words = f"searching: {standing.done:,} of {plural(standing.total, 'result')}"
    if fresh and minutes:
        left = (standing.total - standing.done) * minutes / fresh
        words += f", {fresh / minutes:,.1f} a minute, about {60 * left:,.0f} s left"
    if standing.best:
        best = standing.best[0]
        words += f"; {standing.metric} {best.mean:.4f} by trial {best.trial}, {best.estimator}"
    return words


def _row(trial: SearchResults.Trial) -> list[str]:
    values = {key: value for key, value in trial.model["model"].items() if key != "estimator"}
    values |= {key: value for key, value in trial.model.items() if key != "model"}
    error = f"{trial.standard_error:.4f}"
    return [str(trial.trial), trial.estimator, _shown(values), f"{trial.mean:.4f}", error, f"{trial.rows:,}"]


def _shown(values: Mapping[str, Any]) -> str:
    """Return parameters in a line, numbers in four digits."""
    cells = (
        f"{key}={f'{value:.4g}' if isinstance(value, float) else json.dumps(value, ensure_ascii=False)}"
        for key, value in sorted(values.items())
    )
    return " ".join(cells)


def say_search(output: Output, manifest: Manifest, results: SearchResults | None) -> None:
    """Print what a search found: how many results, the best of them, and the chosen one; nothing without a search."""
    found = plain_search(manifest, results)
    if found is None:
        return
    assert results is not None
    metric, winner = found["metric"], found["winner"]
    most = [each for each in results.ranked(metric) if each.rows == winner["rows"]]
    stopped = f", stopped after {found['stopped']:,}" if found["stopped"] is not None else ""
    failed = f", {found['failed']:,} of them failed" if found["failed"] else ""
    output.say(f"search: {plural(len(results.trials), 'result')}{failed}{stopped}, {found['digest']}")
    output.table(_HEAD, [_row(each) for each in most[:_BEST]])
    output.say(
        f"chosen: trial {winner['trial']}, {metric} {winner['mean']:.4f} over {plural(len(winner['scores']), 'fold')} "
        "of the training rows"
    )
    _say_over_first(output, found["over_first"])


def _say_over_first(output: Output, over: Mapping[str, float] | None) -> None:
    """Print how much better than trial 0 the chosen one is; nothing where it is trial 0 itself."""
    if over is not None:
        interval = f"95 % interval {over['low']:+.4f} to {over['high']:+.4f}"
        output.say(f"over trial 0, by folds: {over['value']:+.4f}, {interval}")


def plain_search(manifest: Manifest, results: SearchResults | None) -> dict[str, Any] | None:
    """Return what a search found, as `--json` prints it; None without one."""
    from artifact_pipeline.canonical import digest

    recipe = manifest.recipe.get("search")
    if results is None or not isinstance(recipe, dict):
        return None
    winner = results.chosen(str(recipe.get("metric")), str(recipe.get("select")))
    if winner is None:
        return None
    over = results.over_first(manifest.recipe)
    taken = {"mean": winner.mean, "standard_error": winner.standard_error}
    return {
        "results": len(results.trials),
        "failed": sum(not each.scores for each in results.trials),
        "stopped": recipe.get("stop"),
        "metric": recipe.get("metric"),
        "winner": {**winner.plain(), **taken},
        "over_first": None if over is None else dict(zip(("value", "low", "high"), over, strict=True)),
        "digest": digest(results.lines),
    }


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
    from artifact_pipeline.reports.page.trials import HEAD, cells, search_overview

    found = search_overview(artifact, to)
    output.table(HEAD, [cells(each) for each in found.ordered])
    plain = plain_search(found.manifest, found.results)
    if plain is not None:
        output.say(f"chosen: trial {plain['winner']['trial']}, {plain['metric']} {plain['winner']['mean']:.4f}")
        _say_over_first(output, plain["over_first"])
    output.say(found.results.PROVES)
    if to is not None:
        output.say(f"plot: {shown(to)}")
    output.next(with_artifact("artifact-pipeline reproduce", artifact))
    trials = [each.plain() for each in found.ordered]
    written = None if to is None else shown(to)
    output.result({"artifact": found.artifact, "search": plain, "trials": trials, "written": written})
