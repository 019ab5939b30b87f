"""The config's sections `split` and `preprocess`: which rows are held out, and what columns become before the fit."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from artifact_pipeline.config.sections import POSITIVE_ZERO, STRICT, MustBe, not_allowed
from artifact_pipeline.errors import either

By = Literal["random", "hash", "group", "time", "held_out"]
NumberStep = Literal[
    "impute_mean",
    "impute_median",
    "impute_most_frequent",
    "impute_constant",
    "standard_scale",
    "min_max_scale",
    "robust_scale",
    "pca",
]
CategoryStep = Literal["impute_most_frequent", "one_hot", "ordinal"]
_ENCODERS = ("one_hot", "ordinal")
STEP_OPTIONS = {
    "indicator": ("impute_mean", "impute_median", "impute_most_frequent", "impute_constant"),
    "value": ("impute_constant",),
    "n_components": ("pca",),
}
"""The parameters of the steps for numbers, and the steps that have each."""
SPLIT_NEEDS = {"group": "column", "time": "column", "held_out": "path"}
"""The key that a split must have beside `by`."""
_GOES_WITH = {
    "test_size": ("random", "hash", "group", "time"),
    "stratify": ("random",),
    "key": ("hash",),
    "column": ("group", "time"),
    "path": ("held_out",),
}
"""The keys of a split that not every split has."""


class Split(BaseModel):
    """Which rows are held out to measure the model."""

    model_config = STRICT

    by: Annotated[
        By,
        Field(
            title="By",
            description="random, by the random state; hash, by a digest of each row's features or of its key columns; "
            "group, so that a group's rows stay together; time, the latest rows; held_out, the rows of another file.",
        ),
        MustBe("one of random, hash, group, time, held_out"),
    ]
    test_size: Annotated[
        float,
        Field(gt=0, lt=1, title="Test size", description="Share of the rows that is held out to measure the model."),
        MustBe("a number between 0 and 1, both excluded"),
    ] = 0.2
    stratify: Annotated[
        bool,
        Field(title="Stratify", description="Whether a random split keeps the share of each class."),
        MustBe("true or false"),
    ] = False
    key: Annotated[
        list[Annotated[str, Field(min_length=1)]] | None,
        Field(
            min_length=1,
            title="Key",
            description="The columns by which a hash split tells rows apart, learned from or not; null takes all "
            "features.",
        ),
        MustBe("an array of at least one name of a column, with by hash, or null"),
    ] = None
    column: Annotated[
        Annotated[str, Field(min_length=1)] | None,
        Field(title="Column", description="The column of the group, or of the time, of each row; learned from or not."),
        MustBe("the name of a column, with by group or time"),
    ] = None
    path: Annotated[
        Annotated[str, Field(pattern=r"^[^\x00]+$")] | None,
        Field(
            title="Held-out file",
            description="A table whose rows are held out; a relative path starts at the folder of this config.",
        ),
        MustBe("a string, the path of a table, with by held_out"),
    ] = None

    @property
    def columns(self) -> dict[str, Literal["key", "time"]]:
        """The columns by which the rows are split, and whether each is a key or a time."""
        if self.column is not None:
            return {self.column: "time" if self.by == "time" else "key"}
        return dict.fromkeys(self.key or (), "key")

    @field_validator("test_size", "stratify", "key", "column", "path")
    @classmethod
    def _goes_with_by(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse a key that this split does not have, and a missing one that it needs."""
        by, name = info.data.get("by"), info.field_name
        if value and by is not None and by not in _GOES_WITH[str(name)]:
            words = f"left away with by {by}; it goes with {either(_GOES_WITH[str(name)])}"
            raise not_allowed(words)
        return value

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Split:
        need = SPLIT_NEEDS.get(self.by)
        if need is not None and getattr(self, need) is None:
            words = f"an object with {need}, which by {self.by} needs"
            raise not_allowed(words)
        return self


