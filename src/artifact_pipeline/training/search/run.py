"""A search from its plan to the chosen model: round by round, resumed, stopped in time, watched.

The plan decides everything but how long it takes: which trials there are, on which rows each is fitted, and, between
two rounds, which go on. So the results are the same for any number of processes, and however often it was killed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import count, takewhile
from typing import TYPE_CHECKING

from artifact_pipeline.artifact.trials import FILE, SearchResults
from artifact_pipeline.config import with_model
from artifact_pipeline.errors import ArtifactRejected, DataRejected, Problem
from artifact_pipeline.training.estimators import resolved
from artifact_pipeline.training.search.bench import Bench, sections
from artifact_pipeline.training.search.folds import rounds_of
from artifact_pipeline.training.search.workers import workers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.config import Config
    from artifact_pipeline.training.dataset import Dataset
    from artifact_pipeline.training.search.records import Records
    from artifact_pipeline.training.search.workers import Workers

_BEST = 5
"""Results that `watch` gets."""
_SHOWN = 3
"""Failed trials that an error names."""


@dataclass(frozen=True, slots=True)
class Searched:
    """What a search gave.

    Attributes:
        config: the config with its search; where that stopped early, `search.stop` says after how many results.
        winner: the result whose model is taken.
        chosen: the config of its model alone.
    """

    config: Config
    results: SearchResults
    winner: SearchResults.Trial
    chosen: Config

    @classmethod
    def of_artifact(cls, config: Config, artifact: Verified) -> Searched | None:
        """Choose among the results in an artifact; None where its config has no search.

        Raises:
            ArtifactRejected: it has a search and no results, or such as no search writes.
            DataRejected: every trial failed.
        """
        if config.search is None:
            return None
        results = SearchResults.of_artifact(artifact)
        if results is None:
            problem = Problem("manifest.json: files", "search-missing", f"there is a search, and no {FILE}")
            hint = "do the search again, too: --search"
            raise ArtifactRejected("the results of the search are not there", problems=[problem], hint=hint)
        return cls.of(config, results)

    @classmethod
    def of(cls, config: Config, results: SearchResults) -> Searched:
        """Choose among results.

        Raises:
            DataRejected: every trial failed.
        """
        assert config.search is not None
        winner = results.chosen(config.search.metric, config.search.select)
        if winner is None:
            problems = [
                Problem(f"trial {each.trial}", "trial-failed", str(each.error)) for each in results.trials[:_SHOWN]
            ]
            hint = "change the space, preprocess or the rows by what the trials say"
            raise DataRejected("every trial of the search failed", problems=problems, hint=hint)
        chosen = resolved(with_model(config, sections(config, winner.trial)))
        return cls(config, results, winner, chosen)


@dataclass(slots=True)
class _Run:
    """A search that runs."""

    bench: Bench
    at: Workers
    records: Records | None
    deadline: float
    watch: Callable[[SearchResults.Standing], None]
    total: int
    results: list[SearchResults.Trial] = field(default_factory=list)
    taken_up: int = 0
    stopped: bool = False
    best: list[SearchResults.Trial] = field(default_factory=list)

    def round(self, numbers: Sequence[int], rows: int) -> bool:
        """Run one round, and return whether it came to its end."""
        found = self.records.found if self.records is not None else {}
        done = {number: found[number, rows] for number in numbers if (number, rows) in found}
        self.taken_up += len(done)
        self.best.clear()
        self._show(done, *done.values())
        missing = [(number, rows) for number in numbers if number not in done]
        self.stopped = bool(missing) and self._late(done)
        if not self.stopped:
            for trial in self.at.results(missing):
                done[trial.trial] = trial
                if self.records is not None:
                    self.records.append(trial)
                self._show(done, trial)
                if len(done) < len(numbers) and self._late(done):
                    self.stopped = True
                    break
        if not self.stopped:
            self.results += done.values()
        elif not self.results:  # the first round: a later one that did not come to its end is left out
            self.results += _without_gap(done)
        return not self.stopped

    def _late(self, done: dict[int, SearchResults.Trial]) -> bool:
        """Whether the time is over, and there is a result to take."""
        if time.monotonic() < self.deadline:
            return False
        return bool(self.results) or any(each.scores for each in _without_gap(done))

    def _show(self, done: dict[int, SearchResults.Trial], *more: SearchResults.Trial) -> None:
        search = self.bench.config.search
        assert search is not None
        self.best = SearchResults.of([*self.best, *more]).ranked(search.metric)[:_BEST]
        finished = len(self.results) + len(done)
        self.watch(SearchResults.Standing(finished, self.taken_up, self.total, tuple(self.best), search.metric))


def _without_gap(done: dict[int, SearchResults.Trial]) -> list[SearchResults.Trial]:
    """Return the results of trial 0 and those after it, up to the first that is missing."""
    return [done[number] for number in takewhile(done.__contains__, count())]


def search(
    config: Config,
    data: Dataset,
    *,
    at: int | str = 1,
    records: Records | None = None,
    minutes: float | None = None,
    watch: Callable[[SearchResults.Standing], None] = lambda _: None,
) -> Searched:
    """Search for a model on the training rows.

    Args:
        config: what is asked, with its search.
        data: the rows and their split; the held-out ones are not looked at.
        at: how many trials run at a time, each in a process of its own, or the address of a Dask scheduler; no result
            depends on it.
        records: where results are kept while it runs, and taken up from; None keeps none.
        minutes: after which it stops: between two rounds, or, in the first one, after a trial.
        watch: is called with how it stands after each result.

    Raises:
        DataRejected: the rows cannot be folded, or every trial failed.
        PipelineError: a trial ends each process that runs it, or the cluster is gone.
        StorageError: a result cannot be written.
    """
    asked = config.search
    assert asked is not None
    bench = Bench.of(config, data)
    rounds = rounds_of(bench.y, asked)
    planned = sum(trials for _, trials in rounds)
    limit = min(asked.stop or planned, planned)
    deadline = float("inf") if minutes is None else time.monotonic() + 60 * minutes
    numbers: Sequence[int] = range(asked.trials)
    with workers(bench, at) as there:
        running = _Run(bench, there, records, deadline, watch, total=limit)
        for rows, trials in rounds:
            numbers = numbers[: min(trials, limit - len(running.results))]
            before = len(running.results)
            if not numbers or not running.round(numbers, rows):
                break
            numbers = [each.trial for each in SearchResults.of(running.results[before:]).ranked(asked.metric)]
    if running.stopped:
        stop = {"stop": len(running.results)}
        config = config.model_copy(update={"search": asked.model_copy(update=stop)})
    return Searched.of(config, SearchResults.of(running.results))
