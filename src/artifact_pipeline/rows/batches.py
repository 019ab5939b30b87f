"""Batches: pieces of a file, as its reader gives them, become arrays of numbers, and each bad row gets its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from artifact_pipeline.rows.matrix import Kind

    Floats = NDArray[np.float32] | NDArray[np.float64]

Written = Literal["text", "number", "any"]
"""What a file says of the texts of its labels."""
CHUNK = 1 << 16
"""Rows a batch, at most. Its borders are absolute, multiples of this in the file, so that no result depends on where a
reader cuts, or on where an interrupted run began again."""
_MIN_CHUNK = 1 << 12
"""Rows a batch, at least: what the model answers in one call."""
_VALUES = 64 * CHUNK
"""Values a batch: rows of more than 64 features come in smaller batches."""
FORMULA = "=+-@\t\r"
"""How a text begins that a spreadsheet runs (OWASP, CSV injection)."""
UNLABELLED = -1
"""The position of a label that is not there."""
NO_COLUMN = "\0"
"""The name of no column."""


class Rejected(NamedTuple):
    """A row that cannot be answered, and why.

    Attributes:
        row: its number in the file, from 0.
        column: the column that is at fault, or empty where it is the whole row.
        value: what stands there, at most 80 characters of it.
        rule: the rule's name, such as `not-a-number`.
        message: the rule in words, the end of "row 3, column 'a': …".
        record: the row as it was read, so that it can be mended and given again; or what makes it when it is wanted.
    """

    row: int
    column: str
    value: str
    rule: str
    message: str
    record: dict[str, Any] | str | Callable[[], dict[str, Any]]

    @property
    def place(self) -> str:
        """Where in its file it stands."""
        return f"row {self.row}, column {self.column!r}" if self.column else f"row {self.row}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is read of a file.

    Attributes:
        features: the model's columns, in its order.
        dtype: the model's type.
        target: the label's column, read where it is there.
        classes: the model's labels, in its order.
        keep: columns that are carried through.
        low: float64 of shape (features,), the least value that is not out of the trained range.
        high: likewise the greatest.
        out_of_range: what becomes of rows beyond them.
        formulas: whether text that a spreadsheet would run may be carried through.
        kinds: the kind of each feature; empty where all are numbers, or where the rows are to be learned.
        learning: whether the rows are to be learned. Then the kind of a feature is what the file's first rows hold,
            labels keep their type, and of each column the first bad value is told, not each bad row.
    """

    features: tuple[str, ...]
    dtype: Literal["float32", "float64"]
    target: str
    classes: tuple[int | str, ...]
    keep: tuple[str, ...]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    out_of_range: Literal["warn", "reject", "ignore"] = "warn"
    formulas: bool = True
    kinds: tuple[Kind, ...] = ()
    learning: bool = False

    @property
    def known_kinds(self) -> dict[str, Kind]:
        """The kinds that are known before a file is read, by the feature's name."""
        if self.learning and not self.kinds:
            return {}
        numbers: dict[str, Kind] = dict.fromkeys(self.features, "number")
        return numbers | dict(zip(self.features, self.kinds, strict=False))

    @classmethod
    def columns_alone(cls, keep: tuple[str, ...], features: tuple[str, ...] = ()) -> Wanted:
        """What is read of a table without a model: columns as they are, and columns of numbers."""
        import numpy as np

        bounds = np.zeros(len(features))
        return cls(features, "float64", NO_COLUMN, (), keep, low=bounds, high=bounds, out_of_range="ignore")

    @property
    def chunk(self) -> int:
        """Rows a batch: `CHUNK`, or a part of it that divides it where the rows are wide."""
        chunk = CHUNK
        while chunk > _MIN_CHUNK and chunk * len(self.features) > _VALUES:
            chunk //= 2
        return chunk

    def columns(self, there: Sequence[str]) -> list[str]:
        """The columns to read of those that are there, each once."""
        wanted = [*self.features, *self.keep, *([self.target] if self.target in there else [])]
        return list(dict.fromkeys(wanted))


@dataclass(frozen=True, slots=True)
class Piece:
    """Some rows as they stand in their file, one after the other.

    Attributes:
        start: the number of the first row, from 0.
        count: how many rows were read, the broken ones included.
        table: the rows that have the right form, with at least the wanted columns.
        numbers: their numbers, int64; None where they are `start`, `start + 1`, ….
        broken: the rows that have not.
        written: what a label that is text is: `text`, a `number`, or `any` where the file does not say, as a CSV.
        firsts: where the rows are to be learned, the first bad value of each column.
    """

    start: int
    count: int
    table: pa.RecordBatch
    numbers: NDArray[np.int64] | None = None
    broken: tuple[Rejected, ...] = ()
    written: Written = "text"
    firsts: tuple[Rejected, ...] = ()

    @property
    def end(self) -> int:
        """The number of the row after the last one."""
        return self.start + self.count

    def within(self, start: int, end: int) -> Piece:
        """The rows of this piece from `start` to before `end`."""
        start, end = max(start, self.start), min(end, self.end)
        if (start, end) == (self.start, self.end):
            return self
        broken, firsts = (
            tuple(each for each in some if start <= each.row < end) for some in (self.broken, self.firsts)
        )
        if self.numbers is None:
            first, last, numbers = start - self.start, end - self.start, None
        else:
            first, last = self.numbers.searchsorted([start, end]).tolist()
            numbers = self.numbers[first:last]
        return Piece(start, end - start, self.table.slice(first, last - first), numbers, broken, self.written, firsts)


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that can be answered, and those that cannot.

    Attributes:
        start: the number of the first row in its file, a multiple of the rows a batch.
        count: rows read.
        numbers: int64, the number of each row that can be answered.
        columns: for each feature a contiguous array of the model's dtype, every value finite.
        actual: int64 positions of the labels in the model's classes, `UNLABELLED` where there is none; None where
            the file has no such column.
        kept: the columns that are carried through.
        rejected: the others, by their numbers.
        outside: rows among the answered ones with a value out of the trained range.
        firsts: where the rows are to be learned, the first bad value of each column.
        written: as in `Piece`.
    """

    start: int
    count: int
    numbers: NDArray[np.int64]
    columns: list[Floats]
    actual: NDArray[np.int64] | None
    kept: dict[str, pa.Array]
    rejected: tuple[Rejected, ...]
    outside: int
    firsts: tuple[Rejected, ...] = ()
    written: Written = "text"


def align(pieces: Iterator[Piece], start: int, chunk: int = CHUNK) -> Iterator[Piece]:
    """Cut pieces anew at multiples of `chunk`, from the row `start` on, itself one."""
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
    numbers = None
    if any(piece.numbers is not None for piece in pieces):
        numbers = np.concatenate([numbers_of(piece) for piece in pieces])
    return Piece(
        pieces[0].start,
        sum(piece.count for piece in pieces),
        pa.concat_batches([piece.table for piece in pieces]),
        numbers,
        tuple(each for piece in pieces for each in piece.broken),
        pieces[0].written,
        tuple(each for piece in pieces for each in piece.firsts),
    )


def numbers_of(piece: Piece) -> NDArray[np.int64]:
    """The number of each row of the piece's table."""
    import numpy as np

    if piece.numbers is not None:
        return piece.numbers
    return np.arange(piece.start, piece.start + piece.table.num_rows)
