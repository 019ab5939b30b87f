"""A real server of mixed models: answers, figures, drift, hostile requests, and models of other columns after it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

import artifact_pipeline
from artifact_pipeline.prediction.run import PredictionObserver, PredictionRequest, predict
from artifact_pipeline.serving.http import Refusal
from artifact_pipeline.serving.model import open_model
from artifact_pipeline.serving.openapi import document
from artifact_pipeline.serving.settings import Settings
from artifact_pipeline.serving.tensors import inference_response, parse_inference
from artifact_pipeline.serving.window import Window, Windows
from artifact_pipeline.verification import verify
from asking import Asked, answered
from mixedmodels import COLUMNS, FOREST, MODELS, mixed_rows, new_rows, train_mixed, write_mixed
from servers import serving, wait_until
from tables import blobs, write_table
from test_columns_served import CASES, answer, binary, check, predicted, sent, tensors

if TYPE_CHECKING:
    from pathlib import Path

    from artifact_pipeline.drift.judge import Drift
    from artifact_pipeline.serving.model import Served

NEW = new_rows()
INFER = "/v2/models/digits/infer"


@pytest.fixture(scope="module", params=["logistic", "ridge"])
def artifact(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with probabilities, and one with scores alone."""
    return train_mixed(tmp_path_factory.mktemp(request.param), MODELS[request.param])


@pytest.fixture(scope="module")
def served(artifact: Path) -> Served:
    return open_model(verify(artifact))


def judged(served: Served, requests: list[list[Any]], capacity: int = 1000) -> Drift:
    """What a server's window is judged to be after requests of rows."""
    windows = Windows(1, capacity, served.features)
    window = Window(windows, 0, served)
    for rows in requests:
        inference = parse_inference(sent(tensors(rows)).body, None, served)
        window.note(inference.rows, *served.predictor.checked(*inference.rows), served)
    window.flush()
    found = windows.drift(served)
    assert found is not None
    return found


def judged_by_predict(artifact: Path, rows: list[Any], folder: Path) -> Drift:
    """What `predict` says of the same rows."""
    table = write_mixed(folder / "rows.csv", rows)
    request = PredictionRequest(verify(artifact), (str(table),), str(folder / "out.csv"))
    found = predict(request, PredictionObserver()).drift
    assert found is not None
    return found


def test_drift_is_judged_as_predict_judges_it(artifact: Path, served: Served, tmp_path: Path) -> None:
    """Levels, missing and unseen values count in the window as they do in a file, however the rows were sent."""
    usual = [row[:-1] for row in mixed_rows(300, seed=8)]
    shifted = [[row[0], row[1], row[2], "Roma" if row[3] else None, "a", None] for row in usual]
    for rows in (usual, shifted):
        expected = judged_by_predict(artifact, rows, tmp_path)
        assert judged(served, [rows]) == expected
        assert judged(served, [[row] for row in rows]) == expected
    names = {shift.name for shift in judged(served, [shifted]).drifted}
    assert {"city", "plan", "smoker"} <= names


def test_long_texts_are_not_kept(served: Served) -> None:
    """Of a text that the model does not know nothing is kept for the window, however long it is."""
    row = [*NEW[0]]
    row[3] = "x" * 1_000_000
    rows = parse_inference(sent(tensors([row])).body, None, served).rows
    assert rows.S is not None
    assert max(len(text) for text in rows.S[0]) < 10


def test_a_server_answers_as_predict_does(artifact: Path, served: Served) -> None:
    """Over HTTP, in JSON and in bytes, one by one and together, a mixed table has the answers of `predict`."""
    with serving(artifact) as server:
        for rows in (NEW, NEW[:1], NEW[4:5]):
            labels, values = predicted(served, rows)
            as_ones = [[*row[:5], None if row[5] is None else int(row[5])] for row in rows]
            for asked in (sent(tensors(rows)), binary(as_ones, smoker="FP64")):
                status, headers, body = server.ask("POST", INFER, asked.body, asked.headers)
                assert status == 200, body
                told = answered(body, headers)
                assert told["label"].tolist() == labels
                assert np.array_equal(told[served.predictor.kind], values)
        for inputs, words in CASES.values():
            status, _, body = server.ask("POST", INFER, sent(inputs).body)
            assert status in {400, 413}
            assert words in json.loads(body)["error"]
        assert server.figure("rows_total") == 2 * (len(NEW) + 2)
        assert server.figure("drift_rows") == 2 * (len(NEW) + 2)
        assert json.loads(server.ask("GET", "/v2/models/digits")[2]) == served.metadata()
        assert server.talk.read_text() == ""


