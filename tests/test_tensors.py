from __future__ import annotations

import json
import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_pipeline.model.predictor import Answers
from artifact_pipeline.rows.limits import MAX_WHOLE
from artifact_pipeline.serving.http import Refusal
from artifact_pipeline.serving.inputs import SentRows
from artifact_pipeline.serving.tensors import Inference, inference_response, parse_inference
from asking import DIGITS, FORMS, FRAMINGS, Asked, answered, ask, framed, open_digits

if TYPE_CHECKING:
    from pathlib import Path

    from artifact_pipeline.serving.http import Response
    from artifact_pipeline.serving.model import Served

ROW = DIGITS.X[:1]
TENSOR: dict[str, Any] = {"name": "X", "shape": [1, 64], "datatype": "FP64", "data": ROW[0].tolist()}
REMOVED = object()


@pytest.fixture(scope="module", params=["candidate", "candidate_1"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Served:
    """The digits as each format has them: float64, and float32."""
    return open_digits(request.getfixturevalue(request.param), tmp_path_factory.mktemp("served"))


def parse(asked: Asked, served: Served) -> Inference:
    return parse_inference(asked.body, asked.length, served)


def refusal(asked: Asked, served: Served) -> Refusal:
    with pytest.raises(Refusal) as caught:
        parse(asked, served)
    message = caught.value.message
    assert message.isascii()
    assert message.isprintable()
    assert len(message) < 400
    assert not message.endswith(".")
    assert caught.value.response().status == caught.value.status
    return caught.value


def tensor(**changed: Any) -> dict[str, Any]:
    """The first digit as a tensor, with some members changed or removed."""
    return {name: value for name, value in {**TENSOR, **changed}.items() if value is not REMOVED}


def request(*tensors: Any, **more: Any) -> Asked:
    return Asked(json.dumps({"inputs": tensors, **more}).encode())


def binary(size: Any, tail: bytes, **changed: Any) -> Asked:
    return framed({"inputs": [tensor(data=REMOVED, parameters={"binary_data_size": size}, **changed)]}, tail)


# What is read


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("datatype", FORMS)
def test_rows_are_read_exactly(served: Served, datatype: str, framing: str) -> None:
    """In each datatype and framing the rows are those that were sent, in the datatype's own form or the model's."""
    X = parse(ask(DIGITS.X[:7], datatype, framing), served).rows.X
    assert X.dtype in {np.dtype(FORMS[datatype]), served.predictor.dtype}
    assert np.array_equal(X, DIGITS.X[:7])


@pytest.mark.parametrize("spaces", range(16))
@pytest.mark.parametrize("datatype", ["FP32", "FP64", "INT64"])
def test_numbers_are_aligned_wherever_they_begin(served: Served, datatype: str, spaces: int) -> None:
    """However long the JSON before them is, binary numbers are aligned as the runtime wants them."""
    asked = ask(DIGITS.X[:3], datatype, "binary")
    assert asked.length is not None
    length = int(asked.length)
    X = parse(Asked(asked.body[:length] + b" " * spaces + asked.body[length:], str(length + spaces)), served).rows.X
    assert X.flags.aligned
    assert np.array_equal(X, DIGITS.X[:3])


@pytest.mark.parametrize("space", [b" ", b"\n", b"\t\r\n "])
@pytest.mark.parametrize("framing", ["flat", "rows", "squares"])
def test_space_in_json_means_nothing(served: Served, framing: str, space: bytes) -> None:
    """Space around every sign of the JSON changes nothing, nested or not."""
    body = ask(DIGITS.X[:2], "FP64", framing).body
    for sign in (b"[", b"]", b"{", b"}", b",", b":"):
        body = body.replace(sign, space + sign + space)
    assert np.array_equal(parse(Asked(body), served).rows.X, DIGITS.X[:2])


@pytest.mark.parametrize("datatype", FORMS)
def test_whole_numbers_may_be_written_with_a_point(served: Served, datatype: str) -> None:
    """In JSON 1.0 and 1 are one number: in the shape and in the data of whole numbers, either is read."""
    asked = request(tensor(datatype=datatype, shape=[1.0, 64.0], data=[1.0, 2] * 32))
    assert parse(asked, served).rows.X.tolist() == [[1, 2] * 32]


def test_unknown_members_are_passed_over(served: Served) -> None:
    """What the protocol leaves open is passed over: parameters of anybody, and members that are not known."""
    unknown = {"a": [1, {"b": None}], "name": "c:d", "priority": 1e999}
    told = tensor(parameters={"content_type": "np"}, extra=[unknown, unknown])
    asked = request(told, parameters={"priority": 1}, extra=unknown, outputs=[{"name": "label", "extra": [[]]}])
    asked = replace(asked, body=asked.body.replace(b"Infinity", b"1e999"))
    found = parse(asked, served)
    assert found.outputs == (("label", False),)
    assert np.array_equal(found.rows.X, ROW)


@pytest.mark.parametrize("id_", ["", "42", "a:b:c", "\\:", '"', "é\U0001f600", "\x7f\x00\n", "x" * 100_000])
def test_an_id_is_repeated(served: Served, id_: str) -> None:
    """Any text is an id, and stands in the answer as it was."""
    for asked in (ask(ROW, id=id_), ask(ROW, "FP32", "binary", id=id_)):
        assert parse(asked, served).id == id_
        assert answered(*whole(respond(asked, served)))["id"] == id_


def test_without_an_id_there_is_none(served: Served) -> None:
    """A request without an id, or with null for it, has an answer without one."""
    assert parse(ask(ROW), served).id is None
    assert "id" not in answered(*whole(respond(ask(ROW, id=None), served)))


PLAIN = {"name": '"X"', "shape": "[2,64]", "datatype": '"FP64"', "data": f"[{'0.1,' * 127}5.5]"}
"""The members of a tensor that is read in one pass."""
NUMBERS = ("-0.0", "7", "1e300", "-1.1e300", "5e-324", "1E2", "9" * 19, "1" * 400, "1e999", "01", "", "NaN", "null")
INSTEAD: list[dict[str, str]] = [
    *({"name": each} for each in ('"Y"', '"X:"', '"\\u0058"', "null")),
    *({"shape": f"[{each}]"} for each in ("2,8,8", "2.0,64", "1,64", "128", "64,2", "2,63", "9999,64", "-2,64", "")),
    *({"datatype": each} for each in ('"FP32"', '"BOOL"', '"INT64"', '"a:b"')),
    *({"data": PLAIN["data"].replace("5.5", each)} for each in (*NUMBERS, "true", '"1"', "[1]", "1,1", "1],[1")),
    {"shape": "[0,64]", "data": "[]"},
    *({"id": each} for each in ('"a"', '"a:b"', '"\\u003a"', "null", "7", '"b","id":"a"')),
    *({"beside": each} for each in ('"name":"X"', '"data":[1]', '"more":":"', '"parameters":{}')),
]
"""What stands in the place of some of them, or beside all."""


@pytest.mark.parametrize("instead", [{}, *INSTEAD], ids=lambda each: str(each)[-40:])
@pytest.mark.parametrize("order", [1, -1])
def test_a_request_is_read_the_same_with_its_length(served: Served, instead: dict[str, str], order: int) -> None:
    """A request that may be read in one pass has the rows, or the refusal, of one that tells its length and is not."""
    members = {**PLAIN, **instead}
    id_, beside = ([members.pop(name)] if name in members else [] for name in ("id", "beside"))
    tensor = ",".join([f'"{name}":{value}' for name, value in members.items()][::order] + beside)
    body = ",".join([f'{{"inputs":[{{{tensor}}}]', *(f'"id":{each}' for each in id_)]).encode() + b"}"
    found: list[Any] = []
    for length in (None, str(len(body))):
        try:
            inference = parse(Asked(body, length), served)
        except Refusal as refused:
            found.append((refused.status, refused.message))
        else:
            X = inference.rows.X
            found.append((X.dtype, X.shape, X.tobytes(), inference.rows.S, inference.id, inference.outputs))
    assert found[0] == found[1]


def test_as_many_plain_rows_as_are_allowed_are_read(served: Served) -> None:
    """The bound on rows holds for a request that is read in one pass."""
    for bound, status in ((2, 0), (1, 413)):
        asked, few = ask(DIGITS.X[:2], "FP64", "flat"), replace(served, max_rows=bound)
        assert (refusal(asked, few).status if status else len(parse(asked, few).rows.X)) in {2, status}


BOTH = (("label", False), ("probabilities", False))


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        ({}, BOTH),
        ({"outputs": []}, BOTH),
        ({"outputs": None, "parameters": None}, BOTH),
        ({"outputs": [{"name": "probabilities"}]}, (("probabilities", False),)),
        ({"outputs": [{"name": "probabilities"}, {"name": "label"}]}, BOTH[::-1]),
        ({"parameters": {"binary_data_output": True}}, (("label", True), ("probabilities", True))),
        ({"outputs": [{"name": "label", "parameters": {"binary_data": True}}]}, (("label", True),)),
        (
            {
                "parameters": {"binary_data_output": True},
                "outputs": [{"name": "label", "parameters": {"binary_data": False}}, {"name": "probabilities"}],
            },
            (("label", False), ("probabilities", True)),
        ),
        ({"outputs": [{"name": "label", "parameters": {"binary_data": None}}]}, (("label", False),)),
        ({"outputs": [{"name": "label", "parameters": None}]}, (("label", False),)),
    ],
)
def test_outputs_are_given_as_they_are_wanted(
    served: Served, more: dict[str, Any], wanted: tuple[tuple[str, bool], ...]
) -> None:
    """Outputs stand in the order that was asked for, all without one, and as bytes where that is asked."""
    asked = ask(DIGITS.X[:3], **more)
    assert parse(asked, served).outputs == wanted
    response = respond(asked, served)
    told = answered(*whole(response))
    assert [(output["name"], "data" not in output) for output in told["outputs"]] == list(wanted)
    answers = served.predictor.predict(DIGITS.X[:3])
    expected = {"label": answers.labels, "probabilities": answers.probabilities}
    assert all(np.array_equal(told[name], expected[name]) for name, _ in wanted)


