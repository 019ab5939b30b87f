"""CSV: UTF-8, commas, a header; every value is read as text first, so that a bad one has its row and its column."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

from artifact_pipeline.errors import plural
from artifact_pipeline.rows.batches import Piece, Rejected
from artifact_pipeline.rows.formats.beginnings import refuse_other_formats, separator_hint, utf8_hint
from artifact_pipeline.rows.formats.opening import choose_columns
from artifact_pipeline.rows.formats.streams import LineEnds, StreamReader, cut_after_rows, unpacked
from artifact_pipeline.rows.limits import MAX_SHOWN, MAX_WHOLE
from artifact_pipeline.rows.texts import parse_texts
from artifact_pipeline.storage.opened import unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.errors import DataRejected
    from artifact_pipeline.rows.batches import Wanted
    from artifact_pipeline.rows.formats.streams import Hashed
    from artifact_pipeline.rows.sources import Source

_BLOCK = 1 << 20
"""Bytes that are parsed at once: more of them leave the cache."""
BOM = b"\xef\xbb\xbf"
QUOTE, COMMA, LINE_FEED, RETURN = b'",\n\r'


class CsvReader(StreamReader):
    """An open CSV file; attributes as in `Reader`."""

    total = None

    def __init__(self, source: Source, wanted: Wanted, stream: Hashed, block: int = _BLOCK) -> None:
        self._place, self._stream, self.stamp, self._wanted = source.place, stream, stream.stamp, wanted
        blocks = cut_after_rows(source.place, LineEnds(unpacked(stream, source)), block, _end_of_rows)
        self._first, names, self._blocks = *_header(source.place, next(blocks, b"")), blocks
        hint = separator_hint(source.place, names)
        self._columns, self.left_out = choose_columns(source.place, names, wanted, hint=hint) if names else ([], ())
        self.names, self.kinds, self.notes = tuple(names), wanted.known_kinds, list[str]()
        self._direct = True
        # For Arrow the columns are numbered: whatever their names are, both mean the same.
        self._numbered = ",".join(map(str, range(len(names)))).encode() + b"\n"
        numbers = {name: str(number) for number, name in enumerate(names)}
        self._chosen = [numbers[name] for name in self._columns]

    def pieces(self, start: int) -> Iterator[Piece]:  # noqa: ARG002 - a CSV is read from its beginning
        """All rows: where the 1,000th begins, only those before it tell."""
        first, line = 0, 2
        for block in self._all():
            self._note_joined(*_check_text(self._place, block, line))
            piece = self._piece(first, block)
            yield piece
            first, line = piece.end, line + block.count(b"\n")

    def _all(self) -> Iterator[bytes]:
        if self._first:
            yield self._first
        yield from self._blocks

    def _note_joined(self, count: int, line: int) -> None:
        if count and not self.notes:
            words = f"{self._place}, line {line}: a value in quotes goes on in the next line; "
            self.notes.append(f"{words}if that is not meant, a quote is missing there, or one too many")

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
            table = self._numbers(block, _note) if self._direct else None
            texts = table is None
            if table is None:
                broken.clear()
                table = self._parsed(block, _note, {})
        except pa.ArrowException as error:
            raise unreadable(self._place, f"after row {first}: {str(error).splitlines()[0][:200]}") from error
        count, numbers = table.num_rows + len(broken), None
        if broken:
            numbers = np.setdiff1d(np.arange(first, first + count), [each.row for each in broken], assume_unique=True)
        known = len(self.kinds)
        piece = parse_texts(Piece(first, count, table, numbers, tuple(broken), written="any"), self._wanted, self.kinds)
        # Where a block could not be read as numbers, the next ones cannot be either, unless kinds were not known yet.
        self._direct = self._direct and (not texts or known < len(self.kinds))
        return piece

    def _numbers(self, block: bytes, note: Any) -> Any | None:
        """The rows of a block whose features are all numbers that need no second look, or else None: that is faster."""
        import pyarrow as pa

        features = {name for name in self._wanted.features if self.kinds.get(name) != "boolean"}
        chosen = zip(self._columns, self._chosen, strict=True)
        kinds = {number: pa.float64() for name, number in chosen if name in features}
        try:
            table = self._parsed(block, note, kinds)
        except pa.ArrowInvalid:
            return None
        for name in features if len(table) else ():
            values = table.column(name).to_numpy()
            if not (values.min() >= -MAX_WHOLE and values.max() <= MAX_WHOLE):  # neither holds where there is a NaN
                return None
        return table

    def _parsed(self, block: bytes, note: Any, kinds: dict[str, Any]) -> Any:
        """The rows of a block, the columns of the named kinds so, all others as text."""
        import pyarrow as pa
        from pyarrow import csv as arrow

        data = self._numbered + block
        table = arrow.read_csv(
            pa.BufferReader(data),
            read_options=arrow.ReadOptions(use_threads=False, block_size=len(data) + 1),
            parse_options=arrow.ParseOptions(newlines_in_values=True, invalid_row_handler=note),
            convert_options=arrow.ConvertOptions(
                include_columns=self._chosen,
                column_types=dict.fromkeys(self._chosen, pa.string()) | kinds,
                null_values=[],
                strings_can_be_null=False,
                check_utf8=False,  # the block was checked whole, which is faster
            ),
        )
        return pa.RecordBatch.from_arrays([column.chunk(0) for column in table.columns], self._columns)


def _end_of_rows(block: bytes) -> int:
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


def _check_text(place: str, block: bytes, line: int) -> tuple[int, int]:
    """Refuse what Arrow would read in a way that nobody meant: bytes that are no text, and quotes that join rows.

    Args:
        place: the file.
        block: whole rows.
        line: the number of its first line, from 1.

    Returns:
        How many line ends stand in quotes, and the number of the line that the first of them ends.

    Raises:
        DataRejected: it is no UTF-8, or a quote stands in the middle of a value or is not closed.
    """
    if not block.isascii():
        try:
            block.decode()
        except UnicodeDecodeError as error:
            raise _no_utf8(place, error, line + block.count(LINE_FEED, 0, error.start)) from error
    if QUOTE not in block:
        return 0, 0
    wrong = _misplaced_quote(block)
    if wrong is not None:
        where = f"line {line + block.count(LINE_FEED, 0, wrong)}"
        message = f"{where}: a quote must enclose the whole value, be doubled inside it, and be closed"
        hint = "write a quote inside a value twice, or take it away"
        raise unreadable(place, message, rule="quote-misplaced", hint=hint)
    ends = _positions(block, LINE_FEED)
    inside = ends[_positions(block, QUOTE).searchsorted(ends) % 2 == 1]
    return len(inside), line + block.count(LINE_FEED, 0, int(inside[0])) if len(inside) else 0


def _no_utf8(place: str, error: UnicodeDecodeError, line: int) -> DataRejected:
    """The refusal of a text of another encoding."""
    message = f"line {line} is no UTF-8: its byte 0x{error.object[error.start]:02x} cannot be decoded"
    return unreadable(place, message, rule="not-utf-8", hint=utf8_hint(place))


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
    """The first rows without the header, and the names in it; none where the file is empty.

    Raises:
        DataRejected: it is another format, has no header, is no UTF-8, or a quote in the header is not closed.
    """
    refuse_other_formats(place, block)
    if not block.removeprefix(BOM).strip():
        return b"", []
    line, _, rest = block.removeprefix(BOM).partition(b"\n")
    try:
        names = next(csv.reader([line.decode().rstrip("\r")], strict=True), [])
    except UnicodeDecodeError as error:
        raise _no_utf8(place, error, 1) from error
    except csv.Error as error:
        raise unreadable(place, f"the header cannot be read: {error}", hint="mend the quotes in line 1") from error
    if not names:
        raise unreadable(place, "there is no header", hint="write the columns' names into the first line")
    return rest, names
