"""Quadratic discriminant analysis; the linear one is among the linear classifiers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from artifact_pipeline.model.families.family import Arrays, Family, require_few_classes
from artifact_pipeline.model.graph import Scores
from artifact_pipeline.model.spec import Quadratic
from artifact_pipeline.model.wire import require

if TYPE_CHECKING:
    from artifact_pipeline.model.graph import Graph, Matrix


def _describe(estimator: Any) -> tuple[Quadratic, Arrays]:
    import numpy as np

    arrays: Arrays = {"means": np.asarray(estimator.means_)[:, None]}
    ranks = []
    for position, (rotation, scaling) in enumerate(zip(estimator.rotations_, estimator.scalings_, strict=True)):
        arrays[f"rotation.{position}"] = rotation * scaling**-0.5
        ranks.append(len(scaling))
    arrays["log_scales"] = np.asarray([np.sum(np.log(scaling)) for scaling in estimator.scalings_])[None]
    arrays["log_priors"] = np.log(estimator.priors_)[None]
    return Quadratic(ranks=tuple(ranks)), arrays


def _plan(graph: Graph, spec: Quadratic, x: Matrix, classes: int) -> Scores:
    require_few_classes(classes)
    require(len(spec.ranks) == classes, "onnx-shape", f"{len(spec.ranks):,} ranks for {classes:,} classes")
    means = graph.parameter("means", classes, 1, x.width)
    norms = []
    for position, rank in enumerate(spec.ranks):
        graph.hold(rank)
        distance = graph.add("Sub", x.name, graph.add("Gather", means, graph.index(position), axis=0))
        turned = graph.add("MatMul", distance, graph.parameter(f"rotation.{position}", x.width, rank))
        norms.append(graph.add("ReduceSum", graph.add("Mul", turned, turned), graph.axis(1), keepdims=1))
    sums = graph.add("Add", graph.add("Concat", *norms, axis=1), graph.parameter("log_scales", 1, classes))
    half = graph.add("Mul", sums, graph.double(-0.5))
    scores = graph.add("Add", half, graph.parameter("log_priors", 1, classes))
    return Scores(scores, graph.add("Softmax", scores, axis=1), lambda: scores)


FAMILY = Family(frozenset({"QuadraticDiscriminantAnalysis"}), _describe, _plan)
