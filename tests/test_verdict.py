"""The gate's verdict, judged again from the manifest's own figures."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from artifact_pipeline.artifact.figures import TOLERANCE, recomputed
from artifact_pipeline.artifact.gate import METRICS, gate_problems
from artifact_pipeline.artifact.manifest import parse_manifest
from artifact_pipeline.canonical import canonical_json, digest
from artifact_pipeline.errors import ArtifactRejected
from forging import FAILED, changed

if TYPE_CHECKING:
    from artifact_pipeline.errors import Problem
    from artifact_pipeline.training.sealed import Candidate

    Changes = dict[str, object]


@pytest.fixture(params=["candidate", "candidate_1"], ids=["format 2", "format 1"])
def candidate(request: pytest.FixtureRequest) -> Candidate:
    """The documented config's artifact, of either format."""
    return request.getfixturevalue(request.param)


def place(candidate: Candidate, figure: str) -> str:
    """Where the manifest says a figure over the held-out rows, such as `accuracy`, or `recall of 9`."""
    name, _, label = figure.partition(" of ")
    if candidate.manifest.format == 2:
        figures = json.loads(candidate.manifest.canonical())["metrics"]["figures"]
        asked = (name, "held_out", label)
        found = [(each["name"], each["rows"], str(each.get("label", ""))) for each in figures]
        return f"metrics.figures.{found.index(asked)}.value"
    if label:
        return f"metrics.held_out.classes.{label}.{name}"
    return f"metrics.held_out.{name}" if name == "f1_macro" else f"metrics.held_out.{name}.value"


def named(candidate: Candidate, changes: Changes) -> Changes:
    """Changes of fields by the names that the candidate's format has for them."""
    if candidate.manifest.format == 1:
        names = {
            "gate.rules.0.bound": "gate.rules.0.minimum",
            "metrics.confusion.0.0": "metrics.held_out.confusion.0.0",
        }
    else:
        names = {}
    names["f1_macro"] = place(candidate, "f1_macro")
    return {names.get(name, name): value for name, value in changes.items()}


def found(candidate: Candidate, changes: Changes, *, accept_failed: bool = False) -> list[Problem]:
    """What is wrong with the published manifest with some fields changed."""
    plain = json.loads(candidate.manifest.canonical())
    try:
        manifest = parse_manifest(canonical_json(changed(plain, named(candidate, changes))))
    except ArtifactRejected as error:  # of format 2 no manifest is read whose figures contradict each other
        return list(error.problems)
    return list(gate_problems(manifest, accept_failed=accept_failed))


def test_a_published_verdict_follows_from_its_figures(candidate: Candidate) -> None:
    """What the pipeline judges, the reader judges the same."""
    assert list(gate_problems(candidate.manifest, accept_failed=False)) == []
    figures = recomputed(candidate.manifest.metrics.held_out.confusion)
    assert round(figures["accuracy"], 6) == candidate.manifest.metrics.held_out.accuracy.value == 0.975


def test_every_metric_of_the_gate_is_one_of_the_figures(candidate: Candidate) -> None:
    """The gate judges accuracy and weighted F1, each a figure of the confusion matrix and a minimum of the recipe."""
    assert [rule.metric for rule in candidate.manifest.gate.rules] == list(METRICS)
    assert METRICS.keys() <= recomputed(((1, 0), (0, 1))).keys()
    assert set(METRICS.values()) == candidate.manifest.recipe["gate"].keys()


def test_a_failed_gate_tells_what_it_missed(candidate: Candidate) -> None:
    """The one problem of an honest failure names metric, figure and minimum; it passes only where it is accepted."""
    (problem,) = found(candidate, FAILED)
    assert problem.rule == "gate-failed"
    assert problem.message == "the gate failed: accuracy 0.975 is below 0.99"
    assert found(candidate, FAILED, accept_failed=True) == []


