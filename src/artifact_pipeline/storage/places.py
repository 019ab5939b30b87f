"""Files at a local path, or in an object store such as S3, where a URL names them (`objects`).

A file is opened as a binary file. It is written whole or not at all: by one rename locally, by one request to a store.
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
from artifact_pipeline.storage.waiting import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SCHEMES = ("s3", "gs", "az", "abfss")
_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def is_url(place: str) -> bool:
    """Whether a place is a URL of an object store."""
    return place.partition("://")[0] in _SCHEMES and "://" in place


def artifact_place(place: str | os.PathLike[str]) -> Path | str:
    """Return a local path, or the text itself where it begins with a scheme such as `oci://`."""
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
        DataRejected: it does not exist, is no regular file, or cannot be read; or it has changed when the block ends.
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
    except FileNotFoundError as error:
        raise unreadable(place, "does not exist", rule="missing-file") from error
    except OSError as error:
        raise unreadable(place, files.reason_of(error)) from error
    about = os.fstat(descriptor)
    if not stat.S_ISREG(about.st_mode):
        os.close(descriptor)
        hint = "save what it gives to a file, and name that; `predict` reads standard input, too: - --from FORMAT"
        raise unreadable(place, "not a regular file", hint=hint)
    with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor has no path
        again = f"/proc/self/fd/{descriptor}"
        path = again if os.path.exists(again) else place  # noqa: PTH110 - a question to the system
        yield Opened(place, cast("BinaryIO", file), about.st_size, _stamp(about), path)
        if _stamp(os.fstat(descriptor)) != _stamp(about):
            raise unreadable(place, "was changed while it was read", rule="changed")


def _stamp(about: os.stat_result) -> str:
    return f"{about.st_size}-{about.st_mtime_ns}"


class Digesting:
    """The SHA-256 of an open file, computed in a thread while it is read by position; leaving the block ends it."""

    def __init__(self, file: Opened) -> None:
        self._file, self._stopped, self._digest = file, threading.Event(), Outcome()
        self._thread = threading.Thread(target=self._run, name=f"digest of {file.place}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def result(self) -> str:
        """Wait until the whole file is read, and return its digest as 64 hexadecimal digits.

        Raises:
            DataRejected: the file could not be read.
        """
        try:
            return str(self._digest.result())
        except OSError as error:
            raise unreadable(self._file.place, files.reason_of(error)) from error

    def _run(self) -> None:
        hashed = hashlib.sha256()
        with self._digest:
            for block in self._blocks():
                hashed.update(block)  # lets other threads run
                if self._stopped.is_set():
                    self._digest.cancel()
                    return
            self._digest.set_result(hashed.hexdigest())

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
    """Open a new file, which replaces what is at `place` if the block ends without an error.

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
    """Return the bytes of a small file, or None if there is no such file.

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
    """Remove a file or an object, if it exists.

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
    """Return the objects below a URL, or those that match its pattern, or the one that it names; sorted by name.

    Raises:
        DataRejected: the store does not answer.
    """
    from artifact_pipeline.storage import objects

    return objects.listed(url)
