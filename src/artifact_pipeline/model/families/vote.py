"""The mean of several classifiers' probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from artifact_pipeline.model.families.family import Arrays, Family, not_written
from artifact_pipeline.model.graph import Scores
from artifact_pipeline.model.spec import Vote
from artifact_pipeline.model.wire import RuleBroken

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from artifact_pipeline.model.graph import Graph, Matrix
    from artifact_pipeline.model.spec import Classifier

    Describe = Callable[[Any], tuple[Classifier, Arrays]]
    PlanOne = Callable[[Graph, Classifier, Matrix, int], Scores]
    CheckOne = Callable[[Classifier, Mapping[str, bytes], int, int], None]


def family(describe: Describe, plan: PlanOne, check: CheckOne) -> Family:
    """The family, by functions that do the same for any classifier."""
    return Family(
        frozenset({"VotingClassifier"}),
        (Vote,),
        lambda estimator: _describe(estimator, describe),
        lambda graph, spec, x, classes: _plan(graph, spec, x, classes, plan=plan),
        lambda spec, arrays, width, classes: _check(spec, arrays, width, classes, check=check),
    )


def _describe(estimator: Any, describe: Describe) -> tuple[Vote, Arrays]:
    import numpy as np

    if estimator.voting != "soft":
        raise not_written("VotingClassifier gives no probabilities", hint="set voting to soft")
    arrays: Arrays = {}
    specs = []
    for position, each in enumerate(estimator.estimators_):
        spec, numbers = describe(each)
        specs.append(spec)
        arrays |= {f"{position}.{name}": array for name, array in numbers.items()}
    weighted = estimator.weights is not None
    if weighted:
        taken = [each != "drop" for _, each in estimator.estimators]
        weights = np.asarray(estimator.weights, dtype=np.float64)[taken]
        arrays |= {f"{position}.weight": weights[[position]] for position in range(len(weights))}
        arrays["total"] = weights.sum(keepdims=True)
    return Vote(estimators=tuple(specs), weighted=weighted), arrays


def _plan(graph: Graph, spec: Vote, x: Matrix, classes: int, *, plan: PlanOne) -> Scores:
    total = ""
    for position, each in enumerate(spec.estimators):
        part = graph.within(str(position))
        found = plan(part, each, x, classes).probabilities
        if found is None:
            raise RuleBroken("onnx-graph", f"classifier {position + 1} of a vote gives no probabilities")
        if spec.weighted:
            found = graph.add("Mul", found, part.parameter("weight", 1))
        total = graph.add("Add", total, found) if total else found
    divisor = graph.parameter("total", 1, positive=True) if spec.weighted else graph.double(float(len(spec.estimators)))
    probabilities = graph.add("Div", total, divisor)
    return Scores(probabilities, probabilities)


def _check(spec: Vote, arrays: Mapping[str, bytes], width: int, classes: int, *, check: CheckOne) -> None:
    for position, each in enumerate(spec.estimators):
        begin = f"{position}."
        own = {name.removeprefix(begin): data for name, data in arrays.items() if name.startswith(begin)}
        check(each, own, width, classes)
