"""Classifiers that compare rows, and classifiers in classifiers: written, they answer as scikit-learn does."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from typing import Any

import numpy as np
import onnx
import pytest
from msgspec import json
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC, LinearSVC, NuSVC
from sklearn.tree import DecisionTreeClassifier

from artifact_pipeline.canonical import digest
from artifact_pipeline.errors import ConfigError
from artifact_pipeline.model.check import checked_plan
from artifact_pipeline.model.families import family, nested
from artifact_pipeline.model.plan import plan
from artifact_pipeline.model.spec import Neighbors, Steps, Svm
from artifact_pipeline.model.writer import write
from artifact_pipeline.rows.features import Column, Features
from fitted import Session, Table, digits_table, fit, mixed_table, parity, pipeline, unseen, written

DIGITS = digits_table()
MIXED = {2: mixed_table(classes=2), 3: mixed_table(classes=3)}
LINE, FOLDS = LogisticRegression(max_iter=200), LinearSVC(random_state=0)
TREE = DecisionTreeClassifier(min_samples_leaf=3, random_state=0)
WHOLE: dict[str, Any] = {"algorithm": "kd_tree", "leaf_size": 2**31 - 1}
"""How training has the nearest neighbours: all rows in one leaf, and the distances to the last bit."""
SHRUNK = QuadraticDiscriminantAnalysis(reg_param=0.1)
CLASSIFIERS: dict[str, Any] = {
    "svc": SVC(),
    "svc linear": SVC(kernel="linear"),
    "svc poly": SVC(kernel="poly", degree=5, coef0=1.0, gamma=0.01),
    "svc sigmoid": SVC(kernel="sigmoid", gamma="auto"),
    "svc break ties": SVC(break_ties=True),
    "nu svc": NuSVC(nu=0.2),
    "neighbors": KNeighborsClassifier(**WHOLE),
    "neighbors by distance": KNeighborsClassifier(weights="distance", **WHOLE),
    "neighbors manhattan": KNeighborsClassifier(3, metric="manhattan", weights="distance", **WHOLE),
    "neighbors minkowski": KNeighborsClassifier(p=3, weights="distance", **WHOLE),
    "calibrated": CalibratedClassifierCV(FOLDS),
    "calibrated together": CalibratedClassifierCV(GaussianNB(), ensemble=False),
    "calibrated counts": CalibratedClassifierCV(RandomForestClassifier(5, random_state=0), cv=2),
    "calibrated svc": CalibratedClassifierCV(SVC(), ensemble=False, cv=2),
    "calibrated discriminant": CalibratedClassifierCV(SHRUNK, cv=2),
    "calibrated boosting": CalibratedClassifierCV(HistGradientBoostingClassifier(max_iter=5, random_state=0), cv=2),
    "calibrated centroid": CalibratedClassifierCV(NearestCentroid(), cv=2),
    "stack": StackingClassifier([("svc", FOLDS), ("bayes", GaussianNB()), ("tree", TREE)], cv=2),
    "stack with columns": StackingClassifier(
        [("ridge", RidgeClassifier()), ("label", NearestCentroid(metric="manhattan"))],
        RandomForestClassifier(9, random_state=0),
        cv=2,
        passthrough=True,
    ),
    "stack of decisions": StackingClassifier(
        [("svc", SVC()), ("discriminant", SHRUNK)], FOLDS, stack_method="decision_function", cv=2
    ),
    "bag": BaggingClassifier(random_state=0),
    "bag of columns": BaggingClassifier(TREE, max_features=0.5, bootstrap_features=True, random_state=0),
    "bag of votes": BaggingClassifier(SVC(), n_estimators=3, max_samples=0.3, random_state=0),
    "calibrated bag": CalibratedClassifierCV(BaggingClassifier(FOLDS, n_estimators=3, random_state=0), cv=2),
    "adaboost": AdaBoostClassifier(n_estimators=20, random_state=0),
    "adaboost of deeper trees": AdaBoostClassifier(DecisionTreeClassifier(max_depth=3), n_estimators=9, random_state=0),
    "calibrated adaboost": CalibratedClassifierCV(AdaBoostClassifier(n_estimators=5, random_state=0), cv=2),
    "one against the rest": OneVsRestClassifier(LINE),
    "one against the rest by scores": OneVsRestClassifier(FOLDS),
    "one against the rest by boosting": OneVsRestClassifier(GradientBoostingClassifier(n_estimators=3, random_state=0)),
    "one against the rest by trees": OneVsRestClassifier(TREE),
    "vote of labels": VotingClassifier([("line", LINE), ("svc", FOLDS), ("tree", TREE)]),
    "weighted vote of labels": VotingClassifier(
        [("line", LINE), ("svc", FOLDS), ("tree", TREE)], weights=[1, 2.5, 0.3]
    ),
}
EACH = [
    pytest.param(name, marks=() if name in {"svc", "calibrated", "stack", "bag"} else pytest.mark.slow)
    for name in CLASSIFIERS
]
"""All of them; four stand for the others in the fast run."""


@functools.cache
def mixed_model(name: str, classes: int) -> Any:
    """A classifier behind an imputer with indicators, a scaler and an encoder."""
    table = MIXED[classes]
    steps = [SimpleImputer(add_indicator=True), StandardScaler()]
    return fit(pipeline(table, clone(CLASSIFIERS[name]), number=steps), table)


@pytest.mark.slow
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_it_answers_the_digits_as_scikit_learn_does(name: str) -> None:
    """No label differs, and no probability by more than 1e-12, of all rows and of one alone."""
    model = fit(clone(CLASSIFIERS[name]), DIGITS)
    for rows in (DIGITS.rows, DIGITS.rows[5:6]):
        found = parity(model, DIGITS.columns, rows)
        assert (found.unequal, found.difference <= 1e-12) == (0, True), found
        assert found.left_open < 200  # of 1,797, by Manhattan distances of whole numbers


@pytest.mark.parametrize("classes", MIXED)
@pytest.mark.parametrize("name", EACH)
def test_it_answers_a_mixed_table_as_scikit_learn_does(name: str, classes: int) -> None:
    """The same where values are missing, unseen, near 1.7e9 or constant, and labels are texts of two or three."""
    table = MIXED[classes]
    found = parity(mixed_model(name, classes), table.columns, unseen(table.rows))
    assert (found.unequal, found.difference <= 1e-12, found.left_open) == (0, True, 0), found


@pytest.mark.slow
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_ten_thousand_rows_and_each_of_them_alone_are_answered_alike(name: str) -> None:
    """Of 10,000 other rows no label differs from scikit-learn's, and a row alone has the same answer."""
    model, columns = mixed_model(name, 3), MIXED[3].columns
    rows = mixed_table(10_000, seed=1).rows
    found = parity(model, columns, rows)
    assert (found.unequal, found.difference <= 1e-12) == (0, True), found
    data, steps = written(model, columns)
    session = Session(data, plan(columns, steps, model.classes_.tolist()).rows)
    labels, answers = session(rows)
    for row in range(0, 10_000, 999):
        label, answer = session(rows[row : row + 1])
        assert label[0] == labels[row]
        assert abs(answer - answers[row]).max() <= 1e-12 * max(1, abs(answer).max())


