"""Tables of numbers, booleans, categories and missing values to learn from: each column's kind is inferred or given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from artifact_pipeline.errors import DataRejected, Problem, plural
from artifact_pipeline.rows.batches import Rejected
from artifact_pipeline.rows.choosing import (
    REFUSED,
    WITHOUT_NAMES,
    ColumnChoice,
    about_learning,
    capped,
    is_unnamed,
    no_rows,
    refusal,
    refuse_bad_rows,
    refuse_picture,
    row_number_of,
    unnamed,
)
from artifact_pipeline.rows.faults import meant_names
from artifact_pipeline.rows.features import MISSING, Column
from artifact_pipeline.rows.formats.opening import open_rows
from artifact_pipeline.rows.inference import ColumnCells, Refused
from artifact_pipeline.rows.labels import LabelColumn, Labels, labelled
from artifact_pipeline.rows.matrix import Rows
from artifact_pipeline.rows.mends import hint_of_columns, mends
from artifact_pipeline.rows.reading import Learned, Reading, arrays_of, column_warnings, wanted_for
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
        target: the column of the labels; a `LabelColumn` also says how rows without a label are treated.
        features: the columns to learn from, in this order; None takes all that are no index.
        drop: columns to leave out.
        columns: the kinds of columns whose kind is not to be inferred.
        split_by: the columns that split the rows; they are learned from only if they are features, too.

    Raises:
        DataRejected: it cannot be read, a column is missing or has no possible kind, or a label is missing.
    """
    import pyarrow as pa

    asked = None if features is None else tuple(features)
    labels = LabelColumn(target) if isinstance(target, str) else target
    with about_learning():
        table = _TableReader(path, labels, asked, drop, kinds=columns or {}, split_by=split_by or {})
        for source in find_sources([path]):
            table.add(source)
        rows = table.rows()
    pa.default_memory_pool().release_unused()  # after a large Parquet file, 60 MiB beside the matrix
    return rows


