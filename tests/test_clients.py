"""Clients that nobody here has written, unmodified, and Schemathesis against the document that the server publishes.

They live in `.venv-clients`, which `make test-slow` makes from `tests/clients/requirements.txt`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
import pytest

from artifact_pipeline import open_artifact
from artifact_pipeline.config import from_mapping
from artifact_pipeline.digits.dataset import load_digits
from artifact_pipeline.training.candidate import train
from artifact_pipeline.training.publication import publish
from mixedmodels import COLUMNS, MODELS, new_rows, train_mixed
from servers import serving
from tables import blobs, write_table
from tools import program_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from artifact_pipeline.training.sealed import Candidate
    from servers import Server

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "tests" / "clients"
TEXTS = ["nein", "größer, “ja”", "日本"]
FORMS = {f"{there} {back}" for there in ("binary", "JSON") for back in ("binary", "JSON")}


@dataclass(frozen=True, slots=True)
class Model:
    """A published model.

    Attributes:
        folder: where.
        version: what the protocol calls so.
        X: rows to ask for.
        datatypes: the protocol's types that have these numbers.
        labels: what scikit-learn says of the rows.
        probabilities: the same.
    """

    folder: Path
    version: str
    X: NDArray[np.float64]
    datatypes: tuple[str, ...]
    labels: list[int | str]
    probabilities: NDArray[np.float64]


def published(candidate: Candidate, folder: Path, X: NDArray[np.float64], *datatypes: str) -> Model:
    publish(candidate, artifact=folder / "artifact", export=folder / "model_train.pkl")
    np.save(folder / "rows.npy", X)
    theirs = joblib.load(folder / "model_train.pkl")
    version = candidate.digest.removeprefix("sha256:")
    return Model(folder, version, X, datatypes, theirs.predict(X).tolist(), theirs.predict_proba(X))


@pytest.fixture(scope="module")
def digits(candidate: Candidate, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """The documented model and all its 1,797 digits."""
    X = load_digits().X.astype(np.float64)
    return published(candidate, tmp_path_factory.mktemp("digits"), X, "FP32", "FP64", "INT64", "UINT8")


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A model of a table whose labels are texts."""
    folder = tmp_path_factory.mktemp("texts")
    columns = blobs(TEXTS)
    table = write_table(folder / "rows.parquet", columns)
    mapping = {"C": 1.0, "solver": "lbfgs", "max_iter": 1000, "name": "digits", "preprocess": "none"}
    mapping |= {"dataset": {"path": str(table), "target": "label"}}
    candidate = train(from_mapping(mapping), progress=lambda _: None)
    return published(candidate, folder, np.stack([columns["width"], columns["height"]], axis=1), "FP64")


@pytest.fixture(params=["digits", "texts"])
def model(request: pytest.FixtureRequest) -> Model:
    """Each of the two."""
    found: Model = request.getfixturevalue(request.param)
    return found


@contextmanager
def served(model: Model) -> Iterator[Server]:
    """Serve it; whatever it is asked, it has nothing to say on standard error, and still lives."""
    with serving(model.folder / "artifact") as server:
        yield server
        assert server.process.poll() is None
        assert server.talk.read_text() == ""


def asked(script: str, model: Model) -> dict[str, Any]:
    """What a script tells that asks a server of the model with a client."""
    python = program_of(".venv-clients", "python")
    with served(model) as server:
        done = subprocess.run(
            [python, SCRIPTS / script, server.url, "digits", model.folder / "rows.npy"],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def check_ways(ways: dict[str, Any], model: Model) -> None:
    """Every way gives scikit-learn's labels for all rows, and the very same probabilities."""
    assert set(ways) == {f"{datatype} {form}" for datatype in model.datatypes for form in FORMS}
    first = next(iter(ways.values()))["probabilities"]
    for way, answer in ways.items():
        assert answer["label"] == model.labels, way
        assert answer["probabilities"] == first, way
    assert np.allclose(first, model.probabilities, rtol=0, atol=1e-6)


def test_tritonclient_works_unmodified(model: Model) -> None:
    """NVIDIA's client asks for all that it offers for a model, in every datatype, form and coding."""
    told = asked("ask_triton.py", model)
    few = model.labels[:500]
    assert (told["live"], told["ready"], told["model ready"]) == (True, True, [True, True])
    assert told["strangers ready"] == [False, False]
    assert told["server"]["name"] == "artifact-pipeline"
    assert told["server"]["extensions"] == ["binary_tensor_data"]
    assert told["model"][0] == told["model"][1]
    assert told["model"][0]["versions"] == [model.version]
    features, classes = model.X.shape[1], model.probabilities.shape[1]
    shapes = {each["name"]: each["shape"] for each in told["model"][0]["inputs"] + told["model"][0]["outputs"]}
    assert shapes == {"X": [-1, features], "label": [-1], "probabilities": [-1, classes]}
    check_ways(told["ways"], model)
    assert len(told["packed"]) == 9
    assert all(labels == few for labels in told["packed"].values())
    assert told["at once"] == {str(start): few[start:] for start in range(20)}
    assert told["one output"] == {"id": "a name", "version": model.version, "names": ["probabilities"], "label": None}
    assert told["by default"] == few
    assert told.get("squares", few) == few
    assert ("squares" in told) == (features == 64)


def test_tritonclient_tells_why_it_was_refused(model: Model) -> None:
    """A refusal is the client's own exception, with our status and our words."""
    told = asked("ask_triton.py", model)["refused"]
    features = model.X.shape[1]
    allowed = f"[n, {features}]" + (" or [n, 8, 8]" if features == 64 else "")
    first = "pixel_0_0" if features == 64 else "width"
    infinite = told.pop("infinite")
    assert infinite["status"] == "400"
    assert f"row 0, column '{first}': inf is not a finite number of at most " in infinite["message"]
    shape = {"status": "400", "message": f"the shape must be {allowed}, got [{min(500, len(model.X))}, {features - 1}]"}
    assert told == {
        "class_count": {
            "status": "400",
            "message": 'the parameter "classification" is not served; "probabilities" has every class',
        },
        "shape": shape,
        "shape in JSON": shape,
        "at once": shape,
        "output": {
            "status": "400",
            "message": 'the model has the outputs "label" and "probabilities", and none called \'stranger\'',
        },
        "model": {"status": "404", "message": "there is no model 'stranger'; there is digits"},
        "version": {"status": "404", "message": f"there is no version '0'; there is {model.version}"},
        "configuration": {
            "status": "404",
            "message": "there is nothing at this path; /openapi.json lists what there is",
        },
    }


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="KServe's client takes Python up to 3.13")
def test_kserve_client_works_unmodified(model: Model) -> None:
    """KServe's client asks for all that it offers by the second version, and says in our words what was refused."""
    told = asked("ask_kserve.py", model)
    few = model.labels[:500]
    assert (told["live"], told["ready"], told["model ready"]) == (True, True, True)
    assert told["stranger ready"] is False
    check_ways(told["ways"], model)
    outputs = told["outputs"]
    assert (outputs["id"], outputs["names"], outputs["label"]) == ("a name", ["probabilities", "label"], few)
    assert outputs["digest"] == f"sha256:{model.version}"
    assert np.allclose(outputs["probabilities"], model.probabilities[:500], rtol=0, atol=1e-6)
    assert told["dict"]["label"] == few
    assert told["at once"] == [few[start:] for start in range(20)]
    statuses = {name: each["status"] for name, each in told["refused"].items()}
    assert statuses == {"shape": 400, "shape in JSON": 400, "model": 404, "infinite": 400}
    assert "the shape must be [n, " in told["refused"]["shape"]["message"]
    assert "there is no model 'stranger'; there is digits" in told["refused"]["model"]["message"]


