"""Of all that is attached to an image, the signature and the provenance that go beside the artifact.

Anyone who may push may attach, and what other programs attach is none of ours: what is not about this artifact is left
where it is. Whether what is chosen is to be trusted, the policy says afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from artifact_pipeline.artifact.parts import NAME
from artifact_pipeline.artifact.pointer import SIGNATURE
from artifact_pipeline.artifact.provenance import SUFFIX as PROVENANCE
from artifact_pipeline.canonical import digest
from artifact_pipeline.errors import ArtifactRejected
from artifact_pipeline.registry.referrers import PROVENANCE_TYPE
from artifact_pipeline.trust.beside import creation
from artifact_pipeline.trust.signing import WHOLE, signed_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from artifact_pipeline.registry.referrers import Attached
    from artifact_pipeline.trust.policy import Trust


def choose(found: Iterable[Attached], artifact: str, trust: Trust | None) -> dict[str, bytes]:
    """The files that go beside an artifact, by the ends of their names.

    Of several signatures it is the first one that a trusted signer has made, or else the first one. Of several
    provenances it is one with such a signature before one with any, and before one with none; then the latest one.
    """
    signatures: list[bytes] = []
    statements: dict[bytes, datetime] = {}
    about: dict[str, list[bytes]] = {}
    for each in found:
        if each.kind == PROVENANCE_TYPE:
            if (made := _made(each.data, artifact)) is not None:
                statements[each.data] = made
            continue
        files = _files(each.data)
        if files.get(NAME) == artifact:
            signatures.append(each.data)
        elif set(files) == {WHOLE}:
            about.setdefault(files[WHOLE], []).append(each.data)
    chosen: dict[str, bytes] = {}
    if statements:
        signed = {data: _best(about.get(digest(data), []), trust) for data in statements}
        ranked = {data: (_rank(signed[data], trust), made) for data, made in statements.items()}
        provenance = max(statements, key=lambda data: ranked[data])
        chosen[PROVENANCE] = provenance
        if (signature := signed[provenance]) is not None:
            chosen[PROVENANCE + SIGNATURE] = signature
    if (signature := _best(signatures, trust)) is not None:
        chosen[SIGNATURE] = signature
    return chosen


def _made(data: bytes, artifact: str) -> datetime | None:
    """When an artifact was made, as its provenance says; None where it is no provenance, or of another artifact."""
    try:
        return creation(data, artifact, "the provenance")
    except ArtifactRejected:
        return None


def _files(data: bytes) -> Mapping[str, str]:
    try:
        return signed_files(data, "the signature")
    except ArtifactRejected:
        return {}


def _best(signatures: list[bytes], trust: Trust | None) -> bytes | None:
    """The first signature of a trusted signer, or else the first one; None where there is none."""
    return next((each for each in signatures if _rank(each, trust) == 2), signatures[0] if signatures else None)


def _rank(signature: bytes | None, trust: Trust | None) -> int:
    """2 for the signature of a trusted signer, 1 for any other one, 0 for none."""
    if signature is None:
        return 0
    if trust is None or not (trust.signers.keys or trust.signers.identities):
        return 1
    try:
        trust.signers.check(signature, place="the signature")
    except ArtifactRejected as error:
        if "sigstore-unreachable" in error.rules:
            raise
        return 1
    return 2
