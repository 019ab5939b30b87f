"""Canonical JSON: one byte string for each value, and no other one is read."""

from __future__ import annotations

import hashlib
import json
import math
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_pipeline.canonical import MAX_DEPTH, canonical_json, digest, parse_canonical, spells

if TYPE_CHECKING:
    from artifact_pipeline.canonical import Json


def nested(depth: int) -> bytes:
    """The canonical form of a zero inside of `depth` arrays."""
    opening = [b"  " * level + b"[\n" for level in range(depth)]
    closing = [b"\n" + b"  " * level + b"]" for level in reversed(range(depth))]
    return b"".join([*opening, b"  " * depth, b"0", *closing, b"\n"])


def test_the_canonical_form_is_what_the_format_says() -> None:
    """UTF-8, keys in code point order, two spaces of indentation, the shortest floats, one newline at the end."""
    value = {"é": [1, 1.0, 0.1, -0.0, True, None], "Z": {}, "a": "\u2028\t\U0001f600", "": []}
    assert (
        canonical_json(value)
        == (
            '{\n  "": [],\n  "Z": {},\n  "a": "\u2028\\t\U0001f600",\n'
            '  "é": [\n    1,\n    1.0,\n    0.1,\n    -0.0,\n    true,\n    null\n  ]\n}\n'
        ).encode()
    )


LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(LEAVES | TEXTS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=30)


@given(VALUES, st.integers(0, 2**32))
def test_the_canonical_form_is_what_the_standard_library_writes_indented(value: Json, place: int) -> None:
    """Any value is written as `json.dumps` does it with two spaces; one more space or line break is another form."""
    written = canonical_json(value)
    assert written == json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True).encode() + b"\n"
    assert parse_canonical(written) == value
    at = place % len(written)
    for more in (b" ", b"\n"):
        assert not spells(written[:at] + more + written[at:], value)


def test_a_digest_names_its_algorithm() -> None:
    """A digest is `sha256:` and the SHA-256 of the bytes in lower-case hexadecimal digits."""
    assert digest(b"") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert digest(b"artifact") == f"sha256:{hashlib.sha256(b'artifact').hexdigest()}"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, [math.nan], {"a": math.inf}, "\ud800", {"\udfff": 1}])
def test_what_json_does_not_have_is_not_written(value: object) -> None:
    """NaN, infinities and halves of surrogate pairs have no canonical form."""
    with pytest.raises(ValueError):  # noqa: PT011 - the kind is the promise, the words are Python's
        canonical_json(value)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "Expecting value"),
        (b"\n", "Expecting value"),
        (b"1", "not in canonical form"),
        (b"1\n\n", "not in canonical form"),
        (b" 1\n", "not in canonical form"),
        (b"1 \n", "not in canonical form"),
        (b"1\r\n", "not in canonical form"),
        (b"1\n1\n", "Extra data"),
        (b"1\n\0", "Extra data"),
        (b"01\n", "Extra data"),
        (b"+1\n", "Expecting value"),
        (b"1.\n", "Extra data"),
        (b"1.50\n", "not in canonical form"),
        (b"1e0\n", "not in canonical form"),
        (b"1E400\n", "Out of range float values"),
        (b"-0\n", "not in canonical form"),
        (b"NaN\n", "Out of range float values"),
        (b"[\n  Infinity\n]\n", "Out of range float values"),
        (b"0.10000000000000001\n", "not in canonical form"),
        (b"9" * 5000 + b"\n", "Exceeds the limit"),
        (b'{"a": 1}\n', "not in canonical form"),
        (b'{\n  "a": 1,\n  "a": 1\n}\n', "not in canonical form"),
        (b'{\n  "a": 1,\n  "a": 2\n}\n', "not in canonical form"),
        (b'{\n  "b": 1,\n  "a": 2\n}\n', "not in canonical form"),
        (b'{\n  "a": 1,\n}\n', "Expecting property name|Illegal trailing comma"),
        (b'{\n\t"a": 1\n}\n', "not in canonical form"),
        (b'"\\u0061"\n', "not in canonical form"),
        (b'"\\/"\n', "not in canonical form"),
        (b'"\\ud83d\\ude00"\n', "not in canonical form"),
        (b'"\\ud800"\n', "not in canonical form"),
        (b"'a'\n", "Expecting value"),
        (b'"\t"\n', "Invalid control character"),
        (b"\xef\xbb\xbf1\n", "BOM"),
        (b'"\xff"\n', "not UTF-8: invalid start byte"),
        (b'"\xc0\x80"\n', "not UTF-8"),
        (b'"\xed\xa0\x80"\n', "not UTF-8"),
        ("1\n".encode("utf-16"), "not UTF-8"),
        (b"1 // one\n", "Extra data"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
    ],
)
def test_another_spelling_is_refused(data: bytes, why: str) -> None:
    """Duplicate keys, NaN, 1e999, byte order marks, other orders, spellings, encodings and white space are refused."""
    with pytest.raises(ValueError, match=why) as caught:
        parse_canonical(data)
    assert len(str(caught.value)) < 200


def test_nesting_is_bounded_by_a_number_and_not_by_the_stack() -> None:
    """A value inside of 32 arrays is read, one inside of 33 is not."""
    assert canonical_json(parse_canonical(nested(MAX_DEPTH))) == nested(MAX_DEPTH)
    with pytest.raises(ValueError, match="nested deeper than 32 levels"):
        parse_canonical(nested(MAX_DEPTH + 1))


@pytest.mark.parametrize("depth", range(100, 2000, 100))
def test_no_depth_gives_another_error(depth: int) -> None:
    """At no depth does the interpreter's own limit show itself as anything but the refusal."""
    with pytest.raises(ValueError, match="nested"):
        parse_canonical(nested(depth))


def test_a_long_indentation_is_never_written_out() -> None:
    """A megabyte whose canonical form has more than half a gigabyte takes little memory to be refused."""
    data = b"[" * 500 + b"0," * 400_000 + b"0" + b"]" * 500
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="not in canonical form"):
            parse_canonical(data)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
