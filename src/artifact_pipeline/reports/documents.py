"""One document about one artifact, verified first: a model card, a bill of materials, the facts for a tracker."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from artifact_pipeline.artifact.pointer import artifact_places
from artifact_pipeline.files import write_atomic
from artifact_pipeline.registry import remote
from artifact_pipeline.storage.outputs import Place, check_outputs

if TYPE_CHECKING:
    from pathlib import Path

    from artifact_pipeline.artifact.manifest import Verified

Kind = Literal["card", "bom", "facts"]


@dataclass(frozen=True, slots=True)
class _ArtifactDocument:
    """A document about an artifact.

    Attributes:
        artifact: the artifact digest.
        place: where the artifact is: as it was named, or where it was pulled from, by its digest.
    """

    artifact: str
    text: str
    place: Path | str


def document(
    kind: Kind, artifact: Path | str, to: Path | None = None, *, expect: str | None = None
) -> _ArtifactDocument:
    """Verify an artifact, and return a document about it, written if a place is named; its gate may have failed.

    Args:
        kind: `card` (Markdown with the metadata of the Hub), `bom` (CycloneDX) or `facts` (JSON).
        artifact: a pointer, or an artifact's folder.
        to: where the document is written, whole or not at all.
        expect: the artifact digest known from elsewhere; anything else is refused unread.

    Raises:
        ArtifactRejected: it is not what it claims to be, or what it says about its model cannot be read.
        ConfigError: `expect` is no digest, or the document would be written over what is read.
        StorageError: the document cannot be written; what stood there still stands.
    """
    if to is not None:
        check_outputs([*artifact_places(artifact)], [Place("--output", str(to))])
    verified = remote.verify(artifact, expect=expect, accept_failed_gate=True)
    text = _text(kind, verified)
    if to is not None:
        write_atomic(to, text.encode())
    return _ArtifactDocument(verified.digest, text, verified.reference or artifact)


def _text(kind: Kind, verified: Verified) -> str:
    if kind == "card":
        from artifact_pipeline.reports.card import model_card

        return model_card(verified)
    if kind == "bom":
        from artifact_pipeline.reports.bom import bill_of_materials

        return _json(bill_of_materials(verified))
    from artifact_pipeline.reports.facts import facts_of

    return _json(facts_of(verified).plain())


def _json(value: object) -> str:
    """JSON that a terminal shows as it is: what is not ASCII is escaped."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=True, allow_nan=False) + "\n"
