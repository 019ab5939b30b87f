"""The pointer of a role, moved by compare-and-swap; each kind keeps every entry that it ever had.

Here is the kind in an object store; `git_pointer` has the one in a git repository.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from artifact_pipeline.canonical import PREFIX, digest
from artifact_pipeline.errors import ArtifactRejected, DataRejected, Problem, StorageError
from artifact_pipeline.storage import objects

MAX_ENTRIES = 1000
"""Most entries of a history that are read, the latest ones."""
MAX_STATEMENT_BYTES = 1 << 16
"""Of a statement, and of a signature."""
_NUMBERED = re.compile(r"([0-9]{10})\.json")


@dataclass(frozen=True, slots=True)
class RecordedPromotion:
    """One entry of a pointer.

    Attributes:
        signature: of the statement; None where it has none.
        version: its name, which `append` takes as `after`.
    """

    statement: bytes
    signature: bytes | None
    version: str


class PromotionPointer(Protocol):
    """A pointer whose every entry stays.

    Attributes:
        place: its name in messages.

    Raises:
        StorageError: of each method: it is out of reach, or refuses.
    """

    place: str

    def read(self, most: int = MAX_ENTRIES) -> list[RecordedPromotion]:
        """The latest entries, the newest first; empty where there is none yet.

        Raises:
            ArtifactRejected: what stands there is no history of promotions.
        """

    def append(self, statement: bytes, signature: bytes | None, *, after: str | None) -> bool:
        """Add an entry, only if the newest one still is `after`, or with None only if there is none yet.

        Statements must differ, so that a lost answer can be made up for by reading the entry.

        Returns:
            Whether the entry stands in the history.
        """


def no_history(place: str, message: str) -> ArtifactRejected:
    """The refusal of a pointer that holds no history of promotions."""
    hint = "find out who has changed it; another --pointer, or --name, begins a history of its own"
    problem = Problem(place, "pointer-invalid", message)
    return ArtifactRejected("the pointer has no history of promotions", problems=[problem], hint=hint)


class ObjectPointer:
    """A pointer in an object store: a log of numbered objects, of which each is created once and never replaced.

    The store decides who creates the next number. A created object stays, so that after a lost answer the number can be
    read, whatever has come after it.
    """

    def __init__(self, url: str, role: str, name: str) -> None:
        self.place = f"{url.rstrip('/')}/{role}/{name}"

    def read(self, most: int = MAX_ENTRIES) -> list[RecordedPromotion]:
        """As `PromotionPointer.read`."""
        try:
            found = objects.listed(f"{self.place}/")
            numbers = sorted(int(each[1]) for each in (_NUMBERED.fullmatch(file.name) for file in found) if each)
            if numbers != [*range(1, len(numbers) + 1)]:
                raise no_history(self.place, f"of the {numbers[-1]:,} entries some are missing")
            return [self._read(number) for number in reversed(numbers[-most:])]
        except DataRejected as error:
            raise StorageError(error.message, problems=error.problems, hint=error.hint) from error

    def append(self, statement: bytes, signature: bytes | None, *, after: str | None) -> bool:
        """As `PromotionPointer.append`."""
        if signature is not None:  # under a name that only this statement has: harmless if the entry does not come
            objects.write_if(self._signature(statement), signature, None)
        number = 1 if after is None else int(after) + 1
        try:
            if objects.write_if(self._entry(number), statement, None):
                return True
        except StorageError:
            with suppress(DataRejected, ArtifactRejected):  # the answer may have been lost, and not the entry
                if self._read(number).statement == statement:
                    return True
            raise
        try:
            return self._read(number).statement == statement
        except DataRejected as error:
            raise StorageError(error.message, problems=error.problems, hint=error.hint) from error

    def _read(self, number: int) -> RecordedPromotion:
        found = objects.read_versioned(self._entry(number), MAX_STATEMENT_BYTES)
        if found is None:
            raise no_history(self.place, f"the entry {number:,} is missing")
        signature = objects.read_versioned(self._signature(found[0]), MAX_STATEMENT_BYTES)
        return RecordedPromotion(found[0], signature[0] if signature else None, str(number))

    def _entry(self, number: int) -> str:
        return f"{self.place}/{number:010d}.json"

    def _signature(self, statement: bytes) -> str:
        return f"{self.place}/{digest(statement).removeprefix(PREFIX)}.sig"
