"""Calibrated classifiers: a sigmoid of each class's score, fitted by cross-validation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from artifact_pipeline.model import classifiers
from artifact_pipeline.model.families.family import Arrays, Family, not_written, sigmoid, sum_made_one, two_classes
from artifact_pipeline.model.families.nested import answer_of, check_each, describe_each, gives, refuse_fewer_classes
from artifact_pipeline.model.graph import Scores
from artifact_pipeline.model.spec import Calibration

if TYPE_CHECKING:
    from artifact_pipeline.model.graph import Graph, Matrix


def _describe(estimator: Any) -> tuple[Calibration, Arrays]:
    import numpy as np

    if estimator.method != "sigmoid":
        message = f"CalibratedClassifierCV by {estimator.method} makes much of the last bits of a score"
        raise not_written(message, hint='set "method": "sigmoid"')
    calibrated = estimator.calibrated_classifiers_
    inner = [each.estimator for each in calibrated]
    refuse_fewer_classes(inner, len(estimator.classes_), hint='set "cv": 2, or give that class more rows')
    specs, arrays = describe_each(inner)
    for position, each in enumerate(calibrated):
        arrays[f"{position}.slopes"] = np.array([[float(one.a_) for one in each.calibrators]])
        arrays[f"{position}.offsets"] = np.array([[float(one.b_) for one in each.calibrators]])
    return Calibration(estimators=tuple(specs), gives=gives(inner[0])), arrays


def _plan(graph: Graph, spec: Calibration, x: Matrix, classes: int) -> Scores:
    total = ""
    for position, each in enumerate(spec.estimators):
        part = graph.within(str(position))
        answer = classifiers.plan(part, each, x, classes)
        found = _calibrated(part, answer_of(part, answer, classes, which=spec.gives), classes)
        total = graph.add("Add", total, found) if total else found
    probabilities = graph.add("Div", total, graph.double(float(len(spec.estimators))))
    return Scores(probabilities, probabilities)


def _calibrated(graph: Graph, response: str, classes: int) -> str:
    """The probabilities of a response, rows x classes; where each is zero, all classes are equal."""
    count = classes if classes > 2 else 1
    product = graph.add("Mul", graph.parameter("slopes", 1, count), response)
    each = sigmoid(graph, graph.add("Neg", graph.add("Add", product, graph.parameter("offsets", 1, count))))
    return two_classes(graph, each) if classes == 2 else sum_made_one(graph, each)


FAMILY = Family(frozenset({"CalibratedClassifierCV"}), _describe, _plan, check_each)
