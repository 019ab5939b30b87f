"""The unfitted model of a config: a classifier alone, or behind the steps that prepare the columns for it.

The steps are scikit-learn's own, in a `Pipeline`, so that what is fitted is an ordinary object. An encoder is given
the levels that the model knows, so that no rare level, which is data of a few people, reaches the model.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from artifact_pipeline.config.estimators import WRITTEN
from artifact_pipeline.config.preparing import Preparation, Step
from artifact_pipeline.errors import ConfigError, DataRejected, Problem
from artifact_pipeline.rows.features import MISSING, category_columns, number_columns
from artifact_pipeline.rows.folding import MIN_ROWS
from artifact_pipeline.rows.mends import mends
from artifact_pipeline.training.estimators import build

if TYPE_CHECKING:
    from collections.abc import Sequence

    from artifact_pipeline.config import Config
    from artifact_pipeline.rows.features import Column

_IMPUTE = "impute_"
_MIN_MAX = "min_max_scale"


class _Needs(NamedTuple):
    """The step that scales a classifier's columns, empty for none, and whether missing numbers must be imputed."""

    scale: str
    imputed: bool


def unfitted(config: Config, columns: Sequence[Column], labels: Sequence[int | str]) -> Any:
    """Return the model that the config describes: a `Pipeline`, or the classifier alone where nothing is prepared.

    Args:
        config: a config that was compared with scikit-learn's constraints.
        columns: the columns that the model knows; the steps take them by their names.
        labels: the labels of the rows, by which `class_weight` counts.

    Raises:
        ConfigError: the columns need a step that the config does not have, or `class_weight` names a label that no row
            has.
        DataRejected: the model would know no level of a category.
    """
    classifier = build(config, labels)
    steps = preparation(config, columns)
    numbers, categories = number_columns(columns), category_columns(columns)
    _check_steps(config, steps, columns)
    if not steps.number and not categories:
        return classifier
    import numpy as np
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import FunctionTransformer

    transformers: list[tuple[str, Any, list[str]]] = []
    if numbers:
        made = [(f"{position}_{each.step}", _number_step(each)) for position, each in enumerate(_steps(steps))]
        transformers.append(("number", Pipeline(made) if made else FunctionTransformer(np.asarray), _names_of(numbers)))
    if categories:
        levels = [list(column.levels) for column in categories]
        made = [(f"{position}_{each}", _category_step(each, levels)) for position, each in enumerate(steps.category)]
        transformers.append(("category", Pipeline(made), _names_of(categories)))
    return Pipeline([("columns", ColumnTransformer(transformers)), ("classifier", classifier)])


def _names_of(columns: Sequence[Column]) -> list[str]:
    """Return the names of columns, each as the object that Python decodes from its bytes.

    A pickle holds an object once, however often it stands in a model. Python has one object for each single letter, and
    Arrow takes it for `feature_names_in_`; msgspec makes another one, so the pickle would depend on the reader.
    """
    return [each.name.encode().decode() for each in columns]


def preparation(config: Config, columns: Sequence[Column]) -> Preparation:
    """Return the steps that the config asks for; `auto` chooses them by the classifier and by the columns.

    Missing numbers become the median, unless the classifier takes them itself; numbers are scaled for classifiers whose
    fit depends on it; categories are encoded by a column for each level.
    """
    if isinstance(config.preprocess, Preparation):
        return config.preprocess
    if config.preprocess == "none":
        return Preparation()
    needs = _needs(config.model)
    numbers: list[str] = []
    if needs.imputed and any(column.nullable for column in number_columns(columns)):
        numbers.append("impute_median")
    if needs.scale and number_columns(columns):
        numbers.append(needs.scale)
    categories = ["one_hot"] if category_columns(columns) else []
    return Preparation.model_validate({"number": numbers, "category": categories})


