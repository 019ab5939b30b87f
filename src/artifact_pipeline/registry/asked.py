"""What is asked of an artifact before it is pushed, or kept after it was pulled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from artifact_pipeline.trust.policy import Trust


@dataclass(frozen=True, slots=True)
class AskedOfArtifact:
    """What a consumer asks.

    Attributes:
        expect: the artifact digest known from elsewhere.
        accept_failed_gate: let a missing or failed gate pass, unless the policy insists on it.
        trust: who must have signed it, and the policy.
    """

    expect: str | None = None
    accept_failed_gate: bool = False
    trust: Trust | None = None
