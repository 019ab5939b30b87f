"""Check the bytes of trees before a session is made of them.

ONNX Runtime walks a tree by recursion, so a chain of 30,000 nodes ends the process. It accepts a threshold that is no
number, and finds a column that does not exist only when rows come. Here whole arrays are compared, without recursion,
and the depth is counted level by level, up to its bound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from artifact_pipeline.model.bounds import MAX_TREE_DEPTH
from artifact_pipeline.model.wire import require

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from artifact_pipeline.model.families.family import Arrays

RULE = "onnx-tree"


def check_ensemble(arrays: Arrays, width: int) -> None:
    """Check that an ensemble is a set of trees over `width` columns: no cycle, no node shared, none left over.

    What the leaves give is the family's own to check. The sizes of the arrays are those of the plan.

    Raises:
        RuleBroken: it is not, with rule `onnx-tree`.
    """
    import numpy as np

    _check_values(arrays, width)
    nodes, leaves = len(arrays["nodes_splits"]), len(arrays["leaf_weights"])
    roots = arrays["tree_roots"]
    _check_roots(roots, nodes)
    to_nodes, to_leaves = [], []
    for side in ("true", "false"):
        children, is_leaf = arrays[f"nodes_{side}nodeids"], arrays[f"nodes_{side}leafs"] == 1
        exists = (children >= 0) & (children < np.where(is_leaf, leaves, nodes))
        _require_all(exists, f"a {side} branch leads to a node or a leaf that does not exist")
        # So there is no cycle, and a node that is reached once is reached from a root.
        _require_all(
            is_leaf | (children > np.arange(nodes)), f"a {side} branch leads back to its own node or to one before it"
        )
        to_nodes.append(np.where(is_leaf, -1, children))
        to_leaves.append(children[is_leaf])
    _reached_once(np.concatenate([roots, *(each[each >= 0] for each in to_nodes)]), nodes, "node")
    _reached_once(np.concatenate(to_leaves), leaves, "leaf")
    _check_depth(roots, np.stack(to_nodes, axis=1))


def _require_all(holds: NDArray[Any], message: str) -> None:
    """Refuse trees in which something does not hold everywhere."""
    require(bool(holds.all()), RULE, message)


def _check_values(arrays: Arrays, width: int) -> None:
    """Check each number by itself; thresholds and weights are known to be finite."""
    _require_all(arrays["nodes_modes"] == 0, "a node compares by something else than ≤")
    _require_all(arrays["leaf_targetids"] == 0, "a leaf counts for another target than the first")
    features = arrays["nodes_featureids"]
    _require_all((features >= 0) & (features < width), f"a node looks at a column that does not exist, of {width:,}")
    for name in ("nodes_trueleafs", "nodes_falseleafs", "nodes_missing_value_tracks_true"):
        _require_all((arrays[name] == 0) | (arrays[name] == 1), f"{name} holds a number that is neither 0 nor 1")


def _check_roots(roots: NDArray[Any], nodes: int) -> None:
    """Check that each tree begins at a node of its own, the first one at the first."""
    _require_all(roots[1:] > roots[:-1], "the roots of the trees do not ascend")
    require(roots[0] == 0, RULE, "the first tree does not begin at the first node")
    require(roots[-1] < nodes, RULE, "the root of a tree is a node that does not exist")


def _reached_once(reached: NDArray[Any], count: int, noun: str) -> None:
    """Check that each of `count` nodes or leaves is reached by one way, and by no second."""
    import numpy as np

    times = np.bincount(reached, minlength=count)
    _require_all(times < 2, f"a {noun} is reached twice")
    _require_all(times > 0, f"a {noun} is never reached")


def _check_depth(roots: NDArray[Any], children: NDArray[Any]) -> None:
    """Check that no tree is too deep; `children` holds for each node the nodes below it, -1 for a leaf."""
    level = roots
    for _ in range(MAX_TREE_DEPTH):
        level = children[level].ravel()
        level = level[level >= 0]
        if not len(level):
            return
    require(False, RULE, f"a tree is deeper than {MAX_TREE_DEPTH} nodes")  # noqa: FBT003 - reads as an assertion
