from __future__ import annotations

import functools
import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, numpy_helper

from artifact_pipeline.errors import ArtifactRejected
from artifact_pipeline.model import onnx_walk
from artifact_pipeline.model.linear import ModelShape, coefficients, walk
from artifact_pipeline.model.reading import read_varint
from artifact_pipeline.model.wire import RuleBroken
from linear_writer import linear_classifier
from onnx_models import HOSTILE, NUMBERS, RULES, WORDS, good

DIGITS_SIZED = linear_classifier(
    np.linspace(-1, 1, 640).reshape(10, 64), np.zeros(10), range(10), dtype="float32", name="digits"
)
DTYPES = {
    TensorProto.FLOAT: "float32",
    TensorProto.DOUBLE: "float64",
    TensorProto.INT64: "int64",
    TensorProto.STRING: "string",
}


def outputs(data: bytes) -> dict[str, np.ndarray]:
    """What onnxruntime answers to two rows of zeros."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    (x,) = session.get_inputs()
    dtype = {"tensor(float)": np.float32, "tensor(double)": np.float64}[x.type]
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {x.name: np.zeros((2, x.shape[1]), dtype)}), strict=True))


def test_a_model_is_described() -> None:
    """The walk says what a row is, which labels there are, and the input and the outputs that follow."""
    shape = walk(good(WORDS, "float64"))
    assert shape == ModelShape(features=2, dtype="float64", classes=("eins", "zwei", "drei"))
    assert shape.tensors == [
        ("X", "float64", (None, 2)),
        ("label", "string", (None,)),
        ("probabilities", "float64", (None, 3)),
    ]


labels = st.integers(2, 6).flatmap(
    lambda n: (
        st.lists(st.integers(-(2**63), 2**63 - 1), min_size=n, max_size=n, unique=True)
        # NumPy's strings end where only NULs follow.
        | st.lists(st.text(max_size=9).map(lambda text: text.rstrip("\0")), min_size=n, max_size=n, unique=True)
    )
)


@given(labels, st.integers(1, 200), st.sampled_from(["float32", "float64"]), st.text(min_size=1, max_size=64))
def test_onnx_reads_the_same_model(classes: list, features: int, dtype: str, name: str) -> None:
    """Whatever the writer writes passes the walk, and onnx's own reader sees in it what the walk reports."""
    weights = np.linspace(-1, 1, len(classes) * features).reshape(len(classes), features)
    data = linear_classifier(weights, np.zeros(len(classes)), classes, dtype=dtype, name=name)

    shape = walk(data)

    graph = ModelProto.FromString(data).graph
    seen = [(each.name, each.type.tensor_type) for each in (*graph.input, *graph.output)]
    assert shape.tensors == [
        (name, DTYPES[kind.elem_type], tuple(dim.dim_value or None for dim in kind.shape.dim)) for name, kind in seen
    ]
    assert list(shape.classes) == classes
    assert numpy_helper.to_array(graph.initializer[2]).tolist() == classes


def test_coefficients_are_those_that_onnx_reads() -> None:
    """The weights of walked bytes are a row for each class; bytes that the walk refuses have none."""
    weights = coefficients(DIGITS_SIZED)
    assert (len(weights), {len(row) for row in weights}) == (10, {64})
    initializers = ModelProto.FromString(DIGITS_SIZED).graph.initializer
    assert np.array_equal(weights, numpy_helper.to_array(initializers[0]))
    with pytest.raises(ArtifactRejected):
        coefficients(DIGITS_SIZED[:-1])


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_models_are_refused_by_name(kind: str) -> None:
    """Each hostile model is refused by the rule that is made for it, in one short line."""
    with pytest.raises(ArtifactRejected) as caught:
        walk(HOSTILE[kind](), name="folder/model.onnx")

    (problem,) = caught.value.problems
    assert (problem.place, problem.rule) == ("folder/model.onnx", RULES[kind])
    assert len(problem.message) < 250
    assert problem.message.isprintable()
    assert not problem.message.endswith(".")


@pytest.mark.needs("skl2onnx")
def test_a_model_of_another_tool_is_refused() -> None:
    """What skl2onnx writes for the same estimator is no model of ours: already its header says more."""
    from skl2onnx import to_onnx
    from sklearn.linear_model import LogisticRegression

    x = np.array([[0.0], [1.0]])
    data = to_onnx(LogisticRegression().fit(x, [0, 1]), x).SerializeToString()

    with pytest.raises(ArtifactRejected) as caught:
        walk(data)
    assert caught.value.rules == {"onnx-field"}


