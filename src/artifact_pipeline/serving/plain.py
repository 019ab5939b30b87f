"""The request that most clients send, one matrix of FP64 as flat JSON, read in one pass over its bytes.

Any other request, and any that has to be refused, is left to `tensors`, which says why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta, Struct
from msgspec.json import Decoder

from artifact_pipeline.serving.inputs import SentRows
from artifact_pipeline.serving.limits import SMALL
from artifact_pipeline.serving.tensordata import count, packed

if TYPE_CHECKING:
    from artifact_pipeline.serving.model import Served

_COLONS = 5
"""The colons in a request without an id: one after each name."""


class _Matrix(Struct):
    name: Literal["X"]
    shape: Annotated[list[int], Meta(min_length=2, max_length=3)]
    datatype: Literal["FP64"]
    data: list[float]


class _Request(Struct):
    inputs: Annotated[list[_Matrix], Meta(min_length=1, max_length=1)]
    id: str | None = None


_decode = Decoder(_Request).decode


def read_plain(body: bytes, served: Served) -> tuple[SentRows, str | None] | None:
    """Return the rows and the id of a request; None where it is not plain, or large, or has to be refused."""
    if not served.shapes or served.narrow or served.features == 1 or len(body) > SMALL:
        return None
    try:
        request = _decode(body)
    except (ValueError, RecursionError):
        return None
    # No more colons than known names: then no name stands twice.
    colons = _COLONS + (request.id is not None)
    (tensor,) = request.inputs
    rows, *shape = tensor.shape
    if (
        count(b":", body) != colons
        or tuple(shape) not in served.shapes
        or not 0 < rows <= served.max_rows
        or len(tensor.data) != rows * served.features
    ):
        return None
    X = packed(tensor.data, "float64").reshape(rows, served.features)
    return None if served.rules.fault(X) else (SentRows(X, None), request.id)
