"""A written tree, forest or boosting answers as scikit-learn does, bit by bit where trees alone decide."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from msgspec import json
from sklearn.base import clone
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

from artifact_pipeline.errors import ConfigError
from artifact_pipeline.model import classifiers
from artifact_pipeline.model.check import checked_plan
from artifact_pipeline.model.families import boosting, forest, trees
from artifact_pipeline.model.families import family as family_rules
from artifact_pipeline.model.families.trees import estimated_bytes
from artifact_pipeline.model.spec import Steps
from artifact_pipeline.model.writer import write
from artifact_pipeline.rows.features import Column, Features
from fitted import Session, Table, digits_table, fit, mixed_table, parity, pipeline, unseen, written

if TYPE_CHECKING:
    from types import ModuleType

DIGITS = digits_table()
MIXED = {2: mixed_table(classes=2), 3: mixed_table(classes=3)}
FORESTS = {
    "DecisionTree": DecisionTreeClassifier(random_state=0),
    "DecisionTree of one node": DecisionTreeClassifier(max_depth=1, random_state=0),
    "DecisionTree pruned": DecisionTreeClassifier(ccp_alpha=0.005, random_state=0),
    "ExtraTree": ExtraTreeClassifier(random_state=0),
    "RandomForest": RandomForestClassifier(n_estimators=40, random_state=0),
    "RandomForest of mixed leaves": RandomForestClassifier(
        n_estimators=60, min_samples_leaf=3, class_weight="balanced", random_state=0
    ),
    "RandomForest by best leaf": RandomForestClassifier(n_estimators=20, max_leaf_nodes=12, random_state=0),
    "ExtraTrees": ExtraTreesClassifier(n_estimators=30, random_state=0),
}
BOOSTED = {
    "GradientBoosting": GradientBoostingClassifier(n_estimators=15, random_state=0),
    "HistGradientBoosting": HistGradientBoostingClassifier(max_iter=20, random_state=0),
}
CLASSIFIERS = FORESTS | BOOSTED


@cache
def digits_model(name: str) -> Any:
    """A classifier fitted on the digits; only read afterwards."""
    return fit(clone(CLASSIFIERS[name]), DIGITS)


@cache
def mixed_model(name: str, classes: int) -> Any:
    """A classifier behind an encoder, and behind an imputer where it takes no missing value; only read afterwards."""
    number = [SimpleImputer()] if name == "GradientBoosting" else []
    return fit(pipeline(MIXED[classes], clone(CLASSIFIERS[name]), number=number), MIXED[classes])


def most(name: str) -> float:
    """How much a probability may differ: that of a forest by nothing."""
    return 0.0 if name in FORESTS else 1e-12


def numbers_table(X: np.ndarray, labels: Any) -> Table:
    """A table of numbers alone."""
    columns = tuple(Column(f"x{number}", "number", nullable=True) for number in range(X.shape[1]))
    return Table(columns, Features.of_numbers(np.ascontiguousarray(X)), np.asarray(labels))


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_written_trees_answer_the_digits_as_scikit_learn_does(name: str) -> None:
    """No label differs; a probability by nothing for forests, by 1e-12 at most for boosted trees."""
    found = parity(digits_model(name), DIGITS.columns, DIGITS.rows)
    assert found.unequal == 0
    assert found.difference <= most(name)


@pytest.mark.parametrize("classes", MIXED)
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_written_trees_answer_a_mixed_table_as_scikit_learn_does(name: str, classes: int) -> None:
    """The same where values are missing, unseen, near 1.7e9 or constant; missing ones go the tree's own way."""
    table, model = MIXED[classes], mixed_model(name, classes)
    found = parity(model, table.columns, unseen(table.rows))
    assert found.unequal == 0
    assert found.difference <= most(name)


@pytest.mark.parametrize("name", ["RandomForest of mixed leaves", *BOOSTED])
def test_ten_thousand_rows_and_each_of_them_alone_are_answered_alike(name: str) -> None:
    """Of 10,000 rows no label differs from scikit-learn's, and a row alone has the same answer."""
    model = mixed_model(name, 3)
    rows = mixed_table(10_000, seed=1).rows
    found = parity(model, MIXED[3].columns, rows)
    session = Session(written(model, MIXED[3].columns)[0])
    labels, answers = session(rows)
    assert found.unequal == 0
    assert found.difference <= most(name)
    for row in range(0, 10_000, 499):
        label, answer = session(rows[row : row + 1])
        assert label[0] == labels[row]
        assert abs(answer - answers[row]).max() <= (0.0 if name in FORESTS else 1e-15)  # a softmax, row by row


