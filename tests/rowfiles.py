"""Files of rows for tests: the same columns in every format, and two models that answer them."""

from __future__ import annotations

import gzip
import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, ipc, parquet

from artifact_pipeline.config import from_mapping
from artifact_pipeline.digits.dataset import load_digits
from artifact_pipeline.errors import DataRejected
from artifact_pipeline.prediction.run import PredictionRequest, predict
from artifact_pipeline.rows.sources import format_of
from artifact_pipeline.training.candidate import train
from artifact_pipeline.training.publication import publish
from artifact_pipeline.verification import verify
from tables import blobs, write_table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.config import Config
    from artifact_pipeline.prediction.outcome import Predictions
    from artifact_pipeline.training.sealed import Candidate

DIGITS = load_digits()
WORDS = ["no", 'say "yes", or no']
NAMES = ("width", "height")
"""The columns of the model of words; its target is `label`."""


def publish_digits(candidate: Candidate, folder: Path) -> Verified:
    """The documented artifact, or another one."""
    publish(candidate, artifact=folder / "artifact", export=folder / "model_train.pkl")
    return verify(folder / "artifact")


def train_words(folder: Path) -> Verified:
    """A model of a table of two float64 columns, its labels texts."""
    return publish_digits(train(_words_config(folder), progress=lambda _: None), folder)


def train_words_1(folder: Path) -> Verified:
    """The same model in format 1, whose rows go another way."""
    import format1

    gate = {"min_accuracy": 0.95, "min_f1": 0.95, "beats_baseline": False}
    config = _words_config(folder, split={"by": "random"}, preprocess="none", gate=gate)
    return publish_digits(format1.train(config), folder)


def _words_config(folder: Path, **more: Any) -> Config:
    table = write_table(folder / "rows.parquet", blobs(WORDS))
    mapping = {"C": 1.0, "solver": "lbfgs", "max_iter": 1000, "dataset": {"path": str(table), "target": "label"}}
    return from_mapping({**mapping, **more})


def digits(rows: int = 40) -> dict[str, np.ndarray]:
    """The first digits as named columns, without their labels."""
    return {name: DIGITS.X[:rows, index] for index, name in enumerate(DIGITS.names)}


def words(rows: int = 40, *, seed: int = 5) -> dict[str, np.ndarray]:
    """Rows as the model of words was trained on, without their labels."""
    columns = blobs(WORDS, rows=rows, seed=seed)
    return {name: columns[name] for name in NAMES}


def answer(artifact: Verified, *inputs: Path, to: Path, **options: Any) -> Predictions:
    """Predict files into a file."""
    return predict(PredictionRequest(artifact, tuple(map(str, inputs)), str(to), **options))


def answered(artifact: Verified, *inputs: Path, to: Path, **options: Any) -> pa.Table:
    """The predictions of files, as a table."""
    assert to.suffix == ".parquet"
    answer(artifact, *inputs, to=to, **options)
    return parquet.read_table(to)


def refused(artifact: Verified, *inputs: Path, to: Path, **options: Any) -> DataRejected:
    """The refusal of files; nothing has been written, and what stood there still stands."""
    to.write_bytes(b"what stood there")
    before = sorted(to.parent.iterdir())
    with pytest.raises(DataRejected) as caught:
        answer(artifact, *inputs, to=to, **options)
    assert caught.value.problems
    assert sorted(to.parent.iterdir()) == before
    assert to.read_bytes() == b"what stood there"
    return caught.value


def rejected(to: Path) -> list[dict[str, Any]]:
    """The bad rows that were set aside."""
    return [json.loads(line) for line in to.with_name(f"{to.name}.rejected.jsonl").read_text().splitlines()]


def write_rows(path: Path, columns: Mapping[str, Any], form: str | None = None) -> Path:
    """Write columns in the format that the name tells."""
    form = form or format_of(path.name)
    assert form is not None
    kind, _, packed = form.partition(".")
    if kind == "arrow" and path.suffix.lower() == ".arrows":
        kind = "stream"
    data = _WRITERS[kind](dict(columns))
    if packed == "gz":
        data = gzip.compress(data, mtime=0)
    if packed == "zst":
        data = pa.compress(data, "zstd", asbytes=True)
    path.write_bytes(data)
    return path


def _csv(columns: dict[str, Any]) -> bytes:
    sink = pa.BufferOutputStream()
    csv.write_csv(pa.table(columns), sink)
    return sink.getvalue().to_pybytes()


def _parquet(columns: dict[str, Any]) -> bytes:
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.table(columns), sink, row_group_size=17)
    return sink.getvalue().to_pybytes()


def _arrow(columns: dict[str, Any]) -> bytes:
    sink, table = pa.BufferOutputStream(), pa.table(columns)
    with ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=17)
    return sink.getvalue().to_pybytes()


def _stream(columns: dict[str, Any]) -> bytes:
    sink, table = pa.BufferOutputStream(), pa.table(columns)
    with ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=17)
    return sink.getvalue().to_pybytes()


def _matrix(columns: dict[str, Any]) -> np.ndarray:
    return np.column_stack([np.asarray(column) for column in columns.values()])


def _npy(columns: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, np.ascontiguousarray(_matrix(columns)))
    return file.getvalue()


def _npz(columns: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, X=np.ascontiguousarray(_matrix(columns)))
    return file.getvalue()


def _jsonl(columns: dict[str, Any]) -> bytes:
    return "".join(f"{json.dumps(row)}\n" for row in pa.table(columns).to_pylist()).encode()


_WRITERS = {
    "csv": _csv,
    "parquet": _parquet,
    "arrow": _arrow,
    "stream": _stream,
    "npy": _npy,
    "npz": _npz,
    "jsonl": _jsonl,
}
