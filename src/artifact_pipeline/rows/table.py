"""Tables of numbers, booleans, categories and missing values to learn from: each column's kind is inferred or given."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from artifact_pipeline.errors import DataRejected, Problem, plural
from artifact_pipeline.rows.batches import Wanted
from artifact_pipeline.rows.choosing import (
    REFUSED,
    WITHOUT_NAMES,
    LearnedTable,
    about_learning,
    refusal,
    refuse,
    row_number_of,
)
from artifact_pipeline.rows.faults import meant_names
from artifact_pipeline.rows.features import MISSING, Column
from artifact_pipeline.rows.formats.opening import open_rows
from artifact_pipeline.rows.inference import ColumnCells, Refused
from artifact_pipeline.rows.labels import LabelColumn, labelled
from artifact_pipeline.rows.limits import MAX_LISTED
from artifact_pipeline.rows.matrix import LeftOut, Rows
from artifact_pipeline.rows.mends import mends
from artifact_pipeline.rows.reading import Learned, Reading, arrays_of, column_warnings
from artifact_pipeline.rows.sources import find_sources
from artifact_pipeline.rows.split_columns import SplitColumns
from artifact_pipeline.storage.opened import unreadable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.rows.batches import Piece
    from artifact_pipeline.rows.features import ColumnKind
    from artifact_pipeline.rows.sources import Source
    from artifact_pipeline.rows.split_columns import SplitRole

    _Names = tuple[str, ...]


def read_table(
    path: str,
    *,
    target: str | LabelColumn,
    features: Sequence[str] | None = None,
    drop: Sequence[str] = (),
    columns: Mapping[str, ColumnKind] | None = None,
    split_by: Mapping[str, SplitRole] | None = None,
) -> Rows:
    """Read a table whole, with categories and missing values.

    Args:
        path: a file of any format that `predict` reads but pictures, a folder of them, or a pattern.
        target: the column of the labels; a `LabelColumn` says what becomes of rows that have none.
        features: the columns to learn from, in this order; None takes all that are no index.
        drop: columns to leave out.
        columns: the kinds of columns whose kind is not to be inferred.
        split_by: the columns that split the rows; they are read, and learned from only where they are features, too.

    Raises:
        DataRejected: it cannot be read, a column is missing or can be of no kind, or a label is missing.
    """
    import pyarrow as pa

    with about_learning():
        asked = None if features is None else tuple(features)
        chosen = _Chosen(asked, tuple(drop), columns or {}, split_by or {})
        table = _TypedTable(path, LabelColumn(target) if isinstance(target, str) else target, chosen)
        for source in find_sources([path]):
            table.add(source)
        rows = table.rows()
    pa.default_memory_pool().release_unused()  # of a large Parquet, 60 MiB that would stand beside the matrix
    return rows


class _Chosen(NamedTuple):
    """What is asked of a table's columns, as `read_table` takes it."""

    features: _Names | None
    drop: _Names
    kinds: Mapping[str, ColumnKind]
    split_by: Mapping[str, SplitRole]


