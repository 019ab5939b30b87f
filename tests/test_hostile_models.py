from __future__ import annotations

import sys
import tracemalloc
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import ValidationError, convert
from onnx import ModelProto

from artifact_pipeline.errors import ArtifactRejected
from artifact_pipeline.model.check import checked_plan
from artifact_pipeline.model.plan import plan
from artifact_pipeline.model.spec import Bagged, Bagging, Steps, Svm
from artifact_pipeline.model.wire import FIELDS
from hostile_composed import COMPOSED, MODELS, claim
from hostile_models import HOSTILE, Claim, gaussian, good

if TYPE_CHECKING:
    from types import FrameType

GOOD = {"numbers": good, "words": lambda: good(words=True), "gaussian": gaussian}
ALL = HOSTILE | COMPOSED


def accepted(claim: Claim) -> bool:
    """Whether the check accepts a model, for what its manifest says."""
    try:
        checked_plan(claim.data, claim.columns, claim.steps, claim.classes)
    except ArtifactRejected:
        return False
    return True


@pytest.mark.parametrize("name", GOOD)
def test_a_model_is_what_its_manifest_says(name: str) -> None:
    """What the writer wrote is accepted, and onnx's own reader and writer give the same bytes."""
    claim = GOOD[name]()
    assert accepted(claim)
    assert onnx.load_from_string(claim.data).SerializeToString(deterministic=True) == claim.data


@pytest.mark.parametrize("name", MODELS)
def test_a_classifier_in_a_classifier_is_what_its_manifest_says(name: str) -> None:
    """What the hostile models below were made of is accepted."""
    assert accepted(claim(name))


@pytest.mark.parametrize("name", ALL)
def test_a_hostile_model_is_refused_by_rule(name: str) -> None:
    """Each one breaks the rule that it is meant to break."""
    build, rule = ALL[name]
    hostile = build()
    with pytest.raises(ArtifactRejected) as refusal:
        checked_plan(hostile.data, hostile.columns, hostile.steps, hostile.classes)
    assert [(each.place, each.rule) for each in refusal.value.problems] == [("model.onnx", rule)]


HUGE = (
    *("sixty_four_mib_of_empty_steps", "layers_of_32_gb", "huge_dims", "thousand_steps"),
    *("pairs_of_a_thousand_classes", "vectors_of_144_mb", "rows_of_48_mb"),
)


@pytest.mark.parametrize("name", HUGE)
def test_a_refusal_takes_little_memory(name: str) -> None:
    """Whatever a model says of its size, the check takes less than 1 MiB before it refuses it."""
    hostile = ALL[name][0]()
    tracemalloc.start()
    try:
        assert not accepted(hostile)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_the_pairs_of_classes_are_laid_out_once() -> None:
    """A bag of machines takes less than one call for each machine and pair: a short manifest may ask for twenty."""
    columns, classes, machines, calls = claim("machine").columns, 200, 4, 0
    machine = Svm(kernel="linear", degree=1, vectors=(1,) * classes, break_ties=False)
    steps = Steps(classifier=Bagging(estimators=(Bagged(classifier=machine),) * machines))

    def counted(frame: FrameType, event: str, _: object) -> None:
        nonlocal calls
        calls += event == "c_call"

    sys.setprofile(counted)
    try:
        plan(columns, steps, range(classes))
    finally:
        sys.setprofile(None)
    assert calls < machines * classes**2


Tree = list[tuple[int, "int | bytes | Tree"]]
"""The fields of a message, with their numbers; a message is a list of them again."""


def parsed(data: bytes, kind: str) -> Tree:
    """The bytes of a message as a tree."""
    tree: Tree = []
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while data[at] > 0x7F:
            value, shift, at = value | (data[at] & 0x7F) << shift, shift + 7, at + 1
        value, at = value | data[at] << shift, at + 1
        return value

    while at < len(data):
        number = varint() >> 3
        value: int | bytes | Tree = varint()
        inner = FIELDS[kind][number].kind
        if inner != "int":
            value, at = data[at : at + value], at + value
        tree.append((number, parsed(value, inner) if inner in FIELDS else value))
    return tree


def spelled(tree: Tree) -> bytes:
    """A tree as bytes."""

    def varint(value: int) -> bytes:
        return bytes([value & 0x7F | 0x80]) + varint(value >> 7) if value > 0x7F else bytes([value])

    out = b""
    for number, value in tree:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            inner = spelled(value) if isinstance(value, list) else value
            out += varint(number << 3 | 2) + varint(len(inner)) + inner
    return out


def messages(tree: Tree) -> list[Tree]:
    """A tree and all trees in it that are not empty."""
    return [tree, *(each for _, value in tree if isinstance(value, list) and value for each in messages(value))]


@st.composite
def respelled(draw: st.DrawFn, data: bytes) -> bytes:
    """The same fields otherwise: one twice, one less, two that change places, one of another message, one bit."""
    tree = parsed(data, "ModelProto")
    message = draw(st.sampled_from(messages(tree)))
    place = draw(st.integers(0, len(message) - 1))
    other = draw(st.integers(0, len(message) - 1))
    match draw(st.sampled_from(["twice", "less", "change", "move", "foreign", "number"])):
        case "twice":
            message.insert(other, message[place])
        case "less":
            del message[place]
        case "change":
            message[place], message[other] = message[other], message[place]
        case "move":
            message.insert(other, message.pop(place))
        case "foreign":
            message.insert(place, deepcopy(draw(st.sampled_from(draw(st.sampled_from(messages(tree)))))))
        case "number":
            message[place] = (draw(st.integers(1, 30)), message[place][1])
    return spelled(tree)


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """Bytes that were flipped, cut, inserted or copied."""
    at = draw(st.integers(0, len(data) - 1))
    other = draw(st.integers(at, min(len(data), at + 64)))
    match draw(st.sampled_from(["flip", "cut", "end", "insert", "copy"])):
        case "flip":
            return data[:at] + bytes([data[at] ^ 1 << draw(st.integers(0, 7))]) + data[at + 1 :]
        case "cut":
            return data[:at] + data[other:]
        case "end":
            return data[:at]
        case "insert":
            return data[:at] + draw(st.binary(min_size=1, max_size=12)) + data[at:]
        case _:
            return data[:other] + data[at:]


