"""Naive Bayes: of counts, of bits, and of normal distributions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from artifact_pipeline.model.families.family import Arrays, Family, require_few_classes
from artifact_pipeline.model.graph import Scores
from artifact_pipeline.model.spec import BernoulliBayes, GaussianBayes, Linear
from artifact_pipeline.model.wire import DTYPES

if TYPE_CHECKING:
    from artifact_pipeline.model.graph import Graph, Matrix


def _describe(estimator: Any) -> tuple[Linear | BernoulliBayes | GaussianBayes, Arrays]:
    import numpy as np

    name = type(estimator).__name__
    if name == "GaussianNB":
        norms = -0.5 * np.sum(np.log(2.0 * np.pi * estimator.var_), 1)
        priors = np.log(estimator.class_prior_)
        arrays = {"means": estimator.theta_[:, None], "variances": estimator.var_[:, None]}
        return GaussianBayes(), arrays | {"norms": norms[None], "log_priors": priors[None]}
    weights = estimator.feature_log_prob_
    if name == "BernoulliNB":
        absent = np.log(1 - np.exp(weights))
        arrays = {"coefficients": weights - absent, "intercepts": estimator.class_log_prior_ + absent.sum(axis=1)}
        if estimator.binarize is None:
            return BernoulliBayes(binarize=False), arrays
        return BernoulliBayes(binarize=True), arrays | {"threshold": np.array([estimator.binarize])}
    biases = estimator.class_log_prior_ if name == "MultinomialNB" else np.zeros(len(weights))
    return Linear(probabilities="softmax"), {"coefficients": weights, "intercepts": biases}


def _plan(graph: Graph, spec: BernoulliBayes | GaussianBayes, x: Matrix, classes: int) -> Scores:
    if isinstance(spec, GaussianBayes):
        scores = _gaussian(graph, x, classes)
    else:
        name = x.name
        if spec.binarize:
            name = graph.add("Cast", graph.add("Greater", name, graph.parameter("threshold", 1)), to=DTYPES["float64"])
        weights = graph.parameter("coefficients", classes, x.width)
        scores = graph.add("Gemm", name, weights, graph.parameter("intercepts", classes), transB=1)
    return Scores(scores, graph.add("Softmax", scores, axis=1))


def _gaussian(graph: Graph, x: Matrix, classes: int) -> str:
    """Class by class, as scikit-learn computes: all at once would take rows x classes x columns."""
    require_few_classes(classes)
    means = graph.parameter("means", classes, 1, x.width)
    variances = graph.parameter("variances", classes, 1, x.width, positive=True)
    sums = []
    for position in range(classes):
        one = graph.index(position)
        distance = graph.add("Sub", x.name, graph.add("Gather", means, one, axis=0))
        squares = graph.add("Mul", distance, distance)
        ratio = graph.add("Div", squares, graph.add("Gather", variances, one, axis=0))
        sums.append(graph.add("ReduceSum", ratio, graph.axis(1), keepdims=1))
    half = graph.add("Mul", graph.add("Concat", *sums, axis=1), graph.double(0.5))
    likelihood = graph.add("Sub", graph.parameter("norms", 1, classes), half)
    return graph.add("Add", graph.parameter("log_priors", 1, classes), likelihood)


FAMILY = Family(frozenset({"BernoulliNB", "ComplementNB", "GaussianNB", "MultinomialNB"}), _describe, _plan)
