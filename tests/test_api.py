"""The public Python names: what they answer, what they refuse, and that their examples are true."""

from __future__ import annotations

import doctest
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import csv, parquet

import artifact_pipeline
from artifact_pipeline import api
from artifact_pipeline.digits.dataset import load_digits
from artifact_pipeline.errors import (
    ArtifactRejected,
    ConfigError,
    DataRejected,
    DriftFound,
    GateFailed,
    PipelineError,
    StorageError,
)
from artifact_pipeline.prediction import model as models
from artifact_pipeline.training import packaging
from artifact_pipeline.training.request import Observer, TrainingRequest
from artifact_pipeline.training.run import plan
from artifact_pipeline.training.run import run as run_training
from rowfiles import NAMES, WORDS, digits, train_words
from tables import blobs, write_table

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from artifact_pipeline.prediction.model import Model
    from artifact_pipeline.training.request import Training

    Run = Callable[..., subprocess.CompletedProcess[str]]

CONFIG = {"C": 1.0, "solver": "lbfgs", "max_iter": 1000}
ROOT = Path(__file__).resolve().parents[1]


class Capsule:
    """Rows that show nothing but Arrow's C stream interface, as a table of any library does."""

    def __init__(self, table: Any) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


class Batch:
    """Rows that show nothing but Arrow's C data interface."""

    def __init__(self, batch: Any) -> None:
        self._batch = batch

    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]:
        return self._batch.__arrow_c_array__(requested_schema)


def pandas(columns: dict[str, Any]) -> Any:
    import pandas as pd

    return pd.DataFrame(columns)


def polars(columns: dict[str, Any]) -> Any:
    import polars as pl

    return pl.DataFrame(columns)


