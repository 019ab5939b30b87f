"""The places that are read where an artifact is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from artifact_pipeline.artifact import pointer, provenance
from artifact_pipeline.errors import ArtifactRejected
from artifact_pipeline.files import shown
from artifact_pipeline.storage.outputs import Place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def artifact_places(artifact: Path, role: str = "the artifact") -> Iterator[Place]:
    """What is read of an artifact: its pointer, its folder, and what is said of it beside that.

    Args:
        artifact: a pointer, or an artifact's folder; there may be none.
        role: how a message names it.
    """
    yield Place(role, str(artifact), "link")
    try:
        folder = pointer.resolve(artifact)
    except ArtifactRejected:  # there is none: verifying says so in its turn
        return
    yield Place(role, shown(folder), "folder")
    yield Place("the provenance", str(provenance.place(folder)))
