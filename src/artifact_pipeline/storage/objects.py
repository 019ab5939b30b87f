"""Objects in a store such as S3, by obstore (extra `scale`): read by ranges, written by one request, listed.

The settings come from the environment (AWS_REGION, AWS_ENDPOINT_URL, …). A request to a store that does not answer is
repeated for some seconds. A function that reads raises `DataRejected` if the object does not exist or the store does
not answer; a function that writes raises `StorageError`.
"""

from __future__ import annotations

import errno
import io
import os
import re
import tempfile
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from artifact_pipeline.errors import ConfigError, StorageError
from artifact_pipeline.storage.opened import BLOCK, Opened, StoredFile, unreadable
from artifact_pipeline.storage.patterns import MAGIC, fixed_parts, matches
from artifact_pipeline.storage.waiting import interruptible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from artifact_pipeline.errors import DataRejected

_SPOOL = 64 << 20
"""Bytes of a new object that are held in memory; a larger object is held in a temporary file until it is sent."""
_REQUEST = 8 * BLOCK
"""Bytes of one request."""
_RETRIES: dict[str, Any] = {
    "max_retries": 5,
    "retry_timeout": timedelta(seconds=20),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=5), "base": 2},
}
"""About three seconds if the connection is refused, and twenty if the network drops packets."""
_SETTINGS = ("AWS_", "GOOGLE_", "AZURE_")
_ILLEGAL = re.compile(r"//|(^|/)\.{1,2}(/|$)|[\x00-\x1f\x7f]")
"""Parts of a name that the stores' own libraries would rewrite: empty names, `.` and `..`, control characters."""
_METADATA = re.compile(r"/latest/(api/token|meta-data)")
"""The metadata service of EC2, which obstore asks for keys when the environment has none."""
_HINT_SETTINGS = "its settings come from the environment: AWS_REGION, AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, …"
_HINT_KEYS = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_SKIP_SIGNATURE=true for public objects"


def _split(url: str) -> tuple[str, str]:
    """Split a URL into `s3://bucket` and the name of the object in it."""
    scheme, _, rest = url.partition("://")
    bucket, _, path = rest.partition("/")
    if not bucket or _ILLEGAL.search(path):
        raise ConfigError(f"{url} is no place in a store", hint=f"such as {scheme}://bucket/folder/name.parquet")
    return f"{scheme}://{bucket}", path


def _store(url: str) -> tuple[Any, str]:
    """Return the store of a URL, and the object's name in it."""
    root, path = _split(url)
    settings = tuple(sorted((key, value) for key, value in os.environ.items() if key.startswith(_SETTINGS)))
    return _connected(root, settings), path


@lru_cache(maxsize=8)
def _connected(root: str, _settings: tuple[tuple[str, str], ...]) -> Any:
    """Return a store with its pool of connections, which is reused while the settings stay the same."""
    from obstore.exceptions import BaseError
    from obstore.store import from_url

    try:
        return from_url(root, retry_config=cast("Any", _RETRIES))
    except (BaseError, ValueError) as error:
        raise ConfigError(f"{root} cannot be opened: {_reason(error)}", hint=_HINT_SETTINGS) from error


@contextmanager
def _translated(error_of: Callable[[str, Exception], Exception], url: str) -> Iterator[None]:
    """Turn an error of obstore into the error that `error_of` makes of it."""
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, OSError) as error:
        raise error_of(url, error) from error


def opened(url: str) -> Opened:
    """Open an object for reading."""
    import obstore

    store, path = _store(url)
    with _translated(_unreadable, url):
        about = interruptible(obstore.head, store, path)
    size = about["size"]
    file, raw = io.BufferedReader(_ObjectFile(url, size), _REQUEST), _ObjectFile(url, size)
    return Opened(url, cast("BinaryIO", file), size, _stamp(about), None, cast("BinaryIO", raw))


def stamp(url: str) -> str:
    """Return the stamp of an object, as in `Opened.stamp`."""
    import obstore

    store, path = _store(url)
    with _translated(_unreadable, url):
        return _stamp(interruptible(obstore.head, store, path))


def _stamp(about: Any) -> str:
    return f"{about['size']}-{about['e_tag']}"


