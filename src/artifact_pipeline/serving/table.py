"""A CSV that is dropped on the page: read as `predict` reads one, in memory, and answered in one response."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from artifact_pipeline.artifact.manifest2 import Manifest2
from artifact_pipeline.errors import DataRejected, plural
from artifact_pipeline.prediction.scoring import BatchPredictor
from artifact_pipeline.prediction.training_rows import TrainingRows
from artifact_pipeline.rows.batches import UNLABELLED, Wanted
from artifact_pipeline.rows.sources import Source
from artifact_pipeline.serving.http import Refusal, Response

if TYPE_CHECKING:
    from collections.abc import Iterator

    from artifact_pipeline.prediction.scoring import Scored
    from artifact_pipeline.rows.batches import Batch
    from artifact_pipeline.serving.model import Served

SHOWN, TOLD = 100, 10
"""Rows whose answers are shown, and bad rows that are named."""
_PLACE = "table"


def read_table(served: Served, body: bytes) -> Response:
    """Answer a CSV: its columns are taken by their names, and bad rows are set aside.

    Args:
        served: the model.
        body: the file.

    Raises:
        Refusal: it cannot be read, lacks a column, or has too many rows.
    """
    counts, calls = _Counts(served), BatchPredictor(served.predictor)
    try:
        for batch in _batches(served, body):
            counts.add(calls.score(batch))
    except DataRejected as error:
        raise Refusal(400, _in_one_sentence(error)) from error
    return Response(200, msgspec.json.encode(counts.plain()), rows=counts.rows)


def _batches(served: Served, body: bytes) -> Iterator[Batch]:
    """The rows of a CSV.

    Raises:
        DataRejected: it cannot be read, or lacks a column.
        Refusal: it has too many rows.
    """
    import numpy as np

    from artifact_pipeline.rows.formats.streams import HashedStream
    from artifact_pipeline.rows.formats.text import CsvReader

    manifest = served.verified.manifest
    anything = np.full(served.features, np.inf)
    wanted = Wanted(
        features=tuple(feature.name for feature in manifest.model.inputs),
        dtype=manifest.model.dtype,
        target=manifest.data.target,
        classes=manifest.model.classes,
        keep=(),
        low=-anything,
        high=anything,
        out_of_range="ignore",
        kinds=tuple(each.kind for each in manifest.model.columns if each.kind != "category"),
        columns=manifest.model.columns if isinstance(manifest, Manifest2) else None,
    )
    reader = CsvReader(Source(_PLACE, _PLACE, "csv"), wanted, HashedStream(_PLACE, io.BytesIO(body)))
    if not reader.names:
        raise Refusal(400, "there is no header; write the columns' names into the first line")
    read = 0
    for batch in reader.batches(0):
        read += batch.count
        if read > served.max_rows:
            counted = plural(served.max_rows, "row")
            words = f"the table has more than {counted}; artifact-pipeline predict takes any number"
            raise Refusal(413, words)
        yield batch


@dataclass(slots=True)
class _Counts:
    """What is answered about a table.

    Attributes:
        served: the model.
        rows: rows answered.
        known: rows among them whose label is in the table.
        right: rows among those whose answer is that label.
        mix: answers by position.
        first: the first rows' answers.
        bad: rows set aside.
        named: the first of them.
        own: finds out whether these are just the rows of the training file.
    """

    served: Served
    rows: int = 0
    known: int = 0
    right: int = 0
    mix: list[int] = field(default_factory=list)
    first: list[dict[str, Any]] = field(default_factory=list)
    bad: int = 0
    named: list[dict[str, Any]] = field(default_factory=list)
    own: TrainingRows = field(init=False)

    def __post_init__(self) -> None:
        self.mix = [0] * len(self.served.labels)
        self.own = TrainingRows(self.served.verified)

    def add(self, scored: Scored) -> None:
        """Count the answers to a batch, and show the first of them."""
        import numpy as np

        batch, positions = scored.batch, scored.positions
        self.own.add(scored)
        self.rows += len(positions)
        counts = np.bincount(positions, minlength=len(self.mix)).tolist()
        self.mix = [old + new for old, new in zip(self.mix, counts, strict=True)]
        if batch.actual is not None:
            self.known += int((batch.actual != UNLABELLED).sum())
            self.right += int((batch.actual == positions).sum())
        self._show(scored)
        self.bad += len(scored.rejected)
        for each in scored.rejected[: TOLD - len(self.named)]:
            self.named.append({"row": each.row, "column": each.column, "message": each.message})

    def _show(self, scored: Scored) -> None:
        batch, labels = scored.batch, self.served.labels
        for index in range(min(SHOWN - len(self.first), len(scored.positions))):
            confidence = float(scored.confidence[index]) if scored.kind == "probabilities" else None
            label = labels[scored.positions[index]]
            row = {"row": int(batch.numbers[index]), "label": label, "confidence": confidence}
            if batch.actual is not None and batch.actual[index] != UNLABELLED:
                row["actual"] = labels[batch.actual[index]]
            self.first.append(row)

    def plain(self) -> dict[str, Any]:
        """The answer."""
        mix = [{"label": label, "rows": count} for label, count in zip(self.served.labels, self.mix, strict=True)]
        return {
            "rows": self.rows,
            "rejected": {"rows": self.bad, "first": self.named},
            "labels": mix,
            "first": self.first,
            "accuracy": self._accuracy(),
        }

    def _accuracy(self) -> dict[str, Any] | None:
        """The share of right answers, what is known of training rows among them, and that by split if it is known."""
        if not self.known:
            return None
        splits = self.own.by_split()
        return {
            "value": self.right / self.known,
            "rows": self.known,
            "training_rows": "some" if splits else "unknown",
            "splits": [
                {"name": name, "value": float((actual == predicted).mean()), "rows": len(actual)}
                for name, (actual, predicted) in splits.items()
                if len(actual)
            ],
        }


def _in_one_sentence(error: DataRejected) -> str:
    """The first problem, how many there are beside it, and the hint."""
    if not error.problems:
        return error.message
    more = f", and {plural(len(error.problems) - 1, 'problem')} more" if len(error.problems) > 1 else ""
    return f"{error.problems[0].message}{more}{f'; {error.hint}' if error.hint else ''}"
