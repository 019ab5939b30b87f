"""The data of one tensor: an array in JSON, or bytes after the JSON; the values are counted before they are decoded."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta, Raw, Struct

from artifact_pipeline.serving.datatypes import FORMS, OR_NULL, TEXTS
from artifact_pipeline.serving.http import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from artifact_pipeline.serving.model import Served

_TEXT = re.compile(rb'"[^"]*"')
MAX_QUOTED = 80
"""Characters of the client's that an error repeats at most."""

_Dimension = Annotated[int, Meta(ge=0, lt=2**53)] | Annotated[float, Meta(ge=0, lt=2**53, multiple_of=1)]


class _InputParameters(Struct, omit_defaults=True):
    binary_data_size: Annotated[int, Meta(ge=0)] | None = None


class InputTensor(Struct, omit_defaults=True):
    """A tensor of a request, its data not decoded."""

    name: str
    shape: Annotated[list[_Dimension], Meta(max_length=8)]
    datatype: str
    data: Raw = Raw()
    parameters: _InputParameters | None = None


def array_of(tensor: InputTensor) -> tuple[bytes, bytes]:
    """Return the data of a tensor in JSON, and what follows its first bracket.

    Raises:
        Refusal: it is no array, or there are binary data too.
    """
    if tensor.parameters and tensor.parameters.binary_data_size is not None:
        raise given_twice()
    raw = bytes(memoryview(tensor.data))
    if raw[:1] != b"[":
        raise Refusal(400, "data must be an array")
    return raw, raw[1:].lstrip(b" \t\r\n")


def check_count(tensor: InputTensor, raw: bytes, inner: bytes, wanted: int) -> None:
    """Check the number of values, at any nesting, before they are decoded.

    Raises:
        Refusal: there are more or fewer than the shape says.
    """
    count = raw.count(b",") + 1 if inner != b"]" else 0
    if count == wanted:  # a comma in a text is found by the decoder
        return
    what = "numbers"
    if tensor.datatype == TEXTS:
        what, raw = "texts", raw.replace(b"\\\\", b"").replace(b'\\"', b"")
        count = raw.count(b'"') // 2
        if inner != b"]" and count <= wanted:  # they are few enough to be taken out
            count = _TEXT.sub(b"", raw).count(b",") + 1
    if count != wanted:
        raise Refusal(400, f"the shape {tensor.shape} means {wanted:,} {what}, data has {count:,}")


def count(mark: bytes, text: bytes) -> int:
    """Return how often a rare byte stands in a text; `bytes.count` takes ten times as long."""
    return len(text) - len(text.replace(mark, b""))


def has_null(raw: bytes) -> bool:
    """Return whether a value of a JSON array may be null."""
    return b"n" in raw and b"null" in raw  # no number has that letter, and a search for one byte costs a fortieth


def packed(values: list[Any], form: str) -> NDArray[Any]:
    """Return numbers as an array of this dtype; None becomes NaN.

    By way of bytes this takes a third of NumPy's time: NumPy looks at each value twice, once for its type.
    """
    import numpy as np

    code = np.dtype(form).char  # which struct has too
    try:
        return np.frombuffer(struct.pack(f"{len(values)}{code}", *values), dtype=code)
    except struct.error:  # one is None, or a whole number that is written with a point
        return np.array(values, dtype=form)


def decoded(raw: bytes, datatype: str, decoders: Mapping[str, Any], served: Served) -> Any:
    """Return the values of a JSON array by the decoder of their datatype.

    Raises:
        Refusal: a value is not of the datatype, or the array is not JSON.
    """
    try:
        return decoders[datatype + OR_NULL if has_null(raw) else datatype](raw)
    except (ValueError, RecursionError) as error:
        if str(error).startswith("Number out of range") and datatype != TEXTS:
            raise not_finite(served) from None
        raise malformed(error, f"data of {datatype}") from None


def binary_size(tensor: InputTensor) -> int:
    """Return how many of the bytes after the JSON are the tensor's, as its parameters say.

    Raises:
        Refusal: they do not say it.
    """
    size = tensor.parameters.binary_data_size if tensor.parameters else None
    if size is None:
        raise Refusal(400, "the tensor has no data: neither in JSON nor, with binary_data_size, behind it")
    return size


def check_size(tensor: InputTensor, size: int, count: int) -> None:
    """Check that so many bytes hold `count` numbers.

    Raises:
        Refusal: they hold another number of them.
    """
    import numpy as np

    needed = count * np.dtype(FORMS[tensor.datatype]).itemsize
    if size != needed:
        raise Refusal(400, f"the shape {tensor.shape} of {tensor.datatype} takes {needed:,} bytes, not {size:,}")


def check_all_used(used: int, tail: bytes) -> None:
    """Check that the tensors use exactly the bytes after the JSON.

    Raises:
        Refusal: they use more or fewer.
    """
    if used != len(tail):
        raise Refusal(400, f"binary_data_size is {used:,}, and {len(tail):,} bytes follow the JSON")


def unpacked_numbers(tensor: InputTensor, data: bytes) -> NDArray[Any]:
    """Return the numbers in the binary data of a tensor.

    Raises:
        Refusal: one of BOOL is neither 0 nor 1.
    """
    import numpy as np

    form = np.dtype(FORMS[tensor.datatype])
    if tensor.datatype == "BOOL" and data.translate(None, b"\0\1"):
        raise Refusal(400, "a truth value must be a byte of 0 or 1")
    return np.frombuffer(data, dtype=form)


def unpacked_texts(tensor: InputTensor, data: bytes, rows: int) -> list[str]:
    """Return the texts in the binary data of a tensor, in which each follows its length in four bytes.

    Raises:
        Refusal: there are more or fewer than rows, or one is not UTF-8.
    """
    texts, at = [], 0
    for _ in range(rows):
        start = at + 4
        at = start + int.from_bytes(data[at:start], "little")
        if at > len(data) or start > len(data):
            break
        try:
            texts.append(data[start:at].decode())
        except UnicodeDecodeError:
            raise Refusal(400, f"column {quoted(tensor.name)}: a text is no UTF-8") from None
    if at != len(data) or len(texts) < rows:
        words = f"column {quoted(tensor.name)}: the binary data are not {rows:,} texts"
        raise Refusal(400, f"{words}, each behind its length in four bytes")
    return texts


def given_twice() -> Refusal:
    """The refusal of a tensor that has data in JSON and binary data."""
    return Refusal(400, "the tensor has JSON data, and binary data beside it")


def wrong_nesting(tensor: InputTensor) -> Refusal:
    """The refusal of an array whose nesting is not that of the shape."""
    return Refusal(400, f"data is nested otherwise than the shape {tensor.shape}")


def not_finite(served: Served) -> Refusal:
    """The refusal of a number that the model's dtype does not have."""
    nullable = any(each.column.nullable for each in served.inputs.values())
    mend = "; send null where a value is missing" if nullable else ""
    return Refusal(400, f"a row holds a value that is no finite {served.predictor.dtype}{mend}")


def malformed(error: Exception, what: str = "the body") -> Refusal:
    """The refusal of what cannot be decoded."""
    words = str(error).partition("\n")[0][:200]
    if isinstance(error, RecursionError):
        words = "it is nested too deeply"
    return Refusal(400, f"{what} is not what the protocol asks for: {words}")


def quoted(text: str) -> str:
    """Return a text of the client's, cut, quoted and in ASCII: no control character gets into a log or a terminal."""
    shown = text[:MAX_QUOTED]
    return ascii(shown if shown.isascii() else shown[: MAX_QUOTED // 4])