KINDS = {
    "dict of arrays": dict,
    "dict of lists": lambda columns: {name: values.tolist() for name, values in columns.items()},
    "dict of Arrow": lambda columns: {name: pa.chunked_array([values]) for name, values in columns.items()},
    "pyarrow table": pa.table,
    "pyarrow batch": lambda columns: pa.table(columns).to_batches()[0],
    "reader": lambda columns: pa.table(columns).to_reader(max_chunksize=7),
    "stream": lambda columns: Capsule(pa.table(columns)),
    "array": lambda columns: Batch(pa.table(columns).to_batches()[0]),
    "matrix": lambda columns: np.column_stack(list(columns.values())),
    "matrix of Fortran": lambda columns: np.asfortranarray(np.column_stack(list(columns.values()))),
    "matrix of big-endian": lambda columns: np.column_stack(list(columns.values())).astype(">f8"),
    "pandas": pandas,
    "polars": polars,
}


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the model of two columns, its labels texts."""
    folder = tmp_path_factory.mktemp("words")
    train_words(folder)
    return folder


@pytest.fixture(scope="module")
def model(words: Path) -> Model:
    return api.open_artifact(words / "artifact")


def problem(call: Callable[[], object]) -> tuple[str, str]:
    """Place and message of the one problem for which rows are refused."""
    with pytest.raises(DataRejected) as caught:
        call()
    (found,) = caught.value.problems
    return found.place, found.message


# --- names and examples


def test_each_name_is_exported_lazily(run: Run, tmp_path: Path) -> None:
    """Every name of `__all__` is there, and to import the package loads no NumPy and nothing else that is heavy."""
    assert all(getattr(artifact_pipeline, name) is not None for name in artifact_pipeline.__all__)
    heavy = "{'numpy', 'pyarrow', 'pydantic', 'msgspec', 'sklearn', 'onnxruntime', 'artifact_pipeline.api'}"
    code = f"import sys, artifact_pipeline\nassert not {heavy} & set(sys.modules)\nprint(artifact_pipeline.train)"
    done = run("-c", code, cwd=ROOT / "src")
    assert done.returncode == 0, done.stderr
    assert not hasattr(artifact_pipeline, "nothing_of_this_name")


def examples() -> list[doctest.DocTest]:
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [each for module in (api, models, packaging) for each in finder.find(module, extraglobs=vars(api))]
    return [each for each in found if each.examples]


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(each, id=each.name, marks=pytest.mark.needs("model_signing") if each.name.endswith("sign") else ())
        for each in examples()
    ],
)
def test_examples_are_true(
    published: Path, monkeypatch: pytest.MonkeyPatch, example: doctest.DocTest, capsys: pytest.CaptureFixture[str]
) -> None:
    """The example of each public name gives what its docstring shows, in a folder with the documented artifact."""
    if example.name.endswith("sign"):
        from signatures import write_keys

        write_keys(published, "key")
    monkeypatch.chdir(published)
    failed = doctest.DocTestRunner().run(example).failed
    assert not failed, capsys.readouterr().out


def test_each_public_function_has_an_example() -> None:
    """Each exported function, the class `Model`, and each of its public methods show how they are used."""
    shown = {each.name.rpartition(".")[2] for each in examples()}
    public = {name for name in artifact_pipeline.__all__ if name not in {"PipelineError", "Training"}}
    methods = {name for name in vars(models.Model) if not name.startswith("_")}
    assert public | methods == shown


# --- answers


@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=pytest.mark.needs(kind) if kind in {"pandas", "polars"} else ()) for kind in KINDS],
)
def test_every_table_is_answered_as_its_file_is(words: Path, model: Model, run: Run, tmp_path: Path, kind: str) -> None:
    """Labels and probabilities of any table in memory are bit-equal to what `predict` writes for the same rows."""
    columns = {name: blobs(WORDS, seed=5)[name] for name in NAMES}
    write_table(tmp_path / "rows.parquet", columns)
    done = run("-m", "artifact_pipeline", "predict", tmp_path / "rows.parquet", "--artifact", words / "artifact", "-o",
               tmp_path / "out.parquet", cwd=ROOT / "src")  # fmt: skip
    assert done.returncode == 0, done.stderr
    written = parquet.read_table(tmp_path / "out.parquet")
    labels = model.predict(KINDS[kind](columns))
    probabilities = model.predict_proba(KINDS[kind](columns))
    assert labels.tolist() == written["predicted"].to_pylist()
    expected = np.column_stack([written[f"probability_{each}"].to_numpy() for each in model.classes])
    assert probabilities.dtype == np.float64
    assert probabilities.shape == (len(labels), 2)
    assert probabilities.astype(expected.dtype).tobytes() == expected.tobytes()  # a file has them in single precision


def test_many_rows_are_answered_in_the_calls_of_files(model: Model, words: Path, tmp_path: Path) -> None:
    """Rows of more than a batch, in pieces of another size, get the bits that their file gets."""
    random = np.random.default_rng(3)
    columns = {name: random.normal(size=70_000) * 5 for name in NAMES}
    write_table(tmp_path / "rows.parquet", columns)
    api.predict_files(tmp_path / "rows.parquet", artifact=model, to=tmp_path / "out.parquet")
    written = parquet.read_table(tmp_path / "out.parquet")
    probabilities = model.predict_proba(pa.table(columns).to_reader(max_chunksize=999))
    expected = written[f"probability_{WORDS[0]}"].to_numpy()
    assert np.array_equal(probabilities[:, 0].astype(expected.dtype), expected)
    assert np.array_equal(probabilities, model.predict_proba(np.column_stack(list(columns.values()))))


def test_columns_are_taken_by_name(model: Model) -> None:
    """Columns in another order, and others beside them (labels too), change no answer."""
    columns = blobs(WORDS, seed=5)
    other = {"note": ["x"] * 200, **{name: columns[name] for name in reversed(columns)}, "label": ["of no class"] * 200}
    assert (model.predict(other) == model.predict({name: columns[name] for name in NAMES})).all()


def test_no_rows_give_no_answers(model: Model) -> None:
    """A table without a row gives arrays without a row, of the usual types and widths."""
    for table in ({"width": [], "height": []}, np.empty((0, 2))):
        assert model.predict(table).shape == (0,)
        assert model.predict(table).dtype.kind == "U"
        assert model.predict_proba(table).shape == (0, 2)


@given(rows=st.lists(st.tuples(*[st.floats(-1e6, 1e6)] * 2), min_size=1, max_size=20))
def test_a_matrix_and_its_columns_are_answered_alike(model: Model, rows: list[tuple[float, float]]) -> None:
    """For any rows, the matrix, the dict and the Arrow table of them give the same bits, and rows that sum to one."""
    matrix = np.array(rows)
    columns = dict(zip(NAMES, matrix.T, strict=True))
    answers = [model.predict_proba(each) for each in (matrix, columns, pa.table(columns))]
    assert answers[0].tobytes() == answers[1].tobytes() == answers[2].tobytes()
    assert np.allclose(answers[0].sum(axis=1), 1.0)


# --- refusals


@pytest.mark.parametrize(
    ("table", "place", "message"),
    [
        ({"width": [1.0, None], "height": [1.0, 2.0]}, "row 1, column 'width'", "the value is missing"),
        ({"width": [1.0, 2.0], "height": ["x", 2.0]}, "row 0, column 'height'", "'x' is not a number"),
        ({"width": [1, 2**60], "height": [1.0, 2.0]}, "row 1, column 'width'", "1152921504606846976 may be no float64"),
        ({"width": [1, 2**70], "height": [1.0, 2.0]}, "row 1, column 'width'", "1180591620717411303424 may be no"),
        (np.array([[1.0, 2.0], [np.inf, 1.0]]), "row 1, column 'width'", "inf is not a finite number"),
    ],
    ids=["missing", "text", "large", "huge", "infinite"],
)
def test_a_bad_value_is_named(model: Model, table: Any, place: str, message: str) -> None:
    """A missing value or a bad number is refused by its row, its column and what stands there."""
    where, told = problem(lambda: model.predict(table))
    assert where == f"the table, {place}"
    assert told.startswith(message)


def test_a_bad_value_is_refused_as_in_a_file(model: Model, words: Path, tmp_path: Path) -> None:
    """The sentence about a bad value of a table is the one that `predict` says of the same file."""
    columns = {"width": [1.0, None], "height": [1.0, 2.0]}
    write_table(tmp_path / "rows.parquet", columns)
    found = problem(lambda: api.predict_files(tmp_path / "rows.parquet", artifact=model, to=tmp_path / "out.csv"))
    assert problem(lambda: model.predict(columns)) == (found[0].replace("rows.parquet", "the table"), found[1])


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"width": [1.0], "hight": [1.0]}, "no column 'height'"),
        ({"width": [1.0], "height": [1.0, 2.0]}, "column 'height' has 2 values, column 'width' has 1"),
        ({"width": 1.0, "height": [1.0]}, "column 'width' is one value, and no list of a value for each row"),
        ({"width": "10", "height": "12"}, "column 'width' is one value"),
        (np.zeros((3, 5)), "has the shape (3, 5); the model takes 2 features a row"),
        (np.zeros(2), "has the shape (2,); the model takes 2 features a row"),
        (np.array([[None, 1.0]]), "holds '|O', neither plain numbers nor text"),
        ([[1.0, 2.0]], "give Arrow, pandas, Polars, a dict of columns or a NumPy array, not list"),
        (Capsule(pa.chunked_array([[1.0]])), "Cannot import schema"),
    ],
    ids=["missing", "uneven", "scalar", "text", "wide", "flat", "objects", "list", "no struct"],
)
def test_a_wrong_table_is_refused(model: Model, table: Any, message: str) -> None:
    """A table that lacks a column, holds no numbers, has another shape or is none is refused in words."""
    where, told = problem(lambda: model.predict(table))
    assert where == "the table"
    assert message in told


class Frame:
    """A DataFrame that cannot be given whole, as one of pandas that has a column of mixed objects."""

    def __init__(self, columns: dict[str, Any]) -> None:
        self._columns = columns

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        raise ValueError("Conversion failed for column note with type object")

    def keys(self) -> list[str]:
        """The names of the columns."""
        return [*self._columns]

    def __getitem__(self, name: str) -> Any:
        return self._columns[name]


def test_a_column_that_nobody_wants_may_hold_anything(model: Model) -> None:
    """A DataFrame with mixed objects is answered where the model needs none of them, or its bad value is named."""
    columns = {"width": np.array([1.0, 2.0]), "height": np.array([1.0, 3.0]), "note": np.array([1, "x"], dtype=object)}
    answers = model.predict({name: columns[name] for name in NAMES})
    assert (model.predict(Frame(columns)) == answers).all()
    columns["width"] = columns["note"]
    assert problem(lambda: model.predict(Frame(columns))) == (
        "the table, row 1, column 'width'",
        "'x' is not a number",
    )


# --- a training


@pytest.mark.slow
def test_train_gives_what_the_verb_gives(run: Run, trained: Path, tmp_path: Path) -> None:
    """A training from a file, or from a mapping with the same keys, gives the digest of `python src/train.py`."""
    code = (
        "import json, sys, artifact_pipeline as ap\n"
        "done = [ap.train(each, artifact=f'here/{at}/artifact').digest\n"
        "        for at, each in enumerate(['config/config.json', json.load(open('config/config.json'))])]\n"
        "print(json.dumps(done))"
    )
    for name in "01":
        (trained / "here" / name).mkdir(parents=True)
    done = run("-c", f"import sys; sys.path.insert(0, 'src')\n{code}", cwd=trained)
    assert done.returncode == 0, done.stderr
    digest = api.open_artifact(trained / "artifact").digest
    assert json.loads(done.stdout) == [digest, digest]
    assert not (trained / "here" / "0" / "model_train.pkl").exists()


def test_training_is_told_step_by_step(tmp_path: Path) -> None:
    """A training says what it does, gives digest, folder and figures, and trains nothing where nothing changed."""
    steps: list[str] = []
    table = write_table(tmp_path / "rows.csv", blobs(WORDS))
    config = {**CONFIG, "dataset": {"path": str(table), "target": "label"}}
    first = api.train(config, artifact=tmp_path / "artifact", progress=steps.append)
    assert steps[0] == "loading rows"
    assert (first.outcome, first.in_charge, first.export, first.looks) == ("passed", True, None, 1)
    assert first.folder.name == first.digest.removeprefix("sha256:")
    assert first.columns is not None
    assert (first.columns.target, first.columns.names, first.columns.rows) == ("label", NAMES, 200)
    again = api.train(config, artifact=tmp_path / "artifact")
    assert (again.unchanged, again.digest, again.candidate) == (True, first.digest, None)
    export = tmp_path / "model_train.pkl"
    asked = api.train(config, artifact=tmp_path / "artifact", export=export)
    assert (asked.outcome, asked.export, export.exists()) == ("passed", export, True)


def test_what_an_observer_raises_ends_the_training(words: Path, tmp_path: Path) -> None:
    """A caller who cannot report what was measured, and raises, is asked before anything is published."""

    def measured(training: Training) -> None:
        assert (training.outcome, training.in_charge) == ("passed", False)
        raise StorageError("the summary cannot be written")

    config = {**CONFIG, "dataset": {"path": str(words / "rows.parquet"), "target": "label"}}
    with pytest.raises(StorageError):
        run_training(TrainingRequest(config, tmp_path / "artifact"), Observer(measured=measured))
    assert list(tmp_path.iterdir()) == []


def test_overrides_win_over_a_mapping(words: Path, tmp_path: Path) -> None:
    """What is overridden is resolved over a mapping as over a file, and a plan of it writes nothing."""
    config = {**CONFIG, "dataset": {"path": str(words / "rows.parquet"), "target": "label"}}
    found = plan(TrainingRequest(config, tmp_path / "artifact", overrides=("C=0.5", "gate.min_f1=0.25")), explain=True)
    assert (found.config.model.C, found.config.gate.min_f1) == (0.5, 0.25)
    assert found.look is not None
    assert found.look.reason == "nothing is in charge yet"
    assert list(tmp_path.iterdir()) == []


def test_a_failed_gate_carries_its_training(tmp_path: Path) -> None:
    """A gate that fails is raised with the training: its figures can be read, and the candidate stands in the store."""
    columns = blobs(WORDS)
    columns["label"][::3] = WORDS[0]
    table = write_table(tmp_path / "rows.parquet", columns)
    config = {**CONFIG, "dataset": {"path": str(table), "target": "label"}, "gate": {"min_accuracy": 1.0}}
    with pytest.raises(GateFailed) as caught:
        api.train(config, artifact=tmp_path / "artifact")
    training = caught.value.result
    assert training.outcome == "failed"
    assert not training.in_charge
    assert training.manifest.metrics.held_out.accuracy.value < 1.0
    assert not (tmp_path / "artifact").exists()
    with pytest.raises(ArtifactRejected):
        api.open_artifact(training.folder)
    assert api.open_artifact(training.folder, accept_failed_gate=True).digest == training.digest


def test_a_champion_that_is_the_same_model_stays(words: Path, tmp_path: Path) -> None:
    """Where the champion is the same model, what is in charge stays; where nothing is, the model is published."""
    config = {**CONFIG, "dataset": {"path": str(words / "rows.parquet"), "target": "label"}}
    first = api.train(config, artifact=tmp_path / "artifact", champion=words / "artifact")
    assert (first.outcome, first.in_charge) == ("passed", True)
    assert first.comparison is not None
    assert first.comparison.outcome == "identical"
    champion = api.open_artifact(words / "artifact").digest
    again = api.train({**config, "name": "another"}, artifact=tmp_path / "artifact", champion=words / "artifact")
    assert (again.outcome, again.digest, again.in_charge) == ("identical", champion, True)
    assert [run.digest for run in api.runs(tmp_path / "artifact")] == [first.digest]


def test_options_of_the_verb_are_taken_by_name(words: Path, tmp_path: Path) -> None:
    """`train` takes options by name: a search stops after its minutes, and no digest depends on the jobs."""
    config = {"dataset": {"path": str(words / "rows.parquet"), "target": "label"}}
    first = api.train({**config, **CONFIG}, artifact=tmp_path / "one", jobs=1)
    assert api.train({**config, **CONFIG}, artifact=tmp_path / "two", jobs=2).digest == first.digest
    search = {
        "trials": 50,
        "folds": 2,
        "space": [{"estimator": "GaussianNB", "var_smoothing": {"uniform": [0.0, 1.0]}}],
    }
    stopped = api.train({**config, "search": search}, artifact=tmp_path / "searched", minutes=0)
    assert stopped.searched is not None
    assert len(stopped.searched.results.trials) < 50
    champion, other = tmp_path / "one", f"sha256:{0:064}"
    with pytest.raises(ArtifactRejected, match=f"expected {other}"):
        api.train({**config, **CONFIG}, artifact=tmp_path / "x", champion=champion, champion_expect=other)


@pytest.mark.parametrize("options", [{"jobs": 0}, {"minutes": -1.0}, {"minutes": float("nan")}])
def test_a_bound_that_is_none_is_refused(words: Path, tmp_path: Path, options: Any) -> None:
    """`train` refuses numbers that the verb's options refuse."""
    config = {"dataset": {"path": str(words / "rows.parquet"), "target": "label"}, "search": "quick"}
    with pytest.raises(ConfigError, match="must be at least"):
        api.train(config, artifact=tmp_path / "artifact", **options)


