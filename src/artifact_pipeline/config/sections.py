"""What the config's types are made of, and the types of its sections `dataset` and `gate`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

STRICT = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False, defer_build=True)
"""Of all sections. A section's own validator is built at its first use: that of the whole config has no need of it."""


@dataclass(frozen=True, slots=True)
class MustBe:
    """The words of the message for a value that a key does not take; they stand beside the bounds that they describe.

    Attributes:
        words: what the value must be, the end of `must be …`.
        each: what each value of an object by label must be, where the key takes such an object.
    """

    words: str
    each: str = ""


def not_allowed(words: str) -> PydanticCustomError:
    """Return the error for a value that a validator refuses; `words` are the end of `must be …`."""
    return PydanticCustomError("not_allowed", "{words}", {"words": words})


@dataclass(frozen=True, slots=True)
class OptionalInRecipe:
    """Marks a key that is left out of the recipe where its value is the default.

    So a config that does not use the key has the recipe, and the artifact digest, that it had before the key existed.
    """


def _text_keys(value: object) -> object:
    """Return a dict with its whole-number keys as text: Python code may name a label as it is."""
    if not isinstance(value, Mapping):
        return value
    keys = [str(key) if isinstance(key, Integral) else key for key in value]
    return dict(zip(keys, value.values(), strict=True)) if len(set(keys)) == len(keys) else value


def _kind_of_value(value: object) -> str:
    if value is None:
        return "null"
    return "labels" if isinstance(value, Mapping) else "plain"


BY_KIND = Discriminator(_kind_of_value)
"""Chooses the type of a value that is null, one plain value for all classes, or an object by label."""
TEXT_KEYS = BeforeValidator(_text_keys)
POSITIVE_ZERO = AfterValidator(lambda value: value + 0.0)
"""Makes minus zero zero, so that both have one recipe."""
Label = Annotated[str, Field(max_length=256)]
Share = Annotated[float, Field(ge=0, le=1), POSITIVE_ZERO, MustBe("a number from 0 to 1, both included")]


class Table(BaseModel):
    """A table of rows to learn from."""

    model_config = STRICT

    path: Annotated[
        str,
        Field(
            pattern=r"^[^\x00]+$",
            title="File",
            description="A CSV, Parquet, Arrow, JSON Lines or NPZ file, or a folder of parts; a relative path starts "
            "at the folder of this config.",
        ),
        MustBe("a string, the path of a table"),
    ]
    target: Annotated[
        str,
        Field(min_length=1, title="Target column", description="The column that holds the class of each row."),
        MustBe("a string, the name of the target column"),
    ]
    features: Annotated[
        list[str] | None,
        Field(
            min_length=1,
            title="Features",
            description="The columns to learn from, in this order; without it all but the target, dropped columns and "
            "an index.",
        ),
        MustBe("an array of at least one name of a column, none of them twice nor the target, or null"),
    ] = None
    drop: Annotated[
        list[str] | None,
        Field(title="Drop", description="Columns that are not learned from."),
        MustBe("an array of names of columns, none of them twice nor the target nor in features, or null"),
    ] = None

    unlabelled: Annotated[
        Literal["leave_out"] | None,
        Field(
            title="Rows without a label",
            description="What becomes of a row that has no label, or NA, NaN or null in its place: leave_out, or null, "
            "by which it is refused.",
        ),
        MustBe('"leave_out" or null'),
    ] = None
    columns: Annotated[
        dict[Annotated[str, Field(min_length=1)], Literal["number", "boolean", "category"]] | None,
        Field(
            min_length=1,
            title="Columns",
            description="The kind of some columns, where it is to be another than the one that their values show.",
        ),
        MustBe(
            'an object such as {"zip": "category"} of columns that are learned from, or null',
            each="one of number, boolean, category",
        ),
    ] = None

    @field_validator("columns")
    @classmethod
    def _columns_are_learned_from(cls, kinds: dict[str, str] | None, info: ValidationInfo) -> dict[str, str] | None:
        """Refuse the kind of the target, of a dropped column, and of one that is no feature."""
        features, dropped = info.data.get("features"), info.data.get("drop") or ()
        part = {info.data.get("target"): "the target"} | dict.fromkeys(dropped, "dropped")
        for name in kinds or ():
            if name in part or (features is not None and name not in features):
                words = {"name": repr(name), "part": part.get(name, "not in features")}
                raise PydanticCustomError("names_of_columns", "{name} is {part}", words)
        return kinds

    @field_validator("features", "drop")
    @classmethod
    def _names_fit(cls, names: list[str] | None, info: ValidationInfo) -> list[str] | None:
        """Refuse a name that stands twice, or that has another part already."""
        found = Counter(names or ())
        twice = next((name for name, count in found.items() if count > 1), None)
        if twice is not None:
            raise PydanticCustomError("names_of_columns", "{name} stands twice", {"name": repr(twice)})
        taken = {info.data.get("target"): "the target"} | dict.fromkeys(info.data.get("features") or (), "a feature")
        for name in found:
            if name in taken:
                words = {"name": repr(name), "part": taken[name]}
                raise PydanticCustomError("names_of_columns", "{name} is {part}", words)
        return names


