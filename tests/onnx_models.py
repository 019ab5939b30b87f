"""Models that are ours, and models that must be refused before any session is made.

`HOSTILE` names builders of the latter; `RULES` says for each which rule refuses it. Most of them are our own model
with one thing changed, so that nothing but this thing can be the reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import AttributeProto, ModelProto, TensorProto, helper

from artifact_pipeline.model import onnx_walk, wire
from linear_writer import linear_classifier

if TYPE_CHECKING:
    from collections.abc import Callable

COEFFICIENTS = np.array([[0.5, -1.0], [0.25, 2.0], [-3.0, 0.125]])
INTERCEPTS = np.array([0.0, -0.5, 1.0])
NUMBERS = [10, -20, 30]
WORDS = ["eins", "zwei", "drei"]

HOSTILE: dict[str, Callable[[], bytes]] = {}
RULES: dict[str, str] = {}


def good(classes: list[int] | list[str] = NUMBERS, dtype: str = "float32") -> bytes:
    """Three classes over two features."""
    return linear_classifier(COEFFICIENTS, INTERCEPTS, classes, dtype=dtype, name="small")


def _hostile(rule: str) -> Callable[[Callable[[], bytes]], Callable[[], bytes]]:
    """Register a builder of bytes that `rule` refuses."""

    def register(build: Callable[[], bytes]) -> Callable[[], bytes]:
        HOSTILE[build.__name__], RULES[build.__name__] = build, rule
        return build

    return register


def _changed(rule: str) -> Callable[[Callable[[ModelProto], object]], Callable[[ModelProto], object]]:
    """Register a change of our model that `rule` refuses."""

    def register(change: Callable[[ModelProto], object]) -> Callable[[ModelProto], object]:
        def build() -> bytes:
            model = ModelProto.FromString(good())
            change(model)
            return model.SerializeToString(deterministic=True)

        HOSTILE[change.__name__], RULES[change.__name__] = build, rule
        return change

    return register


# Operators


@_hostile("onnx-operator")
def asks_for_34_gb() -> bytes:
    """Sixty-odd bytes that ask for 2**33 zeros of four bytes each, already while the session is made."""
    model = ModelProto(ir_version=7)
    model.opset_import.add(version=13)
    model.graph.name = "g"
    model.graph.node.add(input=["n"], output=["y"], op_type="ConstantOfShape")
    model.graph.initializer.add(name="n", data_type=TensorProto.INT64, dims=[1], int64_data=[2**33])
    model.graph.output.add(name="y").type.tensor_type.elem_type = TensorProto.FLOAT
    return model.SerializeToString()


@_changed("onnx-operator")
def asks_for_34_gb_inside_our_model(model: ModelProto) -> None:
    model.graph.node.insert(0, helper.make_node("ConstantOfShape", ["classes"], ["zeros"]))


@_changed("onnx-operator")
def loops(model: ModelProto) -> None:
    model.graph.node.append(helper.make_node("Loop", ["n", "true"], ["y"], body=helper.make_graph([], "b", [], [])))


@_changed("onnx-operator")
def branches(model: ModelProto) -> None:
    nothing = helper.make_graph([], "b", [], [])
    model.graph.node.append(helper.make_node("If", ["c"], ["y"], then_branch=nothing, else_branch=nothing))


@_changed("onnx-operator")
def foreign_operator(model: ModelProto) -> None:
    model.graph.node[2].op_type = "Hardmax"


@_changed("onnx-domain")
def foreign_domain(model: ModelProto) -> None:
    model.graph.node[1].domain = "com.example"


@_changed("onnx-domain")
def foreign_operator_set(model: ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("com.example", 1))


@_changed("onnx-domain")
def only_a_foreign_operator_set(model: ModelProto) -> None:
    model.opset_import[0].domain = "com.example"


@_changed("onnx-opset")
def later_operator_set(model: ModelProto) -> None:
    model.opset_import[0].version = 21


@_changed("onnx-opset")
def later_ir_version(model: ModelProto) -> None:
    model.ir_version = 10


# Attributes


@_changed("onnx-attribute")
def casts_to_float32(model: ModelProto) -> None:
    model.graph.node[0].attribute[0].i = TensorProto.FLOAT


@_changed("onnx-attribute")
def takes_the_last_of_a_tie(model: ModelProto) -> None:
    model.graph.node[3].attribute.append(helper.make_attribute("select_last_index", 1))


@_changed("onnx-attribute")
def attribute_that_is_no_integer(model: ModelProto) -> None:
    model.graph.node[1].attribute[0].type = AttributeProto.GRAPH


@_changed("onnx-field")
def scales_the_scores(model: ModelProto) -> None:
    model.graph.node[1].attribute.append(helper.make_attribute("alpha", 2.0))


@_changed("onnx-field")
def subgraph_in_an_attribute(model: ModelProto) -> None:
    model.graph.node[1].attribute.append(helper.make_attribute("body", helper.make_graph([], "b", [], [])))


@_changed("onnx-field")
def tensor_in_an_attribute(model: ModelProto) -> None:
    model.graph.node[1].attribute[0].t.dims.append(1)


# The graph


@_changed("onnx-graph")
def cyclic(model: ModelProto) -> None:
    model.graph.node[0].input[0] = "label"


@_changed("onnx-graph")
def input_from_nowhere(model: ModelProto) -> None:
    model.graph.node[2].input[0] = "nowhere"


@_changed("onnx-graph")
def label_by_the_wrong_table(model: ModelProto) -> None:
    model.graph.node[4].input[0] = "intercepts"


@_changed("onnx-graph")
def output_produced_twice(model: ModelProto) -> None:
    model.graph.node[2].output[0] = "scores"


@_changed("onnx-graph")
def one_step_more(model: ModelProto) -> None:
    model.graph.node.append(helper.make_node("Softmax", ["scores"], ["more"], axis=1))


@_changed("onnx-field")
def named_step(model: ModelProto) -> None:
    model.graph.node[2].name = "softmax"


@_changed("onnx-graph")
def one_step_less(model: ModelProto) -> None:
    del model.graph.node[4]


@_changed("onnx-graph")
def one_output_more(model: ModelProto) -> None:
    model.graph.output.append(helper.make_tensor_value_info("scores", TensorProto.DOUBLE, ["rows", 3]))


@_changed("onnx-graph")
def one_output_less(model: ModelProto) -> None:
    del model.graph.output[1]


@_changed("onnx-graph")
def one_input_more(model: ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("coefficients", TensorProto.DOUBLE, [3, 2]))


@_changed("onnx-graph")
def no_initializers(model: ModelProto) -> None:
    del model.graph.initializer[:]


# Numbers, types and sizes


@_changed("onnx-external-data")
def external_data(model: ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.external_data.add(key="location", value="../../../etc/passwd")
    tensor.data_location = TensorProto.EXTERNAL


@_changed("onnx-external-data")
def external_location_alone(model: ModelProto) -> None:
    model.graph.initializer[2].data_location = TensorProto.EXTERNAL


@_changed("onnx-initializer-size")
def dims_of_more_numbers_than_there_are(model: ModelProto) -> None:
    """3 x 65,536 weights are within every bound, and the file holds six."""
    model.graph.initializer[0].dims[1] = 65_536
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 65_536


@_changed("onnx-initializer-size")
def no_weights(model: ModelProto) -> None:
    model.graph.initializer[0].ClearField("raw_data")


@_changed("onnx-initializer-size")
def weights_and_strings(model: ModelProto) -> None:
    model.graph.initializer[1].string_data.append(b"more")


@_changed("onnx-initializer-size")
def one_label_less(model: ModelProto) -> None:
    model.graph.initializer[2].raw_data = bytes(16)


@_hostile("onnx-initializer-size")
def one_word_less() -> bytes:
    model = ModelProto.FromString(good(WORDS))
    del model.graph.initializer[2].string_data[2]
    return model.SerializeToString()


@_changed("onnx-shape")
def transposed_dims(model: ModelProto) -> None:
    model.graph.initializer[0].dims[:] = [2, 3]


@_changed("onnx-shape")
def huge_dims(model: ModelProto) -> None:
    model.graph.initializer[0].dims[:] = [2**40, 2**40]


@_changed("onnx-shape")
def no_features(model: ModelProto) -> None:
    model.graph.initializer[0].dims[:] = [3, 0]
    model.graph.initializer[0].raw_data = b""


@_changed("onnx-shape")
def three_dims(model: ModelProto) -> None:
    model.graph.initializer[0].dims[:] = [3, 2, 1]


@_changed("onnx-shape")
def another_width_of_the_input(model: ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 3


@_changed("onnx-shape")
def fixed_rows(model: ModelProto) -> None:
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 1


@_changed("onnx-dtype")
def half_precision_input(model: ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT16


@_changed("onnx-dtype")
def weights_in_float32(model: ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.CopyFrom(helper.make_tensor(tensor.name, TensorProto.FLOAT, [3, 2], bytes(24), raw=True))


@_changed("onnx-dtype")
def strings_declared_for_numbers(model: ModelProto) -> None:
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.STRING


@_changed("onnx-not-finite")
def nan_weight(model: ModelProto) -> None:
    weights = COEFFICIENTS.copy()
    weights[2, 1] = np.nan
    model.graph.initializer[0].raw_data = weights.tobytes()


@_changed("onnx-not-finite")
def infinite_intercept(model: ModelProto) -> None:
    model.graph.initializer[1].raw_data = np.array([0, -np.inf, 0]).tobytes()


@_changed("onnx-classes")
def same_label_twice(model: ModelProto) -> None:
    model.graph.initializer[2].raw_data = np.array([1, 2, 1], dtype="<i8").tobytes()


# Fields that we never write


@_changed("onnx-field")
def another_producer(model: ModelProto) -> None:
    model.producer_name = "skl2onnx"


@_changed("onnx-field")
def function(model: ModelProto) -> None:
    node = helper.make_node("Identity", ["x"], ["y"])
    model.functions.append(helper.make_function("", "Gemm", ["x"], ["y"], [node], [helper.make_opsetid("", 13)]))


@_changed("onnx-field")
def training_info(model: ModelProto) -> None:
    model.training_info.add().algorithm.name = "g"


@_changed("onnx-field")
def metadata(model: ModelProto) -> None:
    model.metadata_props.add(key="k", value="v")


@_changed("onnx-field")
def sparse_initializer(model: ModelProto) -> None:
    model.graph.sparse_initializer.add().dims.append(2**40)


@_changed("onnx-field")
def quantization(model: ModelProto) -> None:
    model.graph.quantization_annotation.add().tensor_name = "X"


@_changed("onnx-field")
def value_info(model: ModelProto) -> None:
    model.graph.value_info.append(helper.make_tensor_value_info("scores", TensorProto.DOUBLE, ["rows", 3]))


@_changed("onnx-field")
def doc_string(model: ModelProto) -> None:
    model.graph.doc_string = "trained yesterday"


@_changed("onnx-field")
def segment(model: ModelProto) -> None:
    model.graph.initializer[0].segment.begin = 0


@_changed("onnx-field")
def sequence_as_input(model: ModelProto) -> None:
    kind = model.graph.input[0].type
    kind.sequence_type.elem_type.tensor_type.elem_type = TensorProto.DOUBLE


@_changed("onnx-field")
def no_opset_version(model: ModelProto) -> None:
    model.opset_import[0].ClearField("version")


@_hostile("onnx-field")
def empty() -> bytes:
    return b""


# The wire format


@_hostile("onnx-wire")
def truncated() -> bytes:
    return good()[:-3]


@_hostile("onnx-wire")
def trailing_garbage() -> bytes:
    return good() + b"\xff" * 7


@_hostile("onnx-field")
def trailing_zeros() -> bytes:
    return good() + bytes(8)


@_hostile("onnx-wire")
def second_graph_to_be_merged() -> bytes:
    """Protobuf merges a message that comes twice: another reader would see six classes."""
    return good() + ModelProto(graph=ModelProto.FromString(good()).graph).SerializeToString()


@_hostile("onnx-wire")
def fields_out_of_order() -> bytes:
    """Another reader takes a step's output before its input; we write it after."""
    start, end = b"\x0a\x01X", b"\x12\x08X_double"
    return good().replace(start + end, end + start)


