"""Two models on the same held-out rows: how much better one is, and whether that is more than chance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from artifact_pipeline.metrics.classification import BOOTSTRAP_DRAWS, BOOTSTRAP_SEED, LEVEL, Z, weighted_f1

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """A figure of the candidate minus that of the champion, with its 95 % interval; each -1 to 1."""

    value: float
    low: float
    high: float

    def outcome(self, margin: float) -> Literal["passed", "failed", "inconclusive"]:
        """Whether the candidate is no worse than the champion by more than `margin`, if the interval shows it."""
        if self.low > -margin:
            return "passed"
        return "failed" if self.high < -margin else "inconclusive"


@dataclass(frozen=True, slots=True)
class Paired:
    """A candidate beside a champion, on the same rows.

    Attributes:
        won: rows that the candidate alone gets right.
        lost: rows that the champion alone gets right.
        accuracy: the difference of accuracy, by Tango's score interval.
        f1_weighted: the difference of the weighted F1, by the bootstrap.
        mcnemar: the exact two-sided p value that neither is better.
    """

    rows: int
    won: int
    lost: int
    accuracy: PairedDifference
    f1_weighted: PairedDifference
    mcnemar: float


def compare(
    actual: NDArray[np.int64], candidate: NDArray[np.int64], champion: NDArray[np.int64], *, classes: int
) -> Paired:
    """Compare two models' answers to the same rows.

    Args:
        actual: class positions 0 to classes - 1, of shape (rows,), at least one.
        candidate: the candidate's answers, likewise.
        champion: the champion's.
        classes: how many classes there are.
    """
    right, was_right = candidate == actual, champion == actual
    won, lost, rows = int((right & ~was_right).sum()), int((was_right & ~right).sum()), len(actual)
    low, high = tango_interval(won, lost, rows)
    return Paired(
        rows=rows,
        won=won,
        lost=lost,
        accuracy=PairedDifference((won - lost) / rows, low, high),
        f1_weighted=_f1_difference(actual, candidate, champion, classes),
        mcnemar=mcnemar_exact(won, lost),
    )


def tango_interval(won: int, lost: int, rows: int) -> tuple[float, float]:
    """Tango's 95 % score interval for the difference of two paired proportions.

    T. Tango (1998), Equivalence test and confidence interval for the difference in proportions for the paired-sample
    design, Statistics in Medicine 17, 891-908: all differences that the score test does not reject.

    Args:
        won: rows with the event for the first alone.
        lost: rows with the event for the second alone.
        rows: all rows, at least one.
    """
    from scipy.optimize import brentq

    value = (won - lost) / rows

    def excess(difference: float, side: float) -> float:
        return side * _score(won, lost, rows, difference) - Z

    # The score falls from +infinity at -1 to -infinity at 1, and is 0 at the observed difference.
    low = -1.0 if value == -1 else brentq(excess, -1 + 1e-12, value, args=(1.0,), xtol=1e-12)
    high = 1.0 if value == 1 else brentq(excess, value, 1 - 1e-12, args=(-1.0,), xtol=1e-12)
    return float(low), float(high)


def _score(won: int, lost: int, rows: int, difference: float) -> float:
    """The score statistic that the true difference is this one (Tango 1998, equations 12 and 13)."""
    distance = won - lost - rows * difference
    if distance == 0:
        return 0.0
    b = (2 * rows - won + lost) * difference - won - lost
    c = -lost * difference * (1 - difference)
    losing = (math.sqrt(max(b * b - 8 * rows * c, 0.0)) - b) / (4 * rows)
    variance = rows * (2 * losing + difference * (1 - difference))
    return distance / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, distance)


def resampled_interval(differences: Sequence[float], test_share: float) -> tuple[float, float, float]:
    """Return the mean of differences by fold, and the ends of its corrected resampled t-interval, 95 %.

    C. Nadeau, Y. Bengio (2003), Inference for the Generalization Error, Machine Learning 52: folds share training rows,
    and so the variance of the mean is taken as (1/k + test/training) times that of the differences.

    Args:
        differences: of two models' scores, at least two folds.
        test_share: how many rows a fold is scored on, for each that it is fitted on.
    """
    count = len(differences)
    mean = math.fsum(differences) / count
    variance = math.fsum((each - mean) ** 2 for each in differences) / (count - 1)
    half = _student_bound(count - 1, LEVEL) * math.sqrt((1 / count + test_share) * variance)
    return mean, mean - half, mean + half


def _student_bound(freedom: int, level: float) -> float:
    """Return the bound b with P(-b < t < b) = level, for Student's t, by bisection: the base install has no SciPy.

    M. Abramowitz, I. Stegun (1964), Handbook of Mathematical Functions, 26.7.3 and 26.7.4.
    """

    def within(angle: float) -> float:
        cosine, odd = math.cos(angle), freedom % 2
        term, total = cosine if odd else 1.0, 0.0
        for at in range(2 + odd, freedom + 1, 2):
            total += term
            term *= cosine * cosine * (at - 1) / at
        return 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total

    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if within(middle) < level else (low, middle)
    return math.tan(low) * math.sqrt(freedom)


def mcnemar_exact(won: int, lost: int) -> float:
    """The exact two-sided p value of McNemar's test (1947): the discordant rows are a fair coin's; 1 without any."""
    from scipy.stats import binomtest

    return float(binomtest(won, won + lost).pvalue) if won + lost else 1.0


def _f1_difference(
    actual: NDArray[np.int64], candidate: NDArray[np.int64], champion: NDArray[np.int64], classes: int
) -> PairedDifference:
    """The percentile bootstrap of the difference: rows drawn with replacement, both models' answers together.

    Drawing rows is drawing the table of (actual, candidate, champion) from a multinomial, over its few filled cells.
    """
    cells, counts = np.unique((actual * classes + candidate) * classes + champion, return_counts=True)
    draws = np.random.default_rng(BOOTSTRAP_SEED).multinomial(len(actual), counts / len(actual), size=BOOTSTRAP_DRAWS)
    draws = np.concatenate([counts[None, :], draws])  # the first is what was observed

    def weighted(answers: NDArray[np.int64]) -> NDArray[np.float64]:
        confusion = np.zeros((len(draws), classes * classes), dtype=np.int64)
        np.add.at(confusion.T, cells // (classes * classes) * classes + answers, draws.T)
        return weighted_f1(confusion.reshape(-1, classes, classes))

    differences = weighted(cells // classes % classes) - weighted(cells % classes)
    low, high = np.quantile(differences[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return PairedDifference(float(differences[0]), float(low), float(high))
