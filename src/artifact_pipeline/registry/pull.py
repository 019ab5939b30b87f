"""The pull of an artifact: each file is hashed while it streams, then the artifact is verified, then it is kept.

All of it comes into a hidden folder beside its later place, laid out as a store, so that it is verified as any artifact
is. One rename puts it in its place; before that no other program finds it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from artifact_pipeline.artifact.manifest import parse_manifest
from artifact_pipeline.artifact.parts import NAME
from artifact_pipeline.artifact.pointer import STORE
from artifact_pipeline.canonical import PREFIX, digest
from artifact_pipeline.errors import ArtifactRejected, Problem
from artifact_pipeline.files import storage_error, sync_folder, write_new
from artifact_pipeline.registry.image import MANIFEST_TYPE, read_image
from artifact_pipeline.registry.keeping import check_place, keep_as_folder, keep_in_store, staging
from artifact_pipeline.registry.object_source import ObjectSource
from artifact_pipeline.registry.received import rejected
from artifact_pipeline.registry.reference import ImageReference, parse_reference
from artifact_pipeline.registry.referrers import attached, choose_beside
from artifact_pipeline.registry.repository import Repository
from artifact_pipeline.registry.request import counted
from artifact_pipeline.trust.beside import check_beside
from artifact_pipeline.verification import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from typing import BinaryIO

    from artifact_pipeline.artifact.manifest import Manifest, Verified
    from artifact_pipeline.artifact.manifest1 import Manifest1
    from artifact_pipeline.registry.image import BlobRecord, PulledImage
    from artifact_pipeline.registry.reference import RemoteReference
    from artifact_pipeline.registry.referrers import Attached
    from artifact_pipeline.registry.request import Progress, RegistryRequest


@dataclass(frozen=True, slots=True)
class Pulled:
    """A pulled artifact.

    Attributes:
        reference: where it came from, by its digest.
        verified: the artifact, as it was verified before it was kept.
        in_charge: whether the pointer leads to it now; never where there is no pointer, or no gate that passed.
        beside: which of `.provenance.json`, `.sig` and `.provenance.json.sig` came with it.
    """

    reference: RemoteReference
    verified: Verified
    folder: Path
    in_charge: bool
    beside: tuple[str, ...]


def pull(request: RegistryRequest, path: Path, *, as_folder: bool = False) -> Pulled:
    """Take an artifact from a registry or an object store, verify it, and keep it.

    Args:
        request: a repository with a digest or a tag, or a store, with a digest or for the artifact of its pointer; and
            whom to trust, which is checked before the artifact's manifest is parsed.
        path: the pointer; the artifact goes into the store beside it.
        as_folder: make the artifact the folder `path`, with no pointer and no store.

    Raises:
        ConfigError: the reference is none, or names no artifact.
        ArtifactRejected: there is no such artifact, other bytes come than were asked for, or the artifact is not what
            it claims to be, or not trusted; nothing is kept.
        StorageError: the place is out of reach, or the disk full; nothing is kept.
    """
    check_place(path, as_folder=as_folder)
    source = _found(request)
    try:
        with staging(path) as own:
            folder = own / STORE / source.artifact.removeprefix(PREFIX)
            folder.mkdir(parents=True)
            beside = _take_evidence(source, folder, request)
            _take_files(source, folder, request.progress)
            verified = _verified(source, folder, request)
            if as_folder:
                stands, in_charge = keep_as_folder(path, verified, beside), False
            else:
                stands, in_charge = keep_in_store(path, verified, beside)
    except OSError as error:
        raise storage_error(path, error) from error
    return Pulled(source.reference, verified, stands, in_charge, tuple(beside))


@dataclass(frozen=True, slots=True)
class _ImageSource:
    """An artifact in a registry, with what an `ObjectSource` has; each file is a layer, `reference` the OCI digest."""

    repository: Repository
    image: PulledImage
    reference: ImageReference

    @classmethod
    def find(cls, reference: ImageReference, request: RegistryRequest) -> Self:
        """Read the OCI manifest."""
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


def _found(request: RegistryRequest) -> _ImageSource | ObjectSource:
    """Find the requested artifact."""
    reference = parse_reference(request.reference)
    if isinstance(reference, ImageReference):
        return _ImageSource.find(reference, request)
    return ObjectSource.find(reference, request)


def _take_evidence(source: _ImageSource | ObjectSource, folder: Path, request: RegistryRequest) -> dict[str, bytes]:
    """Take signature and provenance, and check that they are trusted, before anything of the artifact is taken."""
    artifact, expect, trust = source.artifact, request.expect, request.trust
    if expect is not None and artifact != expect:
        raise rejected(NAME, "digest-unexpected", f"expected {expect}, found {artifact}")
    beside = choose_beside(source.attached(), artifact, trust)
    for suffix, data in beside.items():
        write_new(folder.with_name(folder.name + suffix), data)
    if trust is not None:
        trust.admit(folder, artifact)
    return beside


def _take_files(source: _ImageSource | ObjectSource, folder: Path, progress: Progress) -> None:
    """Take the manifest, and then the files that it lists."""
    manifest = source.manifest()
    write_new(folder / NAME, manifest.canonical())
    counts = counted({record.name: record.size for record in manifest.files}, progress)
    for record, (name, count) in zip(manifest.files, counts, strict=True):
        with (folder / name).open("xb") as file:
            source.read(record, file, count)
            file.flush()
            os.fsync(file.fileno())
    sync_folder(folder)


def _verified(source: _ImageSource | ObjectSource, folder: Path, request: RegistryRequest) -> Verified:
    """The artifact, verified as any other one; an error names where it came from."""
    try:
        verified = verify(
            folder, expect=request.expect, accept_failed_gate=request.accept_failed_gate, trust=request.trust
        )
        check_beside(verified)
    except ArtifactRejected as error:
        message = error.message.replace(str(folder), str(source.reference))
        raise ArtifactRejected(message, problems=error.problems, hint=error.hint) from error
    return verified
