"""Tables for tests: the same columns as a CSV, a Parquet or a JSON Lines file, by the file's suffix."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyarrow import csv, parquet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def write_table(path: Path, columns: Mapping[str, Sequence | np.ndarray | pa.Array]) -> Path:
    """Write columns; pyarrow and `json` write float64 as the shortest text that gives the same number again."""
    table = pa.table(dict(columns))
    if path.suffix == ".csv":
        csv.write_csv(table, path)
    elif path.suffix in {".jsonl", ".ndjson"}:
        path.write_text("".join(f"{json.dumps(row)}\n" for row in table.to_pylist()))
    else:
        parquet.write_table(table, path)
    return path


def blobs(labels: Sequence[int | str], *, rows: int = 200, seed: int = 11) -> dict[str, np.ndarray]:
    """Two numeric columns in a cloud for each label, well apart, and the column `label`."""
    random = np.random.default_rng(seed)
    position = random.integers(0, len(labels), rows)
    centres = 6.0 * np.array([[np.cos(angle), np.sin(angle)] for angle in 2 * np.pi * position / len(labels)])
    cloud = centres + random.normal(size=(rows, 2))
    return {"width": cloud[:, 0], "height": cloud[:, 1], "label": np.array(labels)[position]}
