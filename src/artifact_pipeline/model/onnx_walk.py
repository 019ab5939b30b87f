"""Walk the bytes of `model.onnx` before any session is made.

An allow-list in the strict sense: the bytes are read by `_FIELDS`, the table of the fields that we write, and the
result is held against `_MODEL`, the one model that we write. What else ONNX can express (control flow, functions,
external data, other operators) is refused by name. So is a second spelling of the same model, with a field twice
or out of order, or a number with needless bytes: no other reader sees another model in bytes that pass.

Nothing is imported but the standard library, and nothing is allocated that the file does not hold.
"""

from __future__ import annotations

import math
import reprlib
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from artifact_pipeline.errors import ArtifactRejected, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES = 64 << 20
_MAX_FEATURES = 65_536
_MAX_CLASSES = 10_000
MAX_TEXT_BYTES = 1_024  # of a name, or of a label

PRODUCER = "artifact-pipeline"
IR_VERSION = 7
OPSET = 13
"""The first one in which all five operators have today's meaning; IR version 7 came with it."""
DTYPES = {"float32": 1, "int64": 7, "string": 8, "float64": 11}
"""The element types that we write, with their numbers in ONNX."""
_DTYPE_NAMES = {number: name for name, number in DTYPES.items()}
ROWS = "rows"
"""The name of the one dimension without a fixed size."""


class _Node(NamedTuple):
    """One step of the graph; its attributes are integers, in the order of their names."""

    operator: str
    inputs: list[str]
    output: str
    attributes: dict[str, Any]


NODES = (
    _Node("Cast", ["X"], "X_double", {"to": DTYPES["float64"]}),
    _Node("Gemm", ["X_double", "coefficients", "intercepts"], "scores", {"transB": 1}),
    _Node("Softmax", ["scores"], "probabilities", {"axis": 1}),
    _Node("ArgMax", ["scores"], "index", {"axis": 1, "keepdims": 0}),
    _Node("Gather", ["classes", "index"], "label", {"axis": 0}),
)
"""The graph that we write."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or output.

    Attributes:
        name: its name in the graph.
        dtype: `float32`, `float64`, `int64` or `string`.
        shape: None stands for the number of rows.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class ModelShape:
    """What a walked model is.

    Attributes:
        inputs: `X`, rows x features.
        outputs: `label`, rows, and `probabilities`, rows x classes.
        operators: the steps of the graph, in order.
        classes: the labels, in the order of the probabilities' columns.
        parameters: how many weights there are, intercepts included.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    operators: tuple[str, ...]
    classes: tuple[int, ...] | tuple[str, ...]
    parameters: int


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
        6: _Field("string_data", "text", _MAX_CLASSES),
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

_CLASSES = range(2, _MAX_CLASSES + 1)
_FEATURES = range(1, _MAX_FEATURES + 1)
_INPUT_TYPE = (DTYPES["float32"], DTYPES["float64"])
_LABEL_TYPE = (DTYPES["int64"], DTYPES["string"])


def _node(node: _Node) -> dict[str, Any]:
    attributes = [{"name": name, "i": value, "type": 2} for name, value in node.attributes.items()]
    return {"input": node.inputs, "output": [node.output], "op_type": node.operator, "attribute": attributes}


def _port(name: str, dtype: int | tuple[int, ...], *columns: range) -> dict[str, Any]:
    dims = [{"dim_value": [], "dim_param": [ROWS]}, *({"dim_value": [n], "dim_param": []} for n in columns)]
    return {"name": name, "type": {"tensor_type": {"elem_type": dtype, "shape": {"dim": dims}}}}


