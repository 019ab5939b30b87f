"""Parquet files by hand: two columns of numbers, one row group, one page each, and any number in any header wrong."""

from __future__ import annotations

import struct
from typing import Any

import pyarrow as pa

MAGIC = b"PAR1"
CODECS = {"none": 0, "snappy": 1, "zstd": 6}
VALUES = struct.pack("<2d", 1.5, 2.5)


class Long(int):
    """A whole number that the format holds in 64 bits."""


def thrift(value: Any) -> tuple[int, bytes]:
    """A value in Thrift's compact protocol: its type, and its bytes. A dict is a structure."""
    if isinstance(value, dict):
        data, last = b"", 0
        for number, member in sorted(value.items()):
            kind, told = thrift(member)
            data, last = data + bytes([(number - last) << 4 | kind]) + told, number
        return 12, data + b"\0"
    if isinstance(value, list):
        members = [thrift(each) for each in value]
        kind, count = members[0][0] if members else 12, len(members)
        head = bytes([count << 4 | kind]) if count < 15 else bytes([0xF0 | kind]) + varint(count)
        return 9, head + b"".join(data for _, data in members)
    if isinstance(value, str):
        return 8, bytes([len(value)]) + value.encode()
    return 6 if isinstance(value, Long) else 5, varint(value << 1 ^ value >> 63)


def varint(whole: int) -> bytes:
    """A whole number, seven bits a byte."""
    data = b""
    while whole > 0x7F:
        data, whole = data + bytes([whole & 0x7F | 0x80]), whole >> 7
    return data + bytes([whole])


def told_behind(number: int, value: Any) -> bytes:
    """A field with its whole number, to stand behind others."""
    kind, data = thrift(value)
    return bytes([kind]) + thrift(number)[1] + data


def page(codec: str = "none", values: bytes = VALUES, more: bytes = b"", **changes: Any) -> bytes:
    """A page of two numbers.

    What its header says is changed by `kind`, `unpacked`, `packed`, `count` and `encoding`; `more` stands at its end.
    """
    data = values if codec == "none" else pa.Codec(codec).compress(values, asbytes=True)
    told = {"kind": 0, "unpacked": len(values), "packed": len(data), "count": 2, "encoding": 0} | changes
    about = {1: told["count"], 2: told["encoding"], 3: 3, 4: 3}
    header = thrift({1: told["kind"], 2: told["unpacked"], 3: told["packed"], 5: about})[1]
    return header[:-1] + more + b"\0" + data


def schema(children: int = 2) -> list[dict[int, Any]]:
    """The columns `width` and `height`, both of required doubles."""
    return [{4: "schema", 5: children}, *({1: 5, 3: 0, 4: name} for name in ("width", "height"))]


def chunk(name: str, place: int, size: int, **changes: Any) -> dict[int, Any]:
    """A column of a row group; `codec`, `values` and `begin` change what is said of it."""
    told = {"codec": 0, "values": 2, "begin": place} | changes
    about = {1: 5, 2: [0, 3], 3: [name], 4: told["codec"], 5: Long(told["values"]), 6: Long(size), 7: Long(size)}
    return {2: Long(place), 3: {**about, 9: Long(told["begin"])}}


def file(first: bytes, footer: dict[int, Any] | None = None, groups: int = 1, **changes: Any) -> bytes:
    """A file with this page of `width`, and a good one of `height`, which may be those of several row groups."""
    second = page()
    chunks = [chunk("width", 4, len(first), **changes), chunk("height", 4 + len(first), len(second))]
    group = {1: chunks, 2: Long(64), 3: Long(2)}
    told = thrift({1: 1, 2: schema(), 3: Long(2 * groups), 4: [group] * groups, **(footer or {})})[1]
    return MAGIC + first + second + told + struct.pack("<I", len(told)) + MAGIC
