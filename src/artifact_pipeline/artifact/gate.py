"""Whether the gate's verdict follows from the manifest's own figures: every reader checks it again.

The standard library and msgspec alone, so that `verify` can ask it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import UNSET

from artifact_pipeline.artifact.figures import TOLERANCE, recomputed
from artifact_pipeline.artifact.gate2 import count_problems, rule_problems
from artifact_pipeline.artifact.manifest1 import Manifest1
from artifact_pipeline.artifact.parts import NAME
from artifact_pipeline.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from msgspec import UnsetType

    from artifact_pipeline.artifact.figures import HeldOut
    from artifact_pipeline.artifact.manifest import Manifest
    from artifact_pipeline.artifact.manifest1 import Metric

METRICS: dict[Metric, str] = {"accuracy": "min_accuracy", "f1_weighted": "min_f1"}
"""Each metric that every gate of format 1 must have a rule for, and the recipe's key for its minimum."""
GATE_ALONE = frozenset({"gate-failed", "gate-missing"})
"""The rules that an artifact breaks that is whole, and whose model failed its gate or was never judged."""


class _Demand(NamedTuple):
    """One thing that a recipe's gate asks: a metric, of one class or of all, its minimum, and the figure."""

    metric: Metric
    label: int | str | UnsetType
    minimum: Any
    observed: float


def demands(asked: Mapping[str, Any], held_out: HeldOut) -> Iterator[_Demand]:
    """Yield what a gate must judge, in the order of its rules.

    `asked` is the recipe's `gate`; in a forged manifest it may hold anything.
    """
    figures = {"accuracy": held_out.accuracy.value, "f1_weighted": held_out.f1_weighted.value}
    for metric, key in METRICS.items():
        yield _Demand(metric, UNSET, asked.get(key), figures[metric])
    if asked.get("beats_baseline"):
        yield _Demand("accuracy_low", UNSET, held_out.majority_share, held_out.accuracy.low)
    if asked.get("min_f1_macro") is not None:
        yield _Demand("f1_macro", UNSET, asked["min_f1_macro"], held_out.f1_macro)
    recall = asked.get("min_recall")
    for each in held_out.classes if recall is not None else ():
        if not isinstance(recall, dict):
            yield _Demand("recall", each.label, recall, each.recall)
        elif str(each.label) in recall:
            yield _Demand("recall", each.label, recall[str(each.label)], each.recall)


def gate_problems(manifest: Manifest, *, accept_failed: bool) -> Iterator[Problem]:
    """Yield why this manifest's gate forbids to use the model.

    With `accept_failed` a missing or failed gate passes; one that contradicts itself is refused all the same.
    """
    yield from _figure_problems(manifest) if isinstance(manifest, Manifest1) else count_problems(manifest)
    yield from _binding_problems(manifest)
    gate = manifest.gate
    if gate is None:
        if not accept_failed:
            yield Problem(NAME, "gate-missing", "the model was never judged by a gate")
        return
    yield from _rule_problems(manifest) if isinstance(manifest, Manifest1) else rule_problems(manifest)
    if gate.verdict == "failed" and not accept_failed:
        failed = [rule.shortfall for rule in gate.rules if not rule.passed]
        yield Problem(NAME, "gate-failed", f"the gate failed: {', '.join(failed)}")


def _binding_problems(manifest: Manifest) -> Iterator[Problem]:
    gate, model, split = manifest.gate, manifest.file("model"), manifest.file("split")
    if {manifest.model.digest, gate.model if gate else model.sha256} != {model.sha256}:
        yield Problem(NAME, "gate-model", f"the gate or the manifest speaks of another model than {model.name}")
    if {manifest.data.split.digest, gate.held_out if gate else split.sha256} != {split.sha256}:
        yield Problem(NAME, "gate-held-out", f"the gate or the manifest speaks of other rows than {split.name}")


def _rule_problems(manifest: Manifest1) -> Iterator[Problem]:
    gate = manifest.gate
    assert gate is not None
    asked, classes = manifest.recipe.get("gate"), manifest.metrics.held_out.classes
    minima = asked if isinstance(asked, dict) else {}
    demanded = {(each.metric, each.label): each for each in demands(minima, manifest.metrics.held_out)}
    if [(rule.metric, rule.label) for rule in gate.rules] != list(demanded):
        listed = ", ".join(f"{metric} of {label!r}" if label is not UNSET else metric for metric, label in demanded)
        yield Problem(NAME, "gate-rules", f"the gate must judge {listed:.160}, each once")
    recall = minima.get("min_recall")
    if isinstance(recall, dict) and recall.keys() - {str(each.label) for each in classes}:
        yield Problem(NAME, "gate-rules", "the recipe asks for the recall of a class that the model has not")
    for rule in gate.rules:
        demand = demanded.get((rule.metric, rule.label))
        if demand is not None and (rule.observed, rule.minimum) != (demand.observed, demand.minimum):
            yield Problem(NAME, "gate-figures", f"the rule for {rule.name} is not about this manifest's figures")
        if rule.passed != (rule.observed >= rule.minimum):
            yield Problem(NAME, "gate-verdict", f"the verdict on {rule.name} does not follow from its figures")
    if (gate.verdict == "passed") != all(rule.passed for rule in gate.rules):
        yield Problem(NAME, "gate-verdict", "the verdict does not follow from the rules")


def _figure_problems(manifest: Manifest1) -> Iterator[Problem]:
    """Yield where the figures contradict the rows, the classes, or their own confusion matrix."""
    metrics, split, classes = manifest.metrics, manifest.data.split, manifest.model.classes
    held_out, confusion = metrics.held_out, metrics.held_out.confusion
    if (metrics.training.rows, metrics.all.rows) != (split.training, manifest.data.rows):
        yield Problem(NAME, "metrics-rows", "the figures do not count the training rows, or all rows")
    if [each.label for each in held_out.classes] != list(classes):
        yield Problem(NAME, "metrics-classes", "the figures by class are not about the model's classes")
        return
    if len(confusion) != len(classes) or any(len(row) != len(classes) for row in confusion):
        yield Problem(NAME, "metrics-confusion", f"the confusion matrix must be {len(classes)} by {len(classes)}")
        return
    if not sum(map(sum, confusion)) == held_out.rows == split.held_out or not held_out.rows:
        yield Problem(NAME, "metrics-rows", "the confusion matrix does not count the held-out rows")
        return
    named = held_out.named()
    for figure, value in recomputed(confusion).items():
        if abs(named[figure] - value) > TOLERANCE:
            yield Problem(NAME, "metrics-figures", f"{figure} does not follow from the confusion matrix")