@pytest.mark.slow
def test_models_of_other_columns_follow_each_other(tmp_path: Path) -> None:
    """With --follow a model of numbers, one of a mixed table and one of scores take over from each other."""
    table = write_table(tmp_path / "blobs.csv", blobs(["no", "yes"]))
    options = {"name": "digits", "C": 1.0, "solver": "lbfgs", "max_iter": 1000}
    numbers = {**options, "dataset": {"path": str(table), "target": "label"}}
    artifact_pipeline.train(numbers, artifact=tmp_path / "artifact", export=tmp_path / "model.pkl")
    two = json.dumps({"inputs": [{"name": "X", "shape": [1, 2], "datatype": "FP64", "data": [1, 2]}]}).encode()
    apart = [{"name": name, "shape": [1], "datatype": "FP64", "data": [1.5]} for name in ("height", "width")]
    mixed = sent(tensors(NEW)).body
    with serving(tmp_path / "artifact", "--follow", "--window", "100") as server:

        def answers(body: bytes) -> bool:
            return server.ask("POST", INFER, body)[0] == 200

        assert answers(two)
        assert answers(sent(apart).body)
        assert not answers(mixed)
        for model in MODELS.values():
            digest = verify(train_mixed(tmp_path, model)).digest
            place = f"/v2/models/digits/versions/{digest.removeprefix('sha256:')}"
            wait_until(lambda place=place: server.ask("GET", place)[0] == 200)  # type: ignore[misc]
            assert answers(mixed)
            assert not answers(two)
            assert server.figure("drift_rows") > 0
        artifact_pipeline.train(numbers, artifact=tmp_path / "artifact", export=tmp_path / "model.pkl")
        wait_until(lambda: answers(two))
        assert not answers(mixed)
        assert "refused" not in server.talk.read_text()