@pytest.mark.parametrize("config", [{**CONFIG, "C": -1.0}, {"solver": "lbfgs"}])
def test_a_wrong_config_is_refused(tmp_path: Path, config: dict[str, object]) -> None:
    """A mapping that breaks a rule is refused before anything is written."""
    with pytest.raises(ConfigError):
        api.train(config, artifact=tmp_path / "artifact")
    assert list(tmp_path.iterdir()) == []


def test_a_mapping_may_hold_values_of_python(words: Path, tmp_path: Path) -> None:
    """A path, a tuple and a number of NumPy are what JSON has in their place: the artifact is the same."""
    dataset: dict[str, Any] = {"path": str(words / "rows.parquet"), "target": "label", "drop": ["height"]}
    model: dict[str, Any] = {"estimator": "LogisticRegression", "max_iter": 500}
    plain = api.train({"dataset": dataset, "model": model}, artifact=tmp_path / "artifact")
    dataset |= {"path": words / "rows.parquet", "drop": ("height",)}
    model |= {"max_iter": np.int64(500), "C": np.float64(1.0), "fit_intercept": np.True_}
    again = api.train({"dataset": dataset, "model": model}, artifact=tmp_path / "artifact")
    assert (again.digest, again.outcome) == (plain.digest, "unchanged")


