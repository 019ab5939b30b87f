"""A model's description by its authors: the recipe's `about`, read from a manifest that may come from anybody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

from msgspec import Meta, ValidationError, convert

from artifact_pipeline.artifact.parts import NAME, Frozen, Text
from artifact_pipeline.errors import ArtifactRejected, Problem

if TYPE_CHECKING:
    from artifact_pipeline.artifact.manifest import Manifest

KEY = "about"
_Prose = Annotated[str, Meta(min_length=1, max_length=4096)]


class AboutRecord(Frozen, frozen=True):
    """The config's section `about`; what it does not say is None, or empty.

    Attributes:
        intended_use: for whom and for what the model is made.
        limits: for what it must not be used.
        license: an SPDX identifier, in any case.
        contact: where questions go.
    """

    description: _Prose | None = None
    intended_use: _Prose | None = None
    limits: _Prose | None = None
    license: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9.+-]{0,63}\Z")] | None = None
    authors: Annotated[tuple[Text, ...], Meta(max_length=64)] = ()
    contact: Text | None = None

    @classmethod
    def of(cls, manifest: Manifest) -> Self:
        """Read the section of a manifest's recipe; without one everything is empty.

        Raises:
            ArtifactRejected: it is not what a config can say.
        """
        try:
            return convert(manifest.recipe.get(KEY, {}), type=cls)
        except ValidationError as error:
            problem = Problem(f"{NAME}: recipe.{KEY}", "about-field", str(error)[:200])
            hint = "this version cannot read it; artifact-pipeline inspect shows what the artifact says"
            raise ArtifactRejected(
                "what the artifact says about its model cannot be read", problems=[problem], hint=hint
            ) from error

    def lines(self) -> dict[str, str]:
        """Return the texts that are there, by their names in words."""
        named = {
            "description": self.description,
            "intended use": self.intended_use,
            "limits": self.limits,
            "licence": self.license,
            "authors": ", ".join(self.authors),
            "contact": self.contact,
        }
        return {name: text for name, text in named.items() if text}
