"""The nearest neighbours: the training rows that are nearest to a row vote for its class.

Of training rows that are equally far, those count that stand first; scikit-learn takes any of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from artifact_pipeline.model.families.family import Arrays, Family, distances, not_written, refuse_many_numbers
from artifact_pipeline.model.graph import Scores
from artifact_pipeline.model.spec import Neighbors
from artifact_pipeline.model.wire import DTYPES, require

if TYPE_CHECKING:
    from collections.abc import Mapping

    from artifact_pipeline.model.graph import Graph, Matrix

_HINT = 'take fewer training rows, or "RandomForestClassifier"'
_METRICS = ("euclidean", "manhattan", "minkowski")


def _describe(estimator: Any) -> tuple[Neighbors, Arrays]:
    import numpy as np

    metric: Any = estimator.effective_metric_
    if metric not in _METRICS or callable(estimator.weights):
        what = "weights by a function" if metric in _METRICS else f"the metric {estimator.metric}"
        message = f"{what} of KNeighborsClassifier is no formula that a model has"
        raise not_written(message, hint='set "metric": "euclidean"')
    if estimator.effective_metric_params_.get("w") is not None:
        raise not_written("the weights of columns of KNeighborsClassifier", hint='leave "metric_params" out')
    rows = np.asarray(estimator._fit_X, dtype=np.float64)  # noqa: SLF001
    arrays: Arrays = {"rows": rows, "labels": np.asarray(estimator._y, dtype=np.int64)}  # noqa: SLF001
    by_distance = estimator.weights == "distance"
    if metric == "minkowski":
        power = float(estimator.effective_metric_params_["p"])
        arrays["power"] = np.array([power])
        if by_distance:
            arrays["root"] = np.array([1.0 / power])
    refuse_many_numbers("KNeighborsClassifier", sum(each.nbytes for each in arrays.values()), hint=_HINT)
    spec = Neighbors(rows=len(rows), neighbors=estimator.n_neighbors, metric=metric, by_distance=by_distance)
    return spec, arrays


def _plan(graph: Graph, spec: Neighbors, x: Matrix, classes: int) -> Scores:
    require(spec.neighbors <= spec.rows, "onnx-shape", f"{spec.neighbors:,} neighbours of {spec.rows:,} rows")
    graph.hold(max(spec.rows, spec.neighbors * classes))
    apart = distances(graph, spec.metric, x, graph.parameter("rows", spec.rows, x.width), count=spec.rows)
    nearest, places = graph.add_two("TopK", apart, graph.axis(spec.neighbors), largest=0)
    labels = graph.add("Gather", graph.parameter("labels", spec.rows, dtype="int64"), places, axis=0)
    every = graph.numbers_to(classes)
    has = graph.add("Equal", graph.add("Unsqueeze", labels, graph.axis(2)), every)
    votes = graph.add("Cast", has, to=DTYPES["float64"])  # rows x neighbours x classes
    if spec.by_distance:
        weights = _weights(graph, spec, nearest)
        votes = graph.add("Mul", votes, graph.add("Unsqueeze", weights, graph.axis(2)))
    counts = graph.add("ReduceSum", votes, graph.axis(1), keepdims=0)
    total = graph.add("ReduceSum", counts, graph.axis(1), keepdims=1)
    probabilities = graph.add("Div", counts, total)
    return Scores(probabilities, probabilities)


def _weights(graph: Graph, spec: Neighbors, nearest: str) -> str:
    """1 through the distance of each neighbour; where any is at no distance, 1 for those and 0 for all others."""
    if spec.metric == "euclidean":
        nearest = graph.add("Sqrt", nearest)
    elif spec.metric == "minkowski":
        nearest = graph.add("Pow", nearest, graph.parameter("root", 1, positive=True))
    weights = graph.add("Div", graph.double(1.0), nearest)
    same = graph.add("Cast", graph.add("IsInf", weights), to=DTYPES["float64"])
    any_same = graph.add("Greater", graph.add("ReduceMax", same, graph.axis(1), keepdims=1), graph.double(0.0))
    return graph.add("Where", any_same, same, weights)


def _check(spec: Neighbors, arrays: Mapping[str, bytes], width: int, classes: int) -> None:  # noqa: ARG001
    found = memoryview(arrays["labels"]).cast("q")
    message = f"a training row has a label that is none of {classes:,}"
    require(min(found) >= 0 and max(found) < classes, "onnx-classes", message)


FAMILY = Family(frozenset({"KNeighborsClassifier"}), _describe, _plan, _check)
