"""All families of classifiers: which one an estimator, or a spec, belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from artifact_pipeline.model.families import (
    adaboost,
    bagging,
    bayes,
    boosting,
    calibration,
    centroid,
    discriminant,
    forest,
    linear,
    neighbors,
    neural,
    one_vs_rest,
    stacking,
    svm,
    vote,
)
from artifact_pipeline.model.families.family import Arrays, not_written
from artifact_pipeline.model.families.nested import Families

if TYPE_CHECKING:
    from collections.abc import Mapping

    from artifact_pipeline.model.graph import Graph, Matrix, Scores
    from artifact_pipeline.model.spec import Classifier


def describe(estimator: Any) -> tuple[Classifier, Arrays]:
    """The spec and the numbers of a fitted classifier.

    Raises:
        ConfigError: no family has such a classifier.
    """
    family = _BY_ESTIMATOR.get(type(estimator).__name__)
    if family is None:
        raise not_written(
            f"{type(estimator).__name__} is no classifier that a model can have",
            hint=f"take one of {', '.join(sorted(_BY_ESTIMATOR))}",
        )
    spec: Classifier
    spec, arrays = family.describe(estimator)
    return spec, arrays


def plan(graph: Graph, spec: Classifier, x: Matrix, classes: int) -> Scores:
    """Add a classifier to a graph.

    Raises:
        RuleBroken: its sizes do not fit together, or are beyond a bound.
    """
    found: Scores = _BY_SPEC[type(spec)].plan(graph, spec, x, classes)
    return found


def check(spec: Classifier, arrays: Mapping[str, bytes], width: int, classes: int) -> None:
    """Refuse numbers that no fitted classifier has; `arrays` are those of this classifier, by their own names.

    Raises:
        RuleBroken: they break a rule of the classifier's family.
    """
    if rules := _BY_SPEC[type(spec)].check:
        rules(spec, arrays, width, classes)


_ALL = Families(describe, plan, check)
FAMILIES = (
    linear.FAMILY,
    forest.FAMILY,
    boosting.FAMILY,
    bayes.FAMILY,
    discriminant.FAMILY,
    centroid.FAMILY,
    neural.FAMILY,
    svm.FAMILY,
    neighbors.FAMILY,
    *(each.FAMILY.among(_ALL) for each in (vote, calibration, stacking, bagging, adaboost, one_vs_rest)),
)
_BY_ESTIMATOR = {name: family for family in FAMILIES for name in family.estimators}
_BY_SPEC = {spec: family for family in FAMILIES for spec in family.specs}
