"""The writer of format 1's models: what `model/linear.py` checks byte for byte, by the `onnx` package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from onnx import helper

from artifact_pipeline.model.graph import PRODUCER, ROWS
from artifact_pipeline.model.onnx_walk import DTYPES, IR_VERSION, OPSET

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from onnx import TensorProto

    Floats = NDArray[np.float64]

_NODES = (
    ("Cast", ["X"], "X_double", {"to": DTYPES["float64"]}),
    ("Gemm", ["X_double", "coefficients", "intercepts"], "scores", {"transB": 1}),
    ("Softmax", ["scores"], "probabilities", {"axis": 1}),
    ("ArgMax", ["scores"], "index", {"axis": 1, "keepdims": 0}),
    ("Gather", ["classes", "index"], "label", {"axis": 0}),
)


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
    weights, biases = _softmax_form(np.asarray(coefficients, dtype="<f8"), np.asarray(intercepts, dtype="<f8"))
    labels = _label_tensor(np.asarray(classes).tolist())
    count, features = weights.shape
    if list(labels.dims) != [count]:
        raise ValueError(f"{list(labels.dims)} labels for {count} classes")
    double = DTYPES["float64"]
    graph = helper.make_graph(
        [helper.make_node(operator, inputs, [output], **attributes) for operator, inputs, output, attributes in _NODES],
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
    if weights.ndim != 2 or biases.shape != weights.shape[:1]:
        raise ValueError(f"coefficients of shape {weights.shape} and intercepts of shape {biases.shape}")
    if not (np.isfinite(weights).all() and np.isfinite(biases).all()):
        raise ValueError("a coefficient or an intercept is not finite")
    if len(weights) > 1:
        return weights, biases
    return np.concatenate([np.zeros_like(weights), weights]), np.concatenate([np.zeros_like(biases), biases])


def _label_tensor(labels: list[Any]) -> TensorProto:
    """Write the labels as int64, or as strings."""
    if all(type(label) is int for label in labels):
        raw = np.array(labels, dtype="<i8").tobytes()
        return helper.make_tensor("classes", DTYPES["int64"], [len(labels)], raw, raw=True)
    if all(isinstance(label, str) for label in labels):
        return helper.make_tensor("classes", DTYPES["string"], [len(labels)], labels)
    raise ValueError("the labels are neither all integers nor all strings")
