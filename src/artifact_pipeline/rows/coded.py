"""Features of any kind as columns of numbers, for histograms and golden rows."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from artifact_pipeline.rows.features import MISSING, Features

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.rows.features import Column

MISSING_CODE = -sys.float_info.max
"""The code of a missing number: it is less than all numbers, and so has a bin of its own."""


def coded(
    columns: Sequence[Column], numbers: Iterable[NDArray[Any]], texts: Iterable[NDArray[Any]]
) -> list[NDArray[Any]]:
    """Return each column as numbers, in the order of the columns; a level is replaced by its position.

    Args:
        columns: the model's columns.
        numbers: the values of each number and boolean among them, of shape (rows,), NaN for a missing one.
        texts: the values of each category, objects, each a str.

    Returns:
        For each column an array of shape (rows,): of a category float64; of any other column the array as it was, or
        float64 with `MISSING_CODE` for missing numbers.
    """
    import numpy as np

    numbers, texts = iter(numbers), iter(texts)
    found = []
    for column in columns:
        if column.kind == "category":
            found.append(level_codes(next(texts), column.levels).astype(np.float64))
        else:
            values = next(numbers)
            if column.nullable and (missing := np.isnan(values)).any():
                values = np.where(missing, MISSING_CODE, values.astype(np.float64, copy=False))
            found.append(values)
    return found


def level_codes(texts: NDArray[Any], levels: Sequence[str]) -> NDArray[np.int64]:
    """Return the position of each text in the levels; the number of levels for an unknown text.

    Args:
        texts: objects, each a str, of shape (rows,).
        levels: in any order, each once.
    """
    import numpy as np

    positions = {level: position for position, level in enumerate(levels)}
    other = len(positions)
    return np.fromiter((positions.get(text, other) for text in texts), dtype=np.int64, count=len(texts))


def decoded(rows: Sequence[Sequence[float | str | None]], columns: Sequence[Column]) -> Features:
    """Return rows of single values as features.

    Args:
        rows: each with a value for every column, in the order of the columns; None for a missing one.
        columns: the model's columns.
    """
    import numpy as np

    numbers = [position for position, column in enumerate(columns) if column.kind != "category"]
    texts = [position for position, column in enumerate(columns) if column.kind == "category"]
    X, S = np.empty((len(rows), len(numbers))), np.empty((len(rows), len(texts)), dtype=object)
    for index, position in enumerate(numbers):
        X[:, index] = [np.nan if row[position] is None else row[position] for row in rows]
    for index, position in enumerate(texts):
        S[:, index] = [row[position] or MISSING for row in rows]
    return Features(X, S)
