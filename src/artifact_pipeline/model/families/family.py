"""A family of classifiers: how a fitted one is described, and what it adds to a graph.

Functions whose names begin with `require` raise `RuleBroken`; those that begin with `refuse` raise `ConfigError`.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING, Any

from artifact_pipeline.errors import ConfigError, Problem
from artifact_pipeline.model.bounds import MAX_CLASS_STEPS
from artifact_pipeline.model.wire import require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from artifact_pipeline.model.graph import Graph, Matrix, Scores

MAX_BYTES = 60 << 20
"""Most bytes of a classifier's numbers: a model of 64 MiB has steps and labels too."""

Arrays = dict[str, Any]
"""The numbers of a fitted step as NumPy arrays, by their names."""


@dataclass(frozen=True, slots=True)
class Family:
    """One family of classifiers.

    Attributes:
        estimators: the names of their classes in scikit-learn.
        describe: returns the spec and the numbers of a fitted estimator.
        plan: adds its steps to a graph, of a matrix and a number of classes, and returns the names of its answers.
        check: refuses numbers that no estimator has, beyond those that are not finite or must be positive; they are
            bytes, by their names. None where there is nothing to check.
    """

    estimators: frozenset[str]
    describe: Callable[[Any], tuple[Any, Arrays]]
    plan: Callable[[Graph, Any, Matrix, int], Scores]
    check: Callable[[Any, Mapping[str, bytes], int, int], None] | None = None


def prefixed(part: str, arrays: Arrays) -> Arrays:
    """The numbers of a part, by the names that they have in the whole model."""
    return {f"{part}.{name}": array for name, array in arrays.items()}


def unprefixed(part: str, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of a part of the whole model, by the names that they have in the part."""
    prefix = f"{part}."
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def sigmoid(graph: Graph, name: str) -> str:
    """1 / (1 + exp(-x)), by these steps, as scikit-learn has it from SciPy.

    The operator of that name gives 0 for -40 already, and where scores are that low their shares count.
    """
    exponential = graph.add("Exp", graph.add("Neg", name))
    return graph.add("Div", graph.double(1.0), graph.add("Add", graph.double(1.0), exponential))


def two_classes(graph: Graph, second: str) -> str:
    """The probabilities of two classes, from those of the second one, a matrix of one column."""
    return graph.add("Concat", graph.add("Sub", graph.double(1.0), second), second, axis=1)


def two_scores(graph: Graph, second: str, *, border: float = 0.0) -> str:
    """The scores of two classes, from that of the second one, a matrix of one column: the first has `border`."""
    first = graph.add("Mul", second, graph.double(0.0))
    if border:
        first = graph.add("Add", first, graph.double(border))
    return graph.add("Concat", first, second, axis=1)


def sum_made_one(graph: Graph, each: str) -> str:
    """Divide by the sum of each row; where it is zero, all classes are equal."""
    total = graph.add("ReduceSum", each, graph.axis(1), keepdims=1)
    nothing = graph.add("Equal", total, graph.double(0.0))
    each = graph.add("Where", nothing, graph.double(1.0), each)
    return graph.add("Div", each, graph.add("ReduceSum", each, graph.axis(1), keepdims=1))


def require_few_classes(classes: int) -> None:
    """Refuse more classes than an estimator may have whose graph has steps for each."""
    message = f"{classes:,} classes, allowed are {MAX_CLASS_STEPS:,} with this estimator"
    require(classes <= MAX_CLASS_STEPS, "onnx-classes", message)


def refuse_many_numbers(name: str, size: int, *, hint: str) -> None:
    """Refuse numbers that take too many bytes in a model, before any is written."""
    if size > MAX_BYTES:
        raise not_written(f"{name} would take {size:,} bytes in the model, allowed are {MAX_BYTES:,}", hint=hint)


def not_written(what: str, *, hint: str | None = None) -> ConfigError:
    """The error where a fitted step has no place in a model; `what` is a sentence that says why."""
    problem = Problem("model", "model-not-written", what)
    return ConfigError("the model cannot be written", problems=[problem], hint=hint)


def is_nan(value: Any) -> bool:
    """Whether a parameter of a fitted step, or a level of it, is NaN."""
    return isinstance(value, float) and isnan(value)


@contextmanager
def of_step(name: str) -> Iterator[None]:
    """Name the step as the place of each problem of a `ConfigError` that is raised inside."""
    try:
        yield
    except ConfigError as error:
        problems = [Problem(f"model, step {name!r}", each.rule, each.message) for each in error.problems]
        raise ConfigError(error.message, problems=problems, hint=error.hint) from None


def distances(graph: Graph, metric: str, x: Matrix, references: str, *, count: int) -> str:
    """Add the distance of each row to each of `count` references, in the order of the true one, rows x references.

    `euclidean` gives squares; `minkowski` sums of powers, whose exponent is the parameter `power`.
    """
    graph.hold(count * x.width)
    rows = graph.add("Unsqueeze", x.name, graph.axis(1))
    apart = graph.add("Sub", rows, references)
    apart = graph.add("Mul", apart, apart) if metric == "euclidean" else graph.add("Abs", apart)
    if metric == "minkowski":
        apart = graph.add("Pow", apart, graph.parameter("power", 1, positive=True))
    return graph.add("ReduceSum", apart, graph.axis(2), keepdims=0)