@pytest.mark.parametrize("name", BOOSTED)
def test_the_scores_of_boosted_trees_have_scikit_learns_bits(name: str) -> None:
    """What the trees give is added in the same order, to the same beginning; only the softmax has bits of its own."""
    model, table = mixed_model(name, 3), MIXED[3]
    graph = onnx.load_from_string(written(model, table.columns)[0])
    (softmax,) = (node for node in graph.graph.node if node.op_type == "Softmax")
    graph.graph.output[1].name = softmax.input[0]
    scores = Session(graph.SerializeToString())(table.rows)[1]
    assert (scores == model.decision_function(table.together())).all()


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_onnx_accepts_written_trees_and_their_spec_survives_json(name: str) -> None:
    """The checker of onnx accepts the bytes, and the spec read back from JSON is the one that they were written by."""
    table = MIXED[3]
    model = mixed_model(name, 3)
    data, steps = written(model, table.columns)
    onnx.checker.check_model(onnx.load_from_string(data))
    again = json.decode(json.encode(steps), type=Steps)
    assert again == steps
    checked_plan(data, table.columns, again, sorted(set(table.labels)))


def around(values: np.ndarray) -> np.ndarray:
    """Values, the doubles beside them, the floats beside them, and the doubles around what is halfway of floats."""
    floats = values.astype(np.float32)
    near = [np.nextafter(floats, side).astype(np.float64) for side in (np.float32(-np.inf), np.float32(np.inf))]
    halfway = [(floats.astype(np.float64) + each) / 2 for each in near]
    found = np.concatenate([values, floats.astype(np.float64), *near, *halfway])
    return np.concatenate([found, np.nextafter(found, -np.inf), np.nextafter(found, np.inf)])


