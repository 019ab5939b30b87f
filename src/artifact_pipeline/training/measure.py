"""Labels and probabilities become metrics with intervals, and metrics become a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from artifact_pipeline.artifact.figures import HeldOut, Metrics
from artifact_pipeline.artifact.gate import demands
from artifact_pipeline.artifact.manifest1 import GateRecord, ModelRecord
from artifact_pipeline.artifact.parts import DECIMALS
from artifact_pipeline.artifact.selftest import TOLERANCE
from artifact_pipeline.errors import ArtifactRejected, Problem
from artifact_pipeline.metrics import classification as m

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.config import Gate as Asked

    Answered = tuple[NDArray[np.int64], NDArray[np.float64]]


def held_out_metrics(
    actual: NDArray[np.int64],
    predicted: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    labels: Sequence[int | str],
) -> HeldOut:
    """Return the figures that the gate judges, with intervals, each rounded to six decimals.

    Args:
        actual: class positions of shape (rows,).
        predicted: class positions of shape (rows,).
        probabilities: float64 of shape (rows, classes).
        labels: the label at each position.
    """
    confusion = m.confusion_matrix(actual, predicted, len(labels))
    return HeldOut.of(confusion, m.log_loss(actual, probabilities), labels)


def plain_metrics(
    actual: NDArray[np.int64], predicted: NDArray[np.int64], probabilities: NDArray[np.float64]
) -> Metrics.Figures:
    """Return the figures without intervals, rounded to six decimals; arguments as in `held_out_metrics`."""
    confusion = m.confusion_matrix(actual, predicted, probabilities.shape[1])
    return Metrics.Figures(
        rows=len(actual),
        accuracy=_round(m.accuracy(confusion)),
        f1_weighted=_round(float(m.weighted_f1(confusion))),
        f1_macro=_round(m.macro_f1(confusion)),
        log_loss=_round(m.log_loss(actual, probabilities)),
    )


def judge(figures: HeldOut, asked: Asked, *, model: str, held_out: str) -> GateRecord:
    """Judge the held-out figures by what the config asks.

    Args:
        figures: what was measured.
        asked: the minima.
        model: the model digest that the verdict is bound to.
        held_out: the digest of the split that it was measured on.
    """
    rules = tuple(
        GateRecord.Rule(metric=metric, label=label, minimum=minimum, observed=observed, passed=observed >= minimum)
        for metric, label, minimum, observed in demands(asked.model_dump(), figures)
    )
    verdict: Literal["passed", "failed"] = "passed" if all(rule.passed for rule in rules) else "failed"
    return GateRecord(rules=rules, verdict=verdict, model=model, held_out=held_out)


def check_parity(published: Answered, estimator: Answered) -> ModelRecord.Parity:
    """Compare the published model's answers with the estimator's, row by row.

    Args:
        published: class positions and probabilities, from the bytes that are published.
        estimator: the same, from `predict` and `predict_proba` of the estimator that they were written from.

    Raises:
        ArtifactRejected: a label differs on a row that is no tie, or a probability by more than 1e-5.
    """
    import numpy as np

    best = np.sort(estimator[1], axis=1)
    tie = best[:, -1] - best[:, -2] <= TOLERANCE  # two classes this close are a tie, and either is the right answer
    unequal = int(((published[0] != estimator[0]) & ~tie).sum())
    difference = float(np.abs(published[1] - estimator[1]).max())
    if unequal or not difference <= TOLERANCE:
        message = (
            f"{unequal} of {len(tie)} labels differ from the estimator's, and a probability by {difference:.1e} "
            f"({TOLERANCE:.0e} at most)"
        )
        raise ArtifactRejected(
            "the model that would be published is not the model that was trained",
            problems=[Problem("model.onnx", "parity", message)],
        )
    return ModelRecord.Parity(rows=len(tie), ties=int(tie.sum()), max_probability_difference=_round(difference))


def _round(value: float) -> float:
    return round(value, DECIMALS)
