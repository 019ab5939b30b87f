"""The section `model`: which classifiers a config may name, and what scikit-learn takes for each parameter."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import all_estimators
from sklearn.utils._param_validation import InvalidParameterError

from artifact_pipeline.config import from_mapping, load_config, of_recipe, recipe
from artifact_pipeline.config.estimators import NEAREST, WRITTEN
from artifact_pipeline.config.models import LogisticRegression
from artifact_pipeline.errors import ConfigError
from artifact_pipeline.training.candidate import train
from artifact_pipeline.training.constraints import Constraints
from artifact_pipeline.training.estimators import build, estimator_class, faults, resolved
from artifact_pipeline.training.reading import read_config

if TYPE_CHECKING:
    from pathlib import Path

    from artifact_pipeline.config import Config
    from artifact_pipeline.training.candidate import Candidate

SHORT = {"C": 1.0, "solver": "lbfgs", "max_iter": 1000}
DEPRECATED = "PassiveAggressiveClassifier"
"""scikit-learn will remove this one, and says so wherever it is made; we make it without a word."""
PARTS = {"few": {"estimator": "RandomForestClassifier", "n_estimators": 3}, "line": {"estimator": "LogisticRegression"}}
NESTED: dict[str, dict[str, Any]] = {
    "VotingClassifier": {"estimators": PARTS},
    "StackingClassifier": {"estimators": PARTS},
    "CalibratedClassifierCV": {"base_estimator": PARTS["line"]},
    "OneVsRestClassifier": {"base_estimator": PARTS["line"]},
}
"""What a classifier must have which is made of others."""
OTHERS = {"estimators", "estimator", "final_estimator"}
"""The parameters of scikit-learn that are classifiers."""
GENERIC = [name for name in WRITTEN if name != "LogisticRegression"]


def read(model: object) -> Config:
    return resolved(from_mapping({"model": model}, check=faults))


def example(name: str, **parameters: Any) -> dict[str, Any]:
    """A config's `model` of this classifier."""
    return {"estimator": name, **NESTED.get(name, {}), **parameters}


def refused(model: object) -> list[tuple[str, str]]:
    """The rule and the message of each problem."""
    with pytest.raises(ConfigError) as caught:
        read(model)
    return [(each.rule, each.message) for each in caught.value.problems]


def test_every_estimator_is_a_classifier_of_scikit_learn() -> None:
    """Each name that can be written, and each that is told its nearest one, is a classifier of scikit-learn."""
    classifiers = dict(all_estimators("classifier"))
    assert {name: estimator_class(name) for name in WRITTEN} == {name: classifiers[name] for name in WRITTEN}
    assert set(NEAREST) <= classifiers.keys() - WRITTEN.keys()
    assert set(NEAREST.values()) <= WRITTEN.keys()


@pytest.mark.parametrize("name", WRITTEN)
def test_an_estimator_is_fitted_by_its_name_alone(name: str) -> None:
    """The defaults of each classifier fit with no warning but of iterations, and every part has the random state."""
    X = np.abs(np.random.default_rng(3).normal(size=(60, 4))) + 3 * np.repeat([0, 1], 30)[:, None]
    built = build(read(example(name)), ["a", "b"])
    seeds = [value for key, value in built.get_params().items() if key.rpartition("__")[2] == "random_state"]
    assert set(seeds) <= {42}
    assert not [value for key, value in built.get_params().items() if key.endswith("n_jobs") and value]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fitted = clone(built).fit(X, np.repeat(["a", "b"], 30))
    found = {each.category for each in caught}
    assert found <= {ConvergenceWarning} | ({FutureWarning} if name == DEPRECATED else set())
    assert fitted.score(X, np.repeat(["a", "b"], 30)) >= 0.5


HOSTILE: list[Any] = [
    *(True, False, None, -1, 0, 1, 2, 10**400, -0.5, 0.0, 0.3, 1.0, 1.5, float("nan"), float("inf")),
    *("x", "auto", "l2", [], [1], [0.5, 0.5], ["x"], [None], [[1, 2]], {}, {"a": 1.0}, {"a": "x"}),
]