def test_a_missing_gate_passes_only_where_it_is_accepted(candidate: Candidate) -> None:
    """A model that was never judged is refused by name, or accepted as what it is."""
    assert [problem.rule for problem in found(candidate, {"gate": None})] == ["gate-missing"]
    assert found(candidate, {"gate": None}, accept_failed=True) == []


@pytest.mark.parametrize("accept_failed", [False, True])
@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("gate-verdict", {**FAILED, "gate.verdict": "passed"}),
        ("gate-verdict", {**FAILED, "gate.rules.0.passed": True, "gate.verdict": "passed"}),
        ("gate-verdict", {**FAILED, "gate.rules.0.passed": True}),
        ("gate-figures", {**FAILED, "recipe.gate.min_accuracy": 0.95}),
        ("gate-figures", {**FAILED, "gate.rules.0.observed": 0.98}),
        ("gate-rules", {**FAILED, "gate.rules": [], "gate.verdict": "failed"}),
        ("gate-model", {**FAILED, "gate.model": digest(b"")}),
        ("gate-held-out", {**FAILED, "gate.held_out": digest(b"")}),
        ("gate-model", {"gate": None, "model.digest": digest(b"")}),
        ("gate-held-out", {"gate": None, "data.split.digest": digest(b"")}),
        ("metrics-figures", {"gate": None, "f1_macro": 0.5}),
        ("metrics-rows", {"gate": None, "metrics.confusion.0.0": 0}),
    ],
)
def test_a_contradiction_is_refused_even_where_a_failure_is_accepted(
    candidate: Candidate, rule: str, changes: Changes, *, accept_failed: bool
) -> None:
    """To accept a failed or missing gate is not to accept one that contradicts its own figures, model or rows."""
    assert rule in {problem.rule for problem in found(candidate, changes, accept_failed=accept_failed)}


@pytest.mark.parametrize("figure", ["accuracy", "f1_weighted", "f1_macro", "precision of 9", "recall of 9"])
def test_figures_may_differ_by_the_rounding_alone(candidate: Candidate, figure: str) -> None:
    """A figure may differ from the confusion matrix by its sixth decimal's rounding, and by no more."""
    where = place(candidate, figure)
    value: object = json.loads(candidate.manifest.canonical())
    for step in where.split("."):
        value = value[int(step) if step.isdecimal() else step]
    for off in (TOLERANCE * 0.4, -TOLERANCE * 0.4):
        problems = found(candidate, {where: value + off})
        assert "metrics-figures" not in {problem.rule for problem in problems}
    for off in (TOLERANCE * 2, -TOLERANCE * 2):
        (problem, *_) = found(candidate, {where: value + off})
        assert problem.rule == "metrics-figures"


def test_a_figure_that_equals_its_minimum_passes(candidate: Candidate) -> None:
    """The least that is asked is enough."""
    assert found(candidate, {"recipe.gate.min_accuracy": 0.975, "gate.rules.0.bound": 0.975}) == []


def test_a_class_that_nobody_saw_counts_in_no_average() -> None:
    """A class that was never seen nor predicted has zeros, and the macro F1 leaves it out."""
    figures = recomputed(((3, 1, 0), (0, 4, 0), (0, 0, 0)))
    assert figures["accuracy"] == 7 / 8
    assert figures["f1_macro"] == pytest.approx((6 / 7 + 8 / 9) / 2)
    assert figures["f1_weighted"] == pytest.approx((6 / 7 * 4 + 8 / 9 * 4) / 8)
    assert {figures[f"classes[2].{name}"] for name in ("rows", "precision", "recall", "f1")} == {0}


def test_a_class_that_was_only_predicted_counts_as_a_failure() -> None:
    """A class that was predicted and never seen has an F1 of 0, which the macro F1 holds against the model."""
    figures = recomputed(((3, 1), (0, 0)))
    assert figures["classes[1].f1"] == 0
    assert figures["f1_macro"] == pytest.approx(6 / 7 / 2)
    assert figures["f1_weighted"] == pytest.approx(6 / 7)
