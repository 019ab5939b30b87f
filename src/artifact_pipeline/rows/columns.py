"""Converts a piece's columns into those of a batch; a row with a value that cannot be converted is rejected."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from artifact_pipeline.rows.batches import Batch, Piece, Rejected, Wanted
from artifact_pipeline.rows.cells import category_cells, number_cells, read_as_number
from artifact_pipeline.rows.faults import Faults, unfit
from artifact_pipeline.rows.kinds import SIGNED_NUMBER, holds_numbers, values_of, values_of_texts
from artifact_pipeline.rows.labels import is_label, positions_of
from artifact_pipeline.rows.limits import MAX_VALUE

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from artifact_pipeline.rows.batches import Floats
    from artifact_pipeline.rows.features import Column, ColumnKind

FORMULA = "=+-@\t\r"
"""First characters of a text that a spreadsheet runs (OWASP, CSV injection)."""


def check_types(place: str, schema: pa.Schema, wanted: Wanted) -> None:
    """Check that a file's columns hold numbers or booleans, and labels.

    A feature that is learned from, or is a category, may have any type: a bad value is refused later, with its row.

    Raises:
        DataRejected: a column has another type.
    """
    problems = []
    categories = {column.name for column in wanted.columns or () if column.kind == "category"}
    for name in () if wanted.learning else (name for name in wanted.features if name not in categories):
        kind = schema.field(name).type
        if not holds_numbers(kind) and not (wanted.columns is not None and kind == "string"):
            problems.append(("not-a-number", f"column {name!r} holds {kind}, not numbers"))
    if wanted.target in schema.names and not is_label(kind := schema.field(wanted.target).type):
        problems.append(("label-invalid", f"column {wanted.target!r} holds {kind}, not whole numbers or text"))
    if problems:
        raise unfit(place, *problems)


def parse_texts(piece: Piece, wanted: Wanted, kinds: dict[str, ColumnKind]) -> Piece:
    """Return the rows with the texts of each feature read as numbers; rows where that fails become broken ones.

    A category stays text. A column that is learned from also stays text if its kind is not given and its texts are no
    numbers; `kinds` then has it as a category, which inference may change.

    Args:
        piece: rows whose features are texts, or numbers already.
        wanted: what is read of them.
        kinds: the known kinds of the features; a category that these rows show is added.
    """
    import pyarrow as pa

    faults = Faults(piece, wanted)
    names = piece.table.schema.names
    columns = dict(zip(names, piece.table.columns, strict=True))
    given = {each.name: each for each in wanted.columns or ()}
    for name in wanted.features:
        column = columns[name]
        if not pa.types.is_string(column.type) or kinds.get(name) == "category":
            continue
        bad: list[tuple[str, Any]] = []
        if name in given:
            cells = number_cells(column, given[name])
            columns[name], bad = pa.array(cells.values), cells.bad
        elif wanted.columns is None:
            values = values_of_texts(column, "boolean" if kinds.get(name) == "boolean" else "number")
            columns[name], bad = pa.array(values.floats), values.bad
        elif (floats := read_as_number(column)) is not None:
            columns[name] = pa.array(floats, from_pandas=True)
        else:
            kinds[name] = "category"
        for rule, rows in bad:
            faults.add(name, rule, rows)
    _refuse_lines(columns, faults)
    parsed = replace(piece, table=pa.RecordBatch.from_arrays(list(columns.values()), names))
    if wanted.learning:
        return replace(parsed, firsts=faults.firsts())
    return parsed.only(faults.good(), _all_broken(piece, faults)) if faults.found else parsed


def _all_broken(piece: Piece, faults: Faults) -> tuple[Rejected, ...]:
    """Return the broken rows of a piece and those with a fault, in the order of their numbers."""
    return tuple(sorted([*piece.broken, *faults.rejected()], key=lambda each: each.row))


def _refuse_lines(columns: dict[str, pa.Array], faults: Faults) -> None:
    """Refuse unknown labels of several lines: a wrong quote has probably joined rows."""
    import pyarrow as pa
    from pyarrow import compute

    wanted = faults.wanted
    name = wanted.target
    if name in columns and pa.types.is_string(columns[name].type):
        lines = compute.match_substring_regex(columns[name], r"[\r\n]")
        if compute.any(lines).as_py():
            known = compute.is_in(columns[name], value_set=pa.array([*map(str, wanted.classes)], pa.string()))
            faults.add(name, "label-lines", compute.and_not(lines, known))


def to_batch(piece: Piece, wanted: Wanted, place: str) -> Batch:
    """Convert a piece of the file `place` into a batch.

    Raises:
        DataRejected: a column's type is not that of numbers, or of labels.
    """
    table, faults = piece.table, Faults(piece, wanted)
    check_types(place, table.schema, wanted)
    found = _plain(faults) if wanted.columns is None else _typed(wanted.columns, faults)
    outside = _outside(found.numbers, faults)
    actual = None
    if wanted.target in table.schema.names:
        actual, unknown = positions_of(table.column(wanted.target), piece.written, wanted.classes)
        if unknown is not None:
            faults.add(wanted.target, "label-unknown", unknown)
    if not wanted.formulas:
        _refuse_formulas({name: table.column(name) for name in wanted.keep}, faults)
    if faults.found:  # without the bad rows there is none
        return to_batch(piece.only(faults.good(), _all_broken(piece, faults)), wanted, place)
    keys = (name for name in wanted.keys if name in table.schema.names)
    return Batch(
        start=piece.start,
        count=piece.count,
        numbers=piece.row_numbers(),
        columns=[number.values for number in found.numbers],
        actual=actual,
        kept={name: table.column(name) for name in (*wanted.keep, *keys)},
        rejected=piece.broken,
        outside=int(outside.sum()) if outside is not None else 0,
        written=piece.written,
        texts=found.texts,
        missing=found.missing,
        unseen=found.unseen,
    )


class _Numbers(NamedTuple):
    """A feature of numbers: its position among the features, its values, their minimum and their maximum."""

    position: int
    values: Floats
    least: float
    greatest: float


class _Found(NamedTuple):
    """The features of a batch, as `Batch` has them."""

    numbers: list[_Numbers]
    texts: tuple[NDArray[Any], ...] = ()
    missing: tuple[int, ...] = ()
    unseen: tuple[int, ...] = ()


def _plain(faults: Faults) -> _Found:
    """Return the features of a model of format 1: numbers without a missing value."""
    table = faults.piece.table
    return _Found([_feature(table.column(name), at, faults) for at, name in enumerate(faults.wanted.features)])


def _typed(columns: tuple[Column, ...], faults: Faults) -> _Found:
    """Return the features of a model of format 2: each has its kind."""
    numbers, texts, found = [], [], []
    for at, about in enumerate(columns):
        column = faults.piece.table.column(about.name)
        category = about.kind == "category"
        cells = category_cells(column, about) if category else number_cells(column, about)
        for rule, bad in cells.bad:
            faults.add(about.name, rule, bad)
        found.append(cells)
        if category:
            texts.append(cells.values)
        else:
            numbers.append(_Numbers(at, cells.values, *cells.ends))
    return _Found(numbers, tuple(texts), tuple(each.missing for each in found), tuple(each.unseen for each in found))


def _feature(column: pa.Array, position: int, faults: Faults) -> _Numbers:
    """Return a column as numbers of the model's dtype; a bad value becomes zero, and a fault."""
    import numpy as np

    name, dtype = faults.wanted.features[position], np.dtype(faults.wanted.dtype)
    values, found = values_of(column)
    for rule, rows in found:
        faults.add(name, rule, rows)
    if values.dtype != dtype:
        with np.errstate(over="ignore"):  # what overflows is found in the next lines
            values = values.astype(dtype)
    if not len(values):
        return _Numbers(position, values, 0.0, 0.0)
    limit, least, greatest = MAX_VALUE[faults.wanted.dtype], values.min(), values.max()
    if -limit <= least and greatest <= limit:  # both are false if there is a NaN
        return _Numbers(position, np.ascontiguousarray(values), least, greatest)
    bad = ~(np.abs(values) <= limit)
    if column.null_count:
        faults.add(name, "missing", column.is_null())
    faults.add(name, "not-finite", bad)
    values = np.where(bad, dtype.type(0), values)
    return _Numbers(position, values, values.min(), values.max())


