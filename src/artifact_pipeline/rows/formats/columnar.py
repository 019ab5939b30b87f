"""Parquet and Arrow IPC: files that say what type each column has, read by position, some thousand rows at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from artifact_pipeline import storage
from artifact_pipeline.rows.batches import CHUNK, Piece
from artifact_pipeline.rows.formats import choose_columns
from artifact_pipeline.rows.formats.streams import spooled
from artifact_pipeline.storage import unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from artifact_pipeline.rows.batches import Wanted
    from artifact_pipeline.rows.sources import Source
    from artifact_pipeline.storage import Opened

BUFFER = 1 << 16
"""Bytes that are read ahead in each column; without a buffer a column is held whole, a row group at a time."""
MAX_RATIO = 1000
"""Constant columns shrink to a thousandth in Parquet, and nothing is wrong with them."""
FREE = 256 << 20
"""Bytes that a row group may unpack to before the ratio is looked at, and that an Arrow batch may have."""


class PositionReader(ABC):
    """What the readers by position share; attributes as in `Reader`."""

    def __init__(self, source: Source, file: Opened) -> None:
        self.place, self.file, self.stamp = source.place, file, file.stamp
        self.total: int | None = None
        self.left_out: tuple[str, ...] = ()
        self.read = 0
        self.digesting: storage.Digesting | None = None

    @classmethod
    @contextmanager
    def open(cls, source: Source, wanted: Wanted, *, digest: bool) -> Iterator[Any]:
        """Open the file, and begin to hash it where that is asked for."""
        with ExitStack() as stack:
            file = stack.enter_context(storage.opened(stack.enter_context(spooled(source))))
            reader = cls(source, file)
            with refusing(source.place):
                stack.enter_context(reader.columns_of(wanted))
            reader.digesting = stack.enter_context(storage.Digesting(file)) if digest else None
            yield reader

    @abstractmethod
    def columns_of(self, wanted: Wanted) -> AbstractContextManager[None]:
        """Open what the format needs, find the columns, and count the rows."""

    def native(self) -> Any:
        """The file as Arrow reads it: by itself, or through Python where it is no local one."""
        import pyarrow as pa

        return pa.OSFile(self.file.path) if self.file.path else pa.PythonFile(self.file.file, mode="r")

    def done(self) -> float:
        """The share of the file that has been read."""
        return self.read / self.total if self.total else 0.0

    def digest(self) -> str:
        """The SHA-256 of the file's bytes."""
        assert self.digesting is not None
        return self.digesting.result()


@contextmanager
def refusing(place: str) -> Iterator[None]:
    """Turn what Arrow says of a broken file into a refusal.

    Raises:
        DataRejected: it cannot be read.
    """
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise unreadable(place, str(error).splitlines()[0][:200]) from error


class ParquetReader(PositionReader):
    """An open Parquet file."""

    @contextmanager
    def columns_of(self, wanted: Wanted) -> Iterator[None]:
        """Read the footer."""
        from pyarrow import parquet

        with parquet.ParquetFile(self.native(), pre_buffer=False, buffer_size=BUFFER) as self._parquet:
            self._columns, self.left_out = choose_columns(self.place, self._parquet.schema_arrow.names, wanted)
            self.total = self._parquet.metadata.num_rows
            yield

    def pieces(self, start: int) -> Iterator[Piece]:
        """The rows from the row group on in which `start` stands."""
        import pyarrow as pa

        metadata, first, group = self._parquet.metadata, 0, 0
        while group < metadata.num_row_groups and first + metadata.row_group(group).num_rows <= start:
            first += metadata.row_group(group).num_rows
            group += 1
        groups = list(range(group, metadata.num_row_groups))
        for each in groups:
            _refuse_bomb(self.place, metadata.row_group(each))
        with refusing(self.place):
            batches = self._parquet.iter_batches(CHUNK, row_groups=groups, columns=self._columns, use_threads=False)
            for table in batches:
                for column in table.columns:
                    if not pa.types.is_primitive(column.type):
                        column.validate(full=True)  # Parquet's texts may be anything but UTF-8
                yield Piece(first, table.num_rows, table)
                first += table.num_rows
                self.read = first


def _refuse_bomb(place: str, group: Any) -> None:
    """Refuse a row group that says of itself that it unpacks to far more than it is.

    Raises:
        DataRejected: it does.
    """
    packed = sum(group.column(index).total_compressed_size for index in range(group.num_columns))
    if group.total_byte_size > FREE + MAX_RATIO * packed:
        message = f"a row group unpacks to {group.total_byte_size:,} bytes, {MAX_RATIO} times its size and more"
        raise unreadable(place, message, rule="decompression-bomb")


class ArrowReader(PositionReader):
    """An open file of Arrow IPC, in the file format (Feather 2) or in that of streams."""

    @contextmanager
    def columns_of(self, wanted: Wanted) -> Iterator[None]:
        """Read the schema."""
        from pyarrow import ipc

        magic = self.file.file.read(6)
        self.file.file.seek(0)
        opened = ipc.open_file(self.native()) if magic == b"ARROW1" else ipc.open_stream(self.native())
        with opened as self._batches:
            self._columns, self.left_out = choose_columns(self.place, self._batches.schema.names, wanted)
            yield

    def pieces(self, start: int) -> Iterator[Piece]:
        """All rows, from the file's beginning."""
        import pyarrow as pa

        first = 0
        with refusing(self.place):
            for batch in self._each():
                if batch.nbytes > FREE:
                    message = f"holds a batch of {batch.nbytes:,} bytes; allowed are {FREE:,}: write smaller batches"
                    raise unreadable(self.place, message, rule="batch-too-large")
                table = pa.RecordBatch.from_arrays([batch.column(name) for name in self._columns], self._columns)
                table.validate(full=True)  # nothing in the format itself keeps an offset within its buffer
                if first + table.num_rows > start:
                    yield Piece(first, table.num_rows, table)
                first += table.num_rows

    def _each(self) -> Iterator[Any]:
        if not hasattr(self._batches, "num_record_batches"):
            yield from self._batches
            return
        for index in range(self._batches.num_record_batches):
            yield self._batches.get_batch(index)
            self.read = index + 1
            self.total = None

    def done(self) -> float:
        """The share of the batches that has been read."""
        return self.read / getattr(self._batches, "num_record_batches", 0) if self.read else 0.0
