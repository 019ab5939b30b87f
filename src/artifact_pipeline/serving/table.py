"""A CSV that is dropped on the page: read as `predict` reads one, in memory, and answered in one response."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from artifact_pipeline.artifact.predictor import BATCH
from artifact_pipeline.errors import DataRejected
from artifact_pipeline.rows.batches import UNLABELLED, Wanted
from artifact_pipeline.rows.sources import Source
from artifact_pipeline.serving.http import Refusal, Response

if TYPE_CHECKING:
    from collections.abc import Iterator

    from artifact_pipeline.rows.batches import Batch, Rejected
    from artifact_pipeline.serving.model import Served

SHOWN, TOLD = 100, 10
"""Rows whose answers are shown, and bad rows that are named."""
PLACE = "table"


def read_table(served: Served, body: bytes) -> Response:
    """Answer a CSV: its columns are taken by their names, and bad rows are set aside.

    Args:
        served: the model.
        body: the file.

    Raises:
        Refusal: it cannot be read, lacks a column, or has too many rows.
    """
    tally = _Tally(served)
    try:
        for batch in _batches(served, body):
            tally.add(batch)
    except DataRejected as error:
        raise Refusal(400, _in_one_sentence(error)) from error
    return Response(200, msgspec.json.encode(tally.told()), rows=tally.rows)


def _batches(served: Served, body: bytes) -> Iterator[Batch]:
    """The rows of a CSV.

    Raises:
        DataRejected: it cannot be read, or lacks a column.
        Refusal: it has too many rows.
    """
    import numpy as np

    from artifact_pipeline.rows.formats import OpenRows
    from artifact_pipeline.rows.formats.streams import Hashed
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
    )
    reader: Any = CsvReader(Source(PLACE, PLACE, "csv"), wanted, Hashed(PLACE, io.BytesIO(body)))
    read = 0
    for batch in OpenRows(PLACE, reader, wanted).batches(0):
        read += batch.count
        if read > served.max_rows:
            words = f"the table has more than {served.max_rows:,} rows; artifact-pipeline predict takes any number"
            raise Refusal(413, words)
        yield batch


@dataclass(slots=True)
class _Tally:
    """What is told of a table.

    Attributes:
        served: the model.
        rows: rows answered.
        known: rows among them whose label is in the table.
        right: rows among those whose answer is that label.
        mix: answers by position.
        first: the first rows' answers.
        bad: rows set aside.
        named: the first of them.
    """

    served: Served
    rows: int = 0
    known: int = 0
    right: int = 0
    mix: list[int] = field(default_factory=list)
    first: list[dict[str, Any]] = field(default_factory=list)
    bad: int = 0
    named: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.mix = [0] * len(self.served.labels)

    def add(self, batch: Batch) -> None:
        """Answer a batch in the calls that `predict` makes."""
        import numpy as np

        self._set_aside(batch.rejected)
        actual = batch.actual
        for start in range(0, len(batch.numbers), BATCH):
            part = slice(start, start + BATCH)
            rows = np.ascontiguousarray(np.stack([column[part] for column in batch.columns], axis=1))
            labels, probabilities = self.served.predictor.answer(rows)
            positions = self.served.predictor.positions(labels)
            # Of a row's probabilities all are numbers or none is: each is divided by the sum of all.
            good = np.isfinite(probabilities[:, 0])
            self._too_large(batch.numbers[part][~good].tolist())
            found = batch.numbers[part][good].tolist(), positions[good], probabilities[good].max(axis=1)
            self._count(*found, actual[part][good] if actual is not None else None)

    def _count(self, numbers: list[int], positions: Any, confidence: Any, actual: Any) -> None:
        import numpy as np

        self.rows += len(numbers)
        counts = np.bincount(positions, minlength=len(self.mix)).tolist()
        self.mix = [old + new for old, new in zip(self.mix, counts, strict=True)]
        if actual is not None:
            self.known += int((actual != UNLABELLED).sum())
            self.right += int((actual == positions).sum())
        labels = self.served.labels
        for index in range(min(SHOWN - len(self.first), len(numbers))):
            told = {"row": numbers[index], "label": labels[positions[index]], "confidence": float(confidence[index])}
            if actual is not None and actual[index] != UNLABELLED:
                told["actual"] = labels[actual[index]]
            self.first.append(told)

    def _set_aside(self, rejected: tuple[Rejected, ...]) -> None:
        self.bad += len(rejected)
        for each in rejected[: TOLD - len(self.named)]:
            self.named.append({"row": each.row, "column": each.column, "message": each.message})

    def _too_large(self, numbers: list[int]) -> None:
        message = "the values are too large for the model to answer"
        self.bad += len(numbers)
        self.named += [{"row": row, "column": "", "message": message} for row in numbers[: TOLD - len(self.named)]]

    def told(self) -> dict[str, Any]:
        """The answer."""
        mix = [{"label": label, "rows": count} for label, count in zip(self.served.labels, self.mix, strict=True)]
        return {
            "rows": self.rows,
            "rejected": {"rows": self.bad, "first": self.named},
            "labels": mix,
            "first": self.first,
            "accuracy": {"value": self.right / self.known, "rows": self.known} if self.known else None,
        }


def _in_one_sentence(error: DataRejected) -> str:
    """The first problem, how many there are beside it, and the hint."""
    if not error.problems:
        return error.message
    more = f", and {len(error.problems) - 1:,} problems more" if len(error.problems) > 1 else ""
    return f"{error.problems[0].message}{more}{f'; {error.hint}' if error.hint else ''}"
