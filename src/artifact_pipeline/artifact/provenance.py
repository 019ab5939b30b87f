"""Provenance: an in-toto statement with SLSA's predicate, beside an artifact and never in it.

    artifacts/<hex>/                    the artifact, a function of recipe, data and environment
    artifacts/<hex>.provenance.json     when, where, from which commit, and how it compares with its champion

Without a signature it is a claim and no proof: nothing that makes an artifact acceptable is taken from it.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, Self, TypeVar

from msgspec import Meta, Struct, field, json, to_builtins

from artifact_pipeline import __version__
from artifact_pipeline.artifact.parts import NAME, Count, Digest, Share, Text
from artifact_pipeline.canonical import PREFIX, canonical_json
from artifact_pipeline.files import read_bounded

if TYPE_CHECKING:
    from pathlib import Path

    from artifact_pipeline.artifact.manifest import Verified

_IN_TOTO: Literal["https://in-toto.io/Statement/v1"] = "https://in-toto.io/Statement/v1"
_SLSA: Literal["https://slsa.dev/provenance/v1"] = "https://slsa.dev/provenance/v1"
BUILD = "urn:artifact-pipeline:train:1"
"""What kind of build it was: `externalParameters` is the recipe, `internalParameters` what `Internal` says."""
LOCAL = "urn:artifact-pipeline:builder:local"
"""The builder where no CI names itself: a person at this machine."""
SOURCE = "source"
"""The name of the commit among the dependencies."""
UNKNOWN = "unknown"
"""The value of what could not be known safely; `reason` beside it says why."""
UNKNOWN_SOURCE = "urn:artifact-pipeline:source:unknown"
"""The address of a commit that is there and unknown: in-toto wants an address or a digest."""
SUFFIX = ".provenance.json"
_MAX_BYTES = 1 << 20

_P = TypeVar("_P")
_Signed = Annotated[float, Meta(ge=-1, le=1)]


class Comparison(Struct, frozen=True, kw_only=True, rename="camel"):
    """A candidate beside a champion, on the same held-out rows.

    Attributes:
        candidate: the candidate's model digest.
        champion: the champion's artifact digest.
        champion_model: the champion's model digest.
        held_out: the digest of the split that both were measured on.
        won: rows that the candidate alone gets right.
        lost: rows that the champion alone gets right.
        accuracy: Tango's score interval.
        f1_weighted: by the bootstrap.
        mcnemar: the exact two-sided p value that neither is better.
        margin: by how much the candidate may be worse.
        outcome: `passed` where both intervals lie above minus the margin, `failed` where one lies below it.
        accepted: whether the candidate may go into charge for it.
    """

    class Change(Struct, frozen=True, kw_only=True):
        """A figure of the candidate minus that of the champion, with its 95 % interval."""

        value: _Signed
        low: _Signed
        high: _Signed

    candidate: Digest
    champion: Digest
    champion_model: Digest
    held_out: Digest
    rows: Count
    won: Count
    lost: Count
    accuracy: Change
    f1_weighted: Change
    mcnemar: Share
    margin: Share
    outcome: Literal["identical", "passed", "failed", "inconclusive"]
    accepted: bool


class Resource(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that the artifact was made from."""

    name: str = ""
    uri: str = ""
    digest: dict[str, str] = {}
    annotations: dict[str, Any] = {}


