"""Text files, read from front to back: hashed, unpacked, refused where they unpack to too much, and cut after rows."""

from __future__ import annotations

import hashlib
import shlex
import shutil
import sys
import tempfile
import zlib
from abc import abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

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
"""Bytes that are read, and parsed, at once: more of them leave the processor's cache."""
_PACKED_BLOCK = 1 << 18
_PACKED = {"gz": "gzip", "zst": "zstd"}
_BOM = b"\xef\xbb\xbf"
_SIGNS = (
    (b"\x1f\x8b", "is packed by gzip, which its name does not say", "mv {place} {place}.gz"),
    (b"\x28\xb5\x2f\xfd", "is packed by Zstandard, which its name does not say", "mv {place} {place}.zst"),
    (b"PK\x03\x04", "is a ZIP archive, such as a workbook of Excel", "save its table as CSV, in UTF-8"),
    (b"\xd0\xcf\x11\xe0", "is an old workbook of Excel", "save its table as CSV, in UTF-8"),
    (b"PAR1", "is a Parquet file, which its name does not say", "mv {place} {place}.parquet"),
    (b"ARROW1", "is an Arrow file, which its name does not say", "mv {place} {place}.arrow"),
)
"""How files of other formats begin."""
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


class HashedStream:
    """The bytes of a file as they are read; each is hashed once, unless no digest will be asked for.

    Attributes:
        size: bytes of the file; 0 where it is not known.
        taken: bytes read.
        stamp: changes when the file does.
    """

    def __init__(self, place: str, file: BinaryIO, size: int = 0, stamp: str = "", *, digest: bool = True) -> None:
        """Begin at the first byte of `file`, which its opener closes."""
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
        """It is; Arrow asks."""
        return True

    def close(self) -> None:
        """Do nothing but say so: Arrow closes what it has read."""
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

    def __init__(self, packed: HashedStream, kind: str, place: str) -> None:
        import pyarrow as pa

        self._packed, self._place, self._given = packed, place, 0
        plain = kind == "gzip"
        self._stream: Any = _Gzip(packed) if plain else pa.CompressedInputStream(pa.PythonFile(packed, mode="r"), kind)

    def read(self, size: int) -> bytes:
        """Read at most `size` bytes.

        Raises:
            DataRejected: the file is cut off or spoiled, or unpacks to too much.
        """
        try:
            data: bytes = self._stream.read(size)
        except OSError as error:
            raise unreadable(self._place, str(error).splitlines()[0].lower()) from error
        self._given += len(data)
        if self._given > FREE + MAX_STREAM_RATIO * self._packed.taken:
            message = f"unpacks to more than {MAX_STREAM_RATIO} times its size"
            raise unreadable(self._place, message, rule="decompression-bomb")
        return data


class _Gzip:
    """What gzip has packed, in one member or several; zeros behind the last are padding, as of a tape.

    Arrow refuses that padding, and Python 3.11's own reader takes a fifth more time.
    """

    def __init__(self, packed: HashedStream) -> None:
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


class _LineEnds:
    """Text whose lines may end with a carriage return alone, as on old Macs: then it becomes a line feed."""

    def __init__(self, content: HashedStream | _Unpacked) -> None:
        self._content = content
        self._returns: bool | None = None

    def read(self, size: int) -> bytes:
        """Read at most `size` bytes; which line ends these are, the first ones tell."""
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
    """The path or URL of a source that is read by position; standard input becomes a temporary file."""
    if source.place != STDIN:
        yield source.place
        return
    with tempfile.NamedTemporaryFile() as file:
        shutil.copyfileobj(_stdin(), file, _BLOCK)
        file.flush()
        yield file.name


class TextReader(Reader):
    """What the readers of CSV and of JSON Lines share."""

    mends_line_ends = False

    def __init__(self, source: Source, wanted: Wanted, stream: HashedStream, block: int = _BLOCK) -> None:
        """Read the beginning, which tells the columns; `block` is how many bytes are parsed at once."""
        super().__init__(source.place, wanted)
        self._stream, self.stamp = stream, stream.stamp
        kind = _PACKED.get(source.format.rpartition(".")[2])
        content = _Unpacked(stream, kind, source.place) if kind else stream
        self.blocks = self._cut(_LineEnds(content) if self.mends_line_ends else content, block)
        beginning = next(self.blocks, b"")
        _refuse_other_formats(source.place, beginning)
        self.begin(beginning.removeprefix(_BOM))

    @classmethod
    @contextmanager
    def open(cls, source: Source, wanted: Wanted, *, digest: bool) -> Iterator[Self]:
        """Open the file, and read its beginning; standard input is a file too."""
        if source.place == STDIN:
            yield cls(source, wanted, HashedStream(source.place, _stdin(), digest=digest))
            return
        with storage.opened(source.place) as file:
            yield cls(source, wanted, HashedStream(source.place, file.file, file.size, file.stamp, digest=digest))

    @abstractmethod
    def begin(self, block: bytes) -> None:
        """Take the columns from the first rows.

        Raises:
            DataRejected: a wanted column is missing, or the rows are of another format.
        """

    @abstractmethod
    def end_of_rows(self, block: bytes) -> int:
        """Where the last whole row of a block ends, or 0."""

    def _cut(self, content: HashedStream | _Unpacked | _LineEnds, size: int) -> Iterator[bytes]:
        """The content in blocks of whole rows; only the last may lack a line's end."""
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
        """The share of the file that has been read."""
        return self._stream.done()

    def digest(self) -> str:
        """The SHA-256 of the file's bytes, packed as they are."""
        return self._stream.digest()


def _refuse_other_formats(place: str, block: bytes) -> None:
    """Refuse a file whose first bytes are packed, of another format, or text of another encoding."""
    for sign, words, hint in _SIGNS:
        if block.startswith(sign):
            raise unreadable(place, words, rule="another-format", hint=hint.format(place=shlex.quote(place)))
    line = block.partition(b"\n")[0]
    if block.startswith(_UTF_16):
        raise not_utf_8(place, "is no UTF-8: it looks like UTF-16", "UTF-16")
    if 3 * line.count(b"\0") > len(line):
        raise not_utf_8(place, "is no UTF-8: it looks like UTF-16, or no text", "UTF-16")


def not_utf_8(place: str, message: str, encoding: str = "WINDOWS-1252") -> DataRejected:
    """The error for a text that is not in UTF-8, with the command that writes it so from another encoding."""
    hint = f"save the file as UTF-8: iconv -f {encoding} -t UTF-8 {shlex.quote(place)} > utf8.csv"
    return unreadable(place, message, rule="not-utf-8", hint=hint)
