"""The registry of metrics beside scikit-learn, which defines them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as theirs

from artifact_pipeline.metrics.registry import METRICS, Answered, measure


def answered(seed: int, classes: int, rows: int) -> Answered:
    """Answers at random, each class actual at least once; a third of the probabilities are tied."""
    generator = np.random.default_rng(seed)
    actual = np.concatenate([np.arange(classes), generator.integers(0, classes, rows)])
    raw = generator.random((len(actual), classes)) + np.eye(classes)[actual] * generator.random()
    raw = np.where(generator.random((len(actual), 1)) < 0.3, np.round(raw, 1) + 0.1, raw)
    probabilities = raw / raw.sum(axis=1, keepdims=True)
    return Answered.of(actual, probabilities.argmax(axis=1), probabilities, classes)


@given(seed=st.integers(0, 10**6), classes=st.integers(2, 6), rows=st.integers(1, 60))
def test_law_every_metric_is_scikit_learns(seed: int, classes: int, rows: int) -> None:
    """Each metric of the registry is what scikit-learn computes from the same answers."""
    asked = answered(seed, classes, rows)
    found = {(each.name, each.position): each.value for each in measure(asked, intervals=True)}
    actual, predicted, probabilities = asked.actual, asked.predicted, asked.probabilities
    assert probabilities is not None
    ranked = probabilities if classes > 2 else probabilities[:, 1]
    expected = {
        "accuracy": theirs.accuracy_score(actual, predicted),
        "balanced_accuracy": theirs.balanced_accuracy_score(actual, predicted),
        "f1_weighted": theirs.f1_score(actual, predicted, average="weighted"),
        "f1_macro": theirs.f1_score(actual, predicted, average="macro"),
        "log_loss": theirs.log_loss(actual, probabilities, labels=range(classes)),
        "brier": theirs.brier_score_loss(actual, probabilities, labels=range(classes)),
        "roc_auc": theirs.roc_auc_score(actual, ranked, multi_class="ovr"),
    }
    for name, value in expected.items():
        assert found[name, None] == pytest.approx(value, abs=1e-12)
    by_class = theirs.precision_recall_fscore_support(actual, predicted, labels=range(classes), zero_division=0)
    for name, values in zip(("precision", "recall", "f1"), by_class, strict=False):
        assert [found[name, each] for each in range(classes)] == pytest.approx(values.tolist(), abs=1e-12)


def test_a_classifier_without_probabilities_has_the_other_metrics() -> None:
    """Log loss, Brier score and ROC AUC are left out where there are no probabilities."""
    with_them = answered(0, 3, 50)
    without = Answered.of(with_them.actual, with_them.predicted, None, 3)
    names = [[each.name for each in measure(some, intervals=False)] for some in (with_them, without)]
    assert names[0] == [each.name for each in METRICS]
    assert names[1] == ["accuracy", "balanced_accuracy", "f1_weighted", "f1_macro"]


def test_a_class_that_no_row_has_leaves_the_area_undefined() -> None:
    """There is no area under the ROC curve of a class without rows, and none is written."""
    asked = Answered.of(np.array([0, 0, 1]), np.array([0, 1, 1]), np.full((3, 3), 1 / 3), 3)
    assert "roc_auc" not in {each.name for each in measure(asked, intervals=False)}


def test_intervals_hold_their_value() -> None:
    """Accuracy, balanced accuracy and weighted F1 have a 95 % interval, and stand in it."""
    found = [each for each in measure(answered(1, 4, 200), intervals=True) if each.interval is not None]
    assert [each.name for each in found] == ["accuracy", "balanced_accuracy", "f1_weighted"]
    assert all(low <= each.value <= high for each in found for low, high in [each.interval or (1.0, 0.0)])
