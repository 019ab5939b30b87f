"""An artifact in an object store, laid out there as in a store on a disk (`artifact.store`).

PREFIX/artifact                                one line, `artifacts/<hex>`: the pointer
PREFIX/artifacts/<hex>/…                       the artifact's files
PREFIX/artifacts/<hex>.provenance.json, .sig   its provenance, and signatures
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self

from artifact_pipeline.artifact.manifest import parse_manifest
from artifact_pipeline.artifact.parts import MAX_MANIFEST_BYTES, NAME
from artifact_pipeline.artifact.pointer import BESIDE, MAX_POINTER_BYTES, target_in
from artifact_pipeline.canonical import PREFIX, digest
from artifact_pipeline.errors import ArtifactRejected, ConfigError, DataRejected, Problem, StorageError
from artifact_pipeline.registry.received import Received, rejected
from artifact_pipeline.registry.referrers import as_attached
from artifact_pipeline.storage import objects
from artifact_pipeline.trust.beside import MAX_BESIDE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import BinaryIO

    from artifact_pipeline.artifact.manifest import Manifest
    from artifact_pipeline.artifact.manifest1 import Manifest1
    from artifact_pipeline.registry.reference import StoreReference
    from artifact_pipeline.registry.referrers import Attached
    from artifact_pipeline.registry.request import RegistryRequest


class StoredObject(NamedTuple):
    """A small object, and its version, with which it is replaced."""

    data: bytes
    version: dict[str, str]


@dataclass(frozen=True, slots=True)
class ObjectSource:
    """An artifact in an object store, whose files are not read yet.

    Attributes:
        reference: where it stands, by the artifact digest.

    Raises:
        StorageError: of each method: the store does not answer.
    """

    reference: StoreReference

    @classmethod
    def find(cls, reference: StoreReference, request: RegistryRequest) -> Self:
        """Follow the pointer, where the reference has no digest.

        Raises:
            ConfigError: the request has options of registries, or the URL is no place in a store.
            ArtifactRejected: there is no pointer, or it leads to no artifact.
        """
        refuse_registry_options(request)
        if reference.digest is not None:
            return cls(reference)
        pointer = read_object(reference.pointer, MAX_POINTER_BYTES, "the pointer")
        if pointer is None:
            raise _missing(reference.pointer, "the store has no such pointer")
        leads_to = target_in(pointer.data)
        if leads_to is None:
            raise rejected("the pointer", "pointer-invalid", f"{pointer.data[:80]!r} leads to no artifact")
        return cls(reference.at(PREFIX + leads_to))

    @property
    def artifact(self) -> str:
        """The artifact digest by its place."""
        return self.reference.digest or ""

    def attached(self) -> Iterable[Attached]:
        """The signatures and the provenance beside it.

        Raises:
            ArtifactRejected: one is too large.
        """
        found = {end: read_object(self.reference.folder + end, MAX_BESIDE_BYTES, end) for end in BESIDE}
        return as_attached({end: each.data for end, each in found.items() if each is not None})

    def manifest(self) -> Manifest:
        """Read its manifest, and check its files as far as the place lists them.

        Raises:
            ArtifactRejected: it has another digest than `artifact`, is no manifest, or lists other files.
        """
        place = f"{self.reference.folder}/{NAME}"
        found = read_object(place, MAX_MANIFEST_BYTES, NAME)
        if found is None:
            raise _missing(place, "the store has no such artifact")
        if digest(found.data) != self.artifact:
            raise rejected(NAME, "blob-digest", f"found {digest(found.data)}, asked for {self.artifact}")
        return parse_manifest(found.data)

    def read(self, record: Manifest1.File, sink: BinaryIO, progress: Callable[[int], None]) -> None:
        """Write a file that the manifest lists into an empty file.

        Raises:
            ArtifactRejected: other bytes come, more, or fewer (`blob-digest`, `blob-long`, `blob-short`), or none
                (`blob-missing`).
        """
        received = Received(record.name, record.size, sink)
        with reading(record.name):
            for piece in objects.pieces(f"{self.reference.folder}/{record.name}"):
                received.take(piece)
                progress(len(piece))
        received.finish(record.sha256)


def read_object(url: str, limit: int, name: str) -> StoredObject | None:
    """Read a small object; None where there is none.

    Raises:
        ArtifactRejected: it is larger than `limit` bytes.
        StorageError: the store does not answer.
    """
    with reading(name):
        found = objects.read_versioned(url, limit)
        return StoredObject(*found) if found is not None else None


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn an error of `objects`, which is about rows, into one about an artifact's file.

    Raises:
        ArtifactRejected: the object is missing, or too large.
        StorageError: the store does not answer.
    """
    try:
        yield
    except DataRejected as error:
        [problem] = error.problems
        rule = {"missing-file": "blob-missing", "too-large": "blob-long"}.get(problem.rule)
        if rule is not None:
            raise rejected(name, rule, f"{problem.place}: {problem.message}") from error
        raise StorageError(f"cannot read {problem.place}: {problem.message}", hint=error.hint) from error


def refuse_registry_options(request: RegistryRequest) -> None:
    """Refuse the options of registries.

    Raises:
        ConfigError: one is given.
    """
    if request.plain_http or request.token_hosts:
        option = "--plain-http" if request.plain_http else "--token-host"
        raise ConfigError(
            f"{option} is for registries, and {request.reference} is in an object store",
            hint="leave it away; AWS_ALLOW_HTTP=true lets a store be reached without TLS",
        )


def _missing(place: str, message: str) -> ArtifactRejected:
    problem = Problem(place, "artifact-missing", message)
    return ArtifactRejected("there is no artifact", problems=[problem], hint="see that bucket and prefix are right")
