"""CSV and Parquet tables, read by column name and refused where a value is not a finite number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from artifact_pipeline.errors import DataRejected, Problem
from artifact_pipeline.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

SUFFIXES = (".csv", ".parquet")


def read_table(path: Path, *, target: str, features: Sequence[str] | None = None) -> Rows:
    """Read a table whole.

    Args:
        path: a `.csv` (UTF-8, comma, header) or `.parquet` file.
        target: the name of the label's column; it may be missing where `features` are given.
        features: the columns to read, in this order; None takes all but the target, in the file's order.

    Raises:
        DataRejected: the file cannot be read, a column is missing, or a value is not a finite number.
    """
    table = _read(path)
    _refuse_repeated(path, table.column_names)
    labelled = target in table.column_names
    if features is None:
        features = [name for name in table.column_names if name != target]
        missing = [] if labelled else [target]
    else:
        missing = [name for name in features if name not in table.column_names]
    if missing or not features or not table.num_rows:
        raise _no_such_columns(path, table, missing)
    return Rows(
        source="table",
        names=tuple(features),
        target=target,
        X=_matrix(path, table, features),
        y=_labels(path, table.column(target)) if labelled else None,
    )


def _read(path: Path) -> pa.Table:
    import pyarrow as pa
    from pyarrow import csv, parquet

    if path.suffix not in SUFFIXES:
        raise DataRejected(
            f"cannot tell the format of {path}",
            hint=f"name a file that ends with {' or '.join(SUFFIXES)}",
        )
    try:
        # One thread: a reader's block borders decide which type it infers, and they must not depend on a race.
        if path.suffix == ".csv":
            return csv.read_csv(path, read_options=csv.ReadOptions(use_threads=False))
        return parquet.read_table(path, use_threads=False, pre_buffer=False)
    except FileNotFoundError as error:
        raise DataRejected(f"no such file: {path}") from error
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataRejected(f"cannot read {path}: {reason}") from error


def _refuse_repeated(path: Path, names: Sequence[str]) -> None:
    repeated = sorted({name for name in names if list(names).count(name) > 1})
    if repeated:
        raise DataRejected(
            f"cannot read {path}",
            problems=[
                Problem(str(path), "column-repeated", f"the column {name!r} stands twice")
                for name in repeated
            ],
        )


def _no_such_columns(path: Path, table: pa.Table, missing: Sequence[str]) -> DataRejected:
    if not missing:
        return DataRejected(f"{path} holds no rows or no columns beside the target")
    return DataRejected(
        f"{path} does not have the columns that are asked for",
        problems=[Problem(str(path), "column-missing", f"no column {name!r}") for name in missing],
        hint=f"it has: {', '.join(map(repr, table.column_names[:20]))}",
    )


def _matrix(path: Path, table: pa.Table, features: Sequence[str]) -> NDArray[np.float64]:
    import numpy as np
    import pyarrow as pa

    matrix = np.empty((table.num_rows, len(features)), dtype=np.float64)
    problems = []
    for index, name in enumerate(features):
        column = table.column(name)
        if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
            problems.append(
                Problem(str(path), "not-a-number", f"column {name!r} holds {column.type}, not numbers")
            )
            continue
        matrix[:, index] = column.cast(pa.float64(), safe=False).to_numpy()  # a null becomes NaN
        bad = np.flatnonzero(~np.isfinite(matrix[:, index]))
        if bad.size:
            found = column[int(bad[0])].as_py()
            where = f"column {name!r}, row {int(bad[0])}"
            problems.append(Problem(str(path), "not-finite", f"{where}: {found} is not a finite number"))
    if problems:
        raise DataRejected(f"{path} holds values that no model was trained on", problems=problems)
    return matrix


def _labels(path: Path, column: pa.ChunkedArray) -> NDArray[np.int64] | NDArray[np.str_]:
    import numpy as np
    import pyarrow as pa

    if column.null_count:
        raise DataRejected(f"{path} has rows without a label")
    if pa.types.is_integer(column.type):
        labels: NDArray[np.int64] = column.cast(pa.int64()).to_numpy()
        return labels
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return np.array(column.to_pylist(), dtype=np.str_)
    raise DataRejected(f"{path}: labels must be whole numbers or text, not {column.type}")
