"""The config: what loads, what is refused, in which words and at which place."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import jsonschema
import pytest
from pydantic import ValidationError

from artifact_pipeline.config import (
    Config,
    Gate,
    Table,
    from_mapping,
    json_schema,
    load_config,
    plain,
    recipe,
    schema_text,
)
from artifact_pipeline.config.models import MANY_CLASS_SOLVERS, Solver
from artifact_pipeline.config.problems import by_label
from artifact_pipeline.errors import ConfigError

ROOT = Path(__file__).parents[1]
REQUIRED = {"C": 1.0, "solver": "lbfgs", "max_iter": 1000}
SOLVERS = "lbfgs, newton-cg, newton-cholesky, sag, saga, liblinear"
DATASET = "one of digits, iris, wine, breast_cancer, or an object with path and target"
TEN_CLASSES = "lbfgs, newton-cg, newton-cholesky, sag, saga (liblinear fits two classes, digits has 10)"
NAME = "name: must be a string of 1 to 64 characters a-z, 0-9, dot, underscore or dash, first a letter or digit"
TABLE = "a string, the path of a table"
KEYS = (
    "name, dataset, split, test_size, stratify, feedback, random_state, preprocess, search, model, C, solver, "
    "max_iter, tol, class_weight, fit_intercept, l1_ratio, penalty, range_margin, gate, about"
)
PENALTY = (
    '"l2" (l1 is "l1_ratio": 1 with the solver saga or liblinear, elasticnet an l1_ratio between 0 and 1 with saga, '
    "and no penalty a large C)"
)
WEIGHTS = '"balanced", an object such as {"malignant": 10}, or null'
RECALL = 'a number from 0 to 1, an object such as {"malignant": 0.9}, or null'


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Where the tests write their config; `config.json` of the working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "config.json"


def refuse(file, data=None, overrides=()):
    """The error that loading ends with, after writing `data`."""
    if data is not None:
        file.write_bytes(data if isinstance(data, bytes) else data.encode("utf-8"))
    with pytest.raises(ConfigError) as caught:
        load_config(file, overrides)
    assert caught.value.exit_status == 2
    assert caught.value.hint
    return caught.value


def told(error):
    """The problems as they are printed, with their rules."""
    return [(problem.rule, str(problem)) for problem in error.problems]


def with_value(key, value):
    """A config's text whose `key` has the JSON text `value`, in line 5 if it is an optional key."""
    values = {key: json.dumps(each) for key, each in REQUIRED.items()} | {key: value}
    return "{\n" + ",\n".join(f'  "{key}": {each}' for key, each in values.items()) + "\n}\n"


# What loads


def test_committed_config_is_the_documented_one():
    """The committed config has the documented three keys and means the documented training."""
    config = load_config(ROOT / "config" / "config.json")
    text = (ROOT / "config" / "config.json").read_text()
    assert text == json.dumps({"$schema": "./config.schema.json", **REQUIRED}, indent=2) + "\n"
    assert config == Config(C=1.0, solver="lbfgs", max_iter=1000)
    assert config.gate == Gate(min_accuracy=0.95, min_f1=0.95)
    assert recipe(config) == {
        "name": "digits",
        "dataset": "digits",
        "test_size": 0.2,
        "random_state": 42,
        "stratify": False,
        "C": 1.0,
        "solver": "lbfgs",
        "max_iter": 1000,
        "range_margin": 0.5,
        "gate": {"min_accuracy": 0.95, "min_f1": 0.95},
    }


def test_config_is_frozen_and_strict():
    """A config cannot be changed, and the types refuse by themselves what the file may not hold."""
    config = from_mapping(REQUIRED)
    with pytest.raises(ValidationError):
        config.random_state = 2
    for wrong in ({"max_iter": "5"}, {"C": True}, {"c": 1.0}, {"solver": "liblinear"}):
        with pytest.raises(ValidationError):
            Config(**{**REQUIRED, **wrong})


def test_mapping_by_hand_needs_three_keys_only():
    """A dict with C, solver and max_iter, or one read from the file with `$schema`, is a config."""
    assert from_mapping(REQUIRED) == from_mapping({**REQUIRED, "$schema": "./config.schema.json"})
    assert from_mapping({**REQUIRED, "dataset": Table(path="rows.csv", target="label")}).dataset == Table(
        path="rows.csv", target="label"
    )


def test_one_recipe_for_one_number():
    """1 and 1.0, and zero and minus zero, are one recipe, and its numbers are floats."""
    gate = {"min_accuracy": 0, "min_f1": -0.0}
    one, other = (
        recipe(from_mapping({**REQUIRED, **each}))
        for each in ({"C": 1, "gate": gate}, {"gate": {"min_accuracy": -0.0, "min_f1": 0}})
    )
    assert json.dumps(one) == json.dumps(other)
    assert json.dumps(one["gate"]) == '{"min_accuracy": 0.0, "min_f1": 0.0}'


DEFAULTS = {
    "tol": 1e-4,
    "class_weight": None,
    "fit_intercept": True,
    "l1_ratio": 0,
    "penalty": "l2",
    "gate": {"min_f1_macro": None, "min_recall": None},
}
OTHERS = {
    "tol": 1e-3,
    "class_weight": {"7": 2.0},
    "fit_intercept": False,
    "l1_ratio": 1.0,
    "solver": "saga",
    "gate": {"min_accuracy": 0.95, "min_f1": 0.95, "min_f1_macro": 0.5, "min_recall": {"7": 0.9}},
}


