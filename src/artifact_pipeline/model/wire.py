"""Protobuf, as far as `model.onnx` needs it: messages to bytes.

A message is a dict of the names and values of its fields. Of a field that ONNX repeats, the value is a list. Numbers
that the model chooses are `Numbers` in a message. `encode` writes each message in exactly one way.

Nothing is imported but the standard library; lists of whole numbers need NumPy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from artifact_pipeline.errors import ArtifactRejected, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

DType = Literal["float64", "int64", "string", "uint8"]
DTYPES: dict[DType, int] = {"uint8": 2, "int64": 7, "string": 8, "float64": 11}
"""The element types that we write, with their numbers in ONNX."""
_ITEM_BYTES = {"float64": 8, "int64": 8, "uint8": 1}

Message = dict[str, Any]


MAX_MODEL_BYTES = 64 << 20


class RuleBroken(Exception):
    """A rule, and what breaks it, as its two arguments."""

    def rejected(self, place: str) -> ArtifactRejected:
        """The refusal of a model whose file, or whose manifest, is `place`."""
        problem = Problem(place, *self.args)
        return ArtifactRejected("the model is not one that this program writes", problems=[problem])


def require(holds: bool, rule: str, message: str) -> None:  # noqa: FBT001 - reads as an assertion
    """Refuse what does not hold.

    Raises:
        RuleBroken: it does not.
    """
    if not holds:
        raise RuleBroken(rule, message)


def require_few_bytes(data: bytes) -> None:
    """Refuse a model that is larger than `MAX_MODEL_BYTES`."""
    message = f"it has {len(data):,} bytes, allowed are {MAX_MODEL_BYTES:,}"
    require(len(data) <= MAX_MODEL_BYTES, "onnx-too-large", message)


@dataclass(frozen=True, slots=True)
class Numbers:
    """An array that the model chooses: as bytes its numbers are little-endian, one behind the other.

    Attributes:
        positive: whether each number must be greater than zero.
        packed: whether it is a list of an attribute, and no tensor.
    """

    name: str
    dtype: DType
    dims: tuple[int, ...]
    positive: bool = False
    packed: bool = False

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return math.prod(self.dims) * _ITEM_BYTES[self.dtype]


class Field(NamedTuple):
    """What a message holds under one number; `kind` is `int`, `text`, `bytes`, `packed` or the name of a message."""

    name: str
    kind: str


FIELDS = {
    "ModelProto": {
        1: Field("ir_version", "int"),
        2: Field("producer_name", "text"),
        7: Field("graph", "GraphProto"),
        8: Field("opset_import", "OperatorSetIdProto"),
    },
    "OperatorSetIdProto": {1: Field("domain", "text"), 2: Field("version", "int")},
    "GraphProto": {
        1: Field("node", "NodeProto"),
        2: Field("name", "text"),
        5: Field("initializer", "TensorProto"),
        11: Field("input", "ValueInfoProto"),
        12: Field("output", "ValueInfoProto"),
    },
    "NodeProto": {
        1: Field("input", "text"),
        2: Field("output", "text"),
        4: Field("op_type", "text"),
        5: Field("attribute", "AttributeProto"),
        7: Field("domain", "text"),
    },
    "AttributeProto": {
        1: Field("name", "text"),
        3: Field("i", "int"),
        5: Field("t", "TensorProto"),
        8: Field("ints", "packed"),
        20: Field("type", "int"),
    },
    "TensorProto": {
        1: Field("dims", "int"),
        2: Field("data_type", "int"),
        6: Field("string_data", "text"),
        8: Field("name", "text"),
        9: Field("raw_data", "bytes"),
    },
    "ValueInfoProto": {1: Field("name", "text"), 2: Field("type", "TypeProto")},
    "TypeProto": {1: Field("tensor_type", "TypeProto.Tensor")},
    "TypeProto.Tensor": {1: Field("elem_type", "int"), 2: Field("shape", "TensorShapeProto")},
    "TensorShapeProto": {1: Field("dim", "Dimension")},
    "Dimension": {1: Field("dim_value", "int"), 2: Field("dim_param", "text")},
}
"""Every field that we write. No message can hold itself."""


_DIGITS = [bytes([value]) for value in range(0x80)]
"""The numbers of one byte."""


def encode(message: Message, arrays: Mapping[str, bytes], kind: str = "ModelProto") -> bytes:
    """Write a message; `arrays` are the bytes of its `Numbers`, by their names."""
    parts = []
    for number, field in FIELDS[kind].items():
        if field.name not in message:
            continue
        value = message[field.name]
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, int):
                parts += [_varint(number << 3), _varint(each)]
                continue
            data = _payload(each, arrays, field.kind)
            parts += [_varint(number << 3 | 2), _varint(len(data)), data]
    return b"".join(parts)


def _payload(value: Any, arrays: Mapping[str, bytes], kind: str) -> bytes:
    """The bytes of a field's value, which stand behind their length."""
    if isinstance(value, dict):
        return encode(value, arrays, kind)
    if isinstance(value, Numbers):
        data = arrays[value.name]
        return pack(data) if value.packed else data
    return value.encode() if isinstance(value, str) else bytes(value)


def _varint(value: int) -> bytes:
    """Write a number in base 128, its low digits first; we write none that is negative."""
    if value <= 0x7F:
        return _DIGITS[value]
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    digits.append(value)
    return bytes(digits)


def pack(data: bytes) -> bytes:
    """Write whole numbers, none of them negative, in base 128: from int64 one behind the other."""
    import numpy as np

    values = np.frombuffer(data, dtype="<u8")
    if values.max(initial=0) <= 0x7F:  # as in most lists of a tree, of which a forest has hundreds
        return values.astype(np.uint8).tobytes()
    lengths = np.ones(len(values), dtype=np.int64)
    for digits in range(1, 9):
        lengths += values >= np.uint64(1 << 7 * digits)
    ends = np.cumsum(lengths)
    out = np.empty(int(ends[-1]) if len(ends) else 0, dtype=np.uint8)
    for digit in range(int(lengths.max(initial=0))):
        has = lengths > digit
        low = (values[has] >> np.uint64(7 * digit)).astype(np.uint8) & 0x7F
        more = (lengths[has] > digit + 1).astype(np.uint8) << 7
        out[ends[has] - lengths[has] + digit] = low | more
    return out.tobytes()