# Numbers alone


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A forest over numbers and a boolean, some of them missing, without a category."""
    folder = tmp_path_factory.mktemp("plain")
    places = (0, 1, 2, 5, 6)
    rows = [[row[place] for place in places] for row in mixed_rows()]
    columns = {name: [row[at] for row in rows] for at, name in enumerate(("age", "income", "made", "smoker", "y"))}
    table = write_table(folder / "rows.parquet", columns)
    config = {
        "dataset": {"path": str(table), "target": "y"},
        "preprocess": "auto",
        "model": FOREST,
        "gate": {"min_accuracy": 0.3, "min_f1": 0.3, "beats_baseline": False},
    }
    artifact_pipeline.train(config, artifact=folder / "artifact", export=folder / "model.pkl")
    return open_model(verify(folder / "artifact"))


MATRIX = [[41, 20_000.5, 1_700_000_007, 1], [None, 7.25, 1_700_000_007, None], [20, 1e5, 1_700_900_000, 0]]


def matrix(data: Any, datatype: str = "FP64") -> dict[str, Any]:
    return {"name": "X", "shape": [len(MATRIX), 4], "datatype": datatype, "data": data}


def test_the_matrix_holds_what_is_missing(plain: Served) -> None:
    """Where all columns are numbers or booleans the matrix is taken, null or NaN in it where a value may be missing."""
    names = ("age", "income", "made", "smoker")
    columns = [
        {"name": name, "shape": [3, 1], "datatype": "FP64", "data": [row[at] for row in MATRIX]}
        for at, name in enumerate(names)
    ]
    whole = [41, 20_000, 1_700_000_007, 1, None, 7, 1_700_000_007, None, 20, 100_000, 1_700_900_000, 0]
    expected = answer(sent(columns), plain)
    for data in (MATRIX, [value for row in MATRIX for value in row]):
        told = answer(sent([matrix(data)]), plain)
        assert np.array_equal(told["probabilities"], expected["probabilities"])
        assert told["label"].tolist() == expected["label"].tolist()
    X = parse_inference(sent([matrix(whole, "INT64")]).body, None, plain).rows.X
    assert X[2].tolist() == [20, 100_000, 1_700_900_000, 0]
    assert np.isnan(X[1, [0, 3]]).all()
    assert plain.metadata()["inputs"] == [{"name": "X", "datatype": "FP64", "shape": [-1, 4]}]


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (1, None, "row 1, column 'income': the value is missing; send a value"),
        (2, 1e301, "row 1, column 'made': 1e+301 is not a finite number of at most 1e+300"),
        (3, 0.5, "row 1, column 'smoker': 0.5 is neither true nor false"),
    ],
)
def test_a_value_of_the_matrix_is_refused_by_its_column(plain: Served, place: int, value: Any, words: str) -> None:
    """A value that a column does not take is refused by row and column in the matrix too, by a forest as by any."""
    rows = [[*row] for row in MATRIX]
    rows[1][place] = value
    with pytest.raises(Refusal, match="row 1") as caught:
        parse_inference(sent([matrix(rows)]).body, None, plain)
    assert words in caught.value.message


def test_a_matrix_and_a_column_are_not_taken_together(plain: Served) -> None:
    """The matrix beside one of its columns, or a column alone, is refused."""
    age = {"name": "age", "shape": [3], "datatype": "FP64", "data": [1, 2, 3]}
    for inputs, words in (
        ([matrix(MATRIX), age], 'the input "X" holds all columns, and columns stand beside it: send either'),
        ([age], "the column 'income' and 2 more are missing: send tensors of these names"),
        ([matrix(MATRIX), {**age, "name": "aged"}], 'the model takes "X", or its columns by name, and none called'),
    ):
        with pytest.raises(Refusal) as caught:
            parse_inference(sent(inputs).body, None, plain)
        assert words in caught.value.message


# The document


def test_the_document_describes_the_columns(served: Served) -> None:
    """Requests that are answered are valid by the document, and so are its example and the answers."""
    described = json.loads(json.dumps(document(served, Settings())))
    schemas = described["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    inference, reply = (Draft202012Validator(schemas[name]) for name in ("Inference", "Answer"))
    for asked in (sent(tensors(NEW)), sent(tensors(NEW, nested=True)[::-1], outputs=[{"name": "label"}])):
        inference.validate(json.loads(asked.body))
        found = parse_inference(asked.body, None, served)
        response = inference_response(found, *served.predictor.checked(*found.rows), served)
        reply.validate(json.loads(response.body))
    example = described["paths"][INFER]["post"]["requestBody"]["content"]["application/json"]["example"]
    inference.validate(example)
    parse_inference(json.dumps(example).encode(), None, served)


@pytest.mark.slow
def test_the_document_refuses_what_the_server_refuses(served: Served) -> None:
    """Requests that are refused are not valid by the document, where it can say so."""
    described = json.loads(json.dumps(document(served, Settings())))
    inference = Draft202012Validator(described["components"]["schemas"]["Inference"])
    unsaid = {
        "fewer rows of one", "more values than rows", "fewer texts than rows", "more texts than rows",
        "a text for missing", "nested texts of a flat shape", "empty rows of texts",
    }  # fmt: skip
    valid = {name for name, (inputs, _) in CASES.items() if inference.is_valid({"inputs": inputs})}
    assert valid <= unsaid


# Hostile requests


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, 1, 2**53, 2**64, "X", "age", "city", "BYTES", "FP64", "BOOL", "INT8", "NA", "\0", "\ud800"])
    | st.floats(allow_nan=True)
    | st.text(max_size=6)
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=3)
)


def outcome(asked: Asked, served: Served) -> None:
    """See that a request is refused in plain words, or answered for as many rows as it has; nothing else happens."""
    try:
        inference = parse_inference(asked.body, asked.length, served)
    except Refusal as error:
        refused = error
    else:
        labels, found = served.predictor.checked(*inference.rows)
        assert len(labels) == len(found) == len(inference.rows.X)
        inference_response(inference, labels, found, served)
        return
    assert refused.status in {400, 413}
    assert refused.message.isascii()
    assert refused.message.isprintable()
    assert len(refused.message) < 600


@given(st.data())
def test_any_value_in_any_place_of_columns_is_refused_or_answered(served: Served, data: st.DataObject) -> None:
    """A request of columns with any members replaced by anything is refused, or answered for the rows that it has."""
    inputs: list[Any] = tensors(NEW[:2])
    for _ in range(data.draw(st.integers(1, 3))):
        tensor = data.draw(st.sampled_from(inputs))
        if data.draw(st.booleans()) and isinstance(tensor["data"], list) and tensor["data"]:
            tensor["data"][data.draw(st.integers(0, len(tensor["data"]) - 1))] = data.draw(values)
        else:
            tensor[data.draw(st.sampled_from([*tensor, "parameters", "x"]))] = data.draw(values)
    outcome(sent(inputs), served)


@settings(max_examples=300)
@given(st.integers(0), st.binary(max_size=4), st.integers(0, 30), st.booleans(), st.integers(-4, 4))
def test_changed_bytes_of_columns_are_refused_or_answered(
    served: Served,
    at: int,
    new: bytes,
    cut: int,
    in_bytes: bool,  # noqa: FBT001
    shift: int,
) -> None:
    """However bytes of a good request are changed, it is refused or answered."""
    asked = binary(NEW[:3], smoker="FP64", names=COLUMNS[:5]) if in_bytes else sent(tensors(NEW[:3]))
    at %= len(asked.body) + 1
    body = asked.body[:at] + new + asked.body[at + cut :]
    length = asked.length and str(max(0, int(asked.length) + shift))
    outcome(Asked(body, length), served)


def test_rows_are_answered_in_calls_of_any_size(served: Served) -> None:
    """More rows than go into one call have the answers of `predict`, bit by bit."""
    rows = [row[:-1] for row in mixed_rows(5_000, seed=6)]
    check(sent(tensors(rows)), served, rows)