def test_a_later_key_stands_in_the_recipe_only_where_it_is_used():
    """A default that is written out is the recipe of a config without it, to the byte; another value is in it."""
    plain = recipe(from_mapping(REQUIRED))
    assert json.dumps(recipe(from_mapping({**REQUIRED, **DEFAULTS}))) == json.dumps(plain)
    assert recipe(from_mapping({**REQUIRED, **OTHERS})) == {**plain, **OTHERS}
    assert from_mapping(recipe(from_mapping({**REQUIRED, **OTHERS}))) == from_mapping({**REQUIRED, **OTHERS})


def test_labels_may_be_numbers_in_a_dict_by_hand():
    """A dict from Python names labels as they are; the recipe has them as JSON writes them."""
    by_hand = from_mapping({**REQUIRED, "class_weight": {7: 2, 8: 3.0}, "gate": {"min_recall": {7: 1}}})
    assert by_hand == from_mapping({**REQUIRED, "class_weight": {"7": 2, "8": 3}, "gate": {"min_recall": {"7": 1}}})


def test_an_option_names_a_label(file):
    """`-S gate.min_recall.malignant=0.9` asks for one class, and stands beside what the file asks of others."""
    file.write_text(json.dumps({**REQUIRED, "gate": {"min_recall": {"benign": 0.5}}}))
    config = load_config(file, ["gate.min_recall.malignant=0.9", "class_weight.malignant=10"])
    assert config.gate.min_recall == {"benign": 0.5, "malignant": 0.9}
    assert config.model.class_weight == {"malignant": 10.0}


L1_RATIOS = {"saga": (0, 0.5, 1), "liblinear": (0, 1)}


@pytest.mark.parametrize("solver", get_args(Solver))
@pytest.mark.parametrize("ratio", [0, 0.5, 1])
def test_l1_ratio_is_taken_where_scikit_learn_takes_it(solver, ratio):
    """An `l1_ratio` is refused before any data is read just where scikit-learn would refuse it in the fit."""
    from sklearn.linear_model import LogisticRegression

    asked = {**REQUIRED, "dataset": {"path": "a.csv", "target": "b"}, "solver": solver, "l1_ratio": ratio}
    estimator = LogisticRegression(solver=solver, l1_ratio=ratio, max_iter=10_000)
    rows = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]
    if ratio in L1_RATIOS.get(solver, (0,)):
        estimator.fit(*rows)
        assert from_mapping(asked).model.l1_ratio == ratio
        return
    with pytest.raises(ValueError, match="penalt"):
        estimator.fit(*rows)
    with pytest.raises(ConfigError) as caught:
        from_mapping(asked)
    assert caught.value.rules == {"not-allowed"}


def test_recipe_of_a_table_has_no_path():
    """The recipe of a table names the target and not the place of the file."""
    here, there = (
        recipe(from_mapping({**REQUIRED, "dataset": {"path": path, "target": "label"}})) for path in ("a.csv", "/b.csv")
    )
    assert here == there
    assert here["dataset"] == {"target": "label"}


def test_overrides_win_over_the_file_and_the_file_over_defaults(file):
    """Defaults, then the file, then the options, the later over the earlier; objects are merged by dotted keys."""
    file.write_text(json.dumps({**REQUIRED, "C": 2, "random_state": 7, "gate": {"min_f1": 0.5}}))
    config = load_config(file, ["C=4", "C=3", "gate.min_accuracy=0.25", "solver=saga", 'name="x.y"', "stratify=true"])
    assert config == Config(
        C=3.0,
        solver="saga",
        max_iter=1000,
        name="x.y",
        random_state=7,
        stratify=True,
        gate=Gate(min_accuracy=0.25, min_f1=0.5),
    )
    assert load_config(file, ['gate={"min_accuracy": 1}']).gate == Gate(min_accuracy=1.0, min_f1=0.95)
    # An override also heals what it replaces.
    file.write_text('{"C": "x", "solver": "lbfgs", "max_iter": 1000, "gate": 5}')
    assert load_config(file, ["C=1", "gate.min_f1=1"]).gate.min_f1 == 1.0


def test_relative_path_starts_at_its_writer(tmp_path, monkeypatch):
    """A relative path of the file starts at the file's folder, one of an option at the working folder."""
    (tmp_path / "conf").mkdir()
    monkeypatch.chdir(tmp_path)
    path = Path("conf/c.json")
    path.write_text(json.dumps({**REQUIRED, "dataset": {"path": "rows.csv", "target": "label"}}))
    assert load_config(path).dataset == Table(path="conf/rows.csv", target="label")
    assert load_config(path, ["dataset.target=kind"]).dataset == Table(path="conf/rows.csv", target="kind")
    assert load_config(path, ["dataset.path=rows.csv"]).dataset == Table(path="rows.csv", target="label")
    assert load_config(path, ["dataset=digits"]).dataset == "digits"
    path.write_text(json.dumps({**REQUIRED, "dataset": {"path": "/rows.csv", "target": "label"}}))
    assert load_config(path).dataset.path == "/rows.csv"
    path.write_text(json.dumps({**REQUIRED, "gate": {"champion": "../artifact"}}))
    assert load_config(path).gate.champion == "conf/../artifact"
    assert load_config(path, ["gate.champion=artifact"]).gate.champion == "artifact"
    assert load_config(path, ["gate.champion=null"]).gate.champion is None