class _TableReader:
    """Reads a table, file by file."""

    def __init__(
        self,
        path: str,
        labels: LabelColumn,
        asked: tuple[str, ...] | None,
        drop: Sequence[str],
        *,
        kinds: Mapping[str, ColumnKind],
        split_by: Mapping[str, SplitRole],
    ) -> None:
        self._path, self._target, self._leave_out_unlabelled = path, labels.name, labels.leave_out
        self._asked, self._kinds, self._split_by = asked, kinds, tuple(split_by)
        self._choice = ColumnChoice(labels.name, asked, tuple(drop), self._split_by)
        self._splitting = SplitColumns(split_by)
        self._labels = Labels(labels.name)
        self._first = Reading([])
        self._sources: list[tuple[Source, tuple[str, ...]]] = []  # files that have columns, and those to read
        self._starts: list[tuple[int, str]] = []  # the number of a file's first row among all, and its place
        self._numbers: list[NDArray[np.int64]] = []  # of the rows in their files, if some are left out
        self._count = self._files = self._empty = self._unlabelled = 0
        self._warnings: list[str] = []

    def add(self, source: Source) -> None:
        """Read a file; one without rows is only counted."""
        refuse_picture(source)
        self._files += 1
        before = self._count
        with open_rows(source, wanted_for((), self._target, keep=(self._target,)), digest=False) as opened:
            names, index = opened.names, opened.index
        if names:
            chosen = self._choice.columns_of(source, names, index)
            if not self._sources:
                self._check_kinds(source)
                self._first = Reading([ColumnCells(name, self._kinds.get(name)) for name in self._choice.features])
            self._sources.append((source, chosen))
            self._starts.append((self._count, source.place))
            self._read_first(source, chosen)
        self._empty += self._count == before

    def _check_kinds(self, source: Source) -> None:
        """Check that each column whose kind is given is learned from."""
        wrong = [name for name in self._kinds if name not in self._choice.features]
        if wrong:
            message = "dataset.columns names {!r}, which is no column to learn from"
            problems = [Problem(source.place, "column-missing", message.format(name)) for name in wrong]
            raise DataRejected(REFUSED, problems=problems, hint=meant_names(wrong, self._choice.features))

    def _read_first(self, source: Source, names: tuple[str, ...]) -> None:
        """Read these columns of a file, its labels and the columns that split the rows."""
        keep = (self._target, *self._split_by)
        wanted = wanted_for(names, self._target, keep=keep, cells=self._first.cells.values())
        with open_rows(source, wanted, digest=False) as opened:
            for piece in map(self._labelled, opened.unaligned()):
                rows = piece.table.num_rows + len(piece.broken)
                self._count += rows
                if self._leave_out_unlabelled:
                    self._unlabelled += piece.count - rows
                    self._numbers.append(piece.row_numbers())
                bad = [*piece.firsts]
                if not piece.broken:
                    bad += [*self._first.take(piece, wanted), *self._splitting.take(piece, wanted)]
                refuse_bad_rows(source.place, piece.broken, bad, (*names, *self._split_by, self._target))
                self._labels.add(piece.table.column(self._target), piece.written)
            self._warnings += opened.notes

    def _read_again(self, cells: list[ColumnCells]) -> Reading:
        """Read some columns of all files again."""
        reading = Reading(cells)
        for source, chosen in self._sources:
            names = chosen if source.format in WITHOUT_NAMES else tuple(reading.cells)
            wanted = wanted_for(names, self._target, keep=(self._target,), cells=cells)
            with open_rows(source, wanted, digest=False) as opened:
                for piece in map(self._labelled, opened.unaligned()):
                    found = () if piece.broken else reading.take(piece, wanted)
                    refuse_bad_rows(source.place, piece.broken, (*piece.firsts, *found), (*names, self._target))
        if reading.rows != self._count:
            raise unreadable(self._path, "has changed while it was read")
        return reading

    def _labelled(self, piece: Piece) -> Piece:
        """Return the rows that have a label, if the others are left out."""
        if not self._leave_out_unlabelled:
            return piece
        good = labelled(piece.table.column(self._target), piece.written).to_numpy(zero_copy_only=False)
        return piece.only(good, piece.broken)

    def _place_of(self, row: int) -> str:
        """Return the file and the row, by the number of the row among all rows."""
        import numpy as np

        start, place = next(each for each in reversed(self._starts) if each[0] <= row)
        number = np.concatenate(self._numbers)[row] if self._numbers else row - start
        return f"{place}, row {number}"

    def rows(self) -> Rows:
        """Return all rows.

        Raises:
            DataRejected: there is no row, a label cannot be learned, or a column has no possible kind.
        """
        y = self._learned_labels()
        decided = self._decided()
        learned = {name: decided[name] for name in self._choice.features if name in decided}
        if self._asked is None:
            self._leave_out_row_numbers(learned)
        X, S = arrays_of(learned, self._count)
        return Rows(
            source="table",
            names=tuple(learned),
            target=self._target,
            X=X,
            y=y,
            left_out=tuple(self._choice.left_out.values()),
            files=(self._files, self._empty),
            warnings=(*self._without_label(), *self._labels.alike(), *self._warnings, *column_warnings(learned, X)),
            columns=tuple(_column(name, each) for name, each in learned.items()),
            S=S,
            split_by=self._splitting.values(),
        )

    def _learned_labels(self) -> NDArray[np.int64] | NDArray[np.str_]:
        if not self._count:
            raise no_rows(self._path)
        y = self._labels.finish()
        if isinstance(y, Rejected):
            where = f"{self._place_of(y.row)}, column {y.column!r}"
            raise refusal(where, y.rule, y.message, hint=hint_of_columns([y]))
        return y

    def _without_label(self) -> list[str]:
        words = f"{plural(self._unlabelled, 'row')} without a label"
        return [f"{words} {'is' if self._unlabelled == 1 else 'are'} left out"] if self._unlabelled else []

    def _decided(self) -> dict[str, Learned]:
        """Return each column with its kind; a column whose first cells were read as another kind is read again."""
        learned: dict[str, Learned] = {}
        reading = self._first
        while reading.cells:
            again, refused = [], {}
            for name, cells in reading.cells.items():
                decision = cells.decide()
                if isinstance(decision, Refused):
                    refused[name] = decision
                elif decision.again is not None:
                    again.append(decision.again)
                elif decision.kind is None:
                    self._leave_out_empty(name)
                else:
                    learned[name] = Learned(decision.kind, cells, reading)
            if refused:
                raise self._refusal(refused)
            reading = self._read_again(again) if again else Reading([])
        return learned

    def _leave_out_empty(self, name: str) -> None:
        """Leave out a column without a value.

        Raises:
            DataRejected: it is asked for by name.
        """
        if self._asked is not None:
            place, hint = f"{self._path}, column {name!r}", "leave it out of dataset.features"
            raise refusal(place, "no-values", "has no value at all", hint=hint)
        self._choice.leave_out(name, "it has no value")

    def _refusal(self, refused: dict[str, Refused]) -> DataRejected:
        """Return the error for columns that have no possible kind."""
        problems = []
        for name, each in refused.items():
            place = self._path if each.row is None else self._place_of(each.row)
            problems.append(Problem(f"{place}, column {name!r}", each.rule, each.message))
        named = {
            mend: [name for name in refused if mend in refused[name].mend] for mend in ("empty", "drop", "category")
        }
        return DataRejected(REFUSED, problems=capped(problems, self._path), hint=mends(**named))

    def _leave_out_row_numbers(self, learned: dict[str, Learned]) -> None:
        """Leave out the columns that number the rows, and refuse those without a name."""
        for name, each in [*learned.items()]:
            numbers = each.kind == "number" and not each.cells.holds_texts and each.cells.given is None
            first = row_number_of(each.reading.numbers_of(name)) if numbers and each.cells.may_count_rows else None
            if first is not None:
                last = first + self._count - 1
                reason = f"it counts the rows, {first} to {last:,}; dataset.features would take it"
                self._choice.leave_out(name, reason)
                del learned[name]
            elif is_unnamed(name):
                raise unnamed(self._path, name)
        if not learned:
            message = "all of its columns but the target count the rows"
            raise refusal(self._path, "no-columns", message, hint="dataset.features takes them all the same")


def _column(name: str, learned: Learned) -> Column:
    cells = learned.cells
    missing = [MISSING] if cells.missing else []
    levels = tuple(sorted([*missing, *cells.levels])) if learned.kind == "category" else ()
    return Column(name, learned.kind, nullable=bool(missing), levels=levels)
