from __future__ import annotations

import json
import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_pipeline.prediction.model import Model
from artifact_pipeline.rows.cells import category_cells
from artifact_pipeline.rows.features import Column
from artifact_pipeline.rows.values import Levels
from artifact_pipeline.serving.http import Refusal
from artifact_pipeline.serving.tensors import inference_response, parse_inference
from asking import Asked, answered, framed
from mixedmodels import COLUMNS, LOGISTIC, MODELS, new_rows, open_mixed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from artifact_pipeline.serving.model import Served
    from artifact_pipeline.serving.tensors import Inference

DATATYPES = {"age": "FP64", "income": "FP64", "made": "INT64", "city": "BYTES", "plan": "BYTES", "smoker": "BOOL"}
FORMS = {"FP64": "<f8", "FP32": "<f4", "INT64": "<i8", "INT32": "<i4", "UINT8": "|u1", "BOOL": "|b1"}
NEW = new_rows()
WHOLE = [row for row in NEW if None not in row]


@pytest.fixture(scope="module", params=[*MODELS])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Served:
    """Each model of the mixed table."""
    return open_mixed(tmp_path_factory.mktemp(request.param), MODELS[request.param])


@pytest.fixture(scope="module")
def logistic(tmp_path_factory: pytest.TempPathFactory) -> Served:
    return open_mixed(tmp_path_factory.mktemp("logistic"), LOGISTIC)


def tensors(rows: Sequence[Sequence[Any]], *, nested: bool = False, **datatypes: str) -> list[dict[str, Any]]:
    """A tensor for each column in JSON."""
    told = []
    for place, name in enumerate(COLUMNS):
        data = [[row[place]] if nested else row[place] for row in rows]
        shape = [len(rows), 1] if nested else [len(rows)]
        datatype = datatypes.get(name, DATATYPES[name])
        told.append({"name": name, "shape": shape, "datatype": datatype, "data": data})
    return told


def sent(inputs: list[dict[str, Any]], **more: Any) -> Asked:
    return Asked(json.dumps({"inputs": inputs, **more}).encode())


def packed(values: Sequence[Any], datatype: str) -> bytes:
    """Values as the protocol lays them out in bytes; a missing text is empty, a missing number NaN."""
    if datatype == "BYTES":
        texts = [(each or "").encode() for each in values]
        return b"".join(struct.pack("<I", len(each)) + each for each in texts)
    return np.array([np.nan if each is None else each for each in values]).astype(FORMS[datatype]).tobytes()


def binary(rows: Sequence[Sequence[Any]], names: Sequence[str] = COLUMNS, **datatypes: str) -> Asked:
    """The same rows with these columns in bytes behind the JSON, and the others in it."""
    inputs, tail = tensors(rows, **datatypes), b""
    for tensor in inputs:
        if tensor["name"] in names:
            data = packed(tensor.pop("data"), tensor["datatype"])
            tensor["parameters"] = {"binary_data_size": len(data)}
            tail += data
    return framed({"inputs": inputs}, tail)


