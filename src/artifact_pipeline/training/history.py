"""Back to an earlier artifact of the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from artifact_pipeline.artifact.gate import GATE_ALONE
from artifact_pipeline.artifact.store import Store
from artifact_pipeline.errors import ArtifactRejected
from artifact_pipeline.verification import verify

if TYPE_CHECKING:
    from pathlib import Path

    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.trust.policy import Trust


def rollback(artifact: Path, *, to: str | None = None, trust: Trust | None = None) -> Verified:
    """Let the pointer lead to an earlier artifact of the store: verified, its gate passed.

    Args:
        artifact: where the pointer stands.
        to: the artifact digest to go to, or the first digits of its hexadecimal part; None for the latest one that
            passed before the one in charge.
        trust: whom and what is trusted; None where integrity is enough.

    Raises:
        ArtifactRejected: there is no such artifact, its gate failed, it is not what it claims to be, or not trusted.
        StorageError: the pointer cannot be written.
    """
    store = Store(artifact)
    runs = store.runs()
    if to is None:
        after = next((index + 1 for index, run in enumerate(runs) if run.current), 0)
        chosen = [run for run in runs[after:] if run.passed][:1]
    else:
        chosen = [run for run in runs if run.digest.removeprefix("sha256:").startswith(to.removeprefix("sha256:"))]
    if len(chosen) != 1:
        found = "no" if not chosen else f"{len(chosen)}"
        wanted = f"artifacts whose digest begins with {to}" if to else "earlier artifact whose gate passed"
        raise ArtifactRejected(
            f"the store has {found} {wanted}", hint="artifact-pipeline runs lists what there is; name one digest"
        )
    try:
        verified = verify(store.place(chosen[0].digest), trust=trust)
    except ArtifactRejected as error:
        if not error.rules or not error.rules <= GATE_ALONE:
            raise
        raise ArtifactRejected(
            f"{chosen[0].digest} did not pass its gate, and rollback puts nothing else in charge",
            problems=error.problems,
            hint="artifact-pipeline runs lists the artifacts that passed",
        ) from error
    store.move_pointer(verified.digest)
    return verified