class Step(BaseModel):
    """A step for columns of numbers: its name, and its parameters."""

    model_config = STRICT

    step: Annotated[
        NumberStep,
        Field(title="Step", description="The name of the step."),
        MustBe(f"one of {', '.join(get_args(NumberStep))}"),
    ]
    indicator: Annotated[
        bool,
        Field(title="Indicator", description="Of an impute step: whether a column says for each row what was missing."),
        MustBe("true or false, with a step that imputes"),
    ] = False
    value: Annotated[
        float,
        Field(title="Value", description="Of impute_constant: what a missing number becomes."),
        POSITIVE_ZERO,
        MustBe("a finite number, with impute_constant"),
    ] = 0.0
    n_components: Annotated[
        int | None,
        Field(ge=1, title="Components", description="Of pca: how many columns there are afterwards; null keeps all."),
        MustBe("a whole number of at least 1, with pca, or null"),
    ] = None

    @field_validator("indicator", "value", "n_components")
    @classmethod
    def _goes_with_step(cls, value: Any, info: ValidationInfo) -> Any:
        step, name = info.data.get("step"), str(info.field_name)
        if step is not None and step not in STEP_OPTIONS[name]:
            words = f"left away with {step}; it goes with {', '.join(STEP_OPTIONS[name])}"
            raise not_allowed(words)
        return value

    @property
    def short(self) -> str | dict[str, Any]:
        """The step as a recipe writes it: its name alone where every parameter has its default."""
        given = self.model_dump(exclude_defaults=True)
        return self.step if len(given) == 1 else given


NamedStep = Annotated[
    Annotated[NumberStep, Tag("name")] | Annotated[Step, Tag("object")],
    Discriminator(lambda value: "name" if isinstance(value, str) else "object"),
    AfterValidator(lambda value: Step(step=value) if isinstance(value, str) else value),
]
"""A step by its name alone, or with parameters."""


class Preparation(BaseModel):
    """The steps for columns of each kind, in their order."""

    model_config = STRICT

    number: Annotated[
        list[NamedStep],
        Field(title="Numbers", description="The steps for numbers and booleans; pca comes last."),
        MustBe(
            "an array of steps for numbers, each a name or an object with step, pca last",
            each=f"one of {', '.join(get_args(NumberStep))}, or an object with step",
        ),
    ] = []
    category: Annotated[
        list[CategoryStep],
        Field(title="Categories", description="The steps for categories, of which the last one is one_hot or ordinal."),
        MustBe(
            "an array of steps for categories, the last one_hot or ordinal",
            each=f"one of {', '.join(get_args(CategoryStep))}",
        ),
    ] = []

    @field_validator("number")
    @classmethod
    def _ends_with_pca(cls, steps: list[Step]) -> list[Step]:
        if any(each.step == "pca" for each in steps[:-1]):
            words = "an array of steps for numbers in which pca, which makes other columns, is the last"
            raise not_allowed(words)
        return steps

    @field_validator("category")
    @classmethod
    def _ends_with_its_encoder(cls, steps: list[str]) -> list[str]:
        if steps and [each in _ENCODERS for each in steps] != [False] * (len(steps) - 1) + [True]:
            words = "an array of steps for categories of which the last one, and no other, is one_hot or ordinal"
            raise not_allowed(words)
        return steps

    @property
    def short(self) -> dict[str, Any]:
        """The steps as a recipe writes them."""
        numbers = [each.short for each in self.number if isinstance(each, Step)]  # which all are, once validated
        return {"number": numbers, "category": self.category}


Preprocess = Annotated[
    Annotated[Literal["none", "auto"], Tag("named")] | Annotated[Preparation, Tag("steps")],
    Discriminator(lambda value: "named" if isinstance(value, str) else "steps"),
    Field(
        title="Preprocess",
        description="What columns become before the fit, as a part of the model: none, auto, or steps by kind; auto "
        "imputes, encodes, and scales for classifiers that need it.",
    ),
    MustBe('"none", "auto", or an object with number and category'),
]
