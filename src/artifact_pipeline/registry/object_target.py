"""The push of an artifact into an object store: its files, then signatures and provenance, and the pointer last.

The files are created and never replaced; each compare-and-swap asks for the version that was read. So of two pushes at
once one moves the pointer, and after a push that was killed anywhere the pointer leads where it led before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from artifact_pipeline.artifact.parts import NAME
from artifact_pipeline.artifact.pointer import BESIDE, MAX_POINTER_BYTES, STORE, target_in
from artifact_pipeline.canonical import PREFIX
from artifact_pipeline.errors import ArtifactRejected, ConfigError, Problem, StorageError
from artifact_pipeline.registry.object_source import read_object, reading, refuse_registry_options
from artifact_pipeline.registry.referrers import as_attached, choose_beside
from artifact_pipeline.registry.repeating import TRIES, pause
from artifact_pipeline.registry.request import counted
from artifact_pipeline.storage import objects
from artifact_pipeline.trust.beside import MAX_BESIDE_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.registry.object_source import StoredObject
    from artifact_pipeline.registry.reference import StoreReference
    from artifact_pipeline.registry.request import Progress, RegistryRequest


class ObjectTarget:
    """An object store into which an artifact goes."""

    def __init__(self, reference: StoreReference, request: RegistryRequest) -> None:
        """Read the pointer, which must be the same when it is moved.

        Raises:
            ConfigError: the request has options of registries, or the URL is no place in a store.
            StorageError: something that is no pointer stands in its place, or the store does not answer.
        """
        refuse_registry_options(request)
        self._reference, self._request = reference, request
        self._before = self._pointer()

    def put(self, verified: Verified, beside: Mapping[str, bytes]) -> tuple[StoreReference, int, str | None]:
        """Put an artifact into the store, and let the pointer lead to it if its gate passed and no digest was named.

        Returns:
            Where it stands, how many bytes of its files the store did not have yet, and the URL of the pointer, None
            where that does not lead to it.

        Raises:
            ConfigError: another digest was named than it has.
            StorageError: the store does not answer, has other bytes under the artifact's name, or the pointer was
                moved meanwhile.
        """
        reference = self._reference.at(verified.digest)
        if self._reference.digest not in {None, verified.digest}:
            raise ConfigError(f"{self._reference} names another artifact than {verified.digest}", hint=f"{reference}")
        sent = _put_files(reference, verified, self._request.progress)
        if beside:
            self._put_beside(reference, beside)
        gate = verified.manifest.gate
        if self._reference.digest is not None or gate is None or gate.verdict != "passed":
            return reference, sent, None
        self._move_pointer(reference)
        return reference, sent, reference.pointer

    def _put_beside(self, reference: StoreReference, ours: Mapping[str, bytes]) -> None:
        """Put signatures and provenance beside the artifact, chosen from those in the store and ours."""
        for attempt in range(TRIES):
            there = {end: read_object(reference.folder + end, MAX_BESIDE_BYTES, end) for end in BESIDE}
            theirs = {end: each.data for end, each in there.items() if each is not None}
            attached = [*as_attached(ours), *as_attached(theirs)]
            chosen = choose_beside(attached, reference.digest or "", self._request.trust)
            changed = {end: data for end, data in chosen.items() if theirs.get(end) != data}
            if all(_swap(reference.folder + end, there[end], data) for end, data in changed.items()):
                return
            pause(attempt)
        raise StorageError(
            f"what stands beside {reference} is changed by others all the time", hint="push again, one at a time"
        )

    def _pointer(self) -> StoredObject | None:
        """Read the pointer; None where there is none yet."""
        url = self._reference.pointer
        refused = StorageError(
            f"cannot write {url}: something stands there that is no pointer to an artifact",
            hint="move it away, or name another prefix",
        )
        try:
            found = read_object(url, MAX_POINTER_BYTES, "the pointer")
        except ArtifactRejected as error:  # too large
            raise refused from error
        if found is not None and target_in(found.data) is None:
            raise refused
        return found

    def _move_pointer(self, reference: StoreReference) -> None:
        line = f"{STORE}/{(reference.digest or '').removeprefix(PREFIX)}\n".encode("ascii")
        now = self._before
        for attempt in range(TRIES):
            if _swap(reference.pointer, self._before, line):
                return
            now = self._pointer()
            if now is not None and now.data == line:  # ours, whose answer was lost; or another push of this artifact
                return
            if now != self._before:
                break
            pause(attempt)
        leads = f"leads to {PREFIX}{target_in(now.data)}" if now is not None else "is not there"
        raise StorageError(
            f"{reference} stands in the store, and the pointer does not lead to it",
            problems=[Problem(reference.pointer, "pointer-moved", f"is written by others, and {leads} now")],
            hint="push it again if it is to replace that one",
        )


def _put_files(reference: StoreReference, verified: Verified, progress: Progress) -> int:
    """Put the missing files, the manifest last, and return the number of bytes that were sent."""
    files = {**verified.members, NAME: verified.manifest.canonical()}
    sent = 0
    for name, count in counted({name: len(data) for name, data in files.items()}, progress):
        sent += _put(f"{reference.folder}/{name}", files[name])
        count(len(files[name]))
    return sent


def _put(url: str, data: bytes) -> int:
    """Create an object of these bytes, and return how many were sent; none where it stands there already."""
    sent = 0
    for attempt in range(TRIES):
        if _stands(url, data):
            return sent
        if objects.write_if(url, data, None):
            return len(data)
        sent = len(data)
        pause(attempt)  # another push is creating it, and it cannot be seen yet; or the answer was lost
    raise StorageError(f"cannot write {url}: it comes and goes", hint="look who else changes the store")


def _stands(url: str, data: bytes) -> bool:
    """Whether the object is there.

    Raises:
        StorageError: it has other bytes.
    """
    at, view = 0, memoryview(data)
    try:
        with reading(url):
            for piece in objects.pieces(url):
                if piece != view[at : at + len(piece)]:
                    raise _damaged(url)
                at += len(piece)
    except ArtifactRejected:  # it is missing
        return False
    if at != len(data):
        raise _damaged(url)
    return True


def _swap(url: str, before: StoredObject | None, data: bytes) -> bool:
    return objects.write_if(url, data, before.version if before is not None else None)


def _damaged(url: str) -> StorageError:
    return StorageError(
        f"cannot write {url}: other bytes stand there than its name promises",
        hint="nothing is replaced in a store; look who has written it, and remove it",
    )
