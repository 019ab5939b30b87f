"""Streams that are read from front to back: hashed, unpacked, and watched for what unpacks to too much."""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from artifact_pipeline import storage
from artifact_pipeline.rows.sources import STDIN
from artifact_pipeline.storage import unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from artifact_pipeline.rows.sources import Source

BLOCK = 1 << 20
PACKED = {"gz": "gzip", "zst": "zstd"}
MAX_RATIO = 200
"""A table of numbers shrinks to a fifth, one of constants to a hundredth; gzip at its best to a thousandth."""
FREE = 64 << 20
"""Bytes that may come out before the ratio is looked at."""


class Hashed:
    """The bytes of a file as they are read, each hashed once.

    Attributes:
        size: bytes of the file, or 0 where nobody knows.
        taken: bytes read.
    """

    def __init__(self, file: BinaryIO, size: int, stamp: str) -> None:
        self._file, self.size, self.stamp = file, size, stamp
        self._hash = hashlib.sha256()
        self.taken = 0
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        """Read at most `size` bytes."""
        data = self._file.read(BLOCK if size < 0 else size)
        self._hash.update(data)
        self.taken += len(data)
        return data

    def readable(self) -> bool:
        """It is."""
        return True

    def close(self) -> None:
        """Whoever opened the file closes it."""
        self.closed = True

    def done(self) -> float:
        """The share of the file that has been read."""
        return self.taken / self.size if self.size else 0.0

    def digest(self) -> str:
        """The SHA-256 of the file, whose rest is read first."""
        while self.read(BLOCK):
            pass
        return self._hash.hexdigest()


class Unpacked:
    """What a packed file unpacks to."""

    def __init__(self, packed: Hashed, kind: str, place: str) -> None:
        import pyarrow as pa

        self._packed, self._place, self._given = packed, place, 0
        self._stream: Any = pa.CompressedInputStream(pa.PythonFile(packed, mode="r"), kind)
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        """Read at most `size` bytes.

        Raises:
            DataRejected: the file is cut off or spoiled, or unpacks to too much.
        """
        try:
            data: bytes = self._stream.read(BLOCK if size < 0 else size)
        except OSError as error:
            raise unreadable(self._place, str(error).splitlines()[0].lower()) from error
        self._given += len(data)
        if self._given > FREE + MAX_RATIO * self._packed.taken:
            message = f"unpacks to more than {MAX_RATIO} times its size"
            raise unreadable(self._place, message, rule="decompression-bomb")
        return data

    def readable(self) -> bool:
        """It is."""
        return True

    def close(self) -> None:
        """Nothing is left to do."""
        self.closed = True


class Prefixed:
    """A stream whose first bytes have been read already."""

    def __init__(self, first: bytes, rest: Hashed | Unpacked) -> None:
        self._first, self._rest = first, rest
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        """Read at most `size` bytes, or about a megabyte."""
        if not self._first:
            return self._rest.read(size)
        size = len(self._first) if size < 0 else size
        data, self._first = self._first[:size], self._first[size:]
        return data

    def readable(self) -> bool:
        """It is."""
        return True

    def close(self) -> None:
        """Nothing is left to do."""
        self.closed = True


@contextmanager
def hashed(source: Source) -> Iterator[Hashed]:
    """Open a source to be read from front to back; standard input is one too.

    Raises:
        DataRejected: it cannot be opened, or has changed meanwhile.
    """
    if source.place == STDIN:
        yield Hashed(sys.stdin.buffer, 0, "")
        return
    with storage.opened(source.place) as file:
        yield Hashed(file.file, file.size, file.stamp)


def unpacked(stream: Hashed, source: Source) -> Hashed | Unpacked:
    """The stream's content, whether its format is packed or not."""
    kind = PACKED.get(source.format.rpartition(".")[2])
    return Unpacked(stream, kind, source.place) if kind else stream


@contextmanager
def spooled(source: Source) -> Iterator[str]:
    """The path or URL of a source that is read by position; standard input becomes a temporary file."""
    if source.place != STDIN:
        yield source.place
        return
    with tempfile.NamedTemporaryFile() as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
        file.flush()
        yield file.name
