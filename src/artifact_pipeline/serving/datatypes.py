"""The protocol's datatypes: which numbers each has, in JSON and in bytes, and which of them a model takes.

A model takes other datatypes than its own too. Whole numbers are never rounded on the way, and FP64 only once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from artifact_pipeline.rows.limits import MAX_WHOLE
from artifact_pipeline.serving.http import Refusal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from artifact_pipeline.rows.features import ColumnKind

LARGEST = {"FP16": 65504.0, "FP32": (2 - 2**-23) * 2.0**127}
"""The largest finite number of a datatype."""
WHOLE = {
    **{f"INT{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32)},
    "INT64": (-MAX_WHOLE, MAX_WHOLE),
    **{f"UINT{bits}": (0, 2**bits - 1) for bits in (8, 16, 32)},
    "UINT64": (0, MAX_WHOLE),
}
"""The least and the greatest whole number of a datatype that is taken; float64 has every number between them."""


def _floating(datatype: str) -> Any:
    return Annotated[float, Meta(ge=-LARGEST[datatype], le=LARGEST[datatype])]


def _whole(least: int, greatest: int) -> Any:
    # In JSON 1.0 and 1 are one number: a writer without integers writes the former.
    return Annotated[int, Meta(ge=least, le=greatest)] | Annotated[float, Meta(ge=least, le=greatest, multiple_of=1)]


ALL_IN_SINGLE = 2**24
"""Up to this, FP32 has every whole number; beyond it only some, and no range could say which."""
NARROWED = "FP64 for float32"
"""The name of FP64 in JSON for a model of float32."""
_NUMBERS: dict[str, Any] = {
    "BOOL": bool,
    "FP16": _floating("FP16"),
    "FP32": _floating("FP32"),
    "FP64": float,
    **{name: _whole(*bounds) for name, bounds in WHOLE.items()},
    NARROWED: _floating("FP32"),
}
FORMS = {
    "BOOL": "|b1",
    **{f"FP{bits}": f"<f{bits // 8}" for bits in (16, 32, 64)},
    **{f"INT{bits}": f"<i{bits // 8}" for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": f"<u{bits // 8}" for bits in (8, 16, 32, 64)},
}
INPUT_TYPES = tuple(FORMS)
TEXTS = "BYTES"
"""The datatype of a category."""
TYPES: dict[ColumnKind, tuple[str, ...]] = {"number": INPUT_TYPES, "boolean": INPUT_TYPES, "category": (TEXTS,)}
"""The datatypes of a column, by its kind."""
OR_NULL = " or null"
"""What follows the name of a datatype where values may be missing; those are None."""
_KINDS: dict[str, Any] = {**_NUMBERS, TEXTS: str}
_VALUES: dict[str, Any] = {**_KINDS, **{name + OR_NULL: kind | None for name, kind in _KINDS.items()}}
FLAT = {name: msgspec.json.Decoder(list[kind]).decode for name, kind in _VALUES.items()}  # type: ignore[valid-type]
ROWS = {
    name: msgspec.json.Decoder(list[list[kind]]).decode  # type: ignore[valid-type]
    for name, kind in _VALUES.items()
}
SQUARES = {
    name: msgspec.json.Decoder(list[list[list[kind]]]).decode  # type: ignore[valid-type]
    for name, kind in _VALUES.items()
}
"""Decoders of JSON arrays by datatype, flat or nested."""


def check_whole_numbers(X: NDArray[Any], *, narrow: bool) -> None:
    """Check that the model takes whole numbers without rounding them.

    Raises:
        Refusal: one is larger than every whole number that the model's type has.
    """
    import numpy as np

    if X.dtype.kind == "f":  # some are missing
        X = X[~np.isnan(X)]
    least, greatest = int(X.min(initial=0)), int(X.max(initial=0))
    if least < -MAX_WHOLE or greatest > MAX_WHOLE:
        raise Refusal(400, f"a whole number must be from {-MAX_WHOLE:,} to {MAX_WHOLE:,}")
    if narrow and max(-least, greatest) > ALL_IN_SINGLE:
        raise Refusal(
            400, f"the model takes FP32: a whole number must be at most {ALL_IN_SINGLE:,}; send FP64, which is rounded"
        )