_OR_NULL = MustBe("a number from 0 to 1, both included, or null")
_OptionalShare = Annotated[Share | None, _OR_NULL, OptionalInRecipe()]
_OptionalLoss = Annotated[
    Annotated[float, Field(ge=0), POSITIVE_ZERO] | None,
    MustBe("a finite number of at least 0, or null"),
    OptionalInRecipe(),
]


class Gate(BaseModel):
    """What the model must reach on the held-out rows to be published."""

    model_config = STRICT

    min_accuracy: Annotated[
        Share | None,
        Field(
            title="Least accuracy",
            description="Least share of held-out rows that are labelled right; null, the default for tables, asks for "
            "none.",
        ),
        _OR_NULL,
    ] = 0.95
    min_f1: Annotated[
        Share | None,
        Field(
            title="Least F1",
            description="Least F1 on the held-out rows, weighted by class; null, the default for tables, asks for "
            "none.",
        ),
        _OR_NULL,
    ] = 0.95
    beats_baseline: Annotated[
        bool,
        Field(
            title="Beats the baseline",
            description="Whether the lower end of the accuracy's 95 % interval must be above the majority share, the "
            "accuracy of a model that always answers with the most frequent class.",
        ),
        MustBe("true or false"),
        OptionalInRecipe(),
    ] = False
    min_f1_macro: Annotated[
        _OptionalShare,
        Field(
            title="Least macro F1",
            description="Least F1 on the held-out rows, each class counting the same; null asks for none.",
        ),
    ] = None
    min_balanced_accuracy: Annotated[
        _OptionalShare,
        Field(title="Least balanced accuracy", description="Least mean recall of the classes; null asks for none."),
    ] = None
    min_roc_auc: Annotated[
        _OptionalShare,
        Field(
            title="Least ROC AUC",
            description="Least area under the ROC curve, each class against the rest; null asks for none.",
        ),
    ] = None
    max_log_loss: Annotated[
        _OptionalLoss,
        Field(title="Greatest log loss", description="Greatest mean of -ln p(actual class); null asks for none."),
    ] = None
    max_brier: Annotated[
        _OptionalLoss,
        Field(
            title="Greatest Brier score",
            description="Greatest mean squared distance of the probabilities from the truth; null asks for none.",
        ),
    ] = None
    min_recall: Annotated[
        Annotated[None, Tag("null")]
        | Annotated[Share, Tag("plain")]
        | Annotated[dict[Label, Share], Field(min_length=1), TEXT_KEYS, Tag("labels")],
        BY_KIND,
        Field(
            title="Least recall",
            description="Least share of the held-out rows of a class that are labelled right: a number for every "
            "class, or an object with a number for some labels; null asks for none.",
        ),
        MustBe(
            'a number from 0 to 1, an object such as {"malignant": 0.9}, or null',
            each="a number from 0 to 1, both included",
        ),
        OptionalInRecipe(),
    ] = None
    champion: Annotated[
        str | None,
        Field(
            pattern=r"^[^\x00]+$",
            title="Champion",
            description="The artifact in charge, with which the candidate is compared on the same held-out rows: a "
            "path, which starts at the folder of this config where it is relative, or oci://HOST/NAME:TAG.",
        ),
        MustBe("a string, the path of an artifact, or null"),
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
        MustBe("one of fail, pass"),
    ] = "fail"

    @model_validator(mode="after")
    def _asks_for_something(self) -> Gate:
        bounds = (value for name, value in self if name.startswith(("min_", "max_")))
        if not self.beats_baseline and all(value is None for value in bounds):
            words = "an object with beats_baseline or a bound: this gate would let every model pass"
            raise not_allowed(words)
        return self
