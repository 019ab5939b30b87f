"""Laws of the metrics: they are scikit-learn's, whichever classes are never predicted or never seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn import metrics as theirs

from artifact_pipeline.metrics import classification as metrics

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLOSE = 1e-12


class Answered(NamedTuple):
    classes: int
    actual: NDArray[np.int64]
    predicted: NDArray[np.int64]

    @property
    def confusion(self) -> NDArray[np.int64]:
        """Counts of actual and predicted pairs."""
        return metrics.confusion_matrix(self.actual, self.predicted, self.classes)


def of(classes: int, *pairs: tuple[int, int]) -> Answered:
    actual, predicted = np.array(pairs, dtype=np.int64).T
    return Answered(classes, actual, predicted)


@st.composite
def answered(draw: st.DrawFn, classes: int | None = None) -> Answered:
    classes = classes or draw(st.integers(2, 7))
    one = st.integers(0, classes - 1)
    return of(classes, *draw(st.lists(st.tuples(one, one), min_size=1, max_size=60)))


@st.composite
def probabilities(draw: st.DrawFn) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Actual positions, and rows of probabilities that sum to 1; zeros and ones occur."""
    classes = draw(st.integers(2, 5))
    weight = st.one_of(st.just(0.0), st.floats(1e-9, 1.0))
    row = st.lists(weight, min_size=classes, max_size=classes).filter(any)
    weights = np.array(draw(st.lists(row, min_size=1, max_size=20)))
    actual = draw(st.lists(st.integers(0, classes - 1), min_size=len(weights), max_size=len(weights)))
    return np.array(actual), weights / weights.sum(axis=1, keepdims=True)


never_predicted_never_seen = of(4, (0, 0), (1, 0), (1, 3), (1, 1))
all_wrong = of(3, (0, 1), (1, 0))


@given(answered())
@example(never_predicted_never_seen)
@example(all_wrong)
def test_confusion_and_accuracy_are_scikit_learns(rows: Answered) -> None:
    """The confusion matrix equals scikit-learn's, and accuracy within 1e-12."""
    classes = range(rows.classes)
    assert (rows.confusion == theirs.confusion_matrix(rows.actual, rows.predicted, labels=classes)).all()
    assert metrics.accuracy(rows.confusion) == pytest.approx(
        theirs.accuracy_score(rows.actual, rows.predicted), abs=CLOSE
    )


@given(answered())
@example(never_predicted_never_seen)
@example(all_wrong)
def test_precision_recall_f1_are_scikit_learns(rows: Answered) -> None:
    """Precision, recall and F1 of each class equal scikit-learn's with 0 for what is undefined."""
    ours = metrics.precision_recall_f1(rows.confusion)
    expected = theirs.precision_recall_fscore_support(
        rows.actual, rows.predicted, labels=range(rows.classes), zero_division=0
    )
    np.testing.assert_allclose(ours, expected[:3], rtol=0, atol=CLOSE)


@given(answered())
@example(never_predicted_never_seen)
@example(all_wrong)
def test_averaged_f1_is_scikit_learns(rows: Answered) -> None:
    """Weighted and macro F1 equal scikit-learn's, which averages over the classes that occur."""
    for average, ours in (("weighted", metrics.weighted_f1), ("macro", metrics.macro_f1)):
        expected = theirs.f1_score(rows.actual, rows.predicted, average=average, zero_division=0)
        assert float(ours(rows.confusion)) == pytest.approx(expected, abs=CLOSE), average


@given(st.lists(answered(classes=3), min_size=1, max_size=3))
def test_a_stack_of_matrices_is_answered_one_by_one(stack: list[Answered]) -> None:
    """The weighted F1 of many confusion matrices at once is that of each."""
    matrices = np.stack([rows.confusion for rows in stack])
    assert metrics.weighted_f1(matrices).tolist() == [float(metrics.weighted_f1(each)) for each in matrices]


@given(probabilities())
@example((np.array([0, 1]), np.array([[0.0, 1.0], [0.0, 1.0]])))
def test_log_loss_is_scikit_learns(rows: tuple[NDArray[np.int64], NDArray[np.float64]]) -> None:
    """The log loss equals scikit-learn's, and is finite where an actual class was given no probability at all."""
    actual, given_probabilities = rows
    expected = theirs.log_loss(actual, given_probabilities, labels=range(given_probabilities.shape[1]))
    assert metrics.log_loss(actual, given_probabilities) == pytest.approx(expected, rel=CLOSE, abs=CLOSE)


@given(st.integers(1, 10_000).flatmap(lambda rows: st.tuples(st.integers(0, rows), st.just(rows))))
@example((0, 1))
@example((1, 1))
def test_wilson_interval_is_scipys(counts: tuple[int, int]) -> None:
    """Wilson's interval equals SciPy's, lies within 0 to 1 and holds the share."""
    hits, rows = counts
    low, high = metrics.wilson_interval(hits, rows)
    expected = binomtest(hits, rows).proportion_ci(confidence_level=metrics.LEVEL, method="wilson")
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=CLOSE)
    assert 0 <= low <= hits / rows + CLOSE
    assert hits / rows - CLOSE <= high <= 1


@given(answered())
@example(never_predicted_never_seen)
@example(all_wrong)
def test_bootstrap_interval_holds_the_value_and_does_not_change(rows: Answered) -> None:
    """The bootstrap interval of F1 lies within 0 to 1, holds the F1, and is the same when it is asked again."""
    low, high = metrics.bootstrap_interval(rows.confusion, metrics.weighted_f1)
    assert 0 <= low <= float(metrics.weighted_f1(rows.confusion)) + CLOSE
    assert float(metrics.weighted_f1(rows.confusion)) - CLOSE <= high <= 1 + CLOSE
    assert metrics.bootstrap_interval(rows.confusion, metrics.weighted_f1) == (low, high)
