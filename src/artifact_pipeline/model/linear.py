"""The models of format 1, logistic regressions over numbers: their graph, and the template that bytes must fit."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from artifact_pipeline.model.graph import PRODUCER, ROWS
from artifact_pipeline.model.onnx_walk import (
    DTYPES,
    IR_VERSION,
    MAX_CLASSES,
    MAX_FEATURES,
    OPSET,
    read_model,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_CLASSES = range(2, MAX_CLASSES + 1)
_FEATURES = range(1, MAX_FEATURES + 1)
_INPUT_TYPE = (DTYPES["float32"], DTYPES["float64"])
_LABEL_TYPE = (DTYPES["int64"], DTYPES["string"])
_DTYPE_NAMES = {number: name for name, number in DTYPES.items()}


class _Node(NamedTuple):
    """One step of the graph; its attributes are integers, in the order of their names."""

    operator: str
    inputs: list[str]
    output: str
    attributes: dict[str, Any]


_NODES = (
    _Node("Cast", ["X"], "X_double", {"to": DTYPES["float64"]}),
    _Node("Gemm", ["X_double", "coefficients", "intercepts"], "scores", {"transB": 1}),
    _Node("Softmax", ["scores"], "probabilities", {"axis": 1}),
    _Node("ArgMax", ["scores"], "index", {"axis": 1, "keepdims": 0}),
    _Node("Gather", ["classes", "index"], "label", {"axis": 0}),
)


def _node(node: _Node) -> dict[str, Any]:
    attributes = [{"name": name, "i": value, "type": 2} for name, value in node.attributes.items()]
    return {"input": node.inputs, "output": [node.output], "op_type": node.operator, "attribute": attributes}


def _port(name: str, dtype: int | tuple[int, ...], *columns: range) -> dict[str, Any]:
    dims = [{"dim_value": [], "dim_param": [ROWS]}, *({"dim_value": [n], "dim_param": []} for n in columns)]
    return {"name": name, "type": {"tensor_type": {"elem_type": dtype, "shape": {"dim": dims}}}}


_TEMPLATE = {
    "ir_version": IR_VERSION,
    "producer_name": PRODUCER,
    "graph": {
        "node": [_node(node) for node in _NODES],
        "initializer": [
            {"dims": [_CLASSES, _FEATURES], "data_type": DTYPES["float64"], "name": "coefficients"},
            {"dims": [_CLASSES], "data_type": DTYPES["float64"], "name": "intercepts"},
            {"dims": [_CLASSES], "data_type": _LABEL_TYPE, "name": "classes"},
        ],
        "input": [_port("X", _INPUT_TYPE, _FEATURES)],
        "output": [_port("label", _LABEL_TYPE), _port("probabilities", DTYPES["float64"], _CLASSES)],
    },
    "opset_import": [{"domain": "", "version": OPSET}],
}
"""The one model that we write, as `read_model` describes a template."""


@dataclass(frozen=True, slots=True)
class ModelShape:
    """What the bytes of a model say.

    Attributes:
        inputs: `X`, rows x features.
        outputs: `label`, rows, and `probabilities`, rows x classes.
        operators: the steps of the graph, in order.
        classes: the labels, in the order of the probabilities' columns.
        parameters: how many weights there are, intercepts included.
    """

    class Tensor(NamedTuple):
        """An input or output: its name in the graph, `float32`, `float64`, `int64` or `string`, None for the rows."""

        name: str
        dtype: str
        shape: tuple[int | None, ...]

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    operators: tuple[str, ...]
    classes: tuple[int, ...] | tuple[str, ...]
    parameters: int


def walk(data: bytes, *, name: str = "model.onnx") -> ModelShape:
    """Say what a model is, from its bytes alone; `name` is the place of a problem.

    Raises:
        ArtifactRejected: format 1 has no such bytes; its one problem is the first that was met.
    """
    model, chosen = read_model(data, _TEMPLATE, name=name)
    count, features = chosen[_CLASSES], chosen[_FEATURES]
    x = ModelShape.Tensor("X", _DTYPE_NAMES[chosen[_INPUT_TYPE]], (None, features))
    label = ModelShape.Tensor("label", _DTYPE_NAMES[chosen[_LABEL_TYPE]], (None,))
    probabilities = ModelShape.Tensor("probabilities", "float64", (None, count))
    operators = tuple(node.operator for node in _NODES)
    classes = model["graph"]["initializer"][2]["labels"]
    return ModelShape((x,), (label, probabilities), operators, classes, count * features + count)


def coefficients(data: bytes) -> tuple[tuple[float, ...], ...]:
    """The weights of a model, of shape (classes, features); what `walk` refuses is refused."""
    model, chosen = read_model(data, _TEMPLATE, name="model.onnx")
    (weights,) = model["graph"]["initializer"][0]["raw_data"]
    return tuple(struct.iter_unpack(f"<{chosen[_FEATURES]}d", weights))
