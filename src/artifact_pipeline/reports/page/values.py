"""The values of rows as texts, column by column."""

from __future__ import annotations

from typing import TYPE_CHECKING

from artifact_pipeline.reports.page.parts import short

if TYPE_CHECKING:
    from collections.abc import Sequence

    from artifact_pipeline.rows.features import Column, Features


def number(value: float) -> str:
    """Return a number of six significant digits."""
    return f"{value:.6g}"


def value_of(features: Features, columns: Sequence[Column], row: int, position: int) -> str:
    """Return the value that a row has in a column.

    Args:
        features: the rows.
        columns: their columns.
        row: the position of the row.
        position: that of the column, among all.
    """
    column = columns[position]
    place = sum((each.kind == "category") == (column.kind == "category") for each in columns[:position])
    if column.kind == "category":
        return short(features.S[row, place] or "missing", 40)
    value = float(features.X[row, place])
    if value != value:  # noqa: PLR0124 - it is NaN
        return "missing"
    return {0.0: "false", 1.0: "true"}[value] if column.kind == "boolean" else number(value)
