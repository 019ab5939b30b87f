"""Models of format 2 that must be refused before any session is made; those of format 1 are in `onnx_models.py`.

`HOSTILE` holds builders by name, each with the rule that refuses what it builds. Most of them are our own model with
one thing changed, so that nothing but this thing can be the reason.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from onnx import AttributeProto, ModelProto, TensorProto, helper, numpy_helper
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.preprocessing import StandardScaler

from artifact_pipeline.model import spec, wire
from artifact_pipeline.model.plan import plan
from artifact_pipeline.model.wire import encode
from artifact_pipeline.model.writer import write
from artifact_pipeline.rows.features import Column, Features
from fitted import Table, fit, pipeline

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True)
class Claim:
    """The bytes of a model, and what a manifest says of it."""

    data: bytes
    columns: tuple[Column, ...]
    steps: spec.Steps
    classes: Sequence[int] | Sequence[str]


HOSTILE: dict[str, tuple[Callable[[], Claim], str]] = {}


def _table(labels: np.ndarray) -> Table:
    random = np.random.default_rng(0)
    X = random.normal(size=(60, 2))
    X[::7, 1] = np.nan
    S = random.choice(np.array(["", "a", "ä"], dtype=object), (60, 1))
    columns = (
        Column("x", "number"),
        Column("y", "number", nullable=True),
        Column("c", "category", nullable=True, levels=("", "a", "ä")),
    )
    return Table(columns, Features(X, S), labels)


@functools.cache
def good(*, words: bool = False) -> Claim:
    """A logistic regression of three classes on two numbers, imputed and scaled, and a category."""
    table = _table(np.array(["drei", "eins", "zwei"] if words else [-20, 10, 30])[np.arange(60) % 3])
    model = pipeline(table, LogisticRegression(), number=[SimpleImputer(add_indicator=True), StandardScaler()])
    return _claim(fit(model, table), table)


@functools.cache
def gaussian() -> Claim:
    """A naive Bayes of two classes on two numbers, and nothing before it."""
    table = _table(np.arange(60) % 2)
    table = Table(table.columns[:2], Features.of_numbers(np.nan_to_num(table.rows.X)), table.labels)
    return _claim(fit(GaussianNB(), table), table)


def _claim(model: object, table: Table) -> Claim:
    data, steps = write(model, table.columns)
    return Claim(data, table.columns, steps, np.unique(table.labels).tolist())


def _hostile(rule: str) -> Callable[[Callable[[], Claim]], Callable[[], Claim]]:
    """Register a builder of what `rule` refuses."""

    def register(build: Callable[[], Claim]) -> Callable[[], Claim]:
        HOSTILE[build.__name__] = build, rule
        return build

    return register


def _changed(
    rule: str, base: Callable[[], Claim] = good
) -> Callable[[Callable[[ModelProto], object]], Callable[[ModelProto], object]]:
    """Register a change of a model that `rule` refuses."""

    def register(change: Callable[[ModelProto], object]) -> Callable[[ModelProto], object]:
        def build() -> Claim:
            model = ModelProto.FromString(base().data)
            change(model)
            return replace(base(), data=model.SerializeToString(deterministic=True))

        HOSTILE[change.__name__] = build, rule
        return change

    return register


def node(model: ModelProto, operator: str) -> object:
    """The first step by an operator."""
    return next(each for each in model.graph.node if each.op_type == operator)


def tensor(model: ModelProto, name: str) -> TensorProto:
    """A tensor of the graph."""
    return next(each for each in model.graph.initializer if each.name == name)


def numbers(model: ModelProto, name: str, change: Callable[[np.ndarray], object]) -> None:
    """Change the numbers of a tensor, whose size stays."""
    found = tensor(model, name)
    values = numpy_helper.to_array(found).copy()
    change(values)
    found.raw_data = values.tobytes()


# Operators


@_changed("onnx-operator")
def another_operator(model: ModelProto) -> None:
    node(model, "Softmax").op_type = "Hardmax"


@_changed("onnx-operator")
def allowed_operator_in_another_place(model: ModelProto) -> None:
    node(model, "Sub").op_type = "Add"


@_changed("onnx-operator")
def asks_for_34_gb(model: ModelProto) -> None:
    model.graph.node.insert(0, helper.make_node("ConstantOfShape", ["classes"], ["zeros"]))


@_changed("onnx-operator")
def loops(model: ModelProto) -> None:
    model.graph.node.insert(0, helper.make_node("Loop", ["n", "true"], ["y"]))


@_changed("onnx-operator")
def two_steps_change_places(model: ModelProto) -> None:
    steps = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([steps[1], steps[0], *steps[2:]])


@_changed("onnx-domain")
def unknown_domain(model: ModelProto) -> None:
    node(model, "Gemm").domain = "com.example"


@_changed("onnx-domain")
def unknown_domain_of_a_known_one(model: ModelProto) -> None:
    node(model, "LabelEncoder").domain = "com.microsoft"


@_changed("onnx-domain")
def domain_taken_away(model: ModelProto) -> None:
    node(model, "LabelEncoder").ClearField("domain")


@_changed("onnx-domain")
def third_operator_set(model: ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))


@_changed("onnx-domain")
def operator_set_less(model: ModelProto) -> None:
    del model.opset_import[1]


@_changed("onnx-opset")
def earlier_operator_set(model: ModelProto) -> None:
    model.opset_import[0].version = 13


@_changed("onnx-opset")
def later_operator_set_for_trees(model: ModelProto) -> None:
    model.opset_import[1].version = 6


@_changed("onnx-opset")
def earlier_ir_version(model: ModelProto) -> None:
    model.ir_version = 7


# Attributes


@_changed("onnx-attribute")
def casts_to_float32(model: ModelProto) -> None:
    node(model, "Cast").attribute[0].i = TensorProto.FLOAT


@_changed("onnx-attribute")
def takes_the_last_of_a_tie(model: ModelProto) -> None:
    node(model, "ArgMax").attribute.append(helper.make_attribute("select_last_index", 1))


@_changed("onnx-attribute")
def default_for_unknown_levels(model: ModelProto) -> None:
    value = numpy_helper.from_array(np.array([1]))
    node(model, "LabelEncoder").attribute.insert(0, helper.make_attribute("default_tensor", value))


@_changed("onnx-attribute")
def attribute_of_another_type(model: ModelProto) -> None:
    node(model, "Softmax").attribute[0].type = AttributeProto.GRAPH


@_changed("onnx-wire")
def attribute_with_a_list_beside_its_number(model: ModelProto) -> None:
    node(model, "Gemm").attribute[0].ints.extend([1])


@_changed("onnx-attribute")
def attribute_less(model: ModelProto) -> None:
    del node(model, "Gemm").attribute[:]


@_changed("onnx-field")
def scales_the_scores(model: ModelProto) -> None:
    node(model, "Gemm").attribute[0].f = 2.0


@_changed("onnx-field")
def subgraph_in_an_attribute(model: ModelProto) -> None:
    node(model, "Gemm").attribute[0].g.name = "body"


@_changed("onnx-field")
def reference_to_an_attribute(model: ModelProto) -> None:
    node(model, "Gemm").attribute[0].ref_attr_name = "outer"


@_changed("onnx-constant")
def another_level(model: ModelProto) -> None:
    node(model, "LabelEncoder").attribute[0].t.string_data[1] = b"b"


@_changed("onnx-constant")
def levels_change_places(model: ModelProto) -> None:
    keys = node(model, "LabelEncoder").attribute[0].t.string_data
    keys[1], keys[2] = keys[2], keys[1]


@_changed("onnx-constant")
def one_level_has_the_code_of_another(model: ModelProto) -> None:
    node(model, "LabelEncoder").attribute[1].t.raw_data = np.array([0, 1, 1]).tobytes()


@_changed("onnx-constant")
def one_level_more(model: ModelProto) -> None:
    node(model, "LabelEncoder").attribute[0].t.string_data.append(b"z")


@_changed("onnx-external-data")
def levels_from_a_file(model: ModelProto) -> None:
    node(model, "LabelEncoder").attribute[0].t.external_data.add(key="location", value="/etc/passwd")


# The graph


@_changed("onnx-graph")
def cyclic(model: ModelProto) -> None:
    node(model, "Sub").input[0] = "label"


@_changed("onnx-graph")
def input_from_nowhere(model: ModelProto) -> None:
    node(model, "Softmax").input[0] = "nowhere"


@_changed("onnx-graph")
def probabilities_are_scores(model: ModelProto) -> None:
    node(model, "Identity").input[0] = node(model, "Softmax").input[0]


@_changed("onnx-graph")
def output_produced_twice(model: ModelProto) -> None:
    node(model, "Softmax").output[0] = node(model, "Gemm").output[0]


@_changed("onnx-graph")
def one_step_more(model: ModelProto) -> None:
    model.graph.node.append(helper.make_node("Softmax", ["S"], ["more"], axis=1))


@_changed("onnx-graph")
def one_step_less(model: ModelProto) -> None:
    del model.graph.node[-1]


@_changed("onnx-graph")
def thousand_steps(model: ModelProto) -> None:
    model.graph.node.extend([model.graph.node[-1]] * 1000)


@_changed("onnx-graph")
def one_input_of_a_step_more(model: ModelProto) -> None:
    node(model, "Softmax").input.append("X")


@_changed("onnx-graph")
def one_output_more(model: ModelProto) -> None:
    model.graph.output.append(helper.make_tensor_value_info("scores", TensorProto.DOUBLE, ["rows", 3]))


@_changed("onnx-graph")
def one_input_less(model: ModelProto) -> None:
    del model.graph.input[1]


@_changed("onnx-graph")
def inputs_change_places(model: ModelProto) -> None:
    model.graph.input.reverse()


@_changed("onnx-graph")
def one_tensor_more(model: ModelProto) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(1), "more"))


@_changed("onnx-graph")
def no_tensors(model: ModelProto) -> None:
    del model.graph.initializer[:]


@_changed("onnx-graph")
def another_name(model: ModelProto) -> None:
    model.graph.name = "mine"


# Numbers, types and sizes


@_changed("onnx-external-data")
def external_data(model: ModelProto) -> None:
    found = tensor(model, "classifier.coefficients")
    found.ClearField("raw_data")
    found.external_data.add(key="location", value="../../../etc/passwd")
    found.data_location = TensorProto.EXTERNAL


@_changed("onnx-external-data")
def external_location_alone(model: ModelProto) -> None:
    tensor(model, "classes").data_location = TensorProto.EXTERNAL


@_changed("onnx-not-finite")
def nan_weight(model: ModelProto) -> None:
    numbers(model, "classifier.coefficients", lambda values: values.__setitem__((2, 1), np.nan))


@_changed("onnx-not-finite")
def infinite_intercept(model: ModelProto) -> None:
    numbers(model, "classifier.intercepts", lambda values: values.__setitem__(0, -np.inf))


@_changed("onnx-not-finite")
def nan_for_a_missing_value(model: ModelProto) -> None:
    numbers(model, "part.0.0.values", lambda values: values.fill(np.nan))


@_changed("onnx-not-positive")
def division_by_zero(model: ModelProto) -> None:
    numbers(model, "part.0.1.scale", lambda values: values.__setitem__((0, 1), 0.0))


@_changed("onnx-not-positive", gaussian)
def variance_below_zero(model: ModelProto) -> None:
    numbers(model, "classifier.variances", lambda values: np.negative(values, out=values))


@_changed("onnx-not-positive", gaussian)
def variance_of_minus_zero(model: ModelProto) -> None:
    numbers(model, "classifier.variances", lambda values: values.fill(-0.0))


@_changed("onnx-constant", gaussian)
def another_half(model: ModelProto) -> None:
    numbers(model, "double 0.5", lambda values: values.fill(0.25))


@_changed("onnx-constant", gaussian)
def another_axis(model: ModelProto) -> None:
    numbers(model, "axis 1", lambda values: values.fill(0))


@_changed("onnx-constant", gaussian)
def constant_that_is_not_a_number(model: ModelProto) -> None:
    numbers(model, "double 0.5", lambda values: values.fill(np.nan))


@_changed("onnx-shape")
def transposed_dims(model: ModelProto) -> None:
    dims = tensor(model, "classifier.coefficients").dims
    dims[:] = dims[::-1]


@_changed("onnx-shape")
def huge_dims(model: ModelProto) -> None:
    tensor(model, "classifier.coefficients").dims[:] = [2**40, 2**40]


@_changed("onnx-shape")
def one_dimension_more(model: ModelProto) -> None:
    tensor(model, "classifier.coefficients").dims.append(1)


@_changed("onnx-shape")
def another_width_of_the_input(model: ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 3


@_changed("onnx-shape")
def fixed_rows(model: ModelProto) -> None:
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 1


@_changed("onnx-shape")
def columns_without_a_number(model: ModelProto) -> None:
    model.graph.output[1].type.tensor_type.shape.dim[1].dim_param = "rows"


@_changed("onnx-dtype")
def input_in_float32(model: ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT


@_changed("onnx-dtype")
def weights_in_float32(model: ModelProto) -> None:
    tensor(model, "classifier.coefficients").data_type = TensorProto.FLOAT


@_changed("onnx-dtype")
def strings_declared_for_numbers(model: ModelProto) -> None:
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.STRING


@_changed("onnx-initializer-size")
def one_weight_less(model: ModelProto) -> None:
    found = tensor(model, "classifier.coefficients")
    found.raw_data = found.raw_data[:-8]


@_changed("onnx-initializer-size")
def no_weights(model: ModelProto) -> None:
    tensor(model, "classifier.coefficients").ClearField("raw_data")


@_changed("onnx-field")
def weights_in_another_field(model: ModelProto) -> None:
    found = tensor(model, "classifier.intercepts")
    found.double_data.extend([1.0, 2.0, 3.0])
    found.ClearField("raw_data")


@_changed("onnx-constant")
def weights_and_strings(model: ModelProto) -> None:
    tensor(model, "classifier.intercepts").string_data.append(b"more")


@_changed("onnx-classes")
def same_label_twice(model: ModelProto) -> None:
    numbers(model, "classes", lambda values: values.__setitem__(1, values[0]))


@_changed("onnx-classes")
def labels_change_places(model: ModelProto) -> None:
    numbers(model, "classes", lambda values: values.__setitem__(slice(None), values[::-1].copy()))


@_changed("onnx-classes", lambda: good(words=True))
def another_word(model: ModelProto) -> None:
    tensor(model, "classes").string_data[1] = b"Eins"


# Fields that we never write


@_changed("onnx-field")
def another_producer(model: ModelProto) -> None:
    model.producer_name = "skl2onnx"


@_changed("onnx-field")
def function(model: ModelProto) -> None:
    body = [helper.make_node("Identity", ["x"], ["y"])]
    model.functions.append(helper.make_function("", "Gemm", ["x"], ["y"], body, [helper.make_opsetid("", 18)]))


@_changed("onnx-field")
def training_info(model: ModelProto) -> None:
    model.training_info.add().algorithm.name = "g"


@_changed("onnx-field")
def metadata(model: ModelProto) -> None:
    model.metadata_props.add(key="k", value="v")


@_changed("onnx-field")
def metadata_of_a_step(model: ModelProto) -> None:
    model.graph.node[0].metadata_props.add(key="k", value="v")


@_changed("onnx-field")
def sparse_tensor(model: ModelProto) -> None:
    model.graph.sparse_initializer.add().dims.append(2**40)


@_changed("onnx-field")
def quantization(model: ModelProto) -> None:
    model.graph.quantization_annotation.add().tensor_name = "X"


@_changed("onnx-field")
def value_info(model: ModelProto) -> None:
    model.graph.value_info.append(helper.make_tensor_value_info("scores", TensorProto.DOUBLE, ["rows", 3]))


@_changed("onnx-field")
def named_step(model: ModelProto) -> None:
    model.graph.node[2].name = "softmax"


@_changed("onnx-field")
def overload(model: ModelProto) -> None:
    model.graph.node[2].overload = "mine"


@_changed("onnx-field")
def sequence_as_input(model: ModelProto) -> None:
    model.graph.input[0].type.sequence_type.elem_type.tensor_type.elem_type = TensorProto.DOUBLE


@_hostile("onnx-opset")
def empty() -> Claim:
    return replace(good(), data=b"")


# The wire format


def _respelled(change: Callable[[bytes], bytes]) -> Claim:
    data = change(good().data)
    assert data != good().data
    return replace(good(), data=data)


@_hostile("onnx-wire")
def truncated() -> Claim:
    return _respelled(lambda data: data[:-3])


@_hostile("onnx-wire")
def trailing_garbage() -> Claim:
    return _respelled(lambda data: data + b"\xff" * 7)


@_hostile("onnx-field")
def trailing_zeros() -> Claim:
    return _respelled(lambda data: data + bytes(8))


@_hostile("onnx-wire")
def second_graph_to_be_merged() -> Claim:
    """Protobuf merges a message that comes twice."""
    return _respelled(lambda data: data + ModelProto(graph=ModelProto.FromString(data).graph).SerializeToString())


@_hostile("onnx-wire")
def same_field_twice() -> Claim:
    """Of a number that comes twice, another reader takes the last."""
    return _respelled(lambda data: ModelProto(ir_version=3).SerializeToString() + data)


@_hostile("onnx-wire")
def fields_out_of_order() -> Claim:
    """Another reader takes a step's output before its input; we write it after."""
    start, end = b"\x0a\x01X", b"\x12\x07IsNaN_0"
    return _respelled(lambda data: data.replace(start + end, end + start))


