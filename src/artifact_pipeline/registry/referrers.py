"""The referrers of an image: signatures and provenance, each a small manifest with the image as subject.

A registry lists them by an API, or has none: then an index under a tag that is named by the image's digest lists them,
as the OCI distribution spec has it. Anyone who may push may attach: nothing here is trusted by where it comes from.
The functions that ask the registry raise what `Repository` raises.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from msgspec import Meta, Struct, to_builtins
from msgspec import json as msgjson

from artifact_pipeline.artifact.parts import NAME
from artifact_pipeline.artifact.pointer import SIGNATURE
from artifact_pipeline.artifact.provenance import SUFFIX as PROVENANCE
from artifact_pipeline.canonical import digest
from artifact_pipeline.errors import ArtifactRejected, StorageError
from artifact_pipeline.registry.image import (
    INDEX_TYPE,
    MANIFEST_TYPE,
    TITLE,
    BlobRecord,
    compact,
    read_attached,
    record,
)
from artifact_pipeline.registry.received import rejected
from artifact_pipeline.registry.repeating import TRIES
from artifact_pipeline.registry.repository import MAX_MANIFEST_BYTES
from artifact_pipeline.trust.beside import MAX_BESIDE_BYTES, creation
from artifact_pipeline.trust.signing import WHOLE, signed_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from artifact_pipeline.registry.repository import Repository
    from artifact_pipeline.trust.policy import Trust

SIGNATURE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PROVENANCE_TYPE = "application/vnd.in-toto+json"
MAX_ATTACHED = 64
"""How many signatures and statements of an image are looked at."""
_EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
_EMPTY = b"{}"


class _Index(Struct, frozen=True, rename="camel", kw_only=True):
    schema_version: Literal[2] = 2
    manifests: Annotated[tuple[BlobRecord, ...], Meta(max_length=4096)] = ()


class Attached(NamedTuple):
    """A signature or a statement that refers to an image, its bytes compared with their digest."""

    kind: str
    data: bytes


def as_attached(beside: Mapping[str, bytes]) -> list[Attached]:
    """The files that stand beside an artifact, by the ends of their names, as what is attached to its image."""
    return [Attached(PROVENANCE_TYPE if end == PROVENANCE else SIGNATURE_TYPE, data) for end, data in beside.items()]


def attach(repository: Repository, subject: bytes, kind: str, data: bytes, *, title: str) -> None:
    """Attach a signature or a statement to an image; the same bytes are attached once.

    Args:
        repository: with the image.
        subject: the bytes of the image's manifest, which is there already.
        kind: the media type of what is attached.
        data: its bytes.
        title: the file's name.

    Raises:
        ArtifactRejected: the registry has a list of what refers to the image that cannot be read.
    """
    for blob in (data, _EMPTY):
        repository.write_blob(blob)
    manifest = compact(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "artifactType": kind,
            "config": record(_EMPTY_TYPE, _EMPTY),
            "layers": [{**record(kind, data), "annotations": {TITLE: title}}],
            "subject": record(MANIFEST_TYPE, subject),
        }
    )
    if not repository.write_manifest(digest(manifest), manifest, MANIFEST_TYPE):
        _list(repository, digest(subject), {**record(MANIFEST_TYPE, manifest), "artifactType": kind})


def _list(repository: Repository, subject: str, entry: dict[str, object]) -> None:
    """Add an entry to the index under the tag of an image, and read it again: two may write at once."""
    tag = fallback_tag(subject)
    for _ in range(TRIES):
        listed = [_plain(each) for each in _tagged(repository, subject)]
        if any(each["digest"] == entry["digest"] for each in listed):
            return
        index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [*listed, entry]}
        repository.write_manifest(tag, compact(index), INDEX_TYPE)
    raise StorageError(
        f"the list of what refers to {subject} is changed by others all the time", hint="push again, one at a time"
    )


def attached(repository: Repository, subject: str) -> Iterator[Attached]:
    """The signatures and statements that refer to an image, in the order in which the registry lists them.

    Raises:
        ArtifactRejected: one is not what its digest says, or is too large.
    """
    listed = referrers_of(repository, subject)
    ours = [each for each in listed if each.artifact_type in {SIGNATURE_TYPE, PROVENANCE_TYPE, ""}]
    for each in ours[:MAX_ATTACHED]:
        read = repository.read_manifest(each.digest, (MANIFEST_TYPE,))
        if read is None:
            raise rejected("a signature or statement", "blob-missing", f"the registry has no manifest {each.digest}")
        about = read_attached(*read)
        if about is None or about[0] != subject or about[1].media_type not in {SIGNATURE_TYPE, PROVENANCE_TYPE}:
            continue
        yield Attached(about[1].media_type, _read(repository, about[1]))


def referrers_of(repository: Repository, subject: str) -> tuple[BlobRecord, ...]:
    """The listed referrers of an image, of any kind; none of them is read.

    Raises:
        ArtifactRejected: the list cannot be read.
    """
    listed = _by_api(repository, subject)
    return _tagged(repository, subject) if listed is None else listed


def _read(repository: Repository, layer: BlobRecord) -> bytes:
    place = "the signature" if layer.media_type == SIGNATURE_TYPE else "the provenance"
    if layer.size > MAX_BESIDE_BYTES:
        raise rejected(place, "blob-long", f"is larger than {MAX_BESIDE_BYTES:,} bytes")
    return repository.read_small(layer.digest, layer.size, name=place)


def _by_api(repository: Repository, subject: str) -> tuple[BlobRecord, ...] | None:
    """The registry's own list; None where it has none: anything but an index is no list, such as a web page."""
    answered = repository.wire.read(f"referrers/{subject}", MAX_MANIFEST_BYTES, accept=(INDEX_TYPE,))
    is_list = answered.status == 200 and answered.media_type == INDEX_TYPE
    return _parse(answered.data) if is_list else None


