"""Text files as streams: hashed, unpacked within a limit, and cut after whole rows."""

from __future__ import annotations

import gzip
import hashlib
import shlex
import sys
import tempfile
import zlib
from abc import abstractmethod
from contextlib import ExitStack, contextmanager
from typing import IO, TYPE_CHECKING, Any, Self, cast

from artifact_pipeline.errors import StorageError
from artifact_pipeline.files import reason_of
from artifact_pipeline.rows.formats.opening import Reader
from artifact_pipeline.rows.limits import FREE, MAX_ROW, MAX_STREAM_RATIO
from artifact_pipeline.rows.sources import STDIN
from artifact_pipeline.storage import places as storage
from artifact_pipeline.storage.opened import unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from artifact_pipeline.errors import DataRejected
    from artifact_pipeline.rows.batches import Wanted
    from artifact_pipeline.rows.sources import Source

_BLOCK = 1 << 20
"""Bytes that are read and parsed at a time: more would not fit into the processor's cache."""
_BOM = b"\xef\xbb\xbf"
_SIGNATURES = (
    (b"\x1f\x8b", "is packed by gzip, which its name does not say", "mv {place} {place}.gz"),
    (b"\x28\xb5\x2f\xfd", "is packed by Zstandard, which its name does not say", "mv {place} {place}.zst"),
    (b"PK\x03\x04", "is a ZIP archive, such as a workbook of Excel", "save its table as CSV, in UTF-8"),
    (b"\xd0\xcf\x11\xe0", "is an old workbook of Excel", "save its table as CSV, in UTF-8"),
    (b"PAR1", "is a Parquet file, which its name does not say", "mv {place} {place}.parquet"),
    (b"ARROW1", "is an Arrow file, which its name does not say", "mv {place} {place}.arrow"),
)
"""The first bytes of files of other formats, with what to say and what to do about them."""
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


