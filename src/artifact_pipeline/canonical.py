"""Canonical JSON, and the digests that everything is named by.

Canonical: UTF-8, keys in code point order, two spaces of indentation, no `NaN` or `Infinity`, floats as Python's
shortest `repr`, one newline at the end. Indented, because a manifest is read by people too.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "sha256:"
"""Digests are written with their algorithm, `sha256:` and 64 lower-case hexadecimal digits."""

MAX_DEPTH = 32
"""How many arrays and objects may stand around a value; a limit that does not depend on a reader's stack."""
_TOO_DEEP = b"\n" + b"  " * (MAX_DEPTH + 1)
_INDENT = 2
_COMPACT = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
"""Without indentation: with it, the standard library's encoder is the slow one, in Python."""

Json = None | bool | int | float | str | list[Any] | dict[str, Any]


def dotted(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Return nested objects as one, its keys as `-S` takes them, such as `gate.min_f1`."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= dotted(value, f"{above}{key}.") if isinstance(value, dict) else {f"{above}{key}": value}
    return flat


def digest(data: bytes) -> str:
    """Return the SHA-256 of `data`, as `sha256:` and 64 hexadecimal digits."""
    return PREFIX + hashlib.sha256(data).hexdigest()


def canonical_json(value: Json, *, in_line: bool = False) -> bytes:
    """Return the one byte string that stands for `value`.

    Args:
        value: what JSON can write.
        in_line: without line breaks inside, as a line in a file of many.

    Raises:
        ValueError: a NaN or an infinity, which JSON does not have.
        TypeError: something that JSON does not have.
    """
    compact = _COMPACT.encode(value).encode()
    if in_line:
        return compact + b"\n"
    from msgspec import json as texts

    return texts.format(compact, indent=_INDENT) + b"\n"


def parse_canonical(data: bytes) -> Json:
    """Parse bytes that `canonical_json` wrote, and refuse every other spelling of the same value.

    That refuses duplicate keys, NaN, `1e999`, byte order marks, other orders and other white space in one line.

    Raises:
        ValueError: the bytes are not canonical JSON, or are nested deeper than `MAX_DEPTH`; the message says why in
            a few words.
    """
    try:
        value: Json = json.loads(data.decode("utf-8", "strict"))
        canonical = spells(data, value)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except UnicodeDecodeError as error:  # a ValueError too, but its text quotes the bytes
        raise ValueError(f"not UTF-8: {error.reason}") from None
    if not canonical:
        raise ValueError("not in canonical form (duplicate keys, another order, or another spelling)")
    if nested_too_deeply(data):
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    return value


def nested_too_deeply(data: bytes) -> bool:
    """Return whether canonical JSON is nested deeper than `MAX_DEPTH`."""
    return _TOO_DEEP in data  # a line break in a string is escaped, so what follows one is indentation


def spells(data: bytes, value: Json) -> bool:
    """Return whether `data` is the canonical form of `value`.

    Its length is compared first: written out, a megabyte of nested arrays has gigabytes of indentation.
    """
    try:
        compact = _COMPACT.encode(value).encode()
    except UnicodeEncodeError:  # half of a pair of surrogates, which only an escape can write
        return False
    return len(data) == len(compact) + _white_space(value) + 1 and data == canonical_json(value)


def _white_space(value: Json) -> int:
    """Count the bytes of white space in the canonical form of a value."""
    size, depth, level = 0, 0, [value]
    while level := [each for each in level if isinstance(each, dict | list | tuple) and each]:
        depth += 1
        for each in level:
            lines = (len(each) + 1) * (1 + _INDENT * depth) - _INDENT
            size += lines + len(each) if isinstance(each, dict) else lines
        level = [inner for each in level for inner in (each.values() if isinstance(each, dict) else each)]
    return size
