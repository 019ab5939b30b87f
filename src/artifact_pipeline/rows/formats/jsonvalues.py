"""Converts a line of JSON Lines into the numbers and the texts of a row, or into the reason why it is no row."""

from __future__ import annotations

import json
from collections import Counter
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import msgspec

from artifact_pipeline.rows.batches import Rejected
from artifact_pipeline.rows.faults import reason
from artifact_pipeline.rows.limits import MAX_SHOWN, MAX_WHOLE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pyarrow as pa

    from artifact_pipeline.rows.batches import Wanted, Written

    Row = tuple[Sequence[Any], list[str | None]]


NOT_ENCODABLE = "holds half a character, or is nested too deeply"


class BadLineError(Exception):
    """Why a line is no row: the rule, the message, the column, and the value; None if the whole line is bad."""

    def __init__(self, rule: str, message: str, column: str = "", value: str | None = None) -> None:
        super().__init__(message)
        self.rule, self.column, self.value = rule, column, value


class Lines:
    """Reads lines that a model of format 1 answers: features as numbers, all other columns as text.

    A line of the usual form is read fast. Any other line is read with a check of each value.

    Attributes:
        texts: the other columns.
        written: the type of labels that are text.
        kinds: the known kinds of the features.
        firsts: the first bad value of each column, if the rows are learned from.
    """

    written: Written = "any"

    def __init__(self, wanted: Wanted, texts: Sequence[str], there: Sequence[str]) -> None:
        self.texts, self.kinds = texts, wanted.known_kinds
        self.firsts: dict[str, Rejected] = {}
        self._wanted, self._there = wanted, frozenset(there)
        self._label: Any = type(wanted.classes[0]) if wanted.classes else str
        self._decode: Callable[[bytes], Any] = msgspec.json.Decoder().decode
        self._numbers = wanted.features
        self._features = picker(self._numbers)
        self._booleans = [kind == "boolean" for kind in self.kinds.values()]

    def read(self, number: int, line: bytes) -> Row | Rejected:
        """Return the features as numbers and the others as text, or why the line is no row."""
        try:
            return self._read_fast(line) or self._read_checked(number, line)
        except BadLineError as bad:
            return self._rejected(number, line, bad)

    def table(self, rows: list[Row], numbers: Sequence[int]) -> pa.RecordBatch:  # noqa: ARG002 - `LearnedLines` needs it
        """Convert rows into columns: features are numbers, the others text, since a later line may have another type.

        Args:
            rows: results of `read`.
            numbers: the number of each of these rows in the file.
        """
        import numpy as np
        import pyarrow as pa

        matrix = np.array([numbers for numbers, _ in rows], dtype=np.float64).reshape(len(rows), len(self._numbers))
        texts = list(zip(*[texts for _, texts in rows], strict=True)) or [()] * len(self.texts)
        columns = [pa.array(column) for column in np.ascontiguousarray(matrix.T)]
        columns += [pa.array(column, pa.string()) for column in texts]
        return pa.RecordBatch.from_arrays(columns, [*self._numbers, *self.texts])

    def _rejected(self, number: int, line: bytes, bad: BadLineError) -> Rejected:
        text = line.decode("utf-8", "backslashreplace").strip()
        value = text if bad.value is None else bad.value
        return Rejected(number, bad.column, value[:MAX_SHOWN], bad.rule, str(bad), text)

    def _read_fast(self, line: bytes) -> Row | None:
        """Return a line of numbers and texts; None if it has to be checked value by value."""
        try:
            row = self._decode(line)
            # With as many colons as keys no key occurs twice; of two the decoder would keep the last one.
            if type(row) is not dict or line.count(b":") != len(row):
                return None
            numbers: tuple[Any, ...] = self._features(row)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError):
            return None
        texts = self._fast_texts(row) if self._are_plain(numbers) else None
        return None if texts is None else (numbers, texts)

    def _fast_texts(self, row: dict[str, Any]) -> list[str | None] | None:
        texts = [row.get(name) for name in self.texts]
        if not {type(each) for each in texts} <= {str, int, type(None)}:
            return None
        if not isinstance(row.get(self._wanted.target), self._label | None):
            return None
        return [str(each) if isinstance(each, int) else each for each in texts]

    def _are_plain(self, numbers: tuple[Any, ...]) -> bool:
        """Whether all are numbers that float64 holds, or booleans in the columns of booleans."""
        kinds = set(map(type, numbers))
        if not kinds <= {int, float, bool}:
            return False
        if bool in kinds and [type(each) is bool for each in numbers] != self._booleans:
            return False
        return int not in kinds or -MAX_WHOLE <= min(numbers) <= max(numbers) <= MAX_WHOLE

    def _read_checked(self, number: int, line: bytes) -> Row:  # noqa: ARG002 - `LearnedLines` needs it
        row = object_of(line, number=raw)
        numbers = [self._number(name, row.get(name)) for name in self._numbers]
        return numbers, [self._text(name, row.get(name)) for name in self.texts]

    def _number(self, name: str, value: object) -> float:
        if value is None:
            raise self._bad("missing", name, "")
        if isinstance(value, bool) and self.kinds.get(name) == "boolean":
            return float(value)
        if not isinstance(value, msgspec.Raw):
            raise self._bad("not-a-number", name, text_of(value))
        return self._float(name, json_of(value))

    def _float(self, name: str, text: str) -> float:
        """Convert a number of JSON into a float64 of the same value."""
        number = float(text)
        if not abs(number) <= MAX_WHOLE and text.lstrip("-").isdigit():
            raise self._bad("not-exact", name, text)
        if abs(number) == float("inf"):
            raise self._bad("not-finite", name, text)
        return number

    def _text(self, name: str, value: object) -> str | None:
        """Convert a value into text: a number as it is written, a nested value as JSON."""
        if value is None:
            return None
        is_label = name == self._wanted.target
        text = str(value) if is_label and isinstance(value, bool) else text_of(value)
        check_text(name, text)
        is_number = isinstance(value, msgspec.Raw)
        if text and is_label and is_number != (self._label is int):
            raise self._bad("label-unknown", name, text, float(text) if is_number else None)
        return text

    def _bad(self, rule: str, name: str, value: str, number: float | None = None) -> BadLineError:
        shown = value[:MAX_SHOWN] if number is None else number
        return BadLineError(rule, reason(rule, name, shown, self._wanted), name, value)


def picker(names: Sequence[str]) -> Callable[[dict[str, Any]], tuple[Any, ...]]:
    """Return a function that returns some values of a dict as a tuple."""
    return itemgetter(*names) if len(names) > 1 else lambda row: tuple(row[name] for name in names)


def object_of(line: bytes, number: Callable[[str], Any] | None = None) -> dict[str, Any]:
    """Return a line as an object that has each key once; `number` converts the text of a number."""
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


def raw(text: str) -> msgspec.Raw:
    """Return a number of JSON as it is written."""
    return msgspec.Raw(text.encode())


def text_of(value: object) -> str:
    """Return a text as it is, and any other value as JSON."""
    return value if isinstance(value, str) else json_of(value)


def json_of(value: object) -> str:
    """Return a value as JSON."""
    try:
        return msgspec.json.encode(value).decode()
    except (UnicodeEncodeError, RecursionError) as error:
        raise BadLineError("json-invalid", NOT_ENCODABLE) from error


def check_text(name: str, text: str) -> None:
    """Refuse the text of a column that UTF-8 cannot encode."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadLineError("json-invalid", NOT_ENCODABLE, name, "") from error