@pytest.mark.parametrize("model", ["logistic", "forest", "ridge"])
def test_tritonclient_asks_column_by_column(model: str, tmp_path: Path) -> None:
    """A mixed table, a tensor a column, in JSON and in bytes, has the very answers of `predict`, whatever the model."""
    artifact = train_mixed(tmp_path, MODELS[model])
    rows = [[*row[:5], None if row[5] is None else float(row[5])] for row in new_rows()]
    file = tmp_path / "rows.json"
    file.write_text(json.dumps({name: [row[place] for row in rows] for place, name in enumerate(COLUMNS)}))
    with serving(artifact) as server:
        command = [program_of(".venv-clients", "python"), SCRIPTS / "ask_triton_columns.py", server.url, "digits", file]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert server.talk.read_text() == ""
    told = json.loads(done.stdout)
    scored = open_artifact(artifact)
    table = {name: [row[place] for row in rows] for place, name in enumerate(COLUMNS)}
    answers = scored._answer(table)
    assert told["inputs"] == {
        "age": "FP64", "income": "FP64", "made": "FP64", "city": "BYTES", "plan": "BYTES", "smoker": "BOOL"
    }  # fmt: skip
    assert told["outputs"] == ["label", "scores" if model == "ridge" else "probabilities"]
    assert len(told["ways"]) == 9
    whole = scored._answer({name: [values[row] for row in told["whole"]] for name, values in table.items()})
    for way, answer in told["ways"].items():
        expected = whole if " JSON " in way else answers
        assert answer["label"] == expected.labels.tolist(), way
        assert np.array_equal(answer["answers"], expected.values), way
    assert {name: each["status"] for name, each in told["refused"].items()} == {
        "a column too few": "400", "texts as truth values": "400"
    }  # fmt: skip


def test_schemathesis_finds_nothing(model: Model, tmp_path: Path) -> None:
    """All of its checks in all of its phases, on every operation of the published document, find nothing.

    `tests/clients/hooks.py` ties a request's shape to its data, which JSON Schema cannot; nothing is excluded.
    """
    command = [program_of(".venv-clients", "st"), "--config-file", SCRIPTS / "schemathesis.toml", "run", "--no-color"]
    options = ["--checks", "all", "--max-examples", "50", "--seed", "20", "--suppress-health-check", "too_slow"]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": str(SCRIPTS / "hooks.py"), "PYTHONHASHSEED": "0"}
    with served(model) as server:
        done = subprocess.run(
            [*command, f"{server.url}/openapi.json", *options],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        answered, refused = (server.figure("requests_total", route="infer", status=each) for each in ("200", "400"))
        _, _, body = server.ask("GET", "/openapi.json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No issues found" in done.stdout
    # It leaves out the document itself, which it has read.
    operations = sum(len(methods) for path, methods in json.loads(body)["paths"].items() if path != "/openapi.json")
    assert f"Selected: {operations}/{operations}" in done.stdout
    for phase in ("Examples", "Coverage", "Fuzzing", "Stateful"):
        assert f"✅ {phase}\n" in done.stdout
    # Not for nothing: requests that were right and such that were wrong have come as far as the model's routes.
    assert (answered > 100, refused > 100) == (True, True), (answered, refused)
