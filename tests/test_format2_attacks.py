"""Artifacts of format 2 that were changed and sealed again: each is refused by the rule that it breaks."""

from __future__ import annotations

import csv
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from artifact_pipeline.artifact.manifest2 import Manifest2
from artifact_pipeline.canonical import canonical_json
from artifact_pipeline.cli import main
from artifact_pipeline.config import from_mapping
from artifact_pipeline.errors import ArtifactRejected
from artifact_pipeline.training.candidate import train
from artifact_pipeline.trust.policy import Trust
from artifact_pipeline.verification import verify
from forging import REMOVED, changed, manifest_of, reseal, reseal_fields, unpack

if TYPE_CHECKING:
    from pathlib import Path

    from artifact_pipeline.training.sealed import Candidate
    from forging import Changes

GATE = {"min_accuracy": 0.3, "min_f1": 0.3, "max_log_loss": 5.0, "min_recall": {"sick": 0.1}, "beats_baseline": True}


@pytest.fixture(scope="module")
def candidate(tmp_path_factory: pytest.TempPathFactory) -> Candidate:
    """A decision tree over a number that may be missing, a boolean and a category."""
    generator, path = np.random.default_rng(5), tmp_path_factory.mktemp("rows") / "rows.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["age", "smoker", "city", "diagnosis"])
        for row in range(300):
            age, city = int(generator.integers(18, 90)), str(generator.choice(["Berlin", "Paris"]))
            label = "sick" if age + 20 * (city == "Paris") > 60 else "well"
            writer.writerow([age if row % 9 else "", ["true", "false"][row % 2], city, label])
    asked = {
        "dataset": {"path": str(path), "target": "diagnosis"},
        "preprocess": "auto",
        "model": {"estimator": "DecisionTreeClassifier", "max_depth": 3},
        "gate": GATE,
    }
    return train(from_mapping(asked), progress=lambda _: None)


@pytest.fixture
def folder(candidate: Candidate, tmp_path: Path) -> Path:
    """The artifact, unpacked."""
    return unpack(candidate, tmp_path / "artifact")


def rules(folder: Path, **options: Any) -> set[str]:
    """The rules that the artifact breaks; none where it verifies."""
    try:
        verify(folder, **options)
    except ArtifactRejected as error:
        return {problem.rule for problem in error.problems}
    return set()


def figure(candidate: Candidate, name: str, rows: str = "held_out") -> int:
    """The place of a figure in the manifest's list."""
    assert isinstance(candidate.manifest, Manifest2)
    figures = candidate.manifest.metrics.figures
    return next(place for place, each in enumerate(figures) if (each.name, each.rows) == (name, rows))


def test_a_whole_artifact_of_format_2_verifies(folder: Path) -> None:
    """What is sealed again without a change is the artifact itself."""
    reseal(folder)
    assert rules(folder) == set()


