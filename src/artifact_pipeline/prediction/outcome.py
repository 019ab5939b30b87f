"""The outcome of a prediction: its receipt, its figures, its drift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from artifact_pipeline.prediction.hash_split import HELD_OUT_SIDE, SIDES, TRAINING_SIDE, UNKNOWN_SIDE
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
    """The outcome of a prediction.

    Attributes:
        destination: where the predictions are.
        receipt: what was read and written, by digests.
        counts: the counts of the receipt, with the first rows and the first mistakes.
        scores: figures by split, `all` the last; empty where no label came with the rows.
        drift: the verdict on drift; None where it was not asked for, or where training rows are among these.
        held_out: bool of shape (rows,); None where these are not exactly the rows of a file of the training.
        left_out: columns of the input that were not used.
        already: parts that an earlier run had finished.
        notes: sentences about what is suspicious in the input.
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

    def split_of(self, row: int, side: int = UNKNOWN_SIDE) -> str:
        """Return `held-out`, `training` or `unknown` for a row and its side of a hash split."""
        if self.held_out is None:
            return SIDES[side]
        return SIDES[HELD_OUT_SIDE if self.held_out[row] else TRAINING_SIDE]


LEARNED: dict[str, Learned] = {"held-out": "none", "training": "all"}
"""How many rows of each side the model has learned, of the files that it was trained from."""
_LEARNED_BY_HASH: dict[int, Learned] = {HELD_OUT_SIDE: "none", TRAINING_SIDE: "unknown"}
"""The same of any other file, by the side of a hash split."""


def scores_of_sides(counts: PredictionCounts) -> dict[str, Receipt.Measured]:
    """Return the figures of each side of a hash split that has rows with a label."""
    scores: dict[str, Receipt.Measured] = {}
    for side, learned in _LEARNED_BY_HASH.items():
        measured = Receipt.Measured.of(counts.sides[side], learned)
        if measured is not None:
            scores[SIDES[side]] = measured
    return scores


def _measured(counts: PredictionCounts) -> Receipt.Measured | None:
    """The figures over all labelled rows; the model has learned none of them if all are on the held-out side."""
    held_out = counts.confusion.sum() == counts.sides[HELD_OUT_SIDE].sum()
    return Receipt.Measured.of(counts.confusion, "none" if held_out else "unknown")


def receipt_of(
    scorer: Scorer,
    inputs: Sequence[Receipt.Input],
    *,
    outputs: Sequence[Receipt.Output],
    rejected: Receipt.Output | None,
    counts: PredictionCounts,
    progress: dict[str, Any] | None = None,
) -> Receipt:
    """Return the receipt of a prediction.

    Args:
        scorer: the model, and the options.
        inputs: the files that were read to their end.
        outputs: the files of predictions.
        rejected: the file of the bad rows, or None.
        counts: the counts over all rows.
        progress: what `--resume` needs, where some parts are missing; None for complete work.
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
        metrics=_measured(counts),
        drift=judged.plain() if judged is not None else None,
        environment=environment(),
        progress=progress,
    )
