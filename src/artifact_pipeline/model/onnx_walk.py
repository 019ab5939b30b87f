"""Read the bytes of `model.onnx`, format 1, before any session is made, and compare them with a template.

This is a strict allow-list: the bytes are read by `_FIELDS`, the table of the fields that we write, and the result must
be the template of `linear`. Whatever else ONNX can express (control flow, functions, external data, other operators) is
refused by name. So is a second spelling of the same model, with a field twice or out of order, or a number with
needless bytes: no other reader sees another model in bytes that pass.

The standard library alone is imported, and only what the file holds is allocated.
"""

from __future__ import annotations

import math
import reprlib
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

from artifact_pipeline.model.reading import read_varint
from artifact_pipeline.model.wire import RuleBroken, require, require_few_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_FEATURES = 65_536
MAX_CLASSES = 10_000
MAX_TEXT_BYTES = 1_024  # of a name, or of a label

IR_VERSION = 7
OPSET = 13
"""The first one in which all five operators have today's meaning; IR version 7 came with it."""
DTYPES = {"float32": 1, "int64": 7, "string": 8, "float64": 11}
"""The element types that we write, with their numbers in ONNX."""
OPERATORS = ("ArgMax", "Cast", "Gather", "Gemm", "Softmax")
"""The operators of `linear`."""


class _Field(NamedTuple):
    """What a message holds under one number.

    Attributes:
        name: as in onnx.proto.
        kind: `int`, `text`, `operator`, `bytes`, the name of a message, or the rule that forbids the field.
        most: None where there must be exactly one, or else how many its list may hold.
    """

    name: str
    kind: str
    most: int | None = None


_FIELDS = {
    "ModelProto": {
        1: _Field("ir_version", "int"),
        2: _Field("producer_name", "text"),
        7: _Field("graph", "GraphProto"),
        8: _Field("opset_import", "OperatorSetIdProto", 8),
    },
    "OperatorSetIdProto": {1: _Field("domain", "text"), 2: _Field("version", "int")},
    "GraphProto": {
        1: _Field("node", "NodeProto", 32),
        2: _Field("name", "text"),
        5: _Field("initializer", "TensorProto", 32),
        11: _Field("input", "ValueInfoProto", 32),
        12: _Field("output", "ValueInfoProto", 32),
    },
    "NodeProto": {
        1: _Field("input", "text", 8),
        2: _Field("output", "text", 8),
        4: _Field("op_type", "operator"),
        5: _Field("attribute", "AttributeProto", 8),
        7: _Field("domain", "onnx-domain", 1),
    },
    "AttributeProto": {1: _Field("name", "text"), 3: _Field("i", "int"), 20: _Field("type", "int")},
    "TensorProto": {
        1: _Field("dims", "int", 8),
        2: _Field("data_type", "int"),
        6: _Field("string_data", "text", MAX_CLASSES),
        8: _Field("name", "text"),
        9: _Field("raw_data", "bytes", 1),
        13: _Field("external_data", "onnx-external-data", 1),
        14: _Field("data_location", "onnx-external-data", 1),
    },
    "ValueInfoProto": {1: _Field("name", "text"), 2: _Field("type", "TypeProto")},
    "TypeProto": {1: _Field("tensor_type", "TypeProto.Tensor")},
    "TypeProto.Tensor": {1: _Field("elem_type", "int"), 2: _Field("shape", "TensorShapeProto")},
    "TensorShapeProto": {1: _Field("dim", "Dimension", 8)},
    "Dimension": {1: _Field("dim_value", "int", 1), 2: _Field("dim_param", "text", 1)},
}
"""Every field that we write, and three that deserve a rule of their own. No message can hold itself."""

_RULES = {
    "ir_version": "onnx-opset",
    "version": "onnx-opset",
    "opset_import": "onnx-domain",
    "producer_name": "onnx-field",
    "attribute": "onnx-attribute",
    "data_type": "onnx-dtype",
    "elem_type": "onnx-dtype",
    "dims": "onnx-shape",
    "shape": "onnx-shape",
}
"""The rule that a difference in a field, or below it, breaks; elsewhere it is `onnx-graph`."""


def read_model(data: bytes, template: dict[str, Any], *, name: str) -> tuple[dict[str, Any], dict[object, int]]:
    """Read a model that follows a template.

    Args:
        data: the whole file.
        template: the values of the fields, by their names. A range or a pair is a number that a model chooses, the
            same wherever it stands; what is not named is the model's own.
        name: the place that a problem names.

    Returns:
        The names and values of its fields, an initializer's `labels` too; and the number chosen for each range or
        pair.

    Raises:
        ArtifactRejected: no writer of this package writes such bytes; its one problem is the first that was met.
    """
    chosen: dict[object, int] = {}
    try:
        require_few_bytes(data)
        model = _read(memoryview(data), "ModelProto")
        _match(model, template, "model", "onnx-graph", chosen=chosen)
        for tensor in model["graph"]["initializer"]:
            tensor["labels"] = _labels(tensor)
    except RuleBroken as refusal:
        raise refusal.rejected(name) from None
    return model, chosen


