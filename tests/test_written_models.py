from __future__ import annotations

import functools
import os
import subprocess
import sys
import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from msgspec import json
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import VotingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.naive_bayes import BernoulliNB, GaussianNB
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

from artifact_pipeline.errors import ConfigError
from artifact_pipeline.model.check import checked_plan
from artifact_pipeline.model.graph import Graph, port
from artifact_pipeline.model.plan import plan
from artifact_pipeline.model.reading import read
from artifact_pipeline.model.spec import CategoryPart, Linear, Neural, Quadratic, Steps
from artifact_pipeline.model.wire import encode
from artifact_pipeline.model.writer import write
from artifact_pipeline.rows.features import Column, Features
from fitted import (
    COLUMNS,
    Table,
    classifiers,
    digests,
    digits_table,
    fit,
    mixed_table,
    number_steps,
    parity,
    pipeline,
    unseen,
    written,
)

DIGITS = digits_table()
MIXED = {2: mixed_table(classes=2), 3: mixed_table(classes=3)}
CLASSIFIERS = classifiers()


def construct(name: str) -> Any:
    """One of the classifiers, unfitted; some are deprecated, and warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return clone(CLASSIFIERS[name])


@functools.cache
def mixed_model(name: str, classes: int) -> Any:
    """A classifier behind an imputer with indicators, a scaler and an encoder."""
    table = MIXED[classes]
    return fit(pipeline(table, construct(name), number=number_steps(name)), table)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_written_classifier_answers_the_digits_as_scikit_learn_does(name: str) -> None:
    """No label differs, and no probability by more than 1e-12, of all rows and of one alone."""
    model = fit(construct(name), DIGITS)
    for rows in (DIGITS.rows, DIGITS.rows[5:6]):
        found = parity(model, DIGITS.columns, rows)
        assert found.unequal == 0
        assert found.difference <= 1e-12


@pytest.mark.parametrize("classes", MIXED)
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_written_classifier_answers_a_mixed_table_as_scikit_learn_does(name: str, classes: int) -> None:
    """The same where values are missing, unseen, near 1.7e9 or constant, and labels are texts of two or three."""
    table = MIXED[classes]
    found = parity(mixed_model(name, classes), table.columns, unseen(table.rows))
    assert found.unequal == 0
    assert found.difference <= 1e-12


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_onnx_accepts_what_is_written_and_the_spec_survives_json(name: str) -> None:
    """The checker of onnx accepts the bytes, and the spec read back from JSON is the one that they were written by."""
    table = MIXED[3]
    data, steps = written(mixed_model(name, 3), table.columns)
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    again = json.decode(json.encode(steps), type=Steps)
    assert again == steps
    checked_plan(data, table.columns, again, sorted(set(table.labels)))


def test_long_lists_of_whole_numbers_come_back() -> None:
    """A list of a million numbers is written and read as it was, up to the greatest of 63 bits; onnx reads the same."""
    values = np.random.default_rng(0).integers(0, 2**63, 1_000_000, dtype=np.int64) >> np.arange(1_000_000) % 63
    values[:9] = [2 ** (7 * digits) - 1 for digits in range(1, 10)]
    graph = Graph()
    graph.add("TreeEnsemble", "X", domain="ai.onnx.ml", nodes_featureids=graph.declare_list("ids", len(values)))
    message = graph.message([port("X", "float64", 1)], [])

    data = encode(message, {"ids": values.tobytes()})

    assert read(data, message) == {"ids": values.tobytes()}
    assert list(onnx.load_from_string(data).graph.node[0].attribute[0].ints) == values.tolist()


NUMBER_STEPS = {
    "mean": [SimpleImputer()],
    "median, robust": [SimpleImputer(strategy="median", add_indicator=True), RobustScaler()],
    "robust without centering": [SimpleImputer(), RobustScaler(with_centering=False)],
    "most frequent, standard": [SimpleImputer(strategy="most_frequent"), StandardScaler()],
    "constant, standard without mean": [
        SimpleImputer(strategy="constant", fill_value=-1),
        StandardScaler(with_mean=False),
    ],
    "standard without deviation": [SimpleImputer(), StandardScaler(with_std=False)],
    "scaled, then imputed": [StandardScaler(), SimpleImputer(), MinMaxScaler((-1, 2))],
    "principal components": [SimpleImputer(), StandardScaler(), PCA(3, random_state=0)],
    "whitened": [SimpleImputer(), StandardScaler(), PCA(5, whiten=True, random_state=0), MinMaxScaler()],
}
FREQUENT = SimpleImputer(missing_values="", strategy="most_frequent")
CATEGORY_STEPS = {
    "one-hot": "one_hot",
    "ordinal": "ordinal",
    "imputed, one-hot": [FREQUENT, "one_hot"],
    "imputed, ordinal": [FREQUENT, "ordinal"],
}


def without_level_of_its_own(table: Table) -> Table:
    """The table whose categories do not have a missing value as a level."""
    columns = (replace(each, levels=tuple(filter(None, each.levels))) for each in table.columns)
    return Table(tuple(columns), table.rows, table.labels)


@pytest.mark.parametrize("category", CATEGORY_STEPS)
@pytest.mark.parametrize("number", NUMBER_STEPS)
def test_written_steps_answer_as_those_of_scikit_learn(number: str, category: str) -> None:
    """Each step on numbers beside each step on categories gives the same labels and the same probabilities."""
    table = without_level_of_its_own(MIXED[3]) if "imputed" in category else MIXED[3]
    steps = clone(Pipeline([(str(at), step) for at, step in enumerate(NUMBER_STEPS[number])])).named_steps.values()
    encoder = CATEGORY_STEPS[category]
    model = fit(pipeline(table, GaussianNB(), number=list(steps), category=encoder), table)
    found = parity(model, table.columns, unseen(table.rows))
    assert found.unequal == 0
    assert found.difference <= 1e-12


def test_a_missing_value_that_becomes_a_rare_level_is_an_unknown_one() -> None:
    """Where the most frequent level is none that the model knows, a missing value is answered as any unknown level."""
    plain = without_level_of_its_own(MIXED[3])
    kept = [level for level in plain.columns[1].levels if level != Counter(plain.rows.S[:, 0]).most_common(1)[0][0]]
    columns = tuple(replace(each, levels=tuple(kept)) if each.name == "city" else each for each in plain.columns)
    table = Table(columns, plain.rows, plain.labels)
    number = [SimpleImputer(), StandardScaler()]
    model = fit(pipeline(table, LogisticRegression(), number=number, category=[FREQUENT, "one_hot"]), table)
    found = parity(model, columns, unseen(table.rows))
    assert (found.unequal, found.difference <= 1e-12) == (0, True)


def test_a_model_is_not_written_for_columns_that_it_was_not_fitted_on() -> None:
    """Columns with other levels, or in another order of kinds, are refused."""
    model = mixed_model("logistic", 3)
    other = tuple(replace(each, levels=each.levels[1:]) for each in COLUMNS)
    for columns in (other, COLUMNS[:-1], COLUMNS[:1] + COLUMNS):
        with pytest.raises(ConfigError, match="model cannot be written"):
            write(model, columns)


def test_categories_alone_are_written() -> None:
    """A model of categories has the input `S` and no `X`."""
    table = MIXED[2]
    columns = tuple(each for each in table.columns if each.kind == "category")
    table = Table(columns, Features(table.rows.X[:, :0], table.rows.S), table.labels)
    model = fit(pipeline(table, LogisticRegression()), table)
    found = parity(model, columns, unseen(table.rows))
    assert (found.unequal, found.difference <= 1e-12) == (0, True)
    data, steps = written(model, columns)
    planned = checked_plan(data, columns, steps, ["hoch", "tief"])
    assert planned.message["graph"]["input"] == [port("S", "string", 2)]


def test_numbers_that_are_left_as_they_are_need_no_step() -> None:
    """A pipeline that passes its numbers through has the spec that its classifier alone has."""
    models = (pipeline(DIGITS, GaussianNB()), GaussianNB())
    passed, alone = (written(fit(each, DIGITS), DIGITS.columns)[1] for each in models)
    assert passed == alone


CHECK = """
import sys
from math import prod
from pathlib import Path
sys.modules["numpy"] = sys.modules["onnx"] = sys.modules["sklearn"] = None  # an import of them fails
from msgspec import json
from artifact_pipeline.model.check import checked_plan
from artifact_pipeline.model.spec import Steps
from artifact_pipeline.rows.features import Column
columns, steps = json.decode(Path("said.json").read_bytes(), type=tuple[tuple[Column, ...], Steps])
planned = checked_plan(Path("model.onnx").read_bytes(), columns, steps, ["hoch", "mittel", "tief"])
print(sum(prod(each.dims) for each in planned.numbers if each.dtype == "float64"))
"""


def test_a_model_is_checked_without_numpy(tmp_path: Path) -> None:
    """Only trees need NumPy; everything else is checked by the standard library."""
    table = MIXED[3]
    data, steps = written(mixed_model("vote with weights", 3), table.columns)
    (tmp_path / "model.onnx").write_bytes(data)
    (tmp_path / "said.json").write_bytes(json.encode((table.columns, steps)))
    environment = os.environ | {"PYTHONPATH": str(Path("src").resolve())}
    done = subprocess.run([sys.executable, "-c", CHECK], capture_output=True, check=True, cwd=tmp_path, env=environment)
    assert int(done.stdout) > 100


@pytest.mark.slow
def test_two_processes_write_the_same_bytes() -> None:
    """Each classifier fitted on the same rows becomes the same bytes in another process, by another hash seed."""
    environment = os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(["src", "tests"])}
    code = "import fitted; print(fitted.digests())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=environment)
    assert done.stdout.decode().strip() == str(digests())


MEMORY = """
import resource, sys
import numpy as np
from fitted import Session, Table, classifiers, fit, written
from artifact_pipeline.rows.features import Column, Features
random = np.random.default_rng(0)
labels = np.repeat(np.arange(100), 10)
X = random.normal(size=(1000, 64)) + random.normal(size=(100, 64))[labels]
columns = tuple(Column(f"x{number}", "number") for number in range(64))
table = Table(columns, Features.of_numbers(X), labels)
rows = Features.of_numbers(np.tile(X, (10, 1)))
name, = sys.argv[1:]
session = Session(written(fit(classifiers()[name], table), columns)[0])
session(rows[:1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert session(rows)[1].shape == (10_000, 100)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gaussian", "quadratic discriminant by eigenvalues", "centroid"])
def test_ten_thousand_rows_take_bounded_memory(name: str) -> None:
    """A model of 100 classes does not hold rows x classes x columns, half a gigabyte: less than a quarter of it."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(["src", "tests"])}
    done = subprocess.run([sys.executable, "-c", MEMORY, name], capture_output=True, check=True, env=environment)
    assert int(done.stdout) < 128 << 10


@pytest.mark.parametrize(
    ("classifier", "levels", "rows"),
    [
        (Linear(probabilities=None), 4096, 4096),
        (Linear(probabilities=None), 65_536, 256),
        (Neural(activation="relu", hidden=(10, 32_768, 10)), 2, 512),
        (Quadratic(ranks=(2, 16_384)), 2, 1024),
    ],
    ids=["narrow", "many levels", "a wide layer", "many directions"],
)
def test_a_wide_model_takes_fewer_rows_a_call(classifier: Any, levels: int, rows: int) -> None:
    """The widest matrix of a call takes 128 MiB at most, wherever in the model it stands."""
    names = [str(number) for number in range(levels)]
    columns = [Column(f"c{at}", "category", levels=tuple(names[at : at + 8192])) for at in range(0, levels, 8192)]
    planned = plan(columns, Steps(classifier=classifier, parts=(CategoryPart(encoding="one_hot"),)), [0, 1])
    assert planned.rows == rows


NO_BINARY = Table(
    DIGITS.columns[:2], Features.of_numbers(np.repeat([[1.0, 0.0], [1.0, 1.0]], 4, axis=0)), np.repeat([0, 1], 4)
)
NEVER_THERE = Table(
    MIXED[2].columns[:1] + DIGITS.columns[:1],
    Features.of_numbers(np.column_stack([np.full(9, np.nan), np.arange(9.0)])),
    np.arange(9) % 2,
)
NOT_WRITTEN = {
    "a classifier of no family": (DummyClassifier(), DIGITS, "model-not-written"),
    "a vote of scores": (VotingClassifier([("svc", RidgeClassifier())], voting="soft"), DIGITS, "onnx-graph"),
    "a scaler that clips": (
        pipeline(DIGITS, GaussianNB(), number=[MinMaxScaler(clip=True)]),
        DIGITS,
        "model-not-written",
    ),
    "a step of no kind": (pipeline(DIGITS, GaussianNB(), number=[MaxAbsScaler()]), DIGITS, "model-not-written"),
    "a column that is never there": (
        pipeline(NEVER_THERE, GaussianNB(), number=[SimpleImputer()]),
        NEVER_THERE,
        "model-not-written",
    ),
    "a probability of zero": (BernoulliNB(alpha=0), NO_BINARY, "onnx-not-finite"),
}


@pytest.mark.parametrize("name", NOT_WRITTEN)
def test_what_has_no_place_in_a_model_is_not_written(name: str) -> None:
    """A fitted model that the graph cannot hold as it is, or whose numbers are not finite, is refused by rule."""
    model, table, rule = NOT_WRITTEN[name]
    with np.errstate(all="ignore"):
        fitted = fit(model, table)
    with pytest.raises(ConfigError) as refusal, np.errstate(all="ignore"):
        write(fitted, table.columns)
    assert refusal.value.rules == {rule}