def _outside(numbers: list[_Numbers], faults: Faults) -> NDArray[np.bool_] | None:
    """Return which rows have a value out of the trained range; None if no row has one, or the range is ignored."""
    wanted, outside = faults.wanted, None
    if wanted.low is None or wanted.high is None or wanted.out_of_range == "ignore" or not len(faults.piece.table):
        return None
    for position, values, least, greatest in numbers:
        low, high = wanted.low[position], wanted.high[position]
        if low <= least and greatest <= high:
            continue
        beyond = (values < low) | (values > high)
        outside = beyond if outside is None else outside | beyond
        if wanted.out_of_range == "reject":
            faults.add(wanted.features[position], "out-of-range", beyond)
    return outside


def _refuse_formulas(kept: dict[str, pa.Array], faults: Faults) -> None:
    """Refuse text that a spreadsheet takes for a formula; a number with its sign is none."""
    import pyarrow as pa
    from pyarrow import compute

    for name, column in kept.items():
        if pa.types.is_string(column.type):
            text = column.fill_null("")
            suspect = compute.is_in(compute.utf8_slice_codeunits(text, 0, 1), value_set=pa.array(list(FORMULA)))
            bad = compute.and_not(suspect, compute.match_substring_regex(text, SIGNED_NUMBER))
            if compute.any(bad).as_py():
                faults.add(name, "csv-formula", bad)
