"""The registry of metrics: what is measured of a classifier, by which formula, and which way is better.

Gate, policy, reports and manifest draw from it: a metric that is added here is measured, judged and shown.
The definitions are scikit-learn's, and a test compares them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from artifact_pipeline.metrics import classification as m

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Interval = tuple[float, float]

Better = Literal["higher", "lower"]


@dataclass(frozen=True, slots=True)
class Answered:
    """What a classifier answered to some rows.

    Attributes:
        actual: class positions of shape (rows,), at least one row.
        predicted: class positions of shape (rows,).
        probabilities: float64 of shape (rows, classes); None where the classifier gives none.
        confusion: int64 of shape (classes, classes), a row for each actual class.
    """

    actual: NDArray[np.int64]
    predicted: NDArray[np.int64]
    probabilities: NDArray[np.float64] | None
    confusion: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        actual: NDArray[np.int64],
        predicted: NDArray[np.int64],
        probabilities: NDArray[np.float64] | None,
        classes: int,
    ) -> Answered:
        """Count the confusion matrix of some answers."""
        return cls(actual, predicted, probabilities, m.confusion_matrix(actual, predicted, classes))


class _MetricValue(NamedTuple):
    """One metric of some rows.

    Attributes:
        position: of the class that it is about; None where it is about all.
        value: as the metric's formula gives it.
        interval: the ends of its 95 % interval; None where it has none.
    """

    name: str
    position: int | None
    value: float
    interval: Interval | None
    better: Better


class Metric(NamedTuple):
    """One metric of the registry.

    Attributes:
        name: as manifest and config have it.
        words: what it is, for people.
        value: returns the value; None where it is not defined for these rows.
        interval: returns the ends of the 95 % interval; None where the metric has none.
    """

    name: str
    words: str
    better: Better
    value: Callable[[Answered], float | None]
    interval: Callable[[Answered], Interval] | None = None


def _balanced(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """The mean recall of the classes that occur; of shape (...) for matrices of (..., classes, classes)."""
    occurs = confusion.sum(axis=-1) > 0
    recall = m.precision_recall_f1(confusion)[1]
    mean: NDArray[np.float64] = (recall * occurs).sum(axis=-1) / occurs.sum(axis=-1)
    return mean


def brier_score(actual: NDArray[np.int64], probabilities: NDArray[np.float64]) -> float:
    """The mean squared distance of the probabilities from the truth (Brier 1950); halved for two classes.

    Args:
        actual: class positions of shape (rows,).
        probabilities: float64 of shape (rows, classes).
    """
    truth = np.zeros_like(probabilities)
    truth[np.arange(len(actual)), actual] = 1.0
    score = float(np.square(probabilities - truth).sum(axis=1).mean())
    return score / 2 if probabilities.shape[1] == 2 else score


def roc_auc(actual: NDArray[np.int64], probabilities: NDArray[np.float64]) -> float | None:
    """The area under the ROC curve; of more than two classes the mean of each against the rest.

    By ranks (Mann and Whitney 1947), ties counting half.

    Returns:
        None where a class does not occur, or is the only one.
    """
    classes = probabilities.shape[1]
    present = np.bincount(actual, minlength=classes)
    if (present == 0).any() or (present == len(actual)).any():
        return None
    positions = [1] if classes == 2 else range(classes)
    return float(np.mean([_area(actual == each, probabilities[:, each]) for each in positions]))


def _area(positive: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    hits = int(positive.sum())
    return float((ranks[positive].sum() - hits * (hits + 1) / 2) / (hits * (len(positive) - hits)))


def _of_probabilities(
    formula: Callable[[NDArray[np.int64], NDArray[np.float64]], float | None],
) -> Callable[[Answered], float | None]:
    return lambda each: None if each.probabilities is None else formula(each.actual, each.probabilities)


METRICS = (
    Metric(
        "accuracy",
        "share of rows that are labelled right",
        "higher",
        lambda each: m.accuracy(each.confusion),
        lambda each: m.wilson_interval(int(each.confusion.trace()), len(each.actual)),
    ),
    Metric(
        "balanced_accuracy",
        "mean recall of the classes",
        "higher",
        lambda each: float(_balanced(each.confusion)),
        lambda each: m.bootstrap_interval(each.confusion, _balanced),
    ),
    Metric(
        "f1_weighted",
        "F1, averaged over the classes by their rows",
        "higher",
        lambda each: float(m.weighted_f1(each.confusion)),
        lambda each: m.bootstrap_interval(each.confusion, m.weighted_f1),
    ),
    Metric("f1_macro", "F1, every class counting the same", "higher", lambda each: m.macro_f1(each.confusion)),
    Metric("log_loss", "mean of -ln p(actual class), in nats", "lower", _of_probabilities(m.log_loss)),
    Metric(
        "brier", "mean squared distance of the probabilities from the truth", "lower", _of_probabilities(brier_score)
    ),
    Metric("roc_auc", "area under the ROC curve, each class against the rest", "higher", _of_probabilities(roc_auc)),
)
"""The metrics of all classes together, in the order in which they are listed."""
CLASS_METRICS = ("precision", "recall", "f1")
"""The metrics of each class, in the order of `precision_recall_f1`; higher is better."""


def measure(answered: Answered, *, intervals: bool) -> Iterator[_MetricValue]:
    """Yield every metric that is defined for these rows, those of all classes first.

    Args:
        answered: what the classifier answered.
        intervals: whether 95 % intervals and the metrics of each class are wanted: they are of held-out rows.
    """
    for metric in METRICS:
        value = metric.value(answered)
        if value is not None:
            interval = metric.interval(answered) if intervals and metric.interval is not None else None
            yield _MetricValue(metric.name, None, value, interval, metric.better)
    if intervals:
        for name, values in zip(CLASS_METRICS, m.precision_recall_f1(answered.confusion), strict=True):
            for position, value in enumerate(values.tolist()):
                yield _MetricValue(name, position, value, None, "higher")