# --- the other verbs


def test_an_artifact_that_has_changed_is_refused(published: Path) -> None:
    """`verify` of an open model refuses its folder once a byte of it has changed, and answers go on as before."""
    opened = api.open_artifact(published / "artifact")
    before = opened.predict(digits(3))
    (opened.artifact.folder / "model.onnx").write_bytes(b"another model")
    with pytest.raises(ArtifactRejected):
        opened.verify()
    with pytest.raises(ArtifactRejected):
        api.open_artifact(published / "artifact")
    assert (opened.predict(digits(3)) == before).all()


def test_another_digest_is_refused(published: Path) -> None:
    """An artifact whose digest is not the expected one is not opened."""
    with pytest.raises(ArtifactRejected, match="claims to be"):
        api.open_artifact(published / "artifact", expect=f"sha256:{'0' * 64}")


def test_a_policy_is_obeyed(published: Path) -> None:
    """An artifact that a policy does not trust is not opened, and one that it trusts is."""
    digest = api.open_artifact(published / "artifact").digest
    policy = published / "policy.json"
    policy.write_text(json.dumps({"format": 1, "minimum": {"accuracy": 0.99}}))
    with pytest.raises(ArtifactRejected):
        api.open_artifact(published / "artifact", expect=digest, trust=policy)
    policy.write_text(json.dumps({"format": 1, "minimum": {"accuracy": 0.9}}))
    assert api.open_artifact(published / "artifact", expect=digest, trust=policy).digest == digest


