"""A decision about a role: the pointer is swapped once, from the entry that was the latest at the beginning.

In this order: the artifact is pulled and verified; the statement is attached to the image, where it changes nothing;
the pointer is swapped, which is the decision; the tag of the role follows, as its mirror. After an interruption between
two of these steps, the same command does the rest.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from artifact_pipeline.artifact import provenance
from artifact_pipeline.canonical import digest
from artifact_pipeline.errors import ArtifactRejected, GateFailed, Problem, StorageError
from artifact_pipeline.registry.image import MANIFEST_TYPE
from artifact_pipeline.registry.promotions import (
    PROMOTION_SIGNATURE_TYPE,
    PROMOTION_TYPE,
    ImageOfArtifact,
    Promotion,
    PromotionStatement,
    opened_pointer,
    read_history,
)
from artifact_pipeline.registry.reference import ImageReference
from artifact_pipeline.registry.referrers import attach
from artifact_pipeline.registry.repository import Repository
from artifact_pipeline.trust.signing import WHOLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.artifact.provenance import Comparison
    from artifact_pipeline.registry.pointers import PromotionPointer
    from artifact_pipeline.registry.promotions import PromotionEntry
    from artifact_pipeline.registry.request import RegistryRequest

    Seal = Callable[[str, Mapping[str, str]], bytes]


@dataclass(frozen=True, slots=True)
class PromotionRequest:
    """A role, and its pointer.

    Attributes:
        registry: the repository, for `promote` with the candidate's tag or digest; and whom to trust.
        role: such as `champion`; the tag of the same name is the mirror.
        pointer: `git:` and a remote, or a folder in an object store.
        name: the pointer's name, where it is not the repository's last one.
        sealing: the function that signs the statement, and the signer's name; None for no signature.
        dry_run: decide, and change nothing.
    """

    registry: RegistryRequest
    role: str
    pointer: str = "git:origin"
    name: str | None = None
    sealing: tuple[Seal, str] | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class PromotionOutcome:
    """The result of a promotion or a demotion.

    Attributes:
        reference: the artifact that is in the role now, by its OCI digest; after a dry run, that would be.
        pointer: the pointer's name in messages.
        said: the statement that put it there; None where it was there already.
        signer: who signed that statement, or None.
        mirrored: whether the tag was moved.
    """

    reference: ImageReference
    pointer: str
    said: Promotion | None = None
    signer: str | None = None
    mirrored: bool = False


def image_digest(artifact: Verified) -> str:
    """The OCI digest of an artifact that was taken from a registry."""
    image = ImageReference.parse(artifact.reference or "").digest
    assert image is not None
    return image


@contextmanager
def deciding(request: PromotionRequest, *, most: int = 1) -> Iterator[RoleDecision]:
    """Open the pointer, and read the latest promotions, at most so many."""
    repository = ImageReference.parse(request.registry.reference)
    opened = opened_pointer(
        request.pointer, repository, request.role, name=request.name, plain_http=request.registry.plain_http
    )
    with opened as pointer:
        entries = read_history(pointer, repository, request.role, most=most)
        yield RoleDecision(request, repository, pointer, entries)


@dataclass(frozen=True, slots=True)
class RoleDecision:
    """A decision about a role, from the entries at its beginning."""

    request: PromotionRequest
    repository: ImageReference
    pointer: PromotionPointer
    entries: list[PromotionEntry]

    @property
    def stands(self) -> PromotionEntry | None:
        """The latest entry."""
        return self.entries[0] if self.entries else None

    def put(
        self, artifact: Verified, action: Literal["promote", "demote"], comparison: Comparison | None
    ) -> PromotionOutcome:
        """Attach the statement about an artifact of the registry, swap the pointer, move the tag."""
        trust, stands, image = artifact.trust, self.stands, image_digest(artifact)
        said = Promotion(
            action=action,
            role=self.request.role,
            to=ImageOfArtifact(image=image, artifact=artifact.digest),
            source=stands.said.to if stands is not None else None,
            previous=stands.digest if stands is not None else None,
            comparison=comparison,
            policy=trust.policy,
            signer=trust.signer,
            on=provenance.now(),
            by=provenance.builder(),
            run=provenance.invocation(),
        )
        seal, signer = self.request.sealing or (None, None)
        outcome = PromotionOutcome(self.repository.at(image), self.pointer.place, said, signer)
        if self.request.dry_run:
            return outcome
        data = PromotionStatement.make(self.repository, said).encode()
        signature = seal("promotion.json", {WHOLE: digest(data)}) if seal is not None else None
        repository = self._writable()
        manifest = self._image(repository, image)
        attach(repository, manifest, PROMOTION_TYPE, data, title="promotion.json")
        if signature is not None:
            attach(repository, manifest, PROMOTION_SIGNATURE_TYPE, signature, title="promotion.json.sig")
        if not self.pointer.append(data, signature, after=stands.version if stands is not None else None):
            raise self._lost(outcome)
        self._move_tag(repository, manifest)
        return replace(outcome, mirrored=True)

    def repair(self, stands: PromotionEntry) -> PromotionOutcome:
        """Do the steps of an earlier promotion that follow its decision, if it was interrupted there."""
        image = stands.said.to.image
        outcome = PromotionOutcome(self.repository.at(image), self.pointer.place)
        if self.request.dry_run or self.mirror() == image:
            return outcome
        repository = self._writable()
        self._move_tag(repository, self._image(repository, image))
        return replace(outcome, mirrored=True)

    def mirror(self) -> str | None:
        """Where the tag of the role leads."""
        repository = Repository(self.repository, self.request.registry.connecting)
        return repository.digest_of(self.request.role, (MANIFEST_TYPE,))

    def _writable(self) -> Repository:
        return Repository(self.repository, self.request.registry.connecting, push=True)

    def _image(self, repository: Repository, image: str) -> bytes:
        read = repository.read_manifest(image, (MANIFEST_TYPE,))
        if read is None:
            problem = Problem(str(self.repository.at(image)), "image-missing", "the registry has it no more")
            hint = f"promote another artifact, or put an earlier {self.request.role} back"
            raise ArtifactRejected("there is no artifact", problems=[problem], hint=hint)
        return read[0]

    def _move_tag(self, repository: Repository, image: bytes) -> None:
        try:
            repository.write_manifest(self.request.role, image, MANIFEST_TYPE)
        except StorageError as error:
            raise StorageError(
                f"{digest(image)} is the {self.request.role} now, and the tag could not follow: {error.message}",
                hint=f"artifact-pipeline promote {self.repository.at(digest(image))} {self.request.role} moves the tag",
            ) from error

    def _lost(self, outcome: PromotionOutcome) -> GateFailed:
        """The error where another promotion came first."""
        (won,) = read_history(self.pointer, self.repository, self.request.role, most=1)
        message = f"{won.said.to.image} came first, at {won.said.on}, by {won.said.by} {won.said.run}".rstrip()
        error = GateFailed(
            f"{outcome.reference} is not in the role: another promotion came first",
            problems=[Problem(self.pointer.place, "promotion-lost", message)],
            hint=f"the same command again compares with the new {self.request.role}",
        )
        error.result = outcome.said.comparison if outcome.said is not None else None
        return error
