"""Reads tables in memory by the same rules as files: Arrow's capsules, a dict of columns, a NumPy array."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from artifact_pipeline.errors import DataRejected, Problem
from artifact_pipeline.rows.batches import Piece, Rejected, align
from artifact_pipeline.rows.columns import to_batch
from artifact_pipeline.rows.faults import reason, unfit
from artifact_pipeline.rows.formats.arrays import matrix_pieces
from artifact_pipeline.rows.formats.columnar import choose_typed_columns, plain
from artifact_pipeline.rows.formats.opening import choose_columns
from artifact_pipeline.rows.limits import MAX_SHOWN, MAX_WHOLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa
    from numpy.typing import NDArray

    from artifact_pipeline.rows.batches import Batch, Wanted

PLACE = "the table"
"""The name of the table in messages."""
MEND = "mend it, or leave the row out"
_AS_TABLE = "pandas.DataFrame(rows) makes a table of a list; collect a lazy one; predict_files reads files"


class _ArrowStream(Protocol):
    """A table with Arrow's C stream interface: a DataFrame of pandas or Polars, a relation of DuckDB, a table."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


class _ArrowArray(Protocol):
    """A table with Arrow's C data interface, such as one record batch."""

    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]: ...


if TYPE_CHECKING:
    Table = _ArrowStream | _ArrowArray | Mapping[str, Any] | NDArray[Any]


def batches_of(table: Table, wanted: Wanted) -> Iterator[Batch]:
    """Yield the rows of a table in memory in batches, as those of a file.

    Args:
        table: an object with Arrow's PyCapsule protocol; a mapping from names to columns; or a NumPy array of shape
            (rows, features), its columns in the model's order.
        wanted: what is read of it.

    Raises:
        DataRejected: it is no table, lacks a wanted column, or has a column of a wrong type.
    """
    return (to_batch(piece, wanted, PLACE) for piece in align(_pieces(table, wanted), 0, wanted.chunk))


def _pieces(table: Any, wanted: Wanted) -> Iterator[Piece]:
    import numpy as np
    import pyarrow as pa

    if isinstance(table, np.ndarray):
        yield from matrix_pieces(PLACE, table, wanted)
    elif hasattr(table, "__arrow_c_stream__"):
        yield from _batches(*_stream(table, wanted), wanted)
    elif hasattr(table, "__arrow_c_array__"):
        with _refusing():
            batch = pa.record_batch(table)
        yield from _batches(batch.schema, [batch], wanted)
    elif isinstance(table, Mapping):
        batch = _from_columns(table, wanted)
        yield from _batches(batch.schema, [batch], wanted)
    else:
        message = f"give Arrow, pandas, Polars, a dict of columns or a NumPy array, not {type(table).__name__}"
        raise DataRejected("the rows cannot be read", problems=[Problem(PLACE, "no-table", message)], hint=_AS_TABLE)


@contextmanager
def _refusing() -> Iterator[None]:
    """Turn an error of Arrow or of the table's library into a `DataRejected`."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise DataRejected(
            "the rows cannot be read", problems=[Problem(PLACE, "unreadable", _first_words(error))]
        ) from error


def _first_words(error: Exception) -> str:
    return str(next(iter(error.args), error)).partition("\n")[0][:200]


def _stream(table: Any, wanted: Wanted) -> tuple[pa.Schema, Iterable[pa.RecordBatch]]:
    """Return the stream of a table; if its library cannot convert all columns, convert the wanted ones one by one."""
    import pyarrow as pa

    with _refusing():
        try:
            reader = pa.RecordBatchReader.from_stream(table)
        except (pa.ArrowException, TypeError, ValueError):
            if not hasattr(table, "keys"):
                raise
            # For example a DataFrame of pandas with a column of mixed objects, which may not be wanted.
            batch = _from_columns(table, wanted)
            return batch.schema, [batch]
    return reader.schema, reader


def _batches(schema: pa.Schema, batches: Iterable[pa.RecordBatch], wanted: Wanted) -> Iterator[Piece]:
    columns, _ = choose_typed_columns(PLACE, schema, wanted)
    first, rest = 0, iter(batches)
    while (batch := _next(rest)) is not None:
        with _refusing():
            chosen = batch.select(columns)
            chosen.validate(full=True)
            table = plain(PLACE, chosen, columns)
        yield Piece(first, batch.num_rows, table)
        first += batch.num_rows


def _next(batches: Iterator[pa.RecordBatch]) -> pa.RecordBatch | None:
    with _refusing():
        return next(batches, None)


def _from_columns(table: Any, wanted: Wanted) -> pa.RecordBatch:
    """Return the wanted columns of a mapping, or of a DataFrame, whose `keys` are its columns."""
    import pyarrow as pa

    names = list(table.keys())
    columns, _ = choose_columns(PLACE, [str(name) for name in names], wanted)
    keys = {str(name): name for name in names}
    arrays = {name: _column(table[keys[name]], name, wanted) for name in columns}
    first, length = columns[0], len(arrays[columns[0]])
    uneven = [
        ("rows-shape", f"column {name!r} has {len(array):,} values, column {first!r} has {length:,}")
        for name, array in arrays.items()
        if len(array) != length
    ]
    if uneven:
        raise unfit(PLACE, *uneven)
    return pa.RecordBatch.from_arrays(list(arrays.values()), columns)


def _column(values: Any, name: str, wanted: Wanted) -> pa.Array:
    """Convert a column into an Arrow array.

    Raises:
        DataRejected: it is no column, or one of its values is no number.
    """
    import numpy as np
    import pyarrow as pa

    columns = ("__iter__", "__arrow_c_array__", "__arrow_c_stream__")
    if isinstance(values, str | bytes) or not any(hasattr(values, each) for each in columns):
        problem = ("rows-shape", f"column {name!r} is one value, and no list of a value for each row")
        raise unfit(PLACE, problem, hint=f"for one row: {{{name!r}: [{values!r:.{MAX_SHOWN}}], …}}")
    if isinstance(values, np.ndarray):
        values = values.astype(values.dtype.newbyteorder("="), copy=False)  # Arrow takes no other byte order
    try:
        if hasattr(values, "__arrow_c_stream__"):
            return pa.chunked_array(values).combine_chunks()
        return pa.array(values, from_pandas=wanted.columns is not None)  # NaN among texts is a missing value then
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        if any(each.name == name and each.kind == "category" for each in wanted.columns or ()):
            problem = ("not-a-level", f"column {name!r}: {_first_words(error)}")
            raise unfit(PLACE, problem, hint="give all values of the column as text, as .astype(str) does") from error
        _refuse_values(values, name, wanted)
        raise unfit(PLACE, ("not-a-number", f"column {name!r}: {_first_words(error)}")) from error


def _refuse_values(values: Any, name: str, wanted: Wanted) -> None:
    """Refuse the first value of a sequence that is no number, or a whole number that is too large.

    Raises:
        DataRejected: there is such a value.
    """
    import numpy as np

    listed = values.tolist() if hasattr(values, "tolist") else values
    for row, value in enumerate(listed if isinstance(listed, list | tuple) else ()):
        number = value is None or isinstance(value, int | float | Decimal | np.number | np.bool_)
        if number and not (isinstance(value, int) and abs(value) > MAX_WHOLE):
            continue
        rule = "not-exact" if number else "not-a-number"
        shown = f"{value!s:.{MAX_SHOWN}}"
        message = reason(rule, name, value if number else shown, wanted)
        raise Rejected(row, name, shown, rule, message, {}).refusal(PLACE, hint=MEND)
