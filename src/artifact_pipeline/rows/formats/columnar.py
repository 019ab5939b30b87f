"""Parquet and Arrow IPC, which have typed columns, read by position, some thousand rows at a time."""

from __future__ import annotations

import json
import shlex
from abc import abstractmethod
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from artifact_pipeline.rows.batches import Piece
from artifact_pipeline.rows.columns import check_types
from artifact_pipeline.rows.faults import unfit
from artifact_pipeline.rows.formats.messages import Messages
from artifact_pipeline.rows.formats.opening import Reader, choose_columns
from artifact_pipeline.rows.formats.pages import Pages
from artifact_pipeline.rows.formats.streams import spooled
from artifact_pipeline.rows.limits import LARGEST, MAX_FILE_RATIO
from artifact_pipeline.storage import places as storage
from artifact_pipeline.storage.opened import unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    import pyarrow as pa

    from artifact_pipeline.rows.batches import Wanted
    from artifact_pipeline.rows.sources import Source
    from artifact_pipeline.storage.opened import Opened

_FEATHER_1 = b"FEA1"
_BUFFER = 1 << 16
"""Bytes that are read ahead in each column; without a buffer Arrow holds each column of a row group whole."""
_REQUEST = 1 << 23
"""Most bytes of an object that are read ahead in each column, by one request."""
_AHEAD = 64
"""Batches after which a run of row groups ends, even if none of them ends with a batch."""


class PositionReader(Reader):
    """The base of the readers of files that are read by position."""

    def __init__(self, source: Source, wanted: Wanted, file: Opened) -> None:
        super().__init__(source.place, wanted)
        self.file, self.stamp = file, file.stamp
        self.read = 0
        self.digesting: storage.Digesting | None = None

    @classmethod
    @contextmanager
    def open(cls, source: Source, wanted: Wanted, *, digest: bool) -> Iterator[Any]:
        """Open the file, and begin to hash it if its digest is wanted."""
        with ExitStack() as stack:
            file = stack.enter_context(storage.opened(stack.enter_context(spooled(source))))
            reader = cls(source, wanted, file)
            with refusing(source.place):
                stack.enter_context(reader.columns_of(wanted))
            reader.digesting = stack.enter_context(storage.Digesting(file)) if digest else None
            yield reader

    @abstractmethod
    def columns_of(self, wanted: Wanted) -> AbstractContextManager[None]:
        """Find the columns, and keep open what is needed to read them."""

    def choose(self, schema: pa.Schema, wanted: Wanted) -> None:
        """Choose the columns, and check their types."""
        import pyarrow as pa

        self._columns, self.left_out = choose_typed_columns(self.place, schema, wanted)
        self.names, self.index = tuple(schema.names), _pandas_index(schema)
        if wanted.columns is not None:
            return
        booleans = {name for name in wanted.features if pa.types.is_boolean(schema.field(name).type)}
        self.kinds = {name: "boolean" if name in booleans else "number" for name in wanted.features}

    def native(self) -> Any:
        """Return the file as Arrow's: a local file is read by Arrow itself, an object through Python."""
        import pyarrow as pa

        return pa.OSFile(self.file.path) if self.file.path else pa.PythonFile(self.file.file, mode="r")

    def done(self) -> float:
        """Return the share of the rows that has been read, 0 to 1."""
        return self.read / self.total if self.total else 0.0

    def digest(self) -> str:
        """Return the SHA-256 of the file's bytes."""
        assert self.digesting is not None
        return self.digesting.result()


