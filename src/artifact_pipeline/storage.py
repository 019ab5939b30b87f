"""Where bytes stand: a local path, or an object in a store such as S3 named by its URL (extra `scale`, by obstore).

Reading gives a binary file; writing is whole or not at all, by a rename here and by one request there.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tempfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Self, cast

from artifact_pipeline import files
from artifact_pipeline.errors import DataRejected, Problem, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMES = ("s3", "gs", "az", "abfss")
BLOCK = 1 << 20
"""Bytes of one read; hashlib lets other threads run meanwhile."""
SPOOL = 64 << 20
"""Bytes of an object that are held in memory before it is sent; what is larger waits in a temporary file."""


class Object(NamedTuple):
    """One object in a store: its URL, its name below the URL that was listed, and its size."""

    url: str
    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that is open for reading.

    Attributes:
        place: its path or URL.
        file: reads and seeks.
        size: bytes.
        stamp: changes when the file does: its size and time, or the store's tag.
        path: a path by which C++ can open the very same file again; None for an object in a store.
    """

    place: str
    file: BinaryIO
    size: int
    stamp: str
    path: str | None


def is_url(place: str) -> bool:
    """Whether a place is a URL of an object store."""
    return place.partition("://")[0] in SCHEMES and "://" in place


@contextmanager
def opened(place: str) -> Iterator[Opened]:
    """Open a file or an object for reading.

    Raises:
        DataRejected: it does not exist, is no regular file, or cannot be read; and, at the end, if it has changed.
    """
    if is_url(place):
        found = _opened_object(place)
        yield found
        if _opened_object(place).stamp != found.stamp:
            raise unreadable(place, "was changed while it was read", rule="changed")
        return
    try:
        # O_NONBLOCK: a FIFO put in the file's place must not make the reader wait for a writer.
        descriptor = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        message = "does not exist" if missing else (error.strerror or "cannot be opened").lower()
        raise unreadable(place, message, rule="missing-file" if missing else "unreadable") from error
    with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor has no path
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise unreadable(place, "not a regular file")
        before = _stamp(descriptor)
        again = f"/proc/self/fd/{descriptor}"
        path = again if os.path.exists(again) else place  # noqa: PTH110 - no path of anybody's, a question to the system
        yield Opened(place, cast("BinaryIO", file), os.fstat(descriptor).st_size, before, path)
        if _stamp(descriptor) != before:
            raise unreadable(place, "was changed while it was read", rule="changed")


def _stamp(descriptor: int) -> str:
    about = os.fstat(descriptor)
    return f"{about.st_size}-{about.st_mtime_ns}"


def unreadable(place: str, message: str, *, rule: str = "unreadable") -> DataRejected:
    """The refusal of a file that cannot be read."""
    return DataRejected("the rows cannot be read", problems=[Problem(place, rule, message)])