def _tagged(repository: Repository, subject: str) -> tuple[BlobRecord, ...]:
    read = repository.read_manifest(fallback_tag(subject), (INDEX_TYPE,))
    if read is None or read[1] != INDEX_TYPE:
        return ()
    return _parse(read[0])


def _parse(data: bytes) -> tuple[BlobRecord, ...]:
    try:
        return msgjson.decode(data, type=_Index).manifests
    except (ValueError, RecursionError) as error:
        raise rejected("the list of signatures", "index-invalid", str(error)[:200]) from None


def _plain(entry: BlobRecord) -> dict[str, object]:
    found: dict[str, object] = to_builtins(entry)
    return {name: value for name, value in found.items() if value}


def fallback_tag(subject: str) -> str:
    """The tag of the index that lists what refers to an image."""
    return subject.replace(":", "-")


def choose_beside(found: Iterable[Attached], artifact: str, trust: Trust | None) -> dict[str, bytes]:
    """Choose the files that go beside the artifact, by the ends of their names, from all that is attached to an image.

    Of several signatures it takes the first one of a trusted signer, or else the first one. Of several provenances it
    prefers one with such a signature, then one with any signature, then the latest one. It leaves out what other
    programs attach. The policy decides afterwards whether the chosen files are trusted.
    """
    signatures: list[bytes] = []
    statements: dict[bytes, datetime] = {}
    about: dict[str, list[bytes]] = {}
    for each in found:
        if each.kind == PROVENANCE_TYPE:
            if (made := _made(each.data, artifact)) is not None:
                statements[each.data] = made
            continue
        files = _files(each.data)
        if files.get(NAME) == artifact:
            signatures.append(each.data)
        elif set(files) == {WHOLE}:
            about.setdefault(files[WHOLE], []).append(each.data)
    chosen: dict[str, bytes] = {}
    if statements:
        signed = {data: _best(about.get(digest(data), []), trust) for data in statements}
        ranked = {data: (_rank(signed[data], trust), made) for data, made in statements.items()}
        provenance = max(statements, key=lambda data: ranked[data])
        chosen[PROVENANCE] = provenance
        if (signature := signed[provenance]) is not None:
            chosen[PROVENANCE + SIGNATURE] = signature
    if (signature := _best(signatures, trust)) is not None:
        chosen[SIGNATURE] = signature
    return chosen


def _made(data: bytes, artifact: str) -> datetime | None:
    """When an artifact was made, as its provenance says; None where it is no provenance, or of another artifact."""
    try:
        return creation(data, artifact, "the provenance")
    except ArtifactRejected:
        return None


def _files(data: bytes) -> Mapping[str, str]:
    try:
        return signed_files(data, "the signature")
    except ArtifactRejected:
        return {}


def _best(signatures: list[bytes], trust: Trust | None) -> bytes | None:
    """The first signature of a trusted signer, or else the first one; None where there is none."""
    return next((each for each in signatures if _rank(each, trust) == 2), signatures[0] if signatures else None)


def _rank(signature: bytes | None, trust: Trust | None) -> int:
    """2 for the signature of a trusted signer, 1 for any other one, 0 for none."""
    if signature is None:
        return 0
    if trust is None or not (trust.signers.keys or trust.signers.identities):
        return 1
    try:
        trust.signers.check(signature, place="the signature")
    except ArtifactRejected as error:
        if "sigstore-unreachable" in error.rules:
            raise
        return 1
    return 2
