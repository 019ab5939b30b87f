"""The outcome of a run: its receipt, its figures, its drift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from artifact_pipeline.prediction.receipt import Receipt, environment

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.drift.judge import Drift
    from artifact_pipeline.prediction.counts import PredictionCounts
    from artifact_pipeline.prediction.destination import Destination
    from artifact_pipeline.prediction.receipt import Learned
    from artifact_pipeline.prediction.scoring import Scorer


@dataclass(frozen=True, slots=True)
class Predictions:
    """What came of a prediction.

    Attributes:
        destination: where the predictions went.
        receipt: what was read and written, by digests.
        counts: the counts behind it, with the first rows and the first mistakes.
        scores: figures by split, `all` the last; empty where no label came with the rows.
        drift: the verdict on drift, or None where that was not asked, or where training rows are among these.
        held_out: bool of shape (rows,), or None where these are not just the rows of a file of the training.
        left_out: columns of the input that were not used.
        already: parts that an earlier run had finished.
        notes: what is suspicious about the input, a sentence each.
    """

    destination: Destination
    receipt: Receipt
    counts: PredictionCounts
    scores: dict[str, Receipt.Measured]
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


def receipt_of(
    scorer: Scorer,
    inputs: Sequence[Receipt.Input],
    *,
    outputs: Sequence[Receipt.Output],
    rejected: Receipt.Output | None,
    counts: PredictionCounts,
    progress: dict[str, Any] | None = None,
) -> Receipt:
    """The receipt of a run.

    Args:
        scorer: what answered.
        inputs: what was read, as far as it has been read to its end.
        outputs: what was written.
        rejected: where the bad rows are.
        counts: the counts.
        progress: how to go on, where there is something left to do.
    """
    artifact, judged = scorer.artifact, counts.judged(scorer)
    gate = artifact.manifest.gate.verdict if artifact.manifest.gate is not None else "missing"
    labels = zip(scorer.classes, counts.labels.tolist(), strict=True)
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
        rows=Receipt.Rows(
            read=counts.read,
            written=counts.written,
            rejected=counts.rejected,
            rules=dict(sorted(counts.rules.items())),
            out_of_range=counts.outside,
        ),
        labels=tuple(Receipt.Label(label=label, rows=count) for label, count in labels),
        metrics=Receipt.Measured.of(counts.confusion),
        drift=judged.plain() if judged is not None else None,
        environment=environment(),
        progress=progress,
    )
