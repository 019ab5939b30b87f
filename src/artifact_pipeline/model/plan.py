"""The plan of a model: the whole of `model.onnx` without its numbers, from what the manifest says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from artifact_pipeline.model import classifiers
from artifact_pipeline.model.bounds import MAX_CLASSES
from artifact_pipeline.model.families.encoders import plan_categories
from artifact_pipeline.model.families.preprocess import plan_numbers
from artifact_pipeline.model.graph import Constant, Graph, Matrix, port
from artifact_pipeline.model.reading import CLASSES
from artifact_pipeline.model.spec import CategoryPart, NumberPart
from artifact_pipeline.model.wire import require
from artifact_pipeline.rows.features import category_columns, number_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from artifact_pipeline.model.spec import NumberStep, Steps
    from artifact_pipeline.model.wire import Message, Numbers
    from artifact_pipeline.rows.features import Column

CLASSIFIER = "classifier"
"""The part of a model to which the classifier's numbers belong."""
MAX_ROWS = 4096
"""Most rows in one call of a model."""
MAX_MATRIX_BYTES = 128 << 20
"""Most bytes of one matrix during a call, in which a few of them exist at once."""
NUMBERS, CATEGORIES = "X", "S"
"""The inputs."""


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """A model without its numbers.

    Attributes:
        message: the model, with `Numbers` where it chooses.
        width: how many columns the classifier gets.
        widest: how many numbers a row has in the widest matrix.
        answers: the output beside `label`: `probabilities` or `scores`.
    """

    message: Message
    numbers: tuple[Numbers, ...]
    width: int
    widest: int
    answers: Literal["probabilities", "scores"]

    @property
    def rows(self) -> int:
        """How many rows may go in one call: as many as keep the widest matrix within `MAX_MATRIX_BYTES`."""
        return max(1, min(MAX_ROWS, MAX_MATRIX_BYTES // (8 * self.widest)))


def plan(columns: Sequence[Column], steps: Steps, classes: Sequence[int | str]) -> ModelPlan:
    """Plan a model; the classes are in the order of the answers' columns.

    Raises:
        RuleBroken: the three do not fit together, or are beyond a bound.
    """
    require(2 <= len(classes) <= MAX_CLASSES, "onnx-classes", f"{len(classes):,} classes, allowed are 2 to 10,000")
    require(len(set(classes)) == len(classes), "onnx-classes", "a label stands twice")
    graph = Graph()
    x = _plan_columns(graph, columns, steps)
    graph.hold_matrix(x.width)
    graph.hold(len(classes))
    found = classifiers.plan(graph.within(CLASSIFIER), steps.classifier, x, len(classes))
    labels = Constant.of_texts(classes) if isinstance(classes[0], str) else Constant.of_integers(classes)  # type: ignore[arg-type]
    index = graph.add("ArgMax", found.scores, axis=1, keepdims=0)
    graph.add("Gather", graph.constant(CLASSES, labels), index, output="label", axis=0)
    answers: Literal["probabilities", "scores"] = "probabilities" if found.probabilities else "scores"
    given = found.probabilities or (found.decision() if found.decision else found.scores)
    graph.add("Identity", given, output=answers)
    outputs = [port("label", labels.dtype), port(answers, "float64", len(classes))]
    message = graph.message(_inputs(columns), outputs)
    return ModelPlan(message, graph.numbers, x.width, graph.widest, answers)


def _inputs(columns: Sequence[Column]) -> list[Message]:
    numbers, categories = len(number_columns(columns)), len(category_columns(columns))
    ports = [port(NUMBERS, "float64", numbers)] if numbers else []
    return [*ports, port(CATEGORIES, "string", categories)] if categories else ports


def _plan_columns(graph: Graph, columns: Sequence[Column], steps: Steps) -> Matrix:
    """All columns as the one matrix that the classifier gets."""
    graph.hold_matrix(len(columns))
    categories = [column.levels for column in category_columns(columns)]
    numbers = len(columns) - len(categories)
    taken: dict[type, set[int]] = {NumberPart: set(), CategoryPart: set()}
    parts = []
    for position, part in enumerate(steps.parts):
        name, count = f"part.{position}", numbers if isinstance(part, NumberPart) else len(categories)
        chosen = part.columns or tuple(range(count))
        message = f"{name} takes a column that is not there, or none at all"
        require(bool(chosen) and max(chosen) < count, "onnx-shape", message)
        taken[type(part)] |= {*chosen}
        if isinstance(part, CategoryPart):
            x = plan_categories(graph, part, CATEGORIES, {each: categories[each] for each in chosen})
        else:
            x = _select(graph, name, part.columns, numbers)
        parts.append(_plan_steps(graph, name, part.steps, x))
    for kind, count in ((NumberPart, numbers), (CategoryPart, len(categories))):
        require(len(taken[kind]) == count, "onnx-shape", "there is a column that no part takes")
    x = parts[0]
    if len(parts) > 1:
        x = Matrix(graph.add("Concat", *(part.name for part in parts), axis=1), sum(part.width for part in parts))
        graph.hold_matrix(x.width)
    return _plan_steps(graph, "joined", steps.joined, x)


def _select(graph: Graph, part: str, columns: Sequence[int], numbers: int) -> Matrix:
    """The numbers at some positions; all numbers where there are none."""
    if not columns:
        return Matrix(NUMBERS, numbers)
    positions = graph.constant(f"{part} columns", Constant.of_integers(columns))
    return Matrix(graph.add("Gather", NUMBERS, positions, axis=1), len(columns))


def _plan_steps(graph: Graph, part: str, steps: Sequence[NumberStep], x: Matrix) -> Matrix:
    """Add some steps on the numbers of a matrix."""
    graph.hold_matrix(x.width)
    for position, step in enumerate(steps):
        x = plan_numbers(graph.within(f"{part}.{position}"), step, x)
        graph.hold_matrix(x.width)
    return x
