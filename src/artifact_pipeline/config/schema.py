"""The config's type, and what is made from it: the recipe and the JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from artifact_pipeline.config.sections import (
    BY_KIND,
    POSITIVE_ZERO,
    STRICT,
    TEXT_KEYS,
    Gate,
    Label,
    MustBe,
    OptionalInRecipe,
    Table,
)
from artifact_pipeline.plugins import DataSetName, data_set

SCHEMA_KEY = "$schema"
"""Allowed in the file, where editors look for it; no part of the config."""

MANY_CLASS_SOLVERS = ("lbfgs", "newton-cg", "newton-cholesky", "sag", "saga")
Solver = Literal["lbfgs", "newton-cg", "newton-cholesky", "sag", "saga", "liblinear"]


def _dataset_kind(value: object) -> str:
    return "table" if isinstance(value, Mapping | Table) else "built-in"


class Config(BaseModel):
    """How a model is trained, in the order in which it is used: the rows, their split, the fit, the gate."""

    model_config = ConfigDict(**STRICT, title="Config of artifact-pipeline")

    name: Annotated[
        str,
        Field(
            pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$",
            title="Name",
            description="The name of the model, written into the artifact.",
        ),
        MustBe("a string of 1 to 64 characters a-z, 0-9, dot, underscore or dash, first a letter or digit"),
    ] = "digits"
    dataset: Annotated[
        Annotated[DataSetName, Tag("built-in")] | Annotated[Table, Tag("table")],
        Discriminator(_dataset_kind),
        Field(title="Dataset", description="A data set that comes with the package, or a table with a target column."),
        MustBe(f"one of {', '.join(get_args(DataSetName))}, or an object with path and target"),
    ] = "digits"
    test_size: Annotated[
        float,
        Field(gt=0, lt=1, title="Test size", description="Share of the rows that is held out to measure the model."),
        MustBe("a number between 0 and 1, both excluded"),
    ] = 0.2
    random_state: Annotated[
        int,
        Field(ge=0, le=2**32 - 1, title="Random state", description="Seed of the split and of the solver."),
        MustBe("a whole number of at least 0"),
    ] = 42
    stratify: Annotated[
        bool,
        Field(title="Stratify", description="Whether the split keeps the share of each class."),
        MustBe("true or false"),
    ] = False
    C: Annotated[
        float,
        Field(
            gt=0,
            title="Inverse regularization strength",
            description="As in LogisticRegression: smaller values regularize more strongly.",
        ),
        MustBe("a finite number greater than 0"),
    ]
    solver: Annotated[
        Solver,
        Field(
            title="Solver",
            description="As in LogisticRegression; liblinear fits two classes only, so it is refused for the digits.",
        ),
        MustBe(f"one of {', '.join(get_args(Solver))}"),
    ]
    max_iter: Annotated[
        int,
        # sag, saga and liblinear count in a C int.
        Field(ge=1, le=2**31 - 1, title="Iterations", description="Most iterations that the solver may take."),
        MustBe("a whole number of at least 1"),
    ]
    tol: Annotated[
        float,
        Field(
            ge=0,
            title="Tolerance",
            description="As in LogisticRegression: the solver stops where it is this near to the optimum.",
        ),
        POSITIVE_ZERO,
        MustBe("a finite number of at least 0"),
        OptionalInRecipe(),
    ] = 1e-4
    class_weight: Annotated[
        Annotated[None, Tag("null")]
        | Annotated[Literal["balanced"], Tag("plain")]
        | Annotated[dict[Label, Annotated[float, Field(gt=0)]], Field(min_length=1), TEXT_KEYS, Tag("labels")],
        BY_KIND,
        Field(
            title="Weights of the classes",
            description='As in LogisticRegression: "balanced" gives each class the same weight in all, an object gives '
            "the rows of some labels another weight than 1.",
        ),
        MustBe(
            '"balanced", an object such as {"malignant": 10}, or null',
            each="a finite number greater than 0",
        ),
        OptionalInRecipe(),
    ] = None
    fit_intercept: Annotated[
        bool,
        Field(title="Fit intercept", description="As in LogisticRegression: whether each class has a constant term."),
        MustBe("true or false"),
        OptionalInRecipe(),
    ] = True
    l1_ratio: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            title="L1 ratio",
            description="As in LogisticRegression: 0 is the L2 penalty, 1 the L1 penalty; more than 0 needs the solver "
            "saga, or, for 1, liblinear.",
        ),
        POSITIVE_ZERO,
        MustBe("a number from 0 to 1, both included"),
        OptionalInRecipe(),
    ] = 0.0
    penalty: Annotated[
        Literal["l2"],
        Field(
            exclude=True,
            title="Penalty",
            description='As in older versions of scikit-learn: "l2" is the same as l1_ratio 0.',
        ),
        MustBe(
            '"l2" (l1 is "l1_ratio": 1 with the solver saga or liblinear, elasticnet an l1_ratio between 0 and 1 with '
            "saga, and no penalty a large C)"
        ),
    ] = "l2"
    range_margin: Annotated[
        float,
        Field(
            ge=0,
            le=1e6,
            title="Range margin",
            description="How far beyond the trained range a value may lie at inference, as a share of that range.",
        ),
        POSITIVE_ZERO,
        MustBe("a number of at least 0"),
    ] = 0.5
    gate: Annotated[
        Gate,
        MustBe("an object with min_accuracy and min_f1"),
    ] = Gate()

    # The message of each PydanticCustomError is the end of `must be …`.

    @field_validator("solver")
    @classmethod
    def _solver_fits_classes(cls, solver: Solver, info: ValidationInfo) -> Solver:
        """Refuse before the fit what scikit-learn refuses in it: liblinear with more than two classes."""
        name = info.data.get("dataset")
        if solver == "liblinear" and isinstance(name, str) and (classes := data_set(name).classes) > 2:
            words = f"one of {', '.join(MANY_CLASS_SOLVERS)} (liblinear fits two classes, {name} has {classes})"
            raise PydanticCustomError("solver_needs_two_classes", "{words}", {"words": words})
        return solver

    @field_validator("l1_ratio")
    @classmethod
    def _solver_takes_l1(cls, ratio: float, info: ValidationInfo) -> float:
        """Refuse before the fit what scikit-learn refuses in it: an L1 penalty that the solver does not know."""
        solver = info.data.get("solver", "saga")
        if ratio > 0 and solver != "saga" and (solver, ratio) != ("liblinear", 1.0):
            words = f"{_L1_RATIOS.get(solver, '0')} with the solver {solver} (saga takes 0 to 1)"
            raise PydanticCustomError("solver_without_l1", "{words}", {"words": words})
        return ratio

    @field_validator("penalty")  # which runs only where the key was given
    @classmethod
    def _penalty_is_l2(cls, penalty: Literal["l2"], info: ValidationInfo) -> Literal["l2"]:
        if info.data.get("l1_ratio", 0.0) > 0:
            words = "left away where l1_ratio is more than 0, which is another penalty"
            raise PydanticCustomError("penalty_contradicts", "{words}", {"words": words})
        return penalty


_L1_RATIOS = {"liblinear": "0 or 1"}

SECTIONS: dict[str, type[BaseModel]] = {"dataset": Table, "gate": Gate}
"""The keys that hold, or may hold, an object."""
BRANCHED = (("dataset",), ("class_weight",), ("gate", "min_recall"))
"""The keys whose value has one of several kinds; pydantic names the kind behind the key."""
REMOVED = {
    "multi_class": "scikit-learn has removed it; every solver but liblinear fits the multinomial model",
    "n_jobs": "it has no effect in scikit-learn any more, and one thread fits the model",
}
"""What scikit-learn's LogisticRegression once took, and why it is no key."""


