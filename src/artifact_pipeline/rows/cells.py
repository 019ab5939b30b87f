"""Converts the cells of a column of any type into numbers or levels, by the column's kind."""

from __future__ import annotations

from math import inf, isnan
from typing import TYPE_CHECKING, Any, NamedTuple

from artifact_pipeline.rows.features import MISSING, Column
from artifact_pipeline.rows.kinds import Values, values_of, values_of_texts
from artifact_pipeline.rows.labels import is_label, label_texts
from artifact_pipeline.rows.limits import MAX_VALUE
from artifact_pipeline.rows.values import MISSING_TEXTS, Levels, number_faults

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

_WHOLE = r"^-?[0-9]+$"
LEADING_ZERO = r"^[ \t]*0[0-9]+[ \t]*$"
"""Digits that are a level and no number, such as a ZIP code or the number of a part."""


class Cells(NamedTuple):
    """The converted cells of a column.

    Attributes:
        values: float64, or float32 if the column has that type, NaN for a missing cell; or objects, each a str,
            `MISSING` for a missing cell.
        bad: rules of `faults.RULES`, each with the rows that break it, bool of shape (rows,).
        missing: the number of missing cells.
        unseen: the number of cells with a level that the model does not know.
        ends: the least and the greatest number; infinity and minus infinity if there is none.
    """

    values: NDArray[Any]
    bad: list[tuple[str, Any]]
    missing: int = 0
    unseen: int = 0
    ends: tuple[float, float] = (inf, -inf)


def without_missing_texts(column: pa.Array) -> pa.Array:
    """Return the texts, with null for one that stands for a missing value."""
    import pyarrow as pa
    from pyarrow import compute

    missing = compute.is_in(compute.utf8_trim(column, " \t"), value_set=pa.array(MISSING_TEXTS))
    return compute.if_else(missing, pa.scalar(None, pa.string()), column) if compute.any(missing).as_py() else column


def numbers_of_texts(column: pa.Array, kind: Any) -> Values:
    """Convert texts into numbers or booleans; a missing one is NaN and not bad."""
    values = values_of_texts(without_missing_texts(column), kind)
    return Values(values.floats, [(rule, bad) for rule, bad in values.bad if rule != "missing"])


def number_cells(column: pa.Array, about: Column) -> Cells:
    """Convert a column of any type into numbers or booleans."""
    import numpy as np
    import pyarrow as pa

    texts = pa.types.is_string(column.type)
    values = numbers_of_texts(column, about.kind) if texts else values_of(column)
    # float32 stays: as float64 the same numbers would take twice the memory.
    floats = values.floats if values.floats.dtype == np.float32 else values.floats.astype(np.float64, copy=False)
    bad = [each for each in values.bad if _any(each[1])]
    missing, limit = 0, MAX_VALUE["float64"]
    least, greatest = float(floats.min(initial=inf)), float(floats.max(initial=-inf))
    if isnan(least):
        missing = int(np.count_nonzero(np.isnan(floats)))
        least, greatest = float(np.fmin.reduce(floats, initial=inf)), float(np.fmax.reduce(floats, initial=-inf))
    may_be = about.kind != "boolean" and (about.nullable or not missing)
    if not (may_be and -limit <= least and greatest <= limit):
        bad += number_faults(floats.astype(np.float64, copy=False), about)
    return Cells(floats, bad, missing, ends=(least, greatest))


def read_as_number(column: pa.Array) -> NDArray[np.float64] | None:
    """Convert texts into numbers, NaN for a missing one; None if one is a level, or no number that float64 holds."""
    from pyarrow import compute

    values = numbers_of_texts(column, "number")
    if (
        any(_any(bad) for _, bad in values.bad)
        or compute.any(compute.match_substring_regex(column, LEADING_ZERO)).as_py()
    ):
        return None
    return values.floats


def _any(marks: Any) -> bool:
    import numpy as np
    from pyarrow import compute

    return bool(marks.any() if isinstance(marks, np.ndarray) else compute.any(marks).as_py())


def level_texts(column: pa.Array) -> tuple[pa.Array, list[tuple[str, Any]]]:
    """Convert a column of any type into the texts of levels, null for a missing one; also return which are no levels.

    A boolean becomes `true` or `false`, a whole number has no point, a date is written as in ISO 8601.
    """
    import pyarrow as pa
    from pyarrow import compute

    kind = column.type
    if not is_label(kind):
        return pa.nulls(len(column), pa.string()), [("not-a-level", column.is_valid())]
    if pa.types.is_string(kind):
        return without_missing_texts(column), []
    if pa.types.is_boolean(kind):
        return compute.if_else(column, "true", "false"), []
    texts, _ = label_texts(column, "text")
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        broken = compute.invert(compute.match_substring_regex(texts.fill_null("0"), _WHOLE))
        return texts, [("not-a-level", broken)] if compute.any(broken).as_py() else []
    return texts, []


def category_cells(column: pa.Array, about: Column) -> Cells:
    """Convert a column of any type into the levels of a category."""
    import numpy as np

    texts, bad = level_texts(column)
    encoded, levels = texts.dictionary_encode(), Levels(about)
    found = [levels.of(name) for name in encoded.dictionary.to_pylist()]
    codes = encoded.indices.fill_null(len(found)).to_numpy(zero_copy_only=False)
    missing = texts.null_count
    if missing and not about.nullable:
        bad.append(("missing", texts.is_null()))
    for rule in ("null-character", "level-unknown"):
        broken = np.array([*(level.rule == rule for level in found), False])
        if broken.any():
            bad.append((rule, broken[codes]))
    values = np.array([*(level.text for level in found), MISSING], dtype=object)[codes]
    unseen = np.array([*(level.unseen for level in found), False])
    return Cells(values, bad, missing, int(np.count_nonzero(unseen[codes])) if unseen.any() else 0)
