"""Laws of trees as arrays, beside code that follows each branch by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_pipeline.model.families.tree_arrays import Tree, ensemble
from artifact_pipeline.model.families.tree_check import check_ensemble
from artifact_pipeline.model.wire import RuleBroken

if TYPE_CHECKING:
    from artifact_pipeline.model.families.family import Arrays

WIDTH = 3


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    """A tree of one to fifteen nodes, in scikit-learn's layout."""
    left, right = [-1], [-1]
    for _ in range(draw(st.integers(0, 7))):
        leaf = draw(st.sampled_from([at for at, child in enumerate(left) if child < 0]))
        left[leaf], right[leaf] = len(left), len(left) + 1
        left += [-1, -1]
        right += [-1, -1]
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    count = len(left)
    return Tree(
        np.array(left),
        np.array(right),
        random.integers(0, WIDTH, count),
        random.integers(-2, 3, count).astype(np.float64),
        random.integers(0, 2, count),
        random.normal(size=count),
    )


def answer(tree: Tree, row: np.ndarray) -> float:
    """What a tree gives to a row, node by node."""
    at = 0
    while tree.left[at] >= 0:
        value = row[tree.feature[at]]
        goes_left = bool(tree.missing_left[at]) if np.isnan(value) else value <= tree.threshold[at]
        at = int(tree.left[at] if goes_left else tree.right[at])
    return float(tree.value[at])


def answer_of(arrays: Arrays, row: np.ndarray) -> float:
    """What an ensemble gives to a row, by the definition of `TreeEnsemble`."""
    total = 0.0
    for root in arrays["tree_roots"]:
        at, leaf = int(root), False
        while not leaf:
            value = row[arrays["nodes_featureids"][at]]
            tracks = bool(arrays["nodes_missing_value_tracks_true"][at]) and bool(np.isnan(value))
            side = "true" if value <= arrays["nodes_splits"][at] or tracks else "false"
            leaf = bool(arrays[f"nodes_{side}leafs"][at])
            at = int(arrays[f"nodes_{side}nodeids"][at])
        total += float(arrays["leaf_weights"][at])
    return total


@given(st.lists(trees(), min_size=1, max_size=4), st.integers(0, 2**32))
def test_an_ensemble_gives_what_its_trees_give(some: list[Tree], seed: int) -> None:
    """Of any trees the sum is the same, missing values among the rows, and the check accepts them."""
    arrays = ensemble(some)
    check_ensemble(arrays, WIDTH)
    rows = np.random.default_rng(seed).choice([-2.0, -1.0, 0.0, 1.0, 2.0, 3.0, np.nan], (20, WIDTH))
    for row in rows:
        assert answer_of(arrays, row) == sum((answer(tree, row) for tree in some), start=0.0)


def are_trees(arrays: Arrays) -> bool:
    """Whether each node and leaf is reached once, by code that follows each branch."""
    seen: set[tuple[bool, int]] = set()
    todo = [(False, int(root)) for root in arrays["tree_roots"]]
    while todo:
        leaf, at = todo.pop()
        if (leaf, at) in seen or not 0 <= at < len(arrays["leaf_weights" if leaf else "nodes_splits"]):
            return False
        seen.add((leaf, at))
        if not leaf:
            sides = ("true", "false")
            todo += [
                (bool(arrays[f"nodes_{side}leafs"][at]), int(arrays[f"nodes_{side}nodeids"][at])) for side in sides
            ]
    return len(seen) == len(arrays["leaf_weights"]) + len(arrays["nodes_splits"])


@given(st.lists(trees(), min_size=1, max_size=3), st.data())
def test_branches_that_are_changed_are_accepted_only_if_they_are_trees(some: list[Tree], data: st.DataObject) -> None:
    """One or two branches that lead elsewhere: what the check accepts are trees; it refuses none whose order stays."""
    arrays = ensemble(some)
    nodes = len(arrays["nodes_splits"])
    for _ in range(data.draw(st.integers(1, 2))):
        at, side = data.draw(st.integers(0, nodes - 1)), data.draw(st.sampled_from(["true", "false"]))
        arrays[f"nodes_{side}nodeids"][at] = data.draw(st.integers(0, nodes + 1))
        arrays[f"nodes_{side}leafs"][at] = data.draw(st.integers(0, 1))
    ascend = all(
        child > at or leaf
        for side in ("true", "false")
        for at, (child, leaf) in enumerate(
            zip(arrays[f"nodes_{side}nodeids"], arrays[f"nodes_{side}leafs"], strict=True)
        )
    )
    if are_trees(arrays) and ascend:
        check_ensemble(arrays, WIDTH)
    else:
        with pytest.raises(RuleBroken):
            check_ensemble(arrays, WIDTH)
