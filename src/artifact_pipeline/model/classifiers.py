"""All families of classifiers: which one an estimator, or a spec, belongs to.

A family is imported when it is needed first: a prediction needs one of them. A family whose classifiers hold others
describes, plans and checks these by the functions here.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from artifact_pipeline.model.families.family import Arrays, Family, not_written

if TYPE_CHECKING:
    from collections.abc import Mapping

    from artifact_pipeline.model.graph import Graph, Matrix, Scores
    from artifact_pipeline.model.spec import Classifier

_MODULES = {
    "Linear": "linear",
    "Forest": "forest",
    "Boosting": "boosting",
    "GaussianBayes": "bayes",
    "BernoulliBayes": "bayes",
    "Quadratic": "discriminant",
    "Centroid": "centroid",
    "Neural": "neural",
    "Svm": "svm",
    "Neighbors": "neighbors",
    "Vote": "vote",
    "Calibration": "calibration",
    "Stacking": "stacking",
    "Bagging": "bagging",
    "AdaBoost": "adaboost",
    "OneVsRest": "one_vs_rest",
}
"""For the name of each spec the module of its family."""


def describe(estimator: Any) -> tuple[Classifier, Arrays]:
    """The spec and the numbers of a fitted classifier.

    Raises:
        ConfigError: no family has such a classifier.
    """
    every = {name: family for family in map(_family, _MODULES.values()) for name in family.estimators}
    family = every.get(type(estimator).__name__)
    if family is None:
        raise not_written(
            f"{type(estimator).__name__} is no classifier that a model can have",
            hint=f"take one of {', '.join(sorted(every))}",
        )
    spec: Classifier
    spec, arrays = family.describe(estimator)
    return spec, arrays


def plan(graph: Graph, spec: Classifier, x: Matrix, classes: int) -> Scores:
    """Add a classifier to a graph.

    Raises:
        RuleBroken: its sizes do not fit together, or are beyond a bound.
    """
    found: Scores = _family_of(spec).plan(graph, spec, x, classes)
    return found


def check(spec: Classifier, arrays: Mapping[str, bytes], width: int, classes: int) -> None:
    """Refuse numbers that no fitted classifier has; `arrays` are those of this classifier, by their own names.

    Raises:
        RuleBroken: they break a rule of the classifier's family.
    """
    if rules := _family_of(spec).check:
        rules(spec, arrays, width, classes)


def _family_of(spec: Classifier) -> Family:
    return _family(_MODULES[type(spec).__name__])


@cache
def _family(module: str) -> Family:
    family: Family = import_module(f"artifact_pipeline.model.families.{module}").FAMILY
    return family
