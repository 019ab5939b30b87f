"""Why rows and files are refused: a sentence for each rule, and the first fault of each bad row."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any

from artifact_pipeline.errors import DataRejected, Problem, listing
from artifact_pipeline.rows.batches import Piece, Rejected, Wanted
from artifact_pipeline.rows.limits import MAX_LISTED, MAX_SHOWN, MAX_VALUE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

RULES = {
    "missing": "the value is missing",
    "not-a-number": "{value!r} is not a number",
    "not-finite": "{value} is not a finite number of at most {limit:.0e}",
    "not-exact": "{value} may be no float64; whole numbers must be between -2^53 and 2^53",
    "not-a-boolean": "{value!r} is neither true nor false, as the values before it are",
    "too-many-digits": "{value} has more digits than a float64 holds",
    "out-of-range": "{value} is out of the trained range, {low:g} to {high:g} with its margin",
    "label-missing": "the label is missing",
    "column-late": "no row before has this column",
    "label-lines": "{value!r} spans several lines of the file; is a quote missing, or one too many?",
    "label-unknown": "the label {value!r} is none of the model's, which are {labels}",
    "not-a-level": "{value!r} is neither text nor a whole number",
    "level-unknown": "{value!r} is none of the model's levels",
    "mixed-kinds": "{value!r} is of another type than the values before it",
    "nested": "{value} is a list or an object",
    "date": "{value} is a date or a time",
    "split-missing": "the value is missing, and the rows are split by it",
    "not-a-key": "{value} is no text, number, boolean or date, by which rows can be split",
    "not-a-time": "{value!r} is neither a number nor a date or a time as ISO 8601 writes it",
    "mixed-times": "{value!r} is not what the values before it are: numbers, times with a time zone, or times without",
    "null-character": "{value!r} holds a null character",
    "csv-formula": "{value!r} begins like a formula, which a spreadsheet would run; write Parquet or JSON Lines",
}
"""The message about a bad value, by the rule that it breaks."""
_UNFIT_HINTS = {
    "not-a-number": "turn these columns into numbers; the model was trained on numbers",
    "label-invalid": "write the labels as text or whole numbers",
    "not-carried": "leave these columns out of --keep",
    "run-ends": "write these columns without run ends, or leave them out",
    "time-zone": "write the times in UTC, or leave these columns out",
}
"""What to do about a column of another type."""
_MAX_RECORDS = 1024
"""Most bad rows that are held as Python objects."""
_MAX_COMPARED = 5000
"""Most names with which a missing one is compared: each comparison takes some microseconds."""


class Faults:
    """The first fault of each bad row of a piece; if the rows are learned from, the first fault of each column."""

    def __init__(self, piece: Piece, wanted: Wanted) -> None:
        self.piece, self.wanted = piece, wanted
        self.found: dict[int, tuple[str, str]] = {}  # position in the table → column, rule
        self._firsts: dict[str, tuple[int, str]] = {}  # column → position in the table, rule

    def add(self, column: str, rule: str, bad: NDArray[np.bool_] | pa.BooleanArray) -> None:
        """Add a fault of the marked rows; a row, or a column, that has a fault already keeps that one."""
        import numpy as np

        marks = bad if isinstance(bad, np.ndarray) else bad.to_numpy(zero_copy_only=False)
        positions = marks.nonzero()[0].tolist()
        if self.wanted.learning:
            if positions and positions[0] < self._firsts.get(column, (len(marks), ""))[0]:
                self._firsts[column] = positions[0], rule
            return
        for position in positions:
            self.found.setdefault(position, (column, rule))

    def firsts(self) -> tuple[Rejected, ...]:
        """Return the first bad value of each column, if the rows are learned from."""
        return tuple(
            self._rejected([position], {position: (column, rule)})[0]
            for column, (position, rule) in self._firsts.items()
        )

    def good(self) -> NDArray[np.bool_]:
        """Return which rows have no fault, of shape (rows,)."""
        import numpy as np

        good = np.ones(self.piece.table.num_rows, dtype=np.bool_)
        good[list(self.found)] = False
        return good

    def rejected(self) -> list[Rejected]:
        """Return the bad rows, in the order of their numbers."""
        return self._rejected(sorted(self.found), self.found)

    def _rejected(self, positions: list[int], found: dict[int, tuple[str, str]]) -> list[Rejected]:
        import pyarrow as pa

        table = self.piece.table.take(pa.array(positions, pa.int64()))
        values = {name: _json_values(table.column(name)) for name in {column for column, _ in found.values()}}
        numbers, records = self.piece.row_numbers()[positions].tolist(), _Records(table)
        rejected = []
        for index, (position, row) in enumerate(zip(positions, numbers, strict=True)):
            column, rule = found[position]
            value = values[column][index]
            shown = f"{'' if value is None else value!s:.{MAX_SHOWN}}"
            message = reason(rule, column, shown if isinstance(value, str) else value, self.wanted)
            rejected.append(Rejected(row, column, shown, rule, message, partial(records.at, index)))
        return rejected


class _Records:
    """Rows of a table as JSON objects, of which only some are held at a time, since they are large."""

    def __init__(self, table: pa.RecordBatch) -> None:
        self._table, self._start = table, 0
        self._made: list[dict[str, Any]] = []

    def at(self, index: int) -> dict[str, Any]:
        """Return one row; a value that JSON does not have is text."""
        if not self._start <= index < self._start + len(self._made):
            self._start = index - index % _MAX_RECORDS
            columns = [_json_values(column) for column in self._table.slice(self._start, _MAX_RECORDS).columns]
            names = self._table.schema.names
            self._made = [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
        return self._made[index - self._start]


def python_values(column: pa.Array) -> list[Any]:
    """Return a column as Python objects; times are texts, since Python has no nanoseconds, and no year 10,000."""
    import pyarrow as pa

    if pa.types.is_temporal(column.type) and not pa.types.is_interval(column.type):
        column = column.cast(pa.string())
    values: list[Any] = column.to_pylist()
    return values


def _json_values(column: pa.Array) -> list[Any]:
    return [_json_value(value) for value in python_values(column)]


def _json_value(value: Any) -> Any:
    if isinstance(value, float) and not abs(value) < float("inf"):
        return str(value)
    return value if value is None or isinstance(value, str | int | float) else str(value)


def reason(rule: str, column: str, value: object, wanted: Wanted) -> str:
    """Return the message of a rule about a value of a column."""
    low = high = 0.0
    if rule == "out-of-range":
        assert wanted.low is not None
        assert wanted.high is not None
        index = wanted.features.index(column)
        low, high = float(wanted.low[index]), float(wanted.high[index])
    labels = _listed_labels(wanted.classes) if rule == "label-unknown" else ""
    return RULES[rule].format(value=value, low=low, high=high, limit=MAX_VALUE[wanted.dtype], labels=labels)


@cache
def _listed_labels(classes: tuple[int | str, ...]) -> str:
    """Return the first labels of a model, quoted if they are text."""
    return listing([f"{each!r:.40}" for each in classes], 5)


def unfit(place: str, *problems: tuple[str, str], hint: str | None = None) -> DataRejected:
    """Return the error for a file whose columns are not the model's; each problem is a rule and a message."""
    found = [Problem(place, rule, message) for rule, message in problems[:MAX_LISTED]]
    if len(problems) > MAX_LISTED:
        found.append(Problem(place, problems[MAX_LISTED][0], f"and {len(problems) - MAX_LISTED:,} more"))
    hint = hint or next((_UNFIT_HINTS[rule] for rule, _ in problems if rule in _UNFIT_HINTS), None)
    return DataRejected("the rows do not fit the model", problems=found, hint=hint)


def listed_names(names: Sequence[str]) -> str:
    """Return names in quotes; of very many the first ones, and their number."""
    return listing([repr(name) for name in names], MAX_LISTED)


def meant_names(missing: Sequence[str], there: Sequence[str]) -> str:
    """Return a hint: the names that are similar to the first missing ones, and the names that are there."""
    import difflib

    lower = {each.lower().strip(): each for each in there[:_MAX_COMPARED] if len(each) <= 64}
    first = [name.lower().strip() for name in missing[:MAX_LISTED] if len(name) <= 64]
    close = [difflib.get_close_matches(name, lower, n=1) for name in first]
    near = list(dict.fromkeys(lower[found[0]] for found in close if found))
    meant = f"did you mean {listed_names(near)}? " if near else ""
    return f"{meant}it has: {listed_names(there)}" if there else "it has no columns"
