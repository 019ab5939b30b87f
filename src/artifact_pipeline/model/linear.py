"""The models of format 1, logistic regressions over numbers: their graph, and the template that bytes must fit."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

from artifact_pipeline.model.graph import PRODUCER, ROWS
from artifact_pipeline.model.onnx_walk import DTYPES, IR_VERSION, MAX_CLASSES, MAX_FEATURES, OPSET, read_model

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


class ModelShape(NamedTuple):
    """What the bytes of a model say.

    Attributes:
        features: how many numbers a row has.
        dtype: their type, `float32` or `float64`.
        classes: the labels, in the order of the probabilities' columns.
    """

    features: int
    dtype: str
    classes: tuple[int, ...] | tuple[str, ...]

    @property
    def tensors(self) -> list[tuple[str, str, tuple[int | None, ...]]]:
        """The input and the outputs: name, type and shape of each, in which None is the number of rows."""
        label = "string" if isinstance(self.classes[0], str) else "int64"
        return [
            ("X", self.dtype, (None, self.features)),
            ("label", label, (None,)),
            ("probabilities", "float64", (None, len(self.classes))),
        ]


def walk(data: bytes, *, name: str = "model.onnx") -> ModelShape:
    """Say what a model is, from its bytes alone; `name` is the place of a problem.

    Raises:
        ArtifactRejected: format 1 has no such bytes; its one problem is the first that was met.
    """
    model, chosen = read_model(data, _TEMPLATE, name=name)
    labels = model["graph"]["initializer"][2]["labels"]
    return ModelShape(chosen[_FEATURES], _DTYPE_NAMES[chosen[_INPUT_TYPE]], labels)


def coefficients(data: bytes) -> tuple[tuple[float, ...], ...]:
    """The weights of a model, of shape (classes, features); what `walk` refuses is refused."""
    model, chosen = read_model(data, _TEMPLATE, name="model.onnx")
    (weights,) = model["graph"]["initializer"][0]["raw_data"]
    return tuple(struct.iter_unpack(f"<{chosen[_FEATURES]}d", weights))
