"""The limit: read, assemble the matrix, hash input and output, write, with the pipeline's settings and no model.

    python batch_limit.py INPUT OUTPUT

What is written is as much as predictions are: the row's number, a label, ten probabilities, all made up.
"""

import hashlib
import sys

import numpy as np
import pyarrow as pa
from pyarrow import parquet

CHUNK, BLOCK, ROW_GROUP = 1 << 16, 4096, 1 << 18


class Hashed:
    def __init__(self, file):
        self.file, self.hash, self.closed = file, hashlib.sha256(), False

    def write(self, data):
        self.file.write(data)
        self.hash.update(data)
        return len(data)

    def writable(self):
        return True

    def flush(self):
        pass

    def close(self):
        self.closed = True


def assemble(columns, rows, matrix):
    for start in range(0, rows, BLOCK):
        block = matrix[: min(BLOCK, rows - start)]
        for index, column in enumerate(columns):
            block[:, index] = column[start : start + BLOCK]


def main(given, written):
    with open(given, "rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    labels, shares = np.zeros(CHUNK, dtype=np.int64), np.full((CHUNK, 10), 0.1)
    matrix = np.empty((BLOCK, 64), dtype=np.float32)
    held, writer, first = [], None, 0
    with parquet.ParquetFile(given, pre_buffer=False, buffer_size=1 << 16) as source, open(written, "wb") as file:
        sink = Hashed(file)
        for batch in source.iter_batches(CHUNK, use_threads=False):
            rows = batch.num_rows
            assemble([column.to_numpy() for column in batch.columns], rows, matrix)
            columns = [pa.array(np.arange(first, first + rows)), pa.array(labels[:rows])]
            columns += [pa.array(column) for column in np.ascontiguousarray(shares[:rows].T, dtype=np.float32)]
            names = ["row", "predicted", *(f"probability_{label}" for label in range(10))]
            held.append(pa.Table.from_arrays(columns, names))
            first += rows
            if writer is None:
                writer = parquet.ParquetWriter(
                    pa.PythonFile(sink, mode="w"),
                    held[0].schema,
                    use_dictionary=False,
                    compression="none",
                    column_encoding={"row": "DELTA_BINARY_PACKED"},
                    write_statistics=["row"],
                    store_schema=False,
                )
            if sum(table.num_rows for table in held) >= ROW_GROUP:
                writer.write_table(pa.concat_tables(held), row_group_size=ROW_GROUP)
                held = []
        if held:
            writer.write_table(pa.concat_tables(held), row_group_size=ROW_GROUP)
        writer.close()
    print(digest.hexdigest(), sink.hash.hexdigest())


main(*sys.argv[1:])