MANIFEST: dict[str, tuple[Changes, set[str]]] = {
    "it says that it is of format 1": ({"format": 1}, {"manifest-field"}),
    "levels out of order": ({"model.inputs.2.levels": ["Paris", "Berlin"]}, {"manifest-field"}),
    "a level twice": ({"model.inputs.2.levels": ["Berlin", "Berlin"]}, {"manifest-field"}),
    "a level of two thousand bytes": ({"model.inputs.2.levels": ["Berlin", "é" * 1000]}, {"manifest-field"}),
    "a category without levels": ({"model.inputs.2.levels": REMOVED}, {"manifest-field"}),
    "a number with levels": ({"model.inputs.0.levels": ["a"], "model.inputs.0.other": "accept"}, {"manifest-field"}),
    "a column twice": ({"model.inputs.1.name": "age"}, {"manifest-field"}),
    "labels of two kinds": ({"model.classes": [1, "well"]}, {"manifest-field"}),
    "a label that no model can hold": ({"model.classes": [1, 2**63]}, {"manifest-field"}),
    "a kind of column that there is not": ({"model.inputs.0.kind": "date"}, {"manifest-field"}),
    "an unknown field": ({"model.code": "import os"}, {"manifest-field"}),
    "steps that are none": ({"model.steps": {}}, {"manifest-field"}),
    "a step that is none": ({"model.steps.parts.0.steps": [{"type": "eval"}]}, {"manifest-field"}),
    "another step": ({"model.steps.parts.1.encoding": "ordinal"}, {"onnx-operator"}),
    "scores that are probabilities": ({"model.answers": "scores"}, {"model-shape"}),
    "a figure that does not follow": ({"metrics.figures.0.value": 0.5}, {"metrics-figures"}),
    "a figure that is missing": ({"metrics.figures.0": REMOVED}, {"metrics-figures"}),
    "an interval that ends before it begins": (
        {"metrics.figures.0.low": 1.0, "metrics.figures.0.high": 0.0},
        {"metrics-figures"},
    ),
    "an interval with one end": ({"metrics.figures.0.low": REMOVED}, {"metrics-figures"}),
    "another confusion matrix": ({"metrics.confusion.0.0": 1}, {"metrics-rows"}),
    "a confusion matrix that is not square": ({"metrics.confusion": [[60]]}, {"metrics-confusion"}),
    "more held-out rows": ({"metrics.counts.held_out": 61}, {"metrics-rows"}),
    "a gate without rules": ({"gate.rules": []}, {"gate-rules"}),
    "a lower bound": ({"gate.rules.0.bound": 0.0}, {"gate-figures"}),
    "a better figure": ({"gate.rules.0.observed": 1.0}, {"gate-figures"}),
    "the other direction": ({"gate.rules.0.better": "lower"}, {"gate-figures"}),
    "a rule that failed": ({"gate.rules.0.passed": False}, {"gate-verdict"}),
    "a verdict that does not follow": ({"gate.verdict": "failed"}, {"gate-verdict", "gate-failed"}),
    "no gate": ({"gate": None}, {"gate-missing"}),
}


@pytest.mark.parametrize("name", MANIFEST)
def test_a_changed_manifest_is_refused_by_its_rule(name: str, folder: Path) -> None:
    """Each change of the manifest, sealed again, is refused by the rule that it breaks."""
    changes, expected = MANIFEST[name]
    reseal(folder)
    if "gate" in changes:
        manifest_without_gate(folder)
    else:
        reseal(folder, changes)
    assert rules(folder) == expected


def test_figures_of_other_classes_are_refused(folder: Path) -> None:
    """Each class has its recall, in the order of the classes: what counts their rows relies on it."""
    figures = manifest_of(folder)["metrics"]["figures"]
    first, second = (at for at, each in enumerate(figures) if (each["name"], each["rows"]) == ("recall", "held_out"))
    reseal(folder, {f"metrics.figures.{len(figures)}": {**figures[first], "label": "dead"}})
    assert rules(folder) == {"metrics-figures"}
    reseal(folder, {"metrics.figures": figures})
    assert rules(folder) == set()
    reseal(folder, {f"metrics.figures.{first}": figures[second], f"metrics.figures.{second}": figures[first]})
    assert rules(folder) == {"metrics-figures"}


def manifest_without_gate(folder: Path) -> None:
    """Take the verdict away."""
    path = folder / "manifest.json"
    path.write_bytes(canonical_json(changed(manifest_of(folder), {"gate": None})))


FILES: dict[str, tuple[str, Changes, set[str]]] = {
    "a reference of format 1": ("reference.json", {"format": 1}, {"reference-invalid"}),
    "levels without a bin": (
        "reference.json",
        {"features.2.edges": [0.0, 1.0]},
        {"reference-bins"},
    ),
    "rows that are not counted": ("reference.json", {"features.2.counts.0": 1}, {"reference-counts"}),
    "golden rows of format 1": ("selftest.json", {"format": 1}, {"selftest-invalid"}),
    "a golden value of another kind": ("selftest.json", {"rows.0.0": "old"}, {"selftest-values"}),
    "a golden boolean of 2": ("selftest.json", {"rows.0.1": 2.0}, {"selftest-values"}),
    "a golden gap where there can be none": ("selftest.json", {"rows.0.1": None}, {"selftest-values"}),
    "a golden row that is too short": ("selftest.json", {"rows.0": [1.0]}, {"selftest-shape"}),
    "a golden label that there is not": ("selftest.json", {"labels.0": "dead"}, {"selftest-labels"}),
    "an answer too few": ("selftest.json", {"answers.0": [1.0]}, {"selftest-shape"}),
    "a row without an answer": ("selftest.json", {"answers.0": REMOVED}, {"selftest-shape"}),
}


