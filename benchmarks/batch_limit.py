"""The limit: read, assemble the matrix, hash input and output, write, with the pipeline's settings and no model.

What is written is as much as predictions are: the row's number, a label, ten probabilities, all made up. pandas, which
pyarrow imports with its first array where it is installed, is kept out, as `predict` keeps it out.

python batch_limit.py INPUT OUTPUT
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from artifact_pipeline.runtime import without_pandas

CHUNK, BLOCK, ROW_GROUP = 1 << 16, 4096, 1 << 18
NAMES = ["row", "predicted", *(f"probability_{label}" for label in range(10))]
LABELS, SHARES = np.zeros(CHUNK, dtype=np.int64), np.full((CHUNK, 10), 0.1)


class Hashed:
    """A file whose bytes are hashed while they are written."""

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.hash = file, hashlib.sha256()

    def write(self, data: bytes) -> int:
        """Write and hash."""
        self.hash.update(data)
        return self.file.write(data)

    def writable(self) -> bool:
        """It is."""
        return True

    def flush(self) -> None:
        """Not yet."""

    def close(self) -> None:
        """Its owner does."""


def assemble(batch: pa.RecordBatch, matrix: np.ndarray) -> None:
    """Put the columns into a matrix, a block of rows at a time."""
    columns = [column.to_numpy() for column in batch.columns]
    for start in range(0, batch.num_rows, BLOCK):
        block = matrix[: min(BLOCK, batch.num_rows - start)]
        for index, column in enumerate(columns):
            block[:, index] = column[start : start + BLOCK]


def answers(first: int, rows: int) -> pa.Table:
    """As much as the predictions of some rows."""
    columns = [pa.array(np.arange(first, first + rows)), pa.array(LABELS[:rows])]
    columns += [pa.array(column) for column in np.ascontiguousarray(SHARES[:rows].T, dtype=np.float32)]
    return pa.Table.from_arrays(columns, NAMES)


def write(given: Path, file: BinaryIO) -> str:
    """Read, assemble and write; the digest of what was written."""
    matrix = np.empty((BLOCK, 64), dtype=np.float32)
    held: list[pa.Table] = []
    first, sink = 0, Hashed(file)
    settings: dict[str, Any] = {
        "use_dictionary": False,
        "compression": "none",
        "column_encoding": {"row": "DELTA_BINARY_PACKED"},
        "write_statistics": ["row"],
        "store_schema": False,
    }
    with (
        parquet.ParquetFile(given, pre_buffer=False, buffer_size=1 << 16) as source,
        parquet.ParquetWriter(pa.PythonFile(sink, mode="w"), answers(0, 0).schema, **settings) as writer,
    ):
        for batch in source.iter_batches(CHUNK, use_threads=False):
            assemble(batch, matrix)
            held.append(answers(first, batch.num_rows))
            first += batch.num_rows
            if sum(table.num_rows for table in held) >= ROW_GROUP:
                writer.write_table(pa.concat_tables(held), row_group_size=ROW_GROUP)
                held = []
        if held:
            writer.write_table(pa.concat_tables(held), row_group_size=ROW_GROUP)
    return sink.hash.hexdigest()


with without_pandas(), Path(sys.argv[1]).open("rb") as read, Path(sys.argv[2]).open("wb") as written:
    print(hashlib.file_digest(read, "sha256").hexdigest())
    print(write(Path(sys.argv[1]), written))
