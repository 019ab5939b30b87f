"""Files, read within a bound and written whole or not at all."""

from __future__ import annotations

import fcntl
import glob
import os
import shlex
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from artifact_pipeline.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator


_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


def write_atomic(path: Path, data: bytes) -> None:
    """Replace the file at `path` by `data` with one rename; what stood there stays until then.

    A symbolic link at `path` is replaced, not followed. The mode is what the umask leaves of 0666. What a writer
    that was killed has left beside `path` is removed.

    Raises:
        StorageError: the folder is missing, read-only or full.
    """
    try:
        with staged(path) as descriptor:
            write_all(descriptor, data)
    except OSError as error:
        raise storage_error(path, error) from error


@contextmanager
def staged(path: Path) -> Iterator[int]:
    """Open a new file beside `path`, which takes its place by one rename if the block ends well.

    Yields:
        The descriptor of the staged file.

    Raises:
        OSError: as the system says; nothing staged is left behind.
    """
    _remove_stale(path)
    place, descriptor = _create_locked(path)
    try:
        yield descriptor
        os.fsync(descriptor)
        place.replace(path)
    except BaseException:
        place.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    sync_folder(path.parent)


def _create_locked(path: Path) -> tuple[Path, int]:
    """Create a file beside `path` that `_remove_stale` in another process leaves alone while this one lives."""
    while True:
        place = path.with_name(f".{path.name}.{os.urandom(8).hex()}.tmp")
        descriptor = os.open(place, _CREATE, 0o666)
        # Another writer may have removed it between the two calls; then another one is made.
        if try_lock(descriptor) and os.fstat(descriptor).st_nlink:
            return place, descriptor
        os.close(descriptor)


def _remove_stale(path: Path) -> None:
    """Remove the staged files of writers of `path` that are no longer alive: no process holds their lock."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.????????????????.tmp"):
        try:
            descriptor = os.open(left, os.O_RDONLY | os.O_NONBLOCK)
        except OSError:  # gone meanwhile, or another user's
            continue
        try:
            if try_lock(descriptor):
                with suppress(OSError):  # not ours to remove, and in no writer's way
                    left.unlink()
        finally:
            os.close(descriptor)


def try_lock(descriptor: int) -> bool:
    """Take the advisory lock of an open file until it is closed; False where another process holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a folder for one writer, where its file system can; it is free again however the process ends.

    Raises:
        StorageError: another process holds it.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            free = try_lock(descriptor)
        except OSError:  # NFS locks no folder
            free = True
        if not free:
            raise StorageError(f"{folder} is busy: another run is writing into it", hint="wait for it, or end it")
        yield
    finally:
        os.close(descriptor)


def write_new(path: Path, data: bytes) -> None:
    """Write a file that must not exist yet, and force it to the disk.

    Raises:
        OSError: as the system says; the caller knows what the file was for.
    """
    descriptor = os.open(path, _CREATE, 0o666)
    try:
        write_all(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of `data`; one `write` may take only a part of it.

    Raises:
        OSError: as the system says.
    """
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def sync_folder(path: Path) -> None:
    """Force a folder's entries to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_bounded(path: Path, limit: int) -> bytes:
    """Read a regular file of at most `limit` bytes, following links at its end.

    Raises:
        OSError: the file cannot be opened or read.
        ValueError: it is no regular file (`not a regular file`), or larger than `limit` bytes.
    """
    # O_NONBLOCK: a FIFO put in the file's place must not make the reader wait for a writer.
    return read_descriptor(os.open(path, os.O_RDONLY | os.O_NONBLOCK), limit)


def read_descriptor(descriptor: int, limit: int) -> bytes:
    """Read an open descriptor's whole file, once, and close it.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no regular file, or larger than `limit` bytes.
    """
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("not a regular file")
        with open(descriptor, "rb", closefd=False) as file:
            # One byte more than allowed: the file may have grown since its size was read.
            data = file.read(limit + 1)
    finally:
        os.close(descriptor)
    if len(data) > limit:
        raise ValueError(f"larger than {limit:,} bytes")
    return data


def check_writable(path: Path, *, folder: bool = False, append: bool = False) -> None:
    """Refuse a place where no file can be put, before the work whose result is to go there.

    Args:
        path: where something is to be written.
        folder: whether it is a folder, which is made with all that are missing above it.
        append: whether it is appended to, and not replaced by a rename; a device or a pipe takes that, too.

    Raises:
        StorageError: something else stands there, or its folder is missing or closed to us.
    """
    try:
        _refuse_other(path, folder=folder, append=append)
        parent = _nearest_existing(path) if folder else path.parent
        if not parent.is_dir():
            if os.path.lexists(parent):
                raise StorageError(f"cannot write {path}: {parent} is no folder", hint="name another place")
            raise StorageError(f"cannot write {path}: there is no folder {parent}", hint=mkdir_command(parent))
        place = path if append and path.exists() else parent
        if not os.access(place, os.W_OK):
            raise StorageError(f"cannot write {path}: {place} is read-only or closed to you", hint="name another place")
    except OSError as error:  # its name is too long, or a folder may not be entered
        raise storage_error(path, error) from error


def _refuse_other(path: Path, *, folder: bool, append: bool) -> None:
    """Refuse to put a file where something else stands: a rename would replace /dev/null as readily as a file."""
    if append:
        other = path.is_dir()
    else:
        parent = str(path.parent.resolve())
        # /dev/stdout leads to a regular file where a shell has sent it there, and would be replaced itself.
        device = parent == "/dev" or parent.startswith(("/dev/fd", "/proc/"))
        other = device or (path.exists() and not path.is_file() and not (folder and path.is_dir()))
    if other:
        raise StorageError(f"cannot write {path}: it is no regular file", hint="name another place")


def _nearest_existing(path: Path) -> Path:
    """Return the path, or the first folder above it that is there."""
    return next((each for each in (path, *path.parents) if os.path.lexists(each)), path)


def mkdir_command(folder: Path) -> str:
    """Return the command that makes a folder."""
    name = str(folder)
    return f"mkdir -p {shlex.quote(f'./{name}' if name.startswith('-') else name)}"


def storage_error(path: Path, error: OSError) -> StorageError:
    """Say which path could not be written, and why, as a `StorageError` with its mend."""
    return StorageError(
        f"cannot write {path}: {reason_of(error)}",
        hint="free some space or name another place; what stood there before still stands",
    )


def reason_of(error: OSError | ValueError) -> str:
    """Return why a file could not be read or written, in a few words of lower case."""
    return (error.strerror or type(error).__name__ if isinstance(error, OSError) else str(error)).lower()


def shown(path: Path | str) -> str:
    """Return a path relative to the working folder where it lies inside; a text, which is a URL, as it is."""
    if isinstance(path, str):
        return path
    try:
        here = Path.cwd()
    except OSError:  # it was removed
        return str(path)
    absolute = Path(os.path.normpath(here / path))  # `resolve` would follow the pointer
    if not absolute.is_relative_to(here):
        return str(path)
    name = str(absolute.relative_to(here))
    return f"./{name}" if name.startswith("-") else name  # else it would be an option where it is typed
