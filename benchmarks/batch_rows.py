"""The rows of the batch benchmark, written, and the labels of two sides, compared.

python batch_rows.py write FILE ROWS continuous|whole
python batch_rows.py compare FILE FILE
"""

from __future__ import annotations

import sys

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from artifact_pipeline.digits.dataset import load_digits

STEP = 1 << 20
"""Rows of a row group, as pyarrow writes them unless told otherwise."""
TIE = 1e-5
"""Two probabilities that are closer than this are a tie: either label is right."""


def write_rows(place: str, rows: int, kind: str) -> None:
    """Write digits, drawn with replacement: with noise (`continuous`), or as they are (`whole`)."""
    digits, random = load_digits(), np.random.default_rng(rows)
    low, high = digits.X.min(axis=0), digits.X.max(axis=0)
    writer = None
    for first in range(0, rows, STEP):
        count = min(STEP, rows - first)
        matrix = digits.X[random.integers(0, len(digits.X), count)]
        if kind == "continuous":
            matrix = np.clip(matrix + random.uniform(-0.5, 0.5, matrix.shape), low, high)
        columns = [pa.array(np.ascontiguousarray(column, dtype=np.float32)) for column in matrix.T]
        table = pa.Table.from_arrays(columns, list(digits.names))
        writer = writer or parquet.ParquetWriter(place, table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()


def compare_labels(one: str, other: str) -> tuple[int, int, int]:
    """Rows of two files of predictions, labels that differ, and how many of these are ties in the second file."""
    files = [parquet.ParquetFile(name, pre_buffer=False, buffer_size=1 << 16) for name in (one, other)]
    rows = unequal = ties = 0
    for ours, theirs in zip(*(file.iter_batches(1 << 16) for file in files), strict=True):
        differ = np.flatnonzero(ours["predicted"].to_numpy() != theirs["predicted"].to_numpy())
        shares = np.array([theirs[f"probability_{label}"].to_numpy()[differ] for label in range(10)])
        best = np.sort(shares, axis=0)
        rows, unequal = rows + ours.num_rows, unequal + len(differ)
        ties += int((best[-1] - best[-2] <= TIE).sum())
    return rows, unequal, ties


if __name__ == "__main__":
    verb, *names = sys.argv[1:]
    if verb == "write":
        write_rows(names[0], int(names[1]), names[2])
    else:
        print(*compare_labels(*names))
