"""Support vector machines: each pair of classes has a score, and each score is a vote for one of the two."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from itertools import combinations
from typing import TYPE_CHECKING, Any

from artifact_pipeline.model.families.family import (
    Arrays,
    Family,
    distances,
    not_written,
    refuse_many_numbers,
    two_scores,
)
from artifact_pipeline.model.graph import Constant, Scores
from artifact_pipeline.model.spec import Svm
from artifact_pipeline.model.wire import DTYPES, require

if TYPE_CHECKING:
    from collections.abc import Callable

    from artifact_pipeline.model.graph import Graph, Matrix

MAX_SVM_CLASSES = 500
"""Most classes: their pairs have a score each."""
_HINT = 'take "LinearSVC", or fewer training rows'


def _describe(estimator: Any) -> tuple[Svm, Arrays]:
    import numpy as np

    name, classes, kernel = type(estimator).__name__, len(estimator.classes_), estimator.kernel
    if callable(kernel) or kernel == "precomputed":
        raise not_written(f"the kernel of this {name} is no formula", hint='set "kernel": "rbf"')
    if estimator.probability is True:
        hint = f"take CalibratedClassifierCV with a {name} in it, which gives probabilities"
        raise not_written(f"scikit-learn iterates for the probabilities of {name}", hint=hint)
    if estimator.decision_function_shape == "ovo" and classes > 2:
        raise not_written("the scores have no column for each class", hint='set "decision_function_shape": "ovr"')
    counts = estimator.n_support_.tolist()
    if not all(counts):
        raise not_written(f"a class of this {name} has no support vector", hint='set "C" higher, or "nu"')
    if kernel == "poly" and not 1 <= estimator.degree <= 1024:
        raise not_written(f"a {name} of degree {estimator.degree}", hint='set "degree" from 1 to 1024')
    # The public ones are negated where there are two classes.
    arrays: Arrays = {"intercepts": np.asarray(estimator._intercept_)[None]}
    arrays |= _of_kernel(estimator)
    ends = np.cumsum(counts)[:-1]
    vectors = np.split(estimator.support_vectors_, ends)
    coefficients = np.split(estimator._dual_coef_.T, ends)
    for position, (some, weights) in enumerate(zip(vectors, coefficients, strict=True)):
        arrays |= {f"vectors.{position}": some, f"coefficients.{position}": weights}
    refuse_many_numbers(name, sum(each.nbytes for each in arrays.values()), hint=_HINT)
    spec = Svm(
        kernel=kernel,
        degree=estimator.degree if kernel == "poly" else 1,
        vectors=tuple(counts),
        break_ties=bool(estimator.break_ties) and classes > 2,
    )
    return spec, arrays


def _of_kernel(estimator: Any) -> Arrays:
    """The numbers of the kernel's formula."""
    import numpy as np

    found: Arrays = {}
    if estimator.kernel != "linear":
        found["gamma"] = np.array([estimator._gamma])  # noqa: SLF001 - its number where the parameter is a word
    if estimator.kernel in {"poly", "sigmoid"}:
        found["offset"] = np.array([estimator.coef0], dtype=np.float64)
    return found


def _plan(graph: Graph, spec: Svm, x: Matrix, classes: int) -> Scores:
    require(classes <= MAX_SVM_CLASSES, "onnx-classes", f"{classes:,} classes, allowed are {MAX_SVM_CLASSES:,}")
    message = f"support vectors of {len(spec.vectors):,} classes of {classes:,}"
    require(len(spec.vectors) == classes, "onnx-shape", message)
    kernel = _kernel(graph, spec)
    parts = []
    for position, count in enumerate(spec.vectors):
        vectors = graph.parameter(f"vectors.{position}", count, x.width)
        weights = graph.parameter(f"coefficients.{position}", count, classes - 1)
        parts.append(graph.add("MatMul", kernel(x, vectors, count), weights))
    pairs = classes * (classes - 1) // 2
    graph.hold(2 * pairs + classes * classes)
    joined = graph.add("Concat", *parts, axis=1)
    halves = [
        graph.add("Gather", joined, graph.constant(f"pairs {side} of {classes}", half), axis=1)
        for side, half in enumerate(_pairs(classes))
    ]
    sums = graph.add("Add", graph.add("Add", *halves), graph.parameter("intercepts", 1, pairs))
    votes = _votes(graph, graph.add("Greater", sums, graph.double(0.0)), classes)
    if classes > 2:
        decision = _decision(graph, sums, classes)
        return Scores(decision if spec.break_ties else votes, None, lambda: decision)
    decision = two_scores(graph, graph.add("Neg", sums))
    return Scores(votes, None, lambda: decision)


