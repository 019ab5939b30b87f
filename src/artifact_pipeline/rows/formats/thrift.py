"""Thrift's compact protocol, the form of Parquet's headers: wanted fields are read, the others are skipped.

Whatever another reader might read differently is refused: a wanted field of another type, a field that occurs twice, a
number that is too large for its type. Nothing is allocated for skipped fields. Every loop ends with the data, since
each of its steps reads a byte.
"""

from __future__ import annotations

from typing import Any

I32, I64, TEXT = 5, 6, 8
"""The protocol's numbers of the types of fields."""
_MAX_DEPTH = 64
"""Depth of nested structures and lists that are skipped."""
_LONG = 15
"""The mark of a list of this length or more, whose length follows."""
_MAX_SHIFT = 63
_MAX_NUMBER = 32_767
"""The greatest number of a field; in other readers a larger one overflows to the number of another field."""

_BOOLEANS = {1, 2}
_WHOLE = {4, I32, I64}
_LIST, _SET, _STRUCT = 9, 10, 12
_SIZES = {1: 1, 2: 1, 3: 1, 7: 8, 13: 16}

Fields = dict[int, Any]
FieldTypes = dict[int, Any]
"""For the number of each field its type, its own fields, or those of a list's members: `{1: I32, 2: {…}, 3: [{…}]}`."""


def read_fields(data: bytes, at: int, wanted: FieldTypes) -> tuple[Fields, int]:
    """Read the structure at a position, and return its wanted fields by their numbers, and the position behind it.

    Raises:
        IndexError: it does not end within the data.
        KeyError, ValueError: it is no structure, or not of the wanted types.
    """
    found: Fields = {}
    number = 0
    while kind := (head := data[at]) & 0x0F:
        at += 1
        if head >> 4:
            number += head >> 4
        else:
            number, at = _whole(data, at)
        if not 0 < number <= _MAX_NUMBER:
            raise ValueError(number)
        if number in wanted:
            if number in found:
                raise ValueError(number)
            found[number], at = _value(kind, data, at, wanted[number])
        elif kind not in _BOOLEANS:
            at = _skip(kind, data, at)
    return found, at + 1


def _value(kind: int, data: bytes, at: int, wanted: Any) -> tuple[Any, int]:
    if isinstance(wanted, dict):
        if kind != _STRUCT:
            raise ValueError(kind)
        return read_fields(data, at, wanted)
    if isinstance(wanted, list):
        return _list(kind, data, at, wanted[0])
    if kind != wanted:
        raise ValueError(kind)
    if kind == TEXT:
        size, at = _varint(data, at)
        return data[at : at + size], at + size
    value, at = _whole(data, at)
    if value.bit_length() > (31 if kind == I32 else 63):
        raise ValueError(value)
    return value, at


def _list(kind: int, data: bytes, at: int, wanted: FieldTypes) -> tuple[list[Fields], int]:
    count, member, at = _list_header(data, at)
    if kind != _LIST or (member != _STRUCT and count):
        raise ValueError(member)
    found = []
    for _ in range(count):
        fields, at = read_fields(data, at, wanted)
        found.append(fields)
    return found, at


def _skip(kind: int, data: bytes, at: int, depth: int = 0) -> int:
    """Return the position behind a value."""
    if depth > _MAX_DEPTH:
        raise ValueError(depth)
    if kind in _WHOLE:
        return _varint(data, at)[1]
    if kind == TEXT:
        size, at = _varint(data, at)
        return at + size
    if kind in {_LIST, _SET}:
        count, kind, at = _list_header(data, at)
        for _ in range(count):
            at = _skip(kind, data, at, depth + 1)
        return at
    if kind != _STRUCT:
        return at + _SIZES[kind]
    while kind := (head := data[at]) & 0x0F:
        at = at + 1 if head >> 4 else _varint(data, at + 1)[1]
        if kind not in _BOOLEANS:
            at = _skip(kind, data, at, depth + 1)
    return at + 1


def _list_header(data: bytes, at: int) -> tuple[int, int, int]:
    """Return the number of a list's members, their type, and their position."""
    head, at = data[at], at + 1
    count = head >> 4
    if count == _LONG:
        count, at = _varint(data, at)
    return count, head & 0x0F, at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    if (byte := data[at]) < 0x80:
        return byte, at + 1
    value = shift = 0
    while (byte := data[at]) & 0x80:
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if shift > _MAX_SHIFT:
            raise ValueError(shift)
    return value | byte << shift, at + 1


def _whole(data: bytes, at: int) -> tuple[int, int]:
    value, at = _varint(data, at)
    return value >> 1 ^ -(value & 1), at
