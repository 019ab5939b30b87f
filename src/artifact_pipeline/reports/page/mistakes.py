"""The rows that the model gets wrong, surest first; the confusion matrix, and the rows behind its cells."""

from __future__ import annotations

import math
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from artifact_pipeline.errors import plural
from artifact_pipeline.plugins import data_set_with
from artifact_pipeline.reports.page import plots
from artifact_pipeline.reports.page.parts import Card, Cards, Cell, DataTable, Plot, Section, more, short
from artifact_pipeline.reports.page.weights import place_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline import plugins
    from artifact_pipeline.artifact.manifest import Manifest
    from artifact_pipeline.reports.page.parts import Block, Row
    from artifact_pipeline.reports.page.rows import AnsweredRows
    from artifact_pipeline.rows.features import Column, Features

_MAX_CLASSES = 25
"""A confusion matrix of more classes is a picture without numbers."""
_MAX_MISTAKES, _MAX_PICTURES = 20, 48
_MAX_ROWS = 10
"""Most rows that are shown behind a cell."""
_MAX_CELLS = 60
"""Most cells whose rows are shown, mistakes first."""
_MAX_COLUMNS = 8


@dataclass(frozen=True, slots=True)
class ShownRows:
    """Rows as they are shown: pictures, or a table.

    Attributes:
        columns: those that a table shows, by position, the most important ones first.
        pictures: draws a row; None where rows are no pictures.
    """

    answered: AnsweredRows
    manifest: Manifest
    columns: tuple[int, ...]
    pictures: plugins.Pictures | None

    @classmethod
    def of(cls, answered: AnsweredRows, manifest: Manifest, columns: Sequence[int]) -> Self:
        """Show rows as pictures where a data set of the package has such rows."""
        return cls(answered, manifest, tuple(columns)[:_MAX_COLUMNS], pictures_for(manifest))

    def rows(self, title: str, positions: NDArray[np.int64], *, note: str = "", anchor: str = "") -> DataTable | Cards:
        """Return some of the rows, as pictures or as a table; with an anchor they are folded."""
        if self.pictures is not None:
            cards = tuple(self._card(int(each)) for each in positions)
            return Cards(title, cards, note=note, folded=bool(anchor), anchor=anchor)
        columns = self.manifest.model.columns
        given = "probability" if self.answered.has_probabilities else "score"
        heads = ("row", "actual", "predicted", given, *(short(columns[each].name, 28) for each in self.columns))
        left = len(columns) - len(self.columns)
        notes = [note, f"{left:,} more columns are not shown." if left else ""]
        cells = tuple(self._cells(int(each)) for each in positions)
        return DataTable(title, heads, cells, note=" ".join(filter(None, notes)), folded=bool(anchor), anchor=anchor)

    def _label(self, position: int) -> str:
        return short(self.manifest.model.classes[position], 30)

    def _cells(self, row: int) -> tuple[str, ...]:
        answered, columns = self.answered, self.manifest.model.columns
        return (
            f"{int(answered.numbers[row]):,}",
            self._label(int(answered.actual[row])),
            self._label(int(answered.predicted[row])),
            f"{answered.given[row]:.4f}",
            *(_value(answered.features, columns, row, each) for each in self.columns),
        )

    def _card(self, row: int) -> Card:
        assert self.pictures is not None
        answered = self.answered
        number, actual, predicted = answered.numbers[row], answered.actual[row], answered.predicted[row]
        was, said = self._label(int(actual)), self._label(int(predicted))
        lines = (f"{was} → {said}" if actual != predicted else was, f"{answered.given[row]:.2f}", f"row {number}")
        alt = f"row {number}: {was}, predicted {said}"
        return Card(data_uri(self.pictures.row(answered.features.X[row])), alt, lines)


def _value(features: Features, columns: Sequence[Column], row: int, position: int) -> str:
    """The value that a row has in the column at a position among all."""
    column = columns[position]
    place = place_of(columns, position)
    if column.kind == "category":
        return short(features.S[row, place] or "missing", 40)
    value = float(features.X[row, place])
    if math.isnan(value):
        return "missing"
    return {0.0: "false", 1.0: "true"}[value] if column.kind == "boolean" else f"{value:.6g}"


def pictures_for(manifest: Manifest) -> plugins.Pictures | None:
    """Return what draws the rows of a model as pictures; None where its rows are none."""
    found = data_set_with([each.name for each in manifest.model.inputs])
    return found.pictures if found is not None else None


def data_uri(png: bytes) -> str:
    """Return the address by which a page holds a PNG."""
    return f"data:image/png;base64,{b64encode(png).decode()}"


def mistakes(shown: ShownRows) -> Section:
    """Return the wrong rows, surest first, and the right ones of which the model was least sure."""
    answered = shown.answered
    wrong = answered.surest(~answered.right)
    total, which = len(wrong), answered.words
    if not total:
        return Section("mistakes", "Mistakes", (f"None of the {len(answered):,} {which} was answered wrong.",))
    first = wrong[: _MAX_MISTAKES if shown.pictures is None else _MAX_PICTURES]
    text = (
        f"{total:,} of {len(answered):,} {which} are answered wrong. Those of which the model was surest come first: a "
        "label that is wrong in the table, or a case that it has never learned, stands there."
    )
    return Section(
        "mistakes",
        "Mistakes, surest first",
        (text,),
        (shown.rows("Actual → predicted", first, note=more(total, len(first), "mistakes")),),
    )


