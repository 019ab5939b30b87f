"""An artifact whose every byte was checked, and what was asked of it from outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from artifact_pipeline.artifact.manifest import Digest, Frozen

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from artifact_pipeline.artifact.manifest import Manifest


class Trusted(Frozen, frozen=True):
    """What was asked of an artifact from outside of it, and was fulfilled; without any of it, integrity only.

    Attributes:
        expected: whether its digest was known from elsewhere.
        signer: the fingerprint of the key that signed it, or the identity; None where no signature was asked for.
        policy: the digest of the consumer's policy, or None.
    """

    expected: bool
    signer: str | None
    policy: Digest | None


_INTEGRITY = Trusted(expected=False, signer=None, policy=None)
"""Nothing was asked: the artifact is what it says of itself."""


@dataclass(frozen=True, slots=True)
class Verified:
    """An artifact whose every byte was checked; these bytes, and no second reading, are what is used.

    Attributes:
        digest: the artifact digest.
        manifest: the parsed manifest.
        members: each listed file's bytes by name.
        folder: the real path of the folder that it was read from.
        trust: what was asked of it from outside.
    """

    digest: str
    manifest: Manifest
    members: Mapping[str, bytes]
    folder: Path
    trust: Trusted = _INTEGRITY

    def role(self, role: str) -> bytes:
        """The bytes of the one file that has this role."""
        return self.members[self.manifest.file(role).name]
