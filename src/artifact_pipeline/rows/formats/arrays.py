"""NumPy's files: NPY and NPZ. A matrix has no names, so its columns must be just the model's, in its order."""

from __future__ import annotations

import ast
import io
import math
import re
import shutil
import struct
import tempfile
import zipfile
import zlib
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from artifact_pipeline.errors import DataRejected, Problem
from artifact_pipeline.rows.batches import Piece
from artifact_pipeline.rows.faults import listed_names
from artifact_pipeline.rows.formats.columnar import PositionReader, refusing
from artifact_pipeline.rows.limits import FREE, MAX_FILE_RATIO, MAX_HEADER, MAX_MEMBERS
from artifact_pipeline.storage.opened import unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.rows.batches import Wanted

_MAGIC = b"\x93NUMPY"
_LENGTHS = {1: 2, 2: 4, 3: 4}
"""Bytes of the header's length, by the version of the format."""
DTYPE = re.compile(r"[<>=|](f[248]|[iu][1248]|b1|U[1-9][0-9]{0,2})")
"""Numbers of at most eight bytes, booleans, and short texts, which labels may be."""
_BLOCK = 1 << 20
_SAVE = "write both into one file: np.savez('rows.npz', X=X, y=y)"
_SPOILED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,
    RuntimeError,
)
"""What Python raises over a broken archive, or one that is encrypted."""