@pytest.mark.parametrize("datatype", [name for name, form in FORMS.items() if form[1] in "iu"])
@given(data=st.data())
def test_whole_numbers_survive_or_are_refused(served: Served, datatype: str, data: st.DataObject) -> None:
    """The model gets whole numbers exactly; beyond those of which its own type has every one, they are refused."""
    form, wide = np.dtype(FORMS[datatype]), not served.narrow
    numbers = st.integers(int(np.iinfo(form).min), int(np.iinfo(form).max))
    near = st.sampled_from([0, 1, 255, 2**24, 2**24 + 1, 2**24 + 2, 2**31 - 1, 2**53 - 1, 2**53, 2**53 + 2])
    row = data.draw(st.lists(numbers | near.filter(lambda each: each <= np.iinfo(form).max), min_size=64, max_size=64))
    kept = all(abs(each) < (2**53 if wide else 2**24 + 1) for each in row)
    for framing in ("rows", "binary"):
        asked = ask(np.array([row], dtype=form), datatype, framing)
        if kept:
            X = parse(asked, served).rows.X
            assert X.astype(served.predictor.dtype)[0].tolist() == row
        else:
            assert refusal(asked, served).status == 400


def test_truth_values_are_ones_and_zeros(served: Served) -> None:
    """Truth values, in JSON or in bytes, are the numbers 1 and 0 to the model, whatever else is in the request."""
    row = [index % 3 == 0 for index in range(64)]
    asked = [request(tensor(datatype="BOOL", data=data)) for data in (row, [row])]
    asked += [request(tensor(datatype="BOOL", shape=[1, 8, 8], data=np.reshape(row, (1, 8, 8)).tolist()))]
    asked += [binary(64, bytes(row), datatype="BOOL")]
    answers = served.predictor.predict(np.array([row], dtype=np.float64))
    for each in asked:
        told = answered(*whole(respond(each, served)))
        assert told["label"].tolist() == answers.labels.tolist()
        assert np.array_equal(told["probabilities"], answers.probabilities)