@pytest.mark.parametrize("name", EACH)
def test_onnx_accepts_what_is_written_and_the_spec_survives_json(name: str) -> None:
    """The checker of onnx accepts the bytes, and the spec read back from JSON is the one that they were written by."""
    table = MIXED[3]
    data, steps = written(mixed_model(name, 3), table.columns)
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    again = json.decode(json.encode(steps), type=Steps)
    assert again == steps
    checked_plan(data, table.columns, again, sorted(set(table.labels)))


def digests() -> dict[str, str]:
    """The digest of the bytes of each classifier, fitted on the same rows."""
    table = mixed_table(300)
    steps = [SimpleImputer(), StandardScaler()]
    models = {name: fit(pipeline(table, clone(each), number=steps), table) for name, each in CLASSIFIERS.items()}
    return {name: digest(written(model, table.columns)[0]) for name, model in models.items()}


@pytest.mark.slow
def test_two_processes_write_the_same_bytes() -> None:
    """Each classifier fitted on the same rows becomes the same bytes in another process, by another hash seed."""
    environment = os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(["src", "tests"])}
    code = "import test_composed_models as own; print(own.digests())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=environment)
    assert done.stdout.decode().strip() == str(digests())


def whole_numbers(rows: int, seed: int) -> Features:
    """Rows of three small whole numbers, of which many are equally far from each other."""
    return Features.of_numbers(np.random.default_rng(seed).integers(0, 4, (rows, 3)).astype(float))


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8])
def test_of_training_rows_that_are_equally_far_the_first_ones_count(count: int) -> None:
    """Each row's neighbours are those that a sort by distance gives which keeps the order of the training rows."""
    rows, others = whole_numbers(120, 0), whole_numbers(200, 1)
    labels = np.random.default_rng(2).integers(0, 3, 120)
    columns = tuple(Column(f"x{number}", "number") for number in range(3))
    model = fit(KNeighborsClassifier(count, **WHOLE), Table(columns, rows, labels))
    far = ((others.X[:, None] - rows.X[None]) ** 2).sum(axis=2)
    nearest = labels[np.argsort(far, axis=1, kind="stable")[:, :count]]
    expected = np.stack([(nearest == label).mean(axis=1) for label in range(3)], axis=1)
    found, answers = Session(written(model, columns)[0])(others)
    assert np.abs(answers - expected).max() <= 1e-15
    assert (found == expected.argmax(axis=1)).all()
    left_open = parity(model, columns, others)
    assert (left_open.unequal, left_open.difference) == (0, 0.0)
    assert left_open.left_open > 0