@pytest.mark.parametrize("name", GENERIC)
def test_what_scikit_learn_refuses_is_refused_before(name: str) -> None:
    """A value that the check takes is one that scikit-learn's own validation takes, for every parameter."""
    constraints = Constraints.of(estimator_class(name))
    taken = 0
    for key in constraints.names:
        for value in HOSTILE:
            if key in {*OTHERS, "class_weight"} or list(faults({"model": example(name, **{key: value})})):
                continue
            taken += 1
            try:
                build(read(example(name, **{key: value})), [0, 1])._validate_params()
            except InvalidParameterError as error:
                pytest.fail(f"{name}.{key} = {value!r}: {error}")
    assert taken or name == "OneVsRestClassifier"  # which has none but the classifier


def test_defaults_are_taken_and_left_out_of_the_recipe() -> None:
    """A default that is written out, by whatever number, gives the recipe of the config that leaves it away."""
    for name in GENERIC:
        constraints = Constraints.of(estimator_class(name))
        given = {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in constraints.defaults.items()
            if not list(faults({"model": example(name, **{key: value})})) and key not in {*OTHERS, "voting"}
        }
        assert given or name == "OneVsRestClassifier"
        assert recipe(read(example(name, **given)))["model"] == recipe(read(example(name)))["model"], name
    one = recipe(read(example("GradientBoostingClassifier", learning_rate=1)))
    assert one == recipe(read(example("GradientBoostingClassifier", learning_rate=1.0)))
    assert json.dumps(one["model"]) == '{"estimator": "GradientBoostingClassifier", "learning_rate": 1.0}'
    # A share of 1.0 is all rows, a count of 1 is one.
    assert recipe(read(example("RandomForestClassifier", max_features=1.0)))["model"]["max_features"] == 1.0


