from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from artifact_pipeline.config import from_mapping
from artifact_pipeline.errors import DataRejected
from artifact_pipeline.rows.matrix import Rows
from artifact_pipeline.training.dataset import Dataset
from artifact_pipeline.training.splits import random_split
from tables import blobs, write_table

if TYPE_CHECKING:
    from pathlib import Path

REQUIRED = {"C": 1.0, "solver": "lbfgs", "max_iter": 1000}
DIGITS = load_digits()


@pytest.mark.parametrize(
    ("test_size", "random_state", "stratify"),
    [(0.2, 42, False), (0.2, 42, True), (0.5, 0, False), (0.1, 2**32 - 1, True)],
)
def test_split_is_scikit_learns_row_for_row(test_size: float, random_state: int, stratify: bool) -> None:  # noqa: FBT001
    """Training and held-out rows are those of `train_test_split`, in its order, stratified or not."""
    asked = {"test_size": test_size, "random_state": random_state}
    expected = train_test_split(DIGITS.data, DIGITS.target, **asked, stratify=DIGITS.target if stratify else None)
    data = Dataset.load(from_mapping({**REQUIRED, **asked, "stratify": stratify}))
    ours = data.X[data.train], data.X[data.held_out], data.y[data.train], data.y[data.held_out]
    assert all(np.array_equal(mine, theirs) for mine, theirs in zip(ours, expected, strict=True))


@given(
    st.integers(2, 4).flatmap(lambda classes: st.lists(st.integers(0, classes - 1), min_size=2, max_size=50)),
    st.floats(0, 1, exclude_min=True, exclude_max=True),
    st.integers(0, 2**32 - 1),
    st.booleans(),
)
def test_a_split_parts_the_rows_or_is_refused(
    labels: list[int],
    test_size: float,
    random_state: int,
    stratify: bool,  # noqa: FBT001
) -> None:
    """Each row is on one side, neither side is empty and training knows every label; or the rows are refused."""
    y = np.array(labels)
    try:
        train, held_out = random_split(y, test_size=test_size, random_state=random_state, stratify=stratify)
    except DataRejected:
        return
    assert sorted([*train, *held_out]) == list(range(len(y)))
    assert len(train) > 0 < len(held_out)
    assert set(y[train]) == set(y)


@pytest.mark.parametrize(
    ("labels", "asked", "rule"),
    [
        ([5], {}, "single-class"),
        ([5, 5, 5], {}, "single-class"),
        (["a", "b"], {}, "class-not-in-training"),
        ([0, 1] * 5, {"test_size": 0.85}, "class-not-in-training"),
        ([0, 1] * 5, {"test_size": 0.95}, "split"),
        ([0] * 10 + [1], {"stratify": True}, "split"),
        ([0, 1] * 5, {"test_size": 0.1, "stratify": True}, "split"),
    ],
)
def test_rows_that_cannot_be_split_are_refused(labels: list, asked: dict, rule: str) -> None:
    """One class alone, a class that training would not see, and a class too small to stratify are refused by name."""
    with pytest.raises(DataRejected) as caught:
        random_split(np.array(labels), **{"test_size": 0.2, "random_state": 42, "stratify": False, **asked})
    assert caught.value.rules == {rule}
    assert caught.value.hint


@given(st.lists(st.booleans(), min_size=1, max_size=40).filter(any))
def test_split_bits_mark_the_held_out_rows(held: list[bool]) -> None:
    """Bit i, counted from the lowest of the first byte, is 1 where row i is held out; bits beyond the rows are 0."""
    flags = np.array(held)
    rows = Rows("table", ("a",), "kind", np.zeros((len(held), 1)), np.zeros(len(held), dtype=np.int64))
    bits = Dataset(rows, train=np.flatnonzero(~flags), held_out=np.flatnonzero(flags)).split_bits()
    assert len(bits) == (len(held) + 7) // 8
    assert int.from_bytes(bits, "little") == sum(1 << row for row in np.flatnonzero(flags).tolist())


def test_split_bits_do_not_depend_on_the_order_of_the_rows() -> None:
    """The bits say which rows are held out, not in which order they are measured."""
    data = Dataset.load(from_mapping(REQUIRED))
    assert replace(data, held_out=data.held_out[::-1]).split_bits() == data.split_bits()


def test_a_table_is_loaded_by_the_config(tmp_path: Path) -> None:
    """A config that names a table and its target gives that table's rows."""
    columns = blobs(["no", "yes"])
    path = write_table(tmp_path / "rows.parquet", columns)
    data = Dataset.load(from_mapping({**REQUIRED, "dataset": {"path": str(path), "target": "label"}}))
    assert data.rows.names == ("width", "height")
    assert np.array_equal(data.X[:, 0], columns["width"])
    assert data.y.tolist() == columns["label"].tolist()
