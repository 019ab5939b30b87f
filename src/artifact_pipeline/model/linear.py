"""The family of linear classifiers: its graph, the template by which bytes are checked, and its writer.

The bytes depend on nothing but the numbers and the name of a model.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from artifact_pipeline.model.onnx_walk import (
    DTYPES,
    IR_VERSION,
    MAX_CLASSES,
    MAX_FEATURES,
    OPSET,
    PRODUCER,
    ROWS,
    read_model,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray
    from onnx import TensorProto

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
        ArtifactRejected: `linear_classifier` does not write such bytes; its one problem is the first that was met.
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


def linear_classifier(
    coefficients: ArrayLike,
    intercepts: ArrayLike,
    classes: ArrayLike,
    *,
    dtype: Literal["float32", "float64"],
    name: str,
) -> bytes:
    """Write a multinomial or binary logistic regression as an ONNX model.

    All is computed in float64, whatever the input is: golden predictions must not depend on the SIMD width
    that onnxruntime picks on a processor, and in float64 they agree once rounded. The label is that of the
    greatest score, the first one in a tie, as scikit-learn picks it: of scores that are close, the probabilities
    may be equal.

    Args:
        coefficients: classes x features, or 1 x features for two classes, as scikit-learn fits it.
        intercepts: one for each row of `coefficients`.
        classes: the labels, integers or strings, in the order of the rows.
        dtype: the type of the input `X`, rows x features.
        name: the graph's name.

    Returns:
        The model, with the outputs `label` (rows) and `probabilities` (rows x classes).

    Raises:
        ValueError: the three do not fit together, a number is not finite, or a label is no integer or string.
    """
    import numpy as np
    from onnx import helper

    weights, biases = _softmax_form(np.asarray(coefficients, dtype="<f8"), np.asarray(intercepts, dtype="<f8"))
    labels = _label_tensor(np.asarray(classes).tolist())
    count, features = weights.shape
    if list(labels.dims) != [count]:
        raise ValueError(f"{list(labels.dims)} labels for {count} classes")
    double = DTYPES["float64"]
    graph = helper.make_graph(
        [helper.make_node(node.operator, node.inputs, [node.output], **node.attributes) for node in _NODES],
        name,
        [helper.make_tensor_value_info("X", DTYPES[dtype], [ROWS, features])],
        [
            helper.make_tensor_value_info("label", labels.data_type, [ROWS]),
            helper.make_tensor_value_info("probabilities", double, [ROWS, count]),
        ],
        initializer=[
            helper.make_tensor("coefficients", double, [count, features], weights.tobytes(), raw=True),
            helper.make_tensor("intercepts", double, [count], biases.tobytes(), raw=True),
            labels,
        ],
    )
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(graph, producer_name=PRODUCER, ir_version=IR_VERSION, opset_imports=[opset])
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _softmax_form(weights: Floats, biases: Floats) -> tuple[Floats, Floats]:
    """Give each class its row: the softmax of the scores 0 and z is the sigmoid of z."""
    import numpy as np

    if weights.ndim != 2 or biases.shape != weights.shape[:1]:
        raise ValueError(f"coefficients of shape {weights.shape} and intercepts of shape {biases.shape}")
    if not (np.isfinite(weights).all() and np.isfinite(biases).all()):
        raise ValueError("a coefficient or an intercept is not finite")
    if len(weights) > 1:
        return weights, biases
    return np.concatenate([np.zeros_like(weights), weights]), np.concatenate([np.zeros_like(biases), biases])


def _label_tensor(labels: list[Any]) -> TensorProto:
    """Write the labels as int64, or as strings."""
    import numpy as np
    from onnx import helper

    if all(type(label) is int for label in labels):
        raw = np.array(labels, dtype="<i8").tobytes()
        return helper.make_tensor("classes", DTYPES["int64"], [len(labels)], raw, raw=True)
    if all(isinstance(label, str) for label in labels):
        return helper.make_tensor("classes", DTYPES["string"], [len(labels)], labels)
    raise ValueError("the labels are neither all integers nor all strings")