# What is refused


MANY = [1.0] * 64
CASES: list[tuple[str, Asked, str]] = [
    ("no input", request(), 'the input "X" is missing'),
    ("another input", request(tensor(name="Y")), "none called 'Y'"),
    ("another input beside it", request(tensor(), tensor(name="Y")), "none called 'Y'"),
    ("the input twice", request(tensor(), tensor()), "stands twice"),
    ("no name", request(tensor(name=REMOVED)), "missing required field `name`"),
    ("no shape", request(tensor(shape=REMOVED)), "missing required field `shape`"),
    ("no datatype", request(tensor(datatype=REMOVED)), "missing required field `datatype`"),
    ("no data", request(tensor(data=REMOVED)), "neither in JSON nor"),
    ("a hostile name", request(tensor(name="\x1b[2J\u202e\n")), r"'\x1b[2J\u202e\n'"),
    ("a long name", request(tensor(name="é" * 9999)), r"\xe9"),
    ("another datatype", request(tensor(datatype="BF16")), "the datatype must be BOOL, FP16, FP32, FP64, INT8, INT16"),
    ("a datatype in lower case", request(tensor(datatype="fp32")), "got 'fp32'"),
    ("texts", request(tensor(datatype="BYTES")), "got 'BYTES'"),
    ("too few features", request(tensor(shape=[1, 63])), "the shape must be [n, 64] or [n, 8, 8]"),
    ("features before rows", request(tensor(shape=[64, 1])), "got [64, 1]"),
    ("a flat shape", request(tensor(shape=[64])), "got [64]"),
    ("no shape at all", request(tensor(shape=[])), "got []"),
    ("a channel more", request(tensor(shape=[1, 8, 8, 1])), "got [1, 8, 8, 1]"),
    ("a deep shape", request(tensor(shape=[1] * 9)), "length <= 8"),
    ("no rows", request(tensor(shape=[0, 64], data=[])), "there are no rows"),
    ("a negative shape", request(tensor(shape=[-1, 64])), ">= 0"),
    ("a shape of a fraction", request(tensor(shape=[1.5, 64])), "multiple of 1"),
    ("a shape of a truth value", request(tensor(shape=[True, 64])), "got `bool`"),
    ("a shape of a text", request(tensor(shape=["1", 64])), "got `str`"),
    ("a shape beyond all bounds", request(tensor(shape=[2**53, 64])), "Expected `int` <"),
    ("a shape beyond 64 bits", request(tensor(shape=[2**64, 64])), "Expected `int` <"),
    ("a number too few", request(tensor(data=MANY[1:])), "means 64 numbers, data has 63"),
    ("a number too many", request(tensor(data=[*MANY, 1.0])), "data has 65"),
    ("no number", request(tensor(data=[])), "data has 0"),
    ("a row too few", request(tensor(shape=[2, 64])), "means 128 numbers, data has 64"),
    ("data that is a number", request(tensor(data=1)), "data must be an array"),
    ("data that is null", request(tensor(data=None)), "data must be an array"),
    ("data that is a text", request(tensor(data="1," * 63 + "1")), "data must be an array"),
    ("data that is an object", request(tensor(data={"a": MANY})), "data must be an array"),
    ("numbers as texts", request(tensor(data=["1"] * 64)), "Expected `float`, got `str`"),
    ("truth values", request(tensor(data=[True] * 64)), "Expected `float`, got `bool`"),
    ("nothings", request(tensor(data=[None] * 64)), "the value is missing; send a value"),
    ("objects", request(tensor(data=[{}] * 64)), "Expected `float`, got `object`"),
    ("fractions as whole numbers", request(tensor(datatype="INT64", data=[1.5] * 64)), "multiple of 1"),
    ("a whole number too large", request(tensor(datatype="INT64", data=[2**53] * 64)), f"<= {MAX_WHOLE}"),
    ("a whole number too small", request(tensor(datatype="INT64", data=[-(2**53)] * 64)), f">= -{MAX_WHOLE}"),
    ("a whole number beyond 64 bits", request(tensor(datatype="INT64", data=[2**64] * 64)), "data of INT64"),
    ("a byte too large", request(tensor(datatype="UINT8", data=[256] * 64)), "<= 255"),
    ("a negative byte", request(tensor(datatype="UINT8", data=[-1] * 64)), ">= 0"),
    ("a number that FP16 does not have", request(tensor(datatype="FP16", data=[65505] * 64)), "<= 65504"),
    ("a whole number that INT32 does not have", request(tensor(datatype="INT32", data=[2**31] * 64)), "<= 2147483647"),
    ("a negative number without a sign", request(tensor(datatype="UINT64", data=[-1] * 64)), ">= 0"),
    ("a number as a truth value", request(tensor(datatype="BOOL", data=[1] * 64)), "Expected `bool`, got `int`"),
    ("a truth value as a number", request(tensor(datatype="INT8", data=[True] * 64)), "got `bool`"),
    ("a number that FP32 does not have", request(tensor(datatype="FP32", data=[3.5e38] * 64)), "data of FP32"),
    ("rows of another length", request(tensor(data=[MANY[:32], MANY[:32]])), "nested otherwise"),
    ("ragged rows", request(tensor(data=[MANY[:33], MANY[:31]])), "nested otherwise"),
    ("rows by squares", request(tensor(data=np.ones((1, 8, 8)).tolist())), "Expected `float`, got `array`"),
    ("squares by rows", request(tensor(shape=[1, 8, 8], data=[MANY])), "Expected `array`, got `float`"),
    ("squares of another side", request(tensor(shape=[1, 8, 8], data=np.ones((1, 4, 16)).tolist())), "otherwise"),
    ("numbers beside a row", request(tensor(data=[1.0, MANY[1:]])), "Expected `float`, got `array`"),
    ("a row beside numbers", request(tensor(data=[MANY[1:], 1.0])), "Expected `array`, got `float`"),
    ("an empty row", request(tensor(shape=[2, 64], data=[[*MANY, *MANY[1:]], []])), "nested otherwise"),
    ("another output", request(tensor(), outputs=[{"name": "score"}]), "none called 'score'"),
    ("an output twice", request(tensor(), outputs=[{"name": "label"}] * 2), "wanted twice"),
    ("an output without a name", request(tensor(), outputs=[{}]), "missing required field `name`"),
    (
        "classification",
        request(tensor(), outputs=[{"name": "label", "parameters": {"classification": 3}}]),
        'the parameter "classification" is not served',
    ),
    ("an id that is a number", request(tensor(), id=7), "Expected `str | null`, got `int`"),
    (
        "binary_data that is a number",
        request(tensor(), outputs=[{"name": "label", "parameters": {"binary_data": 1}}]),
        "bool",
    ),
    ("both data and a size", request(tensor(parameters={"binary_data_size": 512})), "binary data beside it"),
    ("both data and bytes", framed({"inputs": [TENSOR]}, bytes(512)), "binary data beside it"),
    ("both data and all of it", framed({"inputs": [tensor(parameters={"binary_data_size": 8})]}, bytes(8)), "beside"),
    ("neither data nor a size", framed({"inputs": [tensor(data=REMOVED)]}, bytes(512)), "neither in JSON nor"),
    ("a size too small", binary(511, bytes(512)), "takes 512 bytes, not 511"),
    ("a size of another datatype", binary(256, bytes(256)), "takes 512 bytes, not 256"),
    ("a negative size", binary(-1, bytes(512)), ">= 0"),
    ("a size that is no number", binary("512", bytes(512)), "Expected `int | null`"),
    ("a size beyond 64 bits", binary(2**64, bytes(512)), "takes 512 bytes"),
    ("bytes too few", binary(512, bytes(511)), "511 bytes follow the JSON"),
    ("bytes too many", binary(512, bytes(513)), "513 bytes follow the JSON"),
    ("no bytes", binary(512, b""), "0 bytes follow the JSON"),
    ("a whole number too large, binary", binary(512, struct.pack("<64q", *[2**53] * 64), datatype="INT64"), "from -9,"),
    ("a truth value of two", binary(64, b"\1" * 63 + b"\2", datatype="BOOL"), "must be a byte of 0 or 1"),
    ("the greatest whole number", binary(512, b"\xff" * 512, datatype="UINT64"), "a whole number must be from -9,"),
    ("the least whole number", binary(512, struct.pack("<64q", *[-(2**63)] * 64), datatype="INT64"), "a whole number"),
]


