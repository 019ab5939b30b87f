"""The outcome of a run: its receipt, its figures, its drift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from artifact_pipeline.errors import DataRejected, Problem
from artifact_pipeline.prediction import receipt
from artifact_pipeline.prediction.receipt import Measured, Receipt

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.drift.judge import Drift
    from artifact_pipeline.prediction.destination import Destination
    from artifact_pipeline.prediction.receipt import Input, Learned, Output
    from artifact_pipeline.prediction.scoring import Scorer
    from artifact_pipeline.prediction.tally import Tally
    from artifact_pipeline.rows.sources import Source


@dataclass(frozen=True, slots=True)
class Predictions:
    """What came of a prediction.

    Attributes:
        destination: where the predictions went.
        receipt: what was read and written, by digests.
        tally: the counts behind it, with the first rows and the first mistakes.
        scores: figures by split, `all` the last; empty where no label came with the rows.
        drift: the verdict on drift, or None where nobody asked, or where these are the model's own rows.
        held_out: bool of shape (rows,), or None where these are not just the rows of the training file.
        left_out: columns of the input that were not used.
        already: parts that an earlier run had finished.
        notes: what is suspicious about the input, a sentence each.
    """

    destination: Destination
    receipt: Receipt
    tally: Tally
    scores: dict[str, Measured]
    drift: Drift | None
    held_out: NDArray[np.bool_] | None
    left_out: tuple[str, ...]
    already: int = 0
    notes: tuple[str, ...] = ()

    def split_of(self, row: int) -> str:
        """`held-out`, `training`, or `unknown`: the artifact holds one digest of all its rows, and none of each."""
        if self.held_out is None:
            return UNKNOWN
        return "held-out" if self.held_out[row] else "training"


UNKNOWN: Literal["unknown"] = "unknown"
"""Whether a row is new, or one that the model has seen, where these are not just the rows of its training file."""


OF_SPLIT: dict[str, Learned] = {"held-out": "none", "training": "all"}


def refuse_nothing(tally: Tally, sources: Sequence[Source]) -> None:
    """Refuse an input without a row.

    Raises:
        DataRejected: nothing was read.
    """
    if not tally.read:
        problem = Problem(sources[0].place, "no-rows", "holds no rows")
        raise DataRejected("there are no rows to predict", problems=[problem])


def verdict(scorer: Scorer, tally: Tally) -> Drift | None:
    """Judge what was counted; None where nobody asked."""
    from artifact_pipeline.drift import judge as drift

    return None if tally.drift is None else drift.judge(scorer.reference, tally.drift, scorer.classes)


def measure(confusion: NDArray[np.int64], training_rows: Learned = UNKNOWN) -> Measured | None:
    """Figures from a confusion matrix, or None where no row had a label.

    Args:
        confusion: counts, a row for each actual class.
        training_rows: which of these rows the model has learned.
    """
    from artifact_pipeline.metrics import classification as metrics

    if not confusion.sum():
        return None
    return Measured(
        rows=int(confusion.sum()),
        accuracy=metrics.accuracy(confusion),
        f1_weighted=float(metrics.weighted_f1(confusion)),
        confusion=tuple(map(tuple, confusion.tolist())),
        training_rows=training_rows,
    )


def receipt_of(
    scorer: Scorer,
    inputs: Sequence[Input],
    *,
    outputs: Sequence[Output],
    rejected: Output | None,
    tally: Tally,
    progress: dict[str, Any] | None = None,
) -> Receipt:
    """Write down what came of it.

    Args:
        scorer: what answered.
        inputs: what was read, as far as it has been read to its end.
        outputs: what was written.
        rejected: where the bad rows are.
        tally: the counts.
        progress: how to go on, where there is something left to do.
    """
    artifact, judged = scorer.artifact, verdict(scorer, tally)
    gate = receipt.gate_of(artifact)
    labels = zip(scorer.classes, tally.labels.tolist(), strict=True)
    return Receipt(
        format=1,
        complete=progress is None,
        artifact=artifact.digest,
        model=artifact.manifest.model.digest,
        gate=gate,
        failed_gate_accepted=gate != "passed",
        trust=artifact.trust,
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        rejected=rejected,
        rows=receipt.Rows(
            read=tally.read,
            written=tally.written,
            rejected=tally.rejected,
            rules=dict(sorted(tally.rules.items())),
            out_of_range=tally.outside,
        ),
        labels=tuple(receipt.LabelCount(label=label, rows=count) for label, count in labels),
        metrics=measure(tally.confusion),
        drift=judged.plain() if judged is not None else None,
        environment=receipt.environment(),
        progress=progress,
    )
