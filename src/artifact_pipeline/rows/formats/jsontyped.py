"""Values of JSON Lines with kinds of columns: numbers, booleans, categories, and null for a missing value."""

from __future__ import annotations

import re
from operator import contains
from typing import TYPE_CHECKING, Any

import msgspec

from artifact_pipeline.rows.batches import Rejected
from artifact_pipeline.rows.faults import reason
from artifact_pipeline.rows.features import category_columns, number_columns
from artifact_pipeline.rows.formats.jsonvalues import (
    BadLineError,
    Lines,
    check_text,
    json_of,
    object_of,
    picker,
    raw,
    text_of,
)
from artifact_pipeline.rows.kinds import SIGNED_NUMBER
from artifact_pipeline.rows.limits import MAX_SHOWN, MAX_WHOLE
from artifact_pipeline.rows.values import FALSE, MISSING_TEXTS, TRUE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pyarrow as pa

    from artifact_pipeline.rows.batches import Wanted
    from artifact_pipeline.rows.formats.jsonvalues import Row

_NUMBER = re.compile(SIGNED_NUMBER)
_GROUPS = {int: "number", float: "number", bool: "boolean", str: "text"}
"""The kind of values of each type of Python's."""
_MAX_DIGITS = 4000
"""Digits of a whole number that Python converts."""


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, str) and value.strip(" \t") in MISSING_TEXTS)


class TypedLines(Lines):
    """Reads lines that a model of format 2 answers, whose columns have kinds."""

    def __init__(self, wanted: Wanted, texts: Sequence[str], there: Sequence[str]) -> None:
        columns = wanted.columns or ()
        super().__init__(wanted, [*(each.name for each in category_columns(columns)), *texts], there)
        self._about = {each.name: each for each in columns}
        numbers = number_columns(columns)
        self._numbers = tuple(each.name for each in numbers)
        self._features = picker(self._numbers)
        own: dict[str, set[type]] = {"number": {int, float}, "boolean": {bool}}
        self._allowed = [own[each.kind] | ({type(None)} if each.nullable else set()) for each in numbers]

    def _are_plain(self, numbers: tuple[Any, ...]) -> bool:
        """Whether all are numbers that float64 holds, booleans of boolean columns, or missing in nullable columns."""
        if not all(map(contains, self._allowed, map(type, numbers))):
            return False
        return all(-MAX_WHOLE <= each <= MAX_WHOLE for each in numbers if type(each) is int)

    def _number(self, name: str, value: object) -> float:
        about = self._about[name]
        if _is_missing(value) and about.nullable:
            return float("nan")
        if isinstance(value, str):
            text = value.strip(" \t")
            if _is_missing(value):
                raise self._bad("missing", name, "")
            if about.kind == "boolean" and text in {*TRUE, *FALSE}:
                return float(text in TRUE)
            value = raw(text) if _NUMBER.match(text) else value
        number = super()._number(name, value)
        if about.kind == "boolean" and number not in {0.0, 1.0}:
            raise self._bad("not-a-boolean", name, text_of(value))
        return number

    def _text(self, name: str, value: object) -> str | None:
        if name not in self._about or value is None:
            return super()._text(name, value)
        if isinstance(value, list | dict):
            raise self._bad("nested", name, json_of(value))
        text = level_of(value)
        if text is None:
            raise self._bad("not-a-level", name, text_of(value))
        check_text(name, text)
        return text


