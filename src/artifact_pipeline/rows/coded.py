"""Features as columns of numbers: what histograms and golden rows are made of, whatever kind a column is."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from artifact_pipeline.rows.features import Features, category_columns, number_columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.rows.features import Column

MISSING_CODE = -sys.float_info.max
"""What stands for a missing number: below every other, so that it has a bin of its own."""


def coded(
    columns: Sequence[Column], numbers: Iterable[NDArray[Any]], texts: Iterable[NDArray[Any]]
) -> list[NDArray[Any]]:
    """Return each column as numbers: a category by the position of its level, another level by their number.

    Args:
        columns: the model's columns; the result is in their order.
        numbers: the values of each number and boolean among them, of shape (rows,); NaN where one is missing.
        texts: those of each category, objects, each a str.

    Returns:
        For each column an array of shape (rows,): of a category float64, of any other as it came; where a number is
        missing, float64 with `MISSING_CODE` for it.
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
    """Return the position of each text in the levels, and their number for a text that is none of them.

    Args:
        texts: objects, each a str, of shape (rows,).
        levels: in any order, each once.
    """
    import numpy as np

    positions = {level: position for position, level in enumerate(levels)}
    other = len(positions)
    return np.fromiter((positions.get(text, other) for text in texts), dtype=np.int64, count=len(texts))


def decoded(rows: Sequence[Sequence[float | str | None]], columns: Sequence[Column]) -> Features:
    """Return rows that are written value by value, None where one is missing, as features.

    Args:
        rows: each with a value for every column, in the order of the columns.
        columns: the model's columns.
    """
    import numpy as np

    places = [place for place, column in enumerate(columns) if column.kind != "category"]
    X = np.empty((len(rows), len(number_columns(columns))))
    for index, place in enumerate(places):
        X[:, index] = [np.nan if row[place] is None else row[place] for row in rows]
    S = np.empty((len(rows), len(category_columns(columns))), dtype=object)
    texts = [place for place, column in enumerate(columns) if column.kind == "category"]
    for index, place in enumerate(texts):
        S[:, index] = [row[place] or "" for row in rows]
    return Features(X, S)
