"""The parser of manifests of both formats, and an artifact whose every byte was checked."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from artifact_pipeline.artifact.manifest1 import Manifest1
from artifact_pipeline.artifact.manifest2 import Manifest2
from artifact_pipeline.artifact.parts import NAME, Digest, Frozen
from artifact_pipeline.canonical import nested_too_deeply, parse_canonical
from artifact_pipeline.errors import ArtifactRejected, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Manifest = Manifest1 | Manifest2
_FORMATS: dict[int, type[Manifest1 | Manifest2]] = {1: Manifest1, 2: Manifest2}


def parse_manifest(data: bytes, *, place: str = NAME) -> Manifest:
    """Parse a manifest's bytes.

    Raises:
        ArtifactRejected: not canonical JSON, an unknown format, a field that breaks its type, or figures that cannot
            be.
    """
    manifest = _parsed(data, place)
    if isinstance(manifest, Manifest2):
        found = [Problem(place, rule, message) for rule, message in manifest.metrics.problems(manifest.model.classes)]
        if found:
            raise ArtifactRejected(f"{place} is not valid", problems=found)
    return manifest


def _parsed(data: bytes, place: str) -> Manifest:
    if not nested_too_deeply(data):
        for form in _FORMATS.values():
            with suppress(ArtifactRejected):  # what follows may say more exactly what is wrong
                return form.parse(data, place=place, rule="manifest-field")
    try:
        value = parse_canonical(data)
    except ValueError as error:
        problem = Problem(place, "manifest-not-canonical", str(error))
    else:
        version = value.get("format") if isinstance(value, dict) else None
        if type(version) is int and version in _FORMATS:
            return _FORMATS[version].parse(data, place=place, rule="manifest-field")
        message = f"format {version!r:.40} is not known; this version reads the formats 1 and 2"
        problem = Problem(place, "manifest-format", message)
    raise ArtifactRejected(f"{place} is not valid", problems=[problem])


@dataclass(frozen=True, slots=True)
class Verified:
    """An artifact whose every byte was checked; these bytes, and no second reading, are what is used.

    Attributes:
        digest: the artifact digest.
        members: each listed file's bytes by name.
        folder: the real path of the folder that it was read from; where it was pulled, that is gone.
        reference: where it was pulled from, by a digest; None where it was read from a folder.
        provenance: the bytes of the provenance that was pulled with it; None where there was none.
    """

    class Trusted(Frozen, frozen=True):
        """What its consumer asked of an artifact, and was fulfilled; with nothing asked, its integrity alone.

        Attributes:
            expected: whether its digest was known from elsewhere.
            signer: the fingerprint of the key that signed it, or the identity; None where no signature was asked for.
            policy: the digest of the consumer's policy, or None.
        """

        expected: bool
        signer: str | None
        policy: Digest | None

    digest: str
    manifest: Manifest
    members: Mapping[str, bytes]
    folder: Path
    trust: Trusted
    reference: str | None = None
    provenance: bytes | None = None

    @property
    def place(self) -> Path | str:
        """Where it can be read again: the folder, or the reference."""
        return self.reference or self.folder

    def role(self, role: str) -> bytes:
        """The bytes of the one file that has this role."""
        return self.members[self.manifest.file(role).name]
