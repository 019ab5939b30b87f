"""Check the bytes of a model, format 2, before any session is made: they are its plan, and its numbers keep the rules.

The bytes are read beside the plan, which names what differs and finds the numbers. Then the plan with these numbers
must give the same bytes again. So no other reader sees another model in bytes that pass.
"""

from __future__ import annotations

import sys
from array import array
from math import isfinite
from typing import TYPE_CHECKING

from msgspec import ValidationError, convert

from artifact_pipeline.artifact.parts import NAME
from artifact_pipeline.model import classifiers
from artifact_pipeline.model.families.family import unprefixed
from artifact_pipeline.model.plan import CLASSIFIER, plan
from artifact_pipeline.model.reading import read
from artifact_pipeline.model.spec import Steps
from artifact_pipeline.model.wire import Numbers, RuleBroken, encode, require, require_few_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from artifact_pipeline.artifact.manifest2 import WrittenModel
    from artifact_pipeline.model.plan import ModelPlan
    from artifact_pipeline.rows.features import Column


def checked_plan(
    data: bytes,
    columns: Sequence[Column],
    steps: Steps,
    classes: Sequence[int | str],
    *,
    name: str = "model.onnx",
) -> ModelPlan:
    """Check the bytes of a model beside what its manifest says, and return its plan; problems are at `name`.

    Raises:
        ArtifactRejected: the writer does not write such bytes for such a spec; the problem is the first that was met.
    """
    try:
        require_few_bytes(data)
        planned = plan(columns, steps, classes)
        arrays = read(data, planned.message)
        require(encode(planned.message, arrays) == data, "onnx-wire", "the same model is written in another way")
        check_numbers(planned, steps, arrays, len(classes))
    except RuleBroken as refusal:
        raise refusal.rejected(name) from None
    return planned


def numbers_of(data: bytes, said: WrittenModel) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    """Return the numbers of a model that was checked: for each array its type, its shape and its bytes, by name."""
    planned = plan(said.columns, convert(said.steps, Steps), said.classes)
    arrays = read(data, planned.message)
    return {each.name: (each.dtype, tuple(each.dims), arrays[each.name]) for each in planned.numbers}


def check_written(data: bytes, said: WrittenModel, *, name: str = "model.onnx") -> int:
    """Check the bytes of a model by what its manifest says of it, and return how many rows may go in one call.

    Raises:
        ArtifactRejected: the manifest's steps are none, or the bytes are not what they give.
    """
    try:
        steps = convert(said.steps, Steps)
    except ValidationError as error:
        raise RuleBroken("manifest-field", f"model.steps: {error}"[:200]).rejected(NAME) from None
    planned = checked_plan(data, said.columns, steps, said.classes, name=name)
    if planned.answers != said.answers:
        words = f"the manifest says that it gives {said.answers}, and it gives {planned.answers}"
        raise RuleBroken("model-shape", words).rejected(name)
    return planned.rows


def check_numbers(planned: ModelPlan, steps: Steps, arrays: Mapping[str, bytes], classes: int) -> None:
    """Refuse numbers that no fitted model has.

    Raises:
        RuleBroken: one is not finite, or not positive where it must be, or the classifier's family refuses them.
    """
    for numbers in planned.numbers:
        if numbers.dtype == "float64":
            _check_doubles(numbers, arrays[numbers.name])
    classifiers.check(steps.classifier, unprefixed(CLASSIFIER, arrays), planned.width, classes)


def _check_doubles(numbers: Numbers, data: bytes) -> None:
    values = array("d", data)
    if sys.byteorder == "big":
        values.byteswap()
    require(all(map(isfinite, values)), "onnx-not-finite", f"{numbers.name} holds a number that is not finite")
    if numbers.positive:
        require(min(values) > 0, "onnx-not-positive", f"{numbers.name} holds a number that is not greater than zero")
