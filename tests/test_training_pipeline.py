"""From the config's `model` and `preprocess`, and the columns, to a model of scikit-learn's that can be written."""

from __future__ import annotations

import warnings
from pickle import dumps
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from artifact_pipeline.config import from_mapping
from artifact_pipeline.config.estimators import WRITTEN
from artifact_pipeline.errors import ConfigError, DataRejected
from artifact_pipeline.rows.features import Column, Features, category_columns, number_columns
from artifact_pipeline.training.estimators import faults, resolved
from artifact_pipeline.training.fitting import fit_model, frame, one_thread
from artifact_pipeline.training.pipeline import known_columns, preparation, unfitted
from fitted import COLUMNS, digits_table, mixed_table, parity, taken, unseen

if TYPE_CHECKING:
    from artifact_pipeline.config import Config

NUMBERS = number_columns(COLUMNS)
WHOLE = tuple(Column(each.name, each.kind) for each in NUMBERS)
PARTS = {"line": {"estimator": "LogisticRegression"}, "bayes": {"estimator": "GaussianNB"}}
FEW: dict[str, dict[str, Any]] = {
    "RandomForestClassifier": {"n_estimators": 5},
    "ExtraTreesClassifier": {"n_estimators": 5},
    "GradientBoostingClassifier": {"n_estimators": 5},
    "HistGradientBoostingClassifier": {"max_iter": 5},
    "MLPClassifier": {"max_iter": 20},
    "QuadraticDiscriminantAnalysis": {"reg_param": 0.1},
    "NuSVC": {"nu": 0.2},
    "VotingClassifier": {"estimators": PARTS},
    "StackingClassifier": {"estimators": PARTS},
    "CalibratedClassifierCV": {"base_estimator": {"estimator": "LinearSVC"}},
    "OneVsRestClassifier": {"base_estimator": {"estimator": "LinearSVC"}},
    "AdaBoostClassifier": {"n_estimators": 10},
}


def config(estimator: str, preprocess: object = "auto", **parameters: Any) -> Config:
    model = {"estimator": estimator, **FEW.get(estimator, {}), **parameters}
    return resolved(from_mapping({"model": model, "preprocess": preprocess}, check=faults))


def steps(asked: Config, columns: tuple[Column, ...]) -> tuple[list[str], list[str]]:
    chosen = preparation(asked, columns)
    return chosen.short["number"], chosen.short["category"]


@pytest.mark.filterwarnings("ignore:Class PassiveAggressiveClassifier is deprecated")
@pytest.mark.parametrize("name", WRITTEN)
def test_what_auto_makes_of_a_mixed_table_is_written_exactly(name: str) -> None:
    """Each classifier learns missing numbers, categories and unseen ones by `auto`, and its written model agrees."""
    table = mixed_table(rows=400)
    model = unfitted(config(name), table.columns, np.unique(table.labels).tolist())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(taken(model, table.columns, table.rows), table.labels)
    found = parity(model, table.columns, unseen(table.rows))
    assert (found.unequal, found.difference <= 1e-12) == (0, True), found
    assert isinstance(clone(model), Pipeline)


def test_auto_chooses_by_the_classifier_and_the_columns() -> None:
    """Numbers are imputed where they are missing, scaled for classifiers that need it; categories are encoded."""
    assert steps(config("LinearSVC"), COLUMNS) == (["impute_median", "standard_scale"], ["one_hot"])
    assert steps(config("LinearSVC"), WHOLE) == (["standard_scale"], [])
    assert steps(config("LinearSVC"), category_columns(COLUMNS)) == ([], ["one_hot"])
    assert steps(config("ComplementNB"), NUMBERS) == (["impute_median", "min_max_scale"], [])
    assert steps(config("GradientBoostingClassifier"), NUMBERS) == (["impute_median"], [])
    assert steps(config("HistGradientBoostingClassifier"), COLUMNS) == ([], ["one_hot"])


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        (["RandomForestClassifier"], []),
        (["RandomForestClassifier", "GaussianNB"], ["impute_median"]),
        (["RandomForestClassifier", "LogisticRegression"], ["impute_median", "standard_scale"]),
        (["LogisticRegression", "MultinomialNB"], ["impute_median", "min_max_scale"]),
    ],
)
def test_auto_prepares_for_each_classifier_of_a_vote(inner: list[str], expected: list[str]) -> None:
    """A vote's columns are prepared so that each of its classifiers can learn them."""
    parts = {name.lower(): {"estimator": name} for name in inner}
    assert steps(config("VotingClassifier", estimators=parts), NUMBERS)[0] == expected


def test_a_classifier_alone_stays_alone() -> None:
    """Where nothing is prepared, the model is the classifier itself, as the digits have always had it."""
    table = digits_table()
    short = from_mapping({"C": 1.0, "solver": "lbfgs", "max_iter": 1000})
    model = unfitted(short, table.columns, range(10))
    assert type(model) is LogisticRegression
    assert model.get_params()["random_state"] == 42


