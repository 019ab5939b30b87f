"""The types of the config, and what is made from them: the recipe and the JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

SCHEMA_KEY = "$schema"
"""Allowed in the file for the sake of editors; no part of the config."""

MANY_CLASS_SOLVERS = ("lbfgs", "newton-cg", "newton-cholesky", "sag", "saga")
Solver = Literal["lbfgs", "newton-cg", "newton-cholesky", "sag", "saga", "liblinear"]

_STRICT = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a key's value must be, as the end of `must be …`; it stands beside the bounds that it tells."""

    words: str


def _positive_zero(value: float) -> float:
    """Minus zero is zero: one recipe."""
    return value + 0.0


Share = Annotated[
    float, Field(ge=0, le=1), AfterValidator(_positive_zero), Wanted("a number from 0 to 1, both included")
]


class Gate(BaseModel):
    """What the model must reach on the held-out rows to be published."""

    model_config = _STRICT

    min_accuracy: Annotated[
        Share, Field(title="Least accuracy", description="Least share of held-out rows that are labelled right.")
    ] = 0.95
    min_f1: Annotated[
        Share, Field(title="Least F1", description="Least F1 on the held-out rows, weighted by class.")
    ] = 0.95
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


class Table(BaseModel):
    """A table of rows to learn from."""

    model_config = _STRICT

    path: Annotated[
        str,
        Field(
            pattern=r"^[^\x00]+$",
            title="File",
            description="A CSV, Parquet, Arrow, JSON Lines or NPZ file, or a folder of parts; a relative path starts "
            "at the folder of this config.",
        ),
        Wanted("a string, the path of a table"),
    ]
    target: Annotated[
        str,
        Field(min_length=1, title="Target column", description="The column that holds the class of each row."),
        Wanted("a string, the name of the target column"),
    ]
    features: Annotated[
        list[str] | None,
        Field(
            min_length=1,
            title="Features",
            description="The columns to learn from, in this order; without it all but the target, dropped columns and "
            "an index.",
        ),
        Wanted("an array of at least one name of a column, none of them twice nor the target, or null"),
    ] = None
    drop: Annotated[
        list[str] | None,
        Field(title="Drop", description="Columns that are not learned from."),
        Wanted("an array of names of columns, none of them twice nor the target nor in features, or null"),
    ] = None

    @field_validator("features", "drop")
    @classmethod
    def _names_fit(cls, names: list[str] | None, info: ValidationInfo) -> list[str] | None:
        """Refuse a name that stands twice, or that has another part already."""
        found = names or []
        twice = next((name for name in found if found.count(name) > 1), None)
        if twice is not None:
            raise PydanticCustomError("names_of_columns", "{name} stands twice", {"name": repr(twice)})
        taken = {info.data.get("target"): "the target"} | dict.fromkeys(info.data.get("features") or (), "a feature")
        for name in found:
            if name in taken:
                words = {"name": repr(name), "part": taken[name]}
                raise PydanticCustomError("names_of_columns", "{name} is {part}", words)
        return names


def _dataset_kind(value: object) -> str:
    return "table" if isinstance(value, Mapping | Table) else "digits"


class Config(BaseModel):
    """How a model is trained, in the order in which it is used: the rows, their split, the fit, the gate."""

    model_config = ConfigDict(**_STRICT, title="Config of artifact-pipeline")

    name: Annotated[
        str,
        Field(
            pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$",
            title="Name",
            description="The name of the model, written into the artifact.",
        ),
        Wanted("a string of 1 to 64 characters a-z, 0-9, dot, underscore or dash, first a letter or digit"),
    ] = "digits"
    dataset: Annotated[
        Annotated[Literal["digits"], Tag("digits")] | Annotated[Table, Tag("table")],
        Discriminator(_dataset_kind),
        Field(title="Dataset", description="The digits of scikit-learn, or a table with a target column."),
        Wanted('"digits" or an object with path and target'),
    ] = "digits"
    test_size: Annotated[
        float,
        Field(gt=0, lt=1, title="Test size", description="Share of the rows that is held out to measure the model."),
        Wanted("a number between 0 and 1, both excluded"),
    ] = 0.2
    random_state: Annotated[
        int,
        Field(ge=0, le=2**32 - 1, title="Random state", description="Seed of the split and of the solver."),
        Wanted("a whole number of at least 0"),
    ] = 42
    stratify: Annotated[
        bool,
        Field(title="Stratify", description="Whether the split keeps the share of each class."),
        Wanted("true or false"),
    ] = False
    C: Annotated[
        float,
        Field(
            gt=0,
            title="Inverse regularization strength",
            description="As in LogisticRegression: smaller values regularize more strongly.",
        ),
        Wanted("a finite number greater than 0"),
    ]
    solver: Annotated[
        Solver,
        Field(
            title="Solver",
            description="As in LogisticRegression; liblinear fits two classes only, so it is refused for the digits.",
        ),
        Wanted(f"one of {', '.join(get_args(Solver))}"),
    ]
    max_iter: Annotated[
        int,
        # sag, saga and liblinear count in a C int.
        Field(ge=1, le=2**31 - 1, title="Iterations", description="Most iterations that the solver may take."),
        Wanted("a whole number of at least 1"),
    ]
    range_margin: Annotated[
        float,
        Field(
            ge=0,
            le=1e6,
            title="Range margin",
            description="How far beyond the trained range a value may lie at inference, as a share of that range.",
        ),
        AfterValidator(_positive_zero),
        Wanted("a number of at least 0"),
    ] = 0.5
    gate: Annotated[
        Gate,
        Wanted("an object with min_accuracy and min_f1"),
    ] = Gate()

    @field_validator("solver")
    @classmethod
    def _solver_fits_classes(cls, solver: Solver, info: ValidationInfo) -> Solver:
        """Refuse before the fit what scikit-learn refuses in it: liblinear with more than two classes."""
        if solver == "liblinear" and info.data.get("dataset") == "digits":
            raise PydanticCustomError("solver_needs_two_classes", "liblinear fits two classes, the digits have ten")
        return solver


SECTIONS: dict[str, type[BaseModel]] = {"dataset": Table, "gate": Gate}
"""The keys that hold, or may hold, an object."""


def recipe(config: Config) -> dict[str, Any]:
    """The resolved config without any path, ready for JSON: equal trainings have equal recipes.

    How the candidate is compared with another model decides where it goes, not what it is: that is provenance.
    """
    values = config.model_dump(exclude={"gate": {"champion", "margin", "on_inconclusive"}})
    if isinstance(config.dataset, Table):
        table = config.dataset
        given = {"features": table.features, "drop": table.drop}
        values["dataset"] = {"target": table.target} | {key: names for key, names in given.items() if names is not None}
    return values


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a config file, with a title, description and default for each key."""
    schema = Config.model_json_schema()
    pointer = {"type": "string", "title": "JSON Schema", "description": "Where editors find the schema of this file."}
    schema["properties"] = {SCHEMA_KEY: pointer, **schema["properties"]}
    return {SCHEMA_KEY: "https://json-schema.org/draft/2020-12/schema", **schema}


def schema_text() -> str:
    """The JSON Schema as it is committed and printed."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
