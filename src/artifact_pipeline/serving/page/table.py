"""A CSV that is dropped on the page: read as `predict` reads one, in memory, and answered in one response."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from artifact_pipeline.artifact.manifest2 import Manifest2
from artifact_pipeline.errors import ConfigError, DataRejected, plural
from artifact_pipeline.prediction.scoring import BatchPredictor, answer_names, refuse_formulas
from artifact_pipeline.prediction.training_rows import TrainingRows
from artifact_pipeline.prediction.writers import HashedFile, open_writer
from artifact_pipeline.rows.batches import UNLABELLED, Wanted
from artifact_pipeline.rows.sources import Source
from artifact_pipeline.serving.http import Refusal, Response

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from artifact_pipeline.prediction.scoring import Scored
    from artifact_pipeline.rows.batches import Batch
    from artifact_pipeline.rows.features import Column
    from artifact_pipeline.serving.model import Served

TOLD = 10
"""Bad rows that are named."""
MAX_CELLS = 1 << 16
"""Values at most that are shown beside the answers; of a table that has more, none is."""
_PLACE = "table"
_DOWNLOAD = ((b"content-type", b"text/csv; charset=utf-8"), (b"x-content-type-options", b"nosniff"))


def read_table(served: Served, body: bytes) -> Response:
    """Answer a CSV: its columns are taken by their names, and bad rows are set aside.

    Args:
        served: the model.
        body: the file.

    Raises:
        Refusal: it cannot be read, lacks a column, or has too many rows.
    """
    counts = _Counts(served)
    for scored in _scored(served, body):
        counts.add(scored)
    return Response(200, msgspec.json.encode(counts.plain()), rows=counts.rows)


def answers_file(served: Served, body: bytes) -> Response:
    """Answer a CSV by the file that `predict` would write, with the same bytes; bad rows are left out.

    Args:
        served: the model.
        body: the file.

    Raises:
        Refusal: as `read_table`; or a spreadsheet would run a label.
    """
    file, rows = io.BytesIO(), 0
    names = answer_names(served.labels, served.predictor.kind)
    writer = open_writer("csv", HashedFile(file), names, artifact=served.verified.digest)
    try:
        refuse_formulas((each for each in served.labels if isinstance(each, str)), "csv")
    except ConfigError as error:
        raise Refusal(400, error.message) from error
    for scored in _scored(served, body):
        rows += len(scored.positions)
        writer.write({"row": scored.batch.numbers, "predicted": scored.labels}, scored.probabilities)
    writer.close()
    return Response(200, file.getvalue(), _DOWNLOAD, rows=rows)


def _scored(served: Served, body: bytes) -> Iterator[Scored]:
    """The rows of a CSV and their answers.

    Raises:
        Refusal: it cannot be read, lacks a column, or has too many rows.
    """
    calls = BatchPredictor(served.predictor)
    try:
        for batch in _batches(served, body):
            yield calls.score(batch)
    except DataRejected as error:
        raise Refusal(400, _in_one_sentence(error)) from error


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
        answers: of each row its number, the positions of its answer and of its label, and how sure the model is: the
            probability of the answer, or its score.
        cells: the values of each row, unless the table is large.
        bad: rows set aside.
        named: the first of them.
        own: finds out whether these are just the rows of the training file.
    """

    served: Served
    rows: int = 0
    known: int = 0
    right: int = 0
    mix: list[int] = field(default_factory=list)
    answers: dict[str, list[Any]] = field(default_factory=lambda: {"row": [], "label": [], "actual": [], "sure": []})
    cells: list[list[Any]] | None = field(default_factory=list)
    bad: int = 0
    named: list[dict[str, Any]] = field(default_factory=list)
    own: TrainingRows = field(init=False)

    def __post_init__(self) -> None:
        self.mix = [0] * len(self.served.labels)
        self.own = TrainingRows(self.served.verified)

    def add(self, scored: Scored) -> None:
        """Count the answers to a batch, and keep them."""
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
        import numpy as np

        batch, positions = scored.batch, scored.positions
        actual = np.full(len(positions), UNLABELLED) if batch.actual is None else batch.actual
        sure = np.take_along_axis(scored.probabilities, positions[None], axis=0)[0]
        for name, values in (("row", batch.numbers), ("label", positions), ("actual", actual), ("sure", sure.round(6))):
            self.answers[name] += values.tolist()
        if self.cells is not None:
            columns = self.served.verified.manifest.model.columns
            self.cells = None if self.rows * len(columns) > MAX_CELLS else [*self.cells, *_cells(batch, columns)]

    def plain(self) -> dict[str, Any]:
        """The answer."""
        mix = [{"label": label, "rows": count} for label, count in zip(self.served.labels, self.mix, strict=True)]
        return {
            "rows": self.rows,
            "rejected": {"rows": self.bad, "first": self.named},
            "labels": mix,
            "answers": self.answers,
            "cells": self.cells,
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


def _cells(batch: Batch, columns: Sequence[Column]) -> list[list[Any]]:
    """The values of rows as JSON has them: None where one is missing."""
    import numpy as np

    numbers, texts = iter(batch.columns), iter(batch.texts)
    found: list[list[Any]] = []
    for column in columns:
        if column.kind == "category":
            found.append([text or None for text in next(texts).tolist()])
        else:
            values = next(numbers).astype(np.float64).tolist()
            kind: Any = bool if column.kind == "boolean" else float
            found.append([None if value != value else kind(value) for value in values])  # noqa: PLR0124 - NaN
    return [list(row) for row in zip(*found, strict=True)]


def _in_one_sentence(error: DataRejected) -> str:
    """The first problem, how many there are beside it, and the hint."""
    if not error.problems:
        return error.message
    more = f", and {plural(len(error.problems) - 1, 'problem')} more" if len(error.problems) > 1 else ""
    return f"{error.problems[0].message}{more}{f'; {error.hint}' if error.hint else ''}"