@pytest.mark.parametrize("margin", [-0.01, 1.01, float("nan")])
def test_a_margin_is_a_share(margin: float) -> None:
    """`compare` refuses a margin that is none, as the option does."""
    with pytest.raises(ConfigError, match=f"from 0 to 1, both included, got {margin}"):
        api.compare(ROOT / "tests/golden/v1", ROOT / "tests/golden/v1", margin=margin)


def test_a_table_is_reproduced_and_compared(words: Path) -> None:
    """`reproduce` and `compare` of a model of a table take the table by `data`, and find it the same."""
    found = api.reproduce(words / "artifact", data=words / "rows.parquet", champion=words / "artifact")
    assert found.grade == "bytes"
    assert found.comparison is not None
    assert found.comparison.outcome == "identical"
    assert api.compare(words / "artifact", words / "artifact", data=words / "rows.parquet").outcome == "identical"
    with pytest.raises(ConfigError):
        api.reproduce(words / "artifact")


def test_runs_and_rollback(words: Path, tmp_path: Path) -> None:
    """The store lists its trainings, the latest first, and the pointer goes back to the one before."""
    config = {**CONFIG, "dataset": {"path": str(words / "rows.parquet"), "target": "label"}}
    place = tmp_path / "artifact"
    digests = [api.train({**config, "C": each}, artifact=place).digest for each in (1.0, 0.5)]
    assert [(run.digest, run.current) for run in api.runs(place)] == [(digests[1], True), (digests[0], False)]
    assert api.rollback(place).digest == digests[0]
    assert api.open_artifact(place).digest == digests[0]
    assert api.rollback(place, to=digests[1]).digest == digests[1]


