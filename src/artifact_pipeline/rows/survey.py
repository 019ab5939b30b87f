"""A description of each column of a table, before a target is chosen: its kind, or why it cannot be learned from.

The columns are read by the readers of training and inferred by its rules, but a column that cannot be learned from does
not end the reading.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from artifact_pipeline.rows.batches import NO_COLUMN
from artifact_pipeline.rows.choosing import (
    WITHOUT_NAMES,
    about_learning,
    is_unnamed,
    no_rows,
    refuse_bad_rows,
    refuse_picture,
    row_number_of,
)
from artifact_pipeline.rows.formats.opening import open_rows
from artifact_pipeline.rows.inference import ColumnCells, Decision, Refused
from artifact_pipeline.rows.reading import Reading, wanted_for
from artifact_pipeline.rows.sources import find_sources
from artifact_pipeline.rows.split_columns import is_date
from artifact_pipeline.storage.opened import unreadable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from artifact_pipeline.rows.features import ColumnKind
    from artifact_pipeline.rows.inference import Mend
    from artifact_pipeline.rows.matrix import Rows
    from artifact_pipeline.rows.sources import Source

_LABELS = "y"
"""The default array of the labels in an NPZ file."""


@dataclass(frozen=True, slots=True, eq=False)
class SurveyedColumn:
    """A column of a table, and all of its cells.

    Attributes:
        name: its name.
        kind: its kind; None if it cannot be learned from.
        fault: why it cannot be learned from; None if it can.
        missing: the number of missing cells.
        values: float64 of shape (rows,), NaN for a missing cell; of a category int32 positions among `levels`, -1 for a
            missing cell; empty if the column cannot be learned from.
        levels: the texts of a category, and of booleans that are written as texts, in the order of the rows.
        row_number: the first number of a column that numbers the rows; None for any other.
        is_index: whether the file marks it as the index of pandas, or it has no name of its own.
    """

    name: str
    kind: ColumnKind | None
    fault: Refused | None
    missing: int
    values: NDArray[Any]
    levels: tuple[str, ...] = ()
    row_number: int | None = None
    is_index: bool = False


@dataclass(frozen=True, slots=True)
class Survey:
    """A table, column by column.

    Attributes:
        rows: the number of rows.
        files: the number of files.
        columns: its columns, in their order.
        labels: the column of the labels if the format defines it, such as `y` in an NPZ file; None for most formats.
    """

    rows: int
    files: int
    columns: tuple[SurveyedColumn, ...]
    labels: str | None


def survey_table(path: str, *, target: str | None = None) -> Survey:
    """Read all columns of a table.

    Args:
        path: a file of any format that `predict` reads but pictures, a folder of them, or a pattern.
        target: the column of the labels where it is known; an NPZ file may have another array of labels than `y`.

    Raises:
        DataRejected: it cannot be read, has no rows, or a row has another width than the header.
    """
    with about_learning():
        return _Surveyor(path, find_sources([path]), target).survey()


def survey_rows(rows: Rows) -> Survey:
    """Return the survey of rows in memory that have labels."""
    import numpy as np

    assert rows.y is not None
    texts, codes = np.unique(rows.y, return_inverse=True)
    labels = SurveyedColumn(rows.target, "category", None, 0, codes.astype(np.int32), tuple(map(str, texts.tolist())))
    numbers = [SurveyedColumn(name, "number", None, 0, rows.X[:, at]) for at, name in enumerate(rows.names)]
    return Survey(len(rows.y), 1, (*numbers, labels), rows.target)


class _Surveyor:
    """Reads the files of a table; columns whose first cells had another kind are read again."""

    def __init__(self, path: str, sources: list[Source], target: str | None) -> None:
        for source in sources:
            refuse_picture(source)
        self._path, self._sources = path, sources
        arrays = any(each.format in WITHOUT_NAMES for each in sources)
        self._labels = (target or _LABELS) if arrays else None
        self._names: tuple[str, ...] = ()
        self._index: tuple[str, ...] = ()
        self._faults: dict[str, Refused] = {}

    def survey(self) -> Survey:
        """Return the survey."""
        files = [source for source in self._sources if self._has_columns(source)]
        first = reading = self._read(files, [ColumnCells(name) for name in self._names])
        if not first.rows:
            raise no_rows(self._path)
        found: dict[str, SurveyedColumn] = {}
        while reading.cells:
            again = []
            for name, cells in reading.cells.items():
                decision = self._faults.get(name) or cells.decide()
                if isinstance(decision, Decision) and decision.again is not None:
                    again.append(decision.again)
                else:
                    found[name] = self._surveyed(cells, decision, reading)
            reading = self._read(files, again) if again else Reading([])
            if again and reading.rows != first.rows:
                raise unreadable(self._path, "has changed while it was read")
        columns = tuple(found[name] for name in self._names)
        return Survey(first.rows, len(self._sources), columns, self._labels)

    def _has_columns(self, source: Source) -> bool:
        """Whether a file has columns; the first one that has any determines which are surveyed."""
        with open_rows(source, wanted_for((), self._labels or NO_COLUMN), digest=False) as opened:
            if not self._names:
                self._names, self._index = opened.names, opened.index
            return bool(opened.names)

    def _read(self, files: list[Source], cells: list[ColumnCells]) -> Reading:
        """Read some columns of all files, and store the first fault of each."""
        reading = Reading(cells)
        features = tuple(each.name for each in cells if each.name != self._labels)
        for source in files:
            wanted = wanted_for(features, self._labels or NO_COLUMN, cells=cells)
            with open_rows(source, wanted, digest=False) as opened:
                for piece in opened.unaligned():
                    if piece.broken:
                        refuse_bad_rows(source.place, piece.broken, piece.firsts, self._names)
                    start = reading.rows
                    for each in (*piece.firsts, *reading.take(piece, wanted)):
                        by_time = each.rule == "date" and is_date(each.value)
                        mend: tuple[Mend, ...] = ("drop", "time") if by_time else ("drop",)
                        fault = Refused(start + each.row - piece.start, each.rule, each.message, mend)
                        self._faults.setdefault(each.column, fault)
        return reading

    def _surveyed(self, cells: ColumnCells, decision: Decision | Refused, reading: Reading) -> SurveyedColumn:
        import numpy as np

        name, is_index = cells.name, cells.name in self._index or is_unnamed(cells.name)
        if isinstance(decision, Refused) or decision.kind is None:
            fault = decision if isinstance(decision, Refused) else Refused(None, "no-values", "it has no value", ())
            return SurveyedColumn(name, None, fault, cells.missing, np.empty(0), is_index=is_index)
        category, first = decision.kind == "category", None
        values = _values(cells, reading, category=category)
        if decision.kind == "number" and not cells.missing:
            first = row_number_of([values])
        levels = tuple(cells.levels) if category or cells.holds_texts else ()
        return SurveyedColumn(name, decision.kind, None, cells.missing, values, levels, first, is_index=is_index)


def _values(cells: ColumnCells, reading: Reading, *, category: bool) -> NDArray[Any]:
    """Return all cells of a column, as `SurveyedColumn.values`."""
    import numpy as np

    if not cells.holds_texts:
        return np.concatenate(reading.numbers_of(cells.name))
    codes = np.concatenate([part.texts(cells.name) for part in reading.parts])
    return codes if category else cells.floats(codes)
