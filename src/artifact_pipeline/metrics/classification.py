"""Metrics on arrays, NumPy alone; the definitions are scikit-learn's, and a test compares them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

LEVEL = 0.95
"""Every interval is a 95 % interval."""
Z = 1.959963984540054
"""The 97.5th percentile of the standard normal distribution, which a 95 % interval needs."""
BOOTSTRAP_DRAWS = 2000
BOOTSTRAP_SEED = 20240229
"""Any fixed number would do; with it the same confusion matrix always gives the same interval."""


def confusion_matrix(actual: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Count pairs: int64 of shape (classes, classes), a row for each actual class, a column for each predicted one.

    Args:
        actual: class positions 0 to classes - 1, of shape (rows,).
        predicted: the same, for the predictions.
        classes: how many classes there are.
    """
    counts = np.bincount(actual * classes + predicted, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.int64)


def accuracy(confusion: NDArray[np.int64]) -> float:
    """The share of rows on the diagonal, 0 to 1."""
    return float(np.trace(confusion) / confusion.sum())


def precision_recall_f1(
    confusion: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Precision, recall and F1 of each class; 0 where a class was never predicted or never seen.

    Args:
        confusion: of shape (..., classes, classes).

    Returns:
        Three float64 arrays of shape (..., classes).
    """
    hits = np.diagonal(confusion, axis1=-2, axis2=-1).astype(np.float64)
    predicted, actual = confusion.sum(axis=-2), confusion.sum(axis=-1)
    return (
        np.divide(hits, predicted, out=np.zeros_like(hits), where=predicted > 0),
        np.divide(hits, actual, out=np.zeros_like(hits), where=actual > 0),
        np.divide(2 * hits, predicted + actual, out=np.zeros_like(hits), where=predicted + actual > 0),
    )


def weighted_f1(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """F1 averaged over the classes by their actual rows; of shape (...) for matrices of (..., classes, classes)."""
    actual = confusion.sum(axis=-1)
    f1 = precision_recall_f1(confusion)[2]
    averaged: NDArray[np.float64] = (f1 * actual).sum(axis=-1) / actual.sum(axis=-1)
    return averaged


def macro_f1(confusion: NDArray[np.int64]) -> float:
    """F1 averaged over the classes that occur, actual or predicted, each counting the same."""
    occurs = (confusion.sum(axis=0) + confusion.sum(axis=1)) > 0
    return float(precision_recall_f1(confusion)[2][occurs].mean())


def log_loss(actual: NDArray[np.int64], probabilities: NDArray[np.float64]) -> float:
    """The mean of -ln p(actual class), in nats; p is kept above the spacing of float64 at 1, as scikit-learn does.

    Args:
        actual: class positions of shape (rows,).
        probabilities: float64 of shape (rows, classes).
    """
    smallest = np.finfo(np.float64).eps
    chosen = probabilities[np.arange(len(actual)), actual]
    return float(-np.log(np.clip(chosen, smallest, 1 - smallest)).mean())


def wilson_interval(hits: int, rows: int) -> tuple[float, float]:
    """Wilson's score interval for a share (Wilson 1927, JASA 22, 209-212), 95 %."""
    share = hits / rows
    centre = (share + Z * Z / (2 * rows)) / (1 + Z * Z / rows)
    half = Z / (1 + Z * Z / rows) * math.sqrt(share * (1 - share) / rows + Z * Z / (4 * rows * rows))
    return max(0.0, centre - half), min(1.0, centre + half)


def bootstrap_interval(
    confusion: NDArray[np.int64], statistic: Callable[[NDArray[np.int64]], NDArray[np.float64]]
) -> tuple[float, float]:
    """The percentile bootstrap interval of a statistic (Efron 1979), 95 %, with a fixed seed.

    Drawing rows with replacement is the same as drawing the confusion matrix from a multinomial, which takes
    milliseconds where drawing rows takes seconds.

    Args:
        confusion: int64 of shape (classes, classes).
        statistic: returns float64 of shape (...) for matrices of shape (..., classes, classes).
    """
    rows = int(confusion.sum())
    draws = np.random.default_rng(BOOTSTRAP_SEED).multinomial(rows, confusion.ravel() / rows, size=BOOTSTRAP_DRAWS)
    ends = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    low, high = np.quantile(statistic(draws.reshape(-1, *confusion.shape)), ends)
    return float(low), float(high)