def without_numbers(data: bytes, claim: Claim) -> ModelProto:
    """A model as onnx reads it, its own numbers taken out."""
    model = onnx.load_from_string(data)
    chosen = {each.name for each in plan(claim.columns, claim.steps, claim.classes).numbers}
    for tensor in model.graph.initializer:
        if tensor.name in chosen:
            tensor.raw_data = bytes(len(tensor.raw_data))
    return model


@pytest.mark.parametrize("name", GOOD)
@given(st.data())
def test_no_other_bytes_are_another_model(name: str, data: st.DataObject) -> None:
    """Changed bytes are refused, or onnx reads in them the same model with other numbers, and writes the same bytes."""
    claim = GOOD[name]()
    changed = replace(claim, data=data.draw(respelled(claim.data) | damaged(claim.data)))
    if accepted(changed):
        assert onnx.load_from_string(changed.data).SerializeToString(deterministic=True) == changed.data
        assert without_numbers(changed.data, claim) == without_numbers(claim.data, claim)


GAUSSIAN = {"type": "gaussian_bayes"}
SPECS = {
    "a classifier that is none": {"classifier": {"type": "script"}},
    "no type": {"classifier": {"probabilities": None}},
    "no classifier": {"number": []},
    "a field more": {"classifier": {"type": "gaussian_bayes", "code": "import os"}},
    "a step more": {"classifier": GAUSSIAN, "after": []},
    "a step that is none": {"classifier": GAUSSIAN, "number": [{"type": "one_hot"}]},
    "another link": {"classifier": {"type": "linear", "probabilities": "tanh"}},
    "no components": {
        "classifier": GAUSSIAN,
        "number": [{"type": "pca", "components": 0, "whiten": True}],
    },
    "components beyond the bound": {
        "classifier": GAUSSIAN,
        "number": [{"type": "pca", "components": 65_537, "whiten": False}],
    },
    "a layer beyond the bound": {"classifier": {"type": "neural", "activation": "relu", "hidden": [2**40]}},
    "a negative position": {
        "classifier": GAUSSIAN,
        "number": [{"type": "impute", "indicators": [-1]}],
    },
    "nine steps on numbers": {"classifier": GAUSSIAN, "number": [{"type": "min_max_scale"}] * 9},
    "a vote without classifiers": {"classifier": {"type": "vote", "estimators": [], "weighted": False}},
    "a power of nothing": {
        "classifier": {"type": "svm", "kernel": "poly", "degree": 0, "vectors": [1, 1], "break_ties": False}
    },
    "a kernel that is none": {
        "classifier": {"type": "svm", "kernel": "python", "degree": 1, "vectors": [1, 1], "break_ties": False}
    },
    "a class without vectors": {
        "classifier": {"type": "svm", "kernel": "rbf", "degree": 1, "vectors": [0, 1], "break_ties": False}
    },
    "a metric that is none": {
        "classifier": {"type": "neighbors", "rows": 9, "neighbors": 1, "metric": "mine", "by_distance": False}
    },
    "rows beyond the bound": {
        "classifier": {"type": "neighbors", "rows": 2**40, "neighbors": 1, "metric": "euclidean", "by_distance": False}
    },
    "an answer that is none": {"classifier": {"type": "one_vs_rest", "estimators": [GAUSSIAN], "gives": "code"}},
    "a bag of 1,001": {"classifier": {"type": "bagging", "estimators": [{"classifier": GAUSSIAN}] * 1001}},
    "a stack without a last one": {
        "classifier": {"type": "stacking", "estimators": [{"classifier": GAUSSIAN, "gives": "label"}]}
    },
    "a number for a truth": {"classifier": {"type": "bernoulli_bayes", "binarize": 1}},
}


@pytest.mark.parametrize("name", SPECS)
def test_a_spec_that_no_writer_makes_is_refused(name: str) -> None:
    """Each value of a spec has a type and bounds, and no field is unknown."""
    with pytest.raises(ValidationError):
        convert(SPECS[name], Steps)


def test_no_more_than_eight_classifiers_stand_in_one_another() -> None:
    """Seven votes around a classifier are read, and one more classifier around them is refused, whichever it is."""
    classifier: dict = GAUSSIAN
    for _ in range(7):
        classifier = {"type": "vote", "weighted": False, "estimators": [classifier]}
    assert convert({"classifier": classifier}, Steps).classifier.depth == 8
    for outer in (
        {"type": "vote", "weighted": False, "estimators": [classifier]},
        {"type": "bagging", "estimators": [{"classifier": classifier}]},
        {"type": "stacking", "estimators": [{"classifier": GAUSSIAN, "gives": "label"}], "final": classifier},
    ):
        with pytest.raises(ValidationError, match="stand in one another"):
            convert({"classifier": {"passthrough": False, **outer} if "final" in outer else outer}, Steps)
