"""What all families of trees share: the step in the graph, its numbers, and the bounds of its size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from artifact_pipeline.model.bounds import MAX_NODES, MAX_TREE_DEPTH
from artifact_pipeline.model.families.family import Arrays, not_written
from artifact_pipeline.model.graph import ML, Graph, Matrix
from artifact_pipeline.model.wire import DTYPES, pack, require

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from artifact_pipeline.model.wire import DType

FLOAT32 = 1
"""The element type float32, with its number in ONNX; a step may have it, no number of a model has it."""


_ATTRIBUTES: dict[str, tuple[str, DType]] = {
    "leaf_targetids": ("leaf", "int64"),
    "leaf_weights": ("leaf", "float64"),
    "nodes_falseleafs": ("node", "int64"),
    "nodes_falsenodeids": ("node", "int64"),
    "nodes_featureids": ("node", "int64"),
    "nodes_missing_value_tracks_true": ("node", "int64"),
    "nodes_modes": ("node", "uint8"),
    "nodes_splits": ("node", "float64"),
    "nodes_trueleafs": ("node", "int64"),
    "nodes_truenodeids": ("node", "int64"),
    "tree_roots": ("tree", "int64"),
}
"""The attributes of a `TreeEnsemble`: for what each has one number, and of which type; of `int64` it is a list."""


def plan_ensemble(graph: Graph, x: Matrix, *, nodes: int, trees: int) -> str:
    """Add the step that sums the values of the leaves that a row reaches, one in each tree; rows x 1.

    A `TreeEnsemble` with one output answers many rows in a third of the time of one with several.
    """
    counts = {"node": nodes, "leaf": nodes + trees, "tree": trees}
    attributes: dict[str, Any] = {}
    for name, (per, dtype) in _ATTRIBUTES.items():
        is_list, count = dtype == "int64", counts[per]
        attributes[name] = graph.declare_list(name, count) if is_list else graph.declare(name, count, dtype=dtype)
    return graph.add(
        "TreeEnsemble", x.name, domain=ML, n_targets=1, aggregate_function=1, post_transform=0, **attributes
    )


def as_float32(graph: Graph, x: Matrix) -> Matrix:
    """The columns rounded to float32, as scikit-learn's trees take them, and float64 again, as they compare them."""
    rounded = graph.add("Cast", x.name, to=FLOAT32)
    return Matrix(graph.add("Cast", rounded, to=DTYPES["float64"]), x.width)


def ensemble_of(part: str, arrays: Mapping[str, bytes]) -> Arrays:
    """The numbers of an ensemble as arrays, by the names of its attributes."""
    import numpy as np

    types = {"int64": "<i8", "float64": "<f8", "uint8": "u1"}
    return {name: np.frombuffer(arrays[f"{part}.{name}"], types[dtype]) for name, (_, dtype) in _ATTRIBUTES.items()}


def require_few_nodes(nodes: Sequence[int]) -> None:
    """Refuse more nodes that split than a model may have, before anything is made of them."""
    total = sum(nodes)
    require(total <= MAX_NODES, "onnx-too-large", f"its trees have {total:,} nodes, allowed are {MAX_NODES:,}")


def refuse_large_fit(estimator: Any, nodes: int, depth: int, *, hint: str) -> None:
    """Refuse fitted trees that have too many nodes that split, or are too deep."""
    name = type(estimator).__name__
    if nodes > MAX_NODES:
        raise not_written(f"the trees of {name} have {nodes:,} nodes, allowed are {MAX_NODES:,}", hint=hint)
    if depth > MAX_TREE_DEPTH:
        message = f"a tree of {name} is {depth:,} nodes deep, allowed are {MAX_TREE_DEPTH:,}"
        raise not_written(message, hint=f'set "max_depth": {MAX_TREE_DEPTH} at most')


def estimated_bytes(arrays: Arrays) -> int:
    """How many bytes numbers take in a model, but for their names and sizes."""
    return sum(len(pack(array.tobytes())) if array.dtype.kind == "i" else array.nbytes for array in arrays.values())