@pytest.mark.parametrize("name", GENERIC)
def test_a_recipe_is_a_config_again(name: str) -> None:
    """The recipe of each classifier reads back as the same config."""
    asked = read(example(name))
    assert resolved(from_mapping(recipe(asked), check=faults)) == asked


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    (
        {"estimator": "RandomForest"},
        "not-allowed",
        (
            "model.estimator: must be a classifier that can be written, got 'RandomForest', did you mean "
            "RandomForestClassifier?"
        ),
    ),
    (
        {"estimator": "RadiusNeighborsClassifier"},
        "not-allowed",
        (
            "model.estimator: must be a classifier that can be written (RadiusNeighborsClassifier cannot; the nearest "
            "is KNeighborsClassifier), got 'RadiusNeighborsClassifier', did you mean KNeighborsClassifier?"
        ),
    ),
    (
        {"estimator": 5},
        "wrong-type",
        "model.estimator: must be the name of a classifier of scikit-learn, got 5",
    ),
    (
        {"n_estimators": 5},
        "missing-key",
        "model.estimator: is missing, must be the name of a classifier of scikit-learn",
    ),
    (
        example("RandomForestClassifier", n_estimator=5),
        "unknown-key",
        "model.n_estimator: RandomForestClassifier has no such parameter, did you mean n_estimators?",
    ),
    (
        example("RandomForestClassifier", n_estimators=0),
        "out-of-range",
        "model.n_estimators: must be a whole number of at least 1, got 0",
    ),
    (
        example("RandomForestClassifier", n_estimators=True),
        "wrong-type",
        "model.n_estimators: must be a whole number of at least 1, got True",
    ),
    (
        example("RandomForestClassifier", n_estimators=3.0),
        "wrong-type",
        "model.n_estimators: must be a whole number of at least 1, got 3.0, which has a point or an exponent",
    ),
    (
        example("DecisionTreeClassifier", criterion="ginni"),
        "not-allowed",
        'model.criterion: must be one of "entropy", "gini", "log_loss", got \'ginni\', did you mean gini?',
    ),
    (
        example("RandomForestClassifier", random_state=1),
        "unknown-key",
        "model.random_state: no key of a config: the random_state of the config reaches every estimator",
    ),
    (
        example("RandomForestClassifier", n_jobs=2),
        "unknown-key",
        (
            "model.n_jobs: no key of a config: `train --jobs` says how many fit the parts of a model, whose bytes do "
            "not depend on it"
        ),
    ),
    (
        example("MLPClassifier", warm_start=True),
        "unknown-key",
        (
            "model.warm_start: no key of a config: every fit starts from nothing, so that the same config "
            "gives the same bytes"
        ),
    ),
    (
        example("MLPClassifier", verbose=True),
        "unknown-key",
        "model.verbose: no key of a config: it prints, and changes nothing of the model",
    ),
    (
        example("LinearDiscriminantAnalysis", covariance_estimator="x"),
        "unknown-key",
        "model.covariance_estimator: no key of a config: it takes an object of Python, which JSON cannot write",
    ),
    (
        example("VotingClassifier", voting="loud"),
        "not-allowed",
        'model.voting: must be one of "hard", "soft", got \'loud\'',
    ),
    (
        example("SVC", kernel="precomputed"),
        "not-allowed",
        'model.kernel: must be one of "linear", "poly", "rbf", "sigmoid", got \'precomputed\'',
    ),
    (
        example("SVC", probability=True),
        "unknown-key",
        (
            "model.probability: no key of a config: scikit-learn has deprecated it, and CalibratedClassifierCV around "
            "the classifier gives probabilities"
        ),
    ),
    (
        example("NuSVC", decision_function_shape="ovo"),
        "not-allowed",
        "model.decision_function_shape: must be \"ovr\", got 'ovo', did you mean ovr?",
    ),
    (
        example("KNeighborsClassifier", algorithm="brute"),
        "unknown-key",
        "model.algorithm: no key of a config: each row is compared with all training rows",
    ),
    (
        example("KNeighborsClassifier", metric="cosine"),
        "not-allowed",
        'model.metric: must be one of "euclidean", "manhattan", "minkowski", got \'cosine\'',
    ),
    (
        example("KNeighborsClassifier", p=None),
        "wrong-type",
        "model.p: must be a finite number above 0, got None",
    ),
    (
        example("CalibratedClassifierCV", method="isotonic"),
        "not-allowed",
        "model.method: must be \"sigmoid\", got 'isotonic'",
    ),
    (
        example("StackingClassifier", cv="prefit"),
        "wrong-type",
        "model.cv: must be a whole number of at least 2, or null, got 'prefit'",
    ),
    (
        example("AdaBoostClassifier", base_estimator={"estimator": "KNeighborsClassifier"}),
        "not-allowed",
        (
            "model.base_estimator.estimator: must be a classifier whose rows may have weights, got "
            "'KNeighborsClassifier'"
        ),
    ),
    (
        example("BaggingClassifier", base_estimator={"estimator": "SVC", "kernal": "rbf"}),
        "unknown-key",
        "model.base_estimator.kernal: SVC has no such parameter, did you mean kernel?",
    ),
    (
        example("BaggingClassifier", base_estimator={"estimator": "LogisticRegression", "C": 0}),
        "out-of-range",
        "model.base_estimator.C: must be a finite number greater than 0, got 0",
    ),
    (
        example("StackingClassifier", final_estimator={"estimator": "RidgeClassifier", "alpha": -1}),
        "out-of-range",
        "model.final_estimator.alpha: must be a finite number of at least 0 or an array of numbers, got -1",
    ),
    (
        example(
            "CalibratedClassifierCV", base_estimator={"estimator": "LogisticRegression", "class_weight": {"a": -1}}
        ),
        "out-of-range",
        "model.base_estimator.class_weight.a: must be a finite number greater than 0, got -1",
    ),
    (
        example("StackingClassifier", estimators={"cv": PARTS["line"]}),
        "not-allowed",
        "model.estimators: must be an object whose keys are names that scikit-learn takes, not 'cv', got an object",
    ),
    (
        {"estimator": "OneVsRestClassifier"},
        "missing-key",
        "model.base_estimator: is missing, must be an object with estimator",
    ),
    (
        example("BaggingClassifier", base_estimator="SVC"),
        "wrong-type",
        "model.base_estimator: must be an object with estimator, got 'SVC'",
    ),
    (
        example("LogisticRegressionCV", penalty="l1"),
        "unknown-key",
        "model.penalty: scikit-learn has deprecated it",
    ),
    (
        example("MLPClassifier", alpha=float("nan")),
        "not-finite",
        "model.alpha: must be a finite number of at least 0, got nan",
    ),
    (
        {"estimator": "VotingClassifier"},
        "missing-key",
        (
            "model.estimators: is missing, must be an object with at least one classifier, by a name "
            "without two underscores in a row, each an object"
        ),
    ),
    (
        {"estimator": "LogisticRegression", "c": 1},
        "unknown-key",
        "model.c: unknown key, did you mean C?",
    ),
    (
        {"estimator": "LogisticRegression", "C": 0},
        "out-of-range",
        "model.C: must be a finite number greater than 0, got 0",
    ),
]


