"""Readers of all formats, which yield batches of rows in bounded memory and hash the file meanwhile."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING

from artifact_pipeline.rows.batches import align
from artifact_pipeline.rows.columns import to_batch
from artifact_pipeline.rows.faults import meant_names, unfit
from artifact_pipeline.rows.limits import LARGEST
from artifact_pipeline.storage.opened import unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from artifact_pipeline.rows.batches import Batch, Piece, Wanted
    from artifact_pipeline.rows.sources import Source

_BUILT_IN = "built in"
_READERS = {
    "csv": "artifact_pipeline.rows.formats.text.CsvReader",
    "jsonl": "artifact_pipeline.rows.formats.jsonlines.JsonLinesReader",
    "parquet": "artifact_pipeline.rows.formats.columnar.ParquetReader",
    "arrow": "artifact_pipeline.rows.formats.columnar.ArrowReader",
    "npy": "artifact_pipeline.rows.formats.arrays.NpyReader",
    "npz": "artifact_pipeline.rows.formats.arrays.NpzReader",
    "image": "artifact_pipeline.rows.formats.pictures.PictureReader",
    _BUILT_IN: "artifact_pipeline.rows.formats.builtin.BuiltInRows",
}
"""The class of each format, by its first part: `csv.gz` is a CSV, too."""
BY_POSITION = frozenset({"parquet", "npy"})
"""Formats that can be read from any row on."""


class Reader(ABC):
    """An open file of rows.

    Attributes:
        total: the number of rows; None if it is not known before all are read.
        names: its columns; empty if the file is empty.
        left_out: its columns that are not read.
        index: its columns that are an index of pandas.
        kinds: the known kinds of its features; complete when all rows are read.
        notes: one sentence for each suspicious thing in the rows read so far.
        stamp: a text that changes when the file changes.
        wanted: what is read of it and of the names of its folders.
        partitions: the wanted columns in the names of folders, each with its value.
    """

    total: int | None = None
    names: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    index: tuple[str, ...] = ()
    notes: Sequence[str] = ()
    stamp = ""

    def __init__(self, place: str, wanted: Wanted) -> None:
        self.place, self.wanted = place, wanted
        self.kinds = wanted.known_kinds
        self.partitions: Mapping[str, str] = {}

    @abstractmethod
    def pieces(self, start: int) -> Iterator[Piece]:
        """Yield the rows from `start` on; the first piece may begin earlier.

        Raises:
            DataRejected: the file cannot be read.
        """

    @abstractmethod
    def done(self) -> float:
        """Return the share of the file that has been read, 0 to 1, or 0 if that is not known."""

    @abstractmethod
    def digest(self) -> str:
        """Read all bytes of the file, and return their SHA-256."""

    def batches(self, start: int) -> Iterator[Batch]:
        """Yield the rows from `start` on, a multiple of `wanted.chunk`, in batches that end at multiples of it.

        Raises:
            DataRejected: the file cannot be read, or a column has a wrong type.
        """
        wanted = self.wanted
        return (to_batch(piece, wanted, self.place) for piece in align(self.unaligned(start), start, wanted.chunk))

    def unaligned(self, start: int = 0) -> Iterator[Piece]:
        """Yield the rows from `start` on in pieces of any size; the type of a column may change between pieces.

        Raises:
            DataRejected: the file cannot be read, or the texts of a batch, which have any length, are too large.
        """
        chunk, size = self.wanted.chunk, 0
        others = {*self.wanted.keep, *self.wanted.keys, self.wanted.target}
        for piece in map(self._with_partitions, self.pieces(start)):
            columns = [(field, piece.table.column(at)) for at, field in enumerate(piece.table.schema)]
            texts = (column for field, column in columns if field.name in others or field.type == "string")
            size += sum(column.nbytes for column in texts)
            if size > LARGEST:
                message = f"rows {start:,} to {piece.end - 1:,} keep {size:,} bytes; a batch may have {LARGEST:,}"
                raise unreadable(self.place, message, rule="batch-too-large", hint="keep fewer columns")
            yield piece
            if piece.end >= start + chunk:
                start, size = piece.end - piece.end % chunk, 0

    def _with_partitions(self, piece: Piece) -> Piece:
        """Return the rows with the columns that are in the names of folders."""
        import pyarrow as pa

        table = piece.table
        for name, value in self.partitions.items():
            table = table.append_column(name, pa.repeat(pa.scalar(value, pa.string()), len(table)))
        return replace(piece, table=table) if self.partitions else piece


@contextmanager
def open_rows(source: Source, wanted: Wanted, *, digest: bool = True) -> Iterator[Reader]:
    """Open a source by the reader of its format, whose library is loaded only then.

    Args:
        source: the file.
        wanted: what is read of it.
        digest: whether its digest is wanted.

    Raises:
        DataRejected: it cannot be read, or lacks a wanted column.
    """
    kind = _BUILT_IN if source.built_in else source.format.partition(".")[0]
    module, _, reader_class = _READERS[kind].rpartition(".")
    partitions = {name: value for name, value in source.partitions if name in {*wanted.keep, *wanted.keys}}
    own = replace(wanted, keep=tuple(name for name in wanted.keep if name not in partitions))
    with getattr(import_module(module), reader_class).open(source, own, digest=digest) as reader:
        reader.wanted, reader.partitions = wanted, partitions
        yield reader


def choose_columns(
    place: str, there: Sequence[str], wanted: Wanted, *, hint: str | None = None
) -> tuple[list[str], tuple[str, ...]]:
    """Return the columns to read of a file that has the columns `there`, and the other columns.

    The error about a missing column has the `hint`; None names the columns that are there.

    Raises:
        DataRejected: a wanted column is missing, or a column occurs twice.
    """
    repeated = [name for name, times in Counter(there).items() if times > 1]
    problems = [("column-repeated", f"the column {name!r} stands twice") for name in repeated]
    known = frozenset(there)
    missing = [name for name in dict.fromkeys([*wanted.features, *wanted.keep]) if name not in known]
    problems += [("column-missing", f"no column {name!r}") for name in missing]
    if problems:
        raise unfit(place, *problems, hint=hint or meant_names(missing, there))
    chosen = wanted.to_read(there)
    taken = frozenset(chosen)
    return chosen, tuple(name for name in there if name not in taken)
