"""Readers: each format of file becomes batches of rows, in bounded memory, its bytes hashed on the way."""

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
"""By the first part of a format: `csv.gz` is a CSV too."""
BY_POSITION = frozenset({"parquet", "npy"})
"""Formats that are read from any row on without what stands before it."""


class Reader(ABC):
    """An open file of rows.

    Attributes:
        total: how many rows it has; None where only reading tells.
        names: its columns; empty where the file is.
        left_out: its columns that are not read.
        index: its columns that pandas has written for its index.
        kinds: the kinds of its features, as far as they are known; complete once all is read.
        notes: what is suspicious about what has been read so far, a sentence each.
        stamp: changes when the file does.
        wanted: what is read of it and of the names of its folders.
        partitions: the columns that the folders' names tell, each with its value.
    """

    total: int | None = None
    names: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    index: tuple[str, ...] = ()
    notes: Sequence[str] = ()
    stamp = ""

    def __init__(self, place: str, wanted: Wanted) -> None:
        """Begin with the file at `place`; none of its columns is known yet."""
        self.place, self.wanted = place, wanted
        self.kinds = wanted.known_kinds
        self.partitions: Mapping[str, str] = {}

    @abstractmethod
    def pieces(self, start: int) -> Iterator[Piece]:
        """The rows from `start` on; a piece may begin earlier.

        Raises:
            DataRejected: the file cannot be read on.
        """

    @abstractmethod
    def done(self) -> float:
        """The share of the file that has been read, 0 to 1, as far as it can tell."""

    @abstractmethod
    def digest(self) -> str:
        """The SHA-256 of the file's bytes, once all are read."""

    def batches(self, start: int) -> Iterator[Batch]:
        """The rows from `start` on, a multiple of `wanted.chunk`, in batches that end at multiples of it.

        Raises:
            DataRejected: the file cannot be read on, or a column does not hold what it must.
        """
        wanted = self.wanted
        return (to_batch(piece, wanted, self.place) for piece in align(self._bounded(start), start, wanted.chunk))

    def unaligned(self) -> Iterator[Piece]:
        """All rows, cut wherever the reader cuts; a column may have another type in the next piece.

        Raises:
            DataRejected: the file cannot be read on.
        """
        return self._bounded(0)

    def _bounded(self, start: int) -> Iterator[Piece]:
        """The pieces, as long as the texts of a batch can be held in memory: they may be of any length."""
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
        """The same rows with the columns that the folders' names tell."""
        import pyarrow as pa

        table = piece.table
        for name, value in self.partitions.items():
            table = table.append_column(name, pa.repeat(pa.scalar(value, pa.string()), len(table)))
        return replace(piece, table=table) if self.partitions else piece


@contextmanager
def open_rows(source: Source, wanted: Wanted, *, digest: bool = True) -> Iterator[Reader]:
    """Open a source; only a format that is read loads its library.

    Args:
        source: what to open.
        wanted: what is read of it.
        digest: whether its digest will be asked for.

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
    """The columns to read of those that are there, by their names, and the others.

    Args:
        place: the file.
        there: its columns.
        wanted: what is read of it.
        hint: what to do where one is missing; None says what is there.

    Raises:
        DataRejected: a wanted column is missing, or one stands twice.
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