@pytest.mark.parametrize(("asked", "words"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_does_not_fit_is_refused(served: Served, asked: Asked, words: str) -> None:
    """A request that does not fit the protocol or the model is refused with 400 and a sentence that says why."""
    refused = refusal(asked, served)
    assert (refused.status, words in refused.message) == (400, True), refused.message


@pytest.mark.parametrize(
    ("asked", "number"),
    [
        (request(tensor(datatype="UINT32", data=[2**24 + 1] * 64)), 2**24 + 1),
        (binary(256, struct.pack("<64i", *[-(2**24) - 1] * 64), datatype="INT32"), -(2**24) - 1),
    ],
    ids=["JSON", "binary"],
)
def test_a_number_that_the_model_lacks_is_refused(served: Served, asked: Asked, number: int) -> None:
    """A whole number that float32 may not have is refused by a model that takes it; one of float64 reads it."""
    if not served.narrow:
        assert parse(asked, served).rows.X.tolist() == [[number] * 64]
        return
    refused = refusal(asked, served)
    words = "the model takes FP32: a whole number must be at most 16,777,216; send FP64, which is rounded"
    assert (refused.status, words in refused.message) == (400, True), refused.message


GOOD = request(tensor()).body
TEXT = GOOD.decode()
MALFORMED: dict[str, bytes] = {
    "nothing": b"",
    "space": b"  ",
    "cut": GOOD[:-1],
    "cut within a number": GOOD[:60],
    "something behind it": GOOD + b"{}",
    "a comma at the end": GOOD.replace(b"]}]}", b"],}]}"),
    "a number without a digit": GOOD.replace(b"13.0", b"13."),
    "a zero too many": GOOD.replace(b"13.0", b"013.0"),
    "a plus": GOOD.replace(b"13.0", b"+13.0"),
    "hexadecimal": GOOD.replace(b"13.0", b"0x13"),
    "NaN behind what is no JSON": GOOD.replace(b"13.0", b"013.0").replace(b"15.0", b"NaN"),
    "NaN in lower case": GOOD.replace(b"13.0", b"nan"),
    "a byte order mark": b"\xef\xbb\xbf" + GOOD,
    "UTF-16": TEXT.encode("utf-16"),
    "UTF-32": TEXT.encode("utf-32-le"),
    "a byte that is no text": GOOD.replace(b'"X"', b'"\xff"'),
    "a byte that is no text in an unknown name": GOOD.replace(b"{", b'{"\xff": 1, ', 1),
    "a byte that is no text in an unknown value": GOOD.replace(b"{", b'{"more": "\xc3(", ', 1),
    "half a pair": GOOD.replace(b"{", b'{"id": "\\ud800", ', 1),
    "half a pair in an unknown value": GOOD.replace(b"{", b'{"more": "\\ud800", ', 1),
    "a control character": GOOD.replace(b"{", b'{"id": "\x00", ', 1),
    "quotes of the other kind": GOOD.replace(b'"', b"'"),
    "a comment": b"// {}\n" + GOOD,
    "an array": b"[]",
    "a text": b'"inputs"',
    "null": b"null",
    "inputs that are an object": b'{"inputs": {}}',
    "deeply nested": b"[" * 100_000,
    "deeply nested, and whole": b'{"inputs": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deeply nested in data": GOOD.replace(b"[0.0", b"[" * 100_000 + b"0.0"),
    "deeply nested in an unknown value": GOOD.replace(b"{", b'{"a": ' + b"[" * 9999 + b"]" * 9999 + b", ", 1),
    "a pickle": b"\x80\x04N.",
}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 5000])
@pytest.mark.parametrize("datatype", ["FP64", "FP32"])
@pytest.mark.parametrize("nesting", ["{}", "[{}]"])
def test_a_number_that_is_not_finite_is_refused_as_in_bytes(
    served: Served, number: str, datatype: str, nesting: str
) -> None:
    """What JSON has no number for, and its writers write all the same, has the sentence that bytes get."""
    data = nesting.format(json.dumps(MANY).replace("1.0", number))
    body = request(tensor(datatype=datatype, data=0)).body.replace(b'"data": 0', f'"data": {data}'.encode())
    assert refusal(Asked(body), served).message == f"a row holds a value that is no finite {served.predictor.dtype}"


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
@pytest.mark.parametrize("length", [True, False], ids=["by its header", "whole"])
def test_malformed_json_is_refused(served: Served, body: bytes, length: bool) -> None:  # noqa: FBT001
    """What is no JSON, or JSON of something else, is refused, with or without the header that tells its length."""
    assert body != GOOD
    refused = refusal(Asked(body, str(len(body)) if length else None), served)
    assert refused.status == 400
    assert "is not what the protocol asks for: " in refused.message


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('{"inputs"', '{"inputs": [], "inputs"'),
        ('{"inputs"', '{"id": "a", "id": "b", "inputs"'),
        ('{"inputs"', '{"id": "a", "i\\u0064": "b", "inputs"'),
        ('{"inputs"', '{"id": "a", "id": "a\\u003ab", "inputs"'),  # as many colons as one of them alone has
        ('{"inputs"', '{"more": 1, "more": 1, "inputs"'),
        ('{"inputs"', '{"more": [{"a": {"b": 1, "b": 2}}], "inputs"'),
        ('{"inputs"', '{"outputs": null, "outputs": [{"name": "label"}], "inputs"'),
        ('{"inputs"', '{"outputs": [{"name": "label", "name": "label"}], "inputs"'),
        ('{"inputs"', '{"parameters": {"binary_data_output": true, "binary_data_output": false}, "inputs"'),
        ('"name": "X"', '"name": "Y", "name": "X"'),
        ('"shape"', '"shape": [2, 64], "shape"'),
        ('"datatype"', '"datatype": "FP64", "datatype"'),
        ('"data"', '"data": [1], "data"'),
        ('"data"', f'"data": {json.dumps(TENSOR["data"])}, "data"'),
    ],
)
def test_a_name_that_stands_twice_is_refused(served: Served, old: str, new: str) -> None:
    """A name that stands twice in one object is refused, however it is written: readers differ in which one counts."""
    assert TEXT.count(old) == 1
    for text in (TEXT, TEXT.replace(": ", ":"), TEXT.replace(",", ",\n")):
        changed = text.replace(old.replace(": ", ":") if ": " not in text else old, new)
        assert changed != text
        refused = refusal(Asked(changed.encode()), served)
        assert refused.status == 400
        assert "stands twice in one object" in refused.message


