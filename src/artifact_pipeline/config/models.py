"""The config's section `model`: a classifier by scikit-learn's name, and its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from artifact_pipeline.config.estimators import WRITTEN, not_written
from artifact_pipeline.config.sections import (
    BY_KIND,
    POSITIVE_ZERO,
    STRICT,
    TEXT_KEYS,
    Label,
    MustBe,
    OptionalInRecipe,
    not_allowed,
)

MANY_CLASS_SOLVERS = ("lbfgs", "newton-cg", "newton-cholesky", "sag", "saga")
Solver = Literal["lbfgs", "newton-cg", "newton-cholesky", "sag", "saga", "liblinear"]
LONG_DEFAULTS = {"C": 1.0, "solver": "lbfgs", "max_iter": 100}
"""scikit-learn's defaults, by which the long form of LogisticRegression may lack these keys; the short form may not."""


class Estimator(BaseModel):
    """A classifier and its parameters, which training compares with scikit-learn's own constraints."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow", defer_build=True)

    estimator: Annotated[
        str,
        Field(
            title="Estimator",
            description="The name of a classifier of scikit-learn; its parameters stand beside it, by their names.",
            json_schema_extra={"enum": [*WRITTEN]},
        ),
        MustBe("the name of a classifier of scikit-learn"),
    ]

    @field_validator("estimator")
    @classmethod
    def _can_be_written(cls, name: str) -> str:
        if words := not_written(name):
            raise PydanticCustomError("not_written", "{words}", {"words": words, "allowed": [*WRITTEN]})
        return name


class Voting(Estimator):
    """Several classifiers, which answer together."""

    estimators: Annotated[
        dict[str, Classifier],
        Field(
            min_length=1,
            title="Estimators",
            description="Of a VotingClassifier or a StackingClassifier: its classifiers, by any names.",
        ),
        MustBe("an object with at least one classifier, by a name without two underscores in a row, each an object"),
    ]

    @field_validator("estimators")
    @classmethod
    def _names_are_free(cls, found: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        """Refuse the names that scikit-learn refuses in the fit."""
        own = _TAKEN.get(info.data.get("estimator", ""), set())
        taken = next((name for name in found if "__" in name or not name or name in own), None)
        if taken is not None:
            words = f"an object whose keys are names that scikit-learn takes, not {taken!r}"
            raise not_allowed(words)
        return found

    @property
    def inner(self) -> dict[str, Any]:
        """The classifiers that this one holds, by name."""
        return dict(self.estimators)


_TAKEN = {
    "VotingClassifier": {"estimators", "voting", "weights", "n_jobs", "flatten_transform", "verbose"},
    "StackingClassifier": {"estimators", "final_estimator", "cv", "stack_method", "n_jobs", "passthrough", "verbose"},
}
"""The parameters of a classifier of several ones, whose names no classifier in it may have."""


class Stack(Voting):
    """Several classifiers, and one that learns what they answer."""

    final_estimator: Annotated[
        Classifier | None,
        Field(
            title="Final estimator",
            description="Of a StackingClassifier: the classifier that learns what the others answer; without it a "
            "LogisticRegression.",
        ),
        MustBe("an object with estimator, or null"),
    ] = None


_BASE = Field(
    title="Base estimator",
    description="Of a BaggingClassifier, an AdaBoostClassifier, a CalibratedClassifierCV or a OneVsRestClassifier: the "
    "classifier of which it is made, which scikit-learn calls estimator.",
)


class Wrapper(Estimator):
    """A classifier that is made of another one."""

    base_estimator: Annotated[Classifier, _BASE, MustBe("an object with estimator")]

    @property
    def inner(self) -> dict[str, Any]:
        """The classifiers that this one holds, by name."""
        return {"base_estimator": self.base_estimator}


class TreesOrWrapper(Estimator):
    """A classifier that is made of another one, and of decision trees where none is named."""

    base_estimator: Annotated[Classifier | None, _BASE, MustBe("an object with estimator, or null")] = None

    @property
    def inner(self) -> dict[str, Any]:
        """The classifiers that this one holds, by name."""
        return {} if self.base_estimator is None else {"base_estimator": self.base_estimator}


class LogisticRegression(BaseModel):
    """A LogisticRegression; its keys may stand at the top of the config, which is its short form."""

    model_config = STRICT

    estimator: Annotated[
        Literal["LogisticRegression"], Field(title="Estimator", description="The name of the classifier.")
    ] = "LogisticRegression"
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

    @field_validator("l1_ratio")
    @classmethod
    def _solver_takes_l1(cls, ratio: float, info: ValidationInfo) -> float:
        """Refuse before the fit what scikit-learn refuses in it: an L1 penalty that the solver does not know."""
        solver = info.data.get("solver", "saga")
        if ratio > 0 and solver != "saga" and (solver, ratio) != ("liblinear", 1.0):
            taken = "0 or 1" if solver == "liblinear" else "0"
            words = f"{taken} with the solver {solver} (saga takes 0 to 1)"
            raise not_allowed(words)
        return ratio

    @field_validator("penalty")  # which runs only where the key was given
    @classmethod
    def _penalty_is_l2(cls, penalty: Literal["l2"], info: ValidationInfo) -> Literal["l2"]:
        if info.data.get("l1_ratio", 0.0) > 0:
            words = "left away where l1_ratio is more than 0, which is another penalty"
            raise not_allowed(words)
        return penalty


class ShortForm(dict[str, Any]):
    """The keys of a section that stand at the top of the config."""


KINDS = {
    "LogisticRegression": "logistic",
    "VotingClassifier": "voting",
    "StackingClassifier": "stack",
    "CalibratedClassifierCV": "wrapper",
    "OneVsRestClassifier": "wrapper",
    "BaggingClassifier": "trees",
    "AdaBoostClassifier": "trees",
}
"""The kind of each classifier whose keys have a type here; the parameters of all others are checked in training."""
NESTED_KEYS = ("base_estimator", "final_estimator")
"""The keys whose value is another classifier."""


def _class_of(value: object) -> str:
    if isinstance(value, ShortForm):
        return "logistic"
    name = value.get("estimator") if isinstance(value, Mapping) else getattr(value, "estimator", None)
    return KINDS.get(str(name), "other")


def _with_defaults(value: object) -> object:
    """Add scikit-learn's defaults to the long form of LogisticRegression; the short form must have the three keys."""
    if isinstance(value, ShortForm | LogisticRegression) or _class_of(value) != "logistic":
        return value
    assert isinstance(value, Mapping)
    return {**LONG_DEFAULTS, **value}


Classifier = Annotated[
    Annotated[Estimator, Tag("other")]
    | Annotated[Voting, Tag("voting")]
    | Annotated[Stack, Tag("stack")]
    | Annotated[Wrapper, Tag("wrapper")]
    | Annotated[TreesOrWrapper, Tag("trees")]
    | Annotated[LogisticRegression, Tag("logistic")],
    Discriminator(_class_of),
    BeforeValidator(_with_defaults),
]
"""The value of `model`, and of each classifier that stands in another one."""
