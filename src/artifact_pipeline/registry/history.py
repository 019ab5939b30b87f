"""The history of a role, and the return to an earlier artifact; `training.promotion` compares and promotes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from artifact_pipeline.canonical import PREFIX
from artifact_pipeline.errors import ArtifactRejected, Problem
from artifact_pipeline.registry import remote
from artifact_pipeline.registry.pointers import MAX_ENTRIES
from artifact_pipeline.registry.reference import ImageReference
from artifact_pipeline.registry.roles import deciding
from artifact_pipeline.trust.signing import WHOLE

if TYPE_CHECKING:
    from artifact_pipeline.registry.promotions import ImageOfArtifact, PromotionEntry
    from artifact_pipeline.registry.roles import PromotionOutcome, PromotionRequest
    from artifact_pipeline.trust.policy import Trust


@dataclass(frozen=True, slots=True)
class PromotionHistory:
    """The artifacts that were in a role.

    Attributes:
        pointer: the pointer's name in messages.
        entries: the promotions, the latest one first.
        signers: of each statement the trusted signer, or None; empty where no policy or key was given.
        mirror: the OCI digest that the role's tag leads to, or None.
    """

    pointer: str
    entries: list[PromotionEntry]
    signers: list[str | None] = field(default_factory=list)
    mirror: str | None = None

    @property
    def is_mirrored(self) -> bool:
        """Whether the tag leads to what the pointer says."""
        return self.mirror == (self.entries[0].said.to.image if self.entries else None)


def history(request: PromotionRequest, *, most: int) -> PromotionHistory:
    """Return the latest promotions of a role, and where its tag leads.

    Args:
        request: the repository, the role and the pointer; a signer that it trusts must have signed every statement.
        most: how many promotions.

    Raises:
        ArtifactRejected: no trusted signer has signed a statement, and `result` is the history; or there is none.
        ConfigError: something that was named cannot be used.
        StorageError: the registry or the pointer is out of reach.
    """
    ImageReference.parse_repository(request.registry.reference)
    with deciding(request, most=most) as decision:
        trust = request.registry.trust
        found = PromotionHistory(
            decision.pointer.place,
            decision.entries,
            [_signer(each, trust) for each in decision.entries] if trust is not None else [],
            decision.mirror(),
        )
    unsigned = [each for each, who in zip(found.entries, found.signers, strict=False) if who is None]
    if unsigned:
        message = "has no signature of any signer that is trusted"
        error = ArtifactRejected(
            "the history is not trusted",
            problems=[Problem(each.digest, "promotion-signature", message) for each in unsigned],
            hint="ask who may write the pointer; promote signs with --private-key or --sigstore",
        )
        error.result = found
        raise error
    return found


def demote(request: PromotionRequest, *, to: str | None = None) -> PromotionOutcome:
    """Put an earlier artifact of a role back, by a new entry of the history; it is verified, and not compared.

    Args:
        request: the repository, the role and the pointer.
        to: the OCI digest or the artifact digest of one that was in the role, or its first digits; None for the one
            before the one in the role.

    Raises:
        GateFailed: another promotion came first.
        ArtifactRejected: there is no such artifact, or it is not what it claims to be, or not trusted.
        ConfigError: something that was named cannot be used.
        StorageError: the registry or the pointer is out of reach, or refuses.
    """
    ImageReference.parse_repository(request.registry.reference)
    with deciding(request, most=MAX_ENTRIES) as decision:
        chosen = _earlier(decision.entries, to)
        if len(chosen) != 1:
            named = f"artifacts whose digest begins with {to!r:.80}" if to is not None else "earlier artifact"
            problem = Problem(decision.pointer.place, "no-promotion", f"has {len(chosen) or 'no'} {named}")
            command = f"artifact-pipeline history {decision.repository} {request.role}"
            hint = f"{command} lists who was in the role; name one digest: --to DIGEST"
            raise ArtifactRejected("there is none to put back", problems=[problem], hint=hint)
        stands = decision.entries[0]
        if chosen[0] == stands.said.to:
            return decision.repair(stands)
        reference = str(decision.repository.at(chosen[0].image))
        asked = replace(request.registry, reference=reference, expect=chosen[0].artifact)
        return decision.put(remote.taken(asked), "demote", None)


def _signer(entry: PromotionEntry, trust: Trust) -> str | None:
    if entry.signature is None:
        return None
    try:
        signed = trust.signers.check(entry.signature, place="the signature")
    except ArtifactRejected as error:
        if "sigstore-unreachable" in error.rules:
            raise
        return None
    return signed.signer if signed.files == {WHOLE: entry.digest} else None


def _earlier(entries: list[PromotionEntry], to: str | None) -> list[ImageOfArtifact]:
    """The artifacts that may be put back: one, or none, or several that `to` fits.

    A demotion takes away what came after the one that it puts back, so that the next one goes further back.
    """
    if to is not None:
        digits = PREFIX + to.removeprefix(PREFIX)
        known = dict.fromkeys(each.said.to for each in entries)
        return [each for each in known if each.image.startswith(digits) or each.artifact.startswith(digits)]
    before: list[ImageOfArtifact] = []
    for entry in reversed(entries):
        if entry.said.action == "demote" and entry.said.to in before:
            while before[-1] != entry.said.to:
                before.pop()
        else:
            before.append(entry.said.to)
    return before[-2:-1]
