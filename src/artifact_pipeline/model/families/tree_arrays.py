"""Trees as arrays: from scikit-learn's layout to the attributes of ONNX's `TreeEnsemble`.

scikit-learn numbers the nodes of a tree, leaves among them; ONNX numbers nodes that split and leaves apart. All is
done on whole arrays: a forest has hundreds of thousands of nodes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.model.families.family import Arrays


class Tree(NamedTuple):
    """One tree in scikit-learn's layout: each array has one value for each node, leaves among them.

    Attributes:
        left: the position of the next node if the feature is at most the threshold; negative for a leaf.
        right: the position of the next node otherwise.
        missing_left: whether a missing value goes to the left.
        value: the value of a leaf.
    """

    left: NDArray[Any]
    right: NDArray[Any]
    feature: NDArray[Any]
    threshold: NDArray[np.float64]
    missing_left: NDArray[Any]
    value: NDArray[np.float64]

    @classmethod
    def of_scikit_learn(cls, tree: Any, value: NDArray[np.float64]) -> Tree:
        """The `tree_` of an estimator, with the values of its nodes."""
        return cls(
            tree.children_left, tree.children_right, tree.feature, tree.threshold, tree.missing_go_to_left, value
        )

    @classmethod
    def of_predictor(cls, nodes: NDArray[Any]) -> Tree:
        """The nodes of a tree of histogram gradient boosting."""
        import numpy as np

        leaves = nodes["is_leaf"].astype(bool)
        left, right = (np.where(leaves, -1, nodes[side].astype(np.int64)) for side in ("left", "right"))
        return cls(
            left, right, nodes["feature_idx"], nodes["num_threshold"], nodes["missing_go_to_left"], nodes["value"]
        )


def constant(value: float) -> Tree:
    """A tree with one value for every row.

    ONNX knows no tree that is a leaf alone. So it has a node that splits, and the same value on both sides.
    """
    import numpy as np

    return Tree(
        left=np.array([1, -1, -1]),
        right=np.array([2, -1, -1]),
        feature=np.zeros(3, dtype=np.int64),
        threshold=np.zeros(3),
        missing_left=np.zeros(3, dtype=np.int64),
        value=np.full(3, value),
    )


def ensemble(trees: Sequence[Tree]) -> Arrays:
    """The attributes of one `TreeEnsemble` whose output is the sum of the trees' values.

    Nodes and leaves keep scikit-learn's order, so a child stands behind its parent.
    """
    import numpy as np

    trees = [constant(tree.value[0]) if len(tree.left) == 1 else tree for tree in trees]
    sizes = np.array([len(tree.left) for tree in trees])
    starts = np.cumsum(sizes) - sizes
    left, right, feature, threshold, missing_left, value = map(np.concatenate, zip(*trees, strict=True))
    splits = left >= 0
    numbers = np.where(splits, np.cumsum(splits), np.cumsum(~splits)) - 1  # among the nodes that split, or the leaves
    shift = np.repeat(starts, sizes)[splits]
    on_true = left[splits].astype(np.int64) + shift
    on_false = right[splits].astype(np.int64) + shift
    return {
        "leaf_targetids": np.zeros(len(value) - len(shift), dtype=np.int64),
        "leaf_weights": value[~splits].astype(np.float64),
        "nodes_falseleafs": (~splits[on_false]).astype(np.int64),
        "nodes_falsenodeids": numbers[on_false],
        "nodes_featureids": feature[splits].astype(np.int64),
        "nodes_missing_value_tracks_true": missing_left[splits].astype(np.int64),
        "nodes_modes": np.zeros(len(shift), dtype=np.uint8),  # 0 is ≤
        # Infinite where a node parts the missing values from all others: of finite numbers each is at most the largest.
        "nodes_splits": np.minimum(threshold[splits], np.finfo(np.float64).max),
        "nodes_trueleafs": (~splits[on_true]).astype(np.int64),
        "nodes_truenodeids": numbers[on_true],
        "tree_roots": numbers[starts],
    }
