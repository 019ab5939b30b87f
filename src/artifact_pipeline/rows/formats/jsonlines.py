"""JSON Lines: an object a line, read one by one, so that a bad line has its row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from artifact_pipeline.rows.batches import Piece, Rejected
from artifact_pipeline.rows.faults import unfit
from artifact_pipeline.rows.formats.beginnings import refuse_other_formats
from artifact_pipeline.rows.formats.jsonrows import HALF, AnsweredRows, BadLineError, LearnedRows, object_of
from artifact_pipeline.rows.formats.opening import choose_columns
from artifact_pipeline.rows.formats.streams import StreamReader, cut_after_rows, unpacked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from artifact_pipeline.rows.batches import Wanted
    from artifact_pipeline.rows.formats.jsonrows import Row
    from artifact_pipeline.rows.formats.streams import Hashed
    from artifact_pipeline.rows.sources import Source


_BLOCK = 1 << 20
"""Bytes that are read at once: Python's objects are large."""
BOM = b"\xef\xbb\xbf"


class JsonLinesReader(StreamReader):
    """An open file of JSON Lines; attributes as in `Reader`."""

    total = None

    def __init__(self, source: Source, wanted: Wanted, stream: Hashed, block: int = _BLOCK) -> None:
        self._stream, self.stamp = stream, stream.stamp
        self._blocks = cut_after_rows(source.place, unpacked(stream, source), block, lambda data: data.rfind(b"\n") + 1)
        beginning = next(self._blocks, b"")
        refuse_other_formats(source.place, beginning)
        self._first = _lines_of(beginning.removeprefix(BOM))
        there = list(dict.fromkeys(key for line in self._first for key in _keys(line)))
        columns, self.left_out = choose_columns(source.place, there, wanted) if there else ([], ())
        if wanted.learning and self._first and not there:
            _refuse_first(source.place, self._first[0])
        self.names, self.notes = tuple(there), ()
        self._columns = columns or wanted.columns([wanted.target])
        kind = LearnedRows if wanted.learning else AnsweredRows
        self._rows = kind(wanted, self._columns[len(wanted.features) :], there)
        self.kinds = self._rows.kinds

    def pieces(self, start: int) -> Iterator[Piece]:  # noqa: ARG002 - lines are read from the beginning
        """All rows."""
        first = 0
        for lines in self._all():
            yield self._piece(first, lines)
            first += len(lines)

    def _all(self) -> Iterator[list[bytes]]:
        yield self._first
        for block in self._blocks:
            yield _lines_of(block)

    def _piece(self, first: int, lines: list[bytes]) -> Piece:
        import numpy as np

        found = [self._rows.read(number, line) for number, line in enumerate(lines, first)]
        rows = [each for each in found if not isinstance(each, Rejected)]
        broken = tuple(each for each in found if isinstance(each, Rejected))
        numbers = np.arange(first, first + len(lines))
        if broken:
            numbers = np.setdiff1d(numbers, [each.row for each in broken], assume_unique=True)
        firsts, self._rows.firsts = tuple(self._rows.firsts.values()), {}
        return Piece(first, len(lines), self._table(rows), numbers, broken, written=self._rows.written, firsts=firsts)

    def _table(self, rows: list[Row]) -> Any:
        """Rows as columns: features as numbers, the others as text, since nobody says what type the next line has."""
        import numpy as np
        import pyarrow as pa

        width = len(self._columns) - len(self._rows.texts)
        matrix = np.array([numbers for numbers, _ in rows], dtype=np.float64).reshape(len(rows), width)
        texts = list(zip(*[texts for _, texts in rows], strict=True)) or [()] * len(self._rows.texts)
        columns = [pa.array(column) for column in np.ascontiguousarray(matrix.T)]
        columns += [pa.array(column, pa.string()) for column in texts]
        return pa.RecordBatch.from_arrays(columns, self._columns)


def _refuse_first(place: str, line: bytes) -> NoReturn:
    """Refuse a table whose first line tells no columns."""
    rule, message = "column-missing", "is an object without a key"
    try:
        if object_of(line):  # Python reads what no UTF-8 can write
            rule, message = "json-invalid", HALF
    except BadLineError as bad:
        rule, message = bad.rule, str(bad)
    raise unfit(f"{place}, row 0", [(rule, message)], hint="write one object in JSON a line, each column as a key")


def _lines_of(block: bytes) -> list[bytes]:
    """The lines that are not blank; only these are rows."""
    return [line for line in block.split(b"\n") if line.strip()]


def _keys(line: bytes) -> list[str]:
    """The keys of a line, or nothing where it is no object."""
    try:
        value = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    return list(value) if isinstance(value, dict) else []
