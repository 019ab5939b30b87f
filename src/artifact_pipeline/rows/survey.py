"""A table looked at whole, before a target is chosen: what each of its columns holds, or why it cannot be learned from.

The columns are read by the readers of training and inferred by its rules, but a column that cannot be learned from is
described and does not end the reading.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from artifact_pipeline.errors import DataRejected, Problem
from artifact_pipeline.rows.batches import NO_COLUMN, Wanted
from artifact_pipeline.rows.choosing import (
    REFUSED,
    WITHOUT_NAMES,
    about_learning,
    is_unnamed,
    refuse,
    row_number_of,
)
from artifact_pipeline.rows.features import Column
from artifact_pipeline.rows.formats.opening import open_rows
from artifact_pipeline.rows.inference import ColumnCells, Refused
from artifact_pipeline.rows.reading import Reading
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
"""The array of an NPZ file that holds the labels, where no other is named."""


@dataclass(frozen=True, slots=True, eq=False)
class SurveyedColumn:
    """A column of a table, and all of its cells.

    Attributes:
        name: its name.
        kind: what it holds; None where it cannot be learned from.
        fault: why it cannot be learned from; None where it can.
        missing: how many cells are missing.
        values: float64 of shape (rows,), NaN where one is missing; of a category int32 positions among `levels`, -1
            where one is missing; empty where the column cannot be learned from.
        levels: its texts, in the order in which they came: of a category, and of booleans that are written as texts.
        row_number: the first number of a column that counts the rows; None where it does not.
        is_index: whether the file says that it is the index of pandas, or it has no name of its own.
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
        rows: how many rows it has.
        files: how many files they were read from.
        columns: its columns, in their order.
        labels: the column that the format itself calls the labels, such as `y` of an NPZ file; None for most formats.
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
    """Return the survey of rows that are read already, and have labels."""
    import numpy as np

    assert rows.y is not None
    texts, codes = np.unique(rows.y, return_inverse=True)
    labels = SurveyedColumn(rows.target, "category", None, 0, codes.astype(np.int32), tuple(map(str, texts.tolist())))
    numbers = [SurveyedColumn(name, "number", None, 0, rows.X[:, at]) for at, name in enumerate(rows.names)]
    return Survey(len(rows.y), 1, (*numbers, labels), rows.target)


class _Surveyor:
    """Reads the files of a table, some columns of it again where their first cells were of another kind."""

    def __init__(self, path: str, sources: list[Source], target: str | None) -> None:
        self._path, self._sources = path, [each for each in sources if self._has_rows(each)]
        arrays = any(each.format in WITHOUT_NAMES for each in self._sources)
        self._labels = (target or _LABELS) if arrays else None
        self._names: tuple[str, ...] = ()
        self._index: tuple[str, ...] = ()
        self._faults: dict[str, Refused] = {}
        self._rows = 0

    def _has_rows(self, source: Source) -> bool:
        if source.format == "image":
            problem = Problem(source.place, "unknown-suffix", "is a picture, which has no label")
            raise DataRejected(REFUSED, problems=[problem], hint="name a table, such as rows.csv")
        return True

    def survey(self) -> Survey:
        """Return the survey."""
        files = [source for source in self._sources if self._names_of(source)]
        first = self._read(files, [ColumnCells(name) for name in self._names])
        self._rows = first.rows
        if not self._rows:
            problem = Problem(self._path, "no-rows", "holds no rows")
            raise DataRejected(REFUSED, problems=[problem], hint="name a table that has a header and rows below it")
        found: dict[str, SurveyedColumn] = {}
        reading = first
        while reading.cells:
            again = []
            for cells in reading.cells.values():
                decided = self._decided(cells, reading)
                if isinstance(decided, ColumnCells):
                    again.append(decided)
                else:
                    found[cells.name] = decided
            reading = self._read(files, again) if again else Reading([])
            if again and reading.rows != self._rows:
                raise unreadable(self._path, "has changed while it was read")
        columns = tuple(found[name] for name in self._names)
        return Survey(self._rows, len(self._sources), columns, self._labels)

    def _names_of(self, source: Source) -> bool:
        """Whether a file has columns; the first one that has any decides which are surveyed."""
        with open_rows(source, self._wanted(()), digest=False) as reader:
            if not self._names:
                self._names, self._index = reader.names, reader.index
            return bool(reader.names)

    def _wanted(self, cells: tuple[ColumnCells, ...]) -> Wanted:
        import numpy as np

        features = tuple(each.name for each in cells if each.name != self._labels)
        known = tuple(
            Column(each.name, each.given or "category", nullable=True)
            for each in cells
            if each.given or each.holds_texts
        )
        bounds, target = np.zeros(len(features)), self._labels or NO_COLUMN
        return Wanted(features, "float64", target, (), (), bounds, bounds, "ignore", learning=True, columns=known)

    def _read(self, files: list[Source], cells: list[ColumnCells]) -> Reading:
        """Read some columns of all files, and note the first fault of each."""
        reading = Reading(cells)
        for source in files:
            wanted = self._wanted(tuple(cells))
            with open_rows(source, wanted, digest=False) as rows:
                for piece in rows.unaligned():
                    if piece.broken:
                        refuse(source, piece, self._names)
                    start = reading.rows
                    for each in (*piece.firsts, *reading.take(piece, wanted)):
                        by_time = each.rule == "date" and is_date(each.value)
                        mend: tuple[Mend, ...] = ("drop", "time") if by_time else ("drop",)
                        fault = Refused(start + each.row - piece.start, each.rule, each.message, mend)
                        self._faults.setdefault(each.column, fault)
        return reading

    def _decided(self, cells: ColumnCells, reading: Reading) -> SurveyedColumn | ColumnCells:
        """What a column is; or the cells as which it is to be read again."""
        import numpy as np

        is_index = cells.name in self._index or is_unnamed(cells.name)
        decision = self._faults.get(cells.name) or cells.decide()
        if isinstance(decision, Refused) or decision.kind is None:
            fault = decision if isinstance(decision, Refused) else Refused(None, "no-values", "it has no value", ())
            return SurveyedColumn(cells.name, None, fault, cells.missing, np.empty(0), is_index=is_index)
        if decision.again:
            return ColumnCells(cells.name, decision.kind if decision.sure else None, as_texts=not decision.sure)
        values, first = _values(cells, reading, category=decision.kind == "category"), None
        if decision.kind == "number" and not cells.missing:
            first = row_number_of([values])
        levels = tuple(cells.levels) if decision.kind == "category" or cells.holds_texts else ()
        return SurveyedColumn(cells.name, decision.kind, None, cells.missing, values, levels, first, is_index=is_index)


def _values(cells: ColumnCells, reading: Reading, *, category: bool) -> NDArray[Any]:
    """All cells of a column, as `SurveyedColumn.values` has them."""
    import numpy as np

    if not cells.holds_texts:
        return np.concatenate(reading.numbers_of(cells.name))
    codes = np.concatenate([part.texts(cells.name) for part in reading.parts])
    return codes if category else cells.floats(codes)
