"""The facts for any tracker: flat names that trackers take, and nothing lost."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from artifact_pipeline.cli import main
from artifact_pipeline.reports.facts import class_names, facts_of
from artifact_pipeline.verification import verify
from mixedmodels import FOREST, train_mixed
from test_card import GOLDENS, HOSTILE, digits, replace_manifest

if TYPE_CHECKING:
    from pathlib import Path

NAME = re.compile(r"[A-Za-z0-9_./ -]+")
"""What MLflow takes as the name of a parameter or a metric."""


@pytest.mark.parametrize("artifact", GOLDENS, ids=lambda each: each.name)
def test_facts_of_every_model(artifact: Path) -> None:
    """Of each released format and each classifier each figure, parameter and file is there, by a name that is taken."""
    verified = verify(artifact, accept_failed_gate=True)
    facts, manifest = facts_of(verified), verified.manifest
    assert facts.metrics["held_out/accuracy"] == manifest.metrics.held_out.accuracy.value
    assert facts.metrics["held_out/accuracy_low"] == manifest.metrics.held_out.accuracy.low
    assert facts.metrics["all/rows"] == manifest.data.rows
    assert len([name for name in facts.metrics if name.startswith("held_out/recall/")]) == len(manifest.model.classes)
    assert facts.params["estimator"] == manifest.model.estimator
    told = {name.split(".")[1] for name in facts.params if name.startswith("estimator.")}
    assert told == {name for name, value in manifest.model.parameters.items() if value != {}}
    assert facts.files["manifest.json"] == verified.digest
    assert all(NAME.fullmatch(name) for name in (*facts.params, *facts.metrics))


def test_texts_and_nested_keys_are_parameters(tmp_path: Path) -> None:
    """Texts stand as they are, everything else as JSON, and nested keys are dotted."""
    params = facts_of(verify(train_mixed(tmp_path, FOREST))).params
    assert params["model.estimator"] == "RandomForestClassifier"
    assert params["model.n_estimators"] == params["estimator.n_estimators"] == "10"
    assert params["gate.min_accuracy"] == "0.3"
    assert params["dataset.target"] == "diagnosis"


def test_labels_that_trackers_refuse_go_by_their_place() -> None:
    """A label is the end of a metric's name where it can be; others have their position, and no two share a name."""
    labels = tuple(sorted([*HOSTILE, "good", "class_0", "../x", "a b", "x" * 300]))
    names = class_names(labels)
    assert len(set(names.values())) == len(labels)
    assert (names["good"], names["a b"]) == ("good", "a b")
    assert names["class_0"] == f"class_{labels.index('class_0')}"
    assert all(NAME.fullmatch(name) and ".." not in name for name in names.values())


def test_hostile_keys_stay_apart() -> None:
    """Keys of which only what no tracker takes differs have names of their own, and none is lost."""
    recipe = {"dataset": {"columns": {"a\nb": "number", "a|b": "number", "a_b": "category", "": "boolean"}}}
    params = facts_of(replace_manifest(digits(), recipe=recipe)).params
    kept = {name: value for name, value in params.items() if name.startswith("dataset.columns")}
    assert sorted(kept.values()) == ["boolean", "category", "number", "number"]
    assert all(NAME.fullmatch(name) for name in params)


def test_many_hostile_keys_cost_no_more_than_others() -> None:
    """Thousands of keys that trackers do not take have names of their own, in a time that grows with their number."""
    keys = [chr(0x4E00 + each) for each in range(20_000)]
    params = facts_of(replace_manifest(digits(), recipe={key: key for key in keys})).params
    assert {value for name, value in params.items() if not name.startswith("estimator")} == set(keys)


def test_export_json_prints_and_writes(tmp_path: Path, published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`export json` gives one JSON document, printed or written; what is MLflow's alone is refused with it."""
    artifact = str(published / "artifact")
    assert main(["export", "json", artifact]) == 0
    printed = capsys.readouterr().out
    facts = json.loads(printed)
    assert facts["metrics"]["held_out/accuracy"] == 0.975
    assert facts["gate"] == "passed"
    assert main(["export", "json", artifact, "-o", str(tmp_path / "facts.json")]) == 0
    assert (tmp_path / "facts.json").read_text() == printed
    capsys.readouterr()
    assert main(["export", "json", artifact, "--alias", "champion"]) == 2
    assert capsys.readouterr().err.startswith("error: --alias goes with export mlflow\n")
    assert main(["export", "mlflow", artifact, "-o", "x.json"]) == 2
    assert capsys.readouterr().err.startswith("error: --output goes with export json\n")


def test_a_metric_may_have_no_interval() -> None:
    """A figure without an interval has no ends."""
    verified = digits()
    figures = tuple(replace(each, low=0.5) for each in verified.manifest.metrics.figures if each.name == "f1_macro")
    metrics = replace(verified.manifest.metrics, figures=figures)
    assert "held_out/f1_macro_low" not in facts_of(replace_manifest(verified, metrics=metrics)).metrics
