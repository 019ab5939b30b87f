"""The push of an artifact into a registry or an object store: verified first; the tag or the pointer last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from artifact_pipeline.errors import ConfigError
from artifact_pipeline.registry.image import MANIFEST_TYPE, pack
from artifact_pipeline.registry.object_target import ObjectTarget
from artifact_pipeline.registry.reference import ImageReference, parse_reference
from artifact_pipeline.registry.referrers import as_attached, attach
from artifact_pipeline.registry.repository import Repository
from artifact_pipeline.registry.request import counted
from artifact_pipeline.trust.beside import files_beside
from artifact_pipeline.verification import verify

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.registry.image import PackedImage
    from artifact_pipeline.registry.reference import RemoteReference
    from artifact_pipeline.registry.request import Progress, RegistryRequest


@dataclass(frozen=True, slots=True)
class Pushed:
    """A pushed artifact.

    Attributes:
        reference: where it is, by its digest.
        name: the tag, or the URL of the pointer, that leads to it now; or None.
        artifact: the artifact digest.
        files: the number of its files.
        sent: the number of their bytes that were not there yet.
        attached: which of `.sig`, `.provenance.json` and `.provenance.json.sig` went with it.
    """

    reference: RemoteReference
    name: str | None
    artifact: str
    files: int
    sent: int
    attached: tuple[str, ...]


def push(artifact: Path, request: RegistryRequest) -> Pushed:
    """Verify an artifact, and put it into a registry or an object store with what stands beside it.

    The model's files go first, then what describes them, then signatures and provenance, and the tag or the pointer
    last: what that leads to is whole. The pointer of a store never leads to a model whose gate is missing or failed.

    Args:
        artifact: a pointer, or an artifact's folder.
        request: the repository, with a tag that will lead to the artifact or without one, and whom to trust. Or a
            store; with the artifact's digest its pointer stays as it is.

    Raises:
        ConfigError: the reference is none, or has a digest that the artifact has not.
        ArtifactRejected: the artifact is not what it claims to be, or what stands beside it is not about it.
        StorageError: the registry or the store is out of reach, or refuses; or another push has moved the pointer.
    """
    target = _target(request)
    verified = verify(
        artifact, expect=request.expect, accept_failed_gate=request.accept_failed_gate, trust=request.trust
    )
    beside = files_beside(verified)
    stands, sent, name = target.put(verified, beside)
    return Pushed(stands, name, verified.digest, len(verified.members) + 1, sent, tuple(beside))


def _target(request: RegistryRequest) -> _ImageTarget | ObjectTarget:
    reference = parse_reference(request.reference)
    if isinstance(reference, ImageReference):
        return _ImageTarget(reference, request)
    return ObjectTarget(reference, request)


class _ImageTarget:
    """A repository of a registry into which an artifact goes."""

    def __init__(self, reference: ImageReference, request: RegistryRequest) -> None:
        if reference.digest is not None:
            hint = f"leave the digest away: it follows from the artifact; such as {reference.with_tag('v1')}"
            raise ConfigError(f"{reference}: an artifact is pushed to a tag, or by its digest alone", hint=hint)
        self._reference, self._request = reference, request

    def put(self, verified: Verified, beside: Mapping[str, bytes]) -> tuple[ImageReference, int, str | None]:
        """As `ObjectTarget.put`, with the tag in place of the pointer."""
        reference, image = self._reference, pack(verified)
        repository = Repository(reference, self._request.connecting, push=True)
        sent = _send_files(repository, image, self._request.progress)
        repository.write_blob(image.config)
        repository.write_manifest(image.digest, image.manifest, MANIFEST_TYPE)
        for each, suffix in zip(as_attached(beside), beside, strict=True):
            attach(repository, image.manifest, each.kind, each.data, title=f"{verified.manifest.name}{suffix}")
        if reference.tag is not None:
            repository.write_manifest(reference.tag, image.manifest, MANIFEST_TYPE)
        return reference.at(image.digest), sent, reference.tag


def _send_files(repository: Repository, image: PackedImage, progress: Progress) -> int:
    """Send the files that the registry does not have, and return the number of their bytes."""
    sent = 0
    for name, count in counted({name: len(data) for name, data in image.files.items()}, progress):
        if repository.write_blob(image.files[name], progress=count):
            sent += len(image.files[name])
    return sent
