"""How far bytes have come."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Progress = Callable[[str, int, int], None]


class BytesDone:
    """Counts the bytes of one file, and says how far all files are.

    Attributes:
        name: of the file.
        done: the bytes of all files so far.
    """

    def __init__(self, name: str, done: int, total: int, tell: Progress) -> None:
        self.name, self.done = name, done
        self._total, self._tell = total, tell
        tell(name, done, total)

    def __call__(self, more: int) -> None:
        """Take note of bytes that have come, or gone."""
        self.done += more
        self._tell(self.name, self.done, self._total)


def ignore(_name: str, _done: int, _total: int) -> None:
    """Say nothing: the name of the file, the bytes of all files so far, and those of all."""