def test_option_can_turn_the_digits_into_a_table(file):
    """`-S dataset.path=…` and `-S dataset.target=…` replace "digits", the default or the file's."""
    for values in (REQUIRED, {**REQUIRED, "dataset": "digits"}):
        file.write_text(json.dumps(values))
        config = load_config(file, ["dataset.path=a=b.csv", "dataset.target=the label", "solver=liblinear"])
        assert config.dataset == Table(path="a=b.csv", target="the label")


# What is refused: values

WRONG_VALUES = [
    ("C", '"1"', "wrong-type", 'must be a finite number greater than 0, got "1"'),
    ("C", "true", "wrong-type", "must be a finite number greater than 0, got true"),
    ("C", "null", "wrong-type", "must be a finite number greater than 0, got null"),
    ("C", "[1]", "wrong-type", "must be a finite number greater than 0, got an array"),
    ("C", "0", "out-of-range", "must be a finite number greater than 0, got 0"),
    ("C", "-0.5", "out-of-range", "must be a finite number greater than 0, got -0.5"),
    ("C", "1e-999", "out-of-range", "must be a finite number greater than 0, got 1e-999"),
    ("C", "NaN", "not-finite", "must be a finite number greater than 0, got NaN"),
    ("C", "Infinity", "not-finite", "must be a finite number greater than 0, got Infinity"),
    ("C", "-Infinity", "not-finite", "must be a finite number greater than 0, got -Infinity"),
    ("C", "1e999", "not-finite", "must be a finite number greater than 0, got 1e999"),
    ("C", "9" * 5000, "not-finite", f"must be a finite number greater than 0, got {'9' * 59}…"),
    ("C", "-" + "9" * 5000, "not-finite", f"must be a finite number greater than 0, got -{'9' * 58}…"),
    ("max_iter", "-5", "out-of-range", "must be a whole number of at least 1, got -5"),
    ("max_iter", "0", "out-of-range", "must be a whole number of at least 1, got 0"),
    ("max_iter", "2147483648", "out-of-range", "must be a whole number of at most 2147483647, got 2147483648"),
    ("max_iter", "9" * 5000, "out-of-range", f"must be a whole number of at most 2147483647, got {'9' * 59}…"),
    ("max_iter", "-" + "9" * 5000, "out-of-range", f"must be a whole number of at least 1, got -{'9' * 58}…"),
    ("max_iter", "1.5", "wrong-type", "must be a whole number of at least 1, got 1.5"),
    (
        "max_iter",
        "1.0",
        "wrong-type",
        "must be a whole number of at least 1, got 1.0, which has a point or an exponent",
    ),
    (
        "max_iter",
        "1e3",
        "wrong-type",
        "must be a whole number of at least 1, got 1e3, which has a point or an exponent",
    ),
    ("max_iter", '"1000"', "wrong-type", 'must be a whole number of at least 1, got "1000"'),
    ("max_iter", "true", "wrong-type", "must be a whole number of at least 1, got true"),
    ("max_iter", "NaN", "not-finite", "must be a whole number of at least 1, got NaN"),
    ("solver", '"lbfg"', "not-allowed", f'must be one of {SOLVERS}, got "lbfg", did you mean lbfgs?'),
    ("solver", '"SAGA"', "not-allowed", f'must be one of {SOLVERS}, got "SAGA", did you mean saga?'),
    ("solver", '"x"', "not-allowed", f'must be one of {SOLVERS}, got "x"'),
    ("solver", "5", "wrong-type", f"must be one of {SOLVERS}, got 5"),
    ("solver", '"liblinear"', "not-allowed", f'must be one of {TEN_CLASSES}, got "liblinear"'),
    ("random_state", "-1", "out-of-range", "must be a whole number of at least 0, got -1"),
    ("random_state", "4294967296", "out-of-range", "must be a whole number of at most 4294967295, got 4294967296"),
    ("random_state", "null", "wrong-type", "must be a whole number of at least 0, got null"),
    ("test_size", "0", "out-of-range", "must be a number between 0 and 1, both excluded, got 0"),
    ("test_size", "1.0", "out-of-range", "must be a number between 0 and 1, both excluded, got 1.0"),
    ("test_size", '"0.2"', "wrong-type", 'must be a number between 0 and 1, both excluded, got "0.2"'),
    ("stratify", "0", "wrong-type", "must be true or false, got 0"),
    ("stratify", '"true"', "wrong-type", 'must be true or false, got "true"'),
    ("name", '"Digits"', "not-allowed", f'{NAME[6:]}, got "Digits"'),
    ("name", '"\u009b2J\u202e"', "not-allowed", f'{NAME[6:]}, got "\\x9b2J\\u202e"'),
    ("gate", "5", "wrong-type", "must be an object with min_accuracy and min_f1, got 5"),
    ("gate", "null", "wrong-type", "must be an object with min_accuracy and min_f1, got null"),
    ("dataset", '"irsi"', "not-allowed", f'must be {DATASET}, got "irsi", did you mean iris?'),
    ("dataset", "[]", "wrong-type", f"must be {DATASET}, got an array"),
    ("$schema", "5", "wrong-type", "must be a string, got 5"),
    ("tol", "-1e-4", "out-of-range", "must be a finite number of at least 0, got -1e-4"),
    ("tol", "1e999", "not-finite", "must be a finite number of at least 0, got 1e999"),
    ("tol", "null", "wrong-type", "must be a finite number of at least 0, got null"),
    ("fit_intercept", "1", "wrong-type", "must be true or false, got 1"),
    ("l1_ratio", "1.5", "out-of-range", "must be a number from 0 to 1, both included, got 1.5"),
    ("l1_ratio", "null", "wrong-type", "must be a number from 0 to 1, both included, got null"),
    ("l1_ratio", "0.5", "not-allowed", "must be 0 with the solver lbfgs (saga takes 0 to 1), got 0.5"),
    ("penalty", '"l1"', "not-allowed", f'must be {PENALTY}, got "l1"'),
    ("penalty", "null", "wrong-type", f"must be {PENALTY}, got null"),
    ("class_weight", '"balance"', "not-allowed", f'must be {WEIGHTS}, got "balance", did you mean balanced?'),
    ("class_weight", "2", "wrong-type", f"must be {WEIGHTS}, got 2"),
    ("class_weight", "{}", "out-of-range", f"must be {WEIGHTS}, got an object"),
]