@pytest.mark.parametrize(("model", "rule", "message"), REFUSED)
def test_a_wrong_model_is_refused(model: dict[str, Any], rule: str, message: str) -> None:
    """Each wrong name, key and value is refused by its own rule, and what may have been meant is said."""
    assert refused(model) == [(rule, message)]


def test_a_wrong_parameter_is_refused_at_its_line_and_column(tmp_path: Path) -> None:
    """Every problem, also of a classifier inside another, is said at its line and column, with those of other keys."""
    file = tmp_path / "config.json"
    file.write_text(
        '{"test_size": 2,\n "model": {"estimator": "VotingClassifier", "weights": "x", "estimators": {\n'
        '  "forest": {"estimator": "RandomForestClassifier", "max_depht": 3},\n'
        '  "net": {"estimator": "MLPClassifer"}}}}'
    )
    with pytest.raises(ConfigError) as caught:
        load_config(file, ["model.weights=5"], check=faults)
    problems = [str(each).removeprefix(f"{file}:").partition(", did you")[0] for each in caught.value.problems]
    assert problems == [
        "1:15: test_size: must be a number between 0 and 1, both excluded, got 2",
        "3:53: model.estimators.forest.max_depht: RandomForestClassifier has no such parameter",
        '4:24: model.estimators.net.estimator: must be a classifier that can be written, got "MLPClassifer"',
        "-S model.weights=5: model.weights: must be an array of numbers or null, got 5",
    ]


@pytest.mark.parametrize("name", ["a__b", "", "voting"])
def test_a_name_that_scikit_learn_refuses_is_refused(name: str) -> None:
    """The classifiers of a VotingClassifier have names that scikit-learn takes."""
    ((rule, message),) = refused({"estimator": "VotingClassifier", "estimators": {name: PARTS["few"]}})
    assert (rule, message.partition(", got")[0]) == (
        "not-allowed",
        f"model.estimators: must be an object whose keys are names that scikit-learn takes, not {name!r}",
    )


def test_class_weight_counts_by_the_labels() -> None:
    """The labels of `class_weight`, text in JSON, are those of the rows; one that no row has is refused."""
    config = read(example("DecisionTreeClassifier", class_weight={"1": 2, "0": 1.5}))
    assert build(config, [0, 1]).class_weight == {0: 1.5, 1: 2.0}
    with pytest.raises(ConfigError, match="labels that the rows have not") as caught:
        build(config, [1, 2])
    assert str(caught.value.problems[0]).startswith("config: model.class_weight.0: no row has this label")