_MODEL = {
    "ir_version": IR_VERSION,
    "producer_name": PRODUCER,
    "graph": {
        "node": [_node(node) for node in NODES],
        "initializer": [
            {"dims": [_CLASSES, _FEATURES], "data_type": DTYPES["float64"], "name": "coefficients"},
            {"dims": [_CLASSES], "data_type": DTYPES["float64"], "name": "intercepts"},
            {"dims": [_CLASSES], "data_type": _LABEL_TYPE, "name": "classes"},
        ],
        "input": [_port("X", _INPUT_TYPE, _FEATURES)],
        "output": [_port("label", _LABEL_TYPE), _port("probabilities", DTYPES["float64"], _CLASSES)],
    },
    "opset_import": [{"domain": "", "version": OPSET}],
}
"""The one model that we write. A range or a pair is a number that a model chooses, the same wherever it stands;
what is not named (the graph's name, the weights, the labels) is the model's own."""

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


class _Refusal(Exception):
    """A rule, and what breaks it."""


def walk(data: bytes, *, name: str = "model.onnx") -> ModelShape:
    """Say what a model is, from its bytes alone.

    Args:
        data: the whole file.
        name: the place that a problem names.

    Raises:
        ArtifactRejected: `onnx_writer` does not write such bytes; its one problem is the first that was met.
    """
    try:
        _require(len(data) <= MAX_BYTES, "onnx-too-large", f"it has {len(data):,} bytes, allowed are {MAX_BYTES:,}")
        return _shape(_read(memoryview(data), "ModelProto"))
    except _Refusal as refusal:
        problem = Problem(name, *refusal.args)
    raise ArtifactRejected("the model is not one that this program writes", problems=[problem])


def coefficients(data: bytes) -> tuple[tuple[float, ...], ...]:
    """The weights of a model, of shape (classes, features); `walk` is asked first, and refuses as it does."""
    walk(data)
    weights = _read(memoryview(data), "ModelProto")["graph"]["initializer"][0]
    return tuple(struct.iter_unpack(f"<{weights['dims'][1]}d", weights["raw_data"][0]))


def _require(holds: bool, rule: str, message: str) -> None:  # noqa: FBT001 - reads as an assertion
    if not holds:
        raise _Refusal(rule, message)


def _read(data: memoryview, message: str) -> dict[str, Any]:
    """Read one message into the names and values of its fields."""
    fields = _FIELDS[message]
    found: dict[str, Any] = {field.name: [] for field in fields.values() if field.most}
    at = last = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire_type = key >> 3, key & 7
        _require(number in fields, "onnx-field", f"{message} holds field {number}, which we never write")
        name, most = fields[number].name, fields[number].most
        _require(number >= last, "onnx-wire", f"{message} holds {name} after field {last}")
        value, at = _value(data, at, fields[number], wire_type)
        if most:
            found[name].append(value)
            rule = "onnx-wire" if most == 1 else "onnx-too-large"
            _require(len(found[name]) <= most, rule, f"{message} holds more than {most} of {name}")
        else:
            _require(number > last, "onnx-wire", f"{message} holds {name} twice")
            found[name] = value
        last = number
    for field in fields.values():
        _require(field.name in found, "onnx-field", f"{message} holds no {field.name}")
    return found


def _value(data: memoryview, at: int, field: _Field, wire_type: int) -> tuple[Any, int]:
    """Read the value of a field from `at` on, and say where it ends."""
    name, kind, _ = field
    _require(not kind.startswith("onnx-"), kind, f"{name} is there, which we never write")
    _require(wire_type == (0 if kind == "int" else 2), "onnx-wire", f"{name} has wire type {wire_type}")
    number, at = _varint(data, at)
    if kind == "int":
        return number, at
    end = at + number
    _require(end <= len(data), "onnx-wire", f"{name} says {number:,} bytes, and {len(data) - at:,} are left")
    part = data[at:end]
    if kind in _FIELDS:
        return _read(part, kind), end
    return part if kind == "bytes" else _text(part, name, kind), end


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """Read a number in base 128, its low digits first; we write none that is negative."""
    value = 0
    for shift in range(0, 63, 7):
        _require(at < len(data), "onnx-wire", "a number is cut short")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            _require(byte > 0 or shift == 0, "onnx-wire", "a number has needless bytes")
            return value, at
    raise _Refusal("onnx-wire", "a number has more than 63 bits")


