"""An artifact that is an image in a registry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from artifact_pipeline.artifact.manifest import parse_manifest
from artifact_pipeline.artifact.parts import NAME
from artifact_pipeline.canonical import digest
from artifact_pipeline.errors import ArtifactRejected, Problem
from artifact_pipeline.registry.image import MANIFEST_TYPE, read_image
from artifact_pipeline.registry.referrers import attached
from artifact_pipeline.registry.repository import Repository

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import BinaryIO

    from artifact_pipeline.artifact.manifest import Manifest
    from artifact_pipeline.artifact.manifest1 import Manifest1
    from artifact_pipeline.registry.image import BlobRecord, PulledImage
    from artifact_pipeline.registry.reference import ImageReference
    from artifact_pipeline.registry.referrers import Attached
    from artifact_pipeline.registry.request import RegistryRequest


@dataclass(frozen=True, slots=True)
class ImageSource:
    """An artifact in a registry, as `pull` takes it; each file is a layer.

    Attributes:
        reference: where it stands, by the OCI digest.
    """

    repository: Repository
    image: PulledImage
    reference: ImageReference

    @classmethod
    def find(cls, reference: ImageReference, request: RegistryRequest) -> Self:
        """Read the OCI manifest.

        Raises:
            ConfigError: the reference names neither a digest nor a tag.
            ArtifactRejected: the registry has no such artifact, or another manifest than the digest names.
            StorageError: the registry is out of reach, or refuses.
        """
        target = reference.target
        repository = Repository(reference, request.connecting)
        read = repository.read_manifest(target, (MANIFEST_TYPE,))
        if read is None:
            problem = Problem(str(reference), "image-missing", "the registry has no such artifact")
            hint = "see that name and tag are right"
            raise ArtifactRejected("there is no artifact", problems=[problem], hint=hint)
        return cls(repository, read_image(*read), reference.at(digest(read[0])))

    @property
    def artifact(self) -> str:
        """As `ObjectSource.artifact`."""
        return self.image.files[NAME].digest

    def attached(self) -> Iterable[Attached]:
        """As `ObjectSource.attached`."""
        return attached(self.repository, self.reference.target)

    def manifest(self) -> Manifest:
        """As `ObjectSource.manifest`; the model's config and the layers have to fit it."""
        self.image.check_config(self._whole(self.image.config, "the model's config"))
        manifest = parse_manifest(self._whole(self.image.files[NAME], NAME))
        self.image.check_files(manifest)
        return manifest

    def _whole(self, blob: BlobRecord, name: str) -> bytes:
        return self.repository.read_small(blob.digest, blob.size, name=name)

    def read(self, record: Manifest1.File, sink: BinaryIO, progress: Callable[[int], None]) -> None:
        """As `ObjectSource.read`."""
        self.repository.read_blob(record.sha256, record.size, sink, name=record.name, progress=progress)
