from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from sklearn import metrics as theirs
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from artifact_pipeline.config import Gate
from artifact_pipeline.errors import ArtifactRejected
from artifact_pipeline.metrics.classification import bootstrap_interval, weighted_f1, wilson_interval
from artifact_pipeline.model.linear import linear_classifier
from artifact_pipeline.model.predictor import Predictor
from artifact_pipeline.training import measure as evaluation

if TYPE_CHECKING:
    from artifact_pipeline.artifact.figures import HeldOut
    from artifact_pipeline.training.measure import Answered

SHA = "sha256:" + "0" * 64
LABELS = ["hare", "hedgehog", "human"]
ACTUAL = np.array([0, 0, 0, 1, 1, 1, 1, 0])
PREDICTED = np.array([0, 0, 1, 1, 1, 2, 1, 0])
PROBABILITIES = np.full((8, 3), 0.1) + 0.7 * np.eye(3)[PREDICTED]


@pytest.fixture
def figures() -> HeldOut:
    return evaluation.held_out_metrics(ACTUAL, PREDICTED, PROBABILITIES, LABELS)


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


def test_plain_figures_are_the_held_out_ones(figures: HeldOut) -> None:
    """Over the same rows, the plain figures are the held-out ones."""
    plain = evaluation.plain_metrics(ACTUAL, PREDICTED, PROBABILITIES)
    assert (plain.rows, plain.accuracy, plain.f1_weighted) == (8, figures.accuracy.value, figures.f1_weighted.value)
    assert (plain.f1_macro, plain.log_loss) == (figures.f1_macro, figures.log_loss)


@pytest.mark.parametrize(
    ("accuracy", "f1", "passed"),
    [
        (0.75, 0.7, [True, True]),
        (0.750001, 0.7, [False, True]),
        (0.75, 0.9, [True, False]),
        (1.0, 1.0, [False, False]),
        (0.0, 0.0, [True, True]),
    ],
)
def test_gate_judges_each_rule(figures: HeldOut, accuracy: float, f1: float, passed: list[bool]) -> None:
    """A rule passes if the observed value reaches its minimum, the bound included; the gate passes if all rules do."""
    gate = evaluation.judge(figures, Gate(min_accuracy=accuracy, min_f1=f1), model=SHA, held_out=SHA)
    assert [rule.passed for rule in gate.rules] == passed
    assert [(rule.metric, rule.minimum) for rule in gate.rules] == [("accuracy", accuracy), ("f1_weighted", f1)]
    assert [rule.observed for rule in gate.rules] == [figures.accuracy.value, figures.f1_weighted.value]
    assert gate.verdict == ("passed" if all(passed) else "failed")
    assert (gate.model, gate.held_out) == (SHA, SHA)


X, y = load_digits(return_X_y=True)


@pytest.fixture(scope="module")
def estimator() -> LogisticRegression:
    return LogisticRegression(max_iter=1000).fit(X[:500], y[:500])


def told(estimator: LogisticRegression) -> Answered:
    return estimator.predict(X), estimator.predict_proba(X)


def published(estimator: LogisticRegression, *, weight: float = 0.0) -> Answered:
    """What the model answers that is written from an estimator's numbers, one of them changed by `weight`."""
    coefficients = estimator.coef_.copy()
    coefficients[3, 20] += weight
    model = linear_classifier(coefficients, estimator.intercept_, estimator.classes_, dtype="float32", name="digits")
    answers = Predictor(model, estimator.classes_.tolist()).predict(X)
    return answers.positions, answers.probabilities


def test_parity_of_the_model_that_was_trained(estimator: LogisticRegression) -> None:
    """The model that was trained is let through, and every row was compared."""
    parity = evaluation.check_parity(published(estimator), told(estimator))
    assert (parity.rows, parity.ties, parity.max_probability_difference) == (1797, 0, 0.0)


@pytest.mark.parametrize("weight", [1e-3, -1.0, 100.0])
def test_parity_refuses_a_changed_weight(estimator: LogisticRegression, weight: float) -> None:
    """A model with one changed weight is not published, though its labels may all be equal."""
    changed = published(estimator, weight=weight)
    with pytest.raises(ArtifactRejected) as caught:
        evaluation.check_parity(changed, told(estimator))
    assert caught.value.rules == {"parity"}
    unequal = int((changed[0] != told(estimator)[0]).sum())
    assert f"{unequal} of 1797 labels differ" in str(caught.value)
    assert (unequal == 0) == (weight == 1e-3)


def answered(*probabilities: tuple[float, ...], labels: tuple[int, ...]) -> Answered:
    return np.array(labels), np.array(probabilities)


def test_parity_counts_ties_and_lets_either_label_pass() -> None:
    """Where two best classes are within 1e-5 of each other, either label is right, and the row is counted."""
    rows = ((0.5, 0.5, 0.0), (0.4, 0.2, 0.4), (0.9, 0.1, 0.0))
    parity = evaluation.check_parity(answered(*rows, labels=(1, 2, 0)), answered(*rows, labels=(0, 0, 0)))
    assert (parity.rows, parity.ties) == (3, 2)


def test_parity_refuses_another_label_where_there_is_no_tie() -> None:
    """A label that differs where the classes are further apart is refused, though the probabilities are equal."""
    rows = ((0.50001, 0.49998, 0.00001),)
    with pytest.raises(ArtifactRejected, match="1 of 1 labels differ"):
        evaluation.check_parity(answered(*rows, labels=(1,)), answered(*rows, labels=(0,)))


@pytest.mark.parametrize("difference", [2e-5, np.nan])
def test_parity_refuses_another_probability(difference: float) -> None:
    """A probability that differs by more than 1e-5, or is no number, is refused."""
    with pytest.raises(ArtifactRejected) as caught:
        evaluation.check_parity(
            answered((0.9 - difference, 0.1 + difference), labels=(0,)), answered((0.9, 0.1), labels=(0,))
        )
    assert caught.value.rules == {"parity"}


def test_parity_records_the_greatest_difference() -> None:
    """A difference of at most 1e-5 passes, and is recorded to six decimals."""
    parity = evaluation.check_parity(answered((0.900008, 0.099992), labels=(0,)), answered((0.9, 0.1), labels=(0,)))
    assert parity.max_probability_difference == 8e-6
