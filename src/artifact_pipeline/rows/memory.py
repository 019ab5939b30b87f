"""Tables in memory become batches, by the same rules as files: Arrow's capsules, a dict of columns, a NumPy array."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from artifact_pipeline.errors import DataRejected, Problem
from artifact_pipeline.rows.batches import Piece, Rejected, align
from artifact_pipeline.rows.columns import check_types, to_batch
from artifact_pipeline.rows.faults import bad_row, reason, unfit
from artifact_pipeline.rows.formats.arrays import check_matrix, matrix_table
from artifact_pipeline.rows.formats.columnar import refusing
from artifact_pipeline.rows.formats.opening import choose_columns
from artifact_pipeline.rows.formats.plain import plain, plain_schema
from artifact_pipeline.rows.limits import MAX_SHOWN, MAX_WHOLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa
    from numpy.typing import NDArray

    from artifact_pipeline.rows.batches import Batch, Wanted

PLACE = "the table"
"""How messages name it."""
MEND = "mend it, or leave the row out"


class ArrowStream(Protocol):
    """Rows that Arrow's C stream interface gives: a DataFrame of pandas or Polars, a relation of DuckDB, a table."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Give the stream."""
        ...


class ArrowArray(Protocol):
    """Rows that Arrow's C data interface gives, such as one record batch."""

    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]:
        """Give the schema and the rows."""
        ...


if TYPE_CHECKING:
    Table = ArrowStream | ArrowArray | Mapping[str, Any] | NDArray[Any]


def batches_of(table: Table, wanted: Wanted) -> Iterator[Batch]:
    """The rows of a table in memory, cut where those of a file are.

    Args:
        table: an object with Arrow's PyCapsule protocol; a mapping from names to columns; or a NumPy array of shape
            (rows, features), its columns in the model's order.
        wanted: what is read of it.

    Raises:
        DataRejected: it is no table, lacks a wanted column, or a column does not hold numbers.
    """
    return (to_batch(piece, wanted, PLACE) for piece in align(_pieces(table, wanted), 0, wanted.chunk))


def _pieces(table: object, wanted: Wanted) -> Iterator[Piece]:
    import numpy as np
    import pyarrow as pa

    if isinstance(table, np.ndarray):
        yield from _matrix(table, wanted)
        return
    with refusing(PLACE):
        if hasattr(table, "__arrow_c_stream__"):
            reader = pa.RecordBatchReader.from_stream(table)
            yield from _batches(reader.schema, reader, wanted)
        elif hasattr(table, "__arrow_c_array__"):
            batch = pa.record_batch(table)
            yield from _batches(batch.schema, [batch], wanted)
        elif isinstance(table, Mapping):
            batch = _from_columns(table, wanted)
            yield from _batches(batch.schema, [batch], wanted)
        else:
            message = f"{type(table).__name__} is none: give Arrow, pandas, Polars, a dict of columns or a NumPy array"
            raise DataRejected("the rows cannot be read", problems=[Problem(PLACE, "no-table", message)])


def _matrix(matrix: NDArray[Any], wanted: Wanted) -> Iterator[Piece]:
    check_matrix(PLACE, matrix, wanted)
    for first in range(0, len(matrix), wanted.chunk):
        rows = matrix[first : first + wanted.chunk].reshape(-1, len(wanted.features))
        yield Piece(first, len(rows), matrix_table(rows, wanted))


def _batches(schema: pa.Schema, batches: Any, wanted: Wanted) -> Iterator[Piece]:
    columns, _ = choose_columns(PLACE, schema.names, wanted)
    check_types(PLACE, plain_schema(schema, columns), wanted)
    first = 0
    for batch in batches:
        chosen = batch.select(columns)
        chosen.validate(full=True)
        yield Piece(first, batch.num_rows, plain(PLACE, chosen, columns))
        first += batch.num_rows


def _from_columns(table: Mapping[str, Any], wanted: Wanted) -> pa.RecordBatch:
    import pyarrow as pa

    columns, _ = choose_columns(PLACE, [str(name) for name in table], wanted)
    arrays = {name: _column(table[name], name, wanted) for name in columns}
    first, length = columns[0], len(arrays[columns[0]])
    uneven = [
        ("rows-shape", f"column {name!r} has {len(array):,} values, column {first!r} has {length:,}")
        for name, array in arrays.items()
        if len(array) != length
    ]
    if uneven:
        raise unfit(PLACE, uneven)
    return pa.RecordBatch.from_arrays(list(arrays.values()), columns)


def _column(values: Any, name: str, wanted: Wanted) -> pa.Array:
    """A column as Arrow has it.

    Raises:
        DataRejected: it is no column, or some of its values are no numbers.
    """
    import numpy as np
    import pyarrow as pa

    if isinstance(values, np.ndarray):
        values = values.astype(values.dtype.newbyteorder("="), copy=False)  # Arrow takes no other order of bytes
    try:
        if hasattr(values, "__arrow_c_stream__"):
            return pa.chunked_array(values).combine_chunks()
        return pa.array(values)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        _refuse_values(values, name, wanted)
        raise unfit(PLACE, [("not-a-number", f"column {name!r}: {str(error).splitlines()[0][:200]}")]) from error


def _refuse_values(values: Any, name: str, wanted: Wanted) -> None:
    """Refuse the first value of a sequence that is no number, or too large a whole one; nothing where there is none.

    Raises:
        DataRejected: there is one.
    """
    import numpy as np

    for row, value in enumerate(values if isinstance(values, list | tuple | np.ndarray) else ()):
        number = value is None or isinstance(value, int | float | Decimal | np.number | np.bool_)
        if number and not (isinstance(value, int) and abs(value) > MAX_WHOLE):
            continue
        rule = "not-exact" if number else "not-a-number"
        shown = f"{value!s:.{MAX_SHOWN}}"
        message = reason(rule, name, value if number else shown, wanted)
        raise bad_row(PLACE, Rejected(row, name, shown, rule, message, {}), hint=MEND)
