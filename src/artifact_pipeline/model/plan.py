"""The plan of a model: the whole of `model.onnx` but for its numbers, from what the manifest says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from artifact_pipeline.model import classifiers
from artifact_pipeline.model.families.preprocess import plan_categories, plan_numbers
from artifact_pipeline.model.graph import Constant, Graph, Matrix, port
from artifact_pipeline.model.reading import CLASSES
from artifact_pipeline.model.spec import MAX_CLASSES, MAX_WIDTH
from artifact_pipeline.model.wire import require

if TYPE_CHECKING:
    from collections.abc import Sequence

    from artifact_pipeline.model.spec import Steps
    from artifact_pipeline.model.wire import Message, Numbers
    from artifact_pipeline.rows.features import Column

CLASSIFIER = "classifier"
"""The part of a model to which the classifier's numbers belong."""
MAX_ROWS = 4096
"""Most rows in one call of a model."""
MAX_MATRIX_BYTES = 128 << 20
"""Most bytes of one matrix during a call: a few of them stand beside each other."""
NUMBERS, CATEGORIES = "X", "S"
"""The inputs."""


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """A model but for its numbers.

    Attributes:
        message: the model, with `Numbers` where it chooses.
        numbers: all of those.
        operators: the operators of its steps, in order.
        width: how many columns the classifier gets.
        widest: how many numbers a row has in the widest matrix.
        answers: the output beside `label`: `probabilities` or `scores`.
    """

    message: Message
    numbers: tuple[Numbers, ...]
    operators: tuple[str, ...]
    width: int
    widest: int
    answers: Literal["probabilities", "scores"]

    @property
    def rows(self) -> int:
        """How many rows may go in one call: as many as keep the widest matrix within `MAX_MATRIX_BYTES`."""
        return max(1, min(MAX_ROWS, MAX_MATRIX_BYTES // (8 * self.widest)))


def plan(columns: Sequence[Column], steps: Steps, classes: Sequence[int | str]) -> ModelPlan:
    """Say what a model is, but for its numbers.

    Args:
        columns: the columns that it takes.
        steps: its spec.
        classes: its labels, in the order of the answers' columns.

    Raises:
        RuleBroken: the three do not fit together, or are beyond a bound.
    """
    require(2 <= len(classes) <= MAX_CLASSES, "onnx-classes", f"{len(classes):,} classes, allowed are 2 to 10,000")
    require(len(set(classes)) == len(classes), "onnx-classes", "a label stands twice")
    graph = Graph()
    x = _encoded(graph, columns, steps)
    _hold(graph, x.width)
    graph.hold(len(classes))
    found = classifiers.plan(graph.within(CLASSIFIER), steps.classifier, x, len(classes))
    labels = Constant.of_texts(classes) if isinstance(classes[0], str) else Constant.of_integers(classes)  # type: ignore[arg-type]
    index = graph.add("ArgMax", found.scores, axis=1, keepdims=0)
    graph.add("Gather", graph.constant(CLASSES, labels), index, output="label", axis=0)
    answers: Literal["probabilities", "scores"] = "probabilities" if found.probabilities else "scores"
    graph.add("Identity", found.probabilities or found.scores, output=answers)
    outputs = [port("label", labels.dtype), port(answers, "float64", len(classes))]
    message = graph.message(_inputs(columns), outputs)
    return ModelPlan(message, graph.numbers, graph.operators, x.width, graph.widest, answers)


def _inputs(columns: Sequence[Column]) -> list[Message]:
    categories = sum(column.kind == "category" for column in columns)
    numbers = len(columns) - categories
    ports = [port(NUMBERS, "float64", numbers)] if numbers else []
    return [*ports, port(CATEGORIES, "string", categories)] if categories else ports


def _encoded(graph: Graph, columns: Sequence[Column], steps: Steps) -> Matrix:
    """All columns as one matrix: the numbers first, as their steps leave them."""
    _hold(graph, len(columns))
    categories = [column.levels for column in columns if column.kind == "category"]
    parts = []
    if numbers := len(columns) - len(categories):
        x = Matrix(NUMBERS, numbers)
        for position, step in enumerate(steps.number):
            x = plan_numbers(graph.within(f"number.{position}"), step, x)
            _hold(graph, x.width)
        parts.append(x)
    require(bool(numbers or not steps.number), "onnx-shape", "there are steps on numbers, and no column of numbers")
    fits = bool(categories) == (steps.category is not None)
    require(fits, "onnx-shape", "there is a category without a step on categories, or such a step without a category")
    if steps.category is not None:
        parts.append(plan_categories(graph, steps.category, CATEGORIES, categories))
    if len(parts) == 1:
        return parts[0]
    return Matrix(graph.add("Concat", *(part.name for part in parts), axis=1), sum(part.width for part in parts))


def _hold(graph: Graph, width: int) -> None:
    message = f"a matrix has {width:,} columns, allowed are 1 to {MAX_WIDTH:,}"
    require(1 <= width <= MAX_WIDTH, "onnx-shape", message)
    graph.hold(width)
