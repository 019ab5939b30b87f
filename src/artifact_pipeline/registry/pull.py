"""An artifact from elsewhere: each file is hashed while it streams, then the artifact is verified, then it is kept.

All of it comes into a hidden folder beside the place where it will stand, laid out as a store, so that it is verified
as any artifact is. One rename puts it in its place; before that there is nothing for another program to find.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from artifact_pipeline.artifact.parts import NAME
from artifact_pipeline.artifact.pointer import STORE
from artifact_pipeline.canonical import PREFIX
from artifact_pipeline.errors import ArtifactRejected
from artifact_pipeline.files import storage_error, sync_folder, write_new
from artifact_pipeline.registry.evidence import choose
from artifact_pipeline.registry.keeping import KeptAsFolder, KeptInStore, staging
from artifact_pipeline.registry.progress import BytesDone
from artifact_pipeline.registry.received import rejected
from artifact_pipeline.registry.source import find
from artifact_pipeline.trust.beside import check_beside
from artifact_pipeline.verification import verify

if TYPE_CHECKING:
    from pathlib import Path

    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.registry.progress import Progress
    from artifact_pipeline.registry.reference import RemoteReference
    from artifact_pipeline.registry.request import RegistryRequest
    from artifact_pipeline.registry.source import PullSource


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

    reference: RemoteReference
    verified: Verified
    folder: Path
    in_charge: bool
    beside: tuple[str, ...]


def pull(request: RegistryRequest, path: Path, *, as_folder: bool = False) -> Pulled:
    """Take an artifact from a registry or an object store, verify it, and keep it.

    Args:
        request: a repository with a digest or a tag, or a store, with a digest or for what its pointer leads to; and
            what is asked of the artifact: a policy before the artifact's manifest is parsed.
        path: the pointer; the artifact goes into the store beside it.
        as_folder: make the artifact the folder `path`, with no pointer and no store.

    Raises:
        ConfigError: the reference is none, or names no artifact.
        ArtifactRejected: there is no such artifact, other bytes come than were asked for, or the artifact is not what
            it claims to be, or not trusted; nothing is kept.
        StorageError: the place is out of reach, or the disk full; nothing is kept.
    """
    place = KeptAsFolder(path) if as_folder else KeptInStore(path)
    place.check()
    source = find(request)
    try:
        with staging(place.path) as folder:
            pulling = _Pulling(source, folder / STORE, request)
            beside = pulling.take_evidence()
            pulling.take_files(request.progress)
            verified = pulling.verified()
            stands, in_charge = place.keep(verified, beside)
    except OSError as error:
        raise storage_error(place.path, error) from error
    return Pulled(source.reference, verified, stands, in_charge, tuple(beside))


class _Pulling:
    """An artifact that is being pulled into a store that nothing else knows."""

    def __init__(self, source: PullSource, store: Path, request: RegistryRequest) -> None:
        self._source, self._request = source, request
        self._folder = store / source.artifact.removeprefix(PREFIX)
        self._folder.mkdir(parents=True)

    def take_evidence(self) -> dict[str, bytes]:
        """Take signature and provenance, and ask whether they are trusted, before anything of the artifact is taken.

        Raises:
            ArtifactRejected: they are not, or other bytes came.
        """
        artifact, expect, trust = self._source.artifact, self._request.expect, self._request.trust
        if expect is not None and artifact != expect:
            raise rejected(NAME, "digest-unexpected", f"expected {expect}, found {artifact}")
        beside = choose(self._source.attached(), artifact, trust)
        for suffix, data in beside.items():
            write_new(self._folder.with_name(self._folder.name + suffix), data)
        if trust is not None:
            trust.admit(self._folder, artifact)
        return beside

    def take_files(self, progress: Progress) -> None:
        """Take the manifest, and then the files that it lists.

        Raises:
            ArtifactRejected: other bytes came, or the place has other files than the manifest lists.
        """
        manifest = self._source.manifest()
        write_new(self._folder / NAME, manifest.canonical())
        done, total = 0, sum(record.size for record in manifest.files)
        for record in manifest.files:
            with (self._folder / record.name).open("xb") as file:
                self._source.read(record, file, BytesDone(record.name, done, total, progress))
                file.flush()
                os.fsync(file.fileno())
            done += record.size
        sync_folder(self._folder)

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
            message = error.message.replace(str(self._folder), str(self._source.reference))
            raise ArtifactRejected(message, problems=error.problems, hint=error.hint) from error
        return verified
