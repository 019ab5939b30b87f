"""The rare class: what accuracy is worth, which class is never predicted, and a gate that asks for each class."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from artifact_pipeline.artifact.gate import gate_problems
from artifact_pipeline.artifact.manifest import Manifest, parse_manifest
from artifact_pipeline.canonical import canonical_json
from artifact_pipeline.cli import main
from artifact_pipeline.config import Gate, from_mapping
from artifact_pipeline.errors import ArtifactRejected, GateFailed
from artifact_pipeline.reports.markdown import manifest_page
from artifact_pipeline.reports.tables import shown_rules
from artifact_pipeline.training.candidate import train
from artifact_pipeline.training.publication import publish
from artifact_pipeline.verification import verify
from forging import changed
from format1 import held_out_figures, judge
from tables import write_table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from artifact_pipeline.artifact.figures import HeldOut
    from artifact_pipeline.training.sealed import Candidate

    Cli = Callable[..., tuple[int, str, str]]

SHA = "sha256:" + "0" * 64
ROWS, RARE = 20_000, 20


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A config whose table is pure noise, in which one row in a thousand is rare."""
    folder, random = tmp_path_factory.mktemp("noise"), np.random.default_rng(7)
    labels = np.where(np.arange(ROWS) < RARE, "rare", "healthy")
    columns = {name: random.normal(size=ROWS) for name in ("width", "height")}
    write_table(folder / "noise.parquet", {**columns, "label": labels})
    dataset = {"path": "noise.parquet", "target": "label"}
    config = {"C": 1.0, "solver": "lbfgs", "max_iter": 1000, "stratify": True, "dataset": dataset}
    config["gate"] = {"min_accuracy": 0.95, "min_f1": 0.95, "beats_baseline": False}
    (folder / "config.json").write_text(json.dumps(config))
    return folder / "config.json"