def level_of(value: object) -> str | None:
    """Return a value of JSON as the text of a level; None if it is none."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    text = repr(value) if isinstance(value, float) else json_of(value)
    if text.lstrip("-").isdigit():
        return str(int(text)) if len(text) < _MAX_DIGITS else text
    number = float(text)
    return str(int(number)) if number.is_integer() and abs(number) <= MAX_WHOLE else None


class LearnedLines(Lines):
    """Reads lines that a model learns from, whose columns are of any kind.

    A row has Python's values. A column of the table gets the type of its values. The first column of `texts` are the
    labels, if there are any; all of them must have the type of the first label.
    """

    def __init__(self, wanted: Wanted, texts: Sequence[str], there: Sequence[str]) -> None:
        super().__init__(wanted, texts, there)
        self._kind_of_labels: type | None = None

    def _fast_texts(self, row: dict[str, Any]) -> list[str | None] | None:
        values = [row.get(name) for name in self.texts]
        labels, others = values[:1], values[1:]
        plain = row.keys() <= self._there and all(type(each) is self._kind_of_labels for each in labels)
        if not plain or not {type(each) for each in others} <= {str, int, type(None)}:
            return None
        return [*map(str, labels), *(str(each) if isinstance(each, int) else each for each in others)]

    def _are_plain(self, numbers: tuple[Any, ...]) -> bool:
        types = set(map(type, numbers))
        if not types <= {int, float, str, bool, type(None)}:
            return False
        return int not in types or all(-MAX_WHOLE <= each <= MAX_WHOLE for each in numbers if type(each) is int)

    def _read_checked(self, number: int, line: bytes) -> Row:
        """Return a row; a bad value is missing in it, and the first one of each column is added to `firsts`."""
        row = object_of(line, number=raw)
        late = next((name for name in row if name not in self._there), None)
        if late is not None:
            raise self._bad("column-late", late, "")

        def _checked(read: Callable[[str, object], Any], name: str) -> Any:
            try:
                return read(name, row.get(name))
            except BadLineError as bad:
                self.firsts.setdefault(name, self._rejected(number, line, bad))
                return None

        values = [_checked(self._value, name) for name in self._numbers]
        labels, others = self.texts[:1], self.texts[1:]
        texts = [_checked(self._label_of, name) for name in labels]
        return values, [*texts, *(_checked(self._text, name) for name in others)]

    def _value(self, name: str, value: object) -> object:
        """Return a value of Python's; a number is one that float64 holds."""
        if isinstance(value, list | dict):
            raise self._bad("nested", name, json_of(value))
        if isinstance(value, str):
            check_text(name, value)
        if not isinstance(value, msgspec.Raw):
            return value
        text = json_of(value)
        if self.kinds.get(name) == "category":
            return level_of(value) or float(text)
        return self._float(name, text)

    def _label_of(self, name: str, value: object) -> str | None:
        """Return a label as text; it must have the type of the labels before it."""
        if value is None:
            return None
        text = text_of(value)
        kind = int if isinstance(value, msgspec.Raw) else type(value)
        if kind not in {str, bool, int} or self._kind_of_labels not in {None, kind}:
            as_before = {int: "a number, as those before it", str: "text, as those before it"}
            must = as_before.get(self._kind_of_labels or object, "text, a whole number, true or false")
            message = f"a label must be {must}, got {json_of(value):.{MAX_SHOWN}}"
            raise BadLineError("label-invalid", message, name, text)
        self._kind_of_labels = kind
        self.written = "number" if kind is int else "text"
        if isinstance(value, msgspec.Raw):
            number = float(text)
            return str(int(number)) if number.is_integer() and abs(number) <= MAX_WHOLE else text
        check_text(name, text)
        return str(value) or None

    def table(self, rows: list[Row], numbers: Sequence[int]) -> pa.RecordBatch:
        """Convert rows into columns, each of the type of its values; a column of several types becomes all null."""
        import pyarrow as pa

        values = list(zip(*[values for values, _ in rows], strict=True)) or [()] * len(self._numbers)
        labels = list(zip(*[texts for _, texts in rows], strict=True)) or [()] * len(self.texts)
        columns = [
            self._array(name, [None if _is_missing(each) else each for each in column], numbers)
            for name, column in zip(self._numbers, values, strict=True)
        ]
        columns += [pa.array(column, pa.string()) for column in labels]
        return pa.RecordBatch.from_arrays(columns, [*self._numbers, *self.texts])

    def _array(self, name: str, values: list[Any], numbers: Sequence[int]) -> pa.Array:
        import numpy as np
        import pyarrow as pa

        groups = [None if each is None else _GROUPS[type(each)] for each in values]
        first = next((each for each in groups if each is not None), None)
        if first is None:
            return pa.nulls(len(values))
        odd = next((at for at, each in enumerate(groups) if each not in {None, first}), None)
        if odd is None and first == "number":
            return pa.array(np.array(values, dtype=np.float64), from_pandas=True)
        if odd is None:
            return pa.array(values)
        if name in self.kinds:
            return self._given_array(name, values, numbers)
        shown = text_of(values[odd])[:MAX_SHOWN]
        self._add_first(numbers[odd], name, shown, "mixed-kinds")
        return pa.nulls(len(values))

    def _given_array(self, name: str, values: list[Any], numbers: Sequence[int]) -> pa.Array:
        """Convert values of several types into texts, for a column whose kind is given."""
        import pyarrow as pa

        texts = [None if each is None else level_of(each) for each in values]
        for at, each in enumerate(values):
            if each is not None and texts[at] is None:  # a number that is no whole one
                texts[at] = repr(each)
                if self.kinds[name] == "category":
                    self._add_first(numbers[at], name, each, "not-a-level")
        return pa.array(texts, pa.string())

    def _add_first(self, number: int, name: str, value: str | float, rule: str) -> None:
        """Add a fault of a row, unless its column has one."""
        message = reason(rule, name, value, self._wanted)
        self.firsts.setdefault(name, Rejected(number, name, str(value), rule, message, {}))
