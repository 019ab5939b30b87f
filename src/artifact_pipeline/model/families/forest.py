"""Single trees, and forests of them: the share of each class, averaged over the trees.

Each leaf holds the number of a row of a table, and the rows are the shares of the classes: so a leaf costs one number,
not one for each class. scikit-learn adds tree by tree, in their order. So does `CumSum`, by its definition;
`ReduceSum` leaves the order open.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from artifact_pipeline.model.bounds import MAX_TREES
from artifact_pipeline.model.families.family import Arrays, Family, not_written, prefixed, refuse_many_numbers
from artifact_pipeline.model.families.tree_arrays import Tree, ensemble
from artifact_pipeline.model.families.tree_check import RULE, check_ensemble
from artifact_pipeline.model.families.trees import (
    as_float32,
    ensemble_of,
    estimated_bytes,
    plan_ensemble,
    refuse_large_fit,
    require_few_nodes,
)
from artifact_pipeline.model.graph import Constant, Scores
from artifact_pipeline.model.spec import Forest
from artifact_pipeline.model.wire import DTYPES, require

if TYPE_CHECKING:
    from collections.abc import Mapping

    from artifact_pipeline.model.graph import Graph, Matrix

SHARES_AT_ONCE = 512
"""Shares that are added in one step for a row: for 4,096 rows they take 16 MiB, however many trees there are."""
TABLE = "leaves"
_HINT = 'set "min_samples_leaf": 20 or more, or take "HistGradientBoostingClassifier"'


def part(tree: int) -> str:
    """The part of the classifier to which the numbers of a tree belong."""
    return f"tree.{tree}"


def _describe(estimator: Any) -> tuple[Forest, Arrays]:
    import numpy as np

    trees = [each.tree_ for each in getattr(estimator, "estimators_", [estimator])]
    if len(trees) > MAX_TREES:
        message = f"{type(estimator).__name__} has {len(trees):,} trees, allowed are {MAX_TREES:,}"
        raise not_written(message, hint=f'set "n_estimators": {MAX_TREES} or fewer')
    nodes = sum(tree.node_count - tree.n_leaves for tree in trees)
    refuse_large_fit(estimator, nodes, max(tree.max_depth for tree in trees), hint=_HINT)
    # The different rows of shares and their numbers, in the order in which they come. They are few: all leaves of one
    # class alone give the same row.
    table: dict[bytes, int] = {}
    arrays: Arrays = {}
    sizes = []
    for number, tree in enumerate(trees):
        attributes = ensemble([_with_rows_of(table, tree)])
        arrays |= prefixed(part(number), attributes)
        sizes.append(len(attributes["nodes_splits"]))
    arrays[TABLE] = np.frombuffer(b"".join(table)).reshape(len(table), -1)
    refuse_many_numbers(type(estimator).__name__, estimated_bytes(arrays), hint=_HINT)
    return Forest(nodes=tuple(sizes), leaves=len(arrays[TABLE])), arrays


def _with_rows_of(table: dict[bytes, int], tree: Any) -> Tree:
    """A tree whose leaves give the numbers of their rows in the table; rows that are new are added to it."""
    import numpy as np

    leaves = tree.children_left < 0
    value = np.zeros(tree.node_count)
    value[leaves] = [table.setdefault(row.tobytes(), len(table)) for row in tree.value[leaves, 0]]
    return Tree.of_scikit_learn(tree, value)


def _plan(graph: Graph, spec: Forest, x: Matrix, classes: int) -> Scores:
    require_few_nodes(spec.nodes)
    x = as_float32(graph, x)
    table = graph.parameter(TABLE, spec.leaves, classes)
    size = max(1, SHARES_AT_ONCE // classes)
    total, waiting, trees = "", "", 0
    for first in range(0, len(spec.nodes), size):
        some = spec.nodes[first : first + size]
        graph.hold((len(some) + 1) * classes)
        reached = [
            plan_ensemble(graph.within(part(tree)), x, nodes=nodes, trees=1) for tree, nodes in enumerate(some, first)
        ]
        rows = graph.add("Cast", graph.add("Concat", *reached, axis=1), to=DTYPES["int64"])
        shares = graph.add("Gather", table, rows, axis=0)  # rows x trees x classes
        # Shares are added one step late. Of two steps that it needs, ONNX Runtime takes the one that stands last first:
        # so it adds what is there before it makes more, and a forest of any size takes the memory of two steps.
        total = _add_shares(graph, waiting, trees, total) if waiting else ""
        waiting, trees = shares, len(some)
    total = _add_shares(graph, waiting, trees, total)
    shares = graph.add("Div", graph.add("Squeeze", total, graph.axis(1)), graph.double(float(len(spec.nodes))))
    return Scores(shares, shares)


def _add_shares(graph: Graph, shares: str, trees: int, total: str) -> str:
    """Add the shares of some trees to the total of those before them, rows x 1 x classes; "" where there are none."""
    if total:
        shares = graph.add("Concat", total, shares, axis=1)
    sums = graph.add("CumSum", shares, graph.constant("trees", Constant("int64", (), struct.pack("<q", 1))))
    return graph.add("Gather", sums, graph.axis(trees - (not total)), axis=1)


def _check(spec: Forest, arrays: Mapping[str, bytes], width: int, classes: int) -> None:  # noqa: ARG001
    import numpy as np

    message = f"a leaf gives a number that is none of the table's {spec.leaves:,} rows"
    for number in range(len(spec.nodes)):
        tree = ensemble_of(part(number), arrays)
        check_ensemble(tree, width)
        row = tree["leaf_weights"]
        require(bool(((row >= 0) & (row < spec.leaves) & (row == np.floor(row))).all()), RULE, message)


FAMILY = Family(
    frozenset({"DecisionTreeClassifier", "ExtraTreeClassifier", "ExtraTreesClassifier", "RandomForestClassifier"}),
    _describe,
    _plan,
    _check,
)