def test_equal_rows_have_no_distance() -> None:
    """Of neighbours by distance, an equal training row decides alone, whatever its columns' sizes are."""
    table = mixed_table(300)
    numbers = Table(table.columns[:1], Features.of_numbers(np.nan_to_num(table.rows.X[:, 3:4] / 7)), table.labels)
    model = fit(KNeighborsClassifier(weights="distance", **WHOLE), numbers)
    answers = Session(written(model, numbers.columns)[0])(numbers.rows)[1]
    assert set(answers.max(axis=1)) == {1.0}


def test_a_class_that_a_bag_has_not_drawn_has_no_share_of_its_answer() -> None:
    """Classifiers that were fitted on some of the classes alone count for those, as in scikit-learn."""
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [40, 40, 2])
    rows = Features.of_numbers(generator.normal(size=(82, 3)) + labels[:, None])
    columns = tuple(Column(f"x{number}", "number") for number in range(3))
    bag = BaggingClassifier(KNeighborsClassifier(3, **WHOLE), n_estimators=8, max_samples=0.3, random_state=0)
    model = fit(bag, Table(columns, rows, labels))
    assert {len(each.classes_) for each in model.estimators_} == {2, 3}
    found = parity(model, columns, rows)
    assert (found.unequal, found.difference <= 1e-15) == (0, True)


@pytest.mark.parametrize(
    ("classifier", "rows"),
    [
        (Svm(kernel="rbf", degree=1, vectors=(5_000, 3_000), break_ties=False), 209),
        (Svm(kernel="linear", degree=1, vectors=(5_000, 3_000), break_ties=False), 3_355),
        (Neighbors(rows=100_000, neighbors=5, metric="euclidean", by_distance=False), 10),
        (Neighbors(rows=2_000_000, neighbors=5, metric="euclidean", by_distance=False), 1),
    ],
    ids=["kernel", "product", "many rows", "more than a call should hold"],
)
def test_what_compares_rows_takes_fewer_of_them_a_call(classifier: Any, rows: int) -> None:
    """The differences from all rows that the model holds take 128 MiB at most, or those of one row."""
    columns = [Column(f"x{number}", "number") for number in range(16)]
    assert plan(columns, Steps(classifier=classifier), [0, 1]).rows == rows


