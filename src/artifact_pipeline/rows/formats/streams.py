"""Streams that are read from front to back: hashed, unpacked, and watched for what unpacks to too much."""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
import zlib
from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from artifact_pipeline.rows.limits import FREE, MAX_ROW, MAX_STREAM_RATIO
from artifact_pipeline.rows.sources import STDIN
from artifact_pipeline.storage import places as storage
from artifact_pipeline.storage.opened import unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from artifact_pipeline.rows.batches import Wanted
    from artifact_pipeline.rows.sources import Source

_BLOCK = 1 << 20
_PACKED_BLOCK = 1 << 18
_PACKED = {"gz": "gzip", "zst": "zstd"}


class Hashed:
    """The bytes of a file as they are read, each hashed once, unless nobody will ask for their digest.

    Attributes:
        size: bytes of the file, or 0 where nobody knows.
        taken: bytes read.
    """

    def __init__(self, place: str, file: BinaryIO, size: int = 0, stamp: str = "", *, digest: bool = True) -> None:
        self._place, self._file, self.size, self.stamp = place, file, size, stamp
        self._hash = hashlib.sha256() if digest else None
        self.taken = 0
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        """Read at most `size` bytes.

        Raises:
            DataRejected: the system cannot read on.
        """
        try:
            data = self._file.read(_BLOCK if size < 0 else size)
        except OSError as error:
            raise unreadable(self._place, (error.strerror or str(error)).lower()) from error
        if self._hash is not None:
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
        assert self._hash is not None
        while self.read(_BLOCK):
            pass
        return self._hash.hexdigest()


class _Unpacked:
    """What a packed file unpacks to."""

    def __init__(self, packed: Hashed, kind: str, place: str) -> None:
        import pyarrow as pa

        self._packed, self._place, self._given = packed, place, 0
        plain = kind == "gzip"
        self._stream: Any = _Gzip(packed) if plain else pa.CompressedInputStream(pa.PythonFile(packed, mode="r"), kind)
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        """Read at most `size` bytes.

        Raises:
            DataRejected: the file is cut off or spoiled, or unpacks to too much.
        """
        try:
            data: bytes = self._stream.read(_BLOCK if size < 0 else size)
        except OSError as error:
            raise unreadable(self._place, str(error).splitlines()[0].lower()) from error
        self._given += len(data)
        if self._given > FREE + MAX_STREAM_RATIO * self._packed.taken:
            message = f"unpacks to more than {MAX_STREAM_RATIO} times its size"
            raise unreadable(self._place, message, rule="decompression-bomb")
        return data

    def readable(self) -> bool:
        """It is."""
        return True

    def close(self) -> None:
        """Nothing is left to do."""
        self.closed = True


class _Gzip:
    """What gzip has packed, in one member or several; zeros behind the last are padding, as of a tape."""

    def __init__(self, packed: Hashed) -> None:
        self._packed, self._rest, self._begun = packed, b"", False
        self._member: Any = None

    def read(self, size: int) -> bytes:
        """At most `size` bytes; none at the end.

        Raises:
            OSError: it is cut off, spoiled, or followed by something else.
        """
        while self._member is not None or self._next_member():
            data = self._rest or self._packed.read(_PACKED_BLOCK)
            try:
                found: bytes = self._member.decompress(data, size)
            except zlib.error as error:
                raise OSError(str(error)) from error
            self._rest = self._member.unconsumed_tail
            if self._member.eof:
                self._rest, self._member = self._member.unused_data, None
            elif not data and not found:
                raise OSError("ends within its packed content")
            if found:
                return found
        return b""

    def _next_member(self) -> bool:
        while data := self._rest or self._packed.read(_PACKED_BLOCK):
            self._rest = data.lstrip(b"\0") if self._begun else data
            if self._rest:
                self._member, self._begun = zlib.decompressobj(wbits=31), True
                return True
        return False


class LineEnds:
    """Text whose lines may end with a carriage return alone, as on old Macs: then it becomes a line feed."""

    def __init__(self, content: Hashed | _Unpacked) -> None:
        self._content = content
        self._returns: bool | None = None

    def read(self, size: int = -1) -> bytes:
        """Read at most `size` bytes; which line ends these are, the first ones tell."""
        data = self._content.read(size)
        if self._returns is None and (b"\n" in data or b"\r" in data[:-1]):
            self._returns = b"\n" not in data
        return data.replace(b"\r", b"\n") if self._returns else data


@contextmanager
def _hashed(source: Source, *, digest: bool) -> Iterator[Hashed]:
    """Open a source to be read from front to back; standard input is one too.

    Args:
        source: what to open.
        digest: whether its digest will be asked for.

    Raises:
        DataRejected: it cannot be opened, or has changed meanwhile.
    """
    if source.place == STDIN:
        yield Hashed(source.place, _stdin(), digest=digest)
        return
    with storage.opened(source.place) as file:
        yield Hashed(source.place, file.file, file.size, file.stamp, digest=digest)


def unpacked(stream: Hashed, source: Source) -> Hashed | _Unpacked:
    """The stream's content, whether its format is packed or not."""
    kind = _PACKED.get(source.format.rpartition(".")[2])
    return _Unpacked(stream, kind, source.place) if kind else stream


@contextmanager
def spooled(source: Source) -> Iterator[str]:
    """The path or URL of a source that is read by position; standard input becomes a temporary file."""
    if source.place != STDIN:
        yield source.place
        return
    with tempfile.NamedTemporaryFile() as file:
        shutil.copyfileobj(_stdin(), file, _BLOCK)
        file.flush()
        yield file.name


def _stdin() -> BinaryIO:
    if sys.stdin is None:
        raise unreadable("standard input", "is closed")
    return sys.stdin.buffer


def cut_after_rows(
    place: str, content: Hashed | _Unpacked | LineEnds, size: int, end_of_rows: Callable[[bytes], int]
) -> Iterator[bytes]:
    """The content in blocks of whole rows; only the last may lack a line's end.

    Args:
        place: the file, for a refusal.
        content: what is read.
        size: bytes that are read at once.
        end_of_rows: where the last whole row of a block ends, or 0.

    Raises:
        DataRejected: a row is longer than 16 MiB.
    """
    held = b""
    while data := content.read(size):
        held += data
        if end := end_of_rows(held):
            yield held[:end]
            held = held[end:]
        if len(held) > MAX_ROW:
            message = f"a row is longer than {MAX_ROW:,} bytes; is a line's end missing, or a quote?"
            raise unreadable(place, message, rule="row-too-long")
    if held:
        yield held


class StreamReader(ABC):
    """What the readers from front to back share; attributes as in `Reader`."""

    _stream: Hashed
    index: tuple[str, ...] = ()

    @abstractmethod
    def __init__(self, source: Source, wanted: Wanted, stream: Hashed) -> None:
        """Read the beginning, which tells the columns."""

    @classmethod
    @contextmanager
    def open(cls, source: Source, wanted: Wanted, *, digest: bool) -> Iterator[Self]:
        """Open the file, and read its beginning."""
        with _hashed(source, digest=digest) as stream:
            yield cls(source, wanted, stream)

    def done(self) -> float:
        """The share of the file that has been read."""
        return self._stream.done()

    def digest(self) -> str:
        """The SHA-256 of the file's bytes, packed as they are."""
        return self._stream.digest()