@_hostile("onnx-wire")
def same_field_twice() -> bytes:
    """Of a number that comes twice, another reader takes the last."""
    return ModelProto(ir_version=3).SerializeToString() + good()


@_hostile("onnx-wire")
def same_name_twice() -> bytes:
    return good().replace(b"\x12\x04rows", b"\x12\x01r\x12\x01r")


@_hostile("onnx-wire")
def needless_bytes_in_a_number() -> bytes:
    return b"\x08\x87\x00" + good()[2:]


@_hostile("onnx-wire")
def number_of_64_bits() -> bytes:
    return b"\x08" + b"\xff" * 9 + b"\x01" + good()[2:]


@_hostile("onnx-wire")
def wrong_wire_type() -> bytes:
    return b"\x0d\x07\x00\x00\x00" + good()[2:]


@_hostile("onnx-wire")
def group() -> bytes:
    return b"\x0b\x0c" + good()[2:]


@_hostile("onnx-wire")
def name_that_is_no_utf8() -> bytes:
    return good().replace(b"small", b"sm\xffll")


@_hostile("onnx-too-large")
def larger_than_the_bound() -> bytes:
    return bytes(wire.MAX_MODEL_BYTES + 1)


@_changed("onnx-too-large")
def endless_name(model: ModelProto) -> None:
    model.graph.name = "x" * (onnx_walk.MAX_TEXT_BYTES + 1)


@_changed("onnx-too-large")
def thousand_steps(model: ModelProto) -> None:
    model.graph.node.extend([model.graph.node[2]] * 1000)
