"""AdaBoost: weighted votes of the labels that several classifiers give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from artifact_pipeline.model import classifiers
from artifact_pipeline.model.families.family import Arrays, Family, two_scores
from artifact_pipeline.model.families.nested import check_each, describe_each, is_label, refuse_fewer_classes
from artifact_pipeline.model.graph import Scores
from artifact_pipeline.model.spec import AdaBoost

if TYPE_CHECKING:
    from artifact_pipeline.model.graph import Graph, Matrix


def _describe(estimator: Any) -> tuple[AdaBoost, Arrays]:
    import numpy as np

    classes = len(estimator.classes_)
    refuse_fewer_classes(estimator.estimators_, classes, hint="give that class more rows")
    specs, arrays = describe_each(estimator.estimators_)
    weights = np.asarray(estimator.estimator_weights_, dtype=np.float64)[: len(specs)]
    for position, weight in enumerate(weights):
        arrays[f"{position}.for"] = np.array([weight])
        arrays[f"{position}.against"] = np.array([-1 / (classes - 1) * weight])
    # As scikit-learn divides: by all weights, those of classifiers too that were not fitted and have zero.
    arrays["total"] = np.array([estimator.estimator_weights_.sum()])
    return AdaBoost(estimators=tuple(specs)), arrays


def _plan(graph: Graph, spec: AdaBoost, x: Matrix, classes: int) -> Scores:
    total = ""
    for position, each in enumerate(spec.estimators):
        part = graph.within(str(position))
        chosen = is_label(part, classifiers.plan(part, each, x, classes), classes)
        votes = graph.add("Where", chosen, part.parameter("for", 1), part.parameter("against", 1))
        total = graph.add("Add", total, votes) if total else votes
    decision = graph.add("Div", total, graph.parameter("total", 1, positive=True))
    if classes > 2:
        scaled = graph.add("Div", decision, graph.double(float(classes - 1)))
        return Scores(decision, graph.add("Softmax", scaled, axis=1), lambda: decision)
    second = graph.add("Add", graph.add("Neg", graph.column(decision, 0)), graph.column(decision, 1))
    both = graph.add("Concat", graph.add("Neg", second), second, axis=1)
    halves = graph.add("Div", both, graph.double(2.0))
    scores = two_scores(graph, second)
    return Scores(scores, graph.add("Softmax", halves, axis=1), lambda: scores)


FAMILY = Family(frozenset({"AdaBoostClassifier"}), _describe, _plan, check_each)
