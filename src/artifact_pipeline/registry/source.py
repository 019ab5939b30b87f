"""One artifact elsewhere, in a registry or in an object store, as `pull` takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from artifact_pipeline.registry.image_source import ImageSource
from artifact_pipeline.registry.object_source import ObjectSource
from artifact_pipeline.registry.reference import ImageReference, parse_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import BinaryIO

    from artifact_pipeline.artifact.manifest import Manifest
    from artifact_pipeline.artifact.manifest1 import Manifest1
    from artifact_pipeline.registry.reference import RemoteReference
    from artifact_pipeline.registry.referrers import Attached
    from artifact_pipeline.registry.request import RegistryRequest


class PullSource(Protocol):
    """One artifact that stands elsewhere; of its files nothing was taken yet."""

    @property
    def reference(self) -> RemoteReference:
        """Where it stands, by its digest there."""

    @property
    def artifact(self) -> str:
        """The artifact digest that it is said to have."""

    def attached(self) -> Iterable[Attached]:
        """The signatures and statements that stand with it.

        Raises:
            ArtifactRejected: one is not what it is announced as.
            StorageError: the place is out of reach.
        """

    def manifest(self) -> Manifest:
        """Take its manifest, and see that the place has the files that it lists, as far as the place says.

        Raises:
            ArtifactRejected: it has another digest than `artifact`, is no manifest, or lists other files.
            StorageError: the place is out of reach.
        """

    def read(self, record: Manifest1.File, sink: BinaryIO, progress: Callable[[int], None]) -> None:
        """Write a file that the manifest lists into a file that is empty.

        Raises:
            ArtifactRejected: other bytes come, more, or fewer (`blob-digest`, `blob-long`, `blob-short`), or none
                (`blob-missing`).
            StorageError: the place is out of reach.
        """


def find(request: RegistryRequest) -> PullSource:
    """Find the artifact that a person asks for.

    Raises:
        ConfigError: the reference is none, or names no artifact.
        ArtifactRejected: there is no such artifact.
        StorageError: the place is out of reach.
    """
    reference = parse_reference(request.reference)
    if isinstance(reference, ImageReference):
        return ImageSource.find(reference, request)
    return ObjectSource.find(reference, request)
