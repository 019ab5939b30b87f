"""Read the bytes of `model.onnx` beside the message that they must be.

This is a strict allow-list: what is not in the message is refused by name. Only the model's numbers are kept, and only
what both the message and the file hold is allocated. The standard library alone is imported; lists of whole numbers,
which trees have, need NumPy.
"""

from __future__ import annotations

import reprlib
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from artifact_pipeline.model.wire import FIELDS, Numbers, RuleBroken

if TYPE_CHECKING:
    from collections.abc import Iterator

    from artifact_pipeline.model.wire import Message

_EXTERNAL = {("TensorProto", 13), ("TensorProto", 14)}
"""Fields by which data of another file is taken: they break `onnx-external-data`, all others that we never write
`onnx-field`."""

_RULES = {
    "ir_version": "onnx-opset",
    "version": "onnx-opset",
    "opset_import": "onnx-domain",
    "domain": "onnx-domain",
    "op_type": "onnx-operator",
    "producer_name": "onnx-field",
    "attribute": "onnx-attribute",
    "data_type": "onnx-dtype",
    "elem_type": "onnx-dtype",
    "dims": "onnx-shape",
    "shape": "onnx-shape",
    "string_data": "onnx-constant",
    "raw_data": "onnx-constant",
}
"""The rule that a difference in a field, or below it, breaks; elsewhere it is `onnx-graph`."""
CLASSES = "classes"
"""The tensor of labels, in which a difference breaks `onnx-classes`."""
_KINDS = {(kind, field.name): field.kind for kind, fields in FIELDS.items() for field in fields.values()}
_HIGH = bytes(range(0x80, 0x100))


class _Place(NamedTuple):
    """A place in the model, and the rule that a difference there breaks."""

    place: str
    rule: str

    def inside(self, name: str) -> _Place:
        """The place of a field of this message."""
        return _Place(f"{self.place}.{name}", _RULES.get(name, self.rule))

    def refuse(self, message: str, rule: str | None = None) -> NoReturn:
        """Refuse the value here, by the rule of this place or by another one."""
        raise RuleBroken(rule or self.rule, f"{self.place} {message}")

    def refuse_field(self, kind: str, number: int) -> NoReturn:
        """Refuse a field that we never write."""
        rule = "onnx-external-data" if (kind, number) in _EXTERNAL else "onnx-field"
        self.refuse(f"holds field {number} of {kind}, which we never write", rule)


def read(data: bytes, expected: Message) -> dict[str, bytes]:
    """Read the bytes of a model, and return those of each `Numbers`, by its name.

    Args:
        data: the whole file.
        expected: the message, with `Numbers` where the model chooses.

    Raises:
        RuleBroken: the bytes are not such a message. The caller compares with `encode` too: a second spelling of the
            same message may pass here.
    """
    reader = _Reader()
    reader.message(memoryview(data), "ModelProto", expected, at=_Place("model", "onnx-graph"))
    return reader.arrays