def test_the_walk_is_of_the_standard_library(tmp_path) -> None:
    """A good model passes and the one that asks for 34 GB is refused before NumPy, onnx or a runtime is loaded."""
    (tmp_path / "good").write_bytes(good())
    (tmp_path / "bad").write_bytes(HOSTILE["asks_for_34_gb"]())
    script = """
import sys
from artifact_pipeline.model.linear import walk
from artifact_pipeline.errors import ArtifactRejected
walk(open(sys.argv[1], "rb").read())
try:
    walk(open(sys.argv[2], "rb").read())
except ArtifactRejected as error:
    print(*error.rules)
print(*{"numpy", "onnx", "onnxruntime", "google", "pydantic"} & set(sys.modules))
"""
    command = [sys.executable, "-c", script, str(tmp_path / "good"), str(tmp_path / "bad")]
    result = subprocess.run(command, capture_output=True, text=True, check=True)

    assert result.stdout == "onnx-operator\n\n"


@pytest.mark.parametrize("data", [good(), good(WORDS), DIGITS_SIZED], ids=["numbers", "words", "digits"])
def test_every_truncation_is_refused(data: bytes) -> None:
    """A model cut at any length is refused."""
    for length in range(len(data)):
        with pytest.raises(ArtifactRejected):
            walk(data[:length])


@functools.cache
def survivors() -> tuple[bytes, ...]:
    """Of 10,000 mutants with up to three changed, lost or new bytes, those that still pass the walk."""
    chance = random.Random(20261123)
    found: set[bytes] = set()
    for _ in range(10_000):
        mutant = bytearray(good(*chance.choice([(NUMBERS, "float32"), (WORDS, "float64")])))
        for _ in range(chance.randint(1, 3)):
            at, byte = chance.randrange(len(mutant)), chance.randrange(256)
            change = chance.choice(["flip", "set", "insert", "delete", "copy"])
            if change == "flip":
                mutant[at] ^= 1 << byte % 8
            elif change == "set":
                mutant[at] = byte
            elif change == "insert":
                mutant.insert(at, byte)
            elif change == "delete":
                del mutant[at]
            else:
                mutant[at:at] = mutant[at : at + byte]
        try:
            walk(bytes(mutant))
        except ArtifactRejected:
            continue
        found.add(bytes(mutant))
    return tuple(sorted(found))


@pytest.mark.slow
def test_mutants_are_refused_or_are_models() -> None:
    """Of mutants that pass the walk, onnxruntime loads each that is tried, and gives outputs as the walk says."""
    tried = random.Random(1).sample(survivors(), 200)
    for mutant in tried:
        shape = walk(mutant)
        found = outputs(mutant)
        assert list(found) == [name for name, _, _ in shape.tensors[1:]]
        for name, _, dims in shape.tensors[1:]:
            assert found[name].shape == tuple(2 if size is None else size for size in dims)
        assert set(found["label"].tolist()) <= set(shape.classes)


def varint(number: int) -> bytes:
    """The encoding of a number, as the protobuf documentation describes it."""
    return bytes([number]) if number < 0x80 else bytes([number & 0x7F | 0x80]) + varint(number >> 7)


def encoded(message: str, found: dict) -> bytes:
    """The bytes of a message, from what the walk's reader found in it."""
    data = b""
    for number, field in onnx_walk._FIELDS[message].items():
        for value in found[field.name] if field.most else [found[field.name]]:
            if field.kind == "int":
                data += varint(number << 3) + varint(value)
                continue
            part = encoded(field.kind, value) if field.kind in onnx_walk._FIELDS else value
            part = part.encode() if isinstance(part, str) else bytes(part)
            data += varint(number << 3 | 2) + varint(len(part)) + part
    return data


@pytest.mark.slow
def test_nothing_is_read_over() -> None:
    """What the reader found, encoded again, is the same bytes: there is no second spelling, and nothing unseen.

    It looks at the reader itself, since what the walk reports leaves out the weights.
    """
    for data in [good(), good(WORDS), DIGITS_SIZED, *survivors()]:
        assert encoded("ModelProto", onnx_walk._read(memoryview(data), "ModelProto")) == data


@given(st.integers(0, 2**63 - 1), st.binary(max_size=3))
def test_numbers_survive_the_wire(number: int, rest: bytes) -> None:
    """Every number below 2**63 is read back, and what follows it is left alone (the seam that all lengths pass)."""
    data = varint(number)
    assert read_varint(memoryview(data + rest), 0) == (number, len(data))


@given(st.binary(max_size=12))
def test_a_number_has_one_spelling(data: bytes) -> None:
    """Bytes that are read as a number are that number's own encoding."""
    try:
        number, end = read_varint(memoryview(data), 0)
    except RuleBroken:
        return
    assert varint(number) == data[:end]


@given(st.binary(max_size=200), st.integers(0, 528))
def test_arbitrary_bytes_are_refused(data: bytes, start: int) -> None:
    """Bytes that nobody wrote are refused, alone or after the beginning of a model."""
    for candidate in (data, good()[:start] + data):
        if candidate != good():
            with pytest.raises(ArtifactRejected):
                walk(candidate)
