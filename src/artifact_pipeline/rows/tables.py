"""CSV, Parquet and JSON Lines tables, read by column name and refused where a value is not a finite number."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from artifact_pipeline.errors import DataRejected, Problem
from artifact_pipeline.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

LINES = (".jsonl", ".ndjson")
SUFFIXES = (".csv", ".parquet", *LINES)
MAX_TEXT = 256
"""Characters in a column's name or in a label: the manifest's bound."""
MAX_WHOLE = 2**53 - 1
"""Beyond it float64 does not hold every whole number: two different ones would become one."""
MAX_NUMBER = 1e300
"""Beyond it a sum over the rows may be no finite number any more."""
MAX_INT64 = 2**63 - 1


def read_table(path: Path, *, target: str, features: Sequence[str] | None = None) -> Rows:
    """Read a table whole.

    Args:
        path: a `.csv` (UTF-8, comma, header), `.parquet`, or `.jsonl` or `.ndjson` (an object a line) file.
        target: the name of the label's column; it may be missing where `features` are given.
        features: the columns to read, in this order; None takes all but the target, in the file's order.

    Raises:
        DataRejected: the file cannot be read, a column is missing, or a value is not a finite number.
    """
    table = _read(path, target, features)
    names = table.column_names
    repeated = [name for name, times in Counter(names).items() if times > 1]
    if repeated:
        raise _refused(path, *(("column-repeated", f"the column {name!r} stands twice") for name in repeated))
    if features is None:
        missing = [] if target in names else [target]
        features = [name for name in names if name != target]
    else:
        missing = [name for name in features if name not in names]
    if missing:
        problems = [("column-missing", f"no column {name!r}") for name in missing]
        raise _refused(path, *problems, hint=f"it has: {', '.join(map(repr, names[:20]))}")
    unnamed = [name for name in (*features, target) if not 0 < len(name) <= MAX_TEXT]
    if unnamed:
        must = f"a column's name must have 1 to {MAX_TEXT} characters"
        raise _refused(path, *(("column-name", f"{must}, got {name!r:.80}") for name in unnamed))
    if not features or not table.num_rows:
        raise _refused(path, ("no-rows", "holds no rows, or no columns beside the target"))
    return Rows(
        source="table",
        names=tuple(features),
        target=target,
        X=_matrix(path, table, features),
        y=_labels(path, table.column(target)) if target in names else None,
    )


def _read(path: Path, target: str, features: Sequence[str] | None) -> pa.Table:
    """The file's columns; JSON Lines' are judged while they are read, since nobody says what type they have."""
    import pyarrow as pa
    from pyarrow import csv, parquet

    if path.suffix not in SUFFIXES:
        raise _refused(path, ("unknown-suffix", f"must end with one of {', '.join(SUFFIXES)}, got {path.suffix!r}"))
    try:
        if path.suffix in LINES:
            from artifact_pipeline.rows.lines import read_lines

            return read_lines(path, target=target, features=features)
        # One thread: a reader's block borders decide which type it infers, and they must not depend on a race.
        if path.suffix == ".csv":
            table = csv.read_csv(path, read_options=csv.ReadOptions(use_threads=False))
        else:
            with parquet.ParquetFile(path) as file:  # this very file: `read_table` would also take a folder
                table = file.read(use_threads=False)
        table.validate(full=True)  # Parquet's texts may be anything but UTF-8
        _ = table.column_names  # and so may a CSV's header, which is decoded here
    except FileNotFoundError:
        raise _refused(path, ("missing-file", "does not exist")) from None
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise _refused(path, ("unreadable", str(error).splitlines()[0])) from error
    return table


def _matrix(path: Path, table: pa.Table, features: Sequence[str]) -> NDArray[np.float64]:
    import numpy as np

    matrix = np.empty((table.num_rows, len(features)), dtype=np.float64)
    problems = []
    for index, name in enumerate(features):
        problem = _fill(matrix[:, index], table.column(name), name)
        problems += [problem] if problem else []
    if problems:
        raise _refused(path, *problems)
    return matrix


def _fill(values: NDArray[np.float64], column: pa.ChunkedArray, name: str) -> tuple[str, str] | None:
    """Write a column's numbers into `values`; what is wrong with them, as rule and message."""
    import numpy as np
    import pyarrow as pa

    whole = pa.types.is_integer(column.type)
    if not (whole or pa.types.is_floating(column.type)):
        return "not-a-number", f"column {name!r} holds {column.type}, not numbers"
    # A null becomes NaN, and minus zero zero: a CSV writes it as a whole number, which knows one zero alone.
    values[:] = column.cast(pa.float64(), safe=False).to_numpy() + 0.0
    bad = np.flatnonzero(~(np.abs(values) <= (MAX_WHOLE if whole else MAX_NUMBER)))  # so that NaN is bad too
    if not bad.size:
        return None
    row = int(bad[0])
    rule, message = number_fault(column[row].as_py(), whole=whole)
    return rule, f"column {name!r}, row {row}: {message}"


def number_fault(value: float | None, *, whole: bool) -> tuple[str, str]:
    """Why a number is bad, as rule and message."""
    if value is None:
        return "not-finite", "the value is missing"
    if whole:
        return "not-exact", f"{value!s:.80} may be no float64; whole numbers must be between -2^53 and 2^53"
    return "not-finite", f"{value} is not a finite number of at most {MAX_NUMBER:.0e}"


def _labels(path: Path, column: pa.ChunkedArray) -> NDArray[np.int64] | NDArray[np.str_]:
    import numpy as np
    import pyarrow as pa

    whole = pa.types.is_integer(column.type)
    if not (whole or pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        raise _refused(path, ("label-invalid", f"labels must be whole numbers or text, not {column.type}"))
    labels = column.to_pylist()
    for row, label in enumerate(labels):
        if label is None or label == "":
            raise _refused(path, ("label-missing", f"row {row} has no label"))
        if whole and label > MAX_INT64:
            raise _refused(path, ("label-invalid", f"row {row}: a label must be at most {MAX_INT64}, got {label}"))
        if not whole and (len(label) > MAX_TEXT or "\0" in label):  # NumPy would drop a null at the end
            must = f"a label must have at most {MAX_TEXT} characters and no null"
            raise _refused(path, ("label-invalid", f"row {row}: {must}, got {label!r:.80}"))
    return np.array(labels, dtype=np.int64) if whole else np.array(labels, dtype=np.str_)


def _refused(path: Path, *problems: tuple[str, str], hint: str | None = None) -> DataRejected:
    """The refusal of a file; each problem is a rule and a message."""
    return DataRejected("the rows cannot be read", problems=[Problem(str(path), *each) for each in problems], hint=hint)