def as_ones(rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """The same rows with 1 and 0 for true and false."""
    return [[*row[:5], None if row[5] is None else int(row[5])] for row in rows]


def parse(asked: Asked, served: Served) -> Inference:
    return parse_inference(asked.body, asked.length, served)


def answer(asked: Asked, served: Served) -> dict[str, Any]:
    inference = parse(asked, served)
    response = inference_response(inference, *served.predictor.checked(*inference.rows), served)
    headers = {name.decode(): value.decode() for name, value in response.headers}
    return answered(response.body, headers)


def predicted(served: Served, rows: Sequence[Sequence[Any]]) -> tuple[list[Any], np.ndarray]:
    """What `predict` says to rows of a table in memory."""
    table = {name: [row[place] for row in rows] for place, name in enumerate(COLUMNS)}
    found = Model(served.verified)._answer(table)
    return found.labels.tolist(), found.values


def refusal(asked: Asked, served: Served) -> str:
    with pytest.raises(Refusal) as caught:
        parse(asked, served)
    message = caught.value.message
    assert caught.value.status in {400, 413}
    assert message.isascii()
    assert message.isprintable()
    assert len(message) < 500
    assert not message.endswith(".")
    return message


def check(asked: Asked, served: Served, rows: Sequence[Sequence[Any]]) -> None:
    """The answer is that of `predict` to the same rows, bit by bit."""
    labels, values = predicted(served, rows)
    told = answer(asked, served)
    assert told["label"].tolist() == labels
    assert np.array_equal(told[served.predictor.kind], values)


# What is answered


@pytest.mark.parametrize("nested", [False, True])
def test_columns_are_answered_as_predict_answers_them(served: Served, nested: bool) -> None:  # noqa: FBT001
    """Missing, unseen and oddly spelt values, by one tensor a column, get the very answers of `predict`."""
    check(sent(tensors(NEW, nested=nested)), served, NEW)


def test_the_order_of_columns_means_nothing(logistic: Served) -> None:
    """Columns may come in any order."""
    check(sent(tensors(NEW)[::-1]), logistic, NEW)


@pytest.mark.parametrize("names", [COLUMNS, COLUMNS[::2], COLUMNS[3:5]])
def test_columns_may_come_in_bytes(served: Served, names: Sequence[str]) -> None:
    """All columns, or some of them, may come as binary data; a missing number is NaN there, a missing text empty."""
    check(binary(as_ones(NEW), names, smoker="FP64"), served, NEW)
    check(binary(WHOLE, names), served, WHOLE)


@pytest.mark.parametrize("datatype", ["FP64", "INT64", "INT32", "UINT8", "BOOL"])
def test_booleans_come_as_ones_and_zeros_too(logistic: Served, datatype: str) -> None:
    """A boolean may be sent by a number's datatype, as 1 and 0."""
    rows = WHOLE if datatype == "BOOL" else as_ones(WHOLE)
    for asked in (sent(tensors(rows, smoker=datatype)), binary(rows, smoker=datatype)):
        check(asked, logistic, WHOLE)


def test_one_row_is_answered_as_many_are(logistic: Served) -> None:
    """A request of one row has the answer that `predict` gives to that row alone."""
    for row in NEW[:10]:
        check(sent(tensors([row])), logistic, [row])


def test_outputs_are_named_by_what_the_model_gives(served: Served) -> None:
    """The outputs are `label`, and `probabilities` or `scores`; the other of the two is refused."""
    kind = served.predictor.kind
    told = answer(sent(tensors(NEW), outputs=[{"name": kind}]), served)
    assert [output["name"] for output in told["outputs"]] == [kind]
    other = ({"probabilities", "scores"} - {kind}).pop()
    assert f"none called {other!r}" in refusal(sent(tensors(NEW), outputs=[{"name": other}]), served)
    assert [each["name"] for each in served.metadata()["outputs"]] == ["label", kind]


def test_the_metadata_lists_the_columns(served: Served) -> None:
    """A model with categories says which columns can be sent, and by which datatype."""
    kinds = {"age": "FP64", "income": "FP64", "made": "FP64", "city": "BYTES", "plan": "BYTES", "smoker": "BOOL"}
    expected = [{"name": name, "datatype": kind, "shape": [-1, 1]} for name, kind in kinds.items()]
    assert served.metadata()["inputs"] == expected


# What is refused


def without(name: str) -> list[dict[str, Any]]:
    return [tensor for tensor in tensors(WHOLE) if tensor["name"] != name]


def changed(name: str, **members: Any) -> list[dict[str, Any]]:
    """The tensors of right rows, with members of one of them changed."""
    return [{**tensor, **(members if tensor["name"] == name else {})} for tensor in tensors(WHOLE)]


def with_value(place: int, value: Any, **datatypes: str) -> list[dict[str, Any]]:
    """The tensors of right rows, with a value of the third row changed."""
    rows = [[*row] for row in WHOLE]
    rows[2][place] = value
    return tensors(rows, **datatypes)


N = len(WHOLE)
MATRIX = {"name": "X", "shape": [1, 6], "datatype": "FP64", "data": [0.0] * 6}
CASES: dict[str, tuple[list[dict[str, Any]], str]] = {
    "no input": ([], "the column 'age' and 5 more are missing: send tensors of these names"),
    "a column that is missing": (without("city"), "the column 'city' is missing"),
    "a column that is unknown": ([*tensors(WHOLE), {**MATRIX, "name": "Y"}], "none called 'Y'"),
    "a column in place of another": ([*without("city"), {**MATRIX, "name": "City"}], "none called 'City'"),
    "a column that is there twice": ([*tensors(WHOLE), tensors(WHOLE)[0]], "the input 'age' stands twice"),
    "a column twice, and another missing": ([*without("city"), tensors(WHOLE)[0]], "'age' stands twice"),
    "the matrix": ([MATRIX], "the model takes its columns by name, and none called 'X'"),
    "the matrix beside the columns": ([*tensors(WHOLE), MATRIX], "none called 'X'"),
    "fewer rows of one": (
        changed("plan", shape=[N - 1], data=["a"] * (N - 1)),
        f"column 'plan' has {N - 1} rows, and column 'age' has {N}: send as many of each",
    ),
    "no rows": ([{**tensor, "shape": [0], "data": []} for tensor in tensors(WHOLE)], "there are no rows"),
    "too many rows": ([{**tensor, "shape": [50_000]} for tensor in tensors(WHOLE)], "50,000 rows are too many"),
    "two columns at once": (changed("age", shape=[N, 2]), "column 'age': the shape must be [n] or [n, 1], got"),
    "no shape": (changed("age", shape=[]), "column 'age': the shape must be [n] or [n, 1], got []"),
    "texts for numbers": (changed("age", datatype="BYTES"), "column 'age': the datatype must be BOOL, FP16"),
    "numbers for texts": (changed("city", datatype="FP64"), "column 'city': the datatype must be BYTES, got 'FP64'"),
    "texts for booleans": (changed("smoker", datatype="BYTES"), "column 'smoker': the datatype must be BOOL, FP16"),
    "no datatype of ours": (changed("city", datatype="STRING"), "must be BYTES, got 'STRING'"),
    "more values than rows": (changed("age", data=[1.0] * (N + 1)), f"means {N} numbers, data has {N + 1}"),
    "fewer texts than rows": (changed("city", data=["a"] * (N - 1)), f"means {N} texts, data has {N - 1}"),
    "more texts than rows": (changed("city", data=["a,\\"] * (N + 1)), f"means {N} texts, data has {N + 1}"),
    "no text": (changed("city", data=[]), f"means {N} texts, data has 0"),
    "empty rows of texts": (changed("city", shape=[N, 1], data=[[]] * (N + 1)), f"data has {N + 1}"),
    "texts in rows of two": (changed("city", shape=[N, 1], data=[["a"] * N]), "nested otherwise than the shape"),
    "nested texts of a flat shape": (changed("city", data=[["a"]] * N), "nested otherwise than the shape"),
    "numbers among texts": (with_value(3, 1), "data of BYTES is not what the protocol asks for: Expected `str`"),
    "texts among numbers": (with_value(0, "1"), "data of FP64 is not what the protocol asks for: Expected `float`"),
    "null where nothing was missing": (
        with_value(1, None),
        "row 2, column 'income': the value is missing; send a value, since none was missing in training",
    ),
    "null in whole numbers": (with_value(2, None), "row 2, column 'made': the value is missing"),
    "null among texts": (with_value(4, None), "row 2, column 'plan': the value is missing"),
    "a text for missing": (with_value(4, " NA"), "row 2, column 'plan': the value is missing"),
    "a number that is too large": (with_value(0, 1e301), "row 2, column 'age': 1e+301 is not a finite number of at"),
    "a number beyond JSON": (with_value(0, 10**400), "no finite float64"),
    "a number for a boolean": (
        changed("smoker", datatype="INT64", data=[0, 1, 2] + [0] * (N - 3)),
        "row 2, column 'smoker': 2.0 is neither true nor",
    ),
    "a null character": (with_value(3, "a\0b"), "row 2, column 'city': 'a\\x00b' holds a null character; leave that"),
    "data that is a text": (changed("city", data="Paris"), "data must be an array"),
    "data that is missing": ([{**each, "data": None} for each in tensors(WHOLE)], "data must be an array"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_does_not_fit_the_columns_is_refused(logistic: Served, name: str) -> None:
    """Each thing that does not fit is refused in one sentence that says where, why, and what to do."""
    inputs, words = CASES[name]
    assert words in refusal(sent(inputs), logistic)


def test_wrong_bytes_are_refused(logistic: Served) -> None:
    """Bytes that are too few, too many, no texts, or not said to be there are refused, whichever column has them."""
    asked = binary(WHOLE)
    assert asked.length is not None
    for body in (asked.body + b"\0", asked.body[:-1], asked.body[: int(asked.length)]):
        assert "bytes follow the JSON" in refusal(Asked(body, asked.length), logistic)
    one = WHOLE[:1]
    inputs = tensors(one)
    for data in (b"", b"\1\0\0\0", b"\2\0\0\0a", b"\xff\xff\xff\xffa", b"\1\0\0\0ab", b"\1\0\0\0\xff"):
        inputs[3] = {"name": "city", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": len(data)}}
        words = refusal(framed({"inputs": inputs}, data), logistic)
        assert words.startswith("column 'city': ")
    told = {**tensors(one)[0], "parameters": {"binary_data_size": 8}}
    assert "JSON data, and binary data" in refusal(framed({"inputs": [told, *tensors(one)[1:]]}, bytes(8)), logistic)
    assert "binary data beside it" in refusal(framed({"inputs": tensors(one)}, bytes(8)), logistic)


def test_an_unknown_level_is_refused_where_the_model_refuses_it(logistic: Served) -> None:
    """Where other levels are refused, as `predict` refuses them, the message names row, column and levels."""
    column = replace(logistic.inputs["city"].column, other="refuse")
    city = replace(logistic.inputs["city"], column=column, levels=Levels(column))
    strict = replace(logistic, inputs={**logistic.inputs, "city": city})
    words = refusal(sent(changed("city", data=["Berlin", "", *["Roma"] * (N - 2)])), strict)
    assert words == (
        "row 2, column 'city': 'Roma' is none of the model's levels; send one of them, such as 'Berlin', "
        r"'Paris', '\u0141\xf3d\u017a'"
    )
    check(sent(tensors(WHOLE[6:])), strict, WHOLE[6:])


@given(
    st.lists(
        st.sampled_from(["", "1", "1.0", "01", "true", "TRUE", "a", " a", "x\0"]) | st.text(max_size=3), unique=True
    ),
    st.lists(st.sampled_from(["", " NA\t", "1", "1.0", "-1", "true", "True", "FALSE", "a"]) | st.text(max_size=3)),
    st.booleans(),
    st.sampled_from(["accept", "refuse"]),
)
def test_a_text_is_the_same_in_a_request_and_in_a_file(
    levels: list[str],
    texts: list[str],
    nullable: bool,  # noqa: FBT001
    other: Any,
) -> None:
    """Whatever the levels are, a text of a request is what the same text of a file is, or breaks the same rule."""
    column = Column("c", "category", nullable, tuple(sorted(levels)), other)
    cells = category_cells(pa.array(texts, pa.string()), column)
    rules = [""] * len(texts)
    for rule, broken in cells.bad[::-1]:
        marks = np.asarray(broken)
        rules = [rule if mark else each for mark, each in zip(marks, rules, strict=True)]
    found = [Levels(column).of_cell(text) for text in texts]
    assert [level.rule for level in found] == rules
    assert [level.text for level in found] == cells.values.tolist()
    assert sum(level.unseen for level in found) == cells.unseen
