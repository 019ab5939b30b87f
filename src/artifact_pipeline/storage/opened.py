"""An open file or object, and the refusal of one that cannot be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from artifact_pipeline.errors import DataRejected, Problem

BLOCK = 1 << 20
"""Bytes of one read; hashlib lets other threads run meanwhile."""


class StoredFile(NamedTuple):
    """One object in a store: its URL, its name below the URL that was listed, and its size in bytes."""

    url: str
    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that is open for reading.

    Attributes:
        place: its path or URL.
        size: in bytes.
        stamp: a text that changes when the file changes: its size and time, or the store's tag.
        path: a path by which C++ can open the same file again; None for an object in a store.
        raw: the same object without read-ahead, for a reader that seeks; None for a file.
    """

    place: str
    file: BinaryIO
    size: int
    stamp: str
    path: str | None
    raw: BinaryIO | None = None

    def read_at(self, place: int, size: int) -> bytes:
        """Return `size` bytes from position `place` on; fewer at the end of the file.

        Raises:
            ValueError: the place or the size is negative.
            OSError: they cannot be read.
        """
        if min(place, size) < 0:
            raise ValueError(place, size)
        self.file.seek(place)
        return self.file.read(size)


HINTS = {
    "missing-file": "look whether the path is right; one in a config starts at the config's folder",
    "unreadable": "write the file again, or name another one that you may read",
    "truncated": "copy or write the file again: it is not whole",
    "changed": "read it when nothing writes to it",
    "row-too-long": "end each row with a line end, and close each quote",
    "decompression-bomb": "if you know where it comes from, unpack it yourself and name what comes out",
    "too-large": "name a smaller file",
    "object-array": "save numbers: np.savez('rows.npz', X=X.astype(float), y=y)",
    "rows-shape": "save a matrix of one row for each label: np.savez('rows.npz', X=X, y=y)",
}
"""The hint of an error that gives none of its own, by its rule."""


def unreadable(place: str, message: str, *, rule: str = "unreadable", hint: str | None = None) -> DataRejected:
    """Return the error for a file that cannot be read."""
    problem = Problem(place, rule, message)
    return DataRejected("the rows cannot be read", problems=[problem], hint=hint or HINTS.get(rule))