def confusion(manifest: Manifest, shown: ShownRows | None) -> Section:
    """Return the confusion matrix, each cell of which leads to its rows where they are at hand."""
    classes = [short(each, 24) for each in manifest.model.classes]
    counts, which = [list(row) for row in manifest.metrics.held_out.confusion], "held-out rows"
    if shown is not None:
        counts, which = counts_of(shown.answered, len(classes)), shown.answered.words
    behind = _behind(counts) if shown is not None else {}
    few = len(classes) <= _MAX_CLASSES
    blocks: list[Block] = [_matrix(classes, counts, which, behind) if few else _picture(classes, counts, which)]
    blocks += [_rows_of(shown, classes, cell, anchor) for cell, anchor in behind.items() if shown is not None]
    texts = ["A row for each actual class, a column for each predicted one."]
    if behind:
        texts.append("A number leads to its rows.")
    left = sum(bool(count) for row in counts for count in row) - len(behind)
    if shown is not None and left:
        texts.append(f"The rows of {len(behind):,} cells stand below, those of {left:,} more do not.")
    return Section("confusion", "Confusion matrix", (" ".join(texts),), tuple(blocks), beside=True)


def counts_of(answered: AnsweredRows, classes: int) -> list[list[int]]:
    """Return the confusion matrix of rows."""
    from artifact_pipeline.metrics import classification as metrics

    found: list[list[int]] = metrics.confusion_matrix(answered.actual, answered.predicted, classes).tolist()
    return found


def _behind(counts: Sequence[Sequence[int]]) -> dict[tuple[int, int], str]:
    """The cells whose rows are shown, each with its anchor: mistakes first, the most frequent ones first."""
    filled = [(row == column, -count, row, column) for row, line in enumerate(counts)
              for column, count in enumerate(line) if count]  # fmt: skip
    return {(row, column): f"cell-{row}-{column}" for *_, row, column in sorted(filled)[:_MAX_CELLS]}


def _matrix(
    classes: Sequence[str], counts: Sequence[Sequence[int]], which: str, behind: dict[tuple[int, int], str]
) -> DataTable:
    rows: list[Row] = []
    for row, line in enumerate(counts):
        total = sum(line) or 1
        cells = [
            Cell(f"{count:,}" if count else "·", behind.get((row, column), ""), _look(count / total, row == column))
            for column, count in enumerate(line)
        ]
        rows.append((classes[row], *cells, f"{sum(line):,}"))
    foot = ("predicted", *(f"{sum(line[column] for line in counts):,}" for column in range(len(classes))), "")
    heads = ("actual ↓ predicted →", *classes, "rows")
    return DataTable(f"Confusion matrix, {which}", heads, (*rows, foot), pictures=True)


def _look(share: float, right: bool) -> str:  # noqa: FBT001 - of a cell of a matrix
    """The class of a cell's colour: a stronger one for a greater share of the actual class."""
    if not share:
        return "none"
    step = 1 + min(4, int(share * 5))
    return f"{'right' if right else 'wrong'}{step}"


def _picture(classes: Sequence[str], counts: Sequence[Sequence[int]], which: str) -> Plot:
    shares = [[count / (sum(line) or 1) for count in line] for line in counts]
    wrong = sorted(
        (-count, row, column) for row, line in enumerate(counts) for column, count in enumerate(line)
        if count and row != column
    )  # fmt: skip
    rows = tuple((classes[row], classes[column], f"{-count:,}") for count, row, column in wrong[:_MAX_CELLS])
    table = DataTable(
        "The most frequent mistakes",
        ("actual", "predicted", "rows"),
        rows,
        note=more(len(wrong), len(rows), "kinds of mistakes"),
    )
    words = f"Confusion matrix of {len(classes):,} classes as a picture; the table has the most frequent mistakes"
    note = f"{len(classes):,} classes are too many for numbers; a darker square is a greater share of its actual class."
    return Plot(f"Confusion matrix, {which}", words, lambda: plots.heat_map("confusion", shares), table, note=note)


def _rows_of(shown: ShownRows, classes: Sequence[str], cell: tuple[int, int], anchor: str) -> DataTable | Cards:
    actual, predicted = cell
    answered = shown.answered
    positions = answered.surest((answered.actual == actual) & (answered.predicted == predicted))
    named, order = f"{classes[actual]} → {classes[predicted]}", "surest first"
    if actual == predicted:
        positions, named, order = positions[::-1], classes[actual], "least sure first"
    first = positions[:_MAX_ROWS]
    title = f"{named}: {plural(len(positions), 'row')}, {order}"
    return shown.rows(title, first, note=more(len(positions), len(first), "rows"), anchor=anchor)