class _Header(NamedTuple):
    """What an array says of itself: its shape, whether its columns lie together, its type, where its data begin."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    offset: int


def _read_header(place: str, file: IO[bytes]) -> _Header:
    """Read the header of an array; the file then stands at its data.

    Raises:
        DataRejected: it is none, or one of anything but numbers and texts; objects, which only a pickle could bring
            back, are never loaded.
    """
    import numpy as np

    start = _exactly(place, file, 8)
    if start[:6] != _MAGIC or start[6] not in _LENGTHS or start[7]:
        raise unreadable(place, "no array of NumPy")
    width = _LENGTHS[start[6]]
    length = int.from_bytes(_exactly(place, file, width), "little")
    if length > MAX_HEADER:
        raise unreadable(place, f"the header is longer than {MAX_HEADER:,} bytes")
    shape, fortran, descr = _described(place, _exactly(place, file, length))
    if descr.endswith("O"):
        raise unreadable(place, "holds Python objects, which are never loaded", rule="object-array")
    _check_dtype(place, descr)
    return _Header(shape, fortran, np.dtype(descr), 8 + width + length)


def _check_dtype(place: str, descr: str) -> None:
    if not DTYPE.fullmatch(descr):
        problem = Problem(place, "not-a-number", f"holds {descr!r:.40}, neither plain numbers nor text")
        raise DataRejected("the rows do not fit the model", problems=[problem])


def _described(place: str, header: bytes) -> tuple[tuple[int, ...], bool, str]:
    """What a header says: shape, order, and type."""
    try:
        told = ast.literal_eval(header.decode().strip())
        shape, fortran, descr = told["shape"], told["fortran_order"], told["descr"]
    except (ValueError, SyntaxError, TypeError, KeyError, MemoryError, RecursionError) as error:
        raise unreadable(place, f"no array of NumPy: {type(error).__name__} in its header") from error
    whole = isinstance(shape, tuple) and all(type(each) is int and each >= 0 for each in shape)
    if len(told) != 3 or not whole or type(fortran) is not bool:
        raise unreadable(place, "no array of NumPy: its header has no shape and no order")
    return shape, fortran, descr if isinstance(descr, str) else f"{descr}"


def count_rows(place: str, file: IO[bytes]) -> int | None:
    """The rows of an open NPY or NPZ file as its header tells them; None where it does not tell which array they are.

    Raises:
        DataRejected: it is neither, or holds what is never loaded.
    """
    with refusing(place):
        archive = file.read(2) == b"PK"
        file.seek(0)
    if not archive:
        return next(iter(_read_header(place, file).shape), None)
    try:
        with zipfile.ZipFile(file) as opened:
            infos = {info.filename.removesuffix(".npy"): info for info in opened.infolist()[:MAX_MEMBERS]}
            chosen = infos.get("X") or (next(iter(infos.values())) if len(infos) == 1 else None)
            if chosen is None:
                return None
            with opened.open(chosen) as member:
                return next(iter(_read_header(place, member).shape), None)
    except _SPOILED as error:
        raise unreadable(place, f"no NPZ file: {error!s:.100}") from error


class _ArrayReader(PositionReader):
    """What the two readers share: a matrix has no names, so its columns are numbered where they are to be learned."""

    def _named(self, wanted: Wanted, header: _Header, labels: tuple[str, ...]) -> Wanted:
        """What is wanted, with the names of all columns where they are to be learned."""
        if wanted.learning:
            if not labels:
                message = f"holds no labels: there is no array {wanted.target!r}, nor 'y'"
                problem = Problem(self.place, "column-missing", message)
                raise DataRejected("the rows do not fit the model", problems=[problem], hint=_SAVE)
            width = math.prod(header.shape[1:]) if len(header.shape) > 1 else 0
            wanted = replace(wanted, features=tuple(f"x{number}" for number in range(width)))
            self.names = (*wanted.features, *labels)
        self.kinds = dict.fromkeys(wanted.features, "boolean" if header.dtype.kind == "b" else "number")
        return wanted


class NpyReader(_ArrayReader):
    """An open NPY file: one matrix."""

    @contextmanager
    def columns_of(self, wanted: Wanted) -> Iterator[None]:
        """Read the header."""
        self._header = _read_header(self.place, self.file.file)
        self._wanted = wanted = self._named(wanted, self._header, ())
        self.total = _rows(self.place, self._header, wanted)
        size = self._header.offset + self._header.dtype.itemsize * math.prod(self._header.shape)
        if self.file.size != size:
            raise unreadable(self.place, f"has {self.file.size:,} bytes, its header says {size:,}", rule="truncated")
        _refuse_names(self.place, wanted)
        yield

    def pieces(self, start: int) -> Iterator[Piece]:
        """The rows from `start` on."""
        assert self.total is not None
        for first in range(start, self.total, self._wanted.chunk):
            count = min(self._wanted.chunk, self.total - first)
            if self._header.fortran:
                matrix = _columns_together(self.place, self.file.file, self._header, slice(first, first + count))
            else:
                matrix = self._rows_together(first, count)
            self.read = first + count
            yield Piece(first, count, matrix_table(matrix, self._wanted))

    def _rows_together(self, first: int, count: int) -> NDArray[Any]:
        import numpy as np

        width = len(self._wanted.features)
        data = _at(self.place, self.file.file, self._header, first=first * width, values=count * width)
        return np.frombuffer(data, dtype=self._header.dtype).reshape(count, width)


class NpzReader(_ArrayReader):
    """An open NPZ file: the matrix `X` (or the only array), and labels under the target's name or `y`."""

    _matrix: IO[bytes] | None = None

    @contextmanager
    def columns_of(self, wanted: Wanted) -> Iterator[None]:
        """Read the directory, and the headers of the arrays."""
        self._labels = None
        with ExitStack() as stack:
            try:
                archive = stack.enter_context(zipfile.ZipFile(self.file.file))
                matrix, labels = self._members(archive, wanted.target)
                self._rows_file = stack.enter_context(archive.open(matrix))
                self._header = _read_header(self.place, self._rows_file)
                if labels is not None:
                    self._labels_file = stack.enter_context(archive.open(labels))
                    self._labels = _read_header(self.place, self._labels_file)
                if self._header.fortran and len(self._header.shape) > 1:
                    self._unpack(stack, archive.open(matrix))
            except _SPOILED as error:
                raise unreadable(self.place, f"no NPZ file: {error!s:.100}") from error
            self._wanted = self._named(wanted, self._header, (wanted.target,) if self._labels else ())
            _refuse_names(self.place, self._wanted)
            self.total = _rows(self.place, self._header, self._wanted)
            self._check_form()
            yield

    def _unpack(self, stack: ExitStack, packed: IO[bytes]) -> None:
        """Unpack a matrix that lies column by column into a temporary file, to be read by position."""
        self._matrix = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
        shutil.copyfileobj(packed, self._matrix, _BLOCK)
        size = self._header.offset + self._header.dtype.itemsize * math.prod(self._header.shape)
        if self._matrix.tell() != size:
            raise unreadable(
                self.place, f"X has {self._matrix.tell():,} bytes, its header says {size:,}", rule="truncated"
            )

    def _members(self, archive: zipfile.ZipFile, target: str) -> tuple[zipfile.ZipInfo, zipfile.ZipInfo | None]:
        found = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        if len(archive.infolist()) > MAX_MEMBERS or len(found) < len(archive.infolist()):
            raise unreadable(self.place, f"holds more than {MAX_MEMBERS:,} arrays, or two of one name")
        labels = next((found[name] for name in (target, "y") if name in found), None)
        others = [info for info in found.values() if info is not labels]
        matrix = found.get("X") or (others[0] if len(others) == 1 else None)
        if matrix is None:
            problem = Problem(self.place, "column-missing", f"no array 'X'; it has: {listed_names(list(found))}")
            raise DataRejected("the rows do not fit the model", problems=[problem], hint=_SAVE)
        for info in (matrix, *([labels] if labels is not None else [])):
            if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                raise unreadable(self.place, f"{info.filename} is packed in a way that NumPy does not use")
            if info.file_size > FREE + MAX_FILE_RATIO * info.compress_size:
                message = f"{info.filename} unpacks to more than {MAX_FILE_RATIO} times its size"
                raise unreadable(self.place, message, rule="decompression-bomb")
        self.left_out = tuple(name for name, info in found.items() if info not in (matrix, labels))
        return matrix, labels

    def _check_form(self) -> None:
        if self._labels is not None and self._labels.shape != (self.total,):
            message = f"labels of shape {self._labels.shape} for {self.total:,} rows"
            raise unreadable(self.place, message, rule="rows-shape")

    def pieces(self, start: int) -> Iterator[Piece]:
        """All rows, from the beginning: what is packed is unpacked from there."""
        assert self.total is not None
        width = len(self._wanted.features)
        for first in range(0, self.total, self._wanted.chunk):
            count = min(self._wanted.chunk, self.total - first)
            if self._matrix is not None:
                matrix = _columns_together(self.place, self._matrix, self._header, slice(first, first + count))
            else:
                matrix = self._take(self._rows_file, self._header, count * width).reshape(count, width)
            labels = self._take(self._labels_file, self._labels, count) if self._labels else None
            self.read = first + count
            if first + count > start:
                with refusing(self.place):  # labels may be no text after all
                    table = matrix_table(matrix, self._wanted, labels)
                yield Piece(first, count, table)
        rows = [self._rows_file] if self._matrix is None else []
        for file in (*rows, *([self._labels_file] if self._labels else [])):
            if self._read(file, 1):  # to the very end, where the checksum is compared
                raise unreadable(self.place, "an array is longer than its header says", rule="truncated")

    def _take(self, file: Any, header: _Header, values: int) -> NDArray[Any]:
        import numpy as np

        data = self._read(file, values * header.dtype.itemsize)
        if len(data) < values * header.dtype.itemsize:
            raise unreadable(self.place, "an array ends before its rows do", rule="truncated")
        return np.frombuffer(data, dtype=header.dtype)

    def _read(self, file: Any, size: int) -> bytes:
        try:
            data: bytes = file.read(size)
        except _SPOILED as error:
            raise unreadable(self.place, f"no NPZ file: {error!s:.100}") from error
        return data


