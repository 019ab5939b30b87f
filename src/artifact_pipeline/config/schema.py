"""The config's type; the short forms of its sections are lifted into them before they are checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails

from artifact_pipeline.config.about import About  # noqa: TC001 - pydantic reads it
from artifact_pipeline.config.models import MANY_CLASS_SOLVERS, Classifier, LogisticRegression, ShortForm
from artifact_pipeline.config.preparing import Preprocess, Split  # noqa: TC001 - pydantic reads them
from artifact_pipeline.config.searching import QUICK, Search
from artifact_pipeline.config.sections import POSITIVE_ZERO, STRICT, Gate, MustBe, OptionalInRecipe, Table, not_allowed
from artifact_pipeline.plugins import NAMES, DataSetName, data_set

SCHEMA_KEY = "$schema"
"""Allowed in the file, where editors look for it; no part of the config."""
DIGITS = "digits"
"""The data set of the first example; its defaults are those that are documented with it, and no table's."""
_TABLES_GATE = {"beats_baseline": True, "min_accuracy": None, "min_f1": None}
"""The defaults of a table's gate: 0.95 suits the digits alone."""

SHORT_FORMS = {
    "model": tuple(name for name in LogisticRegression.model_fields if name != "estimator"),
    "split": ("test_size", "stratify"),
}
"""The keys of a section that may stand at the top of the config instead, where the section itself is left away."""


def _dataset_kind(value: object) -> str:
    return "table" if isinstance(value, Mapping | Table) else "built-in"


