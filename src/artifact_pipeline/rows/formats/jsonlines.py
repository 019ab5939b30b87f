"""JSON Lines: an object a line, read one by one, so that a bad line has its row."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from artifact_pipeline.rows.batches import MAX_SHOWN, Piece, Rejected
from artifact_pipeline.rows.columns import RULES
from artifact_pipeline.rows.formats import choose_columns
from artifact_pipeline.rows.formats.streams import Hashed, hashed, unpacked
from artifact_pipeline.rows.tables import MAX_WHOLE
from artifact_pipeline.storage import unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from artifact_pipeline.rows.batches import Wanted
    from artifact_pipeline.rows.formats.streams import Unpacked
    from artifact_pipeline.rows.sources import Source

MAX_LINE = 16 << 20
ROWS = 8192
"""Rows a piece: Python's objects are large."""


class JsonLinesReader:
    """An open file of JSON Lines; attributes as in `Reader`."""

    total = None

    def __init__(self, source: Source, wanted: Wanted, stream: Hashed) -> None:
        self._place, self._stream, self.stamp, self._wanted = source.place, stream, stream.stamp, wanted
        self._lines = _lines(source.place, unpacked(stream, source))
        self._first = next(self._lines, None)
        there = _keys(self._first)
        self._columns, self.left_out = choose_columns(source.place, there, wanted) if there else ([], ())

    @classmethod
    @contextmanager
    def open(cls, source: Source, wanted: Wanted, *, digest: bool) -> Iterator[JsonLinesReader]:  # noqa: ARG003 - always
        """Open the file, and read its first line, whose keys tell the columns."""
        with hashed(source) as stream:
            yield cls(source, wanted, stream)

    def done(self) -> float:
        """The share of the file that has been read."""
        return self._stream.done()

    def digest(self) -> str:
        """The SHA-256 of the file's bytes, packed as they are."""
        return self._stream.digest()

    def pieces(self, start: int) -> Iterator[Piece]:  # noqa: ARG002 - lines are read from the beginning
        """All rows."""
        number = 0
        rows: list[list[Any]] = []
        broken: list[Rejected] = []
        columns = self._columns or self._wanted.columns([])
        for number, line in enumerate(self._all()):
            found = _row(number, line, columns, self._wanted)
            if isinstance(found, Rejected):
                broken.append(found)
            else:
                rows.append(found)
            if (number + 1) % ROWS == 0:
                yield self._piece(number + 1, rows, broken, columns)
                rows, broken = [], []
        if rows or broken:
            yield self._piece(number + 1, rows, broken, columns)

    def _all(self) -> Iterator[bytes]:
        if self._first is not None:
            yield self._first
            yield from self._lines

    def _piece(self, end: int, rows: list[list[Any]], broken: list[Rejected], columns: list[str]) -> Piece:
        import numpy as np

        count = len(rows) + len(broken)
        numbers = np.arange(end - count, end)
        if broken:
            numbers = np.setdiff1d(numbers, [each.row for each in broken], assume_unique=True)
        table = _table(rows, columns, len(self._wanted.features))
        return Piece(end - count, count, table, numbers, tuple(broken), typed=False)


def _lines(place: str, content: Hashed | Unpacked) -> Iterator[bytes]:
    """Each line that is not blank.

    Raises:
        DataRejected: a line is longer than 16 MiB.
    """
    rest = b""
    while block := content.read(1 << 20):
        *whole, rest = (rest + block).split(b"\n")
        yield from (line for line in whole if line.strip())
        if len(rest) > MAX_LINE:
            raise unreadable(place, f"a line is longer than {MAX_LINE:,} bytes")
    if rest.strip():
        yield rest


def _keys(line: bytes | None) -> list[str]:
    """The keys of a line, or nothing where it is none."""
    try:
        value = json.loads(line or b"")
    except (ValueError, RecursionError):
        return []
    return list(value) if isinstance(value, dict) else []


class _BadLineError(Exception):
    """Why a line is no row: the column, the value, the rule and its words."""

    def __init__(self, rule: str, message: str, column: str = "", value: object = None) -> None:
        super().__init__(message)
        self.rule, self.message, self.column, self.value = rule, message, column, value


def _row(number: int, line: bytes, columns: list[str], wanted: Wanted) -> list[Any] | Rejected:
    """The wanted values of a line, features first, or why it is none."""
    try:
        row = _object(line)
        for name in wanted.features:
            _check_number(name, row.get(name))
        _check_label(row.get(wanted.target), wanted)
    except _BadLineError as bad:
        text = line.decode("utf-8", "backslashreplace").strip()
        value = (text if bad.value is None else str(bad.value))[:MAX_SHOWN]
        return Rejected(number, bad.column, value, bad.rule, bad.message, text)
    return [row.get(name) for name in columns]


def _object(line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:  # a UnicodeDecodeError is a ValueError too
        message = f"is not an object in JSON: {str(error).splitlines()[0]}"
        raise _BadLineError("json-invalid", message) from error
    if not isinstance(row, dict):
        raise _BadLineError("json-invalid", "is not an object in JSON")
    return row


def _check_number(name: str, value: object) -> None:
    if value is None:
        raise _BadLineError("missing", RULES["missing"], name, "")
    if type(value) not in {int, float}:
        message = RULES["not-a-number"].format(value=str(value)[:MAX_SHOWN])
        raise _BadLineError("not-a-number", message, name, value)
    if isinstance(value, int) and abs(value) > MAX_WHOLE:
        raise _BadLineError("not-exact", RULES["not-exact"].format(value=f"{value:.3e}"), name, "")


def _check_label(label: object, wanted: Wanted) -> None:
    if label is not None and label != "" and type(label) is not type(wanted.classes[0]):
        message = RULES["label-unknown"].format(value=str(label)[:MAX_SHOWN])
        raise _BadLineError("label-unknown", message, wanted.target, label)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a key stands twice")
    return value


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no number of JSON")


def _table(rows: list[list[Any]], columns: list[str], features: int) -> Any:
    """Rows as columns: features as numbers, the others as text, since nobody says what type the next line has."""
    import pyarrow as pa

    by_column = list(zip(*rows, strict=True)) if rows else [() for _ in columns]
    numbers = [pa.array(values, pa.float64()) for values in by_column[:features]]
    texts = [pa.array(map(_text, values), pa.string()) for values in by_column[features:]]
    return pa.RecordBatch.from_arrays([*numbers, *texts], columns)


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)