def recipe(config: Config) -> dict[str, Any]:
    """The resolved config without any path, ready for JSON: equal trainings have equal recipes.

    How the candidate is compared with a champion is no part of it: that decides where the model goes, not what it is.
    """
    values = config.model_dump(exclude={"gate": {"champion", "margin", "on_inconclusive"}})
    _leave_out_defaults(values, Config)
    _leave_out_defaults(values["gate"], Gate)
    if isinstance(config.dataset, Table):
        table = config.dataset
        given = {"features": table.features, "drop": table.drop}
        values["dataset"] = {"target": table.target} | {key: names for key, names in given.items() if names is not None}
    return values


def _leave_out_defaults(values: dict[str, Any], kind: type[BaseModel]) -> None:
    """Remove the keys that are marked `OptionalInRecipe` and have their default."""
    for name, field in kind.model_fields.items():
        if OptionalInRecipe() in field.metadata and values[name] == field.default:
            del values[name]


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a config file, with a title, description and default for each key."""
    schema = Config.model_json_schema()
    pointer = {"type": "string", "title": "JSON Schema", "description": "Where editors find the schema of this file."}
    schema["properties"] = {SCHEMA_KEY: pointer, **schema["properties"]}
    return {SCHEMA_KEY: "https://json-schema.org/draft/2020-12/schema", **schema}


def schema_text() -> str:
    """The JSON Schema as it is committed and printed."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