@_hostile("onnx-wire")
def needless_bytes_in_a_number() -> Claim:
    return _respelled(lambda data: b"\x08\x8a\x00" + data[2:])


@_hostile("onnx-wire")
def number_of_64_bits() -> Claim:
    return _respelled(lambda data: b"\x08" + b"\xff" * 9 + b"\x01" + data[2:])


@_hostile("onnx-wire")
def wrong_wire_type() -> Claim:
    return _respelled(lambda data: b"\x0d\x07\x00\x00\x00" + data[2:])


@_hostile("onnx-wire")
def packed_dims() -> Claim:
    """ONNX writes dims one by one; packed, another reader takes them for the same."""
    one_by_one, together = b"\x08\x03\x08\x06\x10\x0b", b"\x0a\x02\x03\x06\x10\x0b"
    return _respelled(lambda data: data.replace(one_by_one, together))


@_hostile("onnx-operator")
def operator_that_is_no_utf8() -> Claim:
    return _respelled(lambda data: data.replace(b"Softmax\x2a", b"Softm\xffx\x2a"))


@_hostile("onnx-too-large")
def larger_than_the_bound() -> Claim:
    return replace(good(), data=bytes(wire.MAX_MODEL_BYTES + 1))


@_hostile("onnx-operator")
def sixty_four_mib_of_empty_steps() -> Claim:
    """Each takes two bytes, and a reader that keeps them a hundred times as many."""
    steps = b"\x0a\x00" * (16 << 20)
    return replace(good(), data=b"\x08\x0a\x12\x11artifact-pipeline\x3a\x80\x80\x80\x10" + steps)


