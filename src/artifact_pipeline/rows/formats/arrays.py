"""NumPy's files, NPY and NPZ. A matrix has no names, so its columns must be exactly the model's, in its order."""

from __future__ import annotations

import ast
import math
import re
import struct
import zipfile
import zlib
from abc import abstractmethod
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from artifact_pipeline.rows.batches import Piece
from artifact_pipeline.rows.columns import parse_texts
from artifact_pipeline.rows.faults import listed_names, unfit
from artifact_pipeline.rows.formats.columnar import PositionReader, refusing
from artifact_pipeline.rows.formats.streams import temporary_copy
from artifact_pipeline.rows.limits import FREE, MAX_FILE_RATIO, MAX_HEADER, MAX_MEMBERS
from artifact_pipeline.storage.opened import unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from artifact_pipeline.rows.batches import Wanted

_MAGIC = b"\x93NUMPY"
_LENGTHS = {1: 2, 2: 4, 3: 4}
"""Bytes of the header's length, by the version of the format."""
_DTYPE = re.compile(r"[<>=|](f[248]|[iu][1248]|b1|U[1-9][0-9]{0,2})")
"""Numbers of at most eight bytes, booleans, and short texts, as which labels may be written."""
_BLOCK = 1 << 20
_SAVE = "write both into one file: np.savez('rows.npz', X=X, y=y)"
_ARCHIVE_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,
    RuntimeError,
)
"""Errors of Python's about an archive that is broken or encrypted."""


@contextmanager
def _refusing_archive(place: str) -> Iterator[None]:
    """Turn an error about a broken archive into a `DataRejected`."""
    try:
        yield
    except _ARCHIVE_ERRORS as error:
        raise unreadable(place, f"no NPZ file: {error!s:.100}") from error


class _Array(NamedTuple):
    """An array in a file, as described by its header.

    Attributes:
        place: the file, for errors.
        file: the array, header and data, at position 0.
        shape: as in NumPy.
        fortran: whether the values of a column are contiguous, instead of those of a row.
        dtype: as in NumPy.
        offset: the position of the data.
    """

    place: str
    file: IO[bytes]
    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    offset: int

    @property
    def size(self) -> int:
        """Bytes of the header and the data."""
        return self.offset + self.dtype.itemsize * math.prod(self.shape)

    @property
    def width(self) -> int:
        """Values of a row; 1 for an array of one axis."""
        return math.prod(self.shape[1:])

    def rows(self, first: int, count: int) -> NDArray[Any]:
        """Read some rows, of shape (count, width)."""
        import numpy as np

        if not self.fortran or len(self.shape) < 2:
            return self._values(first * self.width, count * self.width).reshape(count, self.width)
        columns = np.empty((self.width, count), dtype=self.dtype)
        # Several axes of features are in Fortran's order, too.
        order = np.arange(self.width).reshape(self.shape[1:], order="F").ravel().tolist()
        for index, column in enumerate(order):
            columns[index] = self._values(column * self.shape[0] + first, count)
        return columns.T

    def _values(self, first: int, count: int) -> NDArray[Any]:
        import numpy as np

        self.file.seek(self.offset + first * self.dtype.itemsize)
        values = np.empty(count, dtype=self.dtype)
        _fill(self.place, self.file, values.view(np.uint8).data)
        return values


