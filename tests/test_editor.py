"""The JSON Schema of a config: what it says of each classifier's parameters, and what an editor makes of it."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import sklearn
from tests.tools import cannot_run, require_tool

from artifact_pipeline.config import json_schema
from artifact_pipeline.config.estimators import WRITTEN
from artifact_pipeline.config.file_schema import PARAMETERS
from artifact_pipeline.training.estimators import faults, parameter_schemas
from artifact_pipeline.training.reading import read_config

ROOT = Path(__file__).resolve().parents[1]
EDITOR = ROOT / "tests" / "editor"
SCHEMA = json_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
KNOWN = json.loads(PARAMETERS.read_text())
OTHERS = [name for name in WRITTEN if name != "LogisticRegression"]
INNER: dict[str, dict[str, Any]] = {
    "VotingClassifier": {"estimators": {"one": {"estimator": "GaussianNB"}}},
    "StackingClassifier": {"estimators": {"one": {"estimator": "GaussianNB"}}},
    "CalibratedClassifierCV": {"base_estimator": {"estimator": "LinearSVC"}},
    "OneVsRestClassifier": {"base_estimator": {"estimator": "LinearSVC"}},
}
SAME_NUMBER = {("min_samples_split", 1), ("max_features", 1)}
"""A whole number that scikit-learn refuses and whose float, the same number to JSON Schema, it takes."""
VALUES = (
    None,
    True,
    "",
    "many",
    "auto",
    "balanced",
    -2.5,
    -1,
    0,
    0.5,
    1,
    1.5,
    2,
    3,
    [],
    [0.5, 2],
    {},
    {"yes": 2},
    {"yes": 0},
)


def load_script() -> Any:
    """The script that writes the file of parameters."""
    spec = importlib.util.spec_from_file_location("parameters", ROOT / "scripts" / "parameters.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(sklearn.__version__ != KNOWN["scikit-learn"], reason="the file is written from the locked version")
def test_parameters_are_what_their_script_writes() -> None:
    """`parameters.json` says what the locked scikit-learn says today."""
    assert PARAMETERS.read_text(encoding="utf-8") == load_script().text()


@pytest.mark.parametrize("name", OTHERS)
def test_schema_takes_what_training_takes(name: str) -> None:
    """Of each parameter of each classifier, the schema takes every value that scikit-learn takes, and no other."""
    given = INNER.get(name, {})
    for key in parameter_schemas(name):
        for value in VALUES:
            values = {"model": {"estimator": name, **given, key: value}}
            found = VALIDATOR.is_valid(values) == (not [*faults(values)])
            assert found or (key, value) in SAME_NUMBER, (key, value)


@pytest.mark.parametrize("name", OTHERS)
def test_a_default_is_what_training_takes_without_the_key(name: str) -> None:
    """A default that the schema shows, written into the config, gives the recipe that the config has without it."""
    plain = {"model": {"estimator": name, **INNER.get(name, {})}}
    shown = {key: part["default"] for key, part in SCHEMA["$defs"][name]["properties"].items() if "default" in part}
    written = {
        key: value for key, value in shown.items() if VALIDATOR.is_valid({"model": plain["model"] | {key: value}})
    }
    # What is left out is an array that JSON Schema allows and the constraint words otherwise, or a null it refuses.
    assert len(written) >= len(shown) - 1
    assert read_config({"model": plain["model"] | written}) == read_config(plain)


def test_schema_names_no_parameter_twice_and_refuses_others() -> None:
    """A parameter that a classifier has not is refused, at the top and inside another classifier."""
    for wrong in ({"estimator": "SVC", "n_estimators": 3}, {"estimator": "SVC", "n_jobs": 1}):
        assert not VALIDATOR.is_valid({"model": wrong})
        assert not VALIDATOR.is_valid({"model": {"estimator": "BaggingClassifier", "base_estimator": wrong}})


@pytest.mark.parametrize(
    ("step", "own", "other"),
    [
        ("pca", {"n_components": 2}, {"value": 2}),
        ("impute_constant", {"value": 2, "indicator": True}, {"n_components": 2}),
        ("impute_mean", {"indicator": True}, {"value": 2}),
        ("standard_scale", {}, {"indicator": True}),
    ],
)
def test_schema_knows_the_parameters_of_each_step(step: str, own: dict[str, Any], other: dict[str, Any]) -> None:
    """A step has its own parameters, and no other step's."""
    plain = {"model": {"estimator": "SVC"}}
    assert VALIDATOR.is_valid({**plain, "preprocess": {"number": [{"step": step, **own}]}})
    assert not VALIDATOR.is_valid({**plain, "preprocess": {"number": [{"step": step, **other}]}})