# What the manifest says


def _steps(**changes: object) -> Claim:
    return replace(good(), steps=msgspec.structs.replace(good().steps, **changes))


def _numbers(*steps: spec.NumberStep) -> Claim:
    """Other steps on the numbers."""
    numbers, categories = good().steps.parts
    return _steps(parts=(msgspec.structs.replace(numbers, steps=steps), categories))


def _categories(**changes: object) -> Claim:
    """Another encoder."""
    numbers, categories = good().steps.parts
    return _steps(parts=(numbers, msgspec.structs.replace(categories, **changes)))


def _nested(classifier: spec.Classifier, times: int) -> spec.Classifier:
    for _ in range(times):
        classifier = spec.Vote(estimators=(classifier,), weighted=False)
    return classifier


@_hostile("onnx-graph")
def vote_of_scores() -> Claim:
    return _steps(classifier=_nested(spec.Linear(probabilities=None), 1))


@_hostile("onnx-too-large")
def million_steps_from_a_kilobyte() -> Claim:
    """A vote of 64 votes of 64 naive Bayes of 1,000 classes would have sixteen million steps."""
    many = spec.Vote(estimators=(spec.GaussianBayes(),) * 64, weighted=False)
    return replace(_steps(classifier=spec.Vote(estimators=(many,) * 64, weighted=False)), classes=tuple(range(1000)))