def test_files_are_predicted_and_evaluated(words: Path, tmp_path: Path) -> None:
    """`predict_files` answers a file as the verb does, sets bad rows aside where asked, and `evaluate` scores it."""
    columns = blobs(WORDS, seed=5)
    columns["width"][3] = np.inf
    rows = write_table(tmp_path / "rows.parquet", columns)
    place, to = words / "artifact", tmp_path / "out.csv"
    with pytest.raises(DataRejected):
        api.predict_files(rows, artifact=place, to=to)
    with pytest.raises(DataRejected, match="a table in memory is no file") as caught:
        api.predict_files(pa.table(columns), artifact=place, to=to)  # type: ignore[arg-type]
    assert caught.value.hint == "open_artifact(…).predict(table) answers it"
    told = api.predict_files([rows], artifact=place, to=to, on_error="quarantine", keep="height")
    assert (told.receipt.rows.written, told.receipt.rows.rejected) == (199, 1)
    labels = pa.table({"row": range(200), "truth": columns["label"]})
    csv.write_csv(labels, tmp_path / "labels.csv")
    evaluation = api.evaluate(to, tmp_path / "labels.csv", key=["row"], label="truth")
    assert evaluation.figures.rows == 199


def test_an_evaluation_is_held_to_minimums(words: Path, tmp_path: Path) -> None:
    """A figure below its minimum raises `GateFailed` with the whole evaluation; a minimum that is none is refused."""
    columns = blobs(WORDS, seed=5)
    rows = write_table(tmp_path / "rows.parquet", columns)
    to, labels = tmp_path / "out.csv", tmp_path / "labels.csv"
    api.predict_files(rows, artifact=words / "artifact", to=to)
    wrong = [WORDS[0]] * 200  # half of the rows have the other label
    csv.write_csv(pa.table({"row": range(200), "truth": wrong}), labels)
    found = api.evaluate(to, labels, min_accuracy=0.1)
    assert [(rule.metric, rule.minimum, rule.passed) for rule in found.rules] == [("accuracy", 0.1, True)]
    with pytest.raises(GateFailed) as caught:
        api.evaluate(to, labels, min_accuracy=0.1, min_f1=0.99)
    assert caught.value.rules == {"gate-f1_weighted"}
    assert caught.value.result.figures == found.figures
    assert [rule.passed for rule in caught.value.result.rules] == [True, False]
    with pytest.raises(ConfigError, match="0 to 1"):
        api.evaluate(to, labels, min_accuracy=95)


