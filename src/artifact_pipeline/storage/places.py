"""Where bytes stand: a local path, or an object in a store such as S3, named by its URL (`objects`).

Reading gives a binary file; writing is whole or not at all, by a rename here and by one request there.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self, cast

from artifact_pipeline import files
from artifact_pipeline.errors import DataRejected
from artifact_pipeline.storage.opened import BLOCK, Opened, StoredFile, unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SCHEMES = ("s3", "gs", "az", "abfss")
_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def is_url(place: str) -> bool:
    """Whether a place is a URL of an object store."""
    return place.partition("://")[0] in _SCHEMES and "://" in place


def artifact_place(place: str | os.PathLike[str]) -> Path | str:
    """Where an artifact is: a path of this machine, or a text where a scheme such as `oci://` names another place."""
    return place if isinstance(place, str) and _REMOTE.match(place) else Path(place)


def file_places(named: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> tuple[str, ...]:
    """The places of one file or of several, as texts.

    Raises:
        DataRejected: what is named is a table in memory.
    """
    if hasattr(named, "__arrow_c_stream__"):
        raise DataRejected("a table in memory is no file", hint="open_artifact(…).predict(table) answers it")
    places = (named,) if isinstance(named, str | os.PathLike) else named
    return tuple(os.fspath(each) for each in places)


@contextmanager
def opened(place: str) -> Iterator[Opened]:
    """Open a file or an object for reading.

    Raises:
        DataRejected: it does not exist, is no regular file, or cannot be read; and, at the end, if it has changed.
    """
    if is_url(place):
        from artifact_pipeline.storage import objects

        found = objects.opened(place)
        yield found
        if objects.stamp(place) != found.stamp:
            raise unreadable(place, "was changed while it was read", rule="changed")
        return
    try:
        # O_NONBLOCK: a FIFO put in the file's place must not make the reader wait for a writer.
        descriptor = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        message = "does not exist" if missing else (error.strerror or "cannot be opened").lower()
        raise unreadable(place, message, rule="missing-file" if missing else "unreadable") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        hint = "save what it gives to a file, and name that; `predict` reads standard input, too: - --from FORMAT"
        raise unreadable(place, "not a regular file", hint=hint)
    with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor has no path
        before = _stamp(descriptor)
        again = f"/proc/self/fd/{descriptor}"
        path = again if os.path.exists(again) else place  # noqa: PTH110 - a question to the system
        yield Opened(place, cast("BinaryIO", file), os.fstat(descriptor).st_size, before, path)
        if _stamp(descriptor) != before:
            raise unreadable(place, "was changed while it was read", rule="changed")


def _stamp(descriptor: int) -> str:
    about = os.fstat(descriptor)
    return f"{about.st_size}-{about.st_mtime_ns}"


class Digesting:
    """The SHA-256 of an open file, computed in a thread while it is read by position; leaving the block ends it."""

    def __init__(self, file: Opened) -> None:
        self._file, self._stopped, self._hash = file, threading.Event(), hashlib.sha256()
        self._failed: OSError | DataRejected | None = None
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
        if isinstance(self._failed, DataRejected):
            raise self._failed
        if self._failed is not None:
            reason = (self._failed.strerror or "cannot be read").lower()
            raise unreadable(self._file.place, reason) from self._failed
        return self._hash.hexdigest()

    def _run(self) -> None:
        try:
            for block in self._blocks():
                self._hash.update(block)  # lets other threads run
                if self._stopped.is_set():
                    return
        except (OSError, DataRejected) as error:
            self._failed = error

    def _blocks(self) -> Iterator[bytes | memoryview]:
        if is_url(self._file.place):
            from artifact_pipeline.storage import objects

            file = objects.opened(self._file.place).file
            yield from iter(lambda: file.read(BLOCK), b"")
            return
        # Into one buffer: fresh memory for each block would cost as much as hashing it. A large one: for each block
        # the threads hand Python's lock to each other twice.
        at, descriptor, buffer = 0, self._file.file.fileno(), memoryview(bytearray(4 * BLOCK))
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
        from artifact_pipeline.storage import objects

        with objects.staged(place) as file:
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
    """Remove a file or an object; one that is not there is no error.

    Raises:
        StorageError: it cannot be removed.
    """
    if is_url(place):
        from artifact_pipeline.storage import objects

        objects.remove(place)
        return
    try:
        Path(place).unlink(missing_ok=True)
    except OSError as error:
        raise files.storage_error(Path(place), error) from error


def list_files(url: str) -> list[StoredFile]:
    """The objects below a URL, or those that its pattern fits, or the one that it names; sorted by name.

    Raises:
        DataRejected: the store does not answer.
    """
    from artifact_pipeline.storage import objects

    return objects.listed(url)
