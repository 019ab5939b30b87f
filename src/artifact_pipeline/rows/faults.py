"""Why rows and files are refused: the rules in words, and the first fault of each bad row."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from artifact_pipeline.errors import DataRejected, Problem, listing
from artifact_pipeline.rows.batches import Piece, Rejected, Wanted, numbers_of
from artifact_pipeline.rows.limits import MAX_LISTED, MAX_NUMBER, MAX_SHOWN, MAX_SINGLE

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
    "label-unknown": "the label {value!r} is none of the model's",
    "csv-formula": "{value!r} begins like a formula, which a spreadsheet would run; write Parquet or JSON Lines",
}
"""Why a value is bad; the first of them that holds is told."""
_HINTS = {
    "not-a-number": "turn these columns into numbers; the model was trained on numbers",
    "label-invalid": "write the labels as text or whole numbers",
    "not-carried": "leave these columns out of --keep",
}
"""What to do about a column of another type, by the rule."""
_AT_ONCE = 1024
"""Bad rows that are held as Python's objects."""


class Faults:
    """The first fault of each bad row; or, where the rows are to be learned, the first of each column."""

    def __init__(self, piece: Piece, wanted: Wanted) -> None:
        self.piece, self.wanted = piece, wanted
        self.found: dict[int, tuple[str, str]] = {}  # position in the table → column, rule
        self._firsts: dict[str, tuple[int, str]] = {}  # column → position in the table, rule

    def add(self, bad: NDArray[np.bool_], column: str, rule: str) -> None:
        """Note the rows that are marked; a row, or a column, that has a fault already keeps it."""
        positions = bad.nonzero()[0].tolist()
        if self.wanted.learning:
            if positions and positions[0] < self._firsts.get(column, (len(bad), ""))[0]:
                self._firsts[column] = positions[0], rule
            return
        for position in positions:
            self.found.setdefault(position, (column, rule))

    def firsts(self) -> tuple[Rejected, ...]:
        """The first bad value of each column, in the order of the columns; none where the rows are to be answered."""
        return tuple(
            self._rejected([position], {position: (column, rule)})[0]
            for column, (position, rule) in self._firsts.items()
        )

    def good(self) -> NDArray[np.bool_]:
        """Which rows have none."""
        import numpy as np

        good = np.ones(self.piece.table.num_rows, dtype=np.bool_)
        good[list(self.found)] = False
        return good

    def rejected(self) -> list[Rejected]:
        """The bad rows, by their numbers."""
        return self._rejected(sorted(self.found), self.found)

    def _rejected(self, positions: list[int], found: dict[int, tuple[str, str]]) -> list[Rejected]:
        import pyarrow as pa

        table = self.piece.table.take(pa.array(positions, pa.int64()))
        values = {name: _plains(table.column(name)) for name in {column for column, _ in found.values()}}
        numbers, records = numbers_of(self.piece)[positions].tolist(), _Records(table)
        told = []
        for index, (position, row) in enumerate(zip(positions, numbers, strict=True)):
            column, rule = found[position]
            value = values[column][index]
            shown = f"{'' if value is None else value!s:.{MAX_SHOWN}}"
            message = reason(rule, column, shown if isinstance(value, str) else value, self.wanted)
            told.append(Rejected(row, column, shown, rule, message, partial(records.at, index)))
        return told


class _Records:
    """Rows of a table as JSON has them, made some at a time as they are asked for: as objects they are large."""

    def __init__(self, table: pa.RecordBatch) -> None:
        self._table, self._start = table, 0
        self._made: list[dict[str, Any]] = []

    def at(self, index: int) -> dict[str, Any]:
        """One row; what JSON has not is text."""
        if not self._start <= index < self._start + len(self._made):
            self._start = index - index % _AT_ONCE
            columns = [_plains(column) for column in self._table.slice(self._start, _AT_ONCE).columns]
            names = self._table.schema.names
            self._made = [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
        return self._made[index - self._start]


def _plains(column: pa.Array) -> list[Any]:
    return [_plain(value) for value in listed(column)]


def listed(column: pa.Array) -> list[Any]:
    """A column as Python's objects; times as Arrow writes them: Python knows no nanoseconds, and no year 10,000."""
    import pyarrow as pa

    if pa.types.is_temporal(column.type):
        column = column.cast(pa.string())
    values: list[Any] = column.to_pylist()
    return values


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not abs(value) < float("inf"):
        return str(value)
    return value if value is None or isinstance(value, str | int | float) else str(value)


def reason(rule: str, column: str, value: object, wanted: Wanted) -> str:
    """A rule in words, for a value of a column."""
    low = high = 0.0
    if column in wanted.features:
        index = wanted.features.index(column)
        low, high = float(wanted.low[index]), float(wanted.high[index])
    return RULES[rule].format(value=value, low=low, high=high, limit=limit_of(wanted.dtype))


def bad_row(place: str, row: Rejected, *, hint: str) -> DataRejected:
    """The refusal of one bad row, where bad rows are not set aside."""
    problem = Problem(f"{place}, {row.place}", row.rule, row.message)
    return DataRejected("a row cannot be answered", problems=[problem], hint=hint)


def listed_names(names: Sequence[str]) -> str:
    """Names in quotes; of very many the first ones, and how many there are."""
    return listing([repr(name) for name in names], MAX_LISTED)


def meant_names(missing: Sequence[str], there: Sequence[str]) -> str:
    """What may have been meant by names that are not there, and what is: a hint."""
    import difflib

    lower = {each.lower().strip(): each for each in there if len(each) <= 64}
    close = [difflib.get_close_matches(name.lower().strip(), lower, n=1) for name in missing if len(name) <= 64]
    near = list(dict.fromkeys(lower[found[0]] for found in close if found))
    meant = f"did you mean {listed_names(near)}? " if near else ""
    return f"{meant}it has: {listed_names(there)}" if there else "it has no columns"


def limit_of(dtype: str) -> float:
    """The greatest absolute value that a feature may have."""
    return MAX_NUMBER if dtype == "float64" else MAX_SINGLE


def unfit(place: str, problems: Sequence[tuple[str, str]], *, hint: str | None = None) -> DataRejected:
    """The refusal of a file whose columns are not the model's; each problem is a rule and a message."""
    told = [Problem(place, rule, message) for rule, message in problems[:MAX_LISTED]]
    if len(problems) > MAX_LISTED:
        told.append(Problem(place, problems[MAX_LISTED][0], f"and {len(problems) - MAX_LISTED:,} more"))
    hint = hint or next((_HINTS[rule] for rule, _ in problems if rule in _HINTS), None)
    return DataRejected("the rows do not fit the model", problems=told, hint=hint)
