"""Stacking: a classifier of what other classifiers answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from artifact_pipeline.model import classifiers
from artifact_pipeline.model.families.family import Arrays, Family, prefixed, unprefixed
from artifact_pipeline.model.families.nested import answer_of, describe_each, label_of, refuse_fewer_classes
from artifact_pipeline.model.graph import Matrix, Scores
from artifact_pipeline.model.spec import Stacked, Stacking
from artifact_pipeline.model.wire import DTYPES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from artifact_pipeline.model.graph import Graph

_GIVES: dict[str, Literal["probabilities", "decision", "label"]] = {
    "predict_proba": "probabilities",
    "decision_function": "decision",
    "predict": "label",
}


def _describe(estimator: Any) -> tuple[Stacking, Arrays]:
    inner = [*estimator.estimators_, estimator.final_estimator_]
    refuse_fewer_classes(inner, len(estimator.classes_), hint="leave it out")
    specs, arrays = describe_each(estimator.estimators_)
    final, numbers = classifiers.describe(estimator.final_estimator_)
    stacked = [
        Stacked(classifier=spec, gives=_GIVES[method])
        for spec, method in zip(specs, estimator.stack_method_, strict=True)
    ]
    spec = Stacking(estimators=tuple(stacked), final=final, passthrough=bool(estimator.passthrough))
    return spec, arrays | prefixed("final", numbers)


def _plan(graph: Graph, spec: Stacking, x: Matrix, classes: int) -> Scores:
    parts = []
    for position, each in enumerate(spec.estimators):
        part = graph.within(str(position))
        parts.append(_answer(part, each, classifiers.plan(part, each.classifier, x, classes), classes))
    if spec.passthrough:
        parts.append(x.name)
    width = _width(spec, x.width, classes)
    graph.hold_matrix(width)
    answers = graph.add("Concat", *parts, axis=1)
    return classifiers.plan(graph.within("final"), spec.final, Matrix(answers, width), classes)


def _answer(graph: Graph, stacked: Stacked, found: Scores, classes: int) -> str:
    """What the last classifier gets of another one; of two classes one column, since the other follows."""
    if stacked.gives == "label":
        return graph.add("Cast", label_of(graph, found), to=DTYPES["float64"])
    return answer_of(graph, found, classes, which=stacked.gives)


def _width(spec: Stacking, width: int, classes: int) -> int:
    """How many columns the last classifier gets."""
    each = classes if classes > 2 else 1
    answers = sum(1 if stacked.gives == "label" else each for stacked in spec.estimators)
    return answers + (width if spec.passthrough else 0)


def _check(spec: Stacking, arrays: Mapping[str, bytes], width: int, classes: int) -> None:
    for position, each in enumerate(spec.estimators):
        classifiers.check(each.classifier, unprefixed(str(position), arrays), width, classes)
    classifiers.check(spec.final, unprefixed("final", arrays), _width(spec, width, classes), classes)


FAMILY = Family(frozenset({"StackingClassifier"}), _describe, _plan, _check)