class _TypedTable(LearnedTable):
    """A table that is being read, file by file."""

    def __init__(self, path: str, labels: LabelColumn, chosen: _Chosen) -> None:
        """Begin without a row."""
        super().__init__(path, labels.name, chosen.features, chosen.drop, split_by=tuple(chosen.split_by))
        self._given = chosen.kinds
        self._leaves_out_unlabelled = labels.leave_out
        self._numbers: list[NDArray[np.int64]] = []  # of the rows in their files, where some are left out
        self._unlabelled = 0
        self._splitting = SplitColumns(chosen.split_by)
        self._first = Reading([])
        self._sources: list[tuple[Source, tuple[str, ...]]] = []

    def add(self, source: Source) -> None:
        """Read a file; one without rows is only counted."""
        self._files += 1
        if source.format == "image":
            message = "is a picture, which has no label"
            raise refusal(source.place, "unknown-suffix", message, hint="name a table, such as rows.csv")
        before = self._count
        with open_rows(source, self._wanted(()), digest=False) as about:
            names, index = about.names, about.index
        if names:
            chosen = self._choose(source, names, index)
            self._starts.append((self._count, source.place))
            self._read(source, chosen)
        self._empty += self._count == before

    def _wanted(self, features: tuple[str, ...], reading: Reading | None = None) -> Wanted:
        import numpy as np

        bounds, target = np.zeros(len(features)), self._target
        keep = (target, *self._split_by) if reading is self._first else (target,)
        held = reading.cells.values() if reading is not None else ()
        known = [(each.name, each.given or "category") for each in held if each.given or each.holds_texts]
        columns = tuple(Column(name, kind, nullable=True) for name, kind in known)
        return Wanted(features, "float64", target, (), keep, bounds, bounds, "ignore", learning=True, columns=columns)

    def _read(self, source: Source, chosen: tuple[str, ...]) -> None:
        """Read these columns of a file for the first time."""
        if not self._sources:
            self._check_given(source)
            self._first = Reading([ColumnCells(name, self._given.get(name)) for name in self._features])
        self._sources.append((source, chosen))
        self._read_into(self._first, source, chosen)

    def _check_given(self, source: Source) -> None:
        """Check that each column whose kind is given is learned from."""
        wrong = [name for name in self._given if name not in self._features]
        if wrong:
            message = "dataset.columns names {!r}, which is no column to learn from"
            problems = [Problem(source.place, "column-missing", message.format(name)) for name in wrong]
            raise DataRejected(REFUSED, problems=problems, hint=meant_names(wrong, self._features))

    def _read_into(self, reading: Reading, source: Source, read: tuple[str, ...]) -> None:
        wanted = self._wanted(read, reading)
        with open_rows(source, wanted, digest=False) as rows:
            for piece in map(self._labelled, rows.unaligned()):
                if reading is self._first:
                    self._note(piece)
                found = reading.take(piece, wanted) if not piece.broken else ()
                if reading is self._first and not piece.broken:
                    found += self._splitting.take(piece, wanted)
                if piece.broken or piece.firsts or found:
                    bad = replace(piece, firsts=(*piece.firsts, *found))
                    refuse(source, bad, (*read, *self._split_by, self._target))
                if reading is self._first:
                    self._labels.add(piece.table.column(self._target), piece.written)
            if reading is self._first:
                self._warnings += rows.notes

    def _labelled(self, piece: Piece) -> Piece:
        """The rows that have a label, where the others are left out."""
        if not self._leaves_out_unlabelled:
            return piece
        good = labelled(piece.table.column(self._target), piece.written).to_numpy(zero_copy_only=False)
        return piece.only(good, piece.broken)

    def _note(self, piece: Piece) -> None:
        """Count the rows that are read for the first time."""
        rows = piece.table.num_rows + len(piece.broken)
        self._count += rows
        if self._leaves_out_unlabelled:
            self._unlabelled += piece.count - rows
            self._numbers.append(piece.row_numbers())

    def _place_of(self, row: int) -> str:
        if not self._numbers:
            return super()._place_of(row)
        import numpy as np

        return f"{self._file_of(row)[1]}, row {np.concatenate(self._numbers)[row]}"

    def _read_again(self, cells: list[ColumnCells]) -> Reading:
        """Read some columns again."""
        reading = Reading(cells)
        for source, chosen in self._sources:
            names = chosen if source.format in WITHOUT_NAMES else tuple(reading.cells)
            self._read_into(reading, source, names)
        if reading.rows != self._count:
            raise unreadable(self._path, "has changed while it was read")
        return reading

    def _decided(self) -> dict[str, Learned]:
        """What each column is; one whose first cells were read as another kind is read again."""
        learned: dict[str, Learned] = {}
        reading = self._first
        while reading.cells:
            again, refused = [], {}
            for name, cells in reading.cells.items():
                decision = cells.decide()
                if isinstance(decision, Refused):
                    refused[name] = decision
                elif decision.kind is None:
                    self._leave_out(name)
                elif decision.again:
                    given = decision.kind if decision.sure else None
                    again.append(ColumnCells(name, given, as_texts=not decision.sure))
                else:
                    learned[name] = Learned(decision.kind, cells, reading)
            if refused:
                raise self._refusal(refused)
            reading = self._read_again(again) if again else Reading([])
        return learned

    def _leave_out(self, name: str) -> None:
        """Leave out a column without a value.

        Raises:
            DataRejected: it is asked for by name.
        """
        if self._asked is not None:
            problem = Problem(f"{self._path}, column {name!r}", "no-values", "has no value at all")
            raise DataRejected(REFUSED, problems=[problem], hint="leave it out of dataset.features")
        self._left_out[name] = LeftOut(name, "it has no value")

    def _refusal(self, refused: dict[str, Refused]) -> DataRejected:
        """The error for columns that can be of no kind."""
        problems = []
        for name, each in [*refused.items()][:MAX_LISTED]:
            place = self._path if each.row is None else self._place_of(each.row)
            problems.append(Problem(f"{place}, column {name!r}", each.rule, each.message))
        if len(refused) > MAX_LISTED:
            rule = [*refused.values()][MAX_LISTED].rule
            problems.append(Problem(self._path, rule, f"{len(refused) - MAX_LISTED:,} columns more are bad"))
        named = {
            mend: [name for name in refused if mend in refused[name].mend] for mend in ("empty", "drop", "category")
        }
        return DataRejected(REFUSED, problems=problems, hint=mends(**named))

    def rows(self) -> Rows:
        """All rows.

        Raises:
            DataRejected: there is no row, a label cannot be learned, or a column can be of no kind.
        """
        y = self._learned_labels()
        learned = self._decided()
        learned = {name: learned[name] for name in self._features if name in learned}
        self._check_names_of_texts(learned)
        columns = tuple(_column(name, each) for name, each in learned.items())
        X, S = arrays_of(learned, self._count)
        return Rows(
            source="table",
            names=tuple(learned),
            target=self._target,
            X=X,
            y=y,
            left_out=tuple(self._left_out.values()),
            files=(self._files, self._empty),
            warnings=(*self._without_label(), *self._labels.alike(), *self._warnings, *column_warnings(learned, X)),
            columns=columns,
            S=S,
            split_by=self._splitting.values(),
        )

    def _without_label(self) -> list[str]:
        words = f"{plural(self._unlabelled, 'row')} without a label"
        return [f"{words} {'is' if self._unlabelled == 1 else 'are'} left out"] if self._unlabelled else []

    def _check_names_of_texts(self, learned: dict[str, Learned]) -> None:
        """Leave out the columns that count the rows, and refuse those without a name, unless they are asked for."""
        if self._asked is not None:
            return
        for name, each in [*learned.items()]:
            numbers = each.kind == "number" and not each.cells.holds_texts and each.cells.given is None
            first = row_number_of(each.reading.numbers_of(name)) if numbers and each.cells.may_count_rows else None
            if not self._is_kept(name, first):
                del learned[name]
        if not learned:
            raise self._no_column()


def _column(name: str, learned: Learned) -> Column:
    cells = learned.cells
    missing = [MISSING] if cells.missing else []
    levels = tuple(sorted([*missing, *cells.levels])) if learned.kind == "category" else ()
    return Column(name, learned.kind, nullable=bool(missing), levels=levels)
