"""The files beside an artifact in its store: provenance and signatures, checked for their form alone.

Nothing here makes an artifact acceptable; `signing` checks who has signed. But a file under such a name that is
something else, a pickle for example, is found before a person or another program opens it.
"""

from __future__ import annotations

import os
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta, convert, json

from artifact_pipeline.artifact import pointer
from artifact_pipeline.artifact.parts import NAME
from artifact_pipeline.artifact.pointer import BESIDE, SIGNATURE, is_stored
from artifact_pipeline.artifact.provenance import SUFFIX as PROVENANCE
from artifact_pipeline.artifact.provenance import InToto
from artifact_pipeline.errors import ArtifactRejected, Problem
from artifact_pipeline.files import read_bounded, reason_of
from artifact_pipeline.trust.signing import rejected, signed_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from artifact_pipeline.artifact.manifest import Verified

MAX_BESIDE_BYTES = 1 << 20
_Time = Annotated[datetime, Meta(tz=True)]


def read_beside(place: Path, what: str) -> bytes:
    """Read a file beside an artifact; `what` begins the name of a broken rule.

    Raises:
        ArtifactRejected: it is missing, unreadable or too large.
    """
    try:
        return read_bounded(place, MAX_BESIDE_BYTES)
    except (OSError, ValueError) as error:
        if not os.path.lexists(place):
            raise rejected(place.name, f"{what}-missing", "is not there") from None
        raise rejected(place.name, f"{what}-unreadable", reason_of(error)) from None


def provenance_of(folder: Path, artifact: str) -> tuple[Path, bytes] | None:
    """The path and the bytes of the provenance beside an artifact's folder; None where there is none.

    Raises:
        ArtifactRejected: it cannot be read, is no provenance, or is about another artifact.
    """
    place = pointer.beside(folder, PROVENANCE)
    if not os.path.lexists(place):
        return None
    data = read_beside(place, "provenance")
    creation(data, artifact, place.name)
    return place, data


def creation(data: bytes, artifact: str, place: str) -> datetime:
    """When an artifact was made, as its provenance says.

    Raises:
        ArtifactRejected: it is no provenance, or is about another artifact.
    """
    predicate = _predicate(data, artifact, place)
    try:
        return convert(predicate["runDetails"]["metadata"]["finishedOn"], _Time)
    except (LookupError, TypeError, ValueError):
        raise rejected(place, "provenance-invalid", "does not say when the artifact was made") from None


def check_beside(artifact: Verified) -> None:
    """Check the files beside an artifact that stands in a store; elsewhere such names are not ours.

    Raises:
        ArtifactRejected: one is no provenance or no signature, or is about another artifact.
    """
    problems: list[Problem] = []
    for suffix, place in _places(artifact) if is_stored(artifact.folder) else ():
        try:
            _check(place, suffix, artifact.digest)
        except ArtifactRejected as error:
            problems += error.problems
    if problems:
        raise ArtifactRejected(
            "the artifact is whole, and what stands beside it is not about it",
            problems=problems,
            hint="remove that file, or take it again from where the artifact was published",
        )


def files_beside(artifact: Verified) -> dict[str, bytes]:
    """The files that stand beside an artifact's folder, by the ends of their names: provenance before signatures.

    Raises:
        ArtifactRejected: one cannot be read, is no provenance or no signature, or is about another artifact.
    """
    return {suffix: _check(place, suffix, artifact.digest) for suffix, place in _places(artifact)}


def _places(artifact: Verified) -> Iterator[tuple[str, Path]]:
    """The files that exist beside an artifact's folder, each with the end of its name."""
    for suffix in BESIDE:
        place = pointer.beside(artifact.folder, suffix)
        if os.path.lexists(place):
            yield suffix, place


def _check(place: Path, suffix: str, artifact: str) -> bytes:
    """Read a file beside an artifact, and check that it has the form that its name promises."""
    data = read_beside(place, "provenance" if suffix == PROVENANCE else "signature")
    if suffix == PROVENANCE:
        _predicate(data, artifact, place.name)
        return data
    files = signed_files(data, place.name)
    # A training of the same bytes writes the provenance again; that an older one was signed is then no fault.
    if suffix == SIGNATURE and files.get(NAME) != artifact:
        raise rejected(place.name, "signature-artifact", f"is the signature of another artifact than {artifact}")
    return data


def _predicate(data: bytes, artifact: str, place: str) -> dict[str, Any]:
    """The predicate of the provenance of an artifact, whichever builder wrote it."""
    try:
        statement = json.decode(data, type=InToto[dict[str, Any]])
    except (ValueError, RecursionError) as error:
        raise rejected(place, "provenance-invalid", f"no provenance: {str(error)[:200]}") from None
    if len(statement.subject) != 1 or statement.about != artifact:
        raise rejected(place, "provenance-artifact", f"is about another artifact than {artifact}")
    return statement.predicate
