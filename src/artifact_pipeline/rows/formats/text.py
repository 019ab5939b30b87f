"""CSV: UTF-8, commas, a header. Values are read as text where needed, so that a bad one has its row and column."""

from __future__ import annotations

import csv
import re
from itertools import chain
from typing import TYPE_CHECKING, Any

from artifact_pipeline.errors import plural
from artifact_pipeline.rows.batches import Piece, Rejected
from artifact_pipeline.rows.cells import LEADING_ZERO
from artifact_pipeline.rows.columns import parse_texts
from artifact_pipeline.rows.formats.opening import choose_columns
from artifact_pipeline.rows.formats.streams import TextReader, not_utf_8
from artifact_pipeline.rows.limits import MAX_SHOWN, MAX_WHOLE
from artifact_pipeline.rows.mends import with_commas, without_first_line
from artifact_pipeline.rows.values import MISSING_TEXTS
from artifact_pipeline.storage.opened import unreadable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from artifact_pipeline.errors import DataRejected

_QUOTE, _COMMA, _LINE_FEED, _RETURN = b'",\n\r'
_SLICE = 1 << 16
"""Bytes that are examined at a time: the intermediate arrays fit into the processor's cache."""
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}


class CsvReader(TextReader):
    """An open CSV file."""

    mends_line_ends = True

    def begin(self, block: bytes) -> None:
        """Read the header."""
        self._first, names = _read_header(self.place, block)
        other = _other_table_hint(self.place, names)
        hint = other or _repeated_hint(self.place, names)
        self._columns, self.left_out = choose_columns(self.place, names, self.wanted, hint=hint) if names else ([], ())
        if other and self.wanted.learning:
            raise unreadable(self.place, f"its header is one column, {names[0]!r:.{MAX_SHOWN}}", hint=other)
        self.names = tuple(names)
        self._direct = True
        infers = self.wanted.learning and self.wanted.columns is not None
        self._inferred = frozenset(self.wanted.features if infers else ()) - self.kinds.keys()
        self._never_missing = frozenset(each.name for each in self.wanted.columns or () if not each.nullable)
        # Arrow gets numbers for names, so that no name has a meaning for it.
        self._numbered_header = ",".join(map(str, range(len(names)))).encode() + b"\n"
        self._numbers_of = {name: str(number) for number, name in enumerate(names)}

    def end_of_rows(self, block: bytes) -> int:
        """Return the position after the last line end outside quotes, or 0; the block begins with a row."""
        end = block.rfind(b"\n") + 1
        if not end or _QUOTE not in block:
            return end
        quotes = _positions(block, _QUOTE)
        if quotes.searchsorted(end) % 2 == 0:
            return end
        ends = _positions(block, _LINE_FEED)
        outside = ends[quotes.searchsorted(ends) % 2 == 0]
        return int(outside[-1]) + 1 if len(outside) else 0

    def pieces(self, start: int) -> Iterator[Piece]:  # noqa: ARG002 - a CSV is read from its beginning
        """Yield all rows."""
        first, line = 0, 2
        for block in chain([self._first] if self._first else [], self.blocks):
            joined = _check_text(self.place, block, line)
            if joined and not self.notes:
                note = f"{self.place}, line {joined}: a value in quotes goes on in the next line; "
                self.notes = [f"{note}if that is not meant, a quote is missing there, or one too many"]
            piece = self._piece(first, block)
            yield piece
            first, line = piece.end, line + block.count(b"\n")

    def _piece(self, first: int, block: bytes) -> Piece:
        import pyarrow as pa

        broken: list[Rejected] = []

        def _add_broken(row: Any) -> str:  # Arrow counts the header as row 1, and does not count blank lines
            found, columns = plural(row.actual_columns, "value"), plural(row.expected_columns, "column")
            message = f"has {found}, the header has {columns}"
            broken.append(Rejected(first + row.number - 2, "", row.text[:MAX_SHOWN], "row-width", message, row.text))
            return "skip"

        try:
            table = self._numbers(block, _add_broken) if self._direct else None
            texts = table is None
            if table is None:
                broken.clear()
                table = self._parsed(block, _add_broken, self._columns)
        except pa.ArrowException as error:
            raise unreadable(self.place, f"after row {first}: {str(error).splitlines()[0][:200]}") from error
        known = {**self.kinds}
        count = table.num_rows + len(broken)
        piece = Piece(first, count, table, broken=tuple(broken), written="any", loose=True)
        piece = parse_texts(piece, self.wanted, self.kinds)
        # After a block that could not be read as numbers the next ones cannot be either, unless it showed new kinds.
        self._direct = self._direct and (not texts or known != self.kinds)
        return piece

    def _numbers(self, block: bytes, on_broken: Any) -> pa.RecordBatch | None:
        """Read a block faster, if all features are finite numbers that float64 holds; otherwise return None."""
        import pyarrow as pa

        features = {name for name in self.wanted.features if self.kinds.get(name, "number") == "number"}
        try:
            table = self._parsed(block, on_broken, self._columns, numbers=features)
        except pa.ArrowInvalid:
            return None
        whole = []
        for name in features if len(table) else ():
            column = table.column(name)
            values = column.to_numpy(zero_copy_only=False)
            if column.null_count:
                if name in self._never_missing:  # such rows are rejected together with their text
                    return None
                values = values[column.is_valid().to_numpy(zero_copy_only=False)]
            # Both are false if there is a NaN.
            if len(values) and not (values.min() >= -MAX_WHOLE and values.max() <= MAX_WHOLE):
                return None
            if name in self._inferred and len(values) and float(values[0]).is_integer():  # it may hold digits alone
                whole.append(name)
        return None if whole and _has_leading_zero(block) and self._are_levels(block, whole) else table

    def _are_levels(self, block: bytes, names: list[str]) -> bool:
        """Whether one of these columns has digits that begin with a zero."""
        from pyarrow import compute

        table = self._parsed(block, lambda _: "skip", names)
        found = (compute.match_substring_regex(column, LEADING_ZERO) for column in table.columns)
        return any(compute.any(each).as_py() for each in found)

    def _parsed(
        self, block: bytes, on_broken: Any, names: list[str], *, numbers: Collection[str] = ()
    ) -> pa.RecordBatch:
        """Return some columns of a block of whole rows; `numbers` as numbers, the others as text.

        A row of another width is passed to `on_broken`.
        """
        import pyarrow as pa
        from pyarrow import csv as arrow

        data = self._numbered_header + block
        types = {self._numbers_of[name]: pa.float64() if name in numbers else pa.string() for name in names}
        table = arrow.read_csv(
            pa.BufferReader(data),
            read_options=arrow.ReadOptions(use_threads=False, block_size=len(data) + 1),
            parse_options=arrow.ParseOptions(newlines_in_values=True, invalid_row_handler=on_broken),
            convert_options=arrow.ConvertOptions(
                include_columns=list(types),
                column_types=types,
                null_values=[] if self.wanted.columns is None else [*MISSING_TEXTS],  # for numbers alone
                strings_can_be_null=False,
                check_utf8=False,  # it is faster to check the block whole, as `_check_text` does
            ),
        )
        return pa.RecordBatch.from_arrays([column.chunk(0) for column in table.columns], names)


