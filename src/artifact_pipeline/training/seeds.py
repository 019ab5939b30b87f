"""How lucky a split is: the same training with other seeds, each measured as it would be published; nothing is."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count, islice
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Literal

from artifact_pipeline.errors import ConfigError, DataRejected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from artifact_pipeline.config import Config
    from artifact_pipeline.rows.matrix import Rows

    Metric = Literal["accuracy", "f1_weighted"]

_FIXED = {"time": "the latest rows", "held_out": "the rows of the held-out file"}
"""What a split holds out whatever the seed."""


@dataclass(frozen=True, slots=True)
class SeedRun:
    """What a training with one seed gave.

    Attributes:
        seed: the `random_state`.
        accuracy: on the held-out rows, 0 to 1; None where there was no training.
        f1_weighted: likewise.
        passed: whether the gate passed.
        reason: why there was no training: with this seed the rows cannot be split, or the model not judged.
    """

    seed: int
    accuracy: float | None = None
    f1_weighted: float | None = None
    passed: bool = False
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Spread:
    """One held-out figure: with the config's own seed, and with each other seed that gave a model."""

    own: float
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean over the other seeds."""
        return fmean(self.values)

    @property
    def deviation(self) -> float:
        """The standard deviation over the other seeds, with n - 1 in its denominator; 0 of one alone."""
        return stdev(self.values) if len(self.values) > 1 else 0.0

    @property
    def worse(self) -> int:
        """How many other seeds gave less than the config's own."""
        return sum(value < self.own for value in self.values)

    @property
    def equal(self) -> int:
        """How many gave the same."""
        return self.values.count(self.own)

    @property
    def rank(self) -> int:
        """Where the config's own seed stands among all, 1 the best; equal ones share the best place."""
        return 1 + len(self.values) - self.worse - self.equal


@dataclass(frozen=True, slots=True)
class TriedSeeds:
    """What a config gives with its own seed, and with other ones, ascending."""

    own: SeedRun
    others: tuple[SeedRun, ...]

    @property
    def failed(self) -> int:
        """How many other seeds gave a model whose gate failed, or none."""
        return sum(not each.passed for each in self.others)

    def spread(self, metric: Metric) -> Spread | None:
        """Return a figure over the seeds; None where no other seed gave a model."""
        found = [getattr(each, metric) for each in (self.own, *self.others)]
        own, *values = (value for value in found if value is not None)
        return Spread(own, tuple(values)) if values else None


def try_seeds(
    source: Path | Mapping[str, object],
    seeds: int,
    *,
    overrides: tuple[str, ...] = (),
    jobs: int = 1,
    progress: Callable[[str], None],
) -> TriedSeeds:
    """Train with the config's `random_state`, and with others: 0, 1, 2 and so on; nothing is published.

    A seed decides which rows are held out, and what is random in the fit. Each model is written, measured and judged as
    one that is published.

    Args:
        source: a config file, or a mapping with the same keys.
        seeds: how many other seeds.
        overrides: such as `max_iter=500`; each wins over the config.
        jobs: how many parts of a model are fitted at a time.
        progress: is called with each step, in a few words.

    Raises:
        ConfigError: the config breaks a rule, or its split holds out the same rows with every seed.
        DataRejected: the rows cannot be read, or cannot be split or learned with the config's own seed.
    """
    from artifact_pipeline.training.dataset import load_rows
    from artifact_pipeline.training.reading import read_config

    config = read_config(source, overrides)
    if config.split.by in _FIXED:
        held_out = f"{_FIXED[config.split.by]} are held out with every seed"
        hint = """-S 'split={"by": "hash"}' holds out other rows with each seed"""
        raise ConfigError(f"--seeds: there is no luck in this split: {held_out}", hint=hint)
    progress("loading rows")
    rows = load_rows(config)
    progress(f"training with seed {config.random_state}, the config's own")
    own = _run(config, rows, jobs)
    return TriedSeeds(own, tuple(_others(config, rows, seeds, jobs=jobs, progress=progress)))


def _others(config: Config, rows: Rows, seeds: int, *, jobs: int, progress: Callable[[str], None]) -> Iterator[SeedRun]:
    """Yield what each other seed gives; one whose split cannot be learned or judged counts as failed."""
    chosen = islice((seed for seed in count() if seed != config.random_state), seeds)
    for number, seed in enumerate(chosen, 1):
        progress(f"training with seed {seed}, {number:,} of {seeds:,}")
        try:
            yield _run(config.model_copy(update={"random_state": seed}), rows, jobs)
        except (ConfigError, DataRejected) as error:
            yield SeedRun(seed, reason=error.problems[0].message if error.problems else error.message)


def _run(config: Config, rows: Rows, jobs: int) -> SeedRun:
    from artifact_pipeline.training.candidate import train
    from artifact_pipeline.training.dataset import Dataset

    made = train(config, Dataset.load(config, rows), progress=lambda _: None, jobs=jobs)
    held_out = made.manifest.metrics.held_out
    return SeedRun(config.random_state, held_out.accuracy.value, held_out.f1_weighted.value, passed=made.passed)
