"""Predictions: what a verified artifact says to rows, which of them it had seen, and how often it is right."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from artifact_pipeline.artifact.predictor import open_predictor
from artifact_pipeline.errors import DataRejected, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.artifact.manifest import Manifest
    from artifact_pipeline.artifact.predictor import Answers
    from artifact_pipeline.artifact.verify import Verified
    from artifact_pipeline.rows import Rows


@dataclass(frozen=True, slots=True)
class Scored:
    """Figures over some rows, not rounded; the confusion matrix has a row for each actual class."""

    rows: int
    accuracy: float
    f1_weighted: float
    confusion: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Predictions:
    """The answers to some rows.

    Attributes:
        classes: the labels, in the model's order.
        rows: what was answered.
        answers: the answers, one a row.
        held_out: bool of shape (rows,), or None where these are not the rows that the model was trained from.
    """

    classes: tuple[int | str, ...]
    rows: Rows
    answers: Answers
    held_out: NDArray[np.bool_] | None

    def split_of(self, row: int) -> str:
        """`held-out`, `training`, or `new` where the model's own rows are others."""
        if self.held_out is None:
            return "new"
        return "held-out" if self.held_out[row] else "training"

    def scores(self) -> dict[str, Scored]:
        """Figures by split, `all` the last; empty where the labels are not known.

        Raises:
            DataRejected: a label that the model does not know.
        """
        import numpy as np

        if self.rows.y is None:
            return {}
        actual = self._positions(self.rows.y)
        everything = np.arange(len(actual))
        splits = {"all": everything}
        if self.held_out is not None:
            splits = {"held-out": everything[self.held_out], "training": everything[~self.held_out], **splits}
        return {name: self._score(actual, rows) for name, rows in splits.items() if len(rows)}

    def _positions(self, labels: NDArray[np.int64] | NDArray[np.str_]) -> NDArray[np.int64]:
        import numpy as np

        classes = np.array(self.classes)
        unknown = np.flatnonzero(~np.isin(labels, classes))
        if unknown.size:
            label = labels[unknown[0]]
            problem = Problem("rows", "label-unknown", f"row {unknown[0]}: the label {label!s} is none of the model's")
            classes_told = ", ".join(map(str, self.classes[:20]))
            raise DataRejected(
                "the rows do not fit the model", problems=[problem], hint=f"its classes are {classes_told}"
            )
        return np.searchsorted(classes, labels).astype(np.int64)

    def _score(self, actual: NDArray[np.int64], rows: NDArray[np.int64]) -> Scored:
        from artifact_pipeline import metrics

        confusion = metrics.confusion_matrix(actual[rows], self.answers.positions[rows], len(self.classes))
        return Scored(
            rows=len(rows),
            accuracy=metrics.accuracy(confusion),
            f1_weighted=float(metrics.weighted_f1(confusion)),
            confusion=tuple(map(tuple, confusion.tolist())),
        )

    def csv(self) -> bytes:
        """The table: row, split, actual (empty where not known), predicted, a probability for each class."""
        data = io.BytesIO()
        with io.TextIOWrapper(data, encoding="utf-8", newline="") as text:
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(["row", "split", "actual", "predicted", *(f"probability_{each}" for each in self.classes)])
            writer.writerows(self._table())
            text.flush()
            return data.getvalue()

    def _table(self) -> Iterator[list[object]]:
        for row, probabilities in enumerate(self.answers.probabilities):
            actual = self.rows.y[row] if self.rows.y is not None else ""
            # Six decimals: what follows them depends on the processor.
            numbers = (f"{probability:.6f}" for probability in probabilities.tolist())
            yield [row, self.split_of(row), actual, self.answers.labels[row], *numbers]


def predict(artifact: Verified, table: Path | None = None) -> Predictions:
    """Replay the golden rows, then answer the rows of a table, or the built-in digits.

    Args:
        artifact: the verified artifact.
        table: a CSV or Parquet file with the model's columns by name; None for the built-in digits.

    Raises:
        ArtifactRejected: the golden answers differ here.
        DataRejected: the rows cannot be read, or are not of the kind that the model was trained on.
    """
    manifest = artifact.manifest
    predictor = open_predictor(artifact)
    rows = _rows(manifest, table)
    return Predictions(
        classes=manifest.model.classes,
        rows=rows,
        answers=predictor.predict(rows.X),
        held_out=_held_out(artifact, rows),
    )


def _rows(manifest: Manifest, table: Path | None) -> Rows:
    features = [feature.name for feature in manifest.model.inputs]
    if table is not None:
        from artifact_pipeline.rows.tables import read_table

        return read_table(table, target=manifest.data.target, features=features)
    from artifact_pipeline.rows.digits import load_digits

    digits = load_digits()
    if list(digits.names) != features:
        problem = Problem("rows", "rows-missing", "this model was not trained on digits, and no rows were named")
        raise DataRejected(
            "there are no rows to predict",
            problems=[problem],
            hint="name a CSV or Parquet file: artifact-pipeline predict FILE",
        )
    return digits


def _held_out(artifact: Verified, rows: Rows) -> NDArray[np.bool_] | None:
    import numpy as np

    if [source.digest for source in artifact.manifest.data.sources] != [rows.digest()]:
        return None
    bits = np.frombuffer(artifact.role("split"), dtype=np.uint8)
    return np.unpackbits(bits, count=len(rows.X), bitorder="little").astype(np.bool_)
