"""Classifiers whose scores are linear in the columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from artifact_pipeline.model.families.family import Arrays, Family, sigmoid, sum_made_one, two_classes
from artifact_pipeline.model.graph import Scores
from artifact_pipeline.model.spec import Linear

if TYPE_CHECKING:
    from artifact_pipeline.model.graph import Graph, Matrix

_SOFTMAX = ("LogisticRegression", "LogisticRegressionCV", "LinearDiscriminantAnalysis")
_SCORES = ("LinearSVC", "PassiveAggressiveClassifier", "Perceptron", "RidgeClassifier", "RidgeClassifierCV")
_BY_LOSS = {"log_loss": "sigmoid", "modified_huber": "modified_huber"}


def _describe(estimator: Any) -> tuple[Linear, Arrays]:
    import numpy as np

    name = type(estimator).__name__
    probabilities: Any = "softmax" if name in _SOFTMAX else None
    if name == "SGDClassifier":
        probabilities = _BY_LOSS.get(estimator.loss)
    weights = np.atleast_2d(np.asarray(estimator.coef_, dtype=np.float64))
    biases = np.broadcast_to(np.asarray(estimator.intercept_, dtype=np.float64), len(weights))
    if len(weights) == 1:  # the scores of two classes are 0 and z
        weights = np.concatenate([np.zeros_like(weights), weights])
        biases = np.concatenate([np.zeros(1), biases])
    arrays = {"coefficients": weights, "intercepts": biases}
    return Linear(probabilities=probabilities), arrays


def _plan(graph: Graph, spec: Linear, x: Matrix, classes: int) -> Scores:
    weights = graph.parameter("coefficients", classes, x.width)
    scores = graph.add("Gemm", x.name, weights, graph.parameter("intercepts", classes), transB=1)
    if spec.probabilities is None:
        return Scores(scores, None, lambda: scores)
    if spec.probabilities == "softmax":
        return Scores(scores, graph.add("Softmax", scores, axis=1), lambda: scores)
    if spec.probabilities == "sigmoid":
        each = sigmoid(graph, scores)
    else:
        clipped = graph.add("Clip", scores, graph.scalar(-1.0), graph.scalar(1.0))
        each = graph.add("Div", graph.add("Add", clipped, graph.double(1.0)), graph.double(2.0))
    if classes == 2:
        return Scores(scores, two_classes(graph, graph.column(each, 1)), lambda: scores)
    return Scores(scores, sum_made_one(graph, each), lambda: scores)


FAMILY = Family(frozenset({*_SOFTMAX, *_SCORES, "SGDClassifier"}), _describe, _plan)