@pytest.mark.parametrize("case", WRONG_VALUES)
def test_wrong_value_is_refused_at_its_place(file, case):
    """Each wrong value is refused by name, at its line and column, with what is allowed and what was found."""
    key, value, rule, message = case
    text = with_value(key, value)
    line = text[: text.index(f'"{key}"')].count("\n") + 1
    assert told(refuse(file, text)) == [(rule, f"config.json:{line}:{len(key) + 7}: {key}: {message}")]


def test_wrong_values_inside_objects(file):
    """What stands inside `gate` and `dataset` is named with its dotted key, at its own place."""
    text = with_value("gate", '{"min_accuracy": 1.5,\n "min_f1": true}').replace(
        '"C"', '"dataset": {"path": "a\\u0000b", "target": ""}, "C"'
    )
    assert told(refuse(file, text)) == [
        (
            "not-allowed",
            f'config.json:2:23: dataset.path: must be {TABLE}, got "a\\u0000b"',
        ),
        (
            "out-of-range",
            'config.json:2:45: dataset.target: must be a string, the name of the target column, got ""',
        ),
        (
            "out-of-range",
            "config.json:5:28: gate.min_accuracy: must be a number from 0 to 1, both included, or null, got 1.5",
        ),
        ("wrong-type", "config.json:6:12: gate.min_f1: must be a number from 0 to 1, both included, or null, got true"),
    ]


@pytest.mark.parametrize(
    ("key", "value", "rule", "message"),
    [
        ("champion", "5", "wrong-type", "must be a string, the path of an artifact, or null, got 5"),
        ("champion", '""', "not-allowed", 'must be a string, the path of an artifact, or null, got ""'),
        ("margin", "-0.1", "out-of-range", "must be a number from 0 to 1, both included, got -0.1"),
        ("margin", '"2 %"', "wrong-type", 'must be a number from 0 to 1, both included, got "2 %"'),
        ("on_inconclusive", '"pas"', "not-allowed", 'must be one of fail, pass, got "pas", did you mean pass?'),
        ("on_inconclusive", "true", "wrong-type", "must be one of fail, pass, got true"),
    ],
)
def test_wrong_comparison_is_refused_at_its_place(file, key, value, rule, message):
    """What the champion gate is asked wrongly is refused by name, as everything else is."""
    ((found, words),) = told(refuse(file, with_value("gate", f'{{"{key}": {value}}}')))
    assert found == rule
    assert words.endswith(f"gate.{key}: {message}")


@pytest.mark.parametrize(
    ("key", "value", "rule", "message"),
    [
        ("gate.min_f1_macro", "2", "out-of-range", "must be a number from 0 to 1, both included, or null, got 2"),
        ("gate.min_recall", "1.5", "out-of-range", f"must be {RECALL}, got 1.5"),
        ("gate.min_recall", "true", "wrong-type", f"must be {RECALL}, got true"),
        ("gate.min_recall", "{}", "out-of-range", f"must be {RECALL}, got an object"),
        ("gate.min_recall.rare", "2", "out-of-range", "must be a number from 0 to 1, both included, got 2"),
        ("gate.min_recall.rare", '"all"', "wrong-type", 'must be a number from 0 to 1, both included, got "all"'),
        ("gate.min_recall.[key]", "null", "wrong-type", "must be a number from 0 to 1, both included, got null"),
        ("class_weight.rare", "0", "out-of-range", "must be a finite number greater than 0, got 0"),
        ("class_weight.rare", "NaN", "not-finite", "must be a finite number greater than 0, got NaN"),
        ("class_weight.rare", "{}", "wrong-type", "must be a finite number greater than 0, got an object"),
    ],
)
def test_what_is_said_of_single_classes_is_checked_at_its_place(file, key, value, rule, message):
    """A number of the gate or of a weight, for every class or for one, is refused where it is written."""
    *above, last = key.split(".")
    text = f'{{"{last}": {value}}}'
    for name in reversed(above[1:]):
        text = f'{{"{name}": {text}}}'
    ((found, words),) = told(refuse(file, with_value(above[0], text)))
    place, _, said = words.partition(f": {above[0]}")
    assert found == rule
    assert said.endswith(f": {message}")
    line, column = map(int, place.removeprefix("config.json:").split(":"))
    assert file.read_text().splitlines()[line - 1][column - 1 :].startswith(value)


