"""The JSON Schema of a request's inputs, for the model in charge."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from artifact_pipeline.rows.limits import MAX_VALUE
from artifact_pipeline.serving.datatypes import ALL_IN_SINGLE, INPUT_TYPES, LARGEST, TYPES, WHOLE
from artifact_pipeline.serving.model import INPUT

if TYPE_CHECKING:
    from artifact_pipeline.rows.features import Column
    from artifact_pipeline.serving.model import Served

_ROUNDED = (2 - 2**-24) * 2.0**127
"""Smaller numbers become a finite float32."""
_NUMBERS: dict[str, dict[str, Any]] = {
    "BOOL": {"type": "boolean"},
    **{name: {"type": "number", "minimum": -most, "maximum": most} for name, most in LARGEST.items()},
    **{name: {"type": "integer", "minimum": least, "maximum": most} for name, (least, most) in WHOLE.items()},
}
_NO_BYTES = {"type": ["object", "null"], "properties": {"binary_data_size": {"type": "null"}}}
"""The parameters of a tensor in JSON."""


def example_of(served: Served) -> list[dict[str, Any]]:
    """The inputs of one row: as a matrix where the model takes one, else column by column."""
    if served.shapes:
        return [{"name": INPUT, "shape": [1, served.features], "datatype": "FP64", "data": [0.0] * served.features}]
    return [_example(name, each.column, served) for name, each in served.inputs.items()]


def _example(name: str, column: Column, served: Served) -> dict[str, Any]:
    levels = [level for level in column.levels if level] or [""]
    value = {"number": 0.0, "boolean": False, "category": levels[0]}[column.kind]
    return {"name": name, "shape": [1], "datatype": served.datatype(column), "data": [value]}


def inputs_of(served: Served) -> dict[str, Any]:
    """The schema of a request's inputs: the matrix where the model takes one, else each column once, in any order."""
    if served.shapes:
        forms = [each for name in INPUT_TYPES for each in _tensors(served, name)]
        return {"type": "array", "items": {"anyOf": forms}, "minItems": 1, "maxItems": 1}
    alike: dict[Column, list[str]] = {}
    for name, each in served.inputs.items():
        alike.setdefault(replace(each.column, name=""), []).append(name)
    return {
        "type": "array",
        "items": {"anyOf": [form for about, names in alike.items() for form in _columns(about, names, served)]},
        "minItems": served.features,
        "maxItems": served.features,
        "allOf": [{"contains": {"type": "object", "properties": {"name": {"const": name}}}} for name in served.inputs],
    }


def _columns(about: Column, names: list[str], served: Served) -> list[dict[str, Any]]:
    """The forms of columns that are alike: of each datatype, flat or in rows of one value."""
    forms = []
    for datatype in TYPES[about.kind]:
        value = _or_null(_value(about, datatype, served), nullable=about.nullable)
        flat = {"type": "array", "items": value, "minItems": 1}
        rows = {"type": "integer", "minimum": 1, "maximum": served.max_rows}
        one, two = tuple_of([rows]), tuple_of([rows, {"const": 1}])
        common = {"name": {"enum": names}, "datatype": {"const": datatype}, "parameters": _NO_BYTES}
        for shape, data in ((one, flat), (two, flat), (two, _nested(value, 1))):
            forms.append(_tensor({**common, "shape": shape, "data": data}))
    return forms


def _tensor(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": ["name", "datatype", "shape", "data"]}


def _value(column: Column, datatype: str, served: Served) -> dict[str, Any]:
    if column.kind == "category":
        known: dict[str, Any] = {"type": "string", "pattern": r"^[^\x00]*$"}
        return known if column.other == "accept" else {"enum": [*column.levels]}
    if column.kind == "boolean" and datatype != "BOOL":
        return {"enum": [0, 1]}
    return _number(served, datatype)


def _or_null(value: dict[str, Any], *, nullable: bool) -> dict[str, Any]:
    return {"anyOf": [value, {"type": "null"}]} if nullable else value


def _number(served: Served, datatype: str) -> dict[str, Any]:
    if datatype != "FP64":
        numbers = _NUMBERS[datatype]
        if served.narrow and datatype in WHOLE:
            least, most = (max(-ALL_IN_SINGLE, min(ALL_IN_SINGLE, bound)) for bound in WHOLE[datatype])
            numbers = {**numbers, "minimum": least, "maximum": most}
        return numbers
    if served.predictor.dtype == "float32":
        return {"type": "number", "exclusiveMinimum": -_ROUNDED, "exclusiveMaximum": _ROUNDED}
    limit = MAX_VALUE["float64"]
    return {"type": "number", "minimum": -limit, "maximum": limit}


def _tensors(served: Served, datatype: str) -> list[dict[str, Any]]:
    """The matrix in one datatype: flat, or nested by rows, or by rows and columns; a whole schema for each form."""
    number = _or_null(_number(served, datatype), nullable=any(each.column.nullable for each in served.inputs.values()))
    flat = {"type": "array", "items": number, "minItems": served.features}
    forms = [(shape, data) for shape in served.shapes for data in (flat, _nested(number, *shape))]
    rows = {"type": "integer", "minimum": 1, "maximum": served.max_rows}
    common = {"name": {"const": INPUT}, "datatype": {"const": datatype}, "parameters": _NO_BYTES}
    return [
        _tensor({**common, "shape": tuple_of([rows, *({"const": each} for each in rest)]), "data": data})
        for rest, data in forms
    ]


def _nested(number: dict[str, Any], *sides: int) -> dict[str, Any]:
    """One row or more, each an array of arrays of these lengths."""
    for side in reversed(sides):
        number = {"type": "array", "items": number, "minItems": side, "maxItems": side}
    return {"type": "array", "items": number, "minItems": 1}


def tuple_of(items: list[dict[str, Any]]) -> dict[str, Any]:
    """The schema of an array of exactly these items."""
    return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