@pytest.fixture
def cli(noise: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Train from the noise into `tmp_path`, or run another verb."""

    def call(verb: str, *arguments: str | Path) -> tuple[int, str, str]:
        capsys.readouterr()
        places = ("--config", noise, "--artifact", tmp_path / "artifact", "--export", tmp_path / "model_train.pkl")
        status = main([verb, *map(str, places if verb == "train" else ()), *map(str, arguments)])
        return status, *capsys.readouterr()

    return call


def test_noise_that_passes_by_the_majority_is_called_what_it_is(cli: Cli, tmp_path: Path) -> None:
    """Where the rare class is never found, accuracy stands beside the majority share, and the class is named."""
    status, out, err = cli("train", "--summary", tmp_path / "page.md")
    assert status == 0
    assert "gate: passed (accuracy 0.9990 >= 0.9500" in out
    assert "majority share: 0.9990 (the accuracy of always answering 'healthy')" in out.splitlines()
    assert "warning: 'rare' is never predicted on the held-out rows, and is the label of 4 of them" in err.splitlines()
    assert "-S gate.min_recall=0.5" in err
    page = (tmp_path / "page.md").read_text()
    assert "Majority share 0.9990: the accuracy of always answering healthy." in page
    assert "**Never predicted on the held-out rows:** rare (4 rows)." in page
    unchanged = cli("train")
    assert "unchanged" in unchanged[1]
    assert "'rare' is never predicted" in unchanged[2]


def test_the_baseline_is_in_what_inspect_says_and_in_json(cli: Cli, tmp_path: Path) -> None:
    """`inspect` says the same as `train`, and both say it in their JSON."""
    found = {"majority": {"label": "healthy", "share": 0.999}, "never_predicted": ["rare"]}
    status, out, _ = cli("train", "--json")
    assert (status, {key: json.loads(out)[key] for key in found}) == (0, found)
    _, out, err = cli("inspect", tmp_path / "artifact")
    assert "majority share: 0.9990 (the accuracy of always answering 'healthy')" in out.splitlines()
    assert "'rare' is never predicted" in err
    _, out, _ = cli("inspect", tmp_path / "artifact", "--json")
    assert {key: json.loads(out)[key] for key in found} == found


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ("gate.min_recall.rare=0.5", "gate: recall of 'rare' 0.0 is below 0.5"),
        ("gate.min_recall=0.1", "gate: recall of 'rare' 0.0 is below 0.1"),
        ("gate.min_f1_macro=0.6", "gate: f1_macro 0.49975 is below 0.6"),
        (
            "gate.beats_baseline=true",
            "gate: accuracy may be as low as 0.997431, and always giving one label reaches 0.999",
        ),
    ],
)
def test_noise_fails_a_gate_that_asks_for_the_rare_class(cli: Cli, tmp_path: Path, asked: str, problem: str) -> None:
    """Macro F1, the recall of every class or that of one let no model pass that never finds the rare class."""
    status, out, err = cli("train", "-S", asked)
    assert status == 3
    assert f"  {problem}" in err.splitlines()
    assert "gate: failed" in out
    assert not (tmp_path / "artifact").exists()
    (folder,) = (path for path in (tmp_path / "artifacts").iterdir() if path.name[0] != "." and path.is_dir())
    with pytest.raises(ArtifactRejected) as caught:
        verify(folder)
    assert caught.value.rules == {"gate-failed"}
    assert str(caught.value.problems[0]).endswith(problem.removeprefix("gate: "))
    assert verify(folder, accept_failed_gate=True).manifest.recipe["gate"].keys() > {"min_accuracy", "min_f1"}


def test_a_label_that_no_row_has_is_refused_before_the_fit(cli: Cli, tmp_path: Path) -> None:
    """A gate or a weight for a label that the rows have not is a mistake of the config, with what may be meant."""
    for key in ("gate.min_recall", "class_weight"):
        status, _, err = cli("train", "-S", f"{key}.rar=0.5")
        assert status == 2
        assert f"  config: {key}.rar: no row has this label, did you mean rare?" in err.splitlines()
    assert list(tmp_path.iterdir()) == []


def test_a_class_without_held_out_rows_is_not_shown_to_be_found(tmp_path: Path) -> None:
    """Where no held-out row has a class, its recall is not shown; the gate fails, and says why."""
    labels = ["a", "b"] * 50 + ["c"]
    path = write_table(tmp_path / "rows.parquet", {"x": np.arange(101.0) / 2, "label": labels})
    asked = {
        "dataset": {"path": str(path), "target": "label"},
        "gate": {"beats_baseline": False, "min_recall": {"c": 0.1}},
        "split": {"by": "random"},
    }
    candidate = train(from_mapping({"C": 1.0, "solver": "lbfgs", "max_iter": 1000, **asked}), progress=lambda _: None)
    assert candidate.manifest.metrics.held_out.classes[2].rows == 0
    assert candidate.manifest.metrics.held_out.never_predicted == ()
    with pytest.raises(GateFailed) as caught:
        publish(candidate, artifact=tmp_path / "artifact", export=tmp_path / "model_train.pkl")
    (problem,) = caught.value.problems
    assert problem.message == "recall of 'c' 0.0 is below 0.1, since no held-out row has this label"


# The reader's judgement


ASKED = {"min_accuracy": 0.95, "min_f1": 0.95, "min_f1_macro": 0.9, "min_recall": {"4": 0.9, "9": 0.95}}


@pytest.fixture(scope="module")
def strict(candidate_1: Candidate) -> Manifest:
    """The published manifest, as if its recipe had asked for macro F1 and the recall of two classes."""
    manifest = candidate_1.manifest
    gate = judge(manifest.metrics.held_out, Gate(**ASKED), model=manifest.gate.model, held_out=manifest.gate.held_out)
    return parse_manifest(replace(manifest, recipe={**manifest.recipe, "gate": ASKED}, gate=gate).canonical())


def test_rules_by_class_stand_behind_the_others_in_the_order_of_the_classes(strict: Manifest) -> None:
    """Each rule about recall names its class, as the model has it; a rule about all classes has no such field."""
    assert list(gate_problems(strict, accept_failed=False)) == []
    rules = strict.plain()["gate"]["rules"]
    assert [(rule["metric"], rule.get("label", "none")) for rule in rules] == [
        ("accuracy", "none"),
        ("f1_weighted", "none"),
        ("f1_macro", "none"),
        ("recall", 4),
        ("recall", 9),
    ]
    assert [rule["observed"] for rule in rules[2:]] == [0.976475, 0.978261, 0.95]


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("gate-rules", {"recipe.gate.min_recall": None}),
        ("gate-rules", {"recipe.gate.min_recall": {"4": 0.9}}),
        ("gate-rules", {"recipe.gate.min_recall": {"4": 0.9, "9": 0.95, "0": 0.5}}),
        ("gate-rules", {"recipe.gate.min_recall": {"4": 0.9, "9": 0.95, "ten": 0.5}}),
        ("gate-rules", {"recipe.gate.min_recall": 0.9}),
        ("gate-rules", {"recipe.gate.min_f1_macro": None}),
        ("gate-rules", {"gate.rules.4.label": 8}),
        ("gate-rules", {"gate.rules.4.label": "9"}),
        ("gate-rules", {"gate.rules.0.label": 9}),
        ("gate-rules", {"gate.rules.4.metric": "f1_macro"}),
        ("gate-figures", {"recipe.gate.min_recall": {"4": 0.9, "9": 0.99}}),
        ("gate-figures", {"recipe.gate.min_recall": {"4": 0.9, "9": None}}),
        ("gate-figures", {"recipe.gate.min_f1_macro": "0.9"}),
        ("gate-figures", {"gate.rules.4.observed": 0.99}),
        ("gate-verdict", {"gate.rules.4.passed": False, "gate.verdict": "failed"}),
        ("gate-verdict", {"recipe.gate.min_recall": {"4": 0.9, "9": 0.99}, "gate.rules.4.minimum": 0.99}),
        ("metrics-figures", {"metrics.held_out.classes.9.recall": 1.0, "gate.rules.4.observed": 1.0}),
    ],
)
def test_a_verdict_by_class_that_does_not_follow_is_refused(
    strict: Manifest, rule: str, changes: dict[str, object]
) -> None:
    """Rules about macro F1 and recall are derived again from the recipe and the confusion matrix."""
    forged = parse_manifest(canonical_json(changed(strict.plain(), changes)))
    assert rule in {problem.rule for problem in gate_problems(forged, accept_failed=True)}


shares = st.sampled_from([0.0, 0.5, 0.75, 1.0]) | st.floats(0, 1)
figures = st.integers(2, 4).flatmap(
    lambda size: st.tuples(
        st.lists(st.integers(0, size - 1), min_size=1, max_size=12),
        st.lists(st.integers(0, size - 1), min_size=12, max_size=12),
        st.just([f"class {index}" for index in range(size)]),
    )
)


def measured(actual: list[int], predicted: list[int], labels: list[str]) -> HeldOut:
    """The figures of some answers."""
    sure = np.full((len(actual), len(labels)), 1 / len(labels))
    return held_out_figures(np.array(actual), np.array(predicted[: len(actual)]), sure, labels)


@given(figures, st.data())
def test_the_verdict_is_what_the_confusion_matrix_says(
    candidate_1: Candidate, answers: tuple[list[int], list[int], list[str]], data: st.DataObject
) -> None:
    """A gate passes just where each class that is asked for is found as often as asked; the reader says the same."""
    held_out = measured(*answers)
    labels = [each.label for each in held_out.classes]
    minima = data.draw(st.none() | shares | st.dictionaries(st.sampled_from(labels), shares, min_size=1))
    asked = Gate(min_accuracy=0, min_f1=0, min_recall=minima)
    gate = judge(held_out, asked, model=SHA, held_out=SHA)
    least = minima if isinstance(minima, dict) else dict.fromkeys(labels, minima or 0.0)
    found = {
        label: round(row[index] / sum(row), 6) if sum(row) else 0.0
        for index, (label, row) in enumerate(zip(labels, held_out.confusion, strict=True))
    }
    assert (gate.verdict == "passed") == all(found[label] >= minimum for label, minimum in least.items())
    recipe = {**candidate_1.manifest.recipe, "gate": asked.model_dump()}
    metrics = replace(candidate_1.manifest.metrics, held_out=held_out)
    manifest = replace(candidate_1.manifest, gate=gate, recipe=recipe, metrics=metrics)
    contradictions = {"gate-rules", "gate-figures", "gate-verdict", "metrics-figures"}
    assert not contradictions & {problem.rule for problem in gate_problems(manifest, accept_failed=True)}


@given(figures)
def test_the_majority_is_the_best_constant_answer(answers: tuple[list[int], list[int], list[str]]) -> None:
    """The majority share is the accuracy of the best constant answer, and a class is missed that occurs unanswered."""
    actual, predicted, labels = answers
    held_out = measured(*answers)
    best = max(actual.count(index) for index in range(len(labels)))
    assert held_out.majority_share == round(best / len(actual), 6)
    assert held_out.majority.label == labels[max(range(len(labels)), key=actual.count)]
    missed = set(actual) - set(predicted[: len(actual)])
    assert {each.label for each in held_out.never_predicted} == {labels[index] for index in missed}


def test_many_rules_are_cut_where_they_are_shown(candidate_1: Candidate) -> None:
    """Of many rules so many are shown as can be read, the failed ones first; few stand as they are."""
    manifest = candidate_1.manifest
    gate = judge(manifest.metrics.held_out, Gate(min_recall=0.96), model=SHA, held_out=SHA)
    assert shown_rules(gate, 12) == gate.rules
    assert [rule.name for rule in shown_rules(gate, 3)] == ["recall of 5", "recall of 9", "accuracy"]


def test_a_page_names_a_rule_and_its_class(strict: Manifest) -> None:
    """The page of a job has a row for each rule, with the class that it is about."""
    assert "| recall of 9 | 0.9500 | 0.9500 | passed |" in manifest_page(SHA, strict)