def _read(data: memoryview, message: str) -> dict[str, Any]:
    """Read one message into the names and values of its fields."""
    fields = _FIELDS[message]
    found: dict[str, Any] = {field.name: [] for field in fields.values() if field.most}
    at = last = 0
    while at < len(data):
        key, at = read_varint(data, at)
        number, wire_type = key >> 3, key & 7
        require(number in fields, "onnx-field", f"{message} holds field {number}, which we never write")
        name, most = fields[number].name, fields[number].most
        require(number >= last, "onnx-wire", f"{message} holds {name} after field {last}")
        value, at = _value(data, at, fields[number], wire_type)
        if most:
            found[name].append(value)
            rule = "onnx-wire" if most == 1 else "onnx-too-large"
            require(len(found[name]) <= most, rule, f"{message} holds more than {most} of {name}")
        else:
            require(number > last, "onnx-wire", f"{message} holds {name} twice")
            found[name] = value
        last = number
    for field in fields.values():
        require(field.name in found, "onnx-field", f"{message} holds no {field.name}")
    return found


def _value(data: memoryview, at: int, field: _Field, wire_type: int) -> tuple[Any, int]:
    """Read the value of a field from `at` on, and say where it ends."""
    name, kind, _ = field
    require(not kind.startswith("onnx-"), kind, f"{name} is there, which we never write")
    require(wire_type == (0 if kind == "int" else 2), "onnx-wire", f"{name} has wire type {wire_type}")
    number, at = read_varint(data, at)
    if kind == "int":
        return number, at
    end = at + number
    require(end <= len(data), "onnx-wire", f"{name} says {number:,} bytes, and {len(data) - at:,} are left")
    part = data[at:end]
    if kind in _FIELDS:
        return _read(part, kind), end
    return part if kind == "bytes" else _text(part, name, kind), end


def _text(part: memoryview, name: str, kind: str) -> str:
    message = f"{name} has {len(part):,} bytes, allowed are {MAX_TEXT_BYTES:,}"
    require(len(part) <= MAX_TEXT_BYTES, "onnx-too-large", message)
    try:
        text = str(part, "utf-8")
    except UnicodeDecodeError as error:
        raise RuleBroken("onnx-wire", f"{name} is not UTF-8: {error.reason}") from None
    if kind == "operator":
        message = f"the operator {reprlib.repr(text)} is none of {', '.join(OPERATORS)}"
        require(text in OPERATORS, "onnx-operator", message)
    return text


def _match(found: Any, allowed: Any, place: str, rule: str, *, chosen: dict[object, int]) -> None:
    """Compare what was read with a part of the template, and note what it chooses."""
    if isinstance(allowed, dict):
        for name, part in allowed.items():
            _match(found[name], part, f"{place}.{name}", _RULES.get(name, rule), chosen=chosen)
    elif isinstance(allowed, list):
        for index, (one, part) in enumerate(zip(found, allowed, strict=False)):
            _match(one, part, f"{place}[{index}]", rule, chosen=chosen)
        require(len(found) == len(allowed), rule, f"{place} has length {len(found)}, allowed is {len(allowed)}")
    elif isinstance(allowed, (range, tuple)):
        to = "to" if isinstance(allowed, range) else "or"
        require(found in allowed, rule, f"{place} is {found:,}, allowed is {allowed[0]:,} {to} {allowed[-1]:,}")
        first = chosen.setdefault(allowed, found)
        require(found == first, rule, f"{place} is {found:,}, and elsewhere it is {first:,}")
    else:
        require(found == allowed, rule, f"{place} is {reprlib.repr(found)}, allowed is {allowed!r}")


def _labels(tensor: dict[str, Any]) -> tuple[Any, ...]:
    """The labels of an initializer, all different; of one of numbers none, and each number is finite."""
    name = tensor["name"]
    if tensor["data_type"] == DTYPES["float64"]:
        finite = all(map(math.isfinite, _numbers(tensor, "<d")))
        require(finite, "onnx-not-finite", f"{name} holds a number that is not finite")
        return ()
    labels = tuple(tensor["string_data"])
    if tensor["data_type"] == DTYPES["int64"]:
        labels = tuple(_numbers(tensor, "<q"))
    else:
        fits = len(labels) == tensor["dims"][0] and not tensor["raw_data"]
        require(fits, "onnx-initializer-size", f"{name} has {len(labels):,} strings, or raw bytes beside them")
    require(len(set(labels)) == len(labels), "onnx-classes", f"{name} holds a label twice")
    return labels


def _numbers(tensor: dict[str, Any], code: str) -> Iterator[Any]:
    """The numbers of a tensor, of eight bytes each, as many as its dims say."""
    raw = tensor["raw_data"][0] if tensor["raw_data"] else b""
    size = 8 * math.prod(tensor["dims"])
    found = f"{len(raw):,} bytes and {len(tensor['string_data']):,} strings"
    fits = len(raw) == size and not tensor["string_data"]
    require(fits, "onnx-initializer-size", f"{tensor['name']} has {found}, allowed are {size:,} bytes")
    return (number for (number,) in struct.iter_unpack(code, raw))