def _kernel(graph: Graph, spec: Svm) -> Callable[[Matrix, str, int], str]:
    """The function that adds the kernel of each row and each of some vectors, rows x vectors."""
    gamma = graph.parameter("gamma", 1) if spec.kernel != "linear" else ""
    offset = graph.parameter("offset", 1) if spec.kernel in {"poly", "sigmoid"} else ""

    def values(x: Matrix, vectors: str, count: int) -> str:
        graph.hold(count)
        if spec.kernel == "rbf":
            squares = distances(graph, "euclidean", x, vectors, count=count)
            return graph.add("Exp", graph.add("Neg", graph.add("Mul", gamma, squares)))
        products = graph.add("Gemm", x.name, vectors, transB=1)
        if spec.kernel == "linear":
            return products
        shifted = graph.add("Add", graph.add("Mul", gamma, products), offset)
        return graph.add("Tanh", shifted) if spec.kernel == "sigmoid" else _power(graph, shifted, spec.degree)

    return values


def _power(graph: Graph, base: str, degree: int) -> str:
    """A power by squares, as LIBSVM has it."""
    result = ""
    while degree:
        if degree % 2:
            result = graph.add("Mul", result, base) if result else base
        degree //= 2
        if degree:
            base = graph.add("Mul", base, base)
    return result


@lru_cache(maxsize=1)
def _pairs(classes: int) -> tuple[Constant, Constant]:
    """For each pair of classes, where the products of its first and of its second class stand among those of all."""
    pairs = list(combinations(range(classes), 2))
    first = [i * (classes - 1) + j - 1 for i, j in pairs]
    return Constant.of_integers(first), Constant.of_integers([j * (classes - 1) + i for i, j in pairs])


@lru_cache(maxsize=1)
def _grid_places(classes: int) -> Constant:
    """For each class and each other one, where their pair stands: among all pairs, or among the same ones turned."""
    pairs = list(combinations(range(classes), 2))
    place = {pair: at for at, pair in enumerate(pairs)} | {(j, i): len(pairs) + at for at, (i, j) in enumerate(pairs)}
    places = [place.get((i, j), 2 * len(pairs)) for i in range(classes) for j in range(classes)]
    return replace(Constant.of_integers(places), dims=(classes, classes))


def _grid(graph: Graph, first: str, second: str, classes: int) -> str:
    """For each class the sum over the pairs that have it: of `first` where it is the first one, else of `second`."""
    nothing = graph.add("Mul", graph.column(first, 0), graph.double(0.0))
    every = graph.add("Concat", first, second, nothing, axis=1)
    grid = graph.add("Gather", every, graph.constant(f"grid of {classes}", _grid_places(classes)), axis=1)
    return graph.add("ReduceSum", grid, graph.axis(2), keepdims=0)


def _votes(graph: Graph, wins: str, classes: int) -> str:
    """How many pairs each class wins; `wins` says of each pair whether its first class does."""
    first = graph.add("Cast", wins, to=DTYPES["float64"])
    return _grid(graph, first, graph.add("Sub", graph.double(1.0), first), classes)


def _decision(graph: Graph, sums: str, classes: int) -> str:
    """The votes, and less than one third of a vote by the sums: `_ovr_decision_function` of scikit-learn."""
    loses = graph.add("Cast", graph.add("Less", sums, graph.double(0.0)), to=DTYPES["float64"])
    votes = _grid(graph, graph.add("Sub", graph.double(1.0), loses), loses, classes)
    total = _grid(graph, sums, graph.add("Neg", sums), classes)
    bound = graph.add("Mul", graph.double(3.0), graph.add("Add", graph.add("Abs", total), graph.double(1.0)))
    return graph.add("Add", votes, graph.add("Div", total, bound))


FAMILY = Family(frozenset({"NuSVC", "SVC"}), _describe, _plan)
