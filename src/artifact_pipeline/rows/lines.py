"""JSON Lines as a table: the first object names the columns, and all others have the same."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from artifact_pipeline.errors import DataRejected, Problem
from artifact_pipeline.rows.formats.jsonlines import BLOCK, BOM, BadLineError, lines_of, object_of
from artifact_pipeline.rows.formats.streams import Hashed, cut_after_rows
from artifact_pipeline.rows.tables import MAX_INT64, MAX_NUMBER, MAX_WHOLE, number_fault

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pyarrow as pa

    Fault = tuple[str, str]

MARKS = (BOM, b"\xff\xfe", b"\xfe\xff")
"""Byte order marks: UTF-8's, and UTF-16's in both orders."""
MAX_SHOWN = 80
"""Characters of a value that a message shows."""


def read_lines(path: Path, *, target: str, features: Sequence[str] | None) -> pa.Table:
    """Read a file whole: features as float64, labels as int64 or text.

    Args:
        path: an object a line, in UTF-8; blank lines are no rows.
        target: the label's column.
        features: the columns to read beside it; None takes all.

    Raises:
        DataRejected: a line is no object, has a key that the first has not, or a value is neither number nor label.
        OSError: the file cannot be opened.
    """
    table = _Table(path, target, features)
    with path.open("rb") as file:
        blocks = cut_after_rows(str(path), Hashed(str(path), file), BLOCK, lambda data: data.rfind(b"\n") + 1)
        for number, block in enumerate(blocks):
            if number == 0 and block.startswith(MARKS):
                raise table.refused(("unreadable", "must be UTF-8 without a byte order mark"))
            table.add(lines_of(block))
    return table.finish()


class _Table:
    """A table that grows by lines; of numbers it holds float64, not Python's objects."""

    def __init__(self, path: Path, target: str, features: Sequence[str] | None) -> None:
        self._path, self._target, self._features = path, target, features
        self._names: tuple[str, ...] = ()
        self._rows = 0
        self._numbers: dict[str, list[pa.Array]] = {}
        self._labels: list[int | str | None] = []
        self._faults: dict[str, Fault] = {}  # the first of each column

    def add(self, lines: list[bytes]) -> None:
        """Add rows."""
        rows = [self._object(row, line) for row, line in enumerate(lines, self._rows)]
        for name in self._numbers:
            if name not in self._faults:
                self._add_numbers(name, [row.get(name) for row in rows])
        if self._target in self._names and self._target not in self._faults:
            self._add_labels([row.get(self._target) for row in rows])
        self._rows += len(rows)

    def finish(self) -> pa.Table:
        """The table, in the order of the first line; columns that nobody asked for are there and empty."""
        import pyarrow as pa

        if not self._rows:
            raise self.refused(("no-rows", "holds no rows"))
        if self._faults:
            raise self.refused(*(self._faults[name] for name in self._names if name in self._faults))
        columns: dict[str, pa.Array | pa.ChunkedArray] = dict.fromkeys(self._names, pa.nulls(self._rows))
        columns |= {name: pa.chunked_array(pieces, pa.float64()) for name, pieces in self._numbers.items()}
        if self._target in columns:
            columns[self._target] = pa.array(self._labels, pa.int64() if self._kind() is int else pa.string())
        return pa.table(columns)

    def refused(self, *problems: Fault) -> DataRejected:
        """The refusal of the file."""
        return DataRejected("the rows cannot be read", problems=[Problem(str(self._path), *each) for each in problems])

    def _object(self, row: int, line: bytes) -> dict[str, Any]:
        """A line as an object; what it lacks of the first line's keys is told later, as a missing value."""
        try:
            value = object_of(line)
            "".join([*value, *(each for each in value.values() if isinstance(each, str))]).encode()
        except BadLineError as bad:
            raise self.refused((bad.rule, f"row {row}: {bad}")) from bad
        except UnicodeEncodeError as error:
            raise self.refused(("json-invalid", f"row {row}: holds half a character")) from error
        if row == 0:
            self._names = tuple(value)
            wanted = value if self._features is None else self._features
            self._numbers = {name: [] for name in wanted if name in value and name != self._target}
        elif value.keys() - self._names:
            name = next(name for name in value if name not in self._names)
            raise self.refused(("column-missing", f"row 0 has no column {name!r:.{MAX_SHOWN}}, which row {row} has"))
        return value

    def _add_numbers(self, name: str, values: list[Any]) -> None:
        import pyarrow as pa

        for row, value in enumerate(values, self._rows):
            if fault := _number_fault(value):
                self._faults[name] = fault[0], f"column {name!r}, row {row}: {fault[1]}"
                return
        self._numbers[name].append(pa.array(values, pa.float64()))

    def _add_labels(self, values: list[Any]) -> None:
        self._labels += values
        kind = self._kind()
        for row, value in enumerate(values, self._rows):
            if fault := _label_fault(value, kind):
                self._faults[self._target] = "label-invalid", f"row {row}: {fault}"
                return

    def _kind(self) -> type:
        """The type of the first label; a missing one is told later."""
        return next((type(label) for label in self._labels if label is not None), str)


def _number_fault(value: object) -> Fault | None:
    if type(value) is float or type(value) is int or value is None:
        whole = type(value) is int
        good = value is not None and abs(value) <= (MAX_WHOLE if whole else MAX_NUMBER)
        return None if good else number_fault(value, whole=whole)
    return "not-a-number", f"{_shown(value)} is not a number"


def _label_fault(value: object, kind: type) -> str | None:
    if value is None:
        return None
    if type(value) is not kind or kind not in (int, str):
        one = {int: "a whole number, as those before it", str: "text, as those before it"}
        return f"a label must be {one.get(kind, 'a whole number or text')}, got {_shown(value)}"
    if isinstance(value, int) and not -MAX_INT64 - 1 <= value <= MAX_INT64:
        return f"a label must be between -2^63 and {MAX_INT64}, got {_shown(value)}"
    return None


def _shown(value: object) -> str:
    return f"{json.dumps(value):.{MAX_SHOWN}}"
