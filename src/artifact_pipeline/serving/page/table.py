"""A CSV that is dropped on the page: read in memory as `predict` reads a file, and answered in one response."""

from __future__ import annotations

import io
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from artifact_pipeline.errors import ConfigError, DataRejected, plural
from artifact_pipeline.prediction.hash_split import HELD_OUT_SIDE, SIDES, TRAINING_SIDE, UNKNOWN_SIDE
from artifact_pipeline.prediction.parts import PredictionFile
from artifact_pipeline.prediction.scoring import Options, Scorer
from artifact_pipeline.prediction.training_rows import TrainingRows
from artifact_pipeline.rows.batches import UNLABELLED
from artifact_pipeline.rows.sources import Source
from artifact_pipeline.serving.http import Refusal, Response

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.prediction.scoring import Scored
    from artifact_pipeline.rows.batches import Batch
    from artifact_pipeline.rows.features import Column
    from artifact_pipeline.rows.formats.opening import Reader
    from artifact_pipeline.serving.model import Served

MAX_NAMED = 10
"""Bad rows that are named at most."""
MAX_CELLS = 1 << 16
"""Values beside the answers at most; those of a larger table are left out."""
_PLACE = "table"
_ANSWER = ("row", "label", "actual", "sure", "side")
"""Of a row: its number, the positions of its answer and of its label, the answer's probability or score, its side."""
_SOURCE = Source(_PLACE, _PLACE, "csv")
_DOWNLOAD = ((b"content-type", b"text/csv; charset=utf-8"), (b"x-content-type-options", b"nosniff"))


def read_table(served: Served, body: bytes) -> Response:
    """Answer a CSV: its columns are taken by their names, and bad rows are set aside.

    Raises:
        Refusal: it cannot be read, lacks a column, or has too many rows.
    """
    scorer = Scorer(served.verified, Options(out_of_range="ignore", drift=False, form="jsonl"), served.predictor)
    with _reading(scorer, body) as reader:
        answer = _TableAnswer(served, scorer, notes=scorer.split_notes(reader))
        for batch in _batches(served, reader):
            answer.add(scorer.score(batch))
    return Response(200, msgspec.json.encode(answer.plain()), rows=answer.rows)


def answers_file(served: Served, body: bytes) -> Response:
    """Answer a CSV by the bytes of the file that `predict` would write; bad rows are left out.

    Raises:
        Refusal: as `read_table`; or a spreadsheet would run a label.
    """
    options = Options(on_error="quarantine", out_of_range="ignore", drift=False)
    try:
        scorer = Scorer(served.verified, options, served.predictor)
    except ConfigError as error:
        raise Refusal(400, error.message) from error
    file = io.BytesIO()
    with _reading(scorer, body) as reader, PredictionFile(scorer, file, io.BytesIO()) as answers:
        for batch in _batches(served, reader):
            answers.add(_SOURCE, batch, {})
        output, _ = answers.close(_PLACE)
    return Response(200, file.getvalue(), _DOWNLOAD, rows=output.rows)


@contextmanager
def _reading(scorer: Scorer, body: bytes) -> Iterator[Reader]:
    """Open a CSV for the block.

    Raises:
        Refusal: it cannot be read, also in the block, or lacks a column.
    """
    from artifact_pipeline.rows.formats.streams import HashedStream
    from artifact_pipeline.rows.formats.text import CsvReader

    try:
        reader = CsvReader(_SOURCE, scorer.wanted(_SOURCE), HashedStream(_PLACE, io.BytesIO(body)))
        if not reader.names:
            raise Refusal(400, "there is no header; write the columns' names into the first line")
        yield reader
    except DataRejected as error:
        raise Refusal(400, _in_one_sentence(error)) from error


def _batches(served: Served, reader: Reader) -> Iterator[Batch]:
    """Yield the rows of a CSV.

    Raises:
        Refusal: it has too many rows.
    """
    read = 0
    for batch in reader.batches(0):
        read += batch.count
        if read > served.max_rows:
            counted = plural(served.max_rows, "row")
            words = f"the table has more than {counted}; artifact-pipeline predict takes any number"
            raise Refusal(413, words)
        yield batch