def test_a_label_is_text_of_a_bounded_length(file):
    """What can be no label is refused at its own place, from a file or by hand."""
    words = "the key must be text of at most 256 characters"
    long = with_value("class_weight", f'{{"{"x" * 257}": 1}}')
    assert told(refuse(file, long)) == [("out-of-range", f"config.json:5:20: class_weight.{'x' * 59}…: {words}")]
    for key, rule, said in ((None, "wrong-type", f"None: {words}"), ("[key]", "out-of-range", "must be a finite")):
        with pytest.raises(ConfigError) as caught:
            from_mapping({**REQUIRED, "class_weight": {key: 0}})
        assert caught.value.rules >= {rule}
        assert said in str(caught.value)


@pytest.mark.parametrize("key", ["multi_class", "n_jobs"])
def test_what_scikit_learn_has_removed_is_refused_with_the_reason(file, key):
    """A key that LogisticRegression once took is refused, and says why it is none."""
    ((rule, words),) = told(refuse(file, with_value(key, '"ovr"')))
    assert rule == "unknown-key"
    assert words.startswith(f"config.json:5:3: {key}: unknown key: ")
    assert "scikit-learn" in words


def test_a_penalty_that_contradicts_is_refused(file):
    """`penalty` l2 beside an `l1_ratio` that is another penalty is refused, not decided."""
    text = json.dumps({**REQUIRED, "solver": "saga", "l1_ratio": 0.5, "penalty": "l2"})
    place = f"config.json:1:{text.index('l2')}"
    words = 'must be left away where l1_ratio is more than 0, which is another penalty, got "l2"'
    assert told(refuse(file, text)) == [("not-allowed", f"{place}: penalty: {words}")]


def test_labels_that_the_rows_have_not_are_refused_with_what_is_near():
    """What is said of a label that no row has names the nearest label, or the labels there are, whole or counted."""
    assert by_label("class_weight", {"7": 2.0, "3": 1.0}, [3, 7, 8]) == {3: 1.0, 7: 2.0}
    assert list(by_label("class_weight", {"7": 2.0, "3": 1.0}, [3, 7, 8])) == [3, 7]
    with pytest.raises(ConfigError) as caught:
        by_label("gate.min_recall", {"malignnt": 0.9, "x": 0.5}, ["benign", "malignant"])
    assert told(caught.value) == [
        ("unknown-label", "config: gate.min_recall.malignnt: no row has this label, did you mean malignant?"),
        ("unknown-label", "config: gate.min_recall.x: no row has this label, the labels are benign, malignant"),
    ]
    with pytest.raises(ConfigError, match=r"the labels are 0, 1, .*, 19, … \(31 in all\)"):
        by_label("class_weight", {"many": 1.0}, list(range(31)))


def test_comparison_is_no_part_of_the_recipe():
    """Champion, margin and what becomes of an inconclusive comparison decide where a model goes, not what it is."""
    gate = {"champion": "artifact", "margin": 0.5, "on_inconclusive": "pass"}
    assert recipe(from_mapping({**REQUIRED, "gate": gate})) == recipe(from_mapping(REQUIRED))


def test_all_problems_at_once_in_the_order_of_the_text(file):
    """One error names everything that is missing, unknown, there twice or wrong, sorted by place."""
    error = refuse(
        file,
        '{\n "solver": "lbfgs",\n "max_itr": 9,\n "min_f1": 0.9, "solver": 3,\n'
        ' "gate": {"min_f": 0}, "z\\u001b[2J": 1, "dataset": {\n}}',
    )
    assert error.message == "the config has 10 problems"
    assert told(error) == [
        ("missing-key", "config.json:1:1: C: is missing, must be a finite number greater than 0"),
        ("missing-key", "config.json:1:1: max_iter: is missing, must be a whole number of at least 1"),
        ("unknown-key", "config.json:3:2: max_itr: unknown key, did you mean max_iter?"),
        ("unknown-key", "config.json:4:2: min_f1: unknown key, did you mean gate.min_f1?"),
        ("duplicate-key", "config.json:4:17: solver: stands in line 2 already"),
        ("wrong-type", f"config.json:4:27: solver: must be one of {SOLVERS}, got 3"),
        ("unknown-key", "config.json:5:11: gate.min_f: unknown key, did you mean min_f1?"),
        ("unknown-key", f"config.json:5:24: z\\x1b[2J: unknown key, allowed are {KEYS}"),
        (
            "missing-key",
            f"config.json:5:52: dataset.path: is missing, must be {TABLE}",
        ),
        (
            "missing-key",
            "config.json:5:52: dataset.target: is missing, must be a string, the name of the target column",
        ),
    ]


def test_columns_count_characters(file):
    """A column counts characters, not bytes, and lines end with a line feed or both characters."""
    assert told(refuse(file, '{"C": 1, "solver": "lbfgs",\r\n"ä😀": 1, "max_iter": 0}')) == [
        ("unknown-key", f"config.json:2:1: ä😀: unknown key, allowed are {KEYS}"),
        ("out-of-range", "config.json:2:22: max_iter: must be a whole number of at least 1, got 0"),
    ]


# What is refused: texts

