"""Readers: each format of file becomes pieces of rows, in bounded memory, its bytes hashed on the way."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from artifact_pipeline.plugins import data_set
from artifact_pipeline.rows.batches import align
from artifact_pipeline.rows.columns import to_batch
from artifact_pipeline.rows.faults import meant_names, unfit
from artifact_pipeline.rows.limits import LARGEST
from artifact_pipeline.storage.opened import unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa

    from artifact_pipeline.rows.batches import Batch, Piece, Wanted
    from artifact_pipeline.rows.matrix import Kind
    from artifact_pipeline.rows.sources import Source

_HOMES = {
    "csv": "artifact_pipeline.rows.formats.text.CsvReader",
    "jsonl": "artifact_pipeline.rows.formats.jsonlines.JsonLinesReader",
    "parquet": "artifact_pipeline.rows.formats.columnar.ParquetReader",
    "arrow": "artifact_pipeline.rows.formats.columnar.ArrowReader",
    "npy": "artifact_pipeline.rows.formats.arrays.NpyReader",
    "npz": "artifact_pipeline.rows.formats.arrays.NpzReader",
    "image": "artifact_pipeline.rows.formats.pictures.PictureReader",
}
"""By the first part of a format: `csv.gz` is a CSV too."""
BY_POSITION = frozenset({"parquet", "npy"})
"""Formats that are read from any row on without what stands before it."""


class _Reader(Protocol):
    """An open file of rows.

    Attributes:
        total: how many rows it holds, or None where only reading tells.
        names: its columns; none where it is empty.
        left_out: its columns that nobody wants.
        index: its columns that pandas has written for its index.
        kinds: the kinds of its features, as far as they are known; complete once it has been read.
        notes: what is suspicious about what has been read so far, a sentence each.
        stamp: changes when the file does.
    """

    total: int | None
    names: tuple[str, ...]
    left_out: tuple[str, ...]
    index: tuple[str, ...]
    kinds: Mapping[str, Kind]
    notes: Sequence[str]
    stamp: str

    def pieces(self, start: int) -> Iterator[Piece]:
        """The rows from `start` on; a piece may begin earlier.

        Raises:
            DataRejected: the file cannot be read on.
        """
        ...

    def done(self) -> float:
        """The share of the file that has been read, 0 to 1, as far as it can tell."""
        ...

    def digest(self) -> str:
        """The SHA-256 of all its bytes, once they have been read."""
        ...


class OpenRows:
    """An open source whose rows come as batches; attributes as in `_Reader`."""

    def __init__(
        self, place: str, reader: _Reader, wanted: Wanted, partitions: Mapping[str, str] | None = None
    ) -> None:
        self._place, self._reader, self._wanted, self._partitions = place, reader, wanted, partitions or {}
        self.total, self.left_out, self.stamp = reader.total, reader.left_out, reader.stamp
        self.names, self.index, self.kinds, self.notes = reader.names, reader.index, reader.kinds, reader.notes
        self.done, self.digest = reader.done, reader.digest

    def batches(self, start: int) -> Iterator[Batch]:
        """The rows from `start` on, a multiple of `wanted.chunk`, cut at multiples of it.

        Raises:
            DataRejected: the file cannot be read on, or a column does not hold what it must.
        """
        pieces = align(self._bounded(start), start, self._wanted.chunk)
        return (to_batch(piece, self._wanted, self._place) for piece in pieces)

    def _bounded(self, start: int) -> Iterator[Piece]:
        """The reader's pieces, as long as what is kept of a batch can be held: texts may be of any length."""
        chunk, size = self._wanted.chunk, 0
        for piece in map(self._with_partitions, self._reader.pieces(start)):
            size += sum(column.nbytes for column in self._texts(piece.table))
            if size > LARGEST:
                message = f"rows {start:,} to {piece.end - 1:,} keep {size:,} bytes; a batch may have {LARGEST:,}"
                raise unreadable(self._place, message, rule="batch-too-large", hint="keep fewer columns")
            yield piece
            if piece.end >= start + chunk:
                start, size = piece.end - piece.end % chunk, 0

    def _with_partitions(self, piece: Piece) -> Piece:
        """The same rows with the columns that the folders' names tell."""
        import pyarrow as pa

        table = piece.table
        for name, value in self._partitions.items():
            table = table.append_column(name, pa.repeat(pa.scalar(value, pa.string()), len(table)))
        return replace(piece, table=table) if self._partitions else piece

    def _texts(self, table: pa.RecordBatch) -> Iterator[pa.Array]:
        """What may be of any length: all but the features."""
        for name in dict.fromkeys((*self._wanted.keep, self._wanted.target)):
            if name in table.schema.names:
                yield table.column(name)


def _load(place: str) -> Any:
    """The class that stands at a dotted place; only a format that is read loads its library."""
    module, _, name = place.rpartition(".")
    return getattr(import_module(module), name)


@contextmanager
def open_rows(source: Source, wanted: Wanted, *, digest: bool = True) -> Iterator[OpenRows]:
    """Open a source.

    Args:
        source: what to open.
        wanted: what is read of it.
        digest: whether its digest will be asked for.

    Raises:
        DataRejected: it cannot be read, or lacks a wanted column.
    """
    if source.built_in:
        yield _load("artifact_pipeline.rows.formats.builtin.BuiltInRows")(data_set(source.format), wanted)
        return
    kind = _load(_HOMES[source.format.partition(".")[0]])
    partitions = {name: value for name, value in source.partitions if name in wanted.keep}
    own = replace(wanted, keep=tuple(name for name in wanted.keep if name not in partitions))
    with kind.open(source, own, digest=digest) as reader:
        yield OpenRows(source.place, reader, wanted, partitions)


def choose_columns(
    place: str, there: Sequence[str], wanted: Wanted, *, hint: str | None = None
) -> tuple[list[str], tuple[str, ...]]:
    """The columns to read of those that are there, by their names, and those that nobody wants.

    Args:
        place: the file.
        there: its columns.
        wanted: what is read of it.
        hint: what to say where one is missing; None tells what is there.

    Raises:
        DataRejected: a wanted column is missing, or one stands twice.
    """
    repeated = [name for name, times in Counter(there).items() if times > 1]
    problems = [("column-repeated", f"the column {name!r} stands twice") for name in repeated]
    known = frozenset(there)
    missing = [name for name in dict.fromkeys([*wanted.features, *wanted.keep]) if name not in known]
    problems += [("column-missing", f"no column {name!r}") for name in missing]
    if problems:
        raise unfit(place, problems, hint=hint or meant_names(missing, there))
    chosen = wanted.columns(there)
    taken = frozenset(chosen)
    return chosen, tuple(name for name in there if name not in taken)