def _has_leading_zero(block: bytes) -> bool:
    """Whether a value may be digits that begin with a zero; the answer is never wrongly False."""
    import numpy as np

    if block[:1] == b"0" and block[1:2].isdigit():
        return True
    whole = np.frombuffer(block, dtype=np.uint8)
    for start in range(0, len(block), _SLICE):
        around = whole[start : start + _SLICE + 2]
        before, behind = around[:-2], around[2:]
        found = around[1:-1] == ord("0")
        found &= (behind - ord("0")) < 10  # the difference is unsigned, and large for bytes below "0"
        found &= before < ord(".")  # true for separators, quotes, blanks and signs
        if found.any():
            return True
    return False


def _positions(block: bytes, byte: int) -> NDArray[np.int64]:
    import numpy as np

    return np.flatnonzero(np.frombuffer(block, dtype=np.uint8) == byte)


def _check_text(place: str, block: bytes, line: int) -> int | None:
    """Refuse what Arrow would misread: bytes that are no UTF-8, and quotes that join rows.

    Returns:
        The number of the first line whose end is inside quotes, or None; the block begins with the line `line`.

    Raises:
        DataRejected: it is no UTF-8, or a quote is in the middle of a value or not closed.
    """
    if not block.isascii():
        try:
            block.decode()
        except UnicodeDecodeError as error:
            raise _no_utf8(place, error, line + block.count(_LINE_FEED, 0, error.start)) from error
    if _QUOTE not in block:
        return None
    wrong = _misplaced_quote(block)
    if wrong is not None:
        where = f"line {line + block.count(_LINE_FEED, 0, wrong)}"
        message = f"{where}: a quote must enclose the whole value, be doubled inside it, and be closed"
        hint = "write a quote inside a value twice, or take it away"
        raise unreadable(place, message, rule="quote-misplaced", hint=hint)
    ends = _positions(block, _LINE_FEED)
    inside = ends[_positions(block, _QUOTE).searchsorted(ends) % 2 == 1]
    return line + block.count(_LINE_FEED, 0, int(inside[0])) if len(inside) else None


