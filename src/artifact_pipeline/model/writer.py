"""Write a model, format 2: a fitted pipeline becomes its spec and the bytes of `model.onnx`.

The bytes depend on nothing but what was fitted. scikit-learn is not imported: a step is known by its class's name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from artifact_pipeline.errors import ConfigError, Problem
from artifact_pipeline.model import classifiers
from artifact_pipeline.model.check import MAX_MODEL_BYTES, check_numbers
from artifact_pipeline.model.families.family import Arrays, not_written
from artifact_pipeline.model.families.preprocess import describe_categories, describe_numbers
from artifact_pipeline.model.plan import CLASSIFIER, plan
from artifact_pipeline.model.spec import Categories, NumberStep, Steps
from artifact_pipeline.model.wire import Numbers, RuleBroken, encode, require
from artifact_pipeline.rows.features import category_columns, number_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from artifact_pipeline.rows.features import Column

_HINTS = dict.fromkeys(
    ("onnx-not-finite", "onnx-not-positive"),
    "the classifier did not fit these columns: scale them, drop constant ones, or set its regularization higher",
)
_TYPES = {"float64": "<f8", "int64": "<i8", "uint8": "u1"}


def write(model: Any, columns: Sequence[Column]) -> tuple[bytes, Steps]:
    """Write a fitted model.

    Args:
        model: a `Pipeline` of the steps `columns`, a `ColumnTransformer` of `number` and `category`, and `classifier`;
            or a classifier alone. Its labels are whole numbers or texts.
        columns: the columns that it was fitted on.

    Returns:
        The bytes, and the spec that the manifest must hold for `check` to accept them.

    Raises:
        ConfigError: a step has no place in a model, the model is too large, or fitting it gave a number that is not
            finite.
    """
    steps, arrays = _described(model, columns)
    try:
        planned = plan(columns, steps, model.classes_.tolist())
        held = {numbers.name: _bytes(arrays.pop(numbers.name), numbers) for numbers in planned.numbers}
        assert not arrays  # what is described is planned
        check_numbers(planned, steps, held, len(model.classes_))
        data = encode(planned.message, held)
        size = f"it has {len(data):,} bytes, allowed are {MAX_MODEL_BYTES:,}"
        require(len(data) <= MAX_MODEL_BYTES, "onnx-too-large", size)
    except RuleBroken as refusal:
        rule, message = refusal.args
        hint = _HINTS.get(rule)
        raise ConfigError(
            "the model cannot be written", problems=[Problem("model", rule, message)], hint=hint
        ) from None
    return data, steps


def _bytes(values: Any, numbers: Numbers) -> bytes:
    import numpy as np

    array = np.asarray(values)
    message = f"{numbers.name} has the shape {array.shape}, and the columns give {numbers.dims}"
    require(array.shape == numbers.dims, "onnx-shape", message)
    return np.ascontiguousarray(array, dtype=_TYPES[numbers.dtype]).tobytes()


def _described(model: Any, columns: Sequence[Column]) -> tuple[Steps, Arrays]:
    """The spec and the numbers of a whole model."""
    if type(model).__name__ != "Pipeline":
        spec, arrays = classifiers.describe(model)
        return Steps(classifier=spec), _named(CLASSIFIER, arrays)
    steps = model.named_steps
    if set(steps) != {"columns", "classifier"}:
        raise not_written(f"a pipeline of {', '.join(steps)} is none of `columns` and `classifier`")
    spec, arrays = classifiers.describe(steps["classifier"])
    arrays = _named(CLASSIFIER, arrays)
    number: list[NumberStep] = []
    category: Categories | None = None
    transformers = _transformers(steps["columns"], columns)
    if "category" in transformers:
        levels = [column.levels for column in category_columns(columns)]
        category = describe_categories(_steps(transformers["category"]), levels)
    for position, step in enumerate(_steps(transformers.get("number"))):
        described, numbers = describe_numbers(step)
        number.append(described)
        arrays |= _named(f"number.{position}", numbers)
    return Steps(number=tuple(number), category=category, classifier=spec), arrays


def _transformers(found: Any, columns: Sequence[Column]) -> dict[str, Any]:
    """The transformers of a `ColumnTransformer`: the numbers first, then the categories, by positions or by names."""
    named = {"number": [each.name for each in number_columns(columns)]}
    named["category"] = [each.name for each in category_columns(columns)]
    order = [*named["number"], *named["category"]]
    positions = {part: list(map(order.index, names)) for part, names in named.items()}
    taken = {part: list(chosen) for part, _, chosen in found.transformers_}
    for expected in (named, positions):
        if list(taken.items()) == [(part, chosen) for part, chosen in expected.items() if chosen]:
            return {part: transformer for part, transformer, _ in found.transformers_}
    raise not_written("the pipeline does not take the numbers first, and then the categories")


def _named(part: str, arrays: Arrays) -> Arrays:
    return {f"{part}.{name}": array for name, array in arrays.items()}


def _steps(transformer: Any) -> list[Any]:
    """The steps of a transformer, which may be a pipeline of them, or one that leaves the columns as they are."""
    kind = type(transformer).__name__
    if kind == "Pipeline":
        return [step for _, step in transformer.steps if step != "passthrough"]
    if (
        transformer is None
        or transformer == "passthrough"
        or (kind == "FunctionTransformer" and _is_asarray(transformer))
    ):
        return []
    return [transformer]


def _is_asarray(transformer: Any) -> bool:
    """Whether a `FunctionTransformer` gives the numbers that it is given."""
    import numpy as np

    return transformer.func in {None, np.asarray}
