"""Columns of any type become columns of finite numbers of the model's dtype; what cannot is a bad row, by its rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from artifact_pipeline.errors import DataRejected, Problem
from artifact_pipeline.rows.batches import MAX_SHOWN, UNLABELLED, Batch, Piece, Rejected, Wanted, numbers_of
from artifact_pipeline.rows.tables import MAX_NUMBER, MAX_WHOLE

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from artifact_pipeline.rows.batches import Floats

RULES = {
    "missing": "the value is missing",
    "not-a-number": "{value!r} is not a number",
    "not-finite": "{value} is not a finite number of at most {limit:.0e}",
    "not-exact": "{value} may be no float64; whole numbers must be between -2^53 and 2^53",
    "out-of-range": "{value} is out of the trained range, {low:g} to {high:g} with its margin",
    "label-unknown": "the label {value!r} is none of the model's",
    "csv-formula": "{value!r} begins like a formula, which a spreadsheet would run; write Parquet or JSON Lines",
}
"""Why a value is bad; the first of them that holds is told."""


FORMULA = r"^[=+\-@\t\r]"
"""How text begins that a spreadsheet runs (OWASP, CSV injection)."""
SIGNED_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"


class _Faults:
    """The first fault of each bad row."""

    def __init__(self, piece: Piece, wanted: Wanted) -> None:
        self.piece, self.wanted = piece, wanted
        self.found: dict[int, tuple[str, str]] = {}  # position in the table → column, rule

    def add(self, bad: NDArray[np.bool_], column: str, rule: str) -> None:
        for position in bad.nonzero()[0].tolist():
            self.found.setdefault(position, (column, rule))

    def rejected(self) -> list[Rejected]:
        numbers = numbers_of(self.piece)
        return [self._told(position, int(numbers[position]), *why) for position, why in sorted(self.found.items())]

    def _told(self, position: int, row: int, column: str, rule: str) -> Rejected:
        record = {
            name: plain(self.piece.table.column(name)[position].as_py()) for name in self.piece.table.schema.names
        }
        value = record[column]
        bounds = {"low": 0.0, "high": 0.0, "limit": limit_of(self.wanted.dtype)}
        if column in self.wanted.features:
            index = self.wanted.features.index(column)
            bounds |= {"low": float(self.wanted.low[index]), "high": float(self.wanted.high[index])}
        shown = f"{value!s:.{MAX_SHOWN}}"
        quoted = shown if isinstance(value, str) else value
        return Rejected(row, column, shown, rule, RULES[rule].format(value=quoted, **bounds), record)


def plain(value: Any) -> Any:
    """A value as JSON has it; what JSON has not becomes text."""
    if isinstance(value, float) and not abs(value) < float("inf"):
        return str(value)
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def limit_of(dtype: str) -> float:
    """The greatest absolute value that a feature may have."""
    return MAX_NUMBER if dtype == "float64" else 3.4028234663852886e38


def to_batch(piece: Piece, wanted: Wanted) -> Batch:
    """Read a piece's columns as numbers.

    Raises:
        DataRejected: a column's type is not that of numbers, or of labels.
    """
    faults = _Faults(piece, wanted)
    read = [_feature(piece.table.column(name), index, faults) for index, name in enumerate(wanted.features)]
    columns = [column for column, _ in read]
    outside = _outside(read, faults)
    has_labels = wanted.target in piece.table.schema.names
    actual = _positions(piece.table.column(wanted.target), faults) if has_labels else None
    numbers = numbers_of(piece)
    kept = {name: piece.table.column(name) for name in wanted.keep}
    if not wanted.formulas:
        _refuse_formulas(kept, faults)
    rejected = faults.rejected()
    if rejected:
        import numpy as np
        import pyarrow as pa

        good = np.ones(len(numbers), dtype=np.bool_)
        good[list(faults.found)] = False
        columns, numbers = [column[good] for column in columns], numbers[good]
        actual = actual[good] if actual is not None else None
        kept = {name: column.filter(pa.array(good)) for name, column in kept.items()}
        outside = outside[good] if outside is not None else None
    return Batch(
        start=piece.start,
        count=piece.count,
        numbers=numbers,
        columns=columns,
        actual=actual,
        kept=kept,
        rejected=tuple(sorted([*piece.broken, *rejected])),
        outside=int(outside.sum()) if outside is not None else 0,
    )


def _feature(column: pa.Array, index: int, faults: _Faults) -> tuple[Floats, tuple[float, float]]:
    """A column as numbers of the model's dtype, with its least and its greatest; bad ones are zero, and noted."""
    import numpy as np

    name, dtype = faults.wanted.features[index], np.dtype(faults.wanted.dtype)
    values = _numbers(column, name, faults)
    if values.dtype != dtype:
        with np.errstate(over="ignore"):  # what overflows is found in the next lines
            values = values.astype(dtype)
    if not len(values):
        return values, (0.0, 0.0)
    limit, least, greatest = limit_of(faults.wanted.dtype), values.min(), values.max()
    if -limit <= least and greatest <= limit:  # neither holds where there is a NaN
        return np.ascontiguousarray(values), (least, greatest)
    bad = ~(np.abs(values) <= limit)
    if column.null_count:
        faults.add(column.is_null().to_numpy(zero_copy_only=False), name, "missing")
    faults.add(bad, name, "not-finite")
    values = np.where(bad, dtype.type(0), values)
    return values, (values.min(), values.max())


