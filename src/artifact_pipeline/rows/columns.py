"""Columns of any type become columns of finite numbers of the model's dtype; what cannot is a bad row, by its rule."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from artifact_pipeline.rows.batches import FORMULA, UNLABELLED, Batch, Piece, Wanted, numbers_of
from artifact_pipeline.rows.faults import Faults, limit_of, unfit
from artifact_pipeline.rows.tables import MAX_WHOLE

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from artifact_pipeline.rows.batches import Floats

SIGNED_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
NUMBER = rf"(?i){SIGNED_NUMBER}|^[+-]?(nan(\([a-z0-9_]*\))?|inf|infinity)$"
"""What Arrow reads as a number; some of it is no finite one."""
WHOLE = r"^[ \t]*[+-]?[0-9]+[ \t]*$"


def check_types(place: str, schema: pa.Schema, wanted: Wanted) -> None:
    """See that the columns of a file hold numbers, and labels.

    Args:
        place: the file.
        schema: its columns, features among them.
        wanted: what they must be.

    Raises:
        DataRejected: a column's type is another.
    """
    import pyarrow as pa

    types = pa.types
    problems = []
    for name in wanted.features:
        kind = schema.field(name).type
        if not (types.is_floating(kind) or types.is_integer(kind) or types.is_null(kind)):
            problems.append(("not-a-number", f"column {name!r} holds {kind}, not numbers"))
    if wanted.target in schema.names:
        kind = schema.field(wanted.target).type
        if not (types.is_string(kind) or types.is_integer(kind) or types.is_null(kind)):
            problems.append(("label-invalid", f"column {wanted.target!r} holds {kind}, not whole numbers or text"))
    if problems:
        raise unfit(place, problems)


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
    has_labels = wanted.target in piece.table.schema.names
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


def parse_texts(piece: Piece, wanted: Wanted) -> Piece:
    """The same rows, the text of each feature read as numbers; rows where that cannot be are broken ones."""
    import pyarrow as pa

    faults = Faults(piece, wanted)
    names = piece.table.schema.names
    columns = dict(zip(names, piece.table.columns, strict=True))
    columns |= {name: pa.array(_parsed(columns[name], name, faults)) for name in wanted.features}
    table = pa.RecordBatch.from_arrays(list(columns.values()), names)
    if not faults.found:
        return replace(piece, table=table)
    broken = sorted([*piece.broken, *faults.rejected()], key=lambda each: each.row)
    good = faults.good()
    return replace(piece, table=table.filter(pa.array(good)), numbers=numbers_of(piece)[good], broken=tuple(broken))


def _parsed(column: pa.Array, name: str, faults: Faults) -> NDArray[np.float64]:
    """Text as numbers, blanks around them allowed; NaN where it is none.

    Arrow reads them, all at once if it can. What it takes is `NUMBER`, so that a text is read alike whatever stands
    beside it; a test compares the two.
    """
    import numpy as np
    import pyarrow as pa
    from pyarrow import compute

    values = _cast(column)
    if values is None:
        text = compute.utf8_trim(column.fill_null(""), " \t")
        good = compute.match_substring_regex(text, NUMBER)
        empty = compute.equal(text, "")
        faults.add(empty.to_numpy(zero_copy_only=False), name, "missing")
        bad = compute.invert(compute.or_(good, empty))
        faults.add(bad.to_numpy(zero_copy_only=False), name, "not-a-number")
        column = compute.if_else(good, text, pa.scalar(None, pa.string()))
        values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    beyond = ~(np.abs(values) <= MAX_WHOLE)
    if beyond.any():
        faults.add(~np.isfinite(values) & column.is_valid().to_numpy(zero_copy_only=False), name, "not-finite")
        whole = compute.match_substring_regex(column.fill_null(""), WHOLE).to_numpy(zero_copy_only=False)
        faults.add(whole & beyond, name, "not-exact")
    return values


def _cast(column: pa.Array) -> NDArray[np.float64] | None:
    """Text as numbers, or None where some of it is none."""
    import pyarrow as pa

    try:
        values: NDArray[np.float64] = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        return None
    return values


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
    if types.is_integer(column.type):
        if column.type.bit_width == 64:
            from pyarrow import compute

            ends = compute.min_max(column).as_py()
            if any(end is not None and abs(end) > MAX_WHOLE for end in ends.values()):
                whole = column.fill_null(0).to_numpy(zero_copy_only=False)
                faults.add((whole > MAX_WHOLE) | (whole < -MAX_WHOLE), name, "not-exact")
        exact: NDArray[Any] = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        return exact
    return np.full(len(column), np.nan)


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
    import pyarrow as pa
    from pyarrow import compute

    wanted = faults.wanted
    # In a file that has types, text is no number and a number no text: none of it is then looked up.
    words = bool(wanted.classes) and isinstance(wanted.classes[0], str)
    comparable = not faults.piece.typed or pa.types.is_string(column.type) == words
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
