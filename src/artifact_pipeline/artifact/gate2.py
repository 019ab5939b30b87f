"""The gate of format 2: any metric that was measured, and the baseline; and whether a verdict follows from the figures.

The standard library and msgspec alone, so that `verify` can ask it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from msgspec import UNSET, UnsetType

from artifact_pipeline.artifact.manifest2 import BASELINE, JudgedGate, JudgedRule
from artifact_pipeline.artifact.parts import NAME
from artifact_pipeline.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from artifact_pipeline.artifact.figures2 import Measured
    from artifact_pipeline.artifact.manifest2 import Manifest2

_ALIASES = {"f1": "f1_weighted"}
_BOUNDS: dict[str, Literal["higher", "lower"]] = {"min": "higher", "max": "lower"}


class _Demand(NamedTuple):
    """One thing that a recipe's gate asks, and the figure; `observed` is None where there is none."""

    metric: str
    label: int | str | UnsetType
    bound: Any
    better: Literal["higher", "lower"]
    observed: float | None

    @property
    def passed(self) -> bool:
        """Whether the figure is enough."""
        if self.observed is None:
            return False
        if self.metric == BASELINE:
            return bool(self.observed > self.bound)
        return bool(self.observed >= self.bound if self.better == "higher" else self.observed <= self.bound)


def demands(asked: Mapping[str, Any], measured: Measured) -> Iterator[_Demand]:
    """Yield what a gate must judge, in the order of its rules, which is that of its sorted keys.

    `asked` is the recipe's `gate`; in a forged manifest it may hold anything.
    """
    figures: dict[str, dict[int | str | UnsetType, float]] = {}
    for each in measured.figures:
        if each.rows == "held_out":
            figures.setdefault(each.name, {})[each.label] = each.value
    for key in sorted(asked):
        limit, _, name = key.partition("_")
        if key == BASELINE and asked[key] is True:
            yield _Demand(BASELINE, UNSET, measured.held_out.majority_share, "higher", measured.held_out.accuracy.low)
        elif limit in _BOUNDS and asked[key] is not None:
            metric = _ALIASES.get(name, name)
            yield from _of_metric(metric, asked[key], _BOUNDS[limit], figures.get(metric, {}))


def _of_metric(
    name: str, bound: Any, better: Literal["higher", "lower"], figures: Mapping[int | str | UnsetType, float]
) -> Iterator[_Demand]:
    if isinstance(bound, dict):
        values = {str(label): (label, value) for label, value in figures.items()}
        for text, least in bound.items():
            label, value = values.get(text, (text, None))
            yield _Demand(name, label, least, better, value)
        return
    if not figures:
        yield _Demand(name, UNSET, bound, better, None)
    for label, observed in figures.items():
        yield _Demand(name, label, bound, better, observed)


def judge(asked: Mapping[str, Any], measured: Measured, *, model: str, held_out: str) -> JudgedGate:
    """Judge figures by a recipe's `gate`; the verdict is bound to the digests of the model and of the split.

    Raises:
        ValueError: a metric is asked for that was not measured; the message names it.
    """
    rules = []
    for each in demands(asked, measured):
        if each.observed is None:
            raise ValueError(each.metric)
        rules.append(
            JudgedRule(
                metric=each.metric,
                bound=each.bound,
                better=each.better,
                observed=each.observed,
                passed=each.passed,
                label=each.label,
            )
        )
    verdict: Literal["passed", "failed"] = "passed" if all(rule.passed for rule in rules) else "failed"
    return JudgedGate(rules=tuple(rules), verdict=verdict, model=model, held_out=held_out)


def count_problems(manifest: Manifest2) -> Iterator[Problem]:
    """Yield where the figures do not count the rows of the data; they are consistent since the manifest was parsed."""
    split, counts = manifest.data.split, manifest.metrics.counts
    if (counts.held_out, counts.training, counts.all) != (split.held_out, split.training, manifest.data.rows):
        yield Problem(NAME, "metrics-rows", "the figures do not count the rows of the data")


def rule_problems(manifest: Manifest2) -> Iterator[Problem]:
    """Yield where the rules of the gate, which is there, are not the recipe's, or do not follow from the figures."""
    gate = manifest.gate
    assert gate is not None
    asked = manifest.recipe.get("gate")
    demanded = list(demands(asked if isinstance(asked, dict) else {}, manifest.metrics))
    named = [(each.metric, each.label) for each in demanded]
    if [(rule.metric, rule.label) for rule in gate.rules] != named:
        listed = ", ".join(metric if label is UNSET else f"{metric} of {label!r}" for metric, label in named)
        yield Problem(NAME, "gate-rules", f"the gate must judge {listed:.160}, each once")
        return
    for rule, demand in zip(gate.rules, demanded, strict=True):
        if (rule.observed, rule.bound, rule.better) != (demand.observed, demand.bound, demand.better):
            yield Problem(NAME, "gate-figures", f"the rule for {rule.name} is not about this manifest's figures")
        elif rule.passed != demand.passed:
            yield Problem(NAME, "gate-verdict", f"the verdict on {rule.name} does not follow from its figures")
    if (gate.verdict == "passed") != all(rule.passed for rule in gate.rules):
        yield Problem(NAME, "gate-verdict", "the verdict does not follow from the rules")