def _pandas_index(schema: pa.Schema) -> tuple[str, ...]:
    """Return the columns that are an index of pandas, by the file's metadata."""
    try:
        names = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))["index_columns"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return ()
    there = names if isinstance(names, list) else []
    return tuple(name for name in there if isinstance(name, str) and name in schema.names)


@contextmanager
def refusing(place: str) -> Iterator[None]:
    """Turn an error of Arrow about a broken file into a `DataRejected`."""
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

        self._chunk, ahead = wanted.chunk, _BUFFER
        if self.file.raw is not None:
            columns = 1 + len(wanted.features) + len(wanted.keep) + len(wanted.keys)
            ahead = max(_BUFFER, min(_REQUEST, LARGEST // columns))
        with parquet.ParquetFile(self.native(), pre_buffer=False, buffer_size=ahead) as self._parquet:
            self.choose(self._parquet.schema_arrow, wanted)
            self.total = self._parquet.metadata.num_rows
            yield

    def native(self) -> Any:
        """Return the file as Arrow's; an object without Python's read-ahead, since Arrow reads its columns in turn."""
        import pyarrow as pa

        return pa.PythonFile(self.file.raw, mode="r") if self.file.raw else super().native()

    def pieces(self, start: int) -> Iterator[Piece]:
        """Yield the rows from the beginning of the row group with `start` on."""
        metadata, first, group = self._parquet.metadata, 0, 0
        while group < metadata.num_row_groups and first + metadata.row_group(group).num_rows <= start:
            first += metadata.row_group(group).num_rows
            group += 1
        for together, rows in self._runs(range(group, metadata.num_row_groups), first):
            with refusing(self.place):
                for table in self._parquet.iter_batches(
                    rows, row_groups=together, columns=self._columns, use_threads=False
                ):
                    table.validate(full=True)  # Parquet's texts need not be UTF-8
                    yield Piece(first, table.num_rows, plain(self.place, table, self._columns))
                    first += table.num_rows
                    self.read = first
        if first != self.total:
            raise unreadable(self.place, f"has {first:,} rows, its footer says {self.total:,}", rule="truncated")

    def _runs(self, groups: Sequence[int], first: int) -> Iterator[tuple[list[int], int]]:
        """Yield runs of consecutive row groups, each with the number of its rows that can be read at a time.

        A run ends with a batch, since Arrow's batches begin with the run and would otherwise have to be cut and joined.
        A row group is examined only before it is read, in case only a part of the file is read.

        Raises:
            DataRejected: a row group unpacks to too much.
        """
        pages, together, end = Pages(self.file), list[int](), first
        for group in groups:
            about = self._parquet.metadata.row_group(group)
            self._refuse_bomb(group, about.total_byte_size)
            together, end = [*together, group], end + about.num_rows
            if end % self._chunk == 0 or end - first >= _AHEAD * self._chunk or group == groups[-1]:
                yield together, min(pages.rows_at_once(each, self._columns, self._chunk) for each in together)
                together, first = [], end

    def _refuse_bomb(self, group: int, size: int) -> None:
        """Refuse a row group of an object whose declared size is too large; not all of its pages are examined.

        The metadata of its columns are not read: if their statistics are broken, Arrow 26 ends the process.
        """
        if self.file.path is None and size > LARGEST + MAX_FILE_RATIO * self.file.size:
            message = f"row group {group} unpacks to {size:,} bytes, {MAX_FILE_RATIO} times the file's size and more"
            raise unreadable(self.place, message, rule="decompression-bomb")


class ArrowReader(PositionReader):
    """An open file of Arrow IPC, in the file format (Feather 2) or the stream format."""

    @contextmanager
    def columns_of(self, wanted: Wanted) -> Iterator[None]:
        """Read the schema."""
        from pyarrow import ipc

        if self.file.read_at(0, len(_FEATHER_1)) == _FEATHER_1:
            path = json.dumps(self.place)
            call = f'from pyarrow import feather as f; f.write_feather(f.read_table({path}), "version2.feather")'
            hint = f"write it as version 2: python -c {shlex.quote(call)}"
            message = "is of Feather's version 1, which is not read"
            raise unreadable(self.place, message, rule="another-format", hint=hint)
        self._messages = messages = Messages(self.file, len(wanted.features) + len(wanted.keep) + len(wanted.keys))
        messages.check()
        kind = ipc.open_file if messages.is_file else ipc.open_stream
        with kind(self.native()) as opened:
            schema = opened.schema
        self.choose(schema, wanted)
        options = ipc.IpcReadOptions(included_fields=sorted(map(schema.names.index, self._columns)), use_threads=False)
        with kind(self.native(), options=options) as self._batches:
            yield

    def native(self) -> Any:
        """Return the file as Arrow's, from its beginning."""
        self.file.file.seek(0)
        return super().native()

    def pieces(self, start: int) -> Iterator[Piece]:
        """Read all rows, and yield those from `start` on; the first batch may begin earlier."""
        first = 0
        with refusing(self.place):
            for batch in self._each():
                batch.validate(full=True)  # the format does not ensure that offsets are within the buffers
                self._messages.check_size(max(batch.nbytes, batch.num_rows))  # a column of nulls has no bytes
                if first + batch.num_rows > start:
                    yield Piece(first, batch.num_rows, plain(self.place, batch, self._columns))
                first += batch.num_rows

    def _each(self) -> Iterator[Any]:
        if not hasattr(self._batches, "num_record_batches"):
            yield from self._batches
            return
        for index in range(self._batches.num_record_batches):
            yield self._batches.get_batch(index)
            self.read = index + 1

    def done(self) -> float:
        """Return the share of the batches that has been read, 0 to 1."""
        return self.read / getattr(self._batches, "num_record_batches", 0) if self.read else 0.0


def choose_typed_columns(place: str, schema: pa.Schema, wanted: Wanted) -> tuple[list[str], tuple[str, ...]]:
    """Return the columns to read and the others, as `choose_columns`, and check the types of those to read.

    A column that is kept must fit any format of output, and its size in memory must be known.

    Raises:
        DataRejected: a column is missing, or has a wrong type.
    """
    import pyarrow as pa

    columns, left_out = choose_columns(place, schema.names, wanted)
    types = {name: _plain_type(schema.field(name).type) for name in columns}
    check_types(place, pa.schema(types), wanted)
    problems = [
        ("time-zone", f"column {name!r} holds {kind}, a time zone that is not known here")
        for name, kind in types.items()
        if _has_unknown_zone(kind)
    ]
    problems += [
        ("run-ends", f"column {name!r} holds {kind}, which is not read")
        for name, kind in types.items()
        if pa.types.is_run_end_encoded(kind) and name not in wanted.keep
    ]
    problems = problems or [
        ("not-carried", f"column {name!r} holds {kind}, which is not carried through")
        for name in wanted.keep
        if not _is_carried(kind := schema.field(name).type)
    ]
    if problems:
        raise unfit(place, *problems)
    return columns, left_out


def _has_unknown_zone(kind: pa.DataType) -> bool:
    """Whether a type is that of times in a zone in which Arrow cannot write them."""
    import pyarrow as pa

    if not pa.types.is_timestamp(kind) or kind.tz is None:
        return False
    try:
        pa.array([0], kind).cast(pa.string())
    except pa.ArrowInvalid:
        return True
    return False


def _is_carried(kind: Any, *, within: bool = False) -> bool:
    import pyarrow as pa

    types = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return _is_carried(kind.storage_type, within=within)
    if types.is_dictionary(kind):
        return not within and not types.is_nested(kind.value_type) and _is_carried(kind.value_type, within=True)
    if types.is_string_view(kind) or types.is_binary_view(kind):
        return not within
    if types.is_struct(kind) or types.is_map(kind) or types.is_list(kind):
        return all(_is_carried(kind.field(at).type, within=True) for at in range(kind.num_fields))
    if types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return _is_carried(kind.value_type, within=True)
    unfit_types = types.is_nested(kind) or types.is_run_end_encoded(kind) or types.is_interval(kind)
    return not (unfit_types or _has_unknown_zone(kind))


def _plain_type(kind: Any) -> Any:
    """Return the type of a dictionary's values, and the standard type of texts and of bytes."""
    import pyarrow as pa

    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    return pa.binary() if pa.types.is_binary_view(kind) else kind


def plain(place: str, table: pa.RecordBatch, names: Sequence[str]) -> pa.RecordBatch:
    """Return some columns of a validated table in plain types.

    Raises:
        DataRejected: they would be too large.
    """
    import pyarrow as pa

    size = sum(_expanded_size(table.column(name)) for name in names)
    if size > LARGEST:
        message = f"{table.num_rows:,} rows mean {size:,} bytes; allowed are {LARGEST:,}"
        raise unreadable(place, message, rule="batch-too-large", hint="keep fewer columns, or shorter texts")
    columns = []
    for name in names:
        column = table.column(name)
        column = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
        kind = _plain_type(column.type)
        columns.append(column if kind == column.type else column.cast(kind))
    return pa.RecordBatch.from_arrays(columns, list(names))


def _expanded_size(column: Any) -> int:
    """Return an upper bound of the bytes of a column whose rows share values in memory; 0 for any other column."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import compute

    if pa.types.is_string_view(column.type) or pa.types.is_binary_view(column.type):
        views = np.frombuffer(column.buffers()[1], np.int32)[4 * column.offset :][: 4 * len(column)]
        # The length is the first of a view's four numbers; Arrow 26 has no function for it.
        return int(views[::4].sum(where=column.is_valid().to_numpy(zero_copy_only=False), dtype=np.int64))
    if not pa.types.is_dictionary(column.type):
        return 0
    kind, most = column.dictionary.type, int(len(column) * column.dictionary.nbytes)
    if most <= LARGEST:
        return most
    if pa.types.is_primitive(kind) or pa.types.is_decimal(kind):
        return int(len(column) * kind.bit_width // 8)
    return int(compute.sum(compute.binary_length(column.dictionary).take(column.indices)).as_py() or 0)
