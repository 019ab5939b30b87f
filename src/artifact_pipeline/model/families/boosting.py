"""Boosted trees: the scores are sums of what their leaves give, one sum for each class, or for the second of two.

scikit-learn begins with a number that is the same for each row, and adds tree by tree; here the first tree is that
number, so the sums have the same bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from artifact_pipeline.model.bounds import MAX_CLASS_STEPS
from artifact_pipeline.model.families.family import (
    Arrays,
    Family,
    not_written,
    prefixed,
    refuse_many_numbers,
    two_scores,
)
from artifact_pipeline.model.families.tree_arrays import Tree, constant, ensemble
from artifact_pipeline.model.families.tree_check import check_ensemble
from artifact_pipeline.model.families.trees import (
    as_float32,
    ensemble_of,
    estimated_bytes,
    plan_ensemble,
    refuse_large_fit,
    require_few_nodes,
)
from artifact_pipeline.model.graph import Scores
from artifact_pipeline.model.spec import Boosting
from artifact_pipeline.model.wire import require

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from artifact_pipeline.model.graph import Graph, Matrix

BELOW_ZERO = -5e-324
"""The double before zero: a score that is greater is zero at least."""
_GRADIENT_HINT = 'set "max_depth": 3, or "n_estimators": 100 or fewer'
_HISTOGRAM_HINT = 'set "max_leaf_nodes": 15, or "max_iter": 100 or fewer'


def part(score: int) -> str:
    """The part of the classifier to which the numbers of one score's trees belong."""
    return f"score.{score}"


def _describe(estimator: Any) -> tuple[Boosting, Arrays]:
    histogram = type(estimator).__name__ == "HistGradientBoostingClassifier"
    begin, trees = _histogram_trees(estimator) if histogram else _gradient_trees(estimator)
    if len(begin) > MAX_CLASS_STEPS:
        message = f"{type(estimator).__name__} has {len(begin):,} classes, allowed are {MAX_CLASS_STEPS:,}"
        raise not_written(message, hint='take "ExtraTreesClassifier", whose trees have all classes together')
    arrays: Arrays = {}
    for number, (first, others) in enumerate(zip(begin, zip(*trees, strict=True), strict=True)):
        arrays |= prefixed(part(number), ensemble([constant(float(first)), *others]))
    refuse_many_numbers(
        type(estimator).__name__, estimated_bytes(arrays), hint=_HISTOGRAM_HINT if histogram else _GRADIENT_HINT
    )
    spec = Boosting(
        nodes=tuple(len(arrays[f"{part(number)}.nodes_splits"]) for number in range(len(begin))),
        trees=len(trees) + 1,
        histogram=histogram,
        exponential=estimator.loss == "exponential",
    )
    return spec, arrays


def _gradient_trees(estimator: Any) -> tuple[Sequence[float], list[list[Tree]]]:
    """The number with which each score begins, and the trees of each iteration, one for each score."""
    import numpy as np

    init = type(estimator.init_).__name__
    if init not in ("DummyClassifier", "str"):  # or the text "zero"
        message = f"GradientBoostingClassifier begins with {init}, which gives each row a number of its own"
        raise not_written(message, hint='leave "init" out')
    trees = [[regressor.tree_ for regressor in iteration] for iteration in estimator.estimators_]
    every = [tree for iteration in trees for tree in iteration]
    nodes = sum(tree.node_count - tree.n_leaves for tree in every)
    refuse_large_fit(estimator, nodes, max(tree.max_depth for tree in every), hint=_GRADIENT_HINT)
    rate = estimator.learning_rate
    begin = estimator._raw_predict_init(np.zeros((1, estimator.n_features_in_), dtype=np.float32))[0]  # noqa: SLF001
    return begin, [
        [Tree.of_scikit_learn(tree, tree.value[:, 0, 0] * rate) for tree in iteration] for iteration in trees
    ]


def _histogram_trees(estimator: Any) -> tuple[Sequence[float], list[list[Tree]]]:
    """The same of histogram gradient boosting."""
    predictors = estimator._predictors  # noqa: SLF001 - scikit-learn has no public name for them
    every = [predictor for iteration in predictors for predictor in iteration]
    if any(predictor.nodes["is_categorical"].any() for predictor in every):
        message = "HistGradientBoostingClassifier has categories of its own, and the model encodes them before it"
        raise not_written(message, hint='leave "categorical_features" out')
    nodes = sum(len(predictor.nodes) - predictor.get_n_leaf_nodes() for predictor in every)
    refuse_large_fit(estimator, nodes, max(predictor.get_max_depth() for predictor in every), hint=_HISTOGRAM_HINT)
    begin = estimator._baseline_prediction[0]  # noqa: SLF001
    return begin, [[Tree.of_predictor(predictor.nodes) for predictor in iteration] for iteration in predictors]


def _plan(graph: Graph, spec: Boosting, x: Matrix, classes: int) -> Scores:
    require_few_nodes(spec.nodes)
    scores = 1 if classes == 2 else classes
    require(len(spec.nodes) == scores, "onnx-shape", f"it has {len(spec.nodes):,} scores for {classes:,} classes")
    if not spec.histogram:
        x = as_float32(graph, x)
    sums = [
        plan_ensemble(graph.within(part(number)), x, nodes=nodes, trees=spec.trees)
        for number, nodes in enumerate(spec.nodes)
    ]
    if classes == 2:
        return _plan_two(graph, spec, sums[0])
    joined = graph.add("Concat", *sums, axis=1)
    return Scores(joined, graph.add("Softmax", joined, axis=1), lambda: joined)


def _plan_two(graph: Graph, spec: Boosting, score: str) -> Scores:
    """The answers of two classes; a score of zero means the first one by `histogram`, and otherwise the second."""
    second = graph.add("Sigmoid", graph.add("Mul", score, graph.double(2.0)) if spec.exponential else score)
    first = graph.add("Sub", graph.double(1.0), second)
    scores = two_scores(graph, score, border=0.0 if spec.histogram else BELOW_ZERO)
    return Scores(scores, graph.add("Concat", first, second, axis=1), lambda: scores)


def _check(spec: Boosting, arrays: Mapping[str, bytes], width: int, classes: int) -> None:  # noqa: ARG001
    for number in range(len(spec.nodes)):
        check_ensemble(ensemble_of(part(number), arrays), width)


FAMILY = Family(frozenset({"GradientBoostingClassifier", "HistGradientBoostingClassifier"}), _describe, _plan, _check)
