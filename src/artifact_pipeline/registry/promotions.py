"""Promotions: which artifact is in a role such as `champion`; each one is an in-toto statement.

Each statement names the digest of the one before, so that a history is a chain that can be checked, wherever it is
kept. Without a signature a statement is a claim: it is as good as those who may write the pointer.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, Self

from msgspec import Meta, Struct, field, json, to_builtins

from artifact_pipeline.artifact.parts import Digest, Text  # noqa: TC001 - msgspec reads them
from artifact_pipeline.artifact.provenance import Comparison, Resource
from artifact_pipeline.canonical import PREFIX, canonical_json, digest
from artifact_pipeline.errors import ConfigError
from artifact_pipeline.registry.git_pointer import opened_ref
from artifact_pipeline.registry.pointers import MAX_ENTRIES, ObjectPointer, no_history
from artifact_pipeline.storage.places import is_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from artifact_pipeline.registry.pointers import PromotionPointer
    from artifact_pipeline.registry.reference import ImageReference

_IN_TOTO: Literal["https://in-toto.io/Statement/v1"] = "https://in-toto.io/Statement/v1"
_PREDICATE: Literal["urn:artifact-pipeline:promotion:1"] = "urn:artifact-pipeline:promotion:1"
PROMOTION_TYPE = "application/vnd.artifact-pipeline.promotion.v1+json"
PROMOTION_SIGNATURE_TYPE = "application/vnd.artifact-pipeline.promotion.signature.v1+json"
"""Types of their own, so that what looks for an artifact's signatures and provenance passes over them."""
_ROLE = re.compile(r"[a-z][a-z0-9]*(?:[_-][a-z0-9]+)*")
_MAX_ROLE = 40
_TAKEN = {
    *("changes", "environments", "for", "heads", "keep-around", "merge-requests", "meta", "notes", "pipelines"),
    *("prefetch", "pull", "pull-requests", "remotes", "replace", "stash", "tags"),
}
"""What stands below `refs/` with a meaning of its own, to git or to a forge."""
_NAME = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
_MAX_NAME = 128

_Uri = Annotated[str, Meta(max_length=2048)]


class ImageOfArtifact(Struct, frozen=True, kw_only=True):
    """An artifact in a registry: the digest of its OCI manifest, and the artifact digest."""

    image: Digest
    artifact: Digest