def ask(config: str, folder: Path = ROOT / "config") -> dict[str, Any]:
    """What VS Code's language service says of a config, which holds | where the cursor is."""
    if not (EDITOR / "node_modules").is_dir():
        cannot_run("needs tests/editor/node_modules: npm ci in tests/editor, which make test-slow does")
    command = [require_tool("node"), str(EDITOR / "ask.mjs"), str(folder / "config.schema.json")]
    done = subprocess.run(command, input=config, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def model(inside: str) -> str:
    """A config with this model."""
    return f'{{"$schema": "./config.schema.json", "model": {{{inside}}}}}'


@pytest.mark.slow
def test_an_editor_offers_the_parameters_of_the_classifier() -> None:
    """Behind the name of a classifier, its parameters are offered, and those of no other; so inside another one."""
    forest = '"estimator": "RandomForestClassifier"'
    for config in (
        model(f"{forest}, |"),
        model(f'"estimator": "BaggingClassifier", "base_estimator": {{{forest}, |}}'),
        model(f'"estimator": "VotingClassifier", "estimators": {{"one": {{{forest}, |}}}}'),
    ):
        offers = ask(config)["offers"]
        assert {"n_estimators", "max_depth", "criterion"} <= set(offers)
        assert not {"kernel", "random_state", "n_jobs"} & set(offers)


@pytest.mark.slow
def test_an_editor_offers_names_and_values() -> None:
    """The names of the classifiers are offered, and the texts that a parameter takes, with its description."""
    assert {f'"{name}"' for name in WRITTEN} <= set(ask(model('"estimator": "|"'))["offers"])
    answer = ask(model('"estimator": "SVC", "kernel": "|"'))
    assert answer["offers"] == ['"linear"', '"poly"', '"rbf"', '"sigmoid"']
    assert "kernel type" in answer["hover"][0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("inside", "at", "words"),
    [
        ('"estimator": "RandomForestClassifier", "n_estimators": "many"', '"many"', "Incorrect type"),
        ('"estimator": "RandomForestClassifier", "n_estimators": 0', "0", "below the minimum of 1"),
        ('"estimator": "RandomForestClassifier", "n_estimator": 3', '"n_estimator"', "not allowed"),
        ('"estimator": "SVC", "kernel": "lnear"', '"lnear"', "not accepted"),
        ('"estimator": "LogisticRegression", "C": -1', "-1", "below the exclusive minimum"),
    ],
)
def test_an_editor_marks_what_is_wrong(inside: str, at: str, words: str) -> None:
    """A wrong type, a number out of range and a name that does not exist are each marked where they stand."""
    (mark,) = ask(model(inside))["marks"]
    assert mark["at"] == at
    assert words in mark["message"]


@pytest.mark.slow
def test_an_editor_finds_the_schema_that_init_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `init` writes needs no network: the schema is found beside the config, and marks nothing in it."""
    from artifact_pipeline.cli import main

    monkeypatch.chdir(tmp_path)
    assert main(["init", "--dataset", "iris", "--quiet"]) == 0
    answer = ask((tmp_path / "config.json").read_text(), tmp_path)
    assert answer["marks"] == []
    assert answer["asked"] == [(tmp_path / "config.schema.json").as_uri()]
