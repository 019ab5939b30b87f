"""CSV: UTF-8, commas, a header; every value is read as text first, so that a bad one has its row and its column."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

from artifact_pipeline.errors import plural
from artifact_pipeline.rows.batches import MAX_SHOWN, Piece, Rejected
from artifact_pipeline.rows.columns import parse_texts
from artifact_pipeline.rows.formats import choose_columns
from artifact_pipeline.rows.formats.streams import StreamReader, cut_after_rows, unpacked
from artifact_pipeline.storage import unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.rows.batches import Wanted
    from artifact_pipeline.rows.formats.streams import Hashed
    from artifact_pipeline.rows.sources import Source

BLOCK = 1 << 20
"""Bytes that are parsed at once: more of them leave the cache."""
BOM = b"\xef\xbb\xbf"
QUOTE, COMMA, LINE_FEED, RETURN = b'",\n\r'


class CsvReader(StreamReader):
    """An open CSV file; attributes as in `Reader`."""

    total = None

    def __init__(self, source: Source, wanted: Wanted, stream: Hashed, block: int = BLOCK) -> None:
        self._place, self._stream, self.stamp, self._wanted = source.place, stream, stream.stamp, wanted
        blocks = cut_after_rows(source.place, unpacked(stream, source), block, end_of_rows)
        self._first, names, self._blocks = *_header(source.place, next(blocks, b"")), blocks
        self._columns, self.left_out = choose_columns(source.place, names, wanted)
        # For Arrow the columns are numbered: whatever their names are, both mean the same.
        self._numbered = ",".join(map(str, range(len(names)))).encode() + b"\n"
        self._chosen = [str(names.index(name)) for name in self._columns]

    def pieces(self, start: int) -> Iterator[Piece]:  # noqa: ARG002 - a CSV is read from its beginning
        """All rows: where the 1,000th begins, only those before it tell."""
        first, line = 0, 2
        for block in self._all():
            _check_text(self._place, block, line)
            piece = self._piece(first, block)
            yield piece
            first, line = piece.end, line + block.count(b"\n")

    def _all(self) -> Iterator[bytes]:
        if self._first:
            yield self._first
        yield from self._blocks

    def _piece(self, first: int, block: bytes) -> Piece:
        import numpy as np
        import pyarrow as pa

        broken: list[Rejected] = []

        def _note(row: Any) -> str:  # Arrow counts the header as row 1, and blank lines not at all
            found, columns = plural(row.actual_columns, "value"), plural(row.expected_columns, "column")
            message = f"has {found}, the header has {columns}"
            broken.append(Rejected(first + row.number - 2, "", row.text[:MAX_SHOWN], "row-width", message, row.text))
            return "skip"

        try:
            table = self._parsed(block, _note)
        except pa.ArrowException as error:
            raise unreadable(self._place, f"after row {first}: {str(error).splitlines()[0][:200]}") from error
        count, numbers = table.num_rows + len(broken), None
        if broken:
            numbers = np.setdiff1d(np.arange(first, first + count), [each.row for each in broken], assume_unique=True)
        return parse_texts(Piece(first, count, table, numbers, tuple(broken), typed=False), self._wanted)

    def _parsed(self, block: bytes, note: Any) -> Any:
        import pyarrow as pa
        from pyarrow import csv as arrow

        data = self._numbered + block
        table = arrow.read_csv(
            pa.BufferReader(data),
            read_options=arrow.ReadOptions(use_threads=False, block_size=len(data) + 1),
            parse_options=arrow.ParseOptions(newlines_in_values=True, invalid_row_handler=note),
            convert_options=arrow.ConvertOptions(
                include_columns=self._chosen,
                column_types=dict.fromkeys(self._chosen, pa.string()),
                strings_can_be_null=False,
                check_utf8=False,  # the block was checked whole, which is faster
            ),
        )
        return pa.RecordBatch.from_arrays([column.chunk(0) for column in table.columns], self._columns)


def end_of_rows(block: bytes) -> int:
    """Where the last line ends whose end stands in no quotes, or 0; the block begins with a row."""
    end = block.rfind(b"\n") + 1
    if not end or QUOTE not in block:
        return end
    quotes = _positions(block, QUOTE)
    if quotes.searchsorted(end) % 2 == 0:
        return end
    ends = _positions(block, LINE_FEED)
    outside = ends[quotes.searchsorted(ends) % 2 == 0]
    return int(outside[-1]) + 1 if len(outside) else 0


def _positions(block: bytes, byte: int) -> NDArray[np.int64]:
    import numpy as np

    return np.flatnonzero(np.frombuffer(block, dtype=np.uint8) == byte)


def _check_text(place: str, block: bytes, line: int) -> None:
    """Refuse what Arrow would read in a way that nobody meant: bytes that are no text, and quotes that join rows.

    Args:
        place: the file.
        block: whole rows.
        line: the number of its first line, from 1.

    Raises:
        DataRejected: it is no UTF-8, or a quote stands in the middle of a value or is not closed.
    """
    if not block.isascii():
        try:
            block.decode()
        except UnicodeDecodeError as error:
            where = f"line {line + block.count(LINE_FEED, 0, error.start)}"
            raise unreadable(place, f"{where} is no UTF-8: {error.reason}", rule="not-utf-8") from error
    wrong = _misplaced_quote(block) if QUOTE in block else None
    if wrong is not None:
        where = f"line {line + block.count(LINE_FEED, 0, wrong)}"
        message = f"{where}: a quote must enclose the whole value, be doubled inside it, and be closed"
        raise unreadable(place, message, rule="quote-misplaced")


def _misplaced_quote(block: bytes) -> int | None:
    """The first quote that neither begins nor ends a value, nor is one of two inside it (RFC 4180)."""
    import numpy as np

    quotes = _positions(block, QUOTE)
    around = np.frombuffer(b"\n" + block + b"\n", dtype=np.uint8)  # whole rows: lines end before and behind them
    borders = [QUOTE, COMMA, LINE_FEED, RETURN]
    opening, closing = quotes[::2], quotes[1::2]
    wrong = [*opening[~np.isin(around[opening], borders)][:1], *closing[~np.isin(around[closing + 2], borders)][:1]]
    if len(quotes) % 2:
        wrong.append(quotes[-1])
    return int(min(wrong)) if wrong else None


def _header(place: str, block: bytes) -> tuple[bytes, list[str]]:
    """The first rows without the header, and the names in it.

    Raises:
        DataRejected: there is no header, it is no UTF-8, or a quote in it is not closed.
    """
    line, _, rest = block.removeprefix(BOM).partition(b"\n")
    try:
        names = next(csv.reader([line.decode().rstrip("\r")], strict=True), [])
    except UnicodeDecodeError as error:
        raise unreadable(place, f"line 1 is no UTF-8: {error.reason}", rule="not-utf-8") from error
    except csv.Error as error:
        raise unreadable(place, f"the header cannot be read: {error}") from error
    if not names:
        raise unreadable(place, "there is no header")
    return rest, names
