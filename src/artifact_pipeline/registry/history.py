"""Who was in a role, and one of them put back; a promotion itself is `training.promotion`'s, which compares."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from artifact_pipeline.canonical import PREFIX
from artifact_pipeline.errors import ArtifactRejected, ConfigError, Problem
from artifact_pipeline.registry import remote
from artifact_pipeline.registry.reference import SCHEME, ImageReference
from artifact_pipeline.registry.roles import deciding
from artifact_pipeline.trust.signing import WHOLE

if TYPE_CHECKING:
    from artifact_pipeline.registry.promotions import ImageOfArtifact, PromotionEntry
    from artifact_pipeline.registry.roles import PromotionOutcome, PromotionRequest
    from artifact_pipeline.trust.policy import Trust


@dataclass(frozen=True, slots=True)
class PromotionHistory:
    """Who was in a role.

    Attributes:
        pointer: where that is decided, in words.
        entries: the promotions, the latest one first.
        signers: of each statement the trusted signer, or None; empty where no trust was asked.
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
    """Who was in a role, from whom to whom, by which verdict, and where the tag leads.

    Args:
        request: the repository, the role and the pointer; whom it trusts must have signed every statement.
        most: how many promotions, the latest ones.

    Raises:
        ArtifactRejected: no trusted signer has signed a statement, and `result` is the history; or there is none.
        ConfigError: something that was named cannot be used.
        StorageError: the registry or the pointer is out of reach.
    """
    _refuse_target(request)
    with deciding(request, whole=True, most=most) as decision:
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
            whom the one in the role has followed.

    Raises:
        GateFailed: another promotion came first.
        ArtifactRejected: there is no such artifact, or it is not what it claims to be, or not trusted.
        ConfigError: something that was named cannot be used.
        StorageError: the registry or the pointer is out of reach, or refuses.
    """
    _refuse_target(request)
    with deciding(request, whole=True) as decision:
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


def _refuse_target(request: PromotionRequest) -> None:
    reference = ImageReference.parse(request.registry.reference)
    if reference.tag is not None or reference.digest is not None:
        whole = f"{SCHEME}{reference.registry}/{reference.name}"
        raise ConfigError(f"{reference} is one artifact, and the role's repository is asked for", hint=f"name {whole}")


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
    """Who may be meant by the one to put back: one, or none, or several.

    A demotion takes away what came after the one that it puts back, so that the next one goes further back.
    """
    if to is not None:
        digits = to.removeprefix(PREFIX)
        said = [each.said.to for each in entries]
        return [
            each
            for at, each in enumerate(said)
            if each not in said[:at]
            and any(name.removeprefix(PREFIX).startswith(digits) for name in (each.image, each.artifact))
        ]
    before: list[ImageOfArtifact] = []
    for entry in reversed(entries):
        if entry.said.action == "demote" and entry.said.to in before:
            while before[-1] != entry.said.to:
                before.pop()
        else:
            before.append(entry.said.to)
    return before[-2:-1]