class _Reader:
    """Reads messages, and keeps the numbers that the model chooses."""

    def __init__(self) -> None:
        self.arrays: dict[str, bytes] = {}

    def message(self, data: memoryview, kind: str, expected: Message, *, at: _Place) -> None:
        """Read one message; its fields are compared in the order of `expected`, which begins with the operator."""
        most = sum(len(value) if isinstance(value, list) else 1 for value in expected.values())
        found: dict[str, list[Any]] = {}
        last = 0
        for number, value in islice(_fields(data, kind, at), most + 1):
            name = FIELDS[kind][number].name
            if number < last:
                at.refuse(f"holds {name} after field {last}", "onnx-wire")
            found.setdefault(name, []).append(value)
            last = number
        labels = expected.get("name") == CLASSES
        for name, value in expected.items():
            inside = at.inside(name)
            if labels and name in {"string_data", "raw_data"}:
                inside = _Place(inside.place, "onnx-classes")
            self._field(found.pop(name, []), value, kind=kind, name=name, at=inside)
        for name in found:
            at.refuse(f"holds {name}, which does not belong here", at.inside(name).rule)

    def _field(self, found: list[Any], expected: Any, *, kind: str, name: str, at: _Place) -> None:
        """Compare all values of one field."""
        if not isinstance(expected, list):
            if not found:
                at.refuse("is not there", "onnx-initializer-size" if isinstance(expected, Numbers) else None)
            if len(found) > 1:
                at.refuse("is there twice", "onnx-wire")
            self._value(found[0], expected, kind=kind, name=name, at=at)
            return
        for index, (one, value) in enumerate(zip(found, expected, strict=False)):
            self._value(one, value, kind=kind, name=name, at=_Place(f"{at.place}[{index}]", at.rule))
        if len(found) != len(expected):  # of more, those beyond the first one were not read
            at.refuse(f"has {'more' if len(found) > len(expected) else 'fewer'} items than {len(expected)}")

    def _value(self, found: Any, expected: Any, *, kind: str, name: str, at: _Place) -> None:
        """Compare one value."""
        if isinstance(expected, dict):
            self.message(found, _KINDS[kind, name], expected, at=at)
        elif isinstance(expected, Numbers):
            self.arrays[expected.name] = _numbers(found, expected, at)
        elif isinstance(expected, int):
            if found != expected:
                at.refuse(f"is {found:,}, allowed is {expected:,}")
        elif found != (expected.encode() if isinstance(expected, str) else expected):
            is_text = isinstance(expected, str)
            text = reprlib.repr(str(found[:64], "utf-8", "replace"))
            at.refuse(f"is {text}, allowed is {reprlib.repr(expected)}" if is_text else "holds other bytes")


def _numbers(found: memoryview, expected: Numbers, at: _Place) -> bytes:
    """The bytes of an array that the model chooses."""
    if expected.packed:
        return _unpack(found, expected.dims[0], at)
    if len(found) != expected.size:
        at.refuse(f"has {len(found):,} bytes, allowed are {expected.size:,}", "onnx-initializer-size")
    return bytes(found)


def _fields(data: memoryview, kind: str, at: _Place) -> Iterator[tuple[int, int | memoryview]]:
    """The numbers and values of the fields of a message, as they come."""
    place, size, fields = 0, len(data), FIELDS[kind]
    while place < size:
        key, place = read_varint(data, place)
        number, wire_type = key >> 3, key & 7
        if number not in fields:
            at.refuse_field(kind, number)
        name, inner = fields[number]
        if wire_type != (0 if inner == "int" else 2):
            at.refuse(f"holds {name} of another type", "onnx-wire")
        value, place = read_varint(data, place)
        if inner == "int":
            yield number, value
            continue
        end = place + value
        if end > size:
            at.refuse(f"says that {name} has {value:,} bytes, and {size - place:,} are left", "onnx-wire")
        yield number, data[place:end]
        place = end


def read_varint(data: memoryview, at: int) -> tuple[int, int]:
    """Read a number in base 128, its low digits first; we write none that is negative."""
    value = 0
    for shift in range(0, 63, 7):
        if at == len(data):
            raise RuleBroken("onnx-wire", "a number is cut short")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if shift and not byte:
                raise RuleBroken("onnx-wire", "a number has needless bytes")
            return value, at
    raise RuleBroken("onnx-wire", "a number has more than 63 bits")


def _unpack(data: memoryview, count: int, at: _Place) -> bytes:
    """Read `count` whole numbers in base 128 as int64, one behind the other."""
    if len(data) > 9 * count:
        at.refuse(f"has {len(data):,} bytes, allowed are {9 * count:,}", "onnx-initializer-size")
    found = len(bytes(data).translate(None, delete=_HIGH))
    if found != count:
        at.refuse(f"has {found:,} numbers, allowed are {count:,}", "onnx-initializer-size")
    if not count:
        return b""
    import numpy as np

    digits = np.frombuffer(data, dtype=np.uint8)
    if len(digits) == count:  # each is one byte, since as many end
        return digits.astype("<i8").tobytes()
    ends = np.flatnonzero(digits < 0x80)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if digits[-1] > 0x7F or lengths.max() > 9:
        at.refuse("has a number that is cut short, or has more than 63 bits", "onnx-wire")
    values = np.zeros(count, dtype="<i8")
    for digit in range(int(lengths.max())):
        has = lengths > digit
        values[has] |= (digits[starts[has] + digit] & 0x7F).astype(np.int64) << 7 * digit
    return values.tobytes()