class _ObjectFile(io.RawIOBase):
    """An object as a raw file of Python's; each read is one request."""

    def __init__(self, url: str, size: int) -> None:
        self._url, self._size, self._at = url, size, 0
        self._store, self._path = _store(url)

    def readable(self) -> bool:
        """Return True: an object is there to be read."""
        return True

    def seekable(self) -> bool:
        """Return True: a store reads any range of an object."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer as far as the object goes; return how many bytes were read, 0 at its end.

        Raises:
            DataRejected: the object cannot be read.
        """
        import obstore

        end = min(self._at + len(buffer), self._size)
        if end <= self._at:
            return 0
        with _translated(_unreadable, self._url):
            data = interruptible(partial(obstore.get_range, start=self._at, end=end), self._store, self._path)
        buffer[: len(data)] = memoryview(data)
        self._at += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to `offset` bytes from where `whence` says; return the position from the beginning.

        Raises:
            OSError: it lies before the beginning.
        """
        place = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        if place < 0:
            raise OSError(errno.EINVAL, "before the beginning")
        self._at = place
        return place

    def tell(self) -> int:
        """Return the position in bytes from the beginning."""
        return self._at


@contextmanager
def staged(url: str) -> Iterator[BinaryIO]:
    """Open a new file, which is sent as the object if the block ends without an error."""
    import obstore

    store, path = _store(url)
    with _translated(_unwritable, url), tempfile.SpooledTemporaryFile(_SPOOL) as file:
        yield cast("BinaryIO", file)
        file.seek(0)
        interruptible(obstore.put, store, path, cast("BinaryIO", file))


def pieces(url: str) -> Iterator[memoryview]:
    """Yield the bytes of an object in order, those of one request at a time."""
    import obstore

    store, path = _store(url)
    with _translated(_unreadable, url):
        size = interruptible(obstore.head, store, path)["size"]
        for at in range(0, size, _REQUEST):
            part = partial(obstore.get_range, start=at, end=min(at + _REQUEST, size))
            yield memoryview(interruptible(part, store, path))


def read_versioned(url: str, limit: int) -> tuple[bytes, dict[str, str]] | None:
    """Return the bytes of a small object, and its version for `write_if`; None if there is no such object.

    Raises:
        DataRejected: it is larger than `limit` bytes, or the store does not answer.
    """
    import obstore

    store, path = _store(url)
    with _translated(_unreadable, url), suppress(FileNotFoundError):
        found = interruptible(obstore.get, store, path)
        if found.meta["size"] > limit:
            raise unreadable(url, f"larger than {limit:,} bytes", rule="too-large")
        known = {name: found.meta[name] for name in ("e_tag", "version")}
        version = {name: value for name, value in known.items() if value is not None}
        return bytes(interruptible(found.bytes)), version
    return None


def write_if(url: str, data: bytes, version: dict[str, str] | None) -> bool:
    """Write a small object if it still has this version; with None, if it does not exist yet.

    Returns:
        Whether it was written. If an answer was lost and the request repeated, it finds its own object, and the result
        is false: the caller has to read the object.

    Raises:
        StorageError: the store does not answer, or has no conditional writes.
    """
    import obstore
    from obstore.exceptions import AlreadyExistsError, PreconditionError

    store, path = _store(url)
    put = partial(obstore.put, mode=cast("Any", "create" if version is None else version), use_multipart=False)
    with _translated(_unwritable, url), suppress(AlreadyExistsError, PreconditionError):
        interruptible(put, store, path, data)
        return True
    return False


def remove(url: str) -> None:
    """Remove an object, if it exists."""
    import obstore

    store, path = _store(url)
    with _translated(_unwritable, url), suppress(FileNotFoundError):
        interruptible(obstore.delete, store, path)


def listed(url: str) -> list[StoredFile]:
    """Return the objects below a URL, or those that match its pattern, or the one that it names; sorted by name."""
    root, path = _split(url)
    pattern = path.rstrip("/").split("/") if MAGIC.search(path) else None
    folder = "/".join(fixed_parts(pattern)) if pattern else path.rstrip("/")
    found = [
        StoredFile(f"{root}/{name}", name[len(folder) + 1 if folder else 0 :], size)
        for name, size in _below(url, root, folder)
        if pattern is None or matches(name.split("/"), pattern)
    ]
    if not found and path and not path.endswith("/"):
        return _named(url)
    return sorted(found, key=lambda each: each.name)


def _below(url: str, root: str, folder: str) -> Iterator[tuple[str, int]]:
    """Yield names and sizes of the objects below a folder, without the empty objects that mark a folder."""
    import obstore

    store, _ = _store(root)
    with _translated(_unreadable, url):
        blocks = interruptible(list, obstore.list(store, prefix=folder or None))
        found = [each for block in blocks for each in block]
    for each in found:
        name, size = each["path"], each["size"]
        marker = not size and "." not in name.rpartition("/")[2]
        if name != folder and not marker:
            yield name, size


def _named(url: str) -> list[StoredFile]:
    """Return the object with exactly this name, if there is one; the name may look like a pattern or lack a suffix."""
    import obstore

    store, path = _store(url)
    with _translated(_unreadable, url), suppress(FileNotFoundError):
        return [StoredFile(url, path.rpartition("/")[2], interruptible(obstore.head, store, path)["size"])]
    return []


def _unreadable(url: str, error: Exception) -> DataRejected:
    if isinstance(error, FileNotFoundError):
        return unreadable(url, "does not exist", rule="missing-file")
    return unreadable(url, _reason(error), hint=_hint(error))


def _unwritable(url: str, error: Exception) -> StorageError:
    reason = "there is no such bucket" if isinstance(error, FileNotFoundError) else _reason(error)
    return StorageError(f"cannot write {url}: {reason}", hint=f"{_hint(error)}; what stood there before still stands")


def _hint(error: Exception) -> str:
    from obstore.exceptions import PermissionDeniedError, UnauthenticatedError

    denied = isinstance(error, PermissionDeniedError | UnauthenticatedError) or _METADATA.search(str(error))
    return _HINT_KEYS if denied else _HINT_SETTINGS


def _reason(error: Exception) -> str:
    """Return the reason of an error, without the request's address and duration and the library's debug output."""
    text = str(error).partition("\n\nDebug source")[0]
    if _METADATA.search(text):
        return "there are no keys for it"
    if message := re.search(r"<Message>([^<]+)</Message>", text):
        return message[1].rstrip(".").lower()[:200]
    if "HTTP error" in text:
        return "the store does not answer"
    line = (text.splitlines() or [type(error).__name__])[0]
    return line.rpartition(" - ")[2][:200]
