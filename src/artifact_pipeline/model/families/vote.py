"""The vote of several classifiers: the mean of their probabilities, or one vote for the label of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from artifact_pipeline.model import classifiers
from artifact_pipeline.model.families.family import Arrays, Family
from artifact_pipeline.model.families.nested import (
    check_each,
    describe_each,
    probabilities_of,
    refuse_fewer_classes,
    vote_of,
)
from artifact_pipeline.model.graph import Scores
from artifact_pipeline.model.spec import Vote

if TYPE_CHECKING:
    from artifact_pipeline.model.graph import Graph, Matrix


def _describe(estimator: Any) -> tuple[Vote, Arrays]:
    import numpy as np

    refuse_fewer_classes(estimator.estimators_, len(estimator.classes_), hint="leave it out")
    specs, arrays = describe_each(estimator.estimators_)
    hard, weighted = estimator.voting == "hard", estimator.weights is not None
    if weighted:
        taken = [each != "drop" for _, each in estimator.estimators]
        weights = np.asarray(estimator.weights, dtype=np.float64)[taken]
        arrays |= {f"{position}.weight": weights[[position]] for position in range(len(weights))}
        if not hard:
            arrays["total"] = weights.sum(keepdims=True)
    return Vote(estimators=tuple(specs), weighted=weighted, hard=hard), arrays


def _plan(graph: Graph, spec: Vote, x: Matrix, classes: int) -> Scores:
    total = ""
    for position, each in enumerate(spec.estimators):
        part = graph.within(str(position))
        answer = classifiers.plan(part, each, x, classes)
        found = vote_of(graph, answer, classes) if spec.hard else probabilities_of(answer)
        if spec.weighted:
            found = graph.add("Mul", found, part.parameter("weight", 1))
        total = graph.add("Add", total, found) if total else found
    if spec.hard:
        return Scores(total, None)
    divisor = graph.parameter("total", 1, positive=True) if spec.weighted else graph.double(float(len(spec.estimators)))
    probabilities = graph.add("Div", total, divisor)
    return Scores(probabilities, probabilities)


FAMILY = Family(frozenset({"VotingClassifier"}), _describe, _plan, check_each)