class _TableAnswer:
    """The answer to a table, gathered batch by batch."""

    def __init__(self, served: Served, scorer: Scorer, notes: list[str]) -> None:
        self._served, self._scorer, self._notes = served, scorer, notes
        self._training_rows = TrainingRows(served.verified)
        self._answers: dict[str, list[Any]] = {name: [] for name in _ANSWER}
        self._cells: list[list[Any]] | None = []  # of each row; None where the table is large
        self._rejected = 0
        self._named: list[dict[str, Any]] = []  # the first rejected rows

    @property
    def rows(self) -> int:
        """How many rows were answered."""
        return len(self._answers["row"])

    def add(self, scored: Scored) -> None:
        """Add the answers to a batch."""
        import numpy as np

        batch, positions = scored.batch, scored.positions
        self._training_rows.add(scored)
        actual = np.full(len(positions), UNLABELLED) if batch.actual is None else batch.actual
        sure = np.take_along_axis(scored.probabilities, positions[None], axis=0)[0]
        columns = (batch.numbers, positions, actual, sure.round(6), self._sides(batch))
        for name, values in zip(_ANSWER, columns, strict=True):
            self._answers[name] += values.tolist()
        if self._cells is not None:
            taken = self._served.verified.manifest.model.columns
            if self.rows * len(taken) > MAX_CELLS:
                self._cells = None
            else:
                self._cells += _cells(batch, taken)
        self._rejected += len(scored.rejected)
        for each in scored.rejected[: MAX_NAMED - len(self._named)]:
            self._named.append({"row": each.row, "column": each.column, "message": each.message})

    def _sides(self, batch: Batch) -> NDArray[np.int8]:
        """On which side of a hash split each row is; unknown for rows without labels."""
        import numpy as np

        split = self._scorer.split
        if split is None or batch.actual is None:
            return np.full(len(batch.numbers), UNKNOWN_SIDE, dtype=np.int8)
        return split.sides(batch)

    def plain(self) -> dict[str, Any]:
        """Return the answer for JSON."""
        import numpy as np

        answered, actual = (np.array(self._answers[name], dtype=np.int64) for name in ("label", "actual"))
        accuracy = self._accuracy(answered, actual)
        labels = self._served.labels
        counts = np.bincount(answered, minlength=len(labels)).tolist()
        return {
            "rows": self.rows,
            "accuracy": accuracy,
            "rejected": {"rows": self._rejected, "first": self._named},
            "labels": [{"label": label, "rows": count} for label, count in zip(labels, counts, strict=True)],
            "answers": self._answers,
            "cells": self._cells,
            "notes": self._notes,
        }

    def _accuracy(self, answered: NDArray[np.int64], actual: NDArray[np.int64]) -> dict[str, Any] | None:
        """The share of right answers, and that by split where it is known which rows were held out.

        It is known of exactly the rows of a file that the model was trained from, whose sides are set then, and of any
        rows by a hash split. There the model has learned the rows of the training side that its training file had.
        """
        import numpy as np

        labelled, right = actual != UNLABELLED, answered == actual
        if not labelled.any():
            return None
        own = bool(self._training_rows.by_split())
        if own:
            self._answers["side"] = np.where(self._training_rows.held_out(), HELD_OUT_SIDE, TRAINING_SIDE).tolist()
        side = np.array(self._answers["side"])
        groups = {SIDES[each]: labelled & (side == each) for each in (HELD_OUT_SIDE, TRAINING_SIDE)}
        return {
            "value": float(right[labelled].mean()),
            "rows": int(labelled.sum()),
            "own": own,
            "splits": [
                {"name": name, "value": float(right[rows].mean()), "rows": int(rows.sum())}
                for name, rows in groups.items()
                if rows.any()
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