def known_columns(config: Config, columns: Sequence[Column]) -> tuple[Column, ...]:
    """Return the columns as the model knows them: where a missing category is imputed, it is no level of its own."""
    if not any(each.startswith(_IMPUTE) for each in preparation(config, columns).category):
        return tuple(columns)
    return tuple(
        replace(column, levels=tuple(level for level in column.levels if level != MISSING)) for column in columns
    )


def _steps(steps: Preparation) -> list[Step]:
    """The steps for numbers; a name alone has become a step in the config's type."""
    return [each for each in steps.number if isinstance(each, Step)]


def _needs(model: Any) -> _Needs:
    """What a classifier needs; of one that holds others, what any of them needs."""
    inner = [_needs(each) for each in getattr(model, "inner", {}).values()]
    traits = WRITTEN[model.estimator]
    if not inner:
        return _Needs(traits.scale, imputed=not traits.missing)
    scales = {each.scale for each in inner} - {""}
    scale = _MIN_MAX if _MIN_MAX in scales else next(iter(scales), "")
    return _Needs(scale, imputed=model.estimator == "AdaBoostClassifier" or any(each.imputed for each in inner))


def _check_steps(config: Config, steps: Preparation, columns: Sequence[Column]) -> None:
    """Refuse columns that the classifier does not take without another step, and name the step."""
    categories = category_columns(columns)
    _check_levels(categories)
    problems = []
    if categories and not steps.category:
        message = f"preprocess.category: the column {categories[0].name!r} holds categories, which must be encoded"
        problems.append(Problem("config", "missing-step", message))
    imputed = any(each.step.startswith(_IMPUTE) for each in _steps(steps))
    nullable = [column.name for column in number_columns(columns) if column.nullable]
    assert config.model is not None
    if nullable and not imputed and _needs(config.model).imputed:
        why = f"has missing values, which {config.model.estimator} cannot learn"
        message = f"preprocess.number: the column {nullable[0]!r} {why}"
        problems.append(Problem("config", "missing-step", message))
    if problems:
        raise ConfigError(
            "the columns cannot be learned as they are",
            problems=problems,
            hint='set preprocess to "auto", or give the steps: {"number": ["impute_median"], "category": ["one_hot"]}',
        )


def _check_levels(categories: Sequence[Column]) -> None:
    """Refuse categories of which a model would know no level."""
    empty = [column.name for column in categories if not column.levels]
    if empty:
        message = f"none of its levels has {MIN_ROWS} training rows, so it would be *other* in all of them"
        problems = [Problem(f"column {name!r}", "rare-levels", message) for name in empty]
        raise DataRejected("the table cannot be learned", problems=problems, hint=mends(drop=empty))


def _number_step(step: Step) -> Any:
    """Return the unfitted step for numbers."""
    from sklearn.decomposition import PCA
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

    plain = {"standard_scale": StandardScaler, _MIN_MAX: MinMaxScaler, "robust_scale": RobustScaler}
    if step.step in plain:
        return plain[step.step]()
    if step.step == "pca":  # the other solvers draw random numbers
        return PCA(n_components=step.n_components, svd_solver="full")
    strategy = step.step.removeprefix(_IMPUTE)
    fill = step.value if strategy == "constant" else None
    return SimpleImputer(strategy=strategy, fill_value=fill, add_indicator=step.indicator)


def _category_step(step: str, levels: list[list[str]]) -> Any:
    """Return the unfitted step for categories; a level that an encoder does not know is *other* to it."""
    import numpy as np
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

    known = [np.array(each, dtype=object) for each in levels]
    if step == "one_hot":
        return OneHotEncoder(categories=known, handle_unknown="ignore", sparse_output=False, dtype=np.float64)
    if step == "ordinal":
        return OrdinalEncoder(categories=known, handle_unknown="use_encoded_value", unknown_value=-1, dtype=np.float64)
    return SimpleImputer(missing_values=MISSING, strategy="most_frequent")
