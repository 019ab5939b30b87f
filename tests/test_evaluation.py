from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from sklearn import metrics as theirs

from artifact_pipeline.metrics.classification import bootstrap_interval, weighted_f1, wilson_interval
from format1 import held_out_figures

if TYPE_CHECKING:
    from artifact_pipeline.artifact.figures import HeldOut

LABELS = ["hare", "hedgehog", "human"]
ACTUAL = np.array([0, 0, 0, 1, 1, 1, 1, 0])
PREDICTED = np.array([0, 0, 1, 1, 1, 2, 1, 0])
PROBABILITIES = np.full((8, 3), 0.1) + 0.7 * np.eye(3)[PREDICTED]


@pytest.fixture
def figures() -> HeldOut:
    return held_out_figures(ACTUAL, PREDICTED, PROBABILITIES, LABELS)


def test_held_out_figures_are_scikit_learns(figures: HeldOut) -> None:
    """Each held-out figure is scikit-learn's, rounded to six decimals, for classes never seen too."""
    assert figures.rows == 8
    assert figures.accuracy.value == round(theirs.accuracy_score(ACTUAL, PREDICTED), 6) == 0.75
    assert figures.f1_weighted.value == round(theirs.f1_score(ACTUAL, PREDICTED, average="weighted"), 6)
    assert figures.f1_macro == round(theirs.f1_score(ACTUAL, PREDICTED, average="macro"), 6)
    assert figures.log_loss == round(theirs.log_loss(ACTUAL, PROBABILITIES, labels=[0, 1, 2]), 6)
    assert [list(row) for row in figures.confusion] == theirs.confusion_matrix(ACTUAL, PREDICTED).tolist()
    expected = theirs.precision_recall_fscore_support(ACTUAL, PREDICTED, zero_division=0)
    for index, each in enumerate(figures.classes):
        assert each.label == LABELS[index]
        told = (each.precision, each.recall, each.f1, each.rows)
        assert told == tuple(round(float(column[index]), 6) for column in expected)


def test_intervals_are_those_of_the_confusion_matrix(figures: HeldOut) -> None:
    """Accuracy has Wilson's interval and F1 the bootstrap's, each rounded and around its value."""
    low, high = wilson_interval(6, 8)
    assert (figures.accuracy.low, figures.accuracy.high) == (round(low, 6), round(high, 6))
    low, high = bootstrap_interval(np.array(figures.confusion), weighted_f1)
    assert (figures.f1_weighted.low, figures.f1_weighted.high) == (round(low, 6), round(high, 6))
    for estimate in (figures.accuracy, figures.f1_weighted):
        assert estimate.low < estimate.value < estimate.high
