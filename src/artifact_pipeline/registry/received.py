"""Bytes from elsewhere: hashed while they come, and refused beyond the announced size."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from artifact_pipeline.canonical import PREFIX
from artifact_pipeline.errors import ArtifactRejected, Problem

if TYPE_CHECKING:
    from typing import BinaryIO


def rejected(place: str, rule: str, message: str) -> ArtifactRejected:
    """The refusal of what a registry or a store has sent."""
    hint = "nothing was kept; pull it again, or ask who runs the registry or the store, or a proxy before it"
    return ArtifactRejected("what came is not what was asked for", problems=[Problem(place, rule, message)], hint=hint)


class Received:
    """A blob while it is received."""

    def __init__(self, name: str, size: int, sink: BinaryIO) -> None:
        self.name, self.size, self.sink = name, size, sink
        self.at, self.hash = 0, hashlib.sha256()

    def restart(self) -> None:
        """Drop the bytes that have come."""
        self.sink.seek(0)
        self.sink.truncate()
        self.at, self.hash = 0, hashlib.sha256()

    def take(self, piece: bytes | memoryview) -> None:
        """Write and hash the next bytes; refuse more than the announced size."""
        self.at += len(piece)
        if self.at > self.size:
            raise rejected(self.name, "blob-long", f"has more than the {self.size:,} bytes that were announced")
        self.hash.update(piece)
        self.sink.write(piece)

    def finish(self, wanted: str) -> None:
        """Refuse a blob that is short, or has another digest."""
        if self.at < self.size:
            raise rejected(self.name, "blob-short", f"has {self.at:,} of the {self.size:,} bytes that were announced")
        found = PREFIX + self.hash.hexdigest()
        if found != wanted:
            raise rejected(self.name, "blob-digest", f"found {found}, asked for {wanted}")