@pytest.mark.parametrize(
    "length",
    ["", " ", "-1", "+5", "1_0", "0x1", "1e2", "1.0", " 5", "5 ", "5, 5", "\u0665", "\ufffd", "9" * 16, "9" * 5000],
)
def test_a_length_that_is_no_whole_number_is_refused(served: Served, length: str) -> None:
    """The header's length is digits and nothing else, and is never repeated unescaped or at length."""
    refused = refusal(replace(ask(ROW, "FP32", "binary"), length=length), served)
    assert refused.status == 400
    assert refused.message.startswith("Inference-Header-Content-Length must be a whole number, got ")


def test_a_length_that_is_not_true_is_refused(served: Served) -> None:
    """Whatever length is told but the true one, the request is refused."""
    asked = ask(ROW, "UINT8", "binary")
    true = int(asked.length or "")
    for length in {*range(len(asked.body) + 20), 10**9, 10**15 - 1} - {true}:
        assert refusal(replace(asked, length=str(length)), served).status == 400
    assert np.array_equal(parse(replace(asked, length=f"{true:015}"), served).rows.X, ROW)


def test_too_many_rows_are_refused_before_they_are_read(served: Served) -> None:
    """Rows above the bound are refused with 413 by the shape alone, whatever of them is there."""
    assert served.max_rows == 4_096
    for rows in (4_097, 2**50):
        for asked in (request(tensor(shape=[rows, 64])), binary(rows * 512, bytes(512), shape=[rows, 64])):
            refused = refusal(asked, served)
            assert refused.status == 413
            assert f"{rows:,} rows are too many for a request, allowed are 4,096" in refused.message