def _no_utf8(place: str, error: UnicodeDecodeError, line: int) -> DataRejected:
    return not_utf_8(place, f"line {line} is no UTF-8: its byte 0x{error.object[error.start]:02x} cannot be decoded")


def _misplaced_quote(block: bytes) -> int | None:
    """Return the position of the first quote that breaks RFC 4180; None if there is none.

    A quote begins or ends a value, or is one of two inside a quoted value.
    """
    import numpy as np

    quotes = _positions(block, _QUOTE)
    around = np.frombuffer(b"\n" + block + b"\n", dtype=np.uint8)  # whole rows: lines end before and behind them
    borders = [_QUOTE, _COMMA, _LINE_FEED, _RETURN]
    opening, closing = quotes[::2], quotes[1::2]
    wrong = [*opening[~np.isin(around[opening], borders)][:1], *closing[~np.isin(around[closing + 2], borders)][:1]]
    if len(quotes) % 2:
        wrong.append(quotes[-1])
    return int(min(wrong)) if wrong else None


def _read_header(place: str, block: bytes) -> tuple[bytes, list[str]]:
    """Return the first rows without the header, and the names in it; none if the file is empty.

    Raises:
        DataRejected: it has no header, is no UTF-8, or a quote in the header is not closed.
    """
    if not block.strip():
        return b"", []
    line, _, rest = block.partition(b"\n")
    try:
        names = next(csv.reader([line.decode().rstrip("\r")], strict=True), [])
    except UnicodeDecodeError as error:
        raise _no_utf8(place, error, 1) from error
    except csv.Error as error:
        raise unreadable(place, f"the header cannot be read: {error}", hint="mend the quotes in line 1") from error
    if not names:
        raise unreadable(place, "there is no header", hint="write the columns' names into the first line")
    return rest, names


def _other_table_hint(place: str, names: list[str]) -> str | None:
    """Return a hint about a first line that is no header of this format; None if it may be one."""
    if names and re.fullmatch(r"sep=.?", names[0]) and not any(names[1:]):
        return f"its first line is one for Excel alone; leave it out: {without_first_line(place)}"
    found = next((sign for sign in _SEPARATORS if sign in names[0]), None) if len(names) == 1 else None
    if found is None:
        return None
    looks = f"it looks like values that are separated by {_SEPARATORS[found]}, and they must be separated by commas"
    return f"{looks}: {with_commas(place, found)}"


def _repeated_hint(place: str, names: list[str]) -> str | None:
    """Return a hint about names that stand twice; None if none does."""
    if len(set(names)) == len(names):
        return None
    below = f"if the header stands below, leave each line above it out: {without_first_line(place)}"
    return f"write each column's name once into the first line; {below}"