def _numbers(column: pa.Array, name: str, faults: _Faults) -> NDArray[Any]:
    """A column as floats of any width, NaN where there is none."""
    import numpy as np
    import pyarrow as pa

    types = pa.types
    if types.is_floating(column.type):
        values: NDArray[Any] = column.to_numpy(zero_copy_only=False)
        return values
    if types.is_integer(column.type):
        if column.type.bit_width == 64:
            from pyarrow import compute

            ends = compute.min_max(column).as_py()
            if any(end is not None and abs(end) > MAX_WHOLE for end in ends.values()):
                whole = column.fill_null(0).to_numpy(zero_copy_only=False)
                faults.add((whole > MAX_WHOLE) | (whole < -MAX_WHOLE), name, "not-exact")
        exact: NDArray[Any] = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        return exact
    if types.is_string(column.type) and not faults.piece.typed:
        return _parsed(column, name, faults)
    if types.is_null(column.type):
        return np.full(len(column), np.nan)
    message = f"column {name!r} holds {column.type}, not numbers"
    raise DataRejected("the rows do not fit the model", problems=[Problem(name, "not-a-number", message)])


def _parsed(column: pa.Array, name: str, faults: _Faults) -> NDArray[np.float64]:
    """Text as numbers, as Arrow reads them: no white space, no underscore, no comma."""
    import pyarrow as pa

    try:
        values: NDArray[np.float64] = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        return _parsed_singly(column, name, faults)
    return values


def _parsed_singly(column: pa.Array, name: str, faults: _Faults) -> NDArray[np.float64]:
    import numpy as np
    import pyarrow as pa

    values = np.full(len(column), np.nan)
    bad = np.zeros((2, len(column)), dtype=np.bool_)
    for position, text in enumerate(column.to_pylist()):
        if not text:
            bad[0, position] = True
            continue
        try:
            values[position] = pa.scalar(text).cast(pa.float64()).as_py()
        except pa.ArrowInvalid:
            bad[1, position] = True
    faults.add(bad[0], name, "missing")
    faults.add(bad[1], name, "not-a-number")
    return values


def _outside(columns: list[tuple[Floats, tuple[float, float]]], faults: _Faults) -> NDArray[np.bool_] | None:
    """Which rows have a value out of the trained range; None where there is none, or where nobody asks."""
    wanted, outside = faults.wanted, None
    if wanted.out_of_range == "ignore" or not len(columns[0][0]):
        return None
    for index, (values, (least, greatest)) in enumerate(columns):
        low, high = wanted.low[index], wanted.high[index]
        if low <= least and greatest <= high:
            continue
        beyond = (values < low) | (values > high)
        outside = beyond if outside is None else outside | beyond
        if wanted.out_of_range == "reject":
            faults.add(beyond, wanted.features[index], "out-of-range")
    return outside


def _refuse_formulas(kept: dict[str, pa.Array], faults: _Faults) -> None:
    """Note text that a spreadsheet takes for a formula; a number with its sign is none."""
    import pyarrow as pa
    from pyarrow import compute

    for name, column in kept.items():
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            text = column.fill_null("")
            suspect = compute.match_substring_regex(text, FORMULA)
            bad = compute.and_not(suspect, compute.match_substring_regex(text, SIGNED_NUMBER))
            if compute.any(bad).as_py():
                faults.add(bad.to_numpy(zero_copy_only=False), name, "csv-formula")


def _positions(column: pa.Array, faults: _Faults) -> NDArray[np.int64]:
    """Labels as positions in the model's classes; a label that the model does not know is a bad row's.

    Compared as text: whole numbers of any width are then equal or not, without a cast that might lose some.
    """
    import numpy as np
    import pyarrow as pa
    from pyarrow import compute

    wanted, kind = faults.wanted, column.type
    texts = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    if not (texts or pa.types.is_integer(kind) or pa.types.is_null(kind)):
        message = f"labels must be whole numbers or text, not {kind}"
        problem = Problem(wanted.target, "label-invalid", message)
        raise DataRejected("the rows do not fit the model", problems=[problem])
    # Text is no number in a file that has types: none of it is then looked up.
    comparable = not texts or not faults.piece.typed or isinstance(wanted.classes[0], str)
    classes = [str(each) for each in wanted.classes] if comparable else []
    column = column.cast(pa.string())
    there = compute.and_(column.is_valid(), compute.not_equal(column.fill_null(""), ""))
    found = compute.index_in(column, value_set=pa.array(classes, pa.string()))
    unknown = compute.and_(there, compute.is_null(found))
    if compute.any(unknown).as_py():
        faults.add(unknown.to_numpy(zero_copy_only=False), wanted.target, "label-unknown")
    known = compute.and_(there, compute.is_valid(found))
    positions: NDArray[Any] = compute.if_else(known, found, UNLABELLED).to_numpy(zero_copy_only=False)
    return positions.astype(np.int64)