def test_drift_is_an_error_where_that_is_asked(words: Path, tmp_path: Path) -> None:
    """Rows that have drifted are answered and written; `fail_on_drift` then raises what was found, with the result."""
    columns = {name: blobs(WORDS, rows=600, seed=5)[name] + 40 for name in NAMES}
    rows, to = write_table(tmp_path / "rows.parquet", columns), tmp_path / "out.parquet"
    place = words / "artifact"
    predictions = api.predict_files(rows, artifact=place, to=to)
    assert predictions.drift is not None
    assert predictions.drift.drifted
    assert api.predict_files(rows, artifact=place, to=to, drift=False, fail_on_drift=True).drift is None
    with pytest.raises(DriftFound) as caught:
        api.predict_files(rows, artifact=place, to=to, fail_on_drift=True)
    assert caught.value.result.receipt.rows.written == 600
    assert parquet.read_table(to).num_rows == 600


def test_rows_out_of_range_are_bad_rows_where_that_is_asked(words: Path, tmp_path: Path) -> None:
    """`out_of_range="reject"` refuses a row far beyond the trained range, which otherwise is counted and answered."""
    columns = {name: blobs(WORDS, seed=5)[name] for name in NAMES}
    columns["width"][7] = 1e6
    rows, to = write_table(tmp_path / "rows.parquet", columns), tmp_path / "out.parquet"
    assert api.predict_files(rows, artifact=words / "artifact", to=to).receipt.rows.out_of_range == 1
    with pytest.raises(DataRejected) as caught:
        api.predict_files(rows, artifact=words / "artifact", to=to, out_of_range="reject")
    assert caught.value.rules == {"out-of-range"}


