"""The nearest centroid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from artifact_pipeline.model.families.family import Arrays, Family, require_few_classes
from artifact_pipeline.model.graph import Scores
from artifact_pipeline.model.spec import Centroid

if TYPE_CHECKING:
    from artifact_pipeline.model.graph import Graph, Matrix


def _describe(estimator: Any) -> tuple[Centroid, Arrays]:
    import numpy as np

    priors = np.asarray(estimator.class_prior_)
    spec = Centroid(metric=estimator.metric, nearest=bool(np.isclose(priors, 1 / len(priors)).all()))
    arrays: Arrays = {}
    if spec.nearest:
        arrays["centroids"] = estimator.centroids_[:, None]
    if _weighs(spec):
        scale = np.where(estimator.within_class_std_dev_ != 0, estimator.within_class_std_dev_, 1.0)
        arrays["scale"] = scale[None]
        arrays["scaled_centroids"] = (estimator.centroids_ / scale)[:, None]
        arrays["log_priors"] = (2.0 * np.log(priors))[None]
    return spec, arrays


def _weighs(spec: Centroid) -> bool:
    """Whether there are scores by scaled distances and by the classes' shares."""
    return spec.metric == "euclidean" or not spec.nearest


def _plan(graph: Graph, spec: Centroid, x: Matrix, classes: int) -> Scores:
    require_few_classes(classes)
    weighed = nearest = None
    if _weighs(spec):
        scaled = graph.add("Div", x.name, graph.parameter("scale", 1, x.width, positive=True))
        centroids = graph.parameter("scaled_centroids", classes, 1, x.width)
        squares = _distances(graph, spec, scaled, centroids, classes=classes)
        if spec.metric == "manhattan":
            squares = graph.add("Mul", squares, squares)
        weighed = graph.add("Add", graph.add("Neg", squares), graph.parameter("log_priors", 1, classes))
    if spec.nearest:
        centroids = graph.parameter("centroids", classes, 1, x.width)
        nearest = graph.add("Neg", _distances(graph, spec, x.name, centroids, classes=classes))
    scores = nearest or weighed
    assert scores is not None  # there is one of the two
    if spec.metric == "manhattan" or weighed is None:
        return Scores(scores, None)
    return Scores(scores, graph.add("Softmax", weighed, axis=1), lambda: weighed)


def _distances(graph: Graph, spec: Centroid, x: str, centroids: str, *, classes: int) -> str:
    """How far each row is from each centroid, squared where the metric is Euclidean; class by class, as memory asks."""
    sums = []
    for position in range(classes):
        distance = graph.add("Sub", x, graph.add("Gather", centroids, graph.index(position), axis=0))
        euclidean = spec.metric == "euclidean"
        part = graph.add("Mul", distance, distance) if euclidean else graph.add("Abs", distance)
        sums.append(graph.add("ReduceSum", part, graph.axis(1), keepdims=1))
    return graph.add("Concat", *sums, axis=1)


FAMILY = Family(frozenset({"NearestCentroid"}), _describe, _plan)
