"""`train --seeds`: what a config gives with other seeds, so that one can see how lucky its own is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from artifact_pipeline.cli.options import first_given
from artifact_pipeline.errors import ConfigError, plural

if TYPE_CHECKING:
    from artifact_pipeline.cli.output import Output
    from artifact_pipeline.training import seeds as training
    from artifact_pipeline.training.request import TrainingRequest

_NOT_WITH = ("champion", "champion_expect", "champion_policy", "dry_run", "explain", "force", "summary", "outputs")
"""The options of a training that are about what is published."""
_OF_SEARCH = ("minutes", "scheduler")
"""The options of the one search of a training; here there is one for each seed."""
_CELLS = 50
"""Width of the line that shows where the seeds lie."""


def try_seeds(output: Output, request: TrainingRequest, seeds: int) -> None:
    """Train with other seeds, and print what each gives.

    Raises:
        ConfigError: an option does not go with `--seeds`; or as `training.seeds.try_seeds`.
        DataRejected: as `training.seeds.try_seeds`.
    """
    from artifact_pipeline.training import seeds as training

    if option := first_given(*_NOT_WITH):
        raise ConfigError(f"--seeds publishes nothing, and does not go with {option}", hint="leave one of them away")
    if option := first_given(*_OF_SEARCH):
        message = f"--seeds searches once for each seed, to the end of each search, and does not go with {option}"
        raise ConfigError(message, hint="leave one of them away")
    with output.progress() as progress:
        found = training.try_seeds(
            request.config, seeds, overrides=request.overrides, jobs=request.jobs, progress=progress
        )
    output.table(["seed", "accuracy", "F1 weighted", "gate"], [_row(each) for each in (found.own, *found.others)])
    output.say()
    spreads = {name: found.spread(name) for name in ("accuracy", "f1_weighted")}
    for name, spread in spreads.items():
        if spread is not None:
            _say_spread(output, name, spread, seed=found.own.seed)
    output.say(f"gate: {found.failed:,} of {plural(len(found.others), 'other seed')} would fail")
    output.say("nothing was published")
    output.next("the same command without --seeds")
    output.result(_result(found, spreads))


def _row(run: training.SeedRun) -> list[str]:
    if run.accuracy is None or run.f1_weighted is None:
        return [str(run.seed), "none", "none", run.reason or ""]
    return [str(run.seed), f"{run.accuracy:.4f}", f"{run.f1_weighted:.4f}", "passed" if run.passed else "failed"]


def _say_spread(output: Output, name: str, spread: training.Spread, *, seed: int) -> None:
    low, high = min(spread.values), max(spread.values)
    words = {"accuracy": "accuracy", "f1_weighted": "F1 weighted"}[name]
    output.say(f"{words}: {spread.mean:.4f} ± {spread.deviation:.4f} over the other seeds, {low:.4f} to {high:.4f}")
    same = f", as good as {spread.equal:,}" if spread.equal else ""
    output.say(f"  seed {seed}: {spread.own:.4f}, better than {spread.worse:,} of {len(spread.values):,}{same}")
    output.say(f"  {_line(spread)}")


def _line(spread: training.Spread) -> str:
    """Return a line from the least to the greatest figure: how many seeds lie where, and `^` for the config's own."""
    low, high = min(*spread.values, spread.own), max(*spread.values, spread.own)
    cells = [0] * _CELLS

    def _cell(value: float) -> int:
        return round((_CELLS - 1) * (value - low) / (high - low)) if high > low else 0

    for value in spread.values:
        cells[_cell(value)] += 1
    marks = [" " if not each else str(each) if each < 10 else "+" for each in cells]
    marks[_cell(spread.own)] = "^"
    return f"{low:.4f} |{''.join(marks)}| {high:.4f}"


def _result(found: training.TriedSeeds, spreads: dict[str, training.Spread | None]) -> dict[str, Any]:
    return {
        "own": _plain(found.own),
        "seeds": [_plain(each) for each in found.others],
        "failed": found.failed,
        **{name: None if each is None else _plain_spread(each) for name, each in spreads.items()},
    }


def _plain(run: training.SeedRun) -> dict[str, Any]:
    return {
        "seed": run.seed,
        "accuracy": run.accuracy,
        "f1_weighted": run.f1_weighted,
        "gate": None if run.reason else "passed" if run.passed else "failed",
        "reason": run.reason,
    }


def _plain_spread(spread: training.Spread) -> dict[str, Any]:
    return {
        "mean": round(spread.mean, 6),
        "deviation": round(spread.deviation, 6),
        "least": min(spread.values),
        "greatest": max(spread.values),
        "worse": spread.worse,
        "equal": spread.equal,
        "rank": spread.rank,
    }
