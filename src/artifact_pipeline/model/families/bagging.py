"""Bagging: the mean of the answers of classifiers that were fitted on other rows, and perhaps on other columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from artifact_pipeline.model import classifiers
from artifact_pipeline.model.families.family import Arrays, Family, not_written, two_scores, unprefixed
from artifact_pipeline.model.families.nested import answer_of, describe_each, require_places, vote_of
from artifact_pipeline.model.graph import Constant, Matrix, Scores
from artifact_pipeline.model.spec import Bagged, Bagging
from artifact_pipeline.model.wire import require

if TYPE_CHECKING:
    from collections.abc import Mapping

    from artifact_pipeline.model.graph import Graph


def _describe(estimator: Any) -> tuple[Bagging, Arrays]:
    specs, arrays = describe_each(estimator.estimators_)
    classes, width = len(estimator.classes_), estimator.n_features_in_
    bagged = []
    for spec, each, features in zip(specs, estimator.estimators_, estimator.estimators_features_, strict=True):
        seen = each.classes_.tolist()
        if len(seen) < 2:
            raise not_written("a classifier of the bag has seen one class alone", hint='set "max_samples": 1.0')
        columns = features.tolist()
        bagged.append(
            Bagged(
                classifier=spec,
                features=() if columns == list(range(width)) else tuple(columns),
                classes=() if len(seen) == classes else tuple(map(int, seen)),
            )
        )
    return Bagging(estimators=tuple(bagged)), arrays


def _plan(graph: Graph, spec: Bagging, x: Matrix, classes: int) -> Scores:
    found = [_plan_one(graph.within(str(position)), each, x, classes) for position, each in enumerate(spec.estimators)]
    votes = [
        _over_all(graph, each, one.probabilities or vote_of(graph, one, _known(each, classes)), classes)
        for each, one in zip(spec.estimators, found, strict=True)
    ]
    probabilities = _mean(graph, votes)
    if any(one.decision is None for one in found) or any(each.classes for each in spec.estimators):
        return Scores(probabilities, probabilities)
    return Scores(probabilities, probabilities, lambda: _decision(graph, found, classes))


def _plan_one(graph: Graph, spec: Bagged, x: Matrix, classes: int) -> Scores:
    """A classifier of its own columns and classes."""
    require_places(spec.features, x.width, "a classifier of a bag has a column")
    require_places(spec.classes, classes, "a classifier of a bag has a class")
    ascends = list(spec.classes) == sorted(set(spec.classes)) and len(spec.classes) != 1
    require(ascends, "onnx-shape", "the classes of a classifier of a bag do not ascend, or are one alone")
    if spec.features:
        places = ",".join(map(str, spec.features))
        columns = graph.constant(f"columns {places}", Constant.of_integers(spec.features))
        x = Matrix(graph.add("Gather", x.name, columns, axis=1), len(spec.features))
        graph.hold(x.width)
    return classifiers.plan(graph, spec.classifier, x, _known(spec, classes))


def _known(spec: Bagged, classes: int) -> int:
    """How many classes a classifier knows."""
    return len(spec.classes) or classes


def _over_all(graph: Graph, spec: Bagged, name: str, classes: int) -> str:
    """Answers for all classes, 0 for those that the classifier does not know."""
    if not spec.classes:
        return name
    nothing = graph.add("Mul", graph.column(name, 0), graph.double(0.0))
    places = [spec.classes.index(each) if each in spec.classes else len(spec.classes) for each in range(classes)]
    order = graph.constant(f"columns {','.join(map(str, places))}", Constant.of_integers(places))
    return graph.add("Gather", graph.add("Concat", name, nothing, axis=1), order, axis=1)


def _mean(graph: Graph, parts: list[str]) -> str:
    total = parts[0]
    for each in parts[1:]:
        total = graph.add("Add", total, each)
    return graph.add("Div", total, graph.double(float(len(parts))))


def _decision(graph: Graph, found: list[Scores], classes: int) -> str:
    """The mean of the decisions; of two classes 0 and that of the second."""
    mean = _mean(graph, [answer_of(graph, one, classes, which="decision") for one in found])
    return mean if classes > 2 else two_scores(graph, mean)


def _check(spec: Bagging, arrays: Mapping[str, bytes], width: int, classes: int) -> None:
    for position, each in enumerate(spec.estimators):
        numbers = unprefixed(str(position), arrays)
        classifiers.check(each.classifier, numbers, len(each.features) or width, _known(each, classes))


FAMILY = Family(frozenset({"BaggingClassifier"}), _describe, _plan, _check)