@_hostile("onnx-operator")
def classifier_of_another_family() -> Claim:
    return _steps(classifier=spec.GaussianBayes())


@_hostile("onnx-initializer-size")
def layers_of_32_gb() -> Claim:
    """The bytes say the same as the manifest, and hold no weights."""
    claim = _steps(classifier=spec.Neural(activation="relu", hidden=(65_536,) * 2))
    planned = plan(claim.columns, claim.steps, claim.classes)
    return replace(claim, data=encode(planned.message, {each.name: bytes(8) for each in planned.numbers}))


@_hostile("onnx-shape")
def ranks_of_two_classes_of_three() -> Claim:
    return _steps(classifier=spec.Quadratic(ranks=(1, 1)))


@_hostile("onnx-classes")
def more_classes_than_steps_allow() -> Claim:
    return replace(_steps(classifier=spec.GaussianBayes()), classes=tuple(range(1001)))


@_hostile("onnx-classes")
def one_class() -> Claim:
    return replace(good(), classes=(10,))


@_hostile("onnx-classes")
def label_twice_in_the_manifest() -> Claim:
    return replace(good(), classes=(10, 10, 30))


@_hostile("onnx-shape")
def indicator_beyond_the_columns() -> Claim:
    return _numbers(spec.Impute(indicators=(1, 2)))


