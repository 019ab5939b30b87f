"""The figures of a model: their types, and how they follow from a confusion matrix.

With NumPy and with intervals where a model is measured; without it where a reader computes them again, since the
confusion matrix is the one number in the manifest from which the others follow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from artifact_pipeline.artifact.parts import DECIMALS, Count, Frozen, Loss, Share, Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

TOLERANCE = 10.0**-DECIMALS
"""Figures are rounded to six decimals, so two ways of computing one may differ by that much."""


class HeldOut(Frozen, frozen=True):
    """The figures that count: over rows that the estimator never saw."""

    class Estimate(Frozen, frozen=True):
        """A figure with its 95 % interval."""

        value: Share
        low: Share
        high: Share

    class ClassFigures(Frozen, frozen=True):
        """Precision, recall and F1 of one class, over `rows` rows that have it."""

        label: int | Text
        precision: Share
        recall: Share
        f1: Share
        rows: Count

    rows: Count
    accuracy: Estimate
    f1_weighted: Estimate
    f1_macro: Share
    log_loss: Loss | None
    classes: tuple[ClassFigures, ...]
    confusion: tuple[tuple[Count, ...], ...]

    @classmethod
    def of(cls, confusion: NDArray[np.int64], log_loss: float, labels: Sequence[int | str]) -> HeldOut:
        """The figures of a confusion matrix, each rounded to six decimals.

        Args:
            confusion: int64 of shape (classes, classes), a row for each actual class, at least one row counted.
            log_loss: the mean of -ln p(actual class) over these rows, in nats.
            labels: the label at each position.
        """
        from artifact_pipeline.metrics import classification as m

        rows = int(confusion.sum())
        columns = (each.tolist() for each in (*m.precision_recall_f1(confusion), confusion.sum(axis=1)))
        rounded = ([round(value, DECIMALS) for value in column] for column in columns)
        return cls(
            rows=rows,
            accuracy=_estimate(m.accuracy(confusion), *m.wilson_interval(int(confusion.trace()), rows)),
            f1_weighted=_estimate(float(m.weighted_f1(confusion)), *m.bootstrap_interval(confusion, m.weighted_f1)),
            f1_macro=round(m.macro_f1(confusion), DECIMALS),
            log_loss=round(log_loss, DECIMALS),
            classes=tuple(
                cls.ClassFigures(label=label, precision=precision, recall=recall, f1=f1, rows=count)
                for label, precision, recall, f1, count in zip(labels, *rounded, strict=True)
            ),
            confusion=tuple(map(tuple, confusion.tolist())),
        )

    @property
    def majority(self) -> ClassFigures:
        """The class with the most rows, the first one in a tie."""
        return max(self.classes, key=lambda each: each.rows)

    @property
    def majority_share(self) -> float:
        """The accuracy of a model that always answers with the class of `majority`."""
        return round(self.majority.rows / self.rows, DECIMALS)

    @property
    def never_predicted(self) -> tuple[ClassFigures, ...]:
        """The classes that some rows have, and that the model gave to no row."""
        predicted = map(any, zip(*self.confusion, strict=True))
        return tuple(each for each, given in zip(self.classes, predicted, strict=True) if each.rows and not given)

    def named(self) -> dict[str, float]:
        """Each figure that follows from the confusion matrix, by the names of `recomputed`."""
        by_class = {
            f"classes[{index}].{figure}": getattr(each, figure)
            for index, each in enumerate(self.classes)
            for figure in ("rows", "precision", "recall", "f1")
        }
        overall = {"accuracy": self.accuracy.value, "f1_weighted": self.f1_weighted.value, "f1_macro": self.f1_macro}
        return {**overall, **by_class}


class Metrics(Frozen, frozen=True):
    """Figures by split, computed by the published model."""

    class Figures(Frozen, frozen=True):
        """The plain figures over some rows."""

        rows: Count
        accuracy: Share
        f1_weighted: Share
        f1_macro: Share
        log_loss: Loss | None

    held_out: HeldOut
    training: Figures
    all: Figures

    def __post_init__(self) -> None:
        """Refuse figures without a log loss: a model of format 1 gives probabilities."""
        if None in {self.held_out.log_loss, self.training.log_loss, self.all.log_loss}:
            raise ValueError("format 1 has a log loss of all rows")


def _estimate(value: float, low: float, high: float) -> HeldOut.Estimate:
    return HeldOut.Estimate(value=round(value, DECIMALS), low=round(low, DECIMALS), high=round(high, DECIMALS))


def recomputed(confusion: Sequence[Sequence[int]]) -> dict[str, float]:
    """The figures of a square confusion matrix with at least one row counted, named as in `metrics.held_out`."""
    rows = sum(map(sum, confusion))
    actual = [sum(row) for row in confusion]
    predicted = [sum(column) for column in zip(*confusion, strict=True)]
    hits = [row[index] for index, row in enumerate(confusion)]
    f1 = [_share(2 * hit, seen + given) for hit, seen, given in zip(hits, actual, predicted, strict=True)]
    occurring = [score for score, seen, given in zip(f1, actual, predicted, strict=True) if seen + given]
    figures: dict[str, float] = {
        "accuracy": sum(hits) / rows,
        "f1_weighted": sum(score * seen for score, seen in zip(f1, actual, strict=True)) / rows,
        "f1_macro": sum(occurring) / len(occurring),
    }
    for index, (hit, seen, given) in enumerate(zip(hits, actual, predicted, strict=True)):
        of_class = {"rows": seen, "precision": _share(hit, given), "recall": _share(hit, seen), "f1": f1[index]}
        figures |= {f"classes[{index}].{figure}": value for figure, value in of_class.items()}
    return figures


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