ASKED = [
    (["impute_mean", "robust_scale"], ["ordinal"]),
    ([{"step": "impute_median", "indicator": True}, "min_max_scale"], ["impute_most_frequent", "one_hot"]),
    ([{"step": "impute_constant", "value": -1}, "standard_scale", {"step": "pca", "n_components": 3}], ["one_hot"]),
    (["impute_most_frequent", "standard_scale"], ["impute_most_frequent", "ordinal"]),
]


@pytest.mark.parametrize(("number", "category"), ASKED)
def test_steps_that_are_asked_for_are_written_exactly(number: list[Any], category: list[str]) -> None:
    """Each step by its name and parameters becomes scikit-learn's, and the written model agrees with it."""
    table = mixed_table(rows=400)
    asked = config("LogisticRegression", {"number": number, "category": category})
    columns = known_columns(asked, table.columns)
    model = unfitted(asked, columns, np.unique(table.labels).tolist())
    model.fit(taken(model, columns, table.rows), table.labels)
    found = parity(model, columns, unseen(table.rows))
    assert (found.unequal, found.difference <= 1e-12) == (0, True), found


@pytest.mark.parametrize("preprocess", ["none", {"number": ["standard_scale"]}])
def test_columns_that_need_a_step_are_refused(preprocess: object) -> None:
    """Categories without an encoder and missing numbers without an imputer are refused, with the mend."""
    with pytest.raises(ConfigError) as caught:
        unfitted(config("LogisticRegression", preprocess), COLUMNS, ["a", "b"])
    assert [(each.rule, each.message) for each in caught.value.problems] == [
        ("missing-step", "preprocess.category: the column 'city' holds categories, which must be encoded"),
        (
            "missing-step",
            "preprocess.number: the column 'age' has missing values, which LogisticRegression cannot learn",
        ),
    ]
    assert "auto" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("preprocess", "message"),
    [
        ("atuo", ': must be "none", "auto", or an object with number and category, got \'atuo\', did you mean auto?'),
        (5, ': must be "none", "auto", or an object with number and category, got 5'),
        ({"number": ["scale"]}, ".number.0: must be one of impute_mean, impute_median,"),
        ({"number": [{"step": "pca", "indicator": True}]}, ".number.0.indicator: must be left away with pca; it goes"),
        (
            {"number": [{"step": "pca", "n_components": 0}]},
            ".number.0.n_components: must be a whole number of at least",
        ),
        ({"number": ["pca", "standard_scale"]}, ".number: must be an array of steps for numbers in which pca"),
        ({"category": ["one_hot", "ordinal"]}, ".category: must be an array of steps for categories of which the last"),
        ({"category": ["impute_most_frequent"]}, ".category: must be an array of steps for categories of which the"),
        ({"numbers": []}, ".numbers: unknown key, did you mean number?"),
    ],
)
def test_a_wrong_preparation_is_refused(preprocess: object, message: str) -> None:
    """A wrong step, parameter or order is refused at its own place."""
    with pytest.raises(ConfigError) as caught:
        config("LogisticRegression", preprocess)
    (problem,) = caught.value.problems
    assert problem.message.startswith(f"preprocess{message}")


@pytest.mark.parametrize("encoder", ["one_hot", "ordinal"])
def test_a_category_of_rare_levels_alone_is_refused(encoder: str) -> None:
    """A category of which the model would know no level is refused by name, with the option that leaves it out."""
    columns = (Column("size", "number"), Column("name", "category", nullable=True))
    with pytest.raises(DataRejected) as caught:
        unfitted(config("LogisticRegression", {"category": [encoder]}), columns, ["no", "yes"])
    assert [(each.place, each.rule) for each in caught.value.problems] == [("column 'name'", "rare-levels")]
    assert caught.value.hint == "leave the columns out: -S 'dataset.drop=[\"name\"]'"


@pytest.mark.parametrize(
    "number",
    [["standard_scale"], ["min_max_scale"], ["robust_scale"], ["min_max_scale", "standard_scale"]],
    ids="-".join,
)
def test_a_large_table_is_scaled_as_scikit_learn_scales_it(number: list[str]) -> None:
    """Scalers that learn from a matrix give the bytes that the pipeline gives that scikit-learn fits on a table."""
    random = np.random.default_rng(7)
    columns = tuple(Column(f"column {at}", "number") for at in range(8))
    features = Features.of_numbers(random.normal(3, 1, (1 << 17, 8)) * 10.0 ** np.arange(-4, 4))
    features.X[:5] = features.X[0]
    features.X[:, 2] = 7.25
    y = random.integers(0, 2, len(features))
    asked = config("GaussianNB", {"number": number})
    expected = unfitted(asked, columns, [0, 1])
    with one_thread():
        expected.fit(frame(features, columns), y)
    fitted = fit_model(unfitted(asked, columns, [0, 1]), columns, features, y)
    assert dumps(fitted.model, protocol=5) == dumps(expected, protocol=5)
    assert fitted.notes == ()