class Internal(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """What this package reads again later.

    Attributes:
        key: everything that decides the bytes, part by part; with the same key there is nothing to train.
        held_out: the digest of the split.
        looks: how often these held-out rows have been looked at, this time included; each look makes them milder.
        comparison: how the model compares with its champion.
        fingerprint: the digest of the config's file and of what parsed it, where that file alone decides the recipe:
            with the same one the config need not be parsed to know the key.
    """

    key: dict[str, str]
    held_out: Digest
    looks: Count
    comparison: Comparison | None = None
    fingerprint: Digest | None = None


class BuildRun(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Which run made the artifact, and when: UTC as RFC 3339 writes it."""

    started_on: Text
    finished_on: Text
    invocation_id: str = ""


class _Definition(Struct, frozen=True, kw_only=True, rename="camel"):
    build_type: str
    external_parameters: dict[str, Any]
    internal_parameters: Internal
    resolved_dependencies: tuple[Resource, ...]


class _Builder(Struct, frozen=True, kw_only=True):
    id: str
    version: dict[str, str]


class _Details(Struct, frozen=True, kw_only=True):
    builder: _Builder
    metadata: BuildRun


class _Predicate(Struct, frozen=True, kw_only=True, rename="camel"):
    build_definition: _Definition
    run_details: _Details


class InToto(Struct, Generic[_P], frozen=True, kw_only=True, rename="camel"):
    """An in-toto statement, version 1, with SLSA's provenance, version 1, by any builder."""

    type: Literal["https://in-toto.io/Statement/v1"] = field(name="_type")
    subject: tuple[Resource, ...]
    predicate_type: Literal["https://slsa.dev/provenance/v1"]
    predicate: _P

    @property
    def about(self) -> str:
        """The digest of the artifact that the statement is about; the bare prefix where there is none."""
        return PREFIX + (self.subject[0].digest.get("sha256", "") if self.subject else "")


class Statement(InToto[_Predicate], frozen=True, kw_only=True, rename="camel"):
    """The statement that this package writes about one artifact."""

    subject: Annotated[tuple[Resource, ...], Meta(min_length=1, max_length=1)]

    @property
    def dependencies(self) -> tuple[Resource, ...]:
        """What the artifact was made from."""
        return self.predicate.build_definition.resolved_dependencies

    @property
    def source(self) -> Resource | None:
        """The commit that it was made from; None where the statement names none."""
        return next((each for each in self.dependencies if each.name == SOURCE), None)

    @property
    def internal(self) -> Internal:
        """What this package wrote to read again later."""
        return self.predicate.build_definition.internal_parameters

    def encode(self) -> bytes:
        """The statement's canonical JSON."""
        return canonical_json(to_builtins(self))

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Parse a statement; fields that this package does not know are allowed, as in-toto wants it.

        Raises:
            ValueError: it is no statement with this package's predicate.
        """
        return json.decode(data, type=cls)

    @classmethod
    def make(
        cls,
        artifact_digest: str,
        internal: Internal,
        *,
        recipe: dict[str, Any],
        dependencies: tuple[Resource, ...],
        builder: str,
        run: BuildRun,
    ) -> Self:
        """Make the statement about an artifact; `recipe` is its manifest's, `builder` the URI of who made it."""
        definition = _Definition(
            build_type=BUILD,
            external_parameters={"recipe": recipe},
            internal_parameters=internal,
            resolved_dependencies=dependencies,
        )
        details = _Details(builder=_Builder(id=builder, version={"artifact-pipeline": __version__}), metadata=run)
        return cls(
            type=_IN_TOTO,
            subject=(Resource(name=NAME, digest={"sha256": artifact_digest.removeprefix(PREFIX)}),),
            predicate_type=_SLSA,
            predicate=_Predicate(build_definition=definition, run_details=details),
        )

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """The statement beside an artifact's folder in a store; None if it is missing, damaged or about another one."""
        try:
            data = read_bounded(place(folder), _MAX_BYTES)
        except (OSError, ValueError):
            return None
        return cls._about(data, PREFIX + folder.name)

    @classmethod
    def of(cls, artifact: Verified) -> Self | None:
        """The statement about a verified artifact; None as `read` has it."""
        if artifact.reference is None:
            return cls.read(artifact.folder)
        return cls._about(artifact.provenance or b"", artifact.digest)

    @classmethod
    def _about(cls, data: bytes, artifact: str) -> Self | None:
        try:
            statement = cls.parse(data)
        except (ValueError, RecursionError):
            return None
        return statement if statement.about == artifact else None


def place(folder: Path) -> Path:
    """Where the provenance of an artifact's folder stands: beside it."""
    return folder.parent / (folder.name + SUFFIX)  # also of `/`, which has no name to be replaced


def now() -> str:
    """The time as RFC 3339 writes it, UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def server() -> str:
    """The URL of the server of GitHub that this job belongs to."""
    return os.environ.get("GITHUB_SERVER_URL", "https://github.com")


def builder() -> str:
    """The URI of the workflow of this job; `LOCAL` where no CI names one."""
    workflow = os.environ.get("GITHUB_WORKFLOW_REF")
    return f"{server()}/{workflow}" if workflow else LOCAL


def invocation() -> str:
    """The URI of this job's run; empty where no CI names one."""
    run, repository = os.environ.get("GITHUB_RUN_ID"), os.environ.get("GITHUB_REPOSITORY")
    if not (run and repository):
        return ""
    return f"{server()}/{repository}/actions/runs/{run}/attempts/{os.environ.get('GITHUB_RUN_ATTEMPT', '1')}"
