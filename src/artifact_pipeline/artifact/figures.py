"""A confusion matrix becomes the figures that count, with intervals: in a manifest, and for labels that came later."""

from __future__ import annotations

from typing import TYPE_CHECKING

from artifact_pipeline.artifact.manifest import DECIMALS, ClassFigures, Estimate, HeldOut
from artifact_pipeline.metrics import classification as m

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


def figures_of(confusion: NDArray[np.int64], log_loss: float, labels: Sequence[int | str]) -> HeldOut:
    """The figures, each rounded to six decimals.

    Args:
        confusion: int64 of shape (classes, classes), a row for each actual class, at least one row counted.
        log_loss: the mean of -ln p(actual class) over these rows, in nats.
        labels: the label at each position.
    """
    rows = int(confusion.sum())
    columns = (each.tolist() for each in (*m.precision_recall_f1(confusion), confusion.sum(axis=1)))
    rounded = ([round(value, DECIMALS) for value in column] for column in columns)
    return HeldOut(
        rows=rows,
        accuracy=_estimate(m.accuracy(confusion), *m.wilson_interval(int(confusion.trace()), rows)),
        f1_weighted=_estimate(float(m.weighted_f1(confusion)), *m.bootstrap_f1_interval(confusion)),
        f1_macro=round(m.macro_f1(confusion), DECIMALS),
        log_loss=round(log_loss, DECIMALS),
        classes=tuple(
            ClassFigures(label=label, precision=precision, recall=recall, f1=f1, rows=count)
            for label, precision, recall, f1, count in zip(labels, *rounded, strict=True)
        ),
        confusion=tuple(map(tuple, confusion.tolist())),
    )


def _estimate(value: float, low: float, high: float) -> Estimate:
    return Estimate(value=round(value, DECIMALS), low=round(low, DECIMALS), high=round(high, DECIMALS))