def _read_array(place: str, file: IO[bytes]) -> _Array:
    """Read the header of an array.

    Raises:
        DataRejected: it is no array, or has other values than numbers and texts. Objects, which are stored as a pickle,
            are never loaded.
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
    return _Array(place, file, shape, fortran, np.dtype(descr), 8 + width + length)


def _check_dtype(place: str, descr: str) -> None:
    if not _DTYPE.fullmatch(descr):
        raise unfit(place, ("not-a-number", f"holds {descr!r:.40}, neither plain numbers nor text"))


def _described(place: str, header: bytes) -> tuple[tuple[int, ...], bool, str]:
    """Return the shape, the order and the type in a header."""
    try:
        about = ast.literal_eval(header.decode().strip())
        shape, fortran, descr = about["shape"], about["fortran_order"], about["descr"]
    except (ValueError, SyntaxError, TypeError, KeyError, MemoryError, RecursionError) as error:
        raise unreadable(place, f"no array of NumPy: {type(error).__name__} in its header") from error
    whole = isinstance(shape, tuple) and all(type(each) is int and each >= 0 for each in shape)
    if len(about) != 3 or not whole or type(fortran) is not bool:
        raise unreadable(place, "no array of NumPy: its header has no shape and no order")
    return shape, fortran, descr if isinstance(descr, str) else f"{descr}"


def _exactly(place: str, file: IO[bytes], size: int) -> bytes:
    found = bytearray(size)
    _fill(place, file, memoryview(found))
    return bytes(found)


def _fill(place: str, file: IO[bytes], buffer: memoryview) -> None:
    """Read until the buffer is full, block by block, since an archive unpacks each block into separate memory."""
    filled = 0
    while filled < len(buffer):
        block = file.read(min(_BLOCK, len(buffer) - filled))
        if not block:
            raise unreadable(place, "ends before its rows do", rule="truncated")
        buffer[filled : filled + len(block)] = block
        filled += len(block)


def count_rows(place: str, file: IO[bytes]) -> int | None:
    """Return the number of rows in the header of an open NPY or NPZ file; None if it is unclear which array they are.

    Raises:
        DataRejected: it is neither, or has objects, which are never loaded.
    """
    with refusing(place):
        archive = file.read(2) == b"PK"
        file.seek(0)
    if not archive:
        return next(iter(_read_array(place, file).shape), None)
    with _refusing_archive(place), zipfile.ZipFile(file) as opened:
        infos = {info.filename.removesuffix(".npy"): info for info in opened.infolist()[:MAX_MEMBERS]}
        chosen = infos.get("X") or (next(iter(infos.values())) if len(infos) == 1 else None)
        if chosen is None:
            return None
        with opened.open(chosen) as member:
            return next(iter(_read_array(place, member).shape), None)


class _ArrayReader(PositionReader):
    """The base of the two readers."""

    _matrix: _Array
    _labels: _Array | None = None

    @contextmanager
    def columns_of(self, wanted: Wanted) -> Iterator[None]:
        """Read the headers; columns that are learned from get numbers as names."""
        with ExitStack() as stack:
            self._open(stack, wanted.target)
            if wanted.learning:
                if self._labels is None:
                    message = f"holds no labels: there is no array {wanted.target!r}, nor 'y'"
                    raise unfit(self.place, ("column-missing", message), hint=_SAVE)
                width = self._matrix.width if len(self._matrix.shape) > 1 else 0
                wanted = replace(wanted, features=tuple(f"x{number}" for number in range(width)))
                self.names = (*wanted.features, wanted.target)
            elif wanted.keep:
                message = f"no column {wanted.keep[0]!r}: an array has no names"
                raise unfit(self.place, ("column-missing", message))
            if wanted.columns is None:
                self.kinds = dict.fromkeys(wanted.features, "boolean" if self._matrix.dtype.kind == "b" else "number")
            _check_shape(self.place, self._matrix.shape, self._matrix.dtype, wanted)
            self.total = self._matrix.shape[0]
            if self._labels is not None and self._labels.shape != (self.total,):
                message = f"labels of shape {self._labels.shape} for {self.total:,} rows"
                raise unreadable(self.place, message, rule="rows-shape")
            self._own = wanted
            yield

    @abstractmethod
    def _open(self, stack: ExitStack, target: str) -> None:
        """Find the matrix, and the labels if there are any."""

    def pieces(self, start: int) -> Iterator[Piece]:
        """Yield the rows from `start` on."""
        assert self.total is not None
        for first in range(start, self.total, self._own.chunk):
            count = min(self._own.chunk, self.total - first)
            with refusing(self.place):  # labels may be no text after all
                matrix = self._matrix.rows(first, count)
                labels = self._labels.rows(first, count)[:, 0] if self._labels else None
                table = _table(matrix, self._own, labels)
            self.read = first + count
            piece = Piece(first, count, table)
            texts = self._matrix.dtype.kind == "U"
            yield parse_texts(replace(piece, loose=True), self._own, self.kinds) if texts else piece


class NpyReader(_ArrayReader):
    """An open NPY file: one matrix."""

    def _open(self, stack: ExitStack, target: str) -> None:  # noqa: ARG002 - nothing else is opened
        self._matrix = _read_array(self.place, self.file.file)
        if self.file.size != self._matrix.size:
            message = f"has {self.file.size:,} bytes, its header says {self._matrix.size:,}"
            raise unreadable(self.place, message, rule="truncated")


class NpzReader(_ArrayReader):
    """An open NPZ file: the matrix `X` (or the only array), and labels under the target's name or `y`."""

    def _open(self, stack: ExitStack, target: str) -> None:
        with _refusing_archive(self.place):
            archive = stack.enter_context(zipfile.ZipFile(self.file.file))
            matrix, labels = self._chosen(archive, target)
            self._matrix = _read_array(self.place, stack.enter_context(archive.open(matrix)))
            if labels is not None:
                self._labels = _read_array(self.place, stack.enter_context(archive.open(labels)))
            self._members = [array.file for array in (self._matrix, self._labels) if array]
            if self._matrix.fortran and len(self._matrix.shape) > 1:
                self._unpack(stack, self._members.pop(0))

    def _unpack(self, stack: ExitStack, packed: IO[bytes]) -> None:
        """Unpack a matrix in Fortran's order into a temporary file, to be read by position."""
        packed.seek(0)
        file = stack.enter_context(temporary_copy(packed))
        if file.tell() != self._matrix.size:
            message = f"X has {file.tell():,} bytes, its header says {self._matrix.size:,}"
            raise unreadable(self.place, message, rule="truncated")
        self._matrix = self._matrix._replace(file=file)

    def _chosen(self, archive: zipfile.ZipFile, target: str) -> tuple[zipfile.ZipInfo, zipfile.ZipInfo | None]:
        found = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        if len(archive.infolist()) > MAX_MEMBERS or len(found) < len(archive.infolist()):
            raise unreadable(self.place, f"holds more than {MAX_MEMBERS:,} arrays, or two of one name")
        labels = next((found[name] for name in (target, "y") if name in found), None)
        others = [info for info in found.values() if info is not labels]
        matrix = found.get("X") or (others[0] if len(others) == 1 else None)
        if matrix is None:
            message = f"no array 'X'; it has: {listed_names(list(found))}"
            raise unfit(self.place, ("column-missing", message), hint=_SAVE)
        for info in (matrix, *([labels] if labels is not None else [])):
            if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                raise unreadable(self.place, f"{info.filename} is packed in a way that NumPy does not use")
            if info.file_size > FREE + MAX_FILE_RATIO * info.compress_size:
                message = f"{info.filename} unpacks to more than {MAX_FILE_RATIO} times its size"
                raise unreadable(self.place, message, rule="decompression-bomb")
        self.left_out = tuple(name for name, info in found.items() if info not in (matrix, labels))
        return matrix, labels

    def pieces(self, start: int) -> Iterator[Piece]:
        """Yield the rows from `start` on; all are unpacked to the end of the file, where the checksum is compared."""
        pieces = super().pieces(0)
        while True:
            with _refusing_archive(self.place):
                piece = next(pieces, None)
            if piece is None:
                break
            if piece.end > start:
                yield piece
        for member in self._members:
            with _refusing_archive(self.place):
                more = member.read(1)
            if more:
                raise unreadable(self.place, "an array is longer than its header says", rule="truncated")


