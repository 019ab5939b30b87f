"""One classifier for each class, which parts it from all others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from artifact_pipeline.model import classifiers
from artifact_pipeline.model.families.family import Arrays, Family, not_written, require_few_classes, two_scores
from artifact_pipeline.model.families.nested import answer_of, check_each, describe_each, gives, refuse_fewer_classes
from artifact_pipeline.model.graph import Scores
from artifact_pipeline.model.spec import Bagging, Forest, Neighbors, OneVsRest
from artifact_pipeline.model.wire import require

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from artifact_pipeline.model.graph import Graph, Matrix
    from artifact_pipeline.model.spec import Classifier


def _describe(estimator: Any) -> tuple[OneVsRest, Arrays]:
    refuse_fewer_classes(estimator.estimators_, 2, hint="give each class more rows")
    specs, arrays = describe_each(estimator.estimators_)
    decides = gives(estimator.estimators_[0])
    if decides == "probabilities" and not all(map(_is_exact, specs)):
        name = type(estimator.estimators_[0]).__name__
        message = f"of probabilities near 1, which {name} gives to several classes, the last bits would decide"
        raise not_written(message, hint=f'take "{name}" itself, or "LogisticRegression" in OneVsRestClassifier')
    return OneVsRest(estimators=tuple(specs), gives=decides), arrays


def _is_exact(spec: Classifier) -> bool:
    """Whether a classifier's probabilities are scikit-learn's to the last bit: it counts, and computes nothing."""
    if isinstance(spec, Bagging):
        return all(map(_is_exact, spec.inner))
    return isinstance(spec, Forest) or (isinstance(spec, Neighbors) and not spec.by_distance)


def _plan(graph: Graph, spec: OneVsRest, x: Matrix, classes: int) -> Scores:
    """The first class with the greatest response; of two, the second one where its response is above the threshold."""
    require_few_classes(classes)
    count = 1 if classes == 2 else classes
    message = f"it has {len(spec.estimators):,} classifiers for {classes:,} classes"
    require(len(spec.estimators) == count, "onnx-shape", message)
    parts = [graph.within(str(position)) for position in range(count)]
    found = [classifiers.plan(part, each, x, 2) for part, each in zip(parts, spec.estimators, strict=True)]
    responses = [answer_of(part, one, 2, which=spec.gives) for part, one in zip(parts, found, strict=True)]
    decides = spec.gives == "decision"
    if classes > 2:
        scores = graph.add("Concat", *responses, axis=1)
        return Scores(scores, _probabilities(graph, found), (lambda: scores) if decides else None)
    (response,) = responses
    # A probability must be above one half, and a score above zero.
    scores = two_scores(graph, response, border=0.0 if decides else 0.5)
    return Scores(scores, found[0].probabilities, (lambda: scores) if decides else None)


def _probabilities(graph: Graph, found: Sequence[Scores]) -> str | None:
    """The probabilities of each class, divided by their sum where it is not zero; None where there are none."""
    each = [one.probabilities for one in found if one.probabilities is not None]
    if len(each) < len(found):
        return None
    joined = graph.add("Concat", *(graph.column(name, 1) for name in each), axis=1)
    total = graph.add("ReduceSum", joined, graph.axis(1), keepdims=1)
    nothing = graph.add("Equal", total, graph.double(0.0))
    return graph.add("Div", joined, graph.add("Where", nothing, graph.double(1.0), total))


def _check(spec: OneVsRest, arrays: Mapping[str, bytes], width: int, classes: int) -> None:  # noqa: ARG001
    check_each(spec, arrays, width, 2)


FAMILY = Family(frozenset({"OneVsRestClassifier"}), _describe, _plan, _check)