class Promotion(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """The predicate of a statement.

    Attributes:
        action: `promote`, or `demote` where an earlier artifact was put back.
        role: such as `champion`.
        to: the artifact.
        source: the artifact that was in the role; None where there was none.
        previous: the digest of the statement before; None in the first one.
        comparison: with the artifact that was in the role; None where there was none, or nothing was compared.
        policy: the digest of the policy that the artifact fulfilled, or None.
        signer: whose signature of the artifact was checked, or None.
        on: when, UTC as RFC 3339 writes it.
        by: the URI of the workflow, or that of a local run.
        run: the URI of the run of the workflow, or empty.
        nonce: at random, so that no two statements are the same.
    """

    action: Literal["promote", "demote"]
    role: Text
    to: ImageOfArtifact
    source: ImageOfArtifact | None = field(default=None, name="from")
    previous: Digest | None = None
    comparison: Comparison | None = None
    policy: Digest | None = None
    signer: _Uri | None = None
    on: Text
    by: _Uri
    run: _Uri = ""
    nonce: Text = field(default_factory=lambda: os.urandom(16).hex())


class PromotionStatement(Struct, frozen=True, kw_only=True, rename="camel"):
    """An in-toto statement, version 1, about an image: it was promoted."""

    type: Literal["https://in-toto.io/Statement/v1"] = field(name="_type")
    subject: Annotated[tuple[Resource, ...], Meta(min_length=1, max_length=1)]
    predicate_type: Literal["urn:artifact-pipeline:promotion:1"]
    predicate: Promotion

    @classmethod
    def make(cls, repository: ImageReference, promotion: Promotion) -> Self:
        """Make the statement about an image of a repository."""
        subject = Resource(name=repository.repository, digest={"sha256": promotion.to.image.removeprefix(PREFIX)})
        return cls(type=_IN_TOTO, subject=(subject,), predicate_type=_PREDICATE, predicate=promotion)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Parse a statement; fields that are not known are allowed, as in-toto wants it.

        Raises:
            ValueError: it is none, or its subject is another image than it says was promoted.
        """
        found = json.decode(data, type=cls)
        if PREFIX + found.subject[0].digest.get("sha256", "") != found.predicate.to.image:
            raise ValueError("is about another image than it says was promoted")
        return found

    def encode(self) -> bytes:
        """The statement's canonical JSON."""
        return canonical_json(to_builtins(self))


@dataclass(frozen=True, slots=True)
class PromotionEntry:
    """One promotion of a history.

    Attributes:
        digest: of the statement.
        signature: of the statement, not checked; None where it has none.
        version: the entry's name in the pointer.
    """

    said: Promotion
    digest: str
    signature: bytes | None
    version: str


@contextmanager
def opened_pointer(
    pointer: str, repository: ImageReference, role: str, *, name: str | None = None, plain_http: bool = False
) -> Iterator[PromotionPointer]:
    """The pointer of a role, usable while the block lasts.

    Args:
        pointer: `git:` and a remote, a URL or a path; or the URL of a folder in an object store.
        repository: its last name is the pointer's.
        role: such as `champion`.
        name: another name for the pointer.
        plain_http: let git speak HTTP without TLS, wherever the remote is.

    Raises:
        ConfigError: the pointer, the role or the name is none.
    """
    if len(role) > _MAX_ROLE or not _ROLE.fullmatch(role) or role in _TAKEN:
        hint = f"lower-case letters and digits, with single dashes, at most {_MAX_ROLE}; such as champion"
        raise ConfigError(f"{role!r:.80} is no role", hint=hint)
    name = name if name is not None else repository.name.rpartition("/")[2]
    if len(name) > _MAX_NAME or not _NAME.fullmatch(name) or name.endswith(".lock"):
        raise ConfigError(f"{name!r:.160} is no name of a pointer", hint="give it another one, such as --name digits")
    kind, _, remote = pointer.partition(":")
    if kind == "git":
        with opened_ref(remote, f"refs/{role}/{name}", plain_http=plain_http) as found:
            yield found
    elif is_url(pointer) and not re.search(r"[*?\[]", pointer):
        yield ObjectPointer(pointer, role, name)
    else:
        hint = "such as git:origin, or s3://bucket/promotions"
        raise ConfigError(f"--pointer: {pointer!r:.200} is neither git nor a folder of an object store", hint=hint)


def read_history(
    pointer: PromotionPointer, repository: ImageReference, role: str, *, most: int = MAX_ENTRIES
) -> list[PromotionEntry]:
    """The latest promotions, the newest first, each compared with what the one after it says of it.

    Raises:
        ArtifactRejected: a statement is none, is about another role, or is not the one that the next one names.
        ConfigError: they are about another repository.
        StorageError: the pointer is out of reach.
    """
    entries: list[PromotionEntry] = []
    for each in pointer.read(most):
        try:
            statement = PromotionStatement.parse(each.statement)
        except (ValueError, RecursionError) as error:
            raise no_history(pointer.place, f"an entry is no statement: {str(error)[:200]}") from None
        said, found = statement.predicate, digest(each.statement)
        if said.role != role:
            raise no_history(pointer.place, f"an entry is about the role {said.role!r:.80}")
        if entries and (entries[-1].said.previous, entries[-1].said.source) != (found, said.to):
            raise no_history(pointer.place, f"the statement before {entries[-1].digest} is not the one that it names")
        if statement.subject[0].name != repository.repository:
            message = f"{pointer.place} is about {statement.subject[0].name!r:.200}, not {repository.repository}"
            raise ConfigError(message, hint="give this repository a pointer of its own: --name NAME")
        entries.append(PromotionEntry(said, found, each.signature, each.version))
    if entries and entries[-1].said.previous is not None and len(entries) < most:
        raise no_history(pointer.place, "the first statement names one before it, which is missing")
    return entries
