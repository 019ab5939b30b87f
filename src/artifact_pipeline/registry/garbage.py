"""Artifacts of a registry to which only tags of some patterns lead, and their deletion.

A registry has no compare-and-swap: the tags that keep something are read once more before the deletion, and one that is
set after that loses what it leads to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from msgspec import Struct, json

from artifact_pipeline.artifact.parts import NAME
from artifact_pipeline.errors import ArtifactRejected, ConfigError
from artifact_pipeline.registry.image import MANIFEST_TYPE, BlobRecord, read_image
from artifact_pipeline.registry.pointers import MAX_ENTRIES
from artifact_pipeline.registry.received import rejected
from artifact_pipeline.registry.reference import ImageReference
from artifact_pipeline.registry.referrers import fallback_tag, referrers_of
from artifact_pipeline.registry.repository import Repository
from artifact_pipeline.registry.roles import deciding
from artifact_pipeline.registry.tags import INDEX_TYPES, MAX_TAGS, TaggedManifest, read_tagged, read_tags

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from artifact_pipeline.registry.request import RegistryRequest
    from artifact_pipeline.registry.roles import PromotionRequest

_DIGEST = re.compile(rb"sha256:[0-9a-f]{64}")
_FALLBACK = re.compile(r"sha256-[0-9a-f]{64}")
_MAX_USED = 1_000_000
"""Digests that are held in memory."""


@dataclass(frozen=True, slots=True)
class _SpareImage:
    """An artifact to which no other tag leads.

    Attributes:
        reference: where it is, by its OCI digest.
        artifact: the artifact digest.
        beside: the digests of the manifests that refer to it, and of the index that lists them.
        blobs: digest and size of what it consists of, without what another image of the repository has, too.
    """

    reference: ImageReference
    artifact: str
    tags: tuple[str, ...]
    blobs: tuple[tuple[str, int], ...]
    beside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _RegistryGarbage:
    """The artifacts of a repository that can be deleted, or were.

    Attributes:
        kept: how many other images tags of the pattern lead to: another tag leads there, too, or they are no artifacts.
    """

    images: tuple[_SpareImage, ...]
    kept: int

    @property
    def size(self) -> int:
        """The bytes of the files that no other image has."""
        return sum(dict(blob for image in self.images for blob in image.blobs).values())


def collect(
    request: RegistryRequest,
    patterns: Sequence[str],
    *,
    roles: Sequence[PromotionRequest] = (),
    delete: bool,
    progress: Callable[[str], None],
) -> _RegistryGarbage:
    """Find the artifacts that tags of some patterns lead to, and no other tag; and delete them.

    Args:
        request: the repository, and how it is reached.
        patterns: of tags, as a shell has them.
        roles: keep each artifact that is or was in one of these roles: `demote` can put it back.
        delete: delete each one, after its referrers.
        progress: called with each step, in a few words.

    Raises:
        ConfigError: the reference names a tag or a digest, there is no pattern, or nothing ever was in a role.
        ArtifactRejected: what the registry lists, or a role's history, cannot be read whole, so that it is not known
            what is in use.
        StorageError: the registry is out of reach, refuses, or deletes nothing.
    """
    if not patterns:
        hint = "--match 'sha-*' takes the artifacts that only such tags lead to; tags like v1 and champion keep theirs"
        raise ConfigError("--match: which tags keep nothing is not said", hint=hint)
    reference = ImageReference.parse_repository(request.reference)
    repository = Repository(reference, request.connecting, delete=delete)
    reading = _Reading(repository, patterns)
    reading.read(progress)
    reading.keep(_in_roles(roles))
    found = reading.end(progress)
    if not delete or not found.images:
        return found
    reading.read(progress, again=True)
    reading.keep(_in_roles(roles))
    found = reading.without_used(found)
    for image in found.images:
        progress(f"deleting {image.reference}")
        for wanted in (*image.beside, image.reference.target):
            repository.delete_manifest(wanted)
    return found


def _in_roles(roles: Sequence[PromotionRequest]) -> Iterator[str]:
    """The OCI digests of all artifacts that are or were in some roles."""
    for each in roles:
        with deciding(each, most=MAX_ENTRIES) as decision:
            if not decision.entries:
                hint = "give --role, --pointer and --name as promote was given them"
                raise ConfigError(f"{decision.pointer.place}: nothing was ever in the role {each.role}", hint=hint)
            yield from (entry.said.to.image for entry in decision.entries)


class _Listed(Struct, frozen=True):
    manifests: tuple[BlobRecord, ...] = ()


class _Referring(Struct, frozen=True):
    subject: BlobRecord


class _Reading:
    """The images to which the tags of a repository lead, while they are read."""

    def __init__(self, repository: Repository, patterns: Sequence[str]) -> None:
        self._repository, self._patterns = repository, patterns
        self._spare: dict[str, _SpareImage] = {}
        self._others: set[str] = set()
        self._used: set[str] = set()
        self._indexes: set[str] = set()
        self._lists: dict[str, str] = {}

    def read(self, progress: Callable[[str], None], *, again: bool = False) -> None:
        """Record the images to which all tags lead; with `again` those of tags that no pattern fits."""
        names, complete = read_tags(self._repository)
        if not complete:
            words = f"has no end, a name that is none, or more than {MAX_TAGS:,} tags"
            raise rejected("the list of tags", "tags-incomplete", words)
        wanted = [name for name in names if not (again and self._matches(name))]
        for each in read_tagged(self._repository, wanted, progress):
            self._add(each)

    def keep(self, images: Iterable[str]) -> None:
        """Record images that stay."""
        self._used.update(images)

    def _matches(self, tag: str) -> bool:
        return any(fnmatchcase(tag, pattern) for pattern in self._patterns)

    def _add(self, tagged: TaggedManifest) -> None:
        found, kind = tagged.digest, tagged.kind
        if _FALLBACK.fullmatch(tagged.tag) and kind in INDEX_TYPES:
            self._lists[tagged.tag] = found
            return
        if self._matches(tagged.tag):
            image = _image(tagged, self._repository.wire.reference)
            if image is not None:
                known = self._spare.setdefault(found, image)
                self._spare[found] = replace(known, tags=tuple(dict.fromkeys((*known.tags, tagged.tag))))
                return
            self._others.add(found)
        self._use(tagged.data, kind)
        self._used.add(found)

    def _use(self, data: bytes, kind: str) -> None:
        """Keep all that a manifest names, and all that the indexes in an index name."""
        ahead = [(data, kind)]
        while ahead:
            data, kind = ahead.pop()
            self._used.update(each.decode() for each in _DIGEST.findall(data))
            for each in _listed(data) if kind in INDEX_TYPES else ():
                if each.media_type in INDEX_TYPES and each.digest not in self._indexes:
                    self._indexes.add(each.digest)
                    read = self._repository.read_manifest(each.digest, INDEX_TYPES)
                    ahead += [read] if read is not None else []
            if len(self._used) > _MAX_USED:
                words = f"its tags lead to more than {_MAX_USED:,} manifests and files"
                raise rejected(str(self._repository.wire.reference), "repository-large", words)

    def end(self, progress: Callable[[str], None]) -> _RegistryGarbage:
        """The images to which nothing else leads, with their referrers."""
        spare = {found: image for found, image in self._spare.items() if found not in self._used}
        lists = {fallback_tag(found) for found in spare}
        used = self._used | {found for tag, found in self._lists.items() if tag not in lists}
        used |= {blob for found, image in self._spare.items() if found not in spare for blob, _ in image.blobs}
        images = []
        for found, image in spare.items():
            progress(f"looking for what refers to {image.reference}")
            beside = dict.fromkeys([*self._referring(found), *filter(None, [self._lists.get(fallback_tag(found))])])
            blobs = tuple(blob for blob in image.blobs if blob[0] not in used)
            images.append(replace(image, blobs=blobs, beside=tuple(each for each in beside if each not in used)))
        return _RegistryGarbage(tuple(images), len({*self._spare, *self._others}) - len(images))

    def without_used(self, found: _RegistryGarbage) -> _RegistryGarbage:
        """Those of the images that are still unused."""
        images = [
            replace(image, beside=tuple(each for each in image.beside if each not in self._used))
            for image in found.images
            if image.reference.target not in self._used
        ]
        return _RegistryGarbage(tuple(images), found.kept + len(found.images) - len(images))

    def _referring(self, image: str) -> Iterator[str]:
        """The digests of the manifests that say themselves that they refer to an image: anyone may list others."""
        for each in referrers_of(self._repository, image):
            read = self._repository.read_manifest(each.digest, (MANIFEST_TYPE,))
            try:
                if read is not None and json.decode(read[0], type=_Referring).subject.digest == image:
                    yield each.digest
            except (ValueError, RecursionError):
                continue


def _image(tagged: TaggedManifest, repository: ImageReference) -> _SpareImage | None:
    try:
        image = read_image(tagged.data, tagged.kind)
    except ArtifactRejected:
        return None
    blobs = {each.digest: each.size for each in (*image.files.values(), image.config)}
    return _SpareImage(repository.at(tagged.digest), image.files[NAME].digest, (tagged.tag,), tuple(blobs.items()))


def _listed(data: bytes) -> tuple[BlobRecord, ...]:
    try:
        return json.decode(data, type=_Listed).manifests
    except (ValueError, RecursionError) as error:
        raise rejected("an index", "index-invalid", str(error)[:200]) from None
