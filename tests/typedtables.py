"""Tables of numbers, booleans, categories and missing values for tests, in every format that has rows."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import ipc, parquet

from artifact_pipeline.rows.batches import Wanted
from artifact_pipeline.rows.features import Features
from artifact_pipeline.rows.formats.opening import open_rows
from artifact_pipeline.rows.sources import find_sources

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from artifact_pipeline.rows.batches import Batch, Rejected
    from artifact_pipeline.rows.features import Column

    Cells = Mapping[str, Sequence[Any]]

CLASSES = ("no", "yes")
FORMATS = ("csv", "jsonl", "parquet", "arrow", "dictionary.parquet", "large.arrow", "npz")
"""How the same table is written: with dictionaries and with large strings, too; an NPZ of texts has no names."""


def write(path: Path, cells: Cells) -> Path:
    """Write the cells of columns, None where one is missing; the last column are the labels."""
    suffix = path.name.partition(".")[2]
    if suffix == "csv":
        path.write_text(as_csv(cells), newline="")
    elif suffix == "jsonl":
        rows = [dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True)]
        path.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows))
    elif suffix == "npz":
        np.savez(path, X=as_texts(cells), y=np.array([*cells.values()][-1]))
    else:
        _write_arrow(path, _as_arrow(cells, suffix))
    return path


def as_csv(cells: Cells) -> str:
    """The cells as a CSV, its texts as Python writes them; a missing one is empty."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerows([[*cells], *zip(*cells.values(), strict=True)])
    return file.getvalue()


def as_texts(cells: Cells) -> np.ndarray:
    """The cells of all columns but the last as a matrix of texts; a missing one is empty."""
    features = [[("" if each is None else str(each)) for each in column] for column in [*cells.values()][:-1]]
    return np.array(features, dtype=np.str_).T


def _as_arrow(cells: Cells, suffix: str) -> pa.Table:
    table = pa.table({name: pa.array(column) for name, column in cells.items()})
    for at, field in enumerate(table.schema):
        if field.type == "string" and suffix.startswith("dictionary"):
            table = table.set_column(at, field.name, table.column(at).dictionary_encode())
        if field.type == "string" and suffix.startswith("large"):
            table = table.set_column(at, field.name, table.column(at).cast(pa.large_string()))
    return table


def _write_arrow(path: Path, table: pa.Table) -> None:
    if path.suffix == ".parquet":
        parquet.write_table(table, path, row_group_size=7)
        return
    with ipc.new_file(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=7)


class Answerable(NamedTuple):
    """What a model would get of a file, and what is refused or counted."""

    features: Features
    actual: list[int]
    missing: dict[str, int]
    unseen: dict[str, int]
    rejected: tuple[Rejected, ...]

    def listed(self) -> list[tuple[Any, ...]]:
        """The rows as tuples; a number that is missing is None."""
        X = [[None if np.isnan(each) else each for each in row] for row in self.features.X.tolist()]
        return [(*x, *s) for x, s in zip(X, self.features.S.tolist(), strict=True)]


def wanted(columns: tuple[Column, ...], *, target: str = "label", **changed: Any) -> Wanted:
    """What a model with these columns reads of a file."""
    bounds = np.full(len(columns), np.inf)
    names = tuple(column.name for column in columns)
    plain = Wanted(names, "float64", target, CLASSES, (), -bounds, bounds, columns=columns)
    return replace(plain, **changed)


def answerable(path: Path, columns: tuple[Column, ...], **changed: Any) -> Answerable:
    """Read a file for a model with these columns."""
    (source,) = find_sources([str(path)])
    with open_rows(source, wanted(columns, **changed)) as rows:
        return joined([*rows.batches(0)], columns)


def joined(batches: Sequence[Batch], columns: tuple[Column, ...]) -> Answerable:
    """All that batches of these columns hold."""
    names = [column.name for column in columns]
    return Answerable(
        Features.concatenate([batch.features for batch in batches]),
        [each for batch in batches for each in (batch.actual.tolist() if batch.actual is not None else [])],
        dict(zip(names, np.sum([batch.missing for batch in batches], axis=0).tolist(), strict=True)),
        dict(zip(names, np.sum([batch.unseen for batch in batches], axis=0).tolist(), strict=True)),
        tuple(each for batch in batches for each in batch.rejected),
    )
