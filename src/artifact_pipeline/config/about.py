"""The type of the config's section `about`: what people know of a model, and no training finds out."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, model_validator

from artifact_pipeline.config.sections import STRICT, MustBe, not_allowed

_Prose = Annotated[
    str | None, Field(min_length=1, max_length=4096), MustBe("a string of 1 to 4,096 characters, or null")
]


class About(BaseModel):
    """What the model is, what it is for, and what it is not for; a model card and a bill of materials show it."""

    model_config = STRICT

    description: Annotated[
        _Prose,
        Field(title="Description", description="What the model does. An empty line begins a new paragraph."),
    ] = None
    intended_use: Annotated[
        _Prose,
        Field(title="Intended use", description="For whom and for what the model is made."),
    ] = None
    limits: Annotated[
        _Prose,
        Field(title="Limits", description="For what the model must not be used, and where it is known to be wrong."),
    ] = None
    license: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9.+-]{0,63}$",
            title="Licence",
            description="The licence of the model, by its SPDX identifier, such as apache-2.0.",
        ),
        MustBe('an SPDX identifier such as "apache-2.0", or null'),
    ] = None
    authors: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=256)]] | None,
        Field(min_length=1, max_length=64, title="Authors", description="Who made the model."),
        MustBe(
            "an array of 1 to 64 names, each of 1 to 256 characters, or null",
            each="a string of 1 to 256 characters",
        ),
    ] = None
    contact: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=256,
            title="Contact",
            description="Where questions go: an address of mail or of the web.",
        ),
        MustBe("a string of 1 to 256 characters, or null"),
    ] = None

    @model_validator(mode="after")
    def _says_something(self) -> About:
        if all(value is None for _, value in self):
            keys = ", ".join(About.model_fields)
            raise not_allowed(f"an object with at least one of {keys}")
        return self