def _text(part: memoryview, name: str, kind: str) -> str:
    told = f"{name} has {len(part):,} bytes, allowed are {MAX_TEXT_BYTES:,}"
    _require(len(part) <= MAX_TEXT_BYTES, "onnx-too-large", told)
    try:
        text = str(part, "utf-8")
    except UnicodeDecodeError as error:
        raise _Refusal("onnx-wire", f"{name} is not UTF-8: {error.reason}") from None
    if kind == "operator":
        known = sorted(node.operator for node in NODES)
        _require(text in known, "onnx-operator", f"the operator {reprlib.repr(text)} is none of {', '.join(known)}")
    return text


def _match(found: Any, allowed: Any, place: str, rule: str, *, chosen: dict[object, int]) -> None:
    """Hold what was read against a part of `_MODEL`, and note what it chooses."""
    if isinstance(allowed, dict):
        for name, part in allowed.items():
            _match(found[name], part, f"{place}.{name}", _RULES.get(name, rule), chosen=chosen)
    elif isinstance(allowed, list):
        for index, (one, part) in enumerate(zip(found, allowed, strict=False)):
            _match(one, part, f"{place}[{index}]", rule, chosen=chosen)
        _require(len(found) == len(allowed), rule, f"{place} has length {len(found)}, allowed is {len(allowed)}")
    elif isinstance(allowed, (range, tuple)):
        to = "to" if isinstance(allowed, range) else "or"
        _require(found in allowed, rule, f"{place} is {found:,}, allowed is {allowed[0]:,} {to} {allowed[-1]:,}")
        first = chosen.setdefault(allowed, found)
        _require(found == first, rule, f"{place} is {found:,}, and elsewhere it is {first:,}")
    else:
        _require(found == allowed, rule, f"{place} is {reprlib.repr(found)}, allowed is {allowed!r}")


def _shape(model: dict[str, Any]) -> ModelShape:
    """Hold the model against the one that we write, then its numbers against their sizes."""
    chosen: dict[object, int] = {}
    _match(model, _MODEL, "model", "onnx-graph", chosen=chosen)
    coefficients, intercepts, classes = model["graph"]["initializer"]
    for weights in (coefficients, intercepts):
        finite = all(map(math.isfinite, _numbers(weights, "<d")))
        _require(finite, "onnx-not-finite", f"{weights['name']} holds a number that is not finite")
    count, features = chosen[_CLASSES], chosen[_FEATURES]
    x = Tensor("X", _DTYPE_NAMES[chosen[_INPUT_TYPE]], (None, features))
    label = Tensor("label", _DTYPE_NAMES[chosen[_LABEL_TYPE]], (None,))
    probabilities = Tensor("probabilities", "float64", (None, count))
    operators = tuple(node.operator for node in NODES)
    return ModelShape((x,), (label, probabilities), operators, _labels(classes), count * features + count)


def _numbers(tensor: dict[str, Any], code: str) -> Iterator[Any]:
    """The numbers of a tensor, of eight bytes each, as many as its dims say."""
    raw = tensor["raw_data"][0] if tensor["raw_data"] else b""
    size = 8 * math.prod(tensor["dims"])
    found = f"{len(raw):,} bytes and {len(tensor['string_data']):,} strings"
    fits = len(raw) == size and not tensor["string_data"]
    _require(fits, "onnx-initializer-size", f"{tensor['name']} has {found}, allowed are {size:,} bytes")
    return (number for (number,) in struct.iter_unpack(code, raw))


def _labels(classes: dict[str, Any]) -> tuple[int, ...] | tuple[str, ...]:
    """The labels, integers or strings, each of them once."""
    labels: tuple[Any, ...] = tuple(classes["string_data"])
    if classes["data_type"] == DTYPES["int64"]:
        labels = tuple(_numbers(classes, "<q"))
    else:
        fits = len(labels) == classes["dims"][0] and not classes["raw_data"]
        _require(fits, "onnx-initializer-size", f"classes has {len(labels):,} strings, or raw bytes beside them")
    _require(len(set(labels)) == len(labels), "onnx-classes", "classes holds a label twice")
    return labels