def expand_short_forms(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config's values with the keys of each short form inside their section, and with its defaults."""
    own = dict(values)
    dataset = own.get("dataset", DIGITS)
    digits = dataset == DIGITS
    if own.get("search") == "quick":
        own["search"] = QUICK
    if isinstance(search := own.get("search"), Mapping) and search.get("space") is None:
        own["search"] = {"trials": 1, **search}
    elif own.get("search") is not None and "model" not in own:
        own["model"] = None
    if "model" not in own:
        own["model"] = ShortForm((key, own.pop(key)) for key in SHORT_FORMS["model"] if key in own)
    if "split" not in own:
        short = {key: own.pop(key) for key in SHORT_FORMS["split"] if key in own}
        by = "random" if digits or "stratify" in short else "hash"
        own["split"] = ShortForm({"by": by, **short})
    if not digits and isinstance(gate := own.get("gate", {}), Mapping):
        own["gate"] = _TABLES_GATE | dict(gate)
    return {"preprocess": "none" if digits else "auto", "name": _name_for(dataset)} | own


def _name_for(dataset: object) -> str:
    """Return the name of a model that has none: of a data set its name, of a table its target's, as a name allows."""
    if isinstance(dataset, str):
        return dataset if dataset in NAMES else DIGITS
    target = dataset.get("target") if isinstance(dataset, Mapping) else getattr(dataset, "target", "")
    return name_after(str(target)) or "model"


def name_after(text: str) -> str:
    """Return a text as a name allows it; empty where nothing of it is left."""
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("._-")[:64]


class Config(BaseModel):
    """How a model is trained, in the order in which it is used: the rows, their split, the fit, the gate."""

    model_config = ConfigDict(**STRICT, title="Config of artifact-pipeline")

    name: Annotated[
        str,
        Field(
            pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$",
            title="Name",
            description="The name of the model, written into the artifact; without it, the name of the data set, or of "
            "a table's target.",
        ),
        MustBe("a string of 1 to 64 characters a-z, 0-9, dot, underscore or dash, first a letter or digit"),
    ]
    dataset: Annotated[
        Annotated[DataSetName, Tag("built-in")] | Annotated[Table, Tag("table")],
        Discriminator(_dataset_kind),
        Field(title="Dataset", description="A data set that comes with the package, or a table with a target column."),
        MustBe(f"one of {', '.join(get_args(DataSetName))}, or an object with path and target"),
    ] = "digits"
    split: Annotated[Split, MustBe("an object with by")]
    feedback: Annotated[
        list[Annotated[str, Field(pattern=r"^[^\x00]+$")]],
        Field(
            title="Feedback",
            description="Files of labelled rows that are learned from, too, and never held out, such as those of serve "
            "--feedback; a relative path starts at the folder of this config.",
        ),
        MustBe("an array of paths of tables", each="a string, the path of a table"),
    ] = []
    random_state: Annotated[
        int,
        Field(ge=0, le=2**32 - 1, title="Random state", description="Seed of the split and of the solver."),
        MustBe("a whole number of at least 0"),
    ] = 42
    preprocess: Preprocess
    search: Annotated[
        Search | None,
        Field(
            title="Search",
            description='How a model is searched for, or how one is scored by cross-validation; "quick" is a space of '
            "four classifiers.",
        ),
        MustBe('"quick", or an object such as {"trials": 40, "space": [{"estimator": "SVC"}]}, or null'),
        OptionalInRecipe(),
    ] = None
    model: Annotated[Classifier | None, MustBe("an object with estimator")]
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
    gate: Annotated[Gate, MustBe("an object with min_accuracy and min_f1")] = Gate()
    about: Annotated[
        About | None,
        Field(
            title="About",
            description="What people say of the model: it stands in the artifact, and the model card shows it.",
        ),
        MustBe('an object such as {"intended_use": "…", "license": "apache-2.0"}, or null'),
        OptionalInRecipe(),
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, values: Any) -> Any:
        return expand_short_forms(values) if isinstance(values, Mapping) else values

    @field_validator("split")
    @classmethod
    def _split_fits_dataset(cls, split: Split, info: ValidationInfo) -> Split:
        """Refuse a split by the label, and a held-out file beside rows that come with the package."""
        table = info.data.get("dataset")
        if isinstance(table, Table) and table.target in split.columns:
            words = f"split by another column than the target {table.target!r}"
            raise not_allowed(words)
        if isinstance(table, str) and split.path is not None:
            words = f"split in another way: a held-out file goes with a table, not with the built-in {table}"
            raise not_allowed(words)
        return split

    @field_validator("feedback")
    @classmethod
    def _feedback_fits_split(cls, paths: list[str], info: ValidationInfo) -> list[str]:
        """Refuse feedback beside a split by time: it would be learned from though it is later than what is held out."""
        split = info.data.get("split")
        if paths and split is not None and split.by == "time":
            raise not_allowed(
                "left away with a split by time, by which a model learns from nothing that is later; add the rows to "
                "the table"
            )
        return paths

    @field_validator("search")
    @classmethod
    def _search_fits_split(cls, search: Search | None, info: ValidationInfo) -> Search | None:
        """Refuse several trials of one model, and repeats of folds that are the same each time."""
        if search is not None and search.space is None and search.trials != 1:
            words = "an object with trials 1 where it has no space: there is one model, that of the config"
            raise not_allowed(words)
        split = info.data.get("split")
        if search is not None and split is not None and split.by == "time" and search.repeats > 1:
            words = "an object with repeats 1 where the split is by time: the folds would be the same"
            raise not_allowed(words)
        return search

    @field_validator("model")
    @classmethod
    def _model_or_space(cls, model: Any, info: ValidationInfo) -> Any:
        """Refuse a model beside a space to draw one from, and a config with neither."""
        if "search" not in info.data:  # it is refused already
            return model
        search = info.data["search"]
        searched = search is not None and search.space is not None
        if searched == (model is not None):
            words = "an object with estimator"
            if searched:
                words = "left away beside search.space, from which it is drawn (-S model=null)"
            raise not_allowed(words)
        return model

    @field_validator("model")
    @classmethod
    def _solver_fits_classes(cls, model: Any, info: ValidationInfo) -> Any:
        """Refuse before the fit what scikit-learn refuses in it: liblinear with more than two classes."""
        name = info.data.get("dataset")
        if getattr(model, "solver", "") == "liblinear" and isinstance(name, str) and (n := data_set(name).classes) > 2:
            words = f"one of {', '.join(MANY_CLASS_SOLVERS)} (liblinear fits two classes, {name} has {n})"
            where = InitErrorDetails(type=not_allowed(words), loc=("logistic", "solver"), input=model.solver)
            raise ValidationError.from_exception_data("Config", [where])
        return model


REMOVED = {
    "multi_class": "scikit-learn has removed it; every solver but liblinear fits the multinomial model",
    "n_jobs": "it has no effect in scikit-learn any more, and one thread fits the model",
}
"""What scikit-learn's LogisticRegression once took, and why it is no key."""