def test_as_many_rows_as_are_allowed_are_read(served: Served) -> None:
    """The bound itself is allowed, in JSON and in bytes."""
    X = np.arange(4_096 * 64).reshape(4_096, 64) % 17
    for framing in ("flat", "squares", "binary"):
        assert np.array_equal(parse(ask(X, "UINT8", framing), served).rows.X, X)


@pytest.mark.parametrize("data", [[], [[]], [[[]]], [1, 2], {}, None, "1"])
def test_one_feature_alone_is_checked_as_many_are(served: Served, data: Any) -> None:
    """A model of a single feature takes its number, flat or nested, and nothing in its place."""
    one = replace(served, features=1, shapes=((1,), (1, 1)))
    assert refusal(request(tensor(shape=[1, 1], data=data)), one).status == 400
    for shape, good in (([1, 1], [7]), ([1, 1], [[7]]), ([1, 1, 1], [[[7]]])):
        assert parse(request(tensor(shape=shape, data=good)), one).rows.X.tolist() == [[7.0]]


def test_rows_that_are_no_pictures_have_one_shape(served: Served) -> None:
    """A model whose rows are no pictures takes them by one shape."""
    two = replace(served, features=2, shapes=((2,),))
    assert refusal(request(tensor(shape=[1, 1, 2], data=[1, 2])), two).message == (
        "the shape must be [n, 2], got [1, 1, 2]"
    )
    assert parse(request(tensor(shape=[2, 2], data=[1, 2, 3, 4])), two).rows.X.tolist() == [[1, 2], [3, 4]]