@pytest.mark.parametrize(
    "classifier",
    [
        DecisionTreeClassifier(random_state=0),
        ExtraTreesClassifier(n_estimators=10, random_state=0),
        GradientBoostingClassifier(n_estimators=10, random_state=0),
        HistGradientBoostingClassifier(max_iter=10, min_samples_leaf=2, random_state=0),
    ],
    ids=lambda classifier: type(classifier).__name__,
)
def test_rows_beside_a_threshold_fall_on_the_side_that_scikit_learn_takes(classifier: Any) -> None:
    """Seconds near 1.7e9, where floats lie 128 apart, and hundredths: each row within one bit of a border agrees."""
    random = np.random.default_rng(0)
    seconds = 1.7e9 + random.integers(0, 4000, 600)
    X = np.column_stack([seconds, random.integers(0, 100, 600) / 100])
    table = numbers_table(X, (seconds // 300 + X[:, 1] * 7).astype(int) % 3)
    model = fit(classifier, table)
    values = [around(np.unique(column)) for column in X.T]
    rows = np.column_stack([random.choice(column, 20_000) for column in values])
    found = parity(model, table.columns, Features.of_numbers(rows))
    assert found.unequal == 0
    assert found.difference <= (0.0 if hasattr(model, "tree_") or hasattr(model, "max_samples") else 1e-12)


@pytest.mark.parametrize(
    "classifier",
    [
        DecisionTreeClassifier(),
        RandomForestClassifier(n_estimators=7, random_state=0),
        GradientBoostingClassifier(n_estimators=3),
        GradientBoostingClassifier(n_estimators=3, init="zero"),
        HistGradientBoostingClassifier(max_iter=3),
    ],
    ids=str,
)
@pytest.mark.parametrize("labels", ["abb", "ab"])
def test_trees_of_one_leaf_are_written(classifier: Any, labels: str) -> None:
    """A constant column gives trees that are a leaf alone, and two equal classes a score of zero.

    Its label is the first one by histogram gradient boosting, and the second one by gradient boosting.
    """
    table = numbers_table(np.ones((60, 1)), list(labels) * (60 // len(labels)))
    found = parity(fit(clone(classifier), table), table.columns, table.rows)
    assert found.unequal == 0
    assert found.difference <= 1e-15


@pytest.mark.parametrize("name", ["DecisionTree", "ExtraTrees", "HistGradientBoosting"])
def test_a_tree_that_parts_missing_values_from_all_others_is_written(name: str) -> None:
    """Such a node has an infinite threshold in scikit-learn; the largest finite numbers go the same way."""
    X = np.where(np.arange(200) % 2, np.nan, np.arange(200.0))[:, None]
    table = numbers_table(X, np.isnan(X[:, 0]).astype(int))
    model = fit(clone(CLASSIFIERS[name]), table)
    largest = np.finfo(np.float32).max if name != "HistGradientBoosting" else np.finfo(np.float64).max
    rows = np.array([[np.nan], [0.0], [largest], [-largest], [1e30]], dtype=np.float64)
    found = parity(model, table.columns, Features.of_numbers(rows))
    assert found.unequal == 0
    assert found.difference <= 1e-15


@pytest.mark.parametrize("name", ["DecisionTree", "RandomForest", "ExtraTrees", "HistGradientBoosting"])
def test_a_value_that_was_never_missing_in_training_may_be_missing(name: str) -> None:
    """It goes the way of the most training rows, in the model as in scikit-learn."""
    rows = DIGITS.rows.X.copy()
    rows[np.random.default_rng(0).random(rows.shape) < 0.2] = np.nan
    found = parity(digits_model(name), DIGITS.columns, Features.of_numbers(rows))
    assert found.unequal == 0
    assert found.difference <= most(name)


MEMORY = """
import resource
import numpy as np
from fitted import Session, Table, fit
from sklearn.ensemble import RandomForestClassifier
from artifact_pipeline.model.writer import write
from artifact_pipeline.rows.features import Column, Features
rows = Features.of_numbers(np.random.default_rng(0).normal(size=(4096, 5)))
table = Table(tuple(Column(f"x{number}", "number") for number in range(5)), rows, np.arange(4096) % 100)
session = Session(write(fit(RandomForestClassifier(300, max_depth=3, random_state=0), table), table.columns)[0])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
session(rows)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_a_call_holds_the_shares_of_few_trees_at_a_time(request: pytest.FixtureRequest) -> None:
    """Of 300 trees over 100 classes 4,096 rows have 937 MiB of shares, and the call takes less than 128 MiB."""
    grown = subprocess.run(
        [sys.executable, "-c", MEMORY], cwd=request.path.parent, check=True, capture_output=True, text=True
    ).stdout
    assert int(grown) < 128 << 10


def test_trees_take_part_in_a_vote() -> None:
    """A forest, boosted trees and a linear classifier have a place in one model, each with numbers of its own."""
    names = ("RandomForest", "GradientBoosting")
    estimators = [(name, clone(CLASSIFIERS[name]).set_params(n_estimators=5)) for name in names]
    vote = VotingClassifier(
        [*estimators, ("linear", LogisticRegression(max_iter=50))], voting="soft", weights=[1, 2, 3]
    )
    found = parity(fit(vote, DIGITS), DIGITS.columns, DIGITS.rows)
    assert found.unequal == 0
    assert found.difference <= 1e-12


def test_many_classes_are_added_in_several_steps_with_the_same_bits() -> None:
    """A forest whose shares do not fit in one step is exact as well; 20 trees over 60 classes take 3 steps."""
    random = np.random.default_rng(0)
    table = numbers_table(random.normal(size=(900, 5)), np.arange(900) % 60)
    model = fit(RandomForestClassifier(n_estimators=20, min_samples_leaf=2, random_state=0), table)
    found = parity(model, table.columns, table.rows)
    data = written(model, table.columns)[0]
    assert sum(node.op_type == "CumSum" for node in onnx.load_from_string(data).graph.node) == 3
    assert (found.unequal, found.difference) == (0, 0.0)


def test_the_exponential_loss_has_its_own_probabilities() -> None:
    """With `loss="exponential"` a probability is the sigmoid of twice the score."""
    table = MIXED[2]
    classifier = GradientBoostingClassifier(n_estimators=15, loss="exponential", random_state=0)
    model = fit(pipeline(table, classifier, number=[SimpleImputer()]), table)
    found = parity(model, table.columns, table.rows)
    assert found.unequal == 0
    assert found.difference <= 1e-12


WRITE = """
import sys
from fitted import digits_table, fit
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from artifact_pipeline.model.writer import write
table = digits_table()
for classifier in (
    ExtraTreesClassifier(n_estimators=30, random_state=0, n_jobs=2),
    HistGradientBoostingClassifier(max_iter=5, random_state=0),
):
    sys.stdout.buffer.write(write(fit(classifier, table), table.columns)[0])
"""


@pytest.mark.slow
def test_trees_have_the_same_bytes_in_another_process(request: pytest.FixtureRequest) -> None:
    """Another process, another hash seed and two jobs give the bytes that one job gives here."""
    there = subprocess.run(
        [sys.executable, "-c", WRITE],
        cwd=request.path.parent,
        env={**os.environ, "PYTHONHASHSEED": "77", "OMP_NUM_THREADS": "1"},
        check=True,
        capture_output=True,
    ).stdout
    boosted = fit(clone(BOOSTED["HistGradientBoosting"]).set_params(max_iter=5), DIGITS)
    here = [write(model, DIGITS.columns)[0] for model in (digits_model("ExtraTrees"), boosted)]
    assert there == b"".join(here)


def test_a_forest_with_too_many_nodes_is_refused_before_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal says what to set, and which estimator would be smaller."""
    monkeypatch.setattr(trees, "MAX_NODES", 500)
    model = digits_model("RandomForest")
    with pytest.raises(ConfigError) as refused:
        write(model, DIGITS.columns)
    assert refused.value.rules == {"model-not-written"}
    assert '"min_samples_leaf": 20' in str(refused.value.hint)
    assert "HistGradientBoostingClassifier" in str(refused.value.hint)


@pytest.mark.parametrize(
    ("name", "family", "bound", "hint"),
    [
        ("RandomForest", forest, "MAX_TREES", 'set "n_estimators": 5 or fewer'),
        ("HistGradientBoosting", boosting, "MAX_CLASS_STEPS", 'take "ExtraTreesClassifier"'),
    ],
)
def test_too_many_steps_are_refused_with_a_hint(
    name: str, family: ModuleType, bound: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each tree of a forest is a step, and each class of boosted trees; both have a bound."""
    monkeypatch.setattr(family, bound, 5)
    with pytest.raises(ConfigError) as refused:
        write(digits_model(name), DIGITS.columns)
    assert refused.value.rules == {"model-not-written"}
    assert hint in str(refused.value.hint)


@pytest.mark.parametrize("name", ["RandomForest", *BOOSTED])
def test_trees_that_take_too_many_bytes_are_refused_with_a_hint(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The size is estimated from the fit, and nothing is written."""
    monkeypatch.setattr(family_rules, "MAX_BYTES", 10_000)
    with pytest.raises(ConfigError) as refused:
        write(digits_model(name), DIGITS.columns)
    assert refused.value.rules == {"model-not-written"}
    assert refused.value.hint


@pytest.mark.parametrize("name", ["RandomForest", "HistGradientBoosting"])
def test_the_estimate_of_a_size_is_near_what_is_written(name: str) -> None:
    """It is within a tenth of the bytes."""
    model = digits_model(name)
    size = len(write(model, DIGITS.columns)[0])
    assert 0.9 * size <= estimated_bytes(classifiers.describe(model)[1]) <= size


def test_a_tree_that_is_too_deep_is_refused_before_it_is_written() -> None:
    """Labels that alternate on a column give a tree of one chain; the hint says which depth is allowed."""
    table = numbers_table(np.arange(1200.0)[:, None], np.arange(1200) % 2)
    model = fit(DecisionTreeClassifier(random_state=0), table)
    assert model.tree_.max_depth > 512
    with pytest.raises(ConfigError) as refused:
        write(model, table.columns)
    assert refused.value.hint == 'set "max_depth": 512 at most'


def test_boosting_that_begins_with_another_estimator_is_refused() -> None:
    """`init` may give each row another number, which no tree does."""
    classifier = GradientBoostingClassifier(init=LogisticRegression(max_iter=50), n_estimators=2)
    with pytest.raises(ConfigError) as refused:
        write(fit(classifier, DIGITS), DIGITS.columns)
    assert refused.value.hint == 'leave "init" out'


def test_boosting_with_categories_of_its_own_is_refused() -> None:
    """The model encodes categories before the trees."""
    random = np.random.default_rng(0)
    table = numbers_table(random.integers(0, 5, (300, 1)).astype(float), random.integers(0, 2, 300))
    table.labels[:] = table.rows.X[:, 0] % 2
    with pytest.raises(ConfigError) as refused:
        write(fit(HistGradientBoostingClassifier(categorical_features=[0], max_iter=3), table), table.columns)
    assert refused.value.hint == 'leave "categorical_features" out'
