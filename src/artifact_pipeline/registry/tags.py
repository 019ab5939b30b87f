"""The tags of a repository and the manifests that they lead to, within bounds whatever the registry answers.

The functions raise what `Repository` raises.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from msgspec import Struct, json

from artifact_pipeline.canonical import digest
from artifact_pipeline.errors import ArtifactRejected, Problem
from artifact_pipeline.registry.image import INDEX_TYPE, MANIFEST_TYPE
from artifact_pipeline.registry.received import rejected
from artifact_pipeline.registry.reference import TAG
from artifact_pipeline.registry.repository import MAX_MANIFEST_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from artifact_pipeline.registry.repository import Repository

MAX_TAGS = 10_000
_MAX_PAGES = 100
_PAGE = 1000
_MAX_QUERY = 4096
_DOCKER = "application/vnd.docker.distribution.manifest"
INDEX_TYPES = (INDEX_TYPE, f"{_DOCKER}.list.v2+json")
_KINDS = (MANIFEST_TYPE, *INDEX_TYPES, f"{_DOCKER}.v2+json")
"""A request accepts all kinds: of a kind that is not accepted, a registry sends another manifest than the tag's."""
_NEXT = re.compile(r'<([^<>]*)>[^<>,]*;\s*rel="?next\b', re.IGNORECASE)


class TaggedManifest(NamedTuple):
    """A tag, and its manifest or its index."""

    tag: str
    data: bytes
    kind: str

    @property
    def digest(self) -> str:
        """The digest of the bytes that came."""
        return digest(self.data)


class _Tags(Struct, frozen=True):
    tags: list[str] | None = None


def read_tags(repository: Repository) -> tuple[tuple[str, ...], bool]:
    """Read the names of a repository's tags, page by page; of a link to the next page only the query is used.

    Returns:
        The names, each once, in the order of the registry; and whether these are all: there are no more than
        `MAX_TAGS`, each is a name that a tag may have, and the registry's pages have an end.

    Raises:
        ArtifactRejected: the registry has no such repository, or its list is none.
    """
    found: dict[str, None] = {}
    query, proper = f"n={_PAGE}", True
    for _ in range(_MAX_PAGES):
        names, following = _page(repository, query)
        before = len(found)
        found.update(dict.fromkeys(filter(TAG.fullmatch, names)))
        proper &= all(map(TAG.fullmatch, names))
        if len(found) > MAX_TAGS:
            break
        if following is None:
            return tuple(found), proper
        if len(found) == before:  # the same page again, which may go on for ever
            break
        query = following
    return tuple(found)[:MAX_TAGS], False


def _page(repository: Repository, query: str) -> tuple[list[str], str | None]:
    """The names of a page, and the query of the next page; None after the last one."""
    wire = repository.wire
    answered = wire.read(f"tags/list?{query}", MAX_MANIFEST_BYTES)
    if answered.status == 404:
        problem = Problem(str(wire.reference), "repository-missing", "the registry has no such repository")
        raise ArtifactRejected("there is no repository", problems=[problem], hint="see that its name is right")
    if answered.status != 200:
        raise wire.refused_whole("the list of tags", answered)
    try:
        names = json.decode(answered.data, type=_Tags).tags or []
    except (ValueError, RecursionError) as error:
        raise rejected("the list of tags", "tags-invalid", str(error)[:200]) from None
    return names, _following(answered.headers.get("Link", ""))


def _following(link: str) -> str | None:
    """The query of the page after this one, as the header `Link` has it; empty where it is no query."""
    found = _NEXT.search(link)
    if found is None:
        return None
    try:
        query = urlsplit(found[1]).query
    except ValueError:
        query = ""
    fits = len(query) <= _MAX_QUERY and query.isascii() and query.isprintable() and " " not in query
    return query if fits else ""


def read_tagged(
    repository: Repository, names: Iterable[str], progress: Callable[[str], None]
) -> Iterator[TaggedManifest]:
    """Yield the manifest of each tag; one that is gone meanwhile is left out."""
    listed = list(names)
    for place, name in enumerate(listed, 1):
        progress(f"reading tag {place:,} of {len(listed):,}")
        read = repository.read_manifest(name, _KINDS)
        if read is not None:
            yield TaggedManifest(name, *read)