# What is answered


def respond(asked: Asked, served: Served) -> Response:
    inference = parse(asked, served)
    return written(inference, served.predictor.predict(inference.rows.X), served)


def written(asked: Inference, answers: Answers, served: Served) -> Response:
    return inference_response(asked, answers.labels, answers.probabilities, served)


def whole(response: Response) -> tuple[bytes, dict[str, str]]:
    assert response.status == 200
    return response.body, {name.decode(): value.decode() for name, value in response.headers}


def test_an_answer_in_json_is_what_the_protocol_says(served: Served) -> None:
    """An answer names the model and its version, and for each output its name, datatype, shape and flat data."""
    response = respond(ask(DIGITS.X[:2]), served)
    answers = served.predictor.predict(DIGITS.X[:2])
    assert response.headers == ((b"content-type", b"application/json"),)
    assert response.rows == 2
    assert json.loads(response.body) == {
        "model_name": "digits",
        "model_version": served.verified.digest.removeprefix("sha256:"),
        "outputs": [
            {"name": "label", "datatype": "INT64", "shape": [2], "data": answers.labels.tolist()},
            {
                "name": "probabilities",
                "datatype": "FP64",
                "shape": [2, 10],
                "data": answers.probabilities.ravel().tolist(),
            },
        ],
    }