MEMORY = """
import resource, sys
import numpy as np
from test_composed_models import *
generator = np.random.default_rng(0)
table = Table(DIGITS.columns, Features.of_numbers(generator.normal(size=(5000, 64))), np.arange(5000) % 5)
model = fit({"svc": SVC(), "neighbors": KNeighborsClassifier(**WHOLE)}[sys.argv[1]], table)
data, steps = written(model, table.columns)
session = Session(data, plan(table.columns, steps, [0, 1, 2, 3, 4]).rows)
session(table.rows[:1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
session(table.rows[:500])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["svc", "neighbors"])
def test_a_call_takes_bounded_memory(name: str) -> None:
    """500 rows beside 5,000 of 64 columns would take 1.2 GiB, and take less than 512 MiB."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(["src", "tests"])}
    done = subprocess.run([sys.executable, "-c", MEMORY, name], capture_output=True, check=True, env=environment)
    assert int(done.stdout) < 512 << 10


FEW = Table(DIGITS.columns, DIGITS.rows[:300], DIGITS.labels[:300])
REFUSED = {
    "probabilities of scikit-learn": (SVC(probability=True), "CalibratedClassifierCV with a SVC in it"),
    "a score for each pair": (SVC(decision_function_shape="ovo"), 'set "decision_function_shape": "ovr"'),
    "a metric in a table": (KNeighborsClassifier(metric="canberra"), 'set "metric": "euclidean"'),
    "weights by a function": (KNeighborsClassifier(weights=lambda far: 1 / (1 + far)), 'set "metric": "euclidean"'),
    "isotonic": (CalibratedClassifierCV(LINE, method="isotonic", cv=2), 'set "method": "sigmoid"'),
    "saturated": (OneVsRestClassifier(GaussianNB()), "LogisticRegression"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_written_exactly_is_refused_with_what_can(name: str) -> None:
    """An estimator that is given with a parameter that no model has is refused, and the hint says what to set."""
    estimator, hint = REFUSED[name]
    with pytest.raises(ConfigError) as refused:
        write(fit(estimator, FEW), FEW.columns)
    assert refused.value.rules == {"model-not-written"}
    assert hint in str(refused.value.hint)


def test_counts_answer_without_a_decision() -> None:
    """A naive Bayes of counts is calibrated by its probabilities, though its steps are a linear classifier's."""
    table = MIXED[3]
    model = pipeline(table, CalibratedClassifierCV(MultinomialNB(), cv=2), number=[SimpleImputer(), MinMaxScaler()])
    found = parity(fit(model, table), table.columns, table.rows)
    assert (found.unequal, found.difference <= 1e-12) == (0, True)


@pytest.mark.parametrize("name", ["svc", "neighbors"])
def test_too_many_rows_are_refused_with_a_hint(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the model would hold is measured before anything is written."""
    monkeypatch.setattr(family, "MAX_BYTES", 10_000)
    with pytest.raises(ConfigError) as refused:
        write(fit(clone(CLASSIFIERS[name]), FEW), FEW.columns)
    assert refused.value.rules == {"model-not-written"}
    assert "fewer training rows" in str(refused.value.hint)


def test_too_many_classifiers_are_refused_with_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bag has a bound, as a forest has."""
    monkeypatch.setattr(nested, "MAX_INNER", 5)
    with pytest.raises(ConfigError) as refused:
        write(fit(clone(CLASSIFIERS["bag"]), FEW), FEW.columns)
    assert refused.value.hint == 'set "n_estimators": 5 or fewer'