NO_JSON = [
    ('{"C": 1,}', "1:8", "the comma before } is one too many"),
    ('{"C": [1,\n]}', "1:9", "the comma before ] is one too many"),
    ('{"C": 1 "x": 2}', "1:9", 'expected a comma or }, found "'),
    ("{C: 1}", "1:2", "expected a key in double quotes, found C"),
    ("{'C': 1}", "1:2", "expected a key in double quotes, found 'C'"),
    ('{"C": 1}\nx', "2:1", "expected the end of the text, found x"),
    ('{"C": 1}}', "1:9", "expected the end of the text, found }"),
    ('{"C": 1, // one\n}', "1:10", "a comment, which JSON does not have"),
    ('{"C": /* one */ 1}', "1:7", "a comment, which JSON does not have"),
    ('# one\n{"C": 1}', "1:1", "a comment, which JSON does not have"),
    ('{"C": 01}', "1:7", "expected a value, found 01"),
    ('{"C": 1_0}', "1:7", "expected a value, found 1_0"),
    ('{"C": +1}', "1:7", "expected a value, found +1"),
    ('{"C": .5}', "1:7", "expected a value, found .5"),
    ('{"C": \u0661}', "1:7", "expected a value, found \u0661"),
    ('{"C": True}', "1:7", "expected a value, found True"),
    ('{"C": }', "1:7", "expected a value, found }"),
    ('{"C" 1}', "1:6", "expected a colon, found 1"),
    ('{"C"\u00a0: 1}', "1:5", "expected a colon, found \\xa0"),
    ('{"C": \u009b2J}', "1:7", "expected a value, found \\x9b2J"),
    ('{"solver": "lb\nfgs"}', "1:15", "a line break or another control character inside a string"),
    ('{"solver": "\\x"}', "1:13", "no escape of JSON; a backslash itself is written \\\\"),
    ('{"solver": "\\u12"}', "1:14", "no escape of JSON; a backslash itself is written \\\\"),
    ('{"solver": "lbfgs', "1:12", "the string that starts here is not closed"),
    ('{"C": [1', "1:9", "expected a comma or ], found the end of the text"),
    ('{"C":', "1:6", "expected a value, found the end of the text"),
    ("{", "1:2", "expected a key in double quotes, found the end of the text"),
]


@pytest.mark.parametrize(("text", "place", "message"), NO_JSON)
def test_text_that_is_no_json_is_refused_at_its_place(file, text, place, message):
    """A comment, a comma too many and every other slip is named at its line and column."""
    assert told(refuse(file, text)) == [("syntax", f"config.json:{place}: {message}")]


OTHER_TEXTS = [
    (b"", "empty-file", ": is empty"),
    (b" \r\n\t\n", "empty-file", ": is empty"),
    (b"[1]", "not-an-object", ":1:1: must be an object in braces, got an array"),
    (b'\n "lbfgs" ', "not-an-object", ':2:2: must be an object in braces, got "lbfgs"'),
    (b"\xef\xbb\xbf{}", "byte-order-mark", ": starts with a byte order mark"),
    ("{}".encode("utf-16"), "not-utf-8", ": is not UTF-8 text, but UTF-16 or no text at all"),
    ("{}".encode("utf-16-be"), "not-utf-8", ": is not UTF-8 text, but UTF-16 or no text at all"),
    ('{\n"solver": "ä'.encode() + b'\xe4"}', "not-utf-8", ":2:13: the byte 0xe4 is not UTF-8"),
    (b'{"C": "\xed\xa0\x80"}', "not-utf-8", ":1:8: the byte 0xed is not UTF-8"),
    (b'{"name": "\\ud800"}', "lone-surrogate", ":1:10: half of a surrogate pair, which UTF-8 cannot write"),
    (b'{"\\udc00": 1}', "lone-surrogate", ":1:2: half of a surrogate pair, which UTF-8 cannot write"),
    (b'{"C":' + b"[" * 100_00, "too-deep", ":1:37: nested deeper than 32 levels"),
    (b'{"C":' + b'{"a":' * 32, "too-deep", ":1:161: nested deeper than 32 levels"),
    (b"{" + b" " * 65_535 + b"}", "too-large", ": is larger than 65,536 bytes"),
]


@pytest.mark.parametrize(("data", "rule", "message"), OTHER_TEXTS)
def test_other_texts_are_refused_by_name(file, data, rule, message):
    """No text, other text than UTF-8, no object, too much or too deep: each is refused by name."""
    assert told(refuse(file, data)) == [(rule, f"config.json{message}")]


def test_bounds_themselves_are_allowed(file):
    """32 levels and 65,536 bytes are within the bounds."""
    deep = '{"C":' + "[" * 31 + "]" * 31 + "}"
    assert refuse(file, deep).rules == {"wrong-type", "missing-key"}
    file.write_text(json.dumps(REQUIRED).ljust(65_536))
    assert load_config(file) == from_mapping(REQUIRED)


def test_file_that_cannot_be_read_is_refused_by_name(file, tmp_path):
    """A missing file, a folder, a pipe and a link to itself are refused by name and never waited for."""
    missing = refuse(file)
    assert told(missing) == [("missing-file", "config.json: does not exist")]
    assert missing.hint is not None
    assert missing.hint.startswith("--config config.json takes the one that `artifact-pipeline init TABLE` writes")
    assert missing.hint.endswith('needs no more than {"C": 1.0, "solver": "lbfgs", "max_iter": 1000}')
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for name, reason in {
        "folder": "is not a regular file",
        "pipe": "is not a regular file",
        "loop": "cannot be read: too many levels of symbolic links",
        "\x1b[2J\0": "has a NUL in its name",
    }.items():
        place = name.replace("\x1b", "\\x1b").replace("\0", "\\x00")
        assert told(refuse(tmp_path / name)) == [("unreadable", f"{place}: {reason}")]