@_hostile("onnx-shape")
def indicators_out_of_order() -> Claim:
    return _numbers(spec.Impute(indicators=(1, 0)))


@_hostile("onnx-shape")
def indicators_double_the_columns_each_time() -> Claim:
    """Each step may double the width: of 40,000 columns, the second one would go beyond the bound."""
    many = tuple(Column(f"x{number}", "number") for number in range(40_000))
    steps = (spec.Impute(indicators=tuple(range(40_000))),)
    return replace(_steps(parts=(spec.NumberPart(steps=steps),)), columns=many)


@_hostile("onnx-shape")
def category_without_an_encoder() -> Claim:
    return _steps(parts=good().steps.parts[:1])


@_hostile("onnx-shape")
def part_of_a_number_that_is_not_there() -> Claim:
    return _steps(parts=(spec.NumberPart(columns=(0, 2)), good().steps.parts[1]))


@_hostile("onnx-shape")
def part_of_a_category_that_is_not_there() -> Claim:
    return _categories(columns=(1,))


@_hostile("onnx-shape")
def number_that_no_part_takes() -> Claim:
    return _steps(parts=(spec.NumberPart(columns=(1,)), good().steps.parts[1]))


@_hostile("onnx-shape")
def codes_of_other_levels() -> Claim:
    return _categories(codes=((0, 1),))


