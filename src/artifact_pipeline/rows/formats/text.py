"""CSV: UTF-8, commas, a header; every value is read as text first, so that a bad one has its row and its column."""

from __future__ import annotations

import csv
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from artifact_pipeline.rows.batches import MAX_SHOWN, Piece, Rejected
from artifact_pipeline.rows.formats import choose_columns
from artifact_pipeline.rows.formats.streams import Hashed, Prefixed, hashed, unpacked
from artifact_pipeline.storage import unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from artifact_pipeline.rows.batches import Wanted
    from artifact_pipeline.rows.formats.streams import Unpacked
    from artifact_pipeline.rows.sources import Source

BLOCK = 4 << 20
"""Bytes that are parsed at once; a row must fit into them."""
MAX_HEADER = 1 << 20


class CsvReader:
    """An open CSV file; attributes as in `Reader`."""

    total = None

    def __init__(self, source: Source, wanted: Wanted, stream: Hashed) -> None:
        self._place, self._stream, self.stamp = source.place, stream, stream.stamp
        content = unpacked(stream, source)
        names, self._content = _header(source.place, content)
        self._columns, self.left_out = choose_columns(source.place, names, wanted)
        self._ragged: list[Rejected] = []

    @classmethod
    @contextmanager
    def open(cls, source: Source, wanted: Wanted, *, digest: bool) -> Iterator[CsvReader]:  # noqa: ARG003 - always
        """Open the file, and read its header."""
        with hashed(source) as stream:
            yield cls(source, wanted, stream)

    def done(self) -> float:
        """The share of the file that has been read."""
        return self._stream.done()

    def digest(self) -> str:
        """The SHA-256 of the file's bytes, packed as they are."""
        return self._stream.digest()

    def pieces(self, start: int) -> Iterator[Piece]:  # noqa: ARG002 - a CSV is read from its beginning
        """All rows: where the 1,000th begins, only those before it tell."""
        import numpy as np
        import pyarrow as pa

        first = 0
        try:
            for table in self._parsed():
                piece = self._piece(first, table)
                first = piece.end
                yield piece
        except (pa.ArrowException, OSError, UnicodeError) as error:
            raise unreadable(self._place, f"after row {first}: {str(error).splitlines()[0]}") from error
        if self._ragged:  # nothing but them stands at the end
            schema = pa.schema([(name, pa.string()) for name in self._columns])
            nothing = pa.RecordBatch.from_pylist([], schema=schema)
            yield Piece(first, len(self._ragged), nothing, np.arange(0), tuple(self._ragged), typed=False)

    def _parsed(self) -> Iterator[Any]:
        import pyarrow as pa
        from pyarrow import csv as arrow

        yield from arrow.open_csv(
            pa.PythonFile(self._content, mode="r"),
            read_options=arrow.ReadOptions(use_threads=False, block_size=BLOCK),
            parse_options=arrow.ParseOptions(newlines_in_values=True, invalid_row_handler=self._note_ragged),
            convert_options=arrow.ConvertOptions(
                include_columns=self._columns,
                column_types=dict.fromkeys(self._columns, pa.string()),
                strings_can_be_null=False,
            ),
        )

    def _note_ragged(self, row: Any) -> str:
        # Arrow counts the header as row 1.
        message = f"has {row.actual_columns} values, the header has {row.expected_columns} columns"
        text = row.text or ""
        self._ragged.append(Rejected(row.number - 2, "", text[:MAX_SHOWN], "row-width", message, text))
        return "skip"

    def _piece(self, first: int, table: Any) -> Piece:
        """The rows of a block; the ragged ones noted meanwhile stood among them, or come behind."""
        import numpy as np

        if not self._ragged:
            return Piece(first, table.num_rows, table, typed=False)
        numbers = np.arange(first, first + table.num_rows + len(self._ragged))
        numbers = np.setdiff1d(numbers, [each.row for each in self._ragged], assume_unique=True)[: table.num_rows]
        end = int(numbers[-1]) + 1 if len(numbers) else first
        broken = tuple(each for each in self._ragged if each.row < end)
        self._ragged = [each for each in self._ragged if each.row >= end]
        return Piece(first, end - first, table, numbers, broken, typed=False)


def _header(place: str, content: Hashed | Unpacked) -> tuple[list[str], Prefixed]:
    """The names of the columns, and the whole content again.

    Raises:
        DataRejected: there is no header, it is no UTF-8, or it is longer than a megabyte.
    """
    data = b""
    while b"\n" not in data and len(data) <= MAX_HEADER and (block := content.read(1 << 16)):
        data += block
    line, _, _ = data.partition(b"\n")
    if len(line) > MAX_HEADER:
        raise unreadable(place, f"the header is longer than {MAX_HEADER:,} bytes")
    try:
        names = next(csv.reader([line.decode("utf-8-sig").rstrip("\r")], strict=True), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise unreadable(place, f"the header cannot be read: {error}") from error
    if not names:
        raise unreadable(place, "there is no header")
    return names, Prefixed(data, content)
