"""What all families share whose classifiers hold others: each of these belongs to a family of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from artifact_pipeline.model import classifiers
from artifact_pipeline.model.bounds import MAX_INNER
from artifact_pipeline.model.families.family import Arrays, not_written, prefixed, unprefixed
from artifact_pipeline.model.wire import DTYPES, RuleBroken, require

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from artifact_pipeline.model.graph import Graph, Scores


def check_each(spec: Any, arrays: Mapping[str, bytes], width: int, classes: int) -> None:
    """Check the numbers of several classifiers of the same columns and classes, the `estimators` of a spec.

    Raises:
        RuleBroken: they break a rule.
    """
    for position, each in enumerate(spec.estimators):
        classifiers.check(each, unprefixed(str(position), arrays), width, classes)


def describe_each(estimators: Sequence[Any]) -> tuple[list[Any], Arrays]:
    """The specs of several classifiers, and their numbers, each with its position in its name.

    Raises:
        ConfigError: one cannot be written, or they are too many.
    """
    if len(estimators) > MAX_INNER:
        message = f"{len(estimators):,} classifiers stand in one, allowed are {MAX_INNER:,}"
        raise not_written(message, hint=f'set "n_estimators": {MAX_INNER} or fewer')
    arrays: Arrays = {}
    specs = []
    for position, each in enumerate(estimators):
        spec, numbers = classifiers.describe(each)
        specs.append(spec)
        arrays |= prefixed(str(position), numbers)
    return specs, arrays


def refuse_fewer_classes(estimators: Sequence[Any], classes: int, *, hint: str) -> None:
    """Refuse classifiers that have not seen all classes."""
    for each in estimators:
        if len(each.classes_) != classes:
            name = type(each).__name__
            raise not_written(f"a {name} has seen {len(each.classes_):,} of the {classes:,} classes", hint=hint)


def gives(estimator: Any) -> Literal["probabilities", "decision"]:
    """Which answer of a classifier scikit-learn takes: the decision if there is one."""
    return "decision" if hasattr(estimator, "decision_function") else "probabilities"


def probabilities_of(found: Scores) -> str:
    """The probabilities of a classifier.

    Raises:
        RuleBroken: it gives none.
    """
    if found.probabilities is None:
        raise RuleBroken("onnx-graph", "a classifier in another one gives no probabilities")
    return found.probabilities


def answer_of(graph: Graph, found: Scores, classes: int, *, which: Literal["probabilities", "decision"]) -> str:
    """One of a classifier's answers: a column for each class, and of two classes one alone.

    Raises:
        RuleBroken: the classifier does not give it.
    """
    if which == "probabilities":
        name = probabilities_of(found)
        return name if classes > 2 else graph.column(name, 1)
    if found.decision is None:
        raise RuleBroken("onnx-graph", "a classifier in another one has no decision function")
    name = found.decision()
    return name if classes > 2 else graph.add("Sub", graph.column(name, 1), graph.column(name, 0))


def label_of(graph: Graph, found: Scores) -> str:
    """The position of the label that a classifier gives, int64, rows x 1."""
    return graph.add("ArgMax", found.scores, axis=1, keepdims=1)


def is_label(graph: Graph, found: Scores, classes: int) -> str:
    """Whether each class is the label that a classifier gives, rows x classes."""
    return graph.add("Equal", label_of(graph, found), graph.numbers_to(classes))


def vote_of(graph: Graph, found: Scores, classes: int) -> str:
    """1 for the label that a classifier gives, and 0 for each other one, rows x classes."""
    return graph.add("Cast", is_label(graph, found, classes), to=DTYPES["float64"])


def require_places(places: Sequence[int], count: int, what: str) -> None:
    """Refuse positions of columns or classes that do not exist."""
    require(max(places, default=0) < count, "onnx-shape", f"{what} that is not there, of {count:,}")
