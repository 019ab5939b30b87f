"""JSON Lines: an object a line, read one by one, so that a bad line has its row."""

from __future__ import annotations

import json
from collections import Counter
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import msgspec

from artifact_pipeline.rows.batches import MAX_SHOWN, Piece, Rejected
from artifact_pipeline.rows.faults import reason
from artifact_pipeline.rows.formats import choose_columns
from artifact_pipeline.rows.formats.streams import StreamReader, cut_after_rows, unpacked
from artifact_pipeline.rows.tables import MAX_WHOLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from artifact_pipeline.rows.batches import Wanted
    from artifact_pipeline.rows.formats.streams import Hashed
    from artifact_pipeline.rows.sources import Source

    Row = tuple[Sequence[float], list[str | None]]

BLOCK = 1 << 20
"""Bytes that are read at once: Python's objects are large."""
BOM = b"\xef\xbb\xbf"


class JsonLinesReader(StreamReader):
    """An open file of JSON Lines; attributes as in `Reader`."""

    total = None

    def __init__(self, source: Source, wanted: Wanted, stream: Hashed, block: int = BLOCK) -> None:
        self._stream, self.stamp = stream, stream.stamp
        self._blocks = cut_after_rows(source.place, unpacked(stream, source), block, lambda data: data.rfind(b"\n") + 1)
        self._first = lines_of(next(self._blocks, b"").removeprefix(BOM))
        there = list(dict.fromkeys(key for line in self._first for key in _keys(line)))
        columns, self.left_out = choose_columns(source.place, there, wanted) if there else ([], ())
        self._columns = columns or wanted.columns([wanted.target])
        self._rows = _Rows(wanted, self._columns[len(wanted.features) :])

    def pieces(self, start: int) -> Iterator[Piece]:  # noqa: ARG002 - lines are read from the beginning
        """All rows."""
        first = 0
        for lines in self._all():
            yield self._piece(first, lines)
            first += len(lines)

    def _all(self) -> Iterator[list[bytes]]:
        yield self._first
        for block in self._blocks:
            yield lines_of(block)

    def _piece(self, first: int, lines: list[bytes]) -> Piece:
        import numpy as np

        found = [self._rows.read(number, line) for number, line in enumerate(lines, first)]
        rows = [each for each in found if not isinstance(each, Rejected)]
        broken = tuple(each for each in found if isinstance(each, Rejected))
        numbers = np.arange(first, first + len(lines))
        if broken:
            numbers = np.setdiff1d(numbers, [each.row for each in broken], assume_unique=True)
        return Piece(first, len(lines), self._table(rows), numbers, broken, typed=False)

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


def lines_of(block: bytes) -> list[bytes]:
    """The lines that are not blank; only these are rows."""
    return [line for line in block.split(b"\n") if line.strip()]


def _keys(line: bytes) -> list[str]:
    """The keys of a line, or nothing where it is no object."""
    try:
        value = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    return list(value) if isinstance(value, dict) else []


class BadLineError(Exception):
    """Why a line is no row: the column, the value, the rule and its words."""

    def __init__(self, rule: str, message: str, column: str = "", value: str | None = None) -> None:
        super().__init__(message)
        self.rule, self.column, self.value = rule, column, value


class _Rows:
    """Reads lines, each by itself: the plain ones fast; all others, the bad ones among them, with care."""

    def __init__(self, wanted: Wanted, texts: Sequence[str]) -> None:
        self.texts, self._wanted = texts, wanted
        self._label = type(wanted.classes[0]) if wanted.classes else str
        self._decode: Callable[[bytes], Any] = msgspec.json.Decoder().decode
        self._features = _picker(wanted.features)

    def read(self, number: int, line: bytes) -> Row | Rejected:
        """The features as numbers and the others as text, or why the line is no row."""
        try:
            return self._plain(line) or self._careful(line)
        except BadLineError as bad:
            text = line.decode("utf-8", "backslashreplace").strip()
            value = text if bad.value is None else bad.value
            return Rejected(number, bad.column, value[:MAX_SHOWN], bad.rule, str(bad), text)

    def _plain(self, line: bytes) -> Row | None:
        """A line of numbers and texts, if nothing in it needs a second look."""
        try:
            row = self._decode(line)
            # As many colons as keys: then none stands twice, of which the decoder would keep the last.
            if type(row) is not dict or line.count(b":") != len(row):
                return None
            numbers: tuple[Any, ...] = self._features(row)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError):
            return None
        kinds = set(map(type, numbers))
        if not kinds <= {int, float} or (int in kinds and not -MAX_WHOLE <= min(numbers) <= max(numbers) <= MAX_WHOLE):
            return None
        texts = [row.get(name) for name in self.texts]
        if not {type(each) for each in texts} <= {str, int, type(None)}:
            return None
        if not isinstance(row.get(self._wanted.target), self._label | None):
            return None
        return numbers, [str(each) if isinstance(each, int) else each for each in texts]

    def _careful(self, line: bytes) -> Row:
        row = object_of(line, number=_raw)
        numbers = [self._number(name, row.get(name)) for name in self._wanted.features]
        return numbers, [self._text(name, row.get(name)) for name in self.texts]

    def _number(self, name: str, value: object) -> float:
        if value is None:
            raise self._bad("missing", name, "")
        if not isinstance(value, msgspec.Raw):
            raise self._bad("not-a-number", name, value if isinstance(value, str) else _json(value))
        text = _json(value)
        number = float(text)
        if not abs(number) <= MAX_WHOLE and text.lstrip("-").isdigit():
            raise self._bad("not-exact", name, text)
        if abs(number) == float("inf"):
            raise self._bad("not-finite", name, text)
        return number

    def _text(self, name: str, value: object) -> str | None:
        """A value as text: a number as it is written, what is nested as JSON."""
        if value is None or value == "":
            return None if value is None else ""
        try:
            text = value if isinstance(value, str) else _json(value)
            text.encode()
        except (UnicodeEncodeError, RecursionError) as error:
            raise BadLineError("json-invalid", "holds half a character, or is nested too deeply", name, "") from error
        if name == self._wanted.target and isinstance(value, msgspec.Raw) != (self._label is int):
            raise self._bad("label-unknown", name, text)
        return text

    def _bad(self, rule: str, name: str, value: str) -> BadLineError:
        return BadLineError(rule, reason(rule, name, value[:MAX_SHOWN], self._wanted), name, value)


def _picker(names: Sequence[str]) -> Callable[[dict[str, Any]], tuple[Any, ...]]:
    """What takes some values from a dict, as a tuple however many they are."""
    return itemgetter(*names) if len(names) > 1 else lambda row: tuple(row[name] for name in names)


def object_of(line: bytes, number: Callable[[str], Any] | None = None) -> dict[str, Any]:
    """A line as an object, no key of which stands twice.

    Args:
        line: UTF-8.
        number: makes something of a number's text; None makes Python's int or float.

    Raises:
        BadLineError: it is none.
    """
    try:
        text = line.decode()
        row = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=number, parse_int=number
        )
    except (ValueError, RecursionError) as error:  # a UnicodeDecodeError is a ValueError too
        where = f"{error.msg}, at character {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)
        raise BadLineError("json-invalid", f"is not an object in JSON: {where}") from error
    if not isinstance(row, dict):
        raise BadLineError("json-invalid", "is not an object in JSON")
    return row


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        name = next(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
        raise BadLineError("duplicate-key", f"the key {name!a} stands twice")
    return value


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no number of JSON")


def _raw(text: str) -> msgspec.Raw:
    return msgspec.Raw(text.encode())


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
