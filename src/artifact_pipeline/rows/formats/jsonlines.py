"""JSON Lines: each line is an object, and is read by itself, so that a bad line is one bad row."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, NoReturn

import msgspec

from artifact_pipeline.rows.batches import Piece, Rejected
from artifact_pipeline.rows.faults import unfit
from artifact_pipeline.rows.formats.jsontyped import LearnedLines, TypedLines
from artifact_pipeline.rows.formats.jsonvalues import NOT_ENCODABLE, BadLineError, Lines, object_of
from artifact_pipeline.rows.formats.opening import choose_columns
from artifact_pipeline.rows.formats.streams import TextReader

if TYPE_CHECKING:
    from collections.abc import Iterator


class JsonLinesReader(TextReader):
    """An open file of JSON Lines."""

    def begin(self, block: bytes) -> None:
        """Find the columns in the keys of the first lines."""
        self._first, wanted = _lines_of(block), self.wanted
        there = list(dict.fromkeys(key for line in self._first for key in _keys(line)))
        columns, self.left_out = choose_columns(self.place, there, wanted) if there else ([], ())
        if wanted.learning and self._first and not there:
            _refuse_first(self.place, self._first[0])
        self.names = tuple(there)
        kind = LearnedLines if wanted.learning else Lines if wanted.columns is None else TypedLines
        self._lines = kind(wanted, (columns or wanted.to_read([wanted.target]))[len(wanted.features) :], there)
        self.kinds = self._lines.kinds

    def end_of_rows(self, block: bytes) -> int:
        """Return where the last whole line ends."""
        return block.rfind(b"\n") + 1

    def pieces(self, start: int) -> Iterator[Piece]:  # noqa: ARG002 - lines are read from the beginning
        """Yield all rows."""
        first = 0
        for lines in chain([self._first], map(_lines_of, self.blocks)):
            yield self._piece(first, lines)
            first += len(lines)

    def _piece(self, first: int, lines: list[bytes]) -> Piece:
        rows, numbers, broken = [], [], []
        for number, line in enumerate(lines, first):
            found = self._lines.read(number, line)
            if isinstance(found, Rejected):
                broken.append(found)
            else:
                rows.append(found)
                numbers.append(number)
        table = self._lines.table(rows, numbers)
        firsts, self._lines.firsts = tuple(self._lines.firsts.values()), {}
        return Piece(first, len(lines), table, broken=tuple(broken), written=self._lines.written, firsts=firsts)


def _lines_of(block: bytes) -> list[bytes]:
    """Return the lines that are not blank, which are the rows."""
    return [line for line in block.split(b"\n") if line.strip()]


def _keys(line: bytes) -> list[str]:
    """Return the keys of a line; none if it is no object."""
    try:
        value = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    return list(value) if isinstance(value, dict) else []


def _refuse_first(place: str, line: bytes) -> NoReturn:
    """Refuse a table whose first line has no keys."""
    rule, message = "column-missing", "is an object without a key"
    try:
        if object_of(line):  # Python reads characters that UTF-8 cannot encode
            rule, message = "json-invalid", NOT_ENCODABLE
    except BadLineError as bad:
        rule, message = bad.rule, str(bad)
    raise unfit(f"{place}, row 0", (rule, message), hint="write one object in JSON a line, each column as a key")
