"""An artifact from a registry: each blob is hashed while it streams, then the artifact is verified, then it is kept.

All of it comes into a hidden folder beside the place where it will stand, laid out as a store, so that it is verified
as any artifact is. One rename puts it in its place; before that there is nothing for another program to find.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from artifact_pipeline.artifact.manifest import parse_manifest
from artifact_pipeline.artifact.parts import NAME
from artifact_pipeline.artifact.pointer import STORE
from artifact_pipeline.canonical import PREFIX, digest
from artifact_pipeline.errors import ArtifactRejected, Problem
from artifact_pipeline.files import storage_error, sync_folder, write_new
from artifact_pipeline.registry.evidence import choose
from artifact_pipeline.registry.image import MANIFEST_TYPE, read_image
from artifact_pipeline.registry.keeping import KeptAsFolder, KeptInStore, staging
from artifact_pipeline.registry.progress import BytesDone
from artifact_pipeline.registry.reference import ImageReference
from artifact_pipeline.registry.referrers import attached
from artifact_pipeline.registry.repository import Repository, rejected
from artifact_pipeline.registry.wire import Connecting, Wire
from artifact_pipeline.trust.beside import check_beside
from artifact_pipeline.verification import verify

if TYPE_CHECKING:
    from pathlib import Path

    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.registry.image import PulledImage
    from artifact_pipeline.registry.progress import Progress
    from artifact_pipeline.registry.request import RegistryRequest


@dataclass(frozen=True, slots=True)
class Pulled:
    """What was pulled.

    Attributes:
        reference: where it came from, by its digest.
        verified: the artifact, as it was verified before it was kept.
        folder: where it stands.
        in_charge: whether the pointer leads to it now; never where there is no pointer, or no gate that passed.
        beside: which of `.provenance.json`, `.sig` and `.provenance.json.sig` came with it.
    """

    reference: ImageReference
    verified: Verified
    folder: Path
    in_charge: bool
    beside: tuple[str, ...]


def pull(request: RegistryRequest, path: Path, *, as_folder: bool = False) -> Pulled:
    """Take an artifact from a registry, verify it, and keep it.

    Args:
        request: a repository with a digest or a tag, and what is asked of the artifact; a policy is asked before the
            artifact's manifest is parsed.
        path: the pointer; the artifact goes into the store beside it.
        as_folder: make the artifact the folder `path`, with no pointer and no store.

    Raises:
        ConfigError: the reference names neither a digest nor a tag.
        ArtifactRejected: the registry has no such artifact, sends other bytes than it names, or the artifact is not
            what it claims to be, or not trusted; nothing is kept.
        StorageError: the registry is out of reach, or the disk full; nothing is kept.
    """
    reference = ImageReference.parse(request.reference)
    target = reference.target
    place = KeptAsFolder(path) if as_folder else KeptInStore(path)
    place.check()
    repository = Repository(Wire(reference, Connecting.of(request)))
    read = repository.read_manifest(target, (MANIFEST_TYPE,))
    if read is None:
        problem = Problem(str(reference), "image-missing", "the registry has no such artifact")
        raise ArtifactRejected("there is no artifact", problems=[problem], hint="see that name and tag are right")
    image, found = read_image(*read), reference.at(digest(read[0]))
    try:
        with staging(place.path) as folder:
            pulling = _Pulling(repository, image, reference=found, store=folder / STORE, request=request)
            beside = pulling.take_evidence()
            pulling.take_files(request.progress)
            verified = pulling.verified()
            stands, in_charge = place.keep(verified, beside)
    except OSError as error:
        raise storage_error(place.path, error) from error
    return Pulled(found, verified, stands, in_charge, tuple(beside))


class _Pulling:
    """An artifact that is being pulled into a store that nothing else knows."""

    def __init__(
        self,
        repository: Repository,
        image: PulledImage,
        *,
        reference: ImageReference,
        store: Path,
        request: RegistryRequest,
    ) -> None:
        self._repository, self._image, self._reference, self._request = repository, image, reference, request
        self._artifact = image.files[NAME].digest
        self._folder = store / self._artifact.removeprefix(PREFIX)
        self._folder.mkdir(parents=True)

    def take_evidence(self) -> dict[str, bytes]:
        """Take signature and provenance, and ask whether they are trusted, before anything of the artifact is taken.

        Raises:
            ArtifactRejected: they are not, or the registry sent other bytes.
        """
        expect, trust = self._request.expect, self._request.trust
        if expect is not None and self._artifact != expect:
            raise rejected(NAME, "digest-unexpected", f"expected {expect}, found {self._artifact}")
        beside = choose(attached(self._repository, self._reference.target), self._artifact, trust)
        for suffix, data in beside.items():
            write_new(self._folder.with_name(self._folder.name + suffix), data)
        if trust is not None:
            trust.admit(self._folder, self._artifact)
        return beside

    def take_files(self, progress: Progress) -> None:
        """Take the config, the manifest, and then the files that it lists.

        Raises:
            ArtifactRejected: the registry sent other bytes, or the layers are not the files of the manifest.
        """
        config = self._image.config
        data = BytesIO()
        self._repository.read_blob(config.digest, config.size, data, name="the model's config", progress=lambda _: None)
        self._image.check_config(data.getvalue())
        done, total = 0, sum(each.size for each in self._image.files.values())
        self._take(NAME, BytesDone(NAME, done, total, progress))
        manifest = parse_manifest((self._folder / NAME).read_bytes())
        self._image.check_files(manifest)
        done = self._image.files[NAME].size
        for record in manifest.files:
            self._take(record.name, BytesDone(record.name, done, total, progress))
            done += record.size
        sync_folder(self._folder)

    def _take(self, name: str, count: BytesDone) -> None:
        layer = self._image.files[name]
        with (self._folder / name).open("xb") as file:
            self._repository.read_blob(layer.digest, layer.size, file, name=name, progress=count)
            file.flush()
            os.fsync(file.fileno())

    def verified(self) -> Verified:
        """The artifact, verified as any other one.

        Raises:
            ArtifactRejected: it is not what it claims to be, or not trusted.
        """
        request = self._request
        try:
            verified = verify(
                self._folder, expect=request.expect, accept_failed_gate=request.accept_failed_gate, trust=request.trust
            )
            check_beside(verified)
        except ArtifactRejected as error:
            message = error.message.replace(str(self._folder), str(self._reference))
            raise ArtifactRejected(message, problems=error.problems, hint=error.hint) from error
        return verified