def test_the_long_form_is_the_short_form() -> None:
    """A LogisticRegression by its name is the config that its keys at the top are, to the byte of its recipe."""
    long = from_mapping(
        {"model": {"estimator": "LogisticRegression", **SHORT}, "split": {"by": "random", "test_size": 0.2}}
    )
    assert long == from_mapping(SHORT)
    assert json.dumps(recipe(long)) == json.dumps(recipe(from_mapping(SHORT)))
    defaults = from_mapping({"model": {"estimator": "LogisticRegression"}}).model
    theirs = Constraints.of(estimator_class("LogisticRegression")).defaults
    given = defaults.model_dump(exclude={"estimator"})
    assert given == {key: theirs[key] for key in given}


def test_both_forms_give_one_artifact(candidate: Candidate) -> None:
    """The digits trained by the long form, every default of the config said, have the digest of the short form."""
    long = {
        "name": "digits",
        "dataset": "digits",
        "split": {"by": "random", "stratify": False},
        "preprocess": "none",
        "model": {"estimator": "LogisticRegression", "max_iter": 1000, "l1_ratio": 0, "class_weight": None},
    }
    assert train(read_config(long), progress=lambda _: None).digest == candidate.digest


def test_both_forms_at_once_are_refused() -> None:
    """A key of the short form beside its section is refused, and where it belongs is said."""
    with pytest.raises(ConfigError) as caught:
        from_mapping({**SHORT, "model": {"estimator": "GaussianNB"}, "split": {"by": "random"}, "test_size": 0.3})
    assert [str(each) for each in caught.value.problems] == [
        f"config: {key}: unknown key: beside {section} it must be written {section}.{key}"
        for section, key in [*[("model", each) for each in SHORT], ("split", "test_size")]
    ]


def test_the_types_of_logistic_regression_are_scikit_learns() -> None:
    """Each key that our type has of LogisticRegression is a parameter of scikit-learn's, within its own bounds."""
    constraints = Constraints.of(estimator_class("LogisticRegression"))
    for key in LogisticRegression.model_fields.keys() - {"estimator"}:
        for value in HOSTILE:
            if key in {"class_weight", "penalty"}:
                continue
            try:
                from_mapping({**SHORT, "solver": "saga", key: value})
            except ConfigError:
                continue
            assert any(each.takes(value) for each in constraints.alternatives(key)), (key, value)


def test_tables_have_defaults_of_their_own() -> None:
    """A table is prepared, split by a hash and judged by its baseline; the digits are as documented."""
    table = {**SHORT, "dataset": {"path": "a.csv", "target": "Hair Colour"}}
    asked = from_mapping(table)
    assert (asked.name, asked.preprocess, asked.split.by, asked.gate.beats_baseline) == (
        "hair-colour",
        "auto",
        "hash",
        True,
    )
    assert (asked.gate.min_accuracy, asked.gate.min_f1) == (None, None)
    assert from_mapping({**SHORT, "dataset": "iris"}).gate == asked.gate
    assert from_mapping({**table, "gate": {"min_f1": 0.5}}).gate.min_f1 == 0.5
    assert from_mapping({**table, "stratify": True}).split.by == "random"
    digits = from_mapping(SHORT)
    assert (digits.name, digits.preprocess, digits.split.by) == ("digits", "none", "random")
    assert (digits.gate.min_accuracy, digits.gate.beats_baseline) == (0.95, False)
    before = {**recipe(asked), "name": "digits", "gate": {"min_accuracy": 0.9, "min_f1": 0.9}}
    del before["preprocess"]
    for one in (before, recipe(asked)):
        read_again = of_recipe({**one, "dataset": {**one["dataset"], "path": "c.csv"}})
        assert recipe(from_mapping(read_again)) == one


def test_a_gate_that_asks_for_nothing_is_refused() -> None:
    """A gate without a bound and without the baseline would let every model pass."""
    with pytest.raises(ConfigError, match="would let every model pass"):
        from_mapping({**SHORT, "dataset": {"path": "a.csv", "target": "b"}, "gate": {"beats_baseline": False}})