class Digesting:
    """The SHA-256 of an open file, computed beside whoever reads it by position; leaving the block gives it up."""

    def __init__(self, file: Opened) -> None:
        self._file, self._stopped, self._hash = file, threading.Event(), hashlib.sha256()
        self._failed: OSError | None = None
        self._thread = threading.Thread(target=self._run, name=f"digest of {file.place}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def result(self) -> str:
        """The digest as 64 hexadecimal digits, once all is read.

        Raises:
            DataRejected: the file could not be read.
        """
        self._thread.join()
        if self._failed is not None:
            raise unreadable(self._file.place, _reason(self._failed)) from self._failed
        return self._hash.hexdigest()

    def _run(self) -> None:
        try:
            for block in self._blocks():
                self._hash.update(block)  # lets other threads run
                if self._stopped.is_set():
                    return
        except OSError as error:
            self._failed = error

    def _blocks(self) -> Iterator[bytes | memoryview]:
        if is_url(self._file.place):
            file = _opened_object(self._file.place).file
            yield from iter(lambda: file.read(BLOCK), b"")
            return
        # Into one buffer, small enough for the cache: fresh memory for each block would cost as much as hashing it.
        at, descriptor, buffer = 0, self._file.file.fileno(), memoryview(bytearray(BLOCK // 4))
        while read := os.preadv(descriptor, [buffer], at):
            yield buffer[:read]
            at += read


@contextmanager
def staged(place: str) -> Iterator[BinaryIO]:
    """Open a new file that takes its place whole when the block ends well, or not at all.

    Raises:
        StorageError: it cannot be written.
    """
    if is_url(place):
        with _staged_object(place) as file:
            yield file
        return
    try:
        with files.staged(Path(place)) as descriptor, open(descriptor, "wb", closefd=False) as file:
            yield file
            file.flush()
    except OSError as error:
        raise files.storage_error(Path(place), error) from error


def write(place: str, data: bytes) -> None:
    """Write a small file whole.

    Raises:
        StorageError: it cannot be written.
    """
    with staged(place) as file:
        file.write(data)


def read(place: str, limit: int) -> bytes | None:
    """Read a small file whole; None where there is none.

    Raises:
        DataRejected: it cannot be read, or is larger than `limit` bytes.
    """
    try:
        with opened(place) as file:
            if file.size > limit:
                raise unreadable(place, f"larger than {limit:,} bytes", rule="too-large")
            return bytes(file.file.read(limit + 1))
    except DataRejected as error:
        if error.rules == {"missing-file"}:
            return None
        raise


def remove(place: str) -> None:
    """Remove a file or an object; one that is not there is no error."""
    if is_url(place):
        import obstore

        store, path = _store(place)
        obstore.delete(store, path)
    else:
        Path(place).unlink(missing_ok=True)


def list_files(url: str) -> list[Object]:
    """The objects below a URL, or those that its pattern fits, sorted by name.

    Raises:
        DataRejected: the store does not answer.
    """
    import fnmatch
    import glob

    import obstore
    from obstore.exceptions import BaseError

    scheme, _, rest = url.partition("://")
    bucket, _, path = rest.partition("/")
    pattern = path if glob.has_magic(path) else None
    folder = path.rstrip("/") if pattern is None else _fixed(path)
    try:
        store, _ = _store(f"{scheme}://{bucket}/")
        found = [each for block in obstore.list(store, prefix=folder or None) for each in block]
    except BaseError as error:
        raise unreadable(url, _reason(error)) from error
    start = len(folder) + 1 if folder else 0
    return sorted(
        (
            Object(f"{scheme}://{bucket}/{each['path']}", each["path"][start:], each["size"])
            for each in found
            if pattern is None or fnmatch.fnmatchcase(each["path"], pattern)
        ),
        key=lambda each: each.name,
    )


def _fixed(pattern: str) -> str:
    """The folders before a pattern's first magic character."""
    import glob

    parts = pattern.split("/")
    fixed = next((index for index, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    return "/".join(parts[:fixed])


def _store(url: str) -> tuple[Any, str]:
    """The store of a URL, its settings from the environment (AWS_ENDPOINT_URL, …), and the object's path in it."""
    from obstore.store import from_url

    scheme, _, rest = url.partition("://")
    bucket, _, path = rest.partition("/")
    return from_url(f"{scheme}://{bucket}"), path


def _opened_object(url: str) -> Opened:
    import obstore
    from obstore.exceptions import BaseError

    store, path = _store(url)
    try:
        about = obstore.head(store, path)
        file = io.BufferedReader(_Raw(obstore.open_reader(store, path, buffer_size=8 * BLOCK)), 8 * BLOCK)
    except FileNotFoundError as error:
        raise unreadable(url, "does not exist", rule="missing-file") from error
    except BaseError as error:
        raise unreadable(url, _reason(error)) from error
    return Opened(url, cast("BinaryIO", file), about["size"], f"{about['size']}-{about['e_tag']}", None)


class _Raw(io.RawIOBase):
    """An object's reader as Python knows raw files."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._reader.read(len(buffer))
        buffer[: len(data)] = memoryview(data)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return int(self._reader.seek(offset, whence))

    def tell(self) -> int:
        return int(self._reader.tell())


@contextmanager
def _staged_object(url: str) -> Iterator[BinaryIO]:
    import obstore
    from obstore.exceptions import BaseError

    with tempfile.SpooledTemporaryFile(SPOOL) as file:
        yield cast("BinaryIO", file)
        file.seek(0)
        store, path = _store(url)
        try:
            obstore.put(store, path, cast("BinaryIO", file))
        except (BaseError, OSError) as error:
            hint = "see that the store can be reached; what stood there before still stands"
            raise StorageError(f"cannot write {url}: {_reason(error)}", hint=hint) from error


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0][:200]
