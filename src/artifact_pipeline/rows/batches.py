"""What is read of a file, the pieces that its reader yields, and the batches that a model answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from artifact_pipeline.errors import DataRejected, Problem
from artifact_pipeline.rows.features import Features

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from artifact_pipeline.rows.features import Column, ColumnKind
    from artifact_pipeline.rows.kinds import Kind

    Floats = NDArray[np.float32] | NDArray[np.float64]

Written = Literal["text", "number", "any"]
"""The type of a file's labels: text, numbers, or either, if the format does not say, as a CSV."""
CHUNK = 1 << 16
"""Most rows of a batch. Batches end at multiples of this in the file, so that no result depends on how a reader cuts
the file, or on where an interrupted run continues."""
_MIN_CHUNK = 1 << 12
"""Least rows of a batch: what the model answers in one call."""
_MAX_VALUES = 64 * CHUNK
"""Most values of a batch: rows of more than 64 features are read in smaller batches."""
UNLABELLED = -1
"""The position of a label that is missing."""
NO_COLUMN = "\0"
"""The name of no column."""


class Rejected(NamedTuple):
    """A row that cannot be answered, and why.

    Attributes:
        row: its number in the file, from 0.
        column: the column of the bad value; empty if the whole row is bad.
        value: the bad value, at most 80 characters of it.
        rule: the rule's name, such as `not-a-number`.
        message: the rule in words, the end of "row 3, column 'a': …".
        record: the row as it was read, to be corrected and read again; or a function that returns it.
    """

    row: int
    column: str
    value: str
    rule: str
    message: str
    record: dict[str, Any] | str | Callable[[], dict[str, Any]]

    @property
    def place(self) -> str:
        """The row and the column."""
        return f"row {self.row}, column {self.column!r}" if self.column else f"row {self.row}"

    def refusal(self, place: str, *, hint: str) -> DataRejected:
        """Return the error for this row of the file `place`, if bad rows are not written to a file of their own."""
        problem = Problem(f"{place}, {self.place}", self.rule, self.message)
        return DataRejected("a row cannot be answered", problems=[problem], hint=hint)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is read of a file.

    Attributes:
        features: the model's columns, in its order.
        dtype: the model's type.
        target: the column of the labels, which is read if the file has it.
        classes: the model's labels, in its order.
        keep: columns that are copied to the output.
        low: float64 of shape (features,), the least value of the trained range; None if there is no range.
        high: likewise the greatest value.
        out_of_range: how rows beyond that range are treated.
        formulas: whether a copied text may be one that a spreadsheet would run.
        kinds: the kind of each feature of a model of format 1; empty if all are numbers.
        learning: whether the rows are learned from. Then the file's first rows decide the kind of each feature, labels
            keep their type, and the first bad value of each column is recorded instead of each bad row.
        columns: the features with their kinds, of a model of format 2 or as far as a training knows them; None for a
            model of format 1.
        keys: columns that split the rows, which are read if the file has them.
    """

    features: tuple[str, ...]
    dtype: Literal["float32", "float64"]
    target: str
    classes: tuple[int | str, ...] = ()
    keep: tuple[str, ...] = ()
    low: NDArray[np.float64] | None = None
    high: NDArray[np.float64] | None = None
    out_of_range: Literal["warn", "reject", "ignore"] = "warn"
    formulas: bool = True
    kinds: tuple[Kind, ...] = ()
    learning: bool = False
    columns: tuple[Column, ...] | None = None
    keys: tuple[str, ...] = ()

    @property
    def known_kinds(self) -> dict[str, ColumnKind]:
        """The kinds that are known before the file is read, by the feature's name."""
        if self.columns is not None:
            return {column.name: column.kind for column in self.columns}
        numbers: dict[str, ColumnKind] = dict.fromkeys(self.features, "number")
        return numbers | dict(zip(self.features, self.kinds, strict=False))

    @classmethod
    def columns_alone(cls, keep: tuple[str, ...], features: tuple[str, ...] = ()) -> Wanted:
        """Return what is read without a model: some columns as they are, and some columns of numbers."""
        return cls(features, "float64", NO_COLUMN, keep=keep)

    @property
    def chunk(self) -> int:
        """Rows of a batch: `CHUNK`, or a divisor of it for wide rows."""
        chunk = CHUNK
        while chunk > _MIN_CHUNK and chunk * len(self.features) > _MAX_VALUES:
            chunk //= 2
        return chunk

    def to_read(self, there: Sequence[str]) -> list[str]:
        """Return the columns to read of a file that has the columns `there`, each once."""
        optional = [name for name in (self.target, *self.keys) if name in there]
        wanted = [*self.features, *self.keep, *optional]
        return list(dict.fromkeys(wanted))


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive rows of a file.

    Attributes:
        start: the number of the first row, from 0.
        count: how many rows were read, with the broken ones.
        table: the well-formed rows, with at least the wanted columns.
        numbers: the number of each of these, int64; None if they are all rows but the broken ones.
        broken: the malformed rows.
        written: the type of a label that is text in the file.
        firsts: the first bad value of each column, if the rows are learned from.
        loose: whether a text may stand for a number or a boolean, since the file has no types, as a CSV.
    """

    start: int
    count: int
    table: pa.RecordBatch
    numbers: NDArray[np.int64] | None = None
    broken: tuple[Rejected, ...] = ()
    written: Written = "text"
    firsts: tuple[Rejected, ...] = ()
    loose: bool = False

    @property
    def end(self) -> int:
        """The number of the row after the last one."""
        return self.start + self.count

    def row_numbers(self) -> NDArray[np.int64]:
        """Return the number of each row of the table."""
        import numpy as np

        if self.numbers is not None:
            return self.numbers
        numbers, broken = np.arange(self.start, self.end), [each.row for each in self.broken]
        return np.setdiff1d(numbers, broken, assume_unique=True) if broken else numbers

    def only(self, good: NDArray[np.bool_], broken: tuple[Rejected, ...]) -> Piece:
        """Return a piece of the marked rows of the table; the others are among the broken ones."""
        import pyarrow as pa

        table = self.table.filter(pa.array(good))
        return replace(self, table=table, numbers=self.row_numbers()[good], broken=broken)

    def within(self, start: int, end: int) -> Piece:
        """Return the rows of this piece from `start` to before `end`."""
        start, end = max(start, self.start), min(end, self.end)
        if (start, end) == (self.start, self.end):
            return self
        broken = tuple(each for each in self.broken if start <= each.row < end)
        first, last, numbers = start - self.start, end - self.start, self.numbers
        if numbers is not None or self.broken:  # otherwise a batch of millions of rows needs no array of numbers
            every = self.row_numbers()
            first, last = every.searchsorted([start, end]).tolist()
            numbers = every[first:last]
        table = self.table.slice(first, last - first)
        return replace(self, start=start, count=end - start, table=table, numbers=numbers, broken=broken)


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that can be answered, and rows that cannot.

    Attributes:
        start: the number of the first row in its file, a multiple of `Wanted.chunk`.
        count: how many rows were read.
        numbers: int64, the number of each row that can be answered.
        columns: for each feature that is a number or a boolean a contiguous array of the model's dtype, or of float32
            if the file has that; every value is finite, or NaN for a missing value of a nullable column.
        actual: int64 positions of the labels in the model's classes, `UNLABELLED` for a missing label; None if the
            file has no such column.
        kept: the columns that are copied to the output, and those that split the rows, as far as the file has them.
        rejected: the rows that cannot be answered, in the order of their numbers.
        outside: how many rows that can be answered have a value out of the trained range.
        written: as in `Piece`.
        texts: for each category an array of objects, each a str, `features.MISSING` for a missing value.
        missing: for each feature the number of missing values; empty if no column is nullable.
        unseen: for each feature the number of values that are unknown levels; empty likewise.
    """

    start: int
    count: int
    numbers: NDArray[np.int64]
    columns: list[Floats]
    actual: NDArray[np.int64] | None
    kept: dict[str, pa.Array]
    rejected: tuple[Rejected, ...]
    outside: int
    written: Written = "text"
    texts: tuple[NDArray[Any], ...] = ()
    missing: tuple[int, ...] = ()
    unseen: tuple[int, ...] = ()

    @property
    def features(self) -> Features:
        """The rows that can be answered, as the model takes them; computed at each call."""
        import numpy as np

        rows = len(self.numbers)
        X = np.stack(self.columns, axis=1, dtype=np.float64) if self.columns else np.empty((rows, 0))
        return Features(X, np.stack(self.texts, axis=1) if self.texts else np.empty((rows, 0), dtype=object))


def align(pieces: Iterator[Piece], start: int, chunk: int) -> Iterator[Piece]:
    """Yield the rows from row `start` on, a multiple of `chunk`, in pieces that end at multiples of `chunk`."""
    held: list[Piece] = []
    border = start + chunk
    for piece in pieces:
        while piece.end >= border:
            yield _joined([*held, piece.within(start, border)])
            held, start, border = [], border, border + chunk
        if piece.end > start and piece.count:
            held.append(piece.within(start, border))
    if held:
        yield _joined(held)


def _joined(pieces: list[Piece]) -> Piece:
    import numpy as np
    import pyarrow as pa

    if len(pieces) == 1:
        return pieces[0]
    return Piece(
        pieces[0].start,
        sum(piece.count for piece in pieces),
        pa.concat_batches([piece.table for piece in pieces]),
        np.concatenate([piece.row_numbers() for piece in pieces]),
        tuple(each for piece in pieces for each in piece.broken),
        pieces[0].written,
        loose=pieces[0].loose,
    )