def test_a_cluster_writes_a_folder(words: Path, tmp_path: Path) -> None:
    """`workers` and `scheduler` with a single file are refused before anything is read."""
    for cluster in ({"workers": 2}, {"scheduler": "tcp://127.0.0.1:1"}):
        with pytest.raises(ConfigError, match="folder of parts"):
            api.predict_files(tmp_path / "none.csv", artifact=words / "artifact", to=tmp_path / "out.csv", **cluster)


@pytest.mark.parametrize(
    ("package", "extra", "call"),
    [
        ("model_signing", "sign", lambda place: api.sign(place / "artifact", private_key=place / "key.pem")),
        ("distributed", "scale", lambda place: api.predict_files(place / "rows.parquet", artifact=place / "artifact",
                                                                 to=f"{place}/parts/", workers=1)),
        ("sklearn", "train", lambda place: api.reproduce(place / "artifact", data=place / "rows.parquet")),
    ],
    ids=["sign", "scale", "train"],
)  # fmt: skip
def test_a_missing_extra_is_named(
    words: Path, monkeypatch: pytest.MonkeyPatch, package: str, extra: str, call: Callable[[Path], object]
) -> None:
    """A function whose packages are not installed raises the error, with the hint, that its verb ends with."""
    (words / "key.pem").write_text("never read")
    for name in [each for each in sys.modules if each.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(PipelineError) as caught:
        call(words)
    assert caught.value.message.startswith(f"the package {package}")
    assert caught.value.hint is not None
    assert caught.value.hint.startswith(f"pip install 'artifact-pipeline[{extra}]' brings")


@pytest.mark.needs("model_signing")
def test_a_signature_is_what_a_policy_asks_for(words: Path, tmp_path: Path) -> None:
    """What `sign` writes is what a policy that names the key accepts; without it the artifact is refused."""
    from signatures import write_keys

    config = {**CONFIG, "dataset": {"path": str(words / "rows.parquet"), "target": "label"}}
    place = tmp_path / "artifact"
    digest = api.train(config, artifact=place).digest
    write_keys(tmp_path, "key")
    (tmp_path / "policy.json").write_text(json.dumps({"format": 1, "keys": ["key.pub"]}))
    with pytest.raises(ArtifactRejected):
        api.open_artifact(place, trust=tmp_path / "policy.json")
    done = api.sign(place, private_key=tmp_path / "key.pem")
    assert (done.digest, len(done.signatures)) == (digest, 2)
    assert api.open_artifact(place, trust=tmp_path / "policy.json").artifact.trust.signer == done.signer


def test_a_notebook_shows_what_it_is_and_escapes_it(tmp_path: Path) -> None:
    """The HTML of a model names digest, figures, classes and columns, and a label or a name of HTML stays text."""
    evil = "<script>alert(1)</script>"
    columns = blobs([evil, "a & b", "\u202eb a"])
    columns["<img src=x>"] = columns.pop("width")
    table = write_table(tmp_path / "rows.parquet", columns)
    config = {**CONFIG, "name": "evil", "dataset": {"path": str(table), "target": "label"}}
    training = api.train(config, artifact=tmp_path / "artifact")
    opened = api.open_artifact(tmp_path / "artifact")
    for page in (opened._repr_html_(), training._repr_html_()):
        assert opened.digest in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
        assert "a &amp; b" in page
        assert "\\u202e" in page
        assert "\u202e" not in page
        assert "<script" not in page
        assert "<img" not in page
    assert "trained and published" in training._repr_html_()
    again = api.train(config, artifact=tmp_path / "artifact")
    assert "nothing has changed" in again._repr_html_()
    assert opened.digest in repr(opened)


def test_digits_need_no_file(published: Path) -> None:
    """The documented model answers the rows of the digits as they are shipped, as a matrix."""
    rows = load_digits()
    opened = api.open_artifact(published / "artifact")
    assert (opened.predict(rows.X) == rows.y).mean() == pytest.approx(0.995, abs=5e-4)
