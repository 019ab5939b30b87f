"""Counts over the rows of a prediction, of bounded size; counts of several parts can be added in any order."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from msgspec import convert

from artifact_pipeline.artifact.parts import Count, Frozen, Text
from artifact_pipeline.drift.histograms import Counts
from artifact_pipeline.errors import DataRejected, Problem
from artifact_pipeline.prediction.hash_split import UNKNOWN_SIDE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.artifact.figures import HeldOut
    from artifact_pipeline.artifact.reference import Reference
    from artifact_pipeline.drift.judge import Drift
    from artifact_pipeline.prediction.scoring import Scorer

SAMPLES = 5
"""Rows that are shown: the first ones."""
MISTAKES = 50
"""Rows with a wrong answer that a page lists at most; the predictions have them all."""


@dataclass(slots=True)
class LabelledCounts:
    """Counts over rows whose label is known: int64 of shape (classes, classes), and the losses of each batch."""

    confusion: NDArray[np.int64]
    losses: list[float] = field(default_factory=list)

    @classmethod
    def zero(cls, classes: int) -> LabelledCounts:
        """The counts of no rows."""
        import numpy as np

        return cls(np.zeros((classes, classes), dtype=np.int64))

    def add(self, actual: NDArray[np.int64], predicted: NDArray[np.int64], probabilities: NDArray[np.float64]) -> None:
        """Count rows, by positions of shape (rows,) and probabilities of shape (rows, classes)."""
        from artifact_pipeline.metrics import classification as metrics

        if len(actual):
            self.confusion += metrics.confusion_matrix(actual, predicted, len(self.confusion))
            self.losses.append(metrics.log_loss(actual, probabilities) * len(actual))

    def figures(self, classes: Sequence[str]) -> HeldOut:
        """Return the figures, each rounded to six decimals; at least one row must have been counted."""
        from artifact_pipeline.artifact.figures import HeldOut

        return HeldOut.of(self.confusion, sum(self.losses) / int(self.confusion.sum()), classes)


class Sample(NamedTuple):
    """One answered row, to be shown.

    Attributes:
        row: its number.
        actual: its label, empty if unknown.
        predicted: the answer.
        probability: that of the answer.
        side: its side of a hash split, one of the constants in `hash_split`.
    """

    row: int
    actual: int | str
    predicted: int | str
    probability: float
    side: int = UNKNOWN_SIDE


class _PlainCounts(Frozen, frozen=True):
    """What `PredictionCounts.plain` gives."""

    read: Count
    written: Count
    outside: Count
    rules: dict[Text, Count]
    labels: tuple[Count, ...]
    confusion: tuple[tuple[Count, ...], ...]
    sides: tuple[tuple[tuple[Count, ...], ...], ...]
    drift: dict[str, Any] | None


@dataclass(slots=True)
class PredictionCounts:
    """Counts over some rows.

    Attributes:
        read: rows read, the bad ones included.
        written: rows answered.
        outside: answered rows with a value out of the trained range.
        rules: bad rows by the rule that they break.
        labels: int64 of shape (classes,), answered rows by predicted class.
        confusion: int64 of shape (classes, classes), the answered rows whose actual label is known.
        sides: int64 of shape (2, classes, classes), the same on the training and on the held-out side of a hash split.
        drift: the histograms by which drift is judged, or None.
        samples: the first rows.
        mistakes: the first rows with a wrong answer.
    """

    labels: NDArray[np.int64]
    confusion: NDArray[np.int64]
    sides: NDArray[np.int64]
    read: int = 0
    written: int = 0
    outside: int = 0
    rules: Counter[str] = field(default_factory=Counter)
    drift: Counts | None = None
    samples: list[Sample] = field(default_factory=list)
    mistakes: list[Sample] = field(default_factory=list)

    @classmethod
    def zero(cls, scorer: Scorer) -> PredictionCounts:
        """The counts of no rows."""
        import numpy as np

        drift = Counts.zero(scorer.reference) if scorer.options.drift else None
        labels, confusion, sides = (np.zeros(shape, dtype=np.int64) for shape in _shapes(len(scorer.classes)))
        return cls(labels, confusion, sides, drift=drift)

    @property
    def rejected(self) -> int:
        """Bad rows: every row that is read is either one of them or written."""
        return self.rules.total()

    def __iadd__(self, other: PredictionCounts) -> Self:
        self.read += other.read
        self.written += other.written
        self.outside += other.outside
        self.rules += other.rules
        self.labels = self.labels + other.labels
        self.confusion = self.confusion + other.confusion
        self.sides = self.sides + other.sides
        if self.drift is not None and other.drift is not None:
            self.drift += other.drift
        self.samples = [*self.samples, *other.samples][:SAMPLES]
        self.mistakes = [*self.mistakes, *other.mistakes][:MISTAKES]
        return self

    def refuse_no_rows(self, place: str) -> None:
        """Refuse an input without rows.

        Raises:
            DataRejected: nothing was read.
        """
        if not self.read:
            problem = Problem(place, "no-rows", "holds no rows")
            raise DataRejected("there are no rows to predict", problems=[problem])

    def judged(self, scorer: Scorer) -> Drift | None:
        """The verdict on drift; None where the rows are not compared with the training data."""
        from artifact_pipeline.drift import judge

        columns = scorer.artifact.manifest.model.columns
        return None if self.drift is None else judge.judge(scorer.reference, self.drift, scorer.classes, columns)

    def plain(self) -> dict[str, Any]:
        """Return the counts for JSON, without samples and mistakes."""
        return {
            "read": self.read,
            "written": self.written,
            "outside": self.outside,
            "rules": dict(sorted(self.rules.items())),
            "labels": self.labels.tolist(),
            "confusion": self.confusion.tolist(),
            "sides": self.sides.tolist(),
            "drift": None if self.drift is None else self.drift.plain(),
        }

    @classmethod
    def from_plain(cls, value: dict[str, Any], reference: Reference) -> PredictionCounts:
        """Read back what `plain` gave.

        Raises:
            ValueError: it is not what `plain` gives for this reference.
        """
        import numpy as np

        found = convert(value, _PlainCounts)
        arrays = (found.labels, found.confusion, found.sides)
        shapes = _shapes(len(reference.outputs.labels))
        labels, confusion, sides = (
            np.array(array, dtype=np.int64).reshape(shape) for array, shape in zip(arrays, shapes, strict=True)
        )
        return cls(
            labels,
            confusion,
            sides,
            read=found.read,
            written=found.written,
            outside=found.outside,
            rules=Counter(found.rules),
            drift=None if found.drift is None else Counts.from_plain(found.drift, reference),
        )


def _shapes(classes: int) -> tuple[tuple[int, ...], ...]:
    """The shapes of `labels`, `confusion` and `sides`."""
    return (classes,), (classes, classes), (2, classes, classes)