@_hostile("onnx-shape")
def codes_beyond_the_levels() -> Claim:
    return _categories(codes=((0, 1, 3),))


@_hostile("onnx-shape")
def codes_that_are_all_none() -> Claim:
    return _categories(codes=((-1, -1, -1),))


@_hostile("onnx-shape")
def ordinal_codes_of_fewer_levels() -> Claim:
    return _categories(encoding="ordinal", codes=((7,),))


@_hostile("onnx-shape")
def codes_of_two_categories() -> Claim:
    return _categories(codes=((0, 1, 2), (0,)))


@_hostile("onnx-shape")
def unknown_code_of_two_categories() -> Claim:
    return _categories(unknown=(0, 0))


@_hostile("onnx-constant")
def codes_in_another_order() -> Claim:
    return _categories(codes=((0, 2, 1),))


@_hostile("onnx-attribute")
def unknown_level_with_a_code() -> Claim:
    return _categories(unknown=(0,))


@_hostile("onnx-operator")
def part_of_the_numbers_in_another_order() -> Claim:
    numbers, categories = good().steps.parts
    return _steps(parts=(msgspec.structs.replace(numbers, columns=(1, 0)), categories))


@_hostile("onnx-operator")
def parts_in_another_order() -> Claim:
    return _steps(parts=good().steps.parts[::-1])


@_hostile("onnx-operator")
def step_on_all_columns_together() -> Claim:
    return _steps(joined=(spec.Scale(center=False, scale=True),))


@_hostile("onnx-shape")
def encoder_without_a_category() -> Claim:
    return replace(good(), columns=good().columns[:2])


@_hostile("onnx-shape")
def steps_on_no_numbers() -> Claim:
    return replace(good(), columns=good().columns[2:])


@_hostile("onnx-shape")
def no_columns() -> Claim:
    return replace(_steps(parts=(spec.NumberPart(),)), columns=())


@_hostile("onnx-shape")
def category_without_levels() -> Claim:
    return replace(good(), columns=(*good().columns[:2], replace(good().columns[2], levels=())))


@_hostile("onnx-shape")
def missing_value_of_two_categories() -> Claim:
    return _categories(missing=("a", "a"))


@_hostile("onnx-constant")
def missing_value_that_is_no_level() -> Claim:
    columns = (*good().columns[:2], replace(good().columns[2], levels=("a", "ä")))
    return replace(_categories(missing=("b",)), columns=columns)


@_hostile("onnx-constant")
def missing_value_that_is_a_level_of_its_own() -> Claim:
    return _categories(missing=("a",))


@_hostile("onnx-operator")
def another_encoding() -> Claim:
    return _categories(encoding="ordinal")


@_hostile("onnx-shape")
def seventy_thousand_columns() -> Claim:
    return replace(good(), columns=tuple(Column(f"x{number}", "number") for number in range(70_000)))
