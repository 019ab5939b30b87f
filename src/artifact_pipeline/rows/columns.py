"""A piece's columns become those of a batch: finite numbers of the model's dtype; what cannot is a bad row."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from artifact_pipeline.rows.batches import Batch, Piece, Wanted
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
"""How a text begins that a spreadsheet runs (OWASP, CSV injection)."""


def check_types(place: str, schema: pa.Schema, wanted: Wanted) -> None:
    """Check that a file's columns hold numbers or booleans, and labels.

    Where they are learned from, or a category, a feature of another type is refused later, with its row and its value.

    Raises:
        DataRejected: a column's type is another.
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
    """The same rows with the text of each feature read as numbers; a row where that fails is a broken one.

    A category stays text. So does a column that is learned from, where its kind is not given and its texts are no
    numbers: then it is noted as a category, which inference may call something else.

    Args:
        piece: rows whose features are texts, or numbers already.
        wanted: what is read of them.
        kinds: the kinds of the features as far as they are known; a category that these rows show is noted there.
    """
    import pyarrow as pa

    faults = Faults(piece, wanted)
    names = piece.table.schema.names
    columns = dict(zip(names, piece.table.columns, strict=True))
    for name in wanted.features:
        if pa.types.is_string(columns[name].type):
            columns[name], found = _parsed(columns[name], name, wanted, kinds)
            for rule, bad in found:
                faults.add(name, rule, bad)
    _refuse_lines(columns, faults)
    table = pa.RecordBatch.from_arrays(list(columns.values()), names)
    if wanted.learning:
        return replace(piece, table=table, firsts=faults.firsts())
    parsed = replace(piece, table=table)
    if not faults.found:
        return parsed
    broken = sorted([*piece.broken, *faults.rejected()], key=lambda each: each.row)
    return parsed.only(faults.good(), tuple(broken))


def _parsed(
    column: pa.Array, name: str, wanted: Wanted, kinds: dict[str, ColumnKind]
) -> tuple[pa.Array, list[tuple[str, Any]]]:
    """The texts of a feature as numbers, or as they are where they are levels; and the rules that some break."""
    import pyarrow as pa

    about = next((each for each in wanted.columns or () if each.name == name), None)
    known = kinds.get(name)
    if known == "category":
        return column, []
    if about is not None:
        cells = number_cells(column, about)
        return pa.array(cells.values), cells.bad
    if wanted.columns is None:
        values = values_of_texts(column, "boolean" if known == "boolean" else "number")
        return pa.array(values.floats), values.bad
    floats = read_as_number(column)
    if floats is not None:
        return pa.array(floats, from_pandas=True), []
    kinds[name] = "category"
    return column, []


def _refuse_lines(columns: dict[str, pa.Array], faults: Faults) -> None:
    """Note labels of several lines that the model does not know: quotes have joined rows, most likely."""
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
    """The rows of a piece of the file `place` as a batch.

    Raises:
        DataRejected: a column's type is not that of numbers, or of labels.
    """
    check_types(place, piece.table.schema, wanted)
    faults = Faults(piece, wanted)
    found = _plain(faults) if wanted.columns is None else _typed(wanted.columns, faults)
    outside = _outside(found.numbers, faults)
    has_labels = wanted.target in piece.table.schema.names
    actual = _positions(piece.table.column(wanted.target), faults) if has_labels else None
    if not wanted.formulas:
        _refuse_formulas({name: piece.table.column(name) for name in wanted.keep}, faults)
    there = (name for name in wanted.keys if name in piece.table.schema.names)
    kept = {name: piece.table.column(name) for name in (*wanted.keep, *there)}
    rejected = faults.rejected() if faults.found else []
    broken = tuple(sorted([*piece.broken, *rejected], key=lambda each: each.row))
    if rejected and wanted.columns is not None:
        return to_batch(piece.only(faults.good(), broken), wanted, place)
    batch = Batch(
        start=piece.start,
        count=piece.count,
        numbers=piece.row_numbers(),
        columns=[number.values for number in found.numbers],
        actual=actual,
        kept=kept,
        rejected=broken,
        outside=int(outside.sum()) if outside is not None else 0,
        written=piece.written,
        texts=found.texts,
        missing=found.missing,
        unseen=found.unseen,
    )
    return _only(batch, faults.good(), outside) if rejected else batch


def _only(batch: Batch, good: NDArray[np.bool_], outside: NDArray[np.bool_] | None) -> Batch:
    """The marked rows of a batch."""
    import pyarrow as pa

    return replace(
        batch,
        numbers=batch.numbers[good],
        columns=[column[good] for column in batch.columns],
        actual=batch.actual[good] if batch.actual is not None else None,
        kept={name: column.filter(pa.array(good)) for name, column in batch.kept.items()},
        outside=int(outside[good].sum()) if outside is not None else 0,
    )


class _Numbers(NamedTuple):
    """A feature of numbers: its place among the features, its values, and the least and the greatest of them."""

    place: int
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
    """The features where all are numbers that are there."""
    table = faults.piece.table
    return _Found([_feature(table.column(name), at, faults) for at, name in enumerate(faults.wanted.features)])


def _typed(columns: tuple[Column, ...], faults: Faults) -> _Found:
    """The features where each has its kind."""
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


def _feature(column: pa.Array, place: int, faults: Faults) -> _Numbers:
    """A column as numbers of the model's dtype, with its least and its greatest; bad ones are zero, and noted."""
    import numpy as np

    name, dtype = faults.wanted.features[place], np.dtype(faults.wanted.dtype)
    values, found = values_of(column)
    for rule, rows in found:
        faults.add(name, rule, rows)
    if values.dtype != dtype:
        with np.errstate(over="ignore"):  # what overflows is found in the next lines
            values = values.astype(dtype)
    if not len(values):
        return _Numbers(place, values, 0.0, 0.0)
    limit, least, greatest = MAX_VALUE[faults.wanted.dtype], values.min(), values.max()
    if -limit <= least and greatest <= limit:  # neither holds where there is a NaN
        return _Numbers(place, np.ascontiguousarray(values), least, greatest)
    bad = ~(np.abs(values) <= limit)
    if column.null_count:
        faults.add(name, "missing", column.is_null())
    faults.add(name, "not-finite", bad)
    values = np.where(bad, dtype.type(0), values)
    return _Numbers(place, values, values.min(), values.max())


def _outside(numbers: list[_Numbers], faults: Faults) -> NDArray[np.bool_] | None:
    """Which rows have a value out of the trained range; None where no row has, or where that is ignored."""
    wanted, outside = faults.wanted, None
    if wanted.out_of_range == "ignore" or not len(faults.piece.table):
        return None
    for place, values, least, greatest in numbers:
        low, high = wanted.low[place], wanted.high[place]
        if low <= least and greatest <= high:
            continue
        beyond = (values < low) | (values > high)
        outside = beyond if outside is None else outside | beyond
        if wanted.out_of_range == "reject":
            faults.add(wanted.features[place], "out-of-range", beyond)
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
                faults.add(name, "csv-formula", bad)


def _positions(column: pa.Array, faults: Faults) -> NDArray[np.int64]:
    """Labels as positions in the model's classes; a label that the model does not know is a bad row's."""
    positions, unknown = positions_of(column, faults.piece.written, faults.wanted.classes)
    if unknown is not None:
        faults.add(faults.wanted.target, "label-unknown", unknown)
    return positions
