"""Columns of any type become columns of finite numbers of the model's dtype; what cannot is a bad row, by its rule."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from artifact_pipeline.rows.batches import FORMULA, UNLABELLED, Batch, Piece, Wanted, numbers_of
from artifact_pipeline.rows.faults import Faults, limit_of, unfit
from artifact_pipeline.rows.labels import find_classes, is_label, label_texts
from artifact_pipeline.rows.limits import MAX_WHOLE
from artifact_pipeline.rows.texts import SIGNED_NUMBER

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from artifact_pipeline.rows.batches import Floats

_SAFE_DIGITS = 15
"""Each decimal of so many digits has a float64 of its own."""


def check_types(place: str, schema: pa.Schema, wanted: Wanted) -> None:
    """See that the columns of a file hold numbers or booleans, and labels.

    Where they are to be learned, a feature of another type is told later, with its row and its value.

    Args:
        place: the file.
        schema: its columns, features among them.
        wanted: what they must be.

    Raises:
        DataRejected: a column's type is another.
    """
    problems = []
    for name in () if wanted.learning else wanted.features:
        kind = schema.field(name).type
        if not _is_number(kind):
            problems.append(("not-a-number", f"column {name!r} holds {kind}, not numbers"))
    if wanted.target in schema.names and not is_label(kind := schema.field(wanted.target).type):
        problems.append(("label-invalid", f"column {wanted.target!r} holds {kind}, not whole numbers or text"))
    if problems:
        raise unfit(place, problems)


def _is_number(kind: Any) -> bool:
    """Whether a column of this type can hold numbers or booleans."""
    import pyarrow as pa

    types = pa.types
    return any(each(kind) for each in (types.is_floating, types.is_integer, types.is_boolean, types.is_null)) or (
        types.is_decimal(kind)
    )


def to_batch(piece: Piece, wanted: Wanted, place: str) -> Batch:
    """Read a piece's columns as numbers.

    Args:
        piece: some rows.
        wanted: what is read of them.
        place: their file, for a refusal.

    Raises:
        DataRejected: a column's type is not that of numbers, or of labels.
    """
    check_types(place, piece.table.schema, wanted)
    faults = Faults(piece, wanted)
    found = [_feature(piece.table.column(name), index, faults) for index, name in enumerate(wanted.features)]
    outside = _outside(found, faults)
    has_labels = wanted.target in piece.table.schema.names and not wanted.learning
    actual = _positions(piece.table.column(wanted.target), faults) if has_labels else None
    kept = {name: piece.table.column(name) for name in wanted.keep}
    if not wanted.formulas:
        _refuse_formulas(kept, faults)
    rejected = faults.rejected() if faults.found else []
    batch = Batch(
        start=piece.start,
        count=piece.count,
        numbers=numbers_of(piece),
        columns=[values for values, _ in found],
        actual=actual,
        kept=kept,
        rejected=tuple(sorted([*piece.broken, *rejected], key=lambda each: each.row)),
        outside=int(outside.sum()) if outside is not None else 0,
        firsts=(*piece.firsts, *faults.firsts()),
        written=piece.written,
    )
    return _only(batch, faults.good(), outside) if rejected else batch


def _only(batch: Batch, good: NDArray[np.bool_], outside: NDArray[np.bool_] | None) -> Batch:
    """Some rows of a batch."""
    import pyarrow as pa

    return replace(
        batch,
        numbers=batch.numbers[good],
        columns=[column[good] for column in batch.columns],
        actual=batch.actual[good] if batch.actual is not None else None,
        kept={name: column.filter(pa.array(good)) for name, column in batch.kept.items()},
        outside=int(outside[good].sum()) if outside is not None else 0,
    )


def _feature(column: pa.Array, index: int, faults: Faults) -> tuple[Floats, tuple[float, float]]:
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


def _numbers(column: pa.Array, name: str, faults: Faults) -> NDArray[Any]:
    """A column as floats of any width, NaN where there is none."""
    import numpy as np
    import pyarrow as pa

    types = pa.types
    if types.is_floating(column.type):
        values: NDArray[Any] = column.to_numpy(zero_copy_only=False)
        return values
    if types.is_decimal(column.type):
        return _decimals(column, name, faults)
    if types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    if types.is_integer(column.type):
        if column.type.bit_width == 64:
            from pyarrow import compute

            ends = compute.min_max(column).as_py()
            if any(end is not None and abs(end) > MAX_WHOLE for end in ends.values()):
                whole = column.fill_null(0).to_numpy(zero_copy_only=False)
                faults.add((whole > MAX_WHOLE) | (whole < -MAX_WHOLE), name, "not-exact")
        exact: NDArray[Any] = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        return exact
    if not types.is_null(column.type):
        faults.add(column.is_valid().to_numpy(zero_copy_only=False), name, "not-a-number")
    return np.full(len(column), np.nan)


def _decimals(column: pa.Array, name: str, faults: Faults) -> NDArray[np.float64]:
    """Decimals as the nearest floats, as if they were read as text; one with too many digits would be another."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import compute

    # By text: Arrow's own conversion is off by a bit for some.
    values: NDArray[np.float64] = column.cast(pa.string()).cast(pa.float64()).to_numpy(zero_copy_only=False)
    if column.type.precision > _SAFE_DIGITS:
        # A float64 tells as many digits apart as it takes 17 to write; 15 survive always.
        digits = compute.replace_substring_regex(column.cast(pa.string()), r"[-.]|[eE].*", "")
        digits = compute.utf8_length(compute.utf8_trim(digits, "0"))
        many = compute.greater(digits, _SAFE_DIGITS).fill_null(False)  # noqa: FBT003 - Arrow's
        if compute.any(many).as_py():
            same = np.array([value is None or _is_same(value) for value in column.to_pylist()])
            faults.add(~same, name, "too-many-digits")
    return values


def _is_same(value: Any) -> bool:
    """Whether a decimal is what its nearest float is written as."""
    from decimal import Decimal

    return bool(Decimal(repr(float(value))) == value)


def _outside(columns: list[tuple[Floats, tuple[float, float]]], faults: Faults) -> NDArray[np.bool_] | None:
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


def _refuse_formulas(kept: dict[str, pa.Array], faults: Faults) -> None:
    """Note text that a spreadsheet takes for a formula; a number with its sign is none."""
    import pyarrow as pa
    from pyarrow import compute

    for name, column in kept.items():
        if pa.types.is_string(column.type):
            text = column.fill_null("")
            suspect = compute.is_in(compute.utf8_slice_codeunits(text, 0, 1), value_set=pa.array(list(FORMULA)))
            bad = compute.and_not(suspect, compute.match_substring_regex(text, SIGNED_NUMBER))
            if compute.any(bad).as_py():
                faults.add(bad.to_numpy(zero_copy_only=False), name, "csv-formula")


def _positions(column: pa.Array, faults: Faults) -> NDArray[np.int64]:
    """Labels as positions in the model's classes; a label that the model does not know is a bad row's.

    Compared as text: whole numbers of any width are then equal or not, without a cast that might lose some.
    """
    import numpy as np
    from pyarrow import compute

    text, written = label_texts(column, faults.piece.written)
    found = find_classes(text, written, faults.wanted.classes)
    unknown = compute.and_(text.is_valid(), compute.is_null(found))
    if compute.any(unknown).as_py():
        faults.add(unknown.to_numpy(zero_copy_only=False), faults.wanted.target, "label-unknown")
    positions: NDArray[Any] = found.fill_null(UNLABELLED).to_numpy(zero_copy_only=False)
    return positions.astype(np.int64)
