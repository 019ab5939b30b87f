"""What stands beside an artifact in its store: provenance and signatures, looked at for their form alone.

Nothing that makes an artifact acceptable is taken from them here, and who has signed is asked elsewhere (`trust`). But
a file under such a name that is something else, a pickle say, is found before a person or another program opens it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, field, json

from artifact_pipeline.artifact.parts import NAME
from artifact_pipeline.artifact.pointer import is_stored
from artifact_pipeline.canonical import PREFIX
from artifact_pipeline.errors import ArtifactRejected, Problem
from artifact_pipeline.files import read_bounded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from artifact_pipeline.artifact.manifest import Verified

MAX_BYTES = 1 << 20
_SUFFIXES = (".provenance.json", ".sig", ".provenance.json.sig")


class _Subject(Struct, frozen=True):
    digest: dict[str, str]


class _Statement(Struct, frozen=True):
    """As much of an in-toto statement as any builder's has."""

    kind: Literal["https://in-toto.io/Statement/v1"] = field(name="_type")
    predicate_type: Literal["https://slsa.dev/provenance/v1"] = field(name="predicateType")
    predicate: dict[str, Any]
    subject: tuple[_Subject, ...]


def check_beside(artifact: Verified) -> None:
    """Look at the files beside an artifact that stands in a store; elsewhere such names are not ours.

    Raises:
        ArtifactRejected: one is no provenance or no signature, or is about another artifact.
    """
    problems = [*_problems(artifact)] if is_stored(artifact.folder) else []
    if problems:
        raise ArtifactRejected(
            "the artifact is whole, and what stands beside it is not about it",
            problems=problems,
            hint="remove that file, or take it again from where the artifact was published",
        )


def _problems(artifact: Verified) -> Iterator[Problem]:
    for suffix in _SUFFIXES:
        place = artifact.folder.with_name(artifact.folder.name + suffix)
        what = "provenance" if suffix == _SUFFIXES[0] else "signature"
        if not os.path.lexists(place):
            continue
        try:
            data = read_bounded(place, MAX_BYTES)
        except (OSError, ValueError) as error:
            words = error.strerror or type(error).__name__ if isinstance(error, OSError) else str(error)
            yield Problem(place.name, f"{what}-unreadable", words.lower())
            continue
        yield from (_provenance if what == "provenance" else _signature)(artifact, place.name, data)


def _provenance(artifact: Verified, place: str, data: bytes) -> Iterator[Problem]:
    try:
        subjects = json.decode(data, type=_Statement).subject
    except (ValueError, RecursionError) as error:
        yield Problem(place, "provenance-invalid", f"no provenance: {str(error)[:200]}")
        return
    if [PREFIX + each.digest.get("sha256", "") for each in subjects] != [artifact.digest]:
        yield Problem(place, "provenance-artifact", f"is about another artifact than {artifact.digest}")


def _signature(artifact: Verified, place: str, data: bytes) -> Iterator[Problem]:
    from artifact_pipeline.trust.signing import signed_files

    try:
        files = signed_files(data, place)
    except ArtifactRejected as error:
        yield from error.problems
        return
    # A training of the same bytes writes the provenance again; the signature of the one before is then no fault.
    if not place.endswith(_SUFFIXES[2]) and files.get(NAME) != artifact.digest:
        yield Problem(place, "signature-artifact", f"is the signature of another artifact than {artifact.digest}")
