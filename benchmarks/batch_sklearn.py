"""Predict a Parquet file by scikit-learn, batch by batch, as a careful person would.

python batch_sklearn.py INPUT OUTPUT
"""

import sys

import joblib
import numpy as np
import pyarrow as pa
from pyarrow import parquet

model = joblib.load("model_train.pkl")
names = ["row", "predicted", *(f"probability_{label}" for label in model.classes_)]
writer, first = None, 0
with parquet.ParquetFile(sys.argv[1], pre_buffer=False) as source:
    for batch in source.iter_batches(1 << 16):
        matrix = np.stack([column.to_numpy() for column in batch.columns], axis=1)
        probabilities = model.predict_proba(matrix)
        labels = model.classes_[probabilities.argmax(axis=1)]
        columns = [np.arange(first, first + len(labels)), labels, *probabilities.astype(np.float32).T]
        table = pa.Table.from_arrays([pa.array(np.ascontiguousarray(each)) for each in columns], names)
        writer = writer or parquet.ParquetWriter(sys.argv[2], table.schema)
        writer.write_table(table)
        first += len(labels)
if writer is not None:
    writer.close()
