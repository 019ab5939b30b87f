"""An artifact of a registry is put in a role such as `champion`: by its gate, the policy, and a paired comparison."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from msgspec import structs

from artifact_pipeline.errors import ArtifactRejected, GateFailed
from artifact_pipeline.registry import remote, roles
from artifact_pipeline.training import champion as comparing
from artifact_pipeline.training.publication import comparison_problems

if TYPE_CHECKING:
    from pathlib import Path

    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.artifact.provenance import Comparison


@dataclass(frozen=True, slots=True)
class ChampionTerms:
    """How a candidate is compared with the artifact in the role.

    Attributes:
        data: the table that both were trained from; None for a built-in data set.
        held_out: the held-out file of both, where they have one.
        margin: by how much the candidate may be worse.
        on_inconclusive: what is made of a comparison that neither passes nor fails.
    """

    data: Path | None = None
    held_out: Path | None = None
    margin: float = 0.02
    on_inconclusive: Literal["pass", "fail"] = "fail"


def promote(request: roles.PromotionRequest, terms: ChampionTerms) -> roles.PromotionOutcome:
    """Put an artifact of a registry in a role, if it is trusted, its gate passed, and it is no worse than who is there.

    Raises:
        GateFailed: it is worse, or that is not certain; or another promotion came first. `result` is the comparison.
        ArtifactRejected: the artifact is not what it claims to be, or not trusted; or it cannot be compared.
        ConfigError: something that was named cannot be used.
        DataRejected: the rows of the comparison cannot be read.
        StorageError: the registry or the pointer is out of reach, or refuses.
    """
    with roles.deciding(request) as decision:
        decision.repository.target  # noqa: B018 - it refuses a reference without one before anything is asked
        candidate = remote.taken(request.registry)
        stands = decision.stands
        if stands is not None and stands.said.to.image == roles.image_digest(candidate):
            return decision.repair(stands)
        comparison = _compare_with_role(decision, candidate, terms) if stands is not None else None
        problems = [*comparison_problems(comparison)] if comparison is not None else []
        if problems:
            error = GateFailed(
                f"{candidate.reference} is not promoted; the {request.role} stays",
                problems=problems,
                hint="train a better one, or compare on more held-out rows",
            )
            error.result = comparison
            raise error
        return decision.put(candidate, "promote", comparison)


def _compare_with_role(decision: roles.RoleDecision, candidate: Verified, terms: ChampionTerms) -> Comparison:
    """The candidate, beside the artifact in the role.

    What is trusted is not asked of that one: the candidate may be there to take the place of one that was revoked.
    """
    assert decision.stands is not None
    stands = decision.stands.said.to
    place = str(decision.repository.at(stands.image))
    asked = replace(
        decision.request.registry, reference=place, expect=stands.artifact, accept_failed_gate=True, trust=None
    )
    try:
        champion = remote.taken(asked)
    except ArtifactRejected as error:
        command = f"artifact-pipeline demote {place.partition('@')[0]} {decision.request.role}"
        hint = f"{command} puts an earlier one back, which is not compared"
        message = f"the {decision.request.role} cannot be compared with: {error.message}"
        raise ArtifactRejected(message, problems=error.problems, hint=hint) from error
    (found,) = comparing.compare_verified(
        (candidate, champion), data=terms.data, held_out=terms.held_out, margin=terms.margin
    )
    accepted = found.accepted or (found.outcome == "inconclusive" and terms.on_inconclusive == "pass")
    return structs.replace(found, accepted=accepted)
