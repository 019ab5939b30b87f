"""References to artifacts elsewhere.

In a registry one is `oci://HOST[:PORT]/NAME[:TAG][@sha256:…]`, in an object store `s3://BUCKET[/PREFIX][@sha256:…]`.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Self

from artifact_pipeline.artifact import ARTIFACT
from artifact_pipeline.artifact.pointer import STORE
from artifact_pipeline.canonical import PREFIX
from artifact_pipeline.errors import ConfigError
from artifact_pipeline.storage.places import is_url

SCHEME = "oci://"
_MAX_NAME = 255
"""Characters of host and name together, as the distribution spec advises clients."""
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:.]+\])"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"
TAG = re.compile(_TAG)
_REFERENCE = re.compile(
    rf"{SCHEME}(?P<host>{_HOST})(?::(?P<port>[0-9]{{1,5}}))?/(?P<name>{_PART}(?:/{_PART})*)"
    rf"(?::(?P<tag>{_TAG}))?(?:@(?P<digest>sha256:[0-9a-f]{{64}}))?"
)
_EXAMPLE = (
    "such as oci://ghcr.io/owner/model:v1, or …@sha256: and 64 hexadecimal digits; a name has no capitals; "
    "or s3://bucket/models/digits"
)
_ROOT = re.compile(
    r"(?P<root>(?:abfss://[^/@]+@|[a-z0-9]+://)[^/@]+(?:/[^/@](?:[^@]*[^/@])?)?)/?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_ROOT_EXAMPLE = "such as s3://bucket/models/digits, or …@sha256: and 64 hexadecimal digits"


@dataclass(frozen=True, slots=True)
class ImageReference:
    """Where an artifact is in a registry; the grammar is that of the OCI distribution spec.

    Attributes:
        host: a name, an IPv4 address, or an IPv6 address in brackets; in lower case.
        port: of the registry; None is the one of its scheme.
        name: of the repository.
        tag: a name that can be moved; None where there is none.
        digest: of the OCI manifest; where it is given, it counts and the tag does not.
    """

    host: str
    port: int | None
    name: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a reference.

        Raises:
            ConfigError: it is none.
        """
        found = _REFERENCE.fullmatch(text)
        port = int(found["port"]) if found and found["port"] else None
        if found is None or port == 0 or (port or 0) > 65535 or not _is_host(found["host"]):
            raise ConfigError(f"{text!r:.300} is no place in a registry", hint=_EXAMPLE)
        if len(found["host"]) + len(found["name"]) + 1 > _MAX_NAME:
            raise ConfigError(f"{text!r:.60}…: host and name have more than {_MAX_NAME} characters", hint=_EXAMPLE)
        return cls(found["host"].lower(), port, found["name"], found["tag"], found["digest"])

    @classmethod
    def parse_repository(cls, text: str) -> Self:
        """Parse the place of a whole repository.

        Raises:
            ConfigError: it is none, or names one artifact.
        """
        found = cls.parse(text)
        if found.tag is not None or found.digest is not None:
            hint = f"such as {SCHEME}{found.repository}"
            raise ConfigError(f"{found} names one artifact, and not a repository", hint=hint)
        return found

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag is not None else ""
        digest = f"@{self.digest}" if self.digest is not None else ""
        return f"{SCHEME}{self.repository}{tag}{digest}"

    @property
    def registry(self) -> str:
        """The host, and the port where one is given."""
        return self.host if self.port is None else f"{self.host}:{self.port}"

    @property
    def repository(self) -> str:
        """The registry and the name."""
        return f"{self.registry}/{self.name}"

    @property
    def target(self) -> str:
        """The digest, or else the tag.

        Raises:
            ConfigError: there is neither.
        """
        found = self.digest or self.tag
        if found is None:
            hint = f"such as {self.with_tag('v1')}"
            raise ConfigError(f"{self} names neither a tag nor a digest", hint=hint)
        return found

    def with_tag(self, tag: str) -> ImageReference:
        """The place of a tag in the same repository."""
        return ImageReference(self.host, self.port, self.name, tag)

    def at(self, digest: str) -> ImageReference:
        """The place of a manifest in the same repository, which never changes."""
        return ImageReference(self.host, self.port, self.name, None, digest)


@dataclass(frozen=True, slots=True)
class StoreReference:
    """Where an artifact is in an object store: a store as on a disk, below a URL.

    Attributes:
        root: the URL of the folder in which the pointer stands, without a slash at its end.
        digest: the artifact digest; None is the artifact that the pointer leads to.
    """

    root: str
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a reference.

        Raises:
            ConfigError: it is none.
        """
        found = _ROOT.fullmatch(text)
        if found is None:
            raise ConfigError(f"{text!r:.300} is no place for an artifact in an object store", hint=_ROOT_EXAMPLE)
        return cls(found["root"], found["digest"])

    def __str__(self) -> str:
        return self.root if self.digest is None else f"{self.root}@{self.digest}"

    @property
    def pointer(self) -> str:
        """The URL of the pointer."""
        return f"{self.root}/{ARTIFACT}"

    @property
    def folder(self) -> str:
        """The URL of the artifact's folder; with an end behind it, that of what stands beside it."""
        return f"{self.root}/{STORE}/{(self.digest or '').removeprefix(PREFIX)}"

    def at(self, digest: str) -> StoreReference:
        """The place of an artifact in the same store, which never changes."""
        return StoreReference(self.root, digest)


RemoteReference = ImageReference | StoreReference


def parse_reference(text: str) -> RemoteReference:
    """Parse the name of an artifact elsewhere.

    Raises:
        ConfigError: it is none.
    """
    return StoreReference.parse(text) if is_url(text) else ImageReference.parse(text)


def _is_host(host: str) -> bool:
    if not host.startswith("["):
        return True
    try:
        ipaddress.IPv6Address(host[1:-1])
    except ValueError:
        return False
    return True
