"""The limit for rows with categories: read, assemble, answer by ONNX Runtime, hash input and output, write; no check.

python bare_mixed.py INPUT OUTPUT [MODEL]; without a model the answers are made up
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import onnxruntime as ort
import pyarrow as pa
from pyarrow import parquet

CHUNK, BLOCK, ROW_GROUP = 1 << 16, 4096, 1 << 18
NUMBERS, CATEGORIES = [f"number_{at}" for at in range(5)], [f"category_{at}" for at in range(3)]
SETTINGS: dict[str, Any] = {
    "use_dictionary": ["predicted"],
    "compression": {"row": "none", "predicted": "zstd", "probability_no": "none", "probability_yes": "none"},
    "column_encoding": {"row": "DELTA_BINARY_PACKED"},
    "write_statistics": ["row"],
    "store_schema": False,
}


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


def session(place: str) -> Any:
    """One thread, nothing optimised, as `predict` has it."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(place, options, providers=["CPUExecutionProvider"])


def answered(model: Any, batch: pa.RecordBatch, first: int) -> pa.Table:
    """The predictions of a batch."""
    X = np.stack([batch[name].to_numpy(zero_copy_only=False) for name in NUMBERS], axis=1).astype(np.float64)
    S = np.stack([batch[name].fill_null("").to_numpy(zero_copy_only=False) for name in CATEGORIES], axis=1)
    labels, shares = np.full(len(X), "no", dtype=object), np.full((len(X), 2), 0.5)
    for start in range(0, len(X), BLOCK) if model else ():
        block = slice(start, start + BLOCK)
        labels[block], shares[block] = model.run(None, {"X": X[block], "S": S[block]})
    columns = [pa.array(np.arange(first, first + len(X))), pa.array(labels)]
    columns += [pa.array(column) for column in np.ascontiguousarray(shares.T, dtype=np.float32)]
    return pa.Table.from_arrays(columns, ["row", "predicted", "probability_no", "probability_yes"])


def main() -> None:
    """Answer, and print both digests."""
    given, place, *names = sys.argv[1:]
    model = session(names[0]) if names else None
    with Path(given).open("rb") as read:
        print(hashlib.file_digest(read, "sha256").hexdigest())
    first, held, writer = 0, [], None
    with Path(place).open("wb") as file, parquet.ParquetFile(given, pre_buffer=False, buffer_size=1 << 16) as source:
        sink = Hashed(file)
        for batch in source.iter_batches(CHUNK, columns=[*NUMBERS, *CATEGORIES], use_threads=False):
            held.append(answered(model, batch, first))
            first += batch.num_rows
            writer = writer or parquet.ParquetWriter(pa.PythonFile(sink, mode="w"), held[0].schema, **SETTINGS)
            if sum(table.num_rows for table in held) >= ROW_GROUP:
                writer.write_table(pa.concat_tables(held), row_group_size=ROW_GROUP)
                held = []
        if held and writer:
            writer.write_table(pa.concat_tables(held), row_group_size=ROW_GROUP)
        if writer:
            writer.close()
        print(sink.hash.hexdigest())


main()