def test_path_outside_is_shown_as_given(tmp_path, monkeypatch):
    """A file of the working folder is shown from there, another one as it was given."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    outside = tmp_path / "config.json"
    assert refuse(outside, "[]").problems[0].place == f"{outside}:1:1"
    assert refuse(Path("../config.json"), "[]").problems[0].place == "../config.json:1:1"
    assert refuse(tmp_path / "work" / "config.json", "[]").problems[0].place == "config.json:1:1"


HINTS = [
    ('{"C": 0, "solver": "lbfgs", "max_iter": 1}', "`artifact-pipeline schema` prints every key, type and default"),
    (
        "{'C': 1}",
        "JSON has keys and strings in double quotes, no comments, and no comma before a closing bracket",
    ),
    ("\ufeff{}", "save the file as UTF-8 without a byte order mark"),
    ("\0", "save the file as UTF-8 without a byte order mark"),
    (
        '{"dataset": {"path": "rows.csv", "target": "y"}}',
        "`artifact-pipeline init TABLE` writes one for a table; `artifact-pipeline schema` prints every key",
    ),
]


@pytest.mark.parametrize(("text", "hint"), HINTS)
def test_hint_says_the_mend(file, text, hint):
    """The hint of the error fits its first problem."""
    assert refuse(file, text).hint == hint


# What is refused: options and dicts

WRONG_OPTIONS = [
    ("max_iter=-5", "out-of-range", "max_iter: must be a whole number of at least 1, got -5"),
    ("C=much", "wrong-type", 'C: must be a finite number greater than 0, got "much"'),
    ("C=", "wrong-type", 'C: must be a finite number greater than 0, got ""'),
    ("C=1e999", "not-finite", "C: must be a finite number greater than 0, got 1e999"),
    ("name=7", "wrong-type", f"{NAME}, got 7"),
    ("solver=lbfg", "not-allowed", f'solver: must be one of {SOLVERS}, got "lbfg", did you mean lbfgs?'),
    ("gate.min_acc=1", "unknown-key", "gate.min_acc: unknown key, did you mean min_accuracy?"),
    ("gates.min_f1=1", "unknown-key", "gates: unknown key, did you mean gate?"),
    (
        "gate.min_f1.x=1",
        "wrong-type",
        "gate.min_f1: must be a number from 0 to 1, both included, or null, got an object",
    ),
    ("gate={min_f1: 1}", "wrong-type", 'gate: must be an object with min_accuracy and min_f1, got "{min_f1: 1}"'),
    ('gate={"min_f1": 7}', "out-of-range", "gate.min_f1: must be a number from 0 to 1, both included, or null, got 7"),
    ('gate={"min_f1": 1, "min_f1": 1}', "duplicate-key", "gate.min_f1: stands twice"),
    (
        "dataset.path=a.csv",
        "missing-key",
        "dataset.target: is missing, must be a string, the name of the target column",
    ),
    ("$schema=x", "unknown-key", f"$schema: unknown key, allowed are {KEYS}"),
    ("max_iter", "syntax", "must be KEY=VALUE, such as max_iter=500"),
    ("=5", "syntax", "must be KEY=VALUE, such as max_iter=500"),
    ("gate..x=5", "syntax", "must be KEY=VALUE, such as max_iter=500"),
    ("C=" + "[" * 33, "too-deep", "nested deeper than 32 levels"),
]


@pytest.mark.parametrize(("option", "rule", "message"), WRONG_OPTIONS)
def test_wrong_option_is_refused_at_the_option(file, option, rule, message):
    """A wrong option is refused by the types of the file, and its place is the option."""
    assert told(refuse(file, json.dumps(REQUIRED), [option])) == [(rule, f"-S {option}: {message}")]


def test_options_follow_the_file_and_are_printable(file):
    """Problems of options stand after those of the file, in their order, short and without terminal escapes."""
    error = refuse(file, json.dumps({**REQUIRED, "C": 0}), ["name=\udcff", "\x1b", "stratify=" + "y" * 99])
    assert told(error) == [
        ("out-of-range", "config.json:1:7: C: must be a finite number greater than 0, got 0"),
        ("lone-surrogate", "-S name=\\udcff: half of a surrogate pair, which UTF-8 cannot write"),
        ("syntax", "-S \\x1b: must be KEY=VALUE, such as max_iter=500"),
        ("wrong-type", f'-S stratify={"y" * 50}…: stratify: must be true or false, got "{"y" * 58}…'),
    ]


WRONG_DICTS = [
    ({"C": 10**400}, "not-finite", f"C: must be a finite number greater than 0, got 1{'0' * 58}…"),
    ({"C": 10**5000}, "not-finite", "C: must be a finite number greater than 0, got a number of thousands of digits"),
    ({"C": float("nan")}, "not-finite", "C: must be a finite number greater than 0, got nan"),
    ({"max_iter": "5"}, "wrong-type", "max_iter: must be a whole number of at least 1, got '5'"),
    ({"name": "\ud800"}, "lone-surrogate", "name: must be text that UTF-8 can write, got '\\ud800'"),
    ({"\ud800": 1}, "lone-surrogate", "a key: must be text that UTF-8 can write, got '\\ud800'"),
    ({"max_itr": 5}, "unknown-key", "max_itr: unknown key, did you mean max_iter?"),
    (
        {"gate": {"min_f1": 2}},
        "out-of-range",
        "gate.min_f1: must be a number from 0 to 1, both included, or null, got 2",
    ),
    ({"$schema": None}, "wrong-type", "$schema: must be a string, got None"),
]


@pytest.mark.parametrize(("wrong", "rule", "message"), WRONG_DICTS)
def test_wrong_dict_is_refused(wrong, rule, message):
    """A dict given by hand is refused by the same rules, at the place `config`."""
    with pytest.raises(ConfigError) as caught:
        from_mapping({**REQUIRED, **wrong})
    assert told(caught.value) == [(rule, f"config: {message}")]


def test_key_that_is_no_string_is_unknown():
    """A key that is no string is an unknown key."""
    with pytest.raises(ConfigError) as caught:
        from_mapping({**REQUIRED, 3: 4})
    assert caught.value.rules == {"unknown-key"}


# The schema


def test_committed_schema_is_the_generated_one():
    """`config/config.schema.json` is what the types say, and is a JSON Schema of draft 2020-12."""
    assert (ROOT / "config" / "config.schema.json").read_text(encoding="utf-8") == schema_text()
    assert json.loads(schema_text()) == json_schema()
    jsonschema.Draft202012Validator.check_schema(json_schema())


def test_schema_explains_every_key():
    """Editors find a title, a description and a default or a duty for every key."""
    schema = json_schema()
    defaults = {**plain(Config(**REQUIRED)), "penalty": "l2"}
    needed, by_dataset = [*schema["oneOf"][0]["required"], "model"], ["name", "split", "preprocess"]
    for key, each in schema["properties"].items():
        resolved = {**schema["$defs"][each["$ref"].rpartition("/")[2]], **each} if "$ref" in each else each
        assert {"title", "description"} <= resolved.keys(), key
        if key != "$schema":
            assert (key in needed + by_dataset) != (each.get("default", ...) == defaults.get(key)), key
    for section in schema["$defs"].values():
        assert all({"title", "description"} <= each.keys() for each in section["properties"].values())


def test_schema_refuses_what_the_types_refuse():
    """An editor marks each wrong value too, but for the few rules that JSON Schema cannot say."""
    validator = jsonschema.Draft202012Validator(json_schema())
    assert validator.is_valid({"$schema": "./config.schema.json", **REQUIRED})
    # It takes 1.0 for an integer, does not bound a float from above, and does not know how many classes the digits
    # have, nor which solver takes which penalty.
    passing = {
        ("max_iter", "1.0"),
        ("max_iter", "1e3"),
        ("C", "NaN"),
        ("C", "Infinity"),
        ("C", "1e999"),
        ("solver", '"liblinear"'),
        ("l1_ratio", "0.5"),
        ("tol", "1e999"),
    }
    passed = {
        (key, value)
        for key, value, *_ in WRONG_VALUES
        if len(value) < 1000 and validator.is_valid({**REQUIRED, key: json.loads(value)})
    }
    assert passed == passing


# What scikit-learn says


def test_solvers_are_those_of_scikit_learn():
    """The solvers are what LogisticRegression takes; all but liblinear take more than two classes."""
    from sklearn.linear_model import LogisticRegression

    X, two, three = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1], [0, 0, 1, 2]
    with pytest.raises(ValueError, match="must be a str among") as caught:
        LogisticRegression(solver="none of them").fit(X, two)
    assert set(re.findall(r"'([a-z-]+)'", str(caught.value).partition("among")[2])) == set(get_args(Solver))
    assert set(MANY_CLASS_SOLVERS) == set(get_args(Solver)) - {"liblinear"}
    for solver in MANY_CLASS_SOLVERS:
        LogisticRegression(solver=solver, max_iter=10_000).fit(X, three)
    LogisticRegression(solver="liblinear").fit(X, two)
    with pytest.raises(ValueError, match="does not support multiclass"):
        LogisticRegression(solver="liblinear").fit(X, three)


def test_bounds_are_those_of_scikit_learn():
    """The greatest iterations and seed are accepted by every solver, and one more by not all of them."""
    from sklearn.linear_model import LogisticRegression

    X, y = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]
    for solver in get_args(Solver):
        LogisticRegression(solver=solver, max_iter=2**31 - 1, random_state=2**32 - 1).fit(X, y)
    with pytest.raises(OverflowError):
        LogisticRegression(solver="saga", max_iter=2**31).fit(X, y)
    with pytest.raises(ValueError, match="must be an int in the range"):
        LogisticRegression(solver="saga", random_state=2**32).fit(X, y)


def test_config_needs_no_heavy_package():
    """Reading a config loads neither NumPy nor scikit-learn."""
    code = (
        "import sys, pathlib, artifact_pipeline.config as config\n"
        "config.load_config(pathlib.Path('config/config.json')); config.schema_text()\n"
        "print(*{'numpy', 'sklearn', 'scipy', 'onnx', 'onnxruntime', 'pyarrow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