def test_an_answer_in_bytes_is_what_the_protocol_says(served: Served) -> None:
    """Bytes stand behind the JSON, little-endian and row by row, and a header tells how long the JSON is."""
    body, headers = whole(respond(ask(DIGITS.X[:2], parameters={"binary_data_output": True}), served))
    answers = served.predictor.predict(DIGITS.X[:2])
    length = int(headers["inference-header-content-length"])
    assert headers["content-type"] == "application/octet-stream"
    assert body[length:] == struct.pack("<2q20d", *answers.labels, *answers.probabilities.ravel())
    outputs = json.loads(body[:length])["outputs"]
    assert [output["parameters"] for output in outputs] == [{"binary_data_size": 16}, {"binary_data_size": 160}]
    assert not any("data" in output for output in outputs)


def test_labels_that_are_texts_are_bytes(served: Served) -> None:
    """Text labels are of the datatype BYTES: texts in JSON, and behind their length in four bytes as binary data."""
    texts = replace(served, texts=True)
    labels = np.array(["", "né", 'say "yes"'])
    answers = Answers(labels, np.array([0, 1, 2]), np.full((3, 3), 1 / 3))
    asked = Inference(SentRows(np.ones((3, 64)), None), None, (("label", False),))
    told = json.loads(written(asked, answers, texts).body)
    assert told["outputs"] == [{"name": "label", "datatype": "BYTES", "shape": [3], "data": ["", "né", 'say "yes"']}]
    body, headers = whole(written(replace(asked, outputs=(("label", True),)), answers, texts))
    assert body.endswith(b'\0\0\0\0\3\0\0\0n\xc3\xa9\x09\0\0\0say "yes"')
    assert answered(body, headers)["label"].tolist() == labels.tolist()


def test_a_million_numbers_are_looked_at_once(served: Served, tmp_path: Path) -> None:
    """A member that is not known makes the names be looked at, and not the numbers, of which there may be a million."""
    X = DIGITS.X[:1000]
    asked = ask(X, "UINT8", "rows", more={"a:b": 1})
    assert np.array_equal(parse(asked, served).rows.X, X)
    twice = asked.body.replace(b'"a:b": 1', b'"a:b": 1, "a:b": 1')
    assert "'a:b' stands twice" in refusal(Asked(twice), served).message
