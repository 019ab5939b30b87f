"""A CSV that is dropped on the page: read as `predict` reads one, in memory, and answered in one response."""

from __future__ import annotations

import io
from contextlib import contextmanager
from dataclasses import dataclass, field
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

TOLD = 10
"""Bad rows that are named."""
MAX_CELLS = 1 << 16
"""Values at most that are shown beside the answers; of a table that has more, none is."""
_PLACE = "table"
_ANSWER = ("row", "label", "actual", "sure", "side")
_SOURCE = Source(_PLACE, _PLACE, "csv")
_DOWNLOAD = ((b"content-type", b"text/csv; charset=utf-8"), (b"x-content-type-options", b"nosniff"))


def read_table(served: Served, body: bytes) -> Response:
    """Answer a CSV: its columns are taken by their names, and bad rows are set aside.

    Args:
        served: the model.
        body: the file.

    Raises:
        Refusal: it cannot be read, lacks a column, or has too many rows.
    """
    scorer = Scorer(served.verified, Options(out_of_range="ignore", drift=False, form="jsonl"), served.predictor)
    counts = _Counts(served, scorer)
    with _reading(scorer, body) as reader:
        counts.notes = scorer.untold(reader)
        for batch in _bounded(served, reader):
            counts.add(scorer.score(batch))
    return Response(200, msgspec.json.encode(counts.plain()), rows=counts.rows)


def answers_file(served: Served, body: bytes) -> Response:
    """Answer a CSV by the file that `predict` would write, with the same bytes; bad rows are left out.

    Args:
        served: the model.
        body: the file.

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
        for batch in _bounded(served, reader):
            answers.add(_SOURCE, batch, {})
        output, _ = answers.close(_PLACE)
    return Response(200, file.getvalue(), _DOWNLOAD, rows=output.rows)


@contextmanager
def _reading(scorer: Scorer, body: bytes) -> Iterator[Reader]:
    """A CSV, open for the block.

    Raises:
        Refusal: it cannot be read, there or in the block, or lacks a column.
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


def _bounded(served: Served, reader: Reader) -> Iterator[Batch]:
    """The rows of a CSV.

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


@dataclass(slots=True)
class _Counts:
    """What is answered about a table.

    Attributes:
        served: the model.
        rows: rows answered.
        known: rows among them whose label is in the table.
        right: rows among those whose answer is that label.
        mix: answers by position.
        answers: of each row its number, the positions of its answer and of its label, how sure the model is, which is
            the probability of the answer or its score, and the side of the split that it is on.
        cells: the values of each row, unless the table is large.
        bad: rows set aside.
        named: the first of them.
        notes: what is to be said of the file, a sentence each.
        own: finds out whether these are just the rows of the training file.
    """

    served: Served
    scorer: Scorer
    rows: int = 0
    known: int = 0
    right: int = 0
    mix: list[int] = field(default_factory=list)
    answers: dict[str, list[Any]] = field(default_factory=lambda: {name: [] for name in _ANSWER})
    cells: list[list[Any]] | None = field(default_factory=list)
    bad: int = 0
    named: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
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
        columns = (batch.numbers, positions, actual, sure.round(6), self._sides(batch))
        for name, values in zip(_ANSWER, columns, strict=True):
            self.answers[name] += values.tolist()
        if self.cells is not None:
            taken = self.served.verified.manifest.model.columns
            self.cells = None if self.rows * len(taken) > MAX_CELLS else [*self.cells, *_cells(batch, taken)]

    def _sides(self, batch: Batch) -> NDArray[np.int8]:
        """On which side of a hash split each row is, which is asked of labelled rows."""
        import numpy as np

        split = self.scorer.split
        if split is None or batch.actual is None:
            return np.full(len(batch.numbers), UNKNOWN_SIDE, dtype=np.int8)
        return split.sides(batch)

    def plain(self) -> dict[str, Any]:
        """The answer."""
        accuracy = self._accuracy()  # which also says on which side each row is
        mix = [{"label": label, "rows": count} for label, count in zip(self.served.labels, self.mix, strict=True)]
        return {
            "rows": self.rows,
            "accuracy": accuracy,
            "rejected": {"rows": self.bad, "first": self.named},
            "labels": mix,
            "answers": self.answers,
            "cells": self.cells,
            "notes": self.notes,
        }

    def _accuracy(self) -> dict[str, Any] | None:
        """The share of right answers, and that by split where it is known which rows were held out.

        It is known of just the rows of a file that the model was trained from, and of any by a hash split. Then the
        rows on the training side are rows that the model has learned if its training file had them.
        """
        import numpy as np

        if not self.known:
            return None
        own = self.own.by_split()
        if own:
            self.answers["side"] = np.where(self.own.held_out(), HELD_OUT_SIDE, TRAINING_SIDE).tolist()
        actual, label, side = (np.array(self.answers[name]) for name in ("actual", "label", "side"))
        groups = {SIDES[each]: (actual >= 0) & (side == each) for each in (HELD_OUT_SIDE, TRAINING_SIDE)}
        return {
            "value": self.right / self.known,
            "rows": self.known,
            "own": bool(own),
            "splits": [
                {"name": name, "value": float((actual == label)[rows].mean()), "rows": int(rows.sum())}
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