def _check_shape(place: str, shape: tuple[int, ...], dtype: np.dtype[Any], wanted: Wanted) -> None:
    """Check that an array is one of (rows, features), or has several axes of features, such as (rows, 8, 8).

    Raises:
        DataRejected: it has another shape, or texts that the model does not take.
    """
    if len(shape) < 2 or math.prod(shape[1:]) != len(wanted.features):
        message = f"has the shape {shape}; the model takes {len(wanted.features)} features a row"
        raise unfit(place, ("rows-shape", message))
    if dtype.kind == "U" and wanted.columns is None:
        raise unfit(place, ("not-a-number", f"holds {dtype}, not numbers"))


def matrix_pieces(place: str, matrix: NDArray[Any], wanted: Wanted) -> Iterator[Piece]:
    """Yield the rows of an array in memory, with the types that an NPY file may have.

    Raises:
        DataRejected: it has another type or another shape.
    """
    _check_dtype(place, matrix.dtype.str)
    _check_shape(place, matrix.shape, matrix.dtype, wanted)
    for first in range(0, len(matrix), wanted.chunk):
        rows = matrix[first : first + wanted.chunk].reshape(-1, len(wanted.features))
        yield Piece(first, len(rows), _table(rows, wanted))


def _table(matrix: NDArray[Any], wanted: Wanted, labels: NDArray[Any] | None = None) -> pa.RecordBatch:
    """Convert rows of shape (rows, features), and their labels, into an Arrow table."""
    import numpy as np
    import pyarrow as pa

    # One transposition is faster than strided columns; Arrow takes the byte order of the processor alone.
    columns = list(np.ascontiguousarray(matrix.T, dtype=matrix.dtype.newbyteorder("=")))
    names = list(wanted.features)
    if labels is not None:
        columns, names = [*columns, labels.astype(labels.dtype.newbyteorder("="))], [*names, wanted.target]
    return pa.RecordBatch.from_arrays([pa.array(column) for column in columns], names)