@pytest.mark.parametrize("name", FILES)
def test_a_changed_file_is_refused_by_its_rule(name: str, folder: Path) -> None:
    """Each change of the reference or of the golden rows, sealed again, is refused by the rule that it breaks."""
    file, changes, expected = FILES[name]
    reseal_fields(folder, changes, file)
    assert rules(folder) == expected


def test_other_golden_answers_are_found_before_the_first_row(folder: Path) -> None:
    """Answers that the model does not give are found when they are replayed, whatever the digests say."""
    from artifact_pipeline.model.predictor import open_predictor

    reseal_fields(folder, {"answers.0": [0.5, 0.5]}, "selftest.json")
    with pytest.raises(ArtifactRejected) as caught:
        open_predictor(verify(folder))
    assert [problem.rule for problem in caught.value.problems] == ["selftest-answers"]


def test_a_failed_gate_is_refused_and_can_be_accepted(folder: Path, candidate: Candidate) -> None:
    """A gate that failed honestly is refused; it passes only where that is accepted."""
    place = figure(candidate, "log_loss")
    assert isinstance(candidate.manifest, Manifest2)
    gate = candidate.manifest.gate
    assert gate is not None
    rule = next(number for number, each in enumerate(gate.rules) if each.metric == "log_loss")
    worse = {
        f"metrics.figures.{place}.value": 9.0,
        f"gate.rules.{rule}.observed": 9.0,
        f"gate.rules.{rule}.passed": False,
        "gate.verdict": "failed",
    }
    reseal(folder, worse)
    assert rules(folder) == {"gate-failed"}
    assert rules(folder, accept_failed_gate=True) == set()


def test_the_gate_judges_what_the_recipe_asks(candidate: Candidate) -> None:
    """Each rule has its metric, its bound and its direction; the baseline is the majority share."""
    assert isinstance(candidate.manifest, Manifest2)
    gate, metrics = candidate.manifest.gate, candidate.manifest.metrics
    assert gate is not None
    found = [
        (each.metric, each.label if isinstance(each.label, str) else None, each.bound, each.better)
        for each in gate.rules
    ]
    share = metrics.held_out.majority_share
    assert found == [
        ("beats_baseline", None, share, "higher"),
        ("log_loss", None, 5.0, "lower"),
        ("accuracy", None, 0.3, "higher"),
        ("f1_weighted", None, 0.3, "higher"),
        ("recall", "sick", 0.1, "higher"),
    ]
    assert gate.rules[0].observed == metrics.held_out.accuracy.low
    assert [each.sign for each in gate.rules] == [">", "<=", ">=", ">=", ">="]


def test_a_policy_and_a_list_of_runs_meet_a_manifest_without_figures(
    candidate: Candidate, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who reads the figures of a forged manifest is refused by rule, or told that it cannot be read; nothing fails."""
    reseal(folder, {"metrics.figures.0": REMOVED})
    policy = tmp_path / "policy.json"
    policy.write_text('{"format": 1, "keys": [], "minimum": {"accuracy": 0.1}}', encoding="utf-8")
    assert rules(folder, trust=Trust.load(policy=policy, expected=True)) == {"metrics-figures"}
    store = tmp_path / "artifacts" / candidate.digest.removeprefix("sha256:")
    store.parent.mkdir()
    shutil.copytree(folder, store)
    (tmp_path / "artifact").rename(tmp_path / "other")
    (tmp_path / "artifact").symlink_to(store)
    assert main(["runs", "--artifact", str(tmp_path / "artifact")]) == 0
    assert "unreadable" in capsys.readouterr().out
