"""Write a model, format 2: a fitted pipeline becomes its spec and the bytes of `model.onnx`.

The bytes depend on nothing but what was fitted. scikit-learn is not imported: a step is known by its class's name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from artifact_pipeline.errors import ConfigError, Problem
from artifact_pipeline.model import classifiers
from artifact_pipeline.model.check import check_numbers
from artifact_pipeline.model.families.encoders import describe_encoder
from artifact_pipeline.model.families.family import not_written, of_step, prefixed
from artifact_pipeline.model.families.preprocess import describe_numbers
from artifact_pipeline.model.layout import layout_of
from artifact_pipeline.model.plan import CLASSIFIER, plan
from artifact_pipeline.model.spec import NumberPart, Steps
from artifact_pipeline.model.wire import Numbers, RuleBroken, encode, require, require_few_bytes
from artifact_pipeline.rows.features import category_columns, number_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from artifact_pipeline.model.families.family import Arrays
    from artifact_pipeline.model.layout import NamedStep
    from artifact_pipeline.model.spec import CategoryPart, NumberStep
    from artifact_pipeline.rows.features import Column

_HINTS = dict.fromkeys(
    ("onnx-not-finite", "onnx-not-positive"),
    "the classifier did not fit these columns: scale them, drop constant ones, or set its regularization higher",
)
_HINTS["onnx-too-large"] = "take fewer estimators, smaller ones, or fewer training rows"
_TYPES = {"float64": "<f8", "int64": "<i8", "uint8": "u1"}


def write(
    model: Any,
    columns: Sequence[Column],
    *,
    classes: Sequence[int | str] | None = None,
    order: Sequence[str] | None = None,
) -> tuple[bytes, Steps]:
    """Write a fitted model.

    Args:
        model: a classifier, or a `Pipeline` that ends in one. It may begin with a `ColumnTransformer`.
        columns: the columns that the written model takes: all that a step of the model takes.
        classes: the labels; None takes the model's own, which are then whole numbers or texts.
        order: the names of all columns that the model was fitted on, in their order. None takes the names that it
            knows, or, where it was fitted on a matrix, the numbers first and then the categories.

    Returns:
        The bytes, and the spec that the manifest must hold for `check` to accept them.

    Raises:
        ConfigError: a step has no place in a model, the model is too large, or fitting it gave a number that is not
            finite.
    """
    labels = model.classes_.tolist() if classes is None else list(classes)
    steps, arrays = _described(model, columns, _order(model, columns) if order is None else order)
    try:
        planned = plan(columns, steps, labels)
        held = {numbers.name: _bytes(arrays.pop(numbers.name), numbers) for numbers in planned.numbers}
        assert not arrays  # what is described is planned
        check_numbers(planned, steps, held, len(labels))
        data = encode(planned.message, held)
        require_few_bytes(data)
    except RuleBroken as refusal:
        problem = Problem("model", *refusal.args)
        raise ConfigError("the model cannot be written", problems=[problem], hint=_HINTS.get(problem.rule)) from None
    return data, steps


def _bytes(values: Any, numbers: Numbers) -> bytes:
    import numpy as np

    array = np.asarray(values)
    message = f"{numbers.name} has the shape {array.shape}, and the columns give {numbers.dims}"
    require(array.shape == numbers.dims, "onnx-shape", message)
    return np.ascontiguousarray(array, dtype=_TYPES[numbers.dtype]).tobytes()


def _order(model: Any, columns: Sequence[Column]) -> Sequence[str]:
    names = getattr(model, "feature_names_in_", None)
    if names is not None:
        return list(map(str, names))
    return [each.name for each in (*number_columns(columns), *category_columns(columns))]


def _described(model: Any, columns: Sequence[Column], order: Sequence[str]) -> tuple[Steps, Arrays]:
    """The spec and the numbers of a whole model."""
    layout = layout_of(model)
    if len(order) != layout.width:
        raise not_written(f"it was fitted on {layout.width:,} columns, and here are {len(order):,}")
    with of_step(layout.classifier.name):
        spec, numbers = classifiers.describe(layout.classifier.step)
    arrays = prefixed(CLASSIFIER, numbers)
    parts: list[NumberPart | CategoryPart] = []
    for position, branch in enumerate(layout.branches):
        steps, own = _steps(f"part.{position}", branch.steps)
        arrays |= own
        kind = number_columns(columns) if branch.encoder is None else category_columns(columns)
        names = [each.name for each in kind]
        places = _places([order[at] for at in branch.columns], names)
        chosen = () if places == tuple(range(len(names))) else places
        if branch.encoder is None:
            parts.append(NumberPart(columns=chosen, steps=steps))
            continue
        imputer, levels = branch.imputer and branch.imputer.step, [kind[at].levels for at in places]
        with of_step(branch.encoder.name):
            encoded = describe_encoder(imputer, branch.encoder.step, levels)
        parts.append(replace(encoded, columns=chosen, steps=steps))
    joined, own = _steps("joined", layout.joined)
    return Steps(classifier=spec, parts=tuple(parts), joined=joined), arrays | own


def _places(taken: Sequence[str], names: Sequence[str]) -> tuple[int, ...]:
    """The positions of a branch's columns among those of their kind."""
    places = {name: place for place, name in enumerate(names)}
    for name in taken:
        if name not in places:
            raise not_written(f"it takes the column {name!r:.80}, and there is none of that kind")
    return tuple(places[name] for name in taken)


def _steps(part: str, steps: Sequence[NamedStep]) -> tuple[tuple[NumberStep, ...], Arrays]:
    """The spec and the numbers of some steps on numbers."""
    found: list[NumberStep] = []
    arrays: Arrays = {}
    for position, each in enumerate(steps):
        with of_step(each.name):
            spec, numbers = describe_numbers(each.step)
        found.append(spec)
        arrays |= prefixed(f"{part}.{position}", numbers)
    return tuple(found), arrays
