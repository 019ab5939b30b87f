"""Rows of features: two arrays of equal length that are cut, chosen and joined together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_pipeline.rows.features import (
    MISSING,
    Column,
    Features,
    are_plain_numbers,
    category_columns,
    number_columns,
)

COLUMNS = (
    Column("age", "number", nullable=True),
    Column("town", "category", levels=("Kiel", "Rom")),
    Column("ill", "boolean"),
    Column("zip", "category", nullable=True, levels=("", "007"), other="refuse"),
)


def _features(rows: int) -> Features:
    X = np.arange(2.0 * rows).reshape(rows, 2)
    S = np.array([f"level {index}" for index in range(3 * rows)], dtype=object).reshape(rows, 3)
    return Features(X, S)


def _listed(features: Features) -> list[tuple[object, ...]]:
    return [(*x, *s) for x, s in zip(features.X.tolist(), features.S.tolist(), strict=True)]


def test_columns_stand_in_the_array_of_their_kind() -> None:
    """Numbers and booleans are the columns of X, categories those of S, each in the model's order."""
    assert [each.name for each in number_columns(COLUMNS)] == ["age", "ill"]
    assert [each.name for each in category_columns(COLUMNS)] == ["town", "zip"]


@pytest.mark.parametrize(("columns", "plain"), [(COLUMNS, False), (COLUMNS[:1], False), (COLUMNS[2:3], True)])
def test_plain_numbers_have_no_gap_and_no_category(columns: tuple[Column, ...], *, plain: bool) -> None:
    """Columns are plain numbers where none is a category and none may be missing."""
    assert are_plain_numbers(columns) is plain


@given(rows=st.integers(0, 9), data=st.data())
def test_rows_are_chosen_as_a_list_chooses_them(rows: int, data: st.DataObject) -> None:
    """A slice, positions and marks choose the rows that they choose of a list, and both arrays stay C-contiguous."""
    features = _features(rows)
    listed = _listed(features)
    cut = data.draw(st.slices(rows))
    positions = data.draw(st.lists(st.integers(0, rows - 1))) if rows else []
    marks = np.array(data.draw(st.lists(st.booleans(), min_size=rows, max_size=rows)), dtype=np.bool_)
    for found, expected in [
        (features[cut], listed[cut]),
        (features.take(positions), [listed[each] for each in positions]),
        (features.take(marks), [row for row, mark in zip(listed, marks, strict=True) if mark]),
    ]:
        assert _listed(found) == expected
        assert len(found) == len(expected)
        assert found.X.flags.c_contiguous
        assert found.S.flags.c_contiguous


@given(rows=st.integers(0, 9), border=st.integers(0, 9))
def test_pieces_join_to_what_was_cut(rows: int, border: int) -> None:
    """Rows that are cut anywhere and joined again are the same rows, of the same types."""
    features = _features(rows)
    joined = Features.concatenate([features[:border], features[border:]])
    assert _listed(joined) == _listed(features)
    assert (joined.X.dtype, joined.S.dtype) == (np.dtype(np.float64), np.dtype(object))


def test_rows_of_numbers_have_no_category() -> None:
    """Rows of numbers alone become C-contiguous float64 beside an array of no category."""
    features = Features.of_numbers(np.asfortranarray(np.ones((4, 2))))
    assert features.X.flags.c_contiguous
    assert features.S.shape == (4, 0)
    assert MISSING == ""
