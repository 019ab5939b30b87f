from __future__ import annotations

import numpy as np
import pytest

from artifact_pipeline.metrics import classification as metrics

PUBLISHED = [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0000, 0.1611), (1, 29, 0.0061, 0.1718)]
"""Newcombe 1998, Statistics in Medicine 17, 857-872, table I, method 3: hits, rows, and the interval."""


@pytest.mark.parametrize(("hits", "rows", "low", "high"), PUBLISHED)
def test_wilson_interval_is_the_published_one(hits: int, rows: int, low: float, high: float) -> None:
    """Wilson's interval gives the worked examples of Newcombe's comparison to all of their digits."""
    assert tuple(round(bound, 4) for bound in metrics.wilson_interval(hits, rows)) == (low, high)


def test_confusion_matrix_has_a_row_for_each_actual_class() -> None:
    """Actual classes are rows and predictions columns, and a class that never occurs has its zeros."""
    counted = metrics.confusion_matrix(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), 3)
    assert counted.tolist() == [[1, 1, 0], [0, 2, 0], [0, 0, 0]]
    assert counted.dtype == np.int64


def test_what_is_undefined_is_zero() -> None:
    """A class that is never predicted has precision 0, one that is never seen recall 0, both have F1 0."""
    precision, recall, f1 = metrics.precision_recall_f1(np.array([[0, 2], [0, 0]]))
    assert (precision.tolist(), recall.tolist(), f1.tolist()) == ([0, 0], [0, 0], [0, 0])


def test_bootstrap_of_the_matrix_agrees_with_a_bootstrap_of_rows() -> None:
    """Drawing confusion matrices gives the interval that drawing rows gives, within four standard errors."""
    random = np.random.default_rng(7)
    actual = random.integers(0, 5, 300)
    predicted = np.where(random.random(300) < 0.9, actual, random.integers(0, 5, 300))
    draws = random.integers(0, 300, (metrics.BOOTSTRAP_DRAWS, 300))
    drawn = [metrics.confusion_matrix(actual[rows], predicted[rows], 5) for rows in draws]
    scores = metrics.weighted_f1(np.stack(drawn))
    expected = np.quantile(scores, [0.025, 0.975])

    confusion = metrics.confusion_matrix(actual, predicted, 5)
    interval = metrics.bootstrap_interval(confusion, metrics.weighted_f1)

    # A 2.5 % quantile of B draws has the standard error sqrt(0.025 * 0.975 / B) / density, and the normal density
    # there is 0.0584 / sd; two of them are compared.
    error = np.sqrt(2 * 0.025 * 0.975 / metrics.BOOTSTRAP_DRAWS) * np.std(scores) / 0.0584
    assert np.abs(np.array(interval) - expected).max() < 4 * error
    assert interval[0] < float(metrics.weighted_f1(confusion)) < interval[1]


def test_bootstrap_interval_is_the_same_on_every_machine() -> None:
    """The fixed seed gives this very interval; where NumPy's stream changes, this test says so."""
    interval = metrics.bootstrap_interval(np.array([[50, 3], [4, 43]]), metrics.weighted_f1)
    assert [round(bound, 6) for bound in interval] == [0.87942, 0.97012]
