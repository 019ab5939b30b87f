"""An artifact into a registry: verified first, its tag last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from artifact_pipeline.artifact.provenance import SUFFIX as PROVENANCE
from artifact_pipeline.errors import ConfigError
from artifact_pipeline.registry.image import MANIFEST_TYPE, pack
from artifact_pipeline.registry.progress import BytesDone
from artifact_pipeline.registry.reference import ImageReference
from artifact_pipeline.registry.referrers import PROVENANCE_TYPE, SIGNATURE_TYPE, attach
from artifact_pipeline.registry.repository import Repository
from artifact_pipeline.registry.wire import Connecting, Wire
from artifact_pipeline.trust.beside import files_beside
from artifact_pipeline.verification import verify

if TYPE_CHECKING:
    from pathlib import Path

    from artifact_pipeline.registry.image import PackedImage
    from artifact_pipeline.registry.progress import Progress
    from artifact_pipeline.registry.request import RegistryRequest


@dataclass(frozen=True, slots=True)
class Pushed:
    """What was pushed.

    Attributes:
        reference: where it is, by its digest.
        tag: the tag that leads to it, or None.
        artifact: the artifact digest.
        files: how many files the artifact has.
        sent: the bytes that the registry did not have yet.
        attached: which of `.sig`, `.provenance.json` and `.provenance.json.sig` were attached.
    """

    reference: ImageReference
    tag: str | None
    artifact: str
    files: int
    sent: int
    attached: tuple[str, ...]


def push(artifact: Path, request: RegistryRequest) -> Pushed:
    """Verify an artifact, and put it into a registry with what stands beside it.

    The model's files go first, then what describes them, then signatures and provenance, and the tag last: what a tag
    leads to is whole.

    Args:
        artifact: a pointer, or an artifact's folder.
        request: the repository, a tag where one is to lead to the artifact, and what is asked before a byte is sent.

    Raises:
        ConfigError: the reference has a digest, which follows from the artifact.
        ArtifactRejected: the artifact is not what it claims to be, or what stands beside it is not about it.
        StorageError: the registry is out of reach, or refuses.
    """
    reference = ImageReference.parse(request.reference)
    if reference.digest is not None:
        hint = f"leave the digest away: it follows from the artifact; such as {reference.with_tag('v1')}"
        raise ConfigError(f"{reference}: an artifact is pushed to a tag, or by its digest alone", hint=hint)
    verified = verify(
        artifact, expect=request.expect, accept_failed_gate=request.accept_failed_gate, trust=request.trust
    )
    beside = files_beside(verified)
    image = pack(verified)
    repository = Repository(Wire(reference, Connecting.of(request), push=True))
    sent = _send_files(repository, image, request.progress)
    repository.write_blob(image.config, progress=lambda _: None)
    repository.write_manifest(image.digest, image.manifest, MANIFEST_TYPE)
    for suffix, data in beside.items():
        kind = PROVENANCE_TYPE if suffix == PROVENANCE else SIGNATURE_TYPE
        attach(repository, image.manifest, kind, data, title=f"{verified.manifest.name}{suffix}")
    if reference.tag is not None:
        repository.write_manifest(reference.tag, image.manifest, MANIFEST_TYPE)
    return Pushed(reference.at(image.digest), reference.tag, verified.digest, len(image.files), sent, tuple(beside))


def _send_files(repository: Repository, image: PackedImage, progress: Progress) -> int:
    """Send the files that the registry has not yet, and return how many bytes that were."""
    total, done, sent = sum(map(len, image.files.values())), 0, 0
    for name, data in image.files.items():
        count = BytesDone(name, done, total, progress)
        if repository.write_blob(data, progress=count):
            sent += len(data)
        done += len(data)
    return sent
