"""`selftest.json` of format 2: golden rows of any columns, and what the model answers to them.

As in format 1 they are rows of no person: each column is drawn by itself. Every level of a category stands in one of
them, and in two further rows all that may be missing is missing, and each level is one that the model does not know.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta

from artifact_pipeline.artifact.parts import DECIMALS, Frozen, Text
from artifact_pipeline.artifact.selftest import PLACE, ROWS, SEED, draw
from artifact_pipeline.errors import Problem, plural
from artifact_pipeline.rows.coded import MISSING_CODE
from artifact_pipeline.rows.features import MAX_LEVELS, MISSING

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.artifact.manifest2 import Manifest2
    from artifact_pipeline.artifact.reference import FeatureReference
    from artifact_pipeline.rows.features import Column

Value = float | str | None
"""A value of a golden row: a number or truth value, a level, or None where it is missing."""
_MOST = MAX_LEVELS + ROWS + 2
_TIE = 1e-6
"""Two answers this close may be in either order on another processor."""


class GoldenRows(Frozen, frozen=True):
    """`selftest.json`, format 2: rows, and the label and the rounded answers of each."""

    format: Literal[2]
    rows: Annotated[tuple[tuple[Value, ...], ...], Meta(min_length=1, max_length=_MOST)]
    labels: tuple[int | Text, ...]
    answers: tuple[tuple[float, ...], ...]

    @classmethod
    def of(
        cls, rows: Sequence[Sequence[Value]], labels: NDArray[np.int64] | NDArray[np.str_], answers: NDArray[np.float64]
    ) -> GoldenRows:
        """Record what the published model answers to the golden rows.

        `labels` are of shape (rows,), `answers` are probabilities or scores, float64 of shape (rows, classes). A row
        whose two best answers are within 1e-6 is left out, unless that is true of all rows.
        """
        import numpy as np

        best = np.sort(answers, axis=1)
        clear = np.flatnonzero(best[:, -1] - best[:, -2] > _TIE)
        chosen = clear if clear.size else np.arange(len(rows))
        return cls(
            format=2,
            rows=tuple(tuple(rows[row]) for row in chosen.tolist()),
            labels=tuple(labels[chosen].tolist()),
            answers=tuple(map(tuple, np.round(answers[chosen], DECIMALS).tolist())),
        )

    @classmethod
    @lru_cache(maxsize=2)
    def read(cls, data: bytes) -> GoldenRows:
        """Parse the bytes of `selftest.json`.

        Raises:
            ArtifactRejected: they are not canonical JSON, or break a type.
        """
        return cls.parse(data, place=PLACE, rule="selftest-invalid")

    def problems(self, manifest: Manifest2) -> Iterator[Problem]:
        """Yield where the golden rows do not fit this manifest's model."""
        columns, classes = manifest.model.columns, len(manifest.model.classes)
        if not len(self.rows) == len(self.labels) == len(self.answers):
            yield Problem(PLACE, "selftest-shape", "rows, labels and answers differ in number")
        if any(len(row) != classes for row in self.answers):
            yield Problem(PLACE, "selftest-shape", f"a row does not have {plural(classes, 'answer')}")
        if not set(self.labels) <= set(manifest.model.classes):
            yield Problem(PLACE, "selftest-labels", "a label is none of the model's classes")
        if any(len(row) != len(columns) for row in self.rows):
            yield Problem(PLACE, "selftest-shape", f"a row does not have {plural(len(columns), 'value')}")
        elif not all(_fits(value, column) for row in self.rows for value, column in zip(row, columns, strict=True)):
            yield Problem(PLACE, "selftest-values", "a value is none that its column can have")


def _fits(value: Value, column: Column) -> bool:
    if value is None:
        return column.nullable
    if column.kind == "category":
        return isinstance(value, str) and value != MISSING and (value in column.levels or column.other == "accept")
    return isinstance(value, float) and (column.kind == "number" or value in {0.0, 1.0})


def draw_golden_rows(features: Sequence[FeatureReference], columns: Sequence[Column]) -> list[list[Value]]:
    """Draw the golden rows, always the same ones for the same features, which are in the order of the columns."""
    import random

    generator = random.Random(SEED)  # noqa: S311 - golden rows, not secrets
    count = max([ROWS, *(len(column.levels) for column in columns)])
    rows = [
        [_value(feature, column, row, generator) for feature, column in zip(features, columns, strict=True)]
        for row in range(count)
    ]
    if any(column.nullable for column in columns):
        rows.append([None if column.nullable else rows[0][place] for place, column in enumerate(columns)])
    if any(column.kind == "category" and column.other == "accept" for column in columns):
        rows.append([_unseen(column, rows[0][place]) for place, column in enumerate(columns)])
    return rows


def _value(feature: FeatureReference, column: Column, row: int, generator: random.Random) -> Value:
    drawn = draw(feature, generator)
    if column.kind != "category":
        return None if drawn == MISSING_CODE else drawn
    code = row if row < len(column.levels) else int(drawn)
    if code == len(column.levels):
        return _unseen(column, column.levels[0] if column.levels else MISSING)
    return column.levels[code] or None


def _unseen(column: Column, otherwise: Value) -> Value:
    """A level that the model does not know; `otherwise` where the column takes none."""
    if column.kind != "category" or column.other != "accept":
        return otherwise
    level = "unseen"
    while level in column.levels:
        level += "-"
    return level
