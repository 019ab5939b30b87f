"""What a person asks for when an artifact goes into a registry or an object store, or comes from there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from artifact_pipeline.registry.progress import ignore

if TYPE_CHECKING:
    from artifact_pipeline.registry.progress import Progress
    from artifact_pipeline.trust.policy import Trust


@dataclass(frozen=True, slots=True)
class RegistryRequest:
    """A place elsewhere, how it is reached, and what the artifact must be.

    Attributes:
        reference: `oci://HOST/NAME`, with a tag or a digest; or `s3://BUCKET/PREFIX` of the store that begins there,
            with an artifact digest or for its pointer. A store's settings come from the environment.
        plain_http: speak HTTP without TLS, wherever the registry is; with this machine that is done anyway.
        token_hosts: hosts, each with its port where it has one, that may give tokens for the registry and are sent the
            login for it.
        expect: the artifact digest known from elsewhere.
        accept_failed_gate: let a missing or failed gate pass, unless the policy insists on it.
        trust: who must have signed it, and the policy.
        progress: called with a file's name, the bytes so far and all bytes, while they move.
    """

    reference: str
    plain_http: bool = False
    token_hosts: tuple[str, ...] = ()
    expect: str | None = None
    accept_failed_gate: bool = False
    trust: Trust | None = None
    progress: Progress = ignore
