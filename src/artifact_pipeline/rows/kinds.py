"""Converts the values of numbers and booleans into floats, from Arrow's types and from texts."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from artifact_pipeline.rows.limits import MAX_WHOLE
from artifact_pipeline.rows.values import FALSE, TRUE

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

Kind = Literal["number", "boolean"]
"""The kind of a column; true is 1, and false is 0."""
SIGNED_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_NUMBER = rf"(?i){SIGNED_NUMBER}|^[+-]?(nan(\([a-z0-9_]*\))?|inf|infinity)$"
"""The texts that Arrow reads as numbers, some of which are not finite."""
_WHOLE = r"^[ \t]*[+-]?[0-9]+[ \t]*$"
_SAFE_DIGITS = 15
"""Most digits with which two different decimals are always two different float64."""


class Values(NamedTuple):
    """The converted values of a column.

    Attributes:
        floats: of shape (rows,) and any width; NaN for a value that is missing or cannot be read.
        bad: rules of `faults.RULES`, each with the rows that break it, bool of shape (rows,).
    """

    floats: NDArray[Any]
    bad: list[tuple[str, Any]]


def holds_numbers(kind: pa.DataType) -> bool:
    """Whether a column of this type can hold numbers or booleans."""
    import pyarrow as pa

    types = pa.types
    fit = (types.is_floating, types.is_integer, types.is_boolean, types.is_null, types.is_decimal)
    return any(each(kind) for each in fit)


def values_of(column: pa.Array) -> Values:
    """Convert a column of numbers or booleans; in a column of another type every value is bad."""
    import numpy as np
    import pyarrow as pa

    types = pa.types
    if types.is_floating(column.type):
        return Values(column.to_numpy(zero_copy_only=False), [])
    if types.is_decimal(column.type):
        return _decimals(column)
    if types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    if types.is_integer(column.type):
        exact = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        return Values(exact, _not_exact(column) if column.type.bit_width == 64 else [])
    bad = [] if types.is_null(column.type) else [("not-a-number", column.is_valid())]
    return Values(np.full(len(column), np.nan), bad)


def _not_exact(column: pa.Array) -> list[tuple[str, Any]]:
    from pyarrow import compute

    ends = compute.min_max(column).as_py()
    if not any(end is not None and abs(end) > MAX_WHOLE for end in ends.values()):
        return []
    whole = column.fill_null(0).to_numpy(zero_copy_only=False)
    return [("not-exact", (whole > MAX_WHOLE) | (whole < -MAX_WHOLE))]


def _decimals(column: pa.Array) -> Values:
    """Convert decimals into the nearest floats; one with too many digits is bad, since it would be another number."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import compute

    text = column.cast(pa.string())
    floats = text.cast(pa.float64()).to_numpy(zero_copy_only=False)  # Arrow's direct cast does not always round right
    if column.type.precision > _SAFE_DIGITS:
        digits = compute.utf8_trim(compute.replace_substring_regex(text, r"[-.]|[eE].*", ""), "0")
        many = compute.greater(compute.utf8_length(digits), _SAFE_DIGITS).fill_null(False)  # noqa: FBT003 - Arrow's
        if compute.any(many).as_py():
            # A decimal is kept if it is equal to the shortest text of its nearest float.
            lost = [value is not None and Decimal(repr(float(value))) != value for value in column.to_pylist()]
            return Values(floats, [("too-many-digits", np.array(lost))])
    return Values(floats, [])


def values_of_texts(column: pa.Array, kind: Kind) -> Values:
    """Convert texts into numbers or booleans; blanks around them are allowed.

    Arrow reads all at once if it can; otherwise it reads those that match `_NUMBER`. The two agree, which a test
    checks, so that a text is read alike whatever the others are.
    """
    import numpy as np
    import pyarrow as pa
    from pyarrow import compute

    bad: list[tuple[str, Any]] = []
    floats = _cast(column) if kind != "boolean" else None
    if floats is None:
        text = compute.utf8_trim(column.fill_null(""), " \t")
        empty = compute.equal(text, "")
        if kind == "boolean":
            return _booleans(text, empty)
        good = compute.match_substring_regex(text, _NUMBER)
        bad = [("missing", empty), ("not-a-number", compute.invert(compute.or_(good, empty)))]
        column = compute.if_else(good, text, pa.scalar(None, pa.string()))
        floats = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    beyond = ~(np.abs(floats) <= MAX_WHOLE)
    if beyond.any():
        bad.append(("not-finite", ~np.isfinite(floats) & column.is_valid().to_numpy(zero_copy_only=False)))
        whole = compute.match_substring_regex(column.fill_null(""), _WHOLE).to_numpy(zero_copy_only=False)
        bad.append(("not-exact", whole & beyond))
    return Values(floats, bad)


def _booleans(text: pa.Array, empty: pa.Array) -> Values:
    import numpy as np
    import pyarrow as pa
    from pyarrow import compute

    ones, zeros = (*TRUE, "1", "1.0"), (*FALSE, "0", "0.0")
    true, false = (compute.is_in(text, pa.array(each)).to_numpy(zero_copy_only=False) for each in (ones, zeros))
    neither = ~(true | false)
    other = neither & ~empty.to_numpy(zero_copy_only=False)
    return Values(np.where(neither, np.nan, true.astype(np.float64)), [("missing", empty), ("not-a-boolean", other)])


def _cast(column: pa.Array) -> NDArray[np.float64] | None:
    """Convert texts into numbers; None if one of them is no number."""
    import pyarrow as pa

    try:
        floats: NDArray[np.float64] = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        return None
    return floats