def _columns_together(place: str, file: IO[bytes], header: _Header, rows: slice) -> NDArray[Any]:
    """Some rows of a matrix that lies column by column."""
    import numpy as np

    width, count = math.prod(header.shape[1:]), rows.stop - rows.start
    columns = np.empty((width, count), dtype=header.dtype)
    # Where the features have several axes, these lie in Fortran's order too.
    order = np.arange(width).reshape(header.shape[1:], order="F").ravel().tolist()
    for index, column in enumerate(order):
        data = _at(place, file, header, first=column * header.shape[0] + rows.start, values=count)
        columns[index] = np.frombuffer(data, dtype=header.dtype)
    return columns.T


def _at(place: str, file: IO[bytes], header: _Header, *, first: int, values: int) -> bytes:
    """The bytes of some values, from the one of this number on."""
    with refusing(place):
        file.seek(header.offset + first * header.dtype.itemsize)
        return _exactly(place, file, values * header.dtype.itemsize)


def _exactly(place: str, file: IO[bytes], size: int) -> bytes:
    parts = io.BytesIO()
    while (missing := size - parts.tell()) and (part := file.read(missing)):
        parts.write(part)
    if missing:
        raise unreadable(place, "ends before its rows do", rule="truncated")
    return parts.getvalue()


def _rows(place: str, header: _Header, wanted: Wanted) -> int:
    """How many rows an array holds: (rows, features), or with the features in several axes, such as (rows, 8, 8).

    Raises:
        DataRejected: another shape, or no numbers.
    """
    width = len(wanted.features)
    if len(header.shape) < 2 or math.prod(header.shape[1:]) != width:
        message = f"has the shape {header.shape}; the model takes {width} features a row"
        raise DataRejected("the rows do not fit the model", problems=[Problem(place, "rows-shape", message)])
    if header.dtype.kind == "U":
        message = f"holds {header.dtype}, not numbers"
        raise DataRejected("the rows do not fit the model", problems=[Problem(place, "not-a-number", message)])
    return header.shape[0]


def _refuse_names(place: str, wanted: Wanted) -> None:
    if wanted.keep and not wanted.learning:
        problem = Problem(place, "column-missing", f"no column {wanted.keep[0]!r}: an array has no names")
        raise DataRejected("the rows do not fit the model", problems=[problem])


def check_matrix(place: str, matrix: NDArray[Any], wanted: Wanted) -> None:
    """See that an array in memory is what an NPY file may hold.

    Raises:
        DataRejected: another shape, or no numbers.
    """
    _check_dtype(place, matrix.dtype.str)
    _rows(place, _Header(matrix.shape, fortran=False, dtype=matrix.dtype, offset=0), wanted)


def matrix_table(matrix: NDArray[Any], wanted: Wanted, labels: NDArray[Any] | None = None) -> Any:
    """Rows of shape (rows, features), and their labels, as an Arrow table."""
    import numpy as np
    import pyarrow as pa

    # One transposition, not one stride a column; and the processor's own order of bytes, which Arrow asks for.
    columns = list(np.ascontiguousarray(matrix.T, dtype=matrix.dtype.newbyteorder("=")))
    names = list(wanted.features)
    if labels is not None:
        columns, names = [*columns, labels.astype(labels.dtype.newbyteorder("="))], [*names, wanted.target]
    return pa.RecordBatch.from_arrays([pa.array(column) for column in columns], names)
