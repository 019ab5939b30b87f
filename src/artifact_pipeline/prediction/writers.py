"""Writers of predictions: Parquet, CSV and JSON Lines; the bytes are hashed while they are written."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, BinaryIO

from artifact_pipeline.canonical import PREFIX
from artifact_pipeline.errors import DataRejected, Problem
from artifact_pipeline.rows.faults import python_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    from numpy.typing import NDArray


_ROW_GROUP = 1 << 18
"""Rows of a Parquet row group: a few megabytes, and large enough to be read at full speed."""
_TEXT_ROWS = 512
"""Rows whose texts are in memory at once."""
METADATA = "artifact-pipeline.artifact"
"""The key under which a Parquet file names the artifact that made it."""


class HashedFile:
    """A file that is being written, its bytes counted and hashed; pyarrow can write into it too."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._hash = file, hashlib.sha256()
        self.size = 0
        self.closed = False

    def write(self, data: bytes) -> int:
        """Write all of `data`; once closed, nothing: a Parquet writer that is abandoned still writes its footer."""
        if self.closed:
            return len(data)
        self._file.write(data)
        self._hash.update(data)
        self.size += len(data)
        return len(data)

    def writable(self) -> bool:
        """Return True."""
        return True

    def flush(self) -> None:
        """Do nothing: the file's owner flushes it."""

    def close(self) -> None:
        """Take no more bytes; the file's owner closes it."""
        self.closed = True

    def digest(self) -> str:
        """Return the digest of the bytes that were written."""
        return PREFIX + self._hash.hexdigest()


class _Writer(ABC):
    """Writes a table batch by batch."""

    def __init__(self, file: HashedFile, names: list[str]) -> None:
        self._file, self._names = file, names

    @abstractmethod
    def write(self, columns: Mapping[str, Any], probabilities: NDArray[np.float64]) -> None:
        """Write rows: columns, each an array or one text for all rows, and float64 probabilities, (classes, rows).

        Raises:
            DataRejected: a kept column has another type than before.
        """

    def close(self) -> None:  # noqa: B027 - most have nothing left
        """Write what is left."""


def open_writer(form: str, file: HashedFile, names: list[str], *, artifact: str) -> _Writer:
    """Return the writer of a format.

    Args:
        form: `parquet`, `csv` or `jsonl`.
        file: where to write.
        names: the columns of probabilities or of scores, in the order of the model's classes.
        artifact: the artifact digest, which is written into a Parquet file.
    """
    if form == "parquet":
        return _ParquetWriter(file, names, artifact)
    return _CsvWriter(file, names) if form == "csv" else _JsonLinesWriter(file, names)


class _ParquetWriter(_Writer):
    """Parquet: probabilities in float32, plain, which is smaller than a dictionary and written twice as fast."""

    def __init__(self, file: HashedFile, names: list[str], artifact: str) -> None:
        super().__init__(file, names)
        self._artifact = artifact
        self._tables: list[Any] = []
        self._held = 0
        self._writer: Any = None
        self._schema: Any = None

    def write(self, columns: Mapping[str, Any], probabilities: NDArray[np.float64]) -> None:
        """Keep rows until they fill a row group."""
        import numpy as np
        import pyarrow as pa

        rows = probabilities.shape[1]
        arrays = [_arrow(values, rows) for values in columns.values()]
        arrays += [pa.array(column) for column in probabilities.astype(np.float32)]
        table = pa.Table.from_arrays(arrays, [*columns, *self._names])
        self._schema = self._schema or table.schema
        if table.schema != self._schema:
            pairs = zip(table.schema, self._schema, strict=True)
            new, old = next((ours, before) for ours, before in pairs if ours != before)
            problem = Problem("rows", "column-type", f"column {new.name!r} holds {new.type}, before it held {old.type}")
            raise DataRejected("the rows cannot be carried through", problems=[problem])
        self._tables.append(table)
        self._held += rows
        if self._held >= _ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        if self._writer is None:
            texts = [field.name for field in self._schema if not _is_number(field.type)]
            self._writer = parquet.ParquetWriter(
                pa.PythonFile(self._file, mode="w"),
                self._schema,
                use_dictionary=texts or False,
                compression={name: "zstd" if name in texts else "none" for name in self._schema.names},
                column_encoding={"row": "DELTA_BINARY_PACKED"},
                write_statistics=["row"],
                store_schema=False,
            )
            self._writer.add_key_value_metadata({METADATA: self._artifact})
        self._writer.write_table(pa.concat_tables(self._tables), row_group_size=_ROW_GROUP)
        self._tables, self._held = [], 0

    def close(self) -> None:
        """Write the last row group and the footer."""
        if self._tables or self._writer is None:
            self._flush()
        self._writer.close()


def _arrow(values: Any, rows: int) -> Any:
    import pyarrow as pa

    if isinstance(values, str):
        return pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), rows), [values]).cast(pa.string())
    return values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values)


def _is_number(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


class _CsvWriter(_Writer):
    """CSV: UTF-8, commas, a header; probabilities to six decimals, since later ones depend on the processor."""

    _begun = False

    def write(self, columns: Mapping[str, Any], probabilities: NDArray[np.float64]) -> None:
        """Write rows, after the header."""
        if not self._begun:
            self._write_rows([[*columns, *self._names]])
            self._begun = True
        for start in range(0, probabilities.shape[1], _TEXT_ROWS):
            part = slice(start, start + _TEXT_ROWS)
            values = probabilities[:, part]
            rows = values.shape[1]
            lists = [_listed(each if isinstance(each, str) else each[part], rows) for each in columns.values()]
            shares = [[f"{share:.6f}" for share in column] for column in values.tolist()]
            self._write_rows(zip(*lists, *shares, strict=True))

    def _write_rows(self, rows: Iterable[Iterable[Any]]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        self._file.write(text.getvalue().encode())


class _JsonLinesWriter(_Writer):
    """JSON Lines: one object in each line, with the same names and decimals as in a CSV."""

    def write(self, columns: Mapping[str, Any], probabilities: NDArray[np.float64]) -> None:
        """Write rows."""
        rows, names = probabilities.shape[1], [*columns, *self._names]
        lists = [[_json(each) for each in _listed(values, rows)] for values in columns.values()]
        shares = [[round(share, 6) for share in column] for column in probabilities.tolist()]
        lines = [
            json.dumps(dict(zip(names, row, strict=True)), default=str) for row in zip(*lists, *shares, strict=True)
        ]
        self._file.write("".join(f"{line}\n" for line in lines).encode())


def _listed(values: Any, rows: int) -> list[Any]:
    if isinstance(values, str):
        return [values] * rows
    found: list[Any] = python_values(values) if hasattr(values, "to_pylist") else values.tolist()
    return found


def _json(value: Any) -> Any:
    """A value for JSON, which has no numbers that are not finite: they become texts."""
    return str(value) if isinstance(value, float) and not abs(value) < float("inf") else value