class HashedStream:
    """A file whose bytes are hashed as they are read, if its digest is wanted.

    Attributes:
        size: bytes of the file; 0 if that is not known.
        taken: bytes read.
        stamp: a text that changes when the file changes.
    """

    def __init__(self, place: str, file: BinaryIO, size: int = 0, stamp: str = "", *, digest: bool = True) -> None:
        """Begin at the first byte of `file`, which the caller closes."""
        self._place, self._file, self.size, self.stamp = place, file, size, stamp
        self._hash = hashlib.sha256() if digest else None
        self.taken = 0
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        """Return at most `size` bytes.

        Raises:
            DataRejected: the file cannot be read.
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
        """Return True, for Arrow."""
        return True

    def close(self) -> None:
        """Set `closed`, for Arrow; the file stays open."""
        self.closed = True

    def done(self) -> float:
        """Return the share of the file that has been read, 0 to 1."""
        return self.taken / self.size if self.size else 0.0

    def digest(self) -> str:
        """Read the rest of the file, and return the SHA-256 of all its bytes."""
        assert self._hash is not None
        while self.read(_BLOCK):
            pass
        return self._hash.hexdigest()


class _Unpacked:
    """The content of a file that is packed by gzip (`gz`) or Zstandard (`zst`)."""

    def __init__(self, packed: HashedStream, suffix: str, place: str) -> None:
        import pyarrow as pa

        self._packed, self._place, self._given = packed, place, 0
        if suffix == "gz":
            self._stream: Any = gzip.GzipFile(fileobj=cast("BinaryIO", packed))
        else:
            self._stream = pa.CompressedInputStream(pa.PythonFile(packed, mode="r"), "zstd")

    def read(self, size: int) -> bytes:
        """Return `size` bytes; fewer at the end.

        Raises:
            DataRejected: the file is truncated or broken, or unpacks to too much.
        """
        try:
            data: bytes = self._stream.read(size)
        except EOFError as error:
            raise unreadable(self._place, "ends within its packed content") from error
        except (OSError, zlib.error) as error:
            raise unreadable(self._place, str(error).splitlines()[0].lower()) from error
        self._given += len(data)
        if self._given > FREE + MAX_STREAM_RATIO * self._packed.taken:
            message = f"unpacks to more than {MAX_STREAM_RATIO} times its size"
            raise unreadable(self._place, message, rule="decompression-bomb")
        return data


class _LineEnds:
    """A text in which a carriage return alone, as on old Macs, is read as a line feed; its first line end decides."""

    def __init__(self, content: HashedStream | _Unpacked) -> None:
        self._content = content
        self._returns: bool | None = None

    def read(self, size: int) -> bytes:
        """Return the next bytes, at most `size`, with line feeds."""
        data = self._content.read(size)
        if self._returns is None and (b"\n" in data or b"\r" in data[:-1]):
            self._returns = b"\n" not in data
        return data.replace(b"\r", b"\n") if self._returns else data


def _stdin() -> BinaryIO:
    if sys.stdin is None:
        raise unreadable("standard input", "is closed")
    return sys.stdin.buffer


@contextmanager
def spooled(source: Source) -> Iterator[str]:
    """Yield the path or URL of a source that is read by position; standard input is copied to a temporary file."""
    if source.place != STDIN:
        yield source.place
        return
    with temporary_copy(HashedStream("standard input", _stdin(), digest=False)) as file:
        yield file.name


@contextmanager
def temporary_copy(content: HashedStream | IO[bytes]) -> Iterator[IO[bytes]]:
    """Yield a temporary file with the content of a stream.

    Raises:
        StorageError: it cannot be written, for example because the disk is full.
    """
    with ExitStack() as stack:
        try:
            file = stack.enter_context(tempfile.NamedTemporaryFile())
        except OSError as error:
            raise _no_temporary_file(error) from error
        while block := content.read(_BLOCK):
            try:
                file.write(block)
                file.flush()
            except OSError as error:
                raise _no_temporary_file(error) from error
        yield file


def _no_temporary_file(error: OSError) -> StorageError:
    hint = "free some space, or name a folder with space in the variable TMPDIR"
    return StorageError(f"cannot write a temporary file: {reason_of(error)}", hint=hint)


class TextReader(Reader):
    """The base of the readers of CSV and of JSON Lines."""

    mends_line_ends = False

    def __init__(self, source: Source, wanted: Wanted, stream: HashedStream, block: int = _BLOCK) -> None:
        """Read the beginning, which has the columns; `block` is how many bytes are parsed at a time."""
        super().__init__(source.place, wanted)
        self._stream, self.stamp = stream, stream.stamp
        suffix = source.format.rpartition(".")[2]
        content = _Unpacked(stream, suffix, source.place) if suffix in {"gz", "zst"} else stream
        self.blocks = self._cut(_LineEnds(content) if self.mends_line_ends else content, block)
        beginning = next(self.blocks, b"")
        _refuse_other_formats(source.place, beginning)
        self.begin(beginning.removeprefix(_BOM))

    @classmethod
    @contextmanager
    def open(cls, source: Source, wanted: Wanted, *, digest: bool) -> Iterator[Self]:
        """Open the file or standard input, and read the beginning."""
        if source.place == STDIN:
            yield cls(source, wanted, HashedStream(source.place, _stdin(), digest=digest))
            return
        with storage.opened(source.place) as file:
            yield cls(source, wanted, HashedStream(source.place, file.file, file.size, file.stamp, digest=digest))

    @abstractmethod
    def begin(self, block: bytes) -> None:
        """Find the columns in the first rows.

        Raises:
            DataRejected: a wanted column is missing, or the rows are of another format.
        """

    @abstractmethod
    def end_of_rows(self, block: bytes) -> int:
        """Return where the last whole row of a block ends, or 0."""

    def _cut(self, content: HashedStream | _Unpacked | _LineEnds, size: int) -> Iterator[bytes]:
        """Yield the content in blocks of whole rows; only the last may lack a line end."""
        held = b""
        while data := content.read(size):
            held += data
            if end := self.end_of_rows(held):
                yield held[:end]
                held = held[end:]
            if len(held) > MAX_ROW:
                message = f"a row is longer than {MAX_ROW:,} bytes; is a line's end missing, or a quote?"
                raise unreadable(self.place, message, rule="row-too-long")
        if held:
            yield held

    def done(self) -> float:
        """Return the share of the file that has been read, 0 to 1."""
        return self._stream.done()

    def digest(self) -> str:
        """Return the SHA-256 of the file's bytes, before they are unpacked."""
        return self._stream.digest()


def _refuse_other_formats(place: str, block: bytes) -> None:
    """Refuse a file whose first bytes are packed, of another format, or text of another encoding."""
    for signature, message, hint in _SIGNATURES:
        if block.startswith(signature):
            raise unreadable(place, message, rule="another-format", hint=hint.format(place=shlex.quote(place)))
    line = block.partition(b"\n")[0]
    if block.startswith(_UTF_16):
        raise not_utf_8(place, "is no UTF-8: it looks like UTF-16", "UTF-16")
    if 3 * line.count(b"\0") > len(line):
        raise not_utf_8(place, "is no UTF-8: it looks like UTF-16, or no text", "UTF-16")


def not_utf_8(place: str, message: str, encoding: str = "WINDOWS-1252") -> DataRejected:
    """Return the error for a text that is not in UTF-8, with the command that converts it from another encoding."""
    hint = f"save the file as UTF-8: iconv -f {encoding} -t UTF-8 {shlex.quote(place)} > utf8.csv"
    return unreadable(place, message, rule="not-utf-8", hint=hint)
