"""The section `gate` of the config."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Discriminator, Field, Tag

from artifact_pipeline.config.fields import STRICT, Label, Share, Wanted, WhenAsked, kind_of_value, text_keys


class Gate(BaseModel):
    """What the model must reach on the held-out rows to be published."""

    model_config = STRICT

    min_accuracy: Annotated[
        Share, Field(title="Least accuracy", description="Least share of held-out rows that are labelled right.")
    ] = 0.95
    min_f1: Annotated[
        Share, Field(title="Least F1", description="Least F1 on the held-out rows, weighted by class.")
    ] = 0.95
    min_f1_macro: Annotated[
        Share | None,
        Field(
            title="Least macro F1",
            description="Least F1 on the held-out rows, each class counting the same; null asks for none.",
        ),
        Wanted("a number from 0 to 1, both included, or null"),
        WhenAsked(),
    ] = None
    min_recall: Annotated[
        Annotated[None, Tag("null")]
        | Annotated[Share, Tag("plain")]
        | Annotated[dict[Label, Share], Field(min_length=1), BeforeValidator(text_keys), Tag("labels")],
        Discriminator(kind_of_value),
        Field(
            title="Least recall",
            description="Least share of the held-out rows of a class that are labelled right: a number for every "
            "class, or an object with a number for some labels; null asks for none.",
        ),
        Wanted(
            'a number from 0 to 1, an object such as {"malignant": 0.9}, or null',
            each="a number from 0 to 1, both included",
        ),
        WhenAsked(),
    ] = None
    champion: Annotated[
        str | None,
        Field(
            pattern=r"^[^\x00]+$",
            title="Champion",
            description="The artifact in charge, with which the candidate is compared on the same held-out rows; a "
            "relative path starts at the folder of this config.",
        ),
        Wanted("a string, the path of an artifact, or null"),
    ] = None
    margin: Annotated[
        Share,
        Field(
            title="Margin",
            description="By how much the candidate's accuracy and F1 may be below the champion's, at 95 % confidence.",
        ),
    ] = 0.02
    on_inconclusive: Annotated[
        Literal["fail", "pass"],
        Field(
            title="On inconclusive",
            description="What becomes of a candidate where the rows are too few to tell.",
        ),
        Wanted("one of fail, pass"),
    ] = "fail"
