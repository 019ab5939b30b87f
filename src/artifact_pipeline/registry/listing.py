"""The artifacts of a registry, not verified: each image and each manifest is only compared with its digest."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from artifact_pipeline.artifact.manifest import parse_manifest
from artifact_pipeline.artifact.parts import NAME
from artifact_pipeline.artifact.provenance import SUFFIX, Statement
from artifact_pipeline.artifact.store import Run
from artifact_pipeline.errors import ArtifactRejected
from artifact_pipeline.registry.image import read_image
from artifact_pipeline.registry.reference import ImageReference
from artifact_pipeline.registry.referrers import attached, choose_beside
from artifact_pipeline.registry.repository import Repository
from artifact_pipeline.registry.tags import read_tagged, read_tags
from artifact_pipeline.trust.beside import creation

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from artifact_pipeline.artifact.manifest import Manifest
    from artifact_pipeline.registry.request import RegistryRequest

_MAX_BYTES = 32 << 20
"""Of all artifacts' manifests together, which are held in memory: a thousand of the usual size and more."""
_BESIDE = re.compile(r"sha256-[0-9a-f]{64}(\..*)?")
"""Tags that list what refers to an image, or lead to its signature."""


@dataclass(frozen=True, slots=True)
class ListedImage:
    """An artifact in a registry.

    Attributes:
        reference: where it is, by its OCI digest.
        tags: that lead to it, in the order of the registry.
        run: the artifact, as the list of a store has it.
        made: when it was made, as its provenance says, which anyone who may push can attach; None without one.
    """

    reference: ImageReference
    tags: tuple[str, ...]
    run: Run
    made: datetime | None


@dataclass(frozen=True, slots=True)
class RegistryList:
    """The images of a registry.

    Attributes:
        images: artifacts; those with provenance first, the latest before the others; then the others by their tags,
            backwards.
        others: how many images, or indexes, are no artifacts.
        complete: whether these are all to which its tags lead.
    """

    images: tuple[ListedImage, ...]
    others: int
    complete: bool


def list_images(request: RegistryRequest, progress: Callable[[str], None]) -> RegistryList:
    """List the artifacts to which the tags of a repository lead.

    Raises:
        ConfigError: the reference names a tag or a digest.
        ArtifactRejected: there is no such repository, or its list of tags is none.
        StorageError: the registry is out of reach, or refuses.
    """
    reference = ImageReference.parse_repository(request.reference)
    repository = Repository(reference, request.connecting)
    names, complete = read_tags(repository)
    tags: dict[str, list[str]] = {}
    layers: dict[str, tuple[str, int]] = {}
    for each in read_tagged(repository, [name for name in names if not _BESIDE.fullmatch(name)], progress):
        known = tags.setdefault(each.digest, [])
        known.append(each.tag)
        if len(known) == 1 and (layer := _layer(each.data, each.kind)) is not None:
            layers[each.digest] = layer
    images, room = [], _MAX_BYTES
    for place, (found, (artifact, size)) in enumerate(layers.items(), 1):
        room -= size
        if room < 0:
            complete = False
            break
        progress(f"reading artifact {place:,} of {len(layers):,}")
        manifest = _manifest(repository, artifact, size)
        made, statement = _provenance(repository, found, artifact)
        run = Run(artifact, manifest, current=False, statement=statement)
        images.append(ListedImage(reference.at(found), tuple(tags[found]), run, made))
    return RegistryList(tuple(sorted(images, key=_order, reverse=True)), len(tags) - len(layers), complete)


def _layer(data: bytes, kind: str) -> tuple[str, int] | None:
    """Digest and size of the manifest of an artifact; None where the image is none."""
    try:
        found = read_image(data, kind).files[NAME]
    except ArtifactRejected:
        return None
    return found.digest, found.size


def _manifest(repository: Repository, artifact: str, size: int) -> Manifest | None:
    try:
        return parse_manifest(repository.read_small(artifact, size, name=NAME))
    except ArtifactRejected:
        return None


def _provenance(repository: Repository, image: str, artifact: str) -> tuple[datetime | None, Statement | None]:
    """The provenance that `pull` would take without a policy: when the artifact was made, and the statement."""
    try:
        data = choose_beside(attached(repository, image), artifact, None).get(SUFFIX)
        if data is None:
            return None, None
        made = creation(data, artifact, "the provenance")
    except ArtifactRejected:
        return None, None
    try:
        return made, Statement.parse(data)
    except (ValueError, RecursionError):  # another builder's
        return made, None


def _order(image: ListedImage) -> tuple[float, list[list[int | str]]]:
    made = image.made.timestamp() if image.made is not None else float("-inf")
    return made, sorted((_numbered(tag) for tag in image.tags), reverse=True)


def _numbered(tag: str) -> list[int | str]:
    """A tag so that `v10` comes after `v9`: texts and numbers in turn."""
    return [int(part) if place % 2 else part for place, part in enumerate(re.split(r"([0-9]+)", tag))]
