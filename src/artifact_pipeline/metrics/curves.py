"""Curves of a classifier: calibration, ROC, precision and recall; what it loses without a column. NumPy alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from artifact_pipeline.metrics.classification import BOOTSTRAP_SEED, LEVEL, Z, wilson_interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_DRAWS = 200
_MAX_GROUPS = 100
"""Most groups of rows that the isotonic regression sees; rows of nearly equal probability are one group."""
_BINS = 10
_LEAST_IN_BIN = 10
"""Bins hold at least so many rows: with fewer an interval says nothing."""


class _CalibrationBin(NamedTuple):
    """Rows of similar probability: its mean, which share came true, and the ends of the 95 % interval of that."""

    probability: float
    rows: int
    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Reliability:
    """How often what is said with a probability comes true: the reliability diagram by CORP.

    T. Dimitriadis, T. Gneiting and A. I. Jordan (2021), Stable reliability diagrams for probabilistic classifiers,
    PNAS 118(8): the curve is the isotonic regression of what came true on the probabilities, so that no choice of bins
    decides what one sees; the band is where the curve lies in 95 % of draws if the probabilities are right; and the
    Brier score is miscalibration - discrimination + uncertainty.

    Attributes:
        probability: the groups' mean probabilities, ascending, float64 of shape (groups,).
        share: the curve at each of them, of the same shape.
        low: the lower end of the band there.
        high: the upper end.
        miscalibration: what the Brier score would gain by the curve; 0 is best.
        discrimination: what the curve gains over always saying the mean.
        uncertainty: the Brier score of always saying the mean.
        bins: the same rows in bins of equal numbers of rows, with intervals.
    """

    probability: Floats
    share: Floats
    low: Floats
    high: Floats
    miscalibration: float
    discrimination: float
    uncertainty: float
    bins: tuple[_CalibrationBin, ...]

    @classmethod
    def of(cls, probabilities: Floats, came_true: NDArray[np.bool_]) -> Reliability:
        """Compare probabilities with what came true.

        Args:
            probabilities: float64 of shape (rows,), at least one row.
            came_true: bool of shape (rows,).
        """
        order = np.argsort(probabilities, kind="stable")
        said, true = probabilities[order], came_true[order].astype(np.float64)
        starts = _group_starts(said)
        sizes = np.diff(np.append(starts, len(said))).astype(np.float64)
        means, shares = np.add.reduceat(said, starts) / sizes, np.add.reduceat(true, starts) / sizes
        curve = isotonic(shares, sizes)
        low, high = _band(means, sizes)
        brier, recalibrated = float(((said - true) ** 2).mean()), np.repeat(curve, sizes.astype(np.int64))
        improved, constant = float(((recalibrated - true) ** 2).mean()), float(((true.mean() - true) ** 2).mean())
        return cls(
            means, curve, low, high, brier - improved, constant - improved, constant, tuple(_bins_of(said, true))
        )


def _group_starts(ordered: Floats) -> NDArray[np.int64]:
    """Where groups of equal probability begin; of too many different ones, groups of as many rows each."""
    new = np.append(True, ordered[1:] != ordered[:-1])
    if new.sum() > _MAX_GROUPS:
        edges = ordered[np.linspace(0, len(ordered) - 1, _MAX_GROUPS).astype(np.int64)]
        return np.unique(np.searchsorted(ordered, edges))  # equal probabilities stay together
    return np.flatnonzero(new)


def isotonic(values: Floats, weights: Floats) -> Floats:
    """Return the ascending values that are nearest to some by weighted squares, by pooling adjacent violators.

    M. Ayer et al. (1955), An empirical distribution function for sampling with incomplete information.

    Args:
        values: float64 of shape (groups,).
        weights: their positive weights, of the same shape.
    """
    means: list[float] = []
    totals: list[float] = []
    counts: list[int] = []
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        mean, total, count = value, weight, 1
        while means and means[-1] >= mean:
            last, before = means.pop(), totals.pop()
            mean = (last * before + mean * total) / (before + total)
            total, count = total + before, count + counts.pop()
        means.append(mean)
        totals.append(total)
        counts.append(count)
    return np.repeat(means, counts)


def _band(means: Floats, sizes: Floats) -> tuple[Floats, Floats]:
    """The 95 % band of the curve, if each probability were right."""
    generator = np.random.default_rng(BOOTSTRAP_SEED)
    draws = generator.binomial(sizes.astype(np.int64), np.clip(means, 0, 1), (_DRAWS, len(means)))
    curves = np.array([isotonic(each / sizes, sizes) for each in draws])
    low, high = np.quantile(curves, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return low, high


def _bins_of(said: Floats, true: Floats) -> list[_CalibrationBin]:
    pieces = np.array_split(np.arange(len(said)), max(1, min(_BINS, len(said) // _LEAST_IN_BIN)))
    found = []
    for piece in pieces:
        hits, rows = int(true[piece].sum()), len(piece)
        low, high = wilson_interval(hits, rows)
        found.append(_CalibrationBin(float(said[piece].mean()), rows, hits / rows, low, high))
    return found


class Thresholds(NamedTuple):
    """What two classes are told apart by at each threshold, from the highest score down; each float64 of one shape.

    Attributes:
        recall: the share of the positive rows at or above it.
        false_alarms: the share of the negative rows at or above it.
        precision: the share of positive rows among those at or above it.
    """

    recall: Floats
    false_alarms: Floats
    precision: Floats

    @classmethod
    def of(cls, positive: NDArray[np.bool_], scores: Floats) -> Thresholds | None:
        """Count at each threshold; None where there is no row of one class.

        Args:
            positive: which rows are of the second class, bool of shape (rows,).
            scores: its probability, or its score, float64 of shape (rows,).
        """
        hits, others = int(positive.sum()), int((~positive).sum())
        if not (hits and others):
            return None
        order = np.argsort(-scores, kind="stable")
        ends = np.flatnonzero(np.append(scores[order][1:] != scores[order][:-1], True))  # ties are one threshold
        found = np.cumsum(positive[order])[ends].astype(np.float64)
        return cls(found / hits, (ends + 1 - found) / others, found / (ends + 1))


class Loss(NamedTuple):
    """What a share of right answers loses, with the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, differences: Floats) -> Loss:
        """The mean of the rows' differences, by the normal approximation.

        Args:
            differences: of each row by how much more often it was right before; float64 of shape (rows,).
        """
        rows = len(differences)
        value = float(differences.mean())
        half = Z * float(differences.std(ddof=1)) / rows**0.5 if rows > 1 else 0.0
        return cls(value, value - half, value + half)
