"""The multi-layer perceptron."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from artifact_pipeline.model.families.family import Arrays, Family, sigmoid, two_classes
from artifact_pipeline.model.graph import Scores
from artifact_pipeline.model.spec import Neural

if TYPE_CHECKING:
    from artifact_pipeline.model.graph import Graph, Matrix

_OPERATORS = {"tanh": "Tanh", "relu": "Relu"}


def _describe(estimator: Any) -> tuple[Neural, Arrays]:
    arrays: Arrays = {}
    for layer, (weights, biases) in enumerate(zip(estimator.coefs_, estimator.intercepts_, strict=True)):
        arrays |= {f"coefficients.{layer}": weights, f"intercepts.{layer}": biases}
    hidden = tuple(len(biases) for biases in estimator.intercepts_[:-1])
    return Neural(activation=estimator.activation, hidden=hidden), arrays


def _plan(graph: Graph, spec: Neural, x: Matrix, classes: int) -> Scores:
    """The label is that of the greatest probability, and not of the greatest score, as scikit-learn picks it."""
    name = x.name
    widths = (x.width, *spec.hidden, 1 if classes == 2 else classes)
    for layer, (before, after) in enumerate(pairwise(widths)):
        if layer and spec.activation == "logistic":
            name = sigmoid(graph, name)
        elif layer and spec.activation in _OPERATORS:
            name = graph.add(_OPERATORS[spec.activation], name)
        graph.hold(after)
        weights = graph.parameter(f"coefficients.{layer}", before, after)
        name = graph.add("Gemm", name, weights, graph.parameter(f"intercepts.{layer}", after))
    two = classes == 2
    probabilities = two_classes(graph, sigmoid(graph, name)) if two else graph.add("Softmax", name, axis=1)
    return Scores(probabilities, probabilities)


FAMILY = Family(frozenset({"MLPClassifier"}), _describe, _plan)
