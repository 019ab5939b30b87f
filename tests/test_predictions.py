from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pyarrow import parquet
from sklearn.metrics import accuracy_score, f1_score

from artifact_pipeline.canonical import canonical_json, digest
from artifact_pipeline.config import from_mapping
from artifact_pipeline.digits.dataset import FILE, load_digits
from artifact_pipeline.errors import ArtifactRejected, ConfigError, DataRejected
from artifact_pipeline.prediction.proof import prove
from artifact_pipeline.prediction.receipt import Receipt
from artifact_pipeline.prediction.run import PredictionRequest, predict
from artifact_pipeline.prediction.scoring import Options, Scorer
from artifact_pipeline.rows.batches import Batch
from artifact_pipeline.training.candidate import train
from artifact_pipeline.training.dataset import Dataset
from artifact_pipeline.training.publication import publish
from artifact_pipeline.verification import verify
from tables import blobs, write_table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.prediction.outcome import Predictions
    from artifact_pipeline.training.sealed import Candidate

DIGITS = load_digits()
WORDS = ["no", 'say "yes", or no']
MAPPING = {"C": 1.0, "solver": "lbfgs", "max_iter": 1000}


@pytest.fixture(scope="module")
def digits(candidate: Candidate, tmp_path_factory: pytest.TempPathFactory) -> Verified:
    folder = tmp_path_factory.mktemp("digits")
    publish(candidate, artifact=folder / "artifact", export=folder / "model_train.pkl")
    return verify(folder / "artifact")


def trained(folder: Path, labels: list, **changed: float) -> tuple[Verified, Path]:
    """A model of a table with these labels, and the table."""
    table = write_table(folder / "rows.parquet", blobs(labels))
    mapping = {**MAPPING, **changed, "dataset": {"path": str(table), "target": "label"}}
    candidate = train(from_mapping(mapping), progress=lambda _: None)
    publish(candidate, artifact=folder / "artifact", export=folder / "model_train.pkl")
    return verify(folder / "artifact"), table


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> tuple[Verified, Path]:
    """A model of a table with text labels, and the table."""
    return trained(tmp_path_factory.mktemp("words"), WORDS)


@pytest.fixture
def answer(tmp_path: Path) -> Callable[..., Predictions]:
    """Predict into `tmp_path`: `out.csv` unless another name is said."""

    def call(artifact: Verified, *inputs: Path, to: str = "out.csv", **options: Any) -> Predictions:
        asked = PredictionRequest(artifact, tuple(map(str, inputs)), str(tmp_path / to), **options)
        return predict(asked)

    return call


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as text:
        return list(csv.DictReader(text))


def columns_of_digits(*, rows: int = 1797, target: bool = True) -> dict[str, np.ndarray]:
    columns = {name: DIGITS.X[:rows, index] for index, name in enumerate(DIGITS.names)}
    return {**columns, "target": DIGITS.y[:rows]} if target else columns


# The built-in digits


def test_predictions_have_the_documented_columns(digits: Verified, answer: Any, tmp_path: Path) -> None:
    """One row a digit: its number, its split, the actual and predicted label, and ten probabilities that sum to 1."""
    answer(digits)
    rows = rows_of(tmp_path / "out.csv")
    assert list(rows[0]) == ["row", "split", "actual", "predicted", *(f"probability_{label}" for label in range(10))]
    assert [int(row["row"]) for row in rows] == list(range(1797))
    assert [int(row["actual"]) for row in rows] == DIGITS.y.tolist()
    probabilities = np.array([[float(row[f"probability_{label}"]) for label in range(10)] for row in rows])
    assert np.abs(probabilities.sum(axis=1) - 1).max() <= 10 * 5e-7
    assert probabilities.argmax(axis=1).tolist() == [int(row["predicted"]) for row in rows]
    assert {len(row["probability_0"]) for row in rows} == {len("0.123456")}


def test_splits_are_those_of_the_training(digits: Verified, answer: Any, tmp_path: Path) -> None:
    """360 rows are held out and 1,437 are training rows, each the very row that training held out or learned."""
    predictions = answer(digits)
    splits = [row["split"] for row in rows_of(tmp_path / "out.csv")]
    assert (splits.count("held-out"), splits.count("training")) == (360, 1437)
    data = Dataset.load(from_mapping(MAPPING))
    assert sorted(data.held_out.tolist()) == [row for row, split in enumerate(splits) if split == "held-out"]
    assert [predictions.split_of(row) for row in range(1797)] == splits


def test_scores_are_the_manifests_and_scikit_learns(digits: Verified, answer: Any, tmp_path: Path) -> None:
    """Held-out, training and all rows are scored apart; the figures are the manifest's, and scikit-learn's."""
    scores, told = answer(digits).scores, digits.manifest.metrics
    predicted = [int(row["predicted"]) for row in rows_of(tmp_path / "out.csv")]
    assert list(scores) == ["held-out", "training", "all"]
    assert round(scores["held-out"].accuracy, 6) == told.held_out.accuracy.value
    assert round(scores["held-out"].f1_weighted, 6) == told.held_out.f1_weighted.value
    assert scores["held-out"].confusion == told.held_out.confusion
    assert (round(scores["training"].accuracy, 6), scores["training"].rows) == (told.training.accuracy, 1437)
    assert round(scores["all"].f1_weighted, 6) == told.all.f1_weighted
    assert scores["all"].accuracy == pytest.approx(accuracy_score(DIGITS.y, predicted), abs=1e-12)
    assert scores["all"].f1_weighted == pytest.approx(f1_score(DIGITS.y, predicted, average="weighted"), abs=1e-12)


def test_bytes_are_the_same_in_another_process(
    digits: Verified, answer: Any, tmp_path: Path, published: Path, run: Callable[..., Any]
) -> None:
    """Predictions and receipt are the same to the byte when another process makes them."""
    answer(digits, to="there.csv")
    here = [(tmp_path / name).read_bytes() for name in ("there.csv", "there.csv.receipt.json")]
    done = run("-m", "artifact_pipeline", "predict", "-o", "there.csv", cwd=published, env={"PYTHONHASHSEED": "1"})
    assert done.returncode == 0, done.stderr
    written = [(published / name).read_bytes() for name in ("there.csv", "there.csv.receipt.json")]
    assert written[0] == here[0]
    told, expected = (json.loads(receipt) for receipt in (written[1], here[1]))
    told["environment"]["packages"].pop("pyarrow", None)  # here it was loaded for another test
    expected["environment"]["packages"].pop("pyarrow", None)
    assert told == expected


def test_probabilities_do_not_depend_on_the_processor(published_1: Path, answer: Any, tmp_path: Path) -> None:
    """A plain NumPy softmax, in other instructions and another order of adding, prints the same six decimals."""
    import io

    digits = verify(published_1 / "artifact")
    answer(digits)
    numbers = np.load(io.BytesIO(digits.role("parameters")), allow_pickle=False)
    scores = (DIGITS.X[:, None, ::-1] * numbers["coef"][None, :, ::-1]).sum(axis=2) + numbers["intercept"]
    exponents = np.exp(scores - scores.max(axis=1, keepdims=True))
    expected = exponents / exponents.sum(axis=1, keepdims=True)
    for row, shares in zip(rows_of(tmp_path / "out.csv"), expected.tolist(), strict=True):
        assert [row[f"probability_{label}"] for label in range(10)] == [f"{share:.6f}" for share in shares]


def test_drift_of_the_models_own_rows_is_not_judged(digits: Verified, answer: Any) -> None:
    """The rows that the model was trained from cannot have drifted: they are told by split, and not judged."""
    predictions = answer(digits)
    assert predictions.drift is None
    assert predictions.held_out is not None


def test_rows_must_be_named_for_a_model_of_a_table(words: tuple[Verified, Path], answer: Any, tmp_path: Path) -> None:
    """A model of something else is never asked for digits; the hint says how to name rows, and nothing is written."""
    with pytest.raises(DataRejected) as caught:
        answer(words[0])
    assert caught.value.rules == {"rows-missing"}
    assert "predict FILE" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


# Tables


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_training_rows_are_recognised_in_a_table(
    digits: Verified, answer: Any, tmp_path: Path, suffix: str
) -> None:
    """The training data as a table, its columns in another order, is recognised by its digest, and scored by split."""
    columns = columns_of_digits()
    mixed = {name: columns[name] for name in sorted(columns, reverse=True)}
    predictions = answer(digits, write_table(tmp_path / f"rows.{suffix}", mixed), to="table.csv")
    own = answer(digits)
    assert predictions.scores == own.scores
    pairs = zip(rows_of(tmp_path / "table.csv"), rows_of(tmp_path / "out.csv"), strict=True)
    assert all(row.items() <= expected.items() for row, expected in pairs)


@pytest.mark.parametrize("change", ["fewer rows", "a pixel", "a label", "no labels", "another order", "twice"])
def test_of_other_rows_nothing_is_known(digits: Verified, answer: Any, tmp_path: Path, change: str) -> None:
    """Where one thing is another than in training each row may be new or seen: nothing is guessed, and that is said."""
    columns = columns_of_digits(rows=1796 if change == "fewer rows" else 1797, target=change != "no labels")
    if change == "a pixel":
        columns["pixel_3_3"] = np.where(np.arange(1797) == 900, 3.5, columns["pixel_3_3"])
    if change == "a label":
        columns["target"] = np.where(np.arange(1797) == 900, 9 - columns["target"], columns["target"])
    if change == "another order":
        columns = {name: column[::-1] for name, column in columns.items()}
    if change == "twice":
        columns = {name: np.tile(column, 2) for name, column in columns.items()}
    predictions = answer(digits, write_table(tmp_path / "rows.parquet", columns))
    assert predictions.held_out is None
    assert predictions.split_of(0) == "unknown"
    assert list(predictions.scores) == ([] if change == "no labels" else ["all"])
    assert {each.training_rows for each in predictions.scores.values()} <= {"unknown"}


def test_text_labels_are_answered(words: tuple[Verified, Path], answer: Any, tmp_path: Path) -> None:
    """A model with text labels answers with text, quotes and commas in it, and names its columns by them."""
    verified, table = words
    predictions = answer(verified, table, keep=("label",))
    rows = rows_of(tmp_path / "out.csv")
    assert [row["label"] for row in rows] == blobs(WORDS)["label"].tolist()
    assert {"probability_no", 'probability_say "yes", or no'} <= set(rows[0])
    assert {row["predicted"] for row in rows} == set(WORDS)
    assert set(predictions.scores) == {"held-out", "training", "all"}


@pytest.mark.parametrize("labels", [["no", "maybe"], [0, 1]], ids=["another word", "numbers"])
def test_an_unknown_label_is_a_bad_row(words: tuple[Verified, Path], answer: Any, tmp_path: Path, labels: list) -> None:
    """A label that the model does not know, or of another kind, is refused with its file, row and column."""
    columns = blobs(labels)
    table = write_table(tmp_path / "rows.parquet", columns)
    with pytest.raises(DataRejected) as caught:
        answer(words[0], table)
    (problem,) = caught.value.problems
    row = columns["label"].tolist().index(labels[1]) if labels[0] == "no" else 0
    assert (problem.place, problem.rule) == (f"rows.parquet, row {row}, column 'label'", "label-unknown")
    assert not (tmp_path / "out.csv").exists()


def test_digits_written_as_text_are_no_digits(digits: Verified, answer: Any, tmp_path: Path) -> None:
    """In a file that has types text is not a number: such labels are refused, not matched by chance."""
    columns = {**columns_of_digits(rows=3), "target": ["0", "1", "2"]}
    with pytest.raises(DataRejected) as caught:
        answer(digits, write_table(tmp_path / "rows.parquet", columns))
    assert caught.value.rules == {"label-unknown"}


def test_rows_without_a_label_are_answered_and_not_scored(digits: Verified, answer: Any, tmp_path: Path) -> None:
    """Where only some rows have a label, all are answered, and the figures are over those that have one."""
    columns = {**columns_of_digits(rows=4), "target": [0, None, 2, None]}
    predictions = answer(digits, write_table(tmp_path / "rows.parquet", columns))
    assert (predictions.receipt.rows.written, predictions.scores["all"].rows) == (4, 2)


def test_a_table_of_other_columns_is_refused(digits: Verified, answer: Any, tmp_path: Path) -> None:
    """A table that lacks a column of the model is refused, and the columns are named."""
    columns = columns_of_digits(rows=3)
    del columns["pixel_0_0"], columns["pixel_7_7"]
    with pytest.raises(DataRejected) as caught:
        answer(digits, write_table(tmp_path / "rows.csv", columns))
    assert [problem.message for problem in caught.value.problems] == ["no column 'pixel_0_0'", "no column 'pixel_7_7'"]


# What is written


@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl"])
def test_each_format_says_the_same(digits: Verified, answer: Any, tmp_path: Path, form: str) -> None:
    """CSV, Parquet and JSON Lines hold the same rows: number, what is kept, label, probabilities."""
    columns = {**columns_of_digits(rows=50), "id": [f"é{row}" for row in range(50)]}
    answer(digits, write_table(tmp_path / "rows.parquet", columns), to=f"out.{form}", keep=("id", "target"))
    file = tmp_path / f"out.{form}"
    if form == "csv":
        rows: list[dict[str, Any]] = rows_of(file)
    elif form == "jsonl":
        rows = [json.loads(line) for line in file.read_text().splitlines()]
    else:
        rows = parquet.read_table(file).to_pylist()
    names = ["row", "id", "target", "predicted", *(f"probability_{label}" for label in range(10))]
    assert [list(row) for row in rows] == [names] * 50
    assert [str(row["id"]) for row in rows] == columns["id"]
    expected = answer(digits, tmp_path / "rows.parquet", to="again.csv", keep=("id", "target"))
    for row, told in zip(rows, rows_of(tmp_path / "again.csv"), strict=True):
        assert (str(row["row"]), str(row["predicted"])) == (told["row"], told["predicted"])
        for name in names[4:]:
            assert float(row[name]) == pytest.approx(float(told[name]), abs=6e-7)
    assert expected.receipt.rows.written == 50


def test_parquet_names_the_artifact(digits: Verified, answer: Any, tmp_path: Path) -> None:
    """A Parquet file of predictions carries the artifact digest in its metadata, and no clock or path."""
    answer(digits, to="out.parquet")
    metadata = parquet.read_metadata(tmp_path / "out.parquet").metadata
    assert metadata == {b"artifact-pipeline.artifact": digits.digest.encode()}


@pytest.mark.parametrize("name", ["row", "predicted", "probability_3", "file"])
def test_a_kept_column_must_have_a_name_of_its_own(digits: Verified, answer: Any, tmp_path: Path, name: str) -> None:
    """A column that would be written twice under one name is refused before anything is read."""
    table = write_table(tmp_path / "rows.parquet", {**columns_of_digits(rows=3), name: [1, 2, 3]})
    with pytest.raises(ConfigError, match=f"'{name}'"):
        answer(digits, table, keep=(name,))


def test_labels_that_a_spreadsheet_would_run_are_not_written_as_csv(answer: Any, tmp_path: Path) -> None:
    """A model whose label begins like a formula answers in Parquet, and refuses to in CSV."""
    (tmp_path / "model").mkdir()
    verified, table = trained(tmp_path / "model", ["no", "=1+1"])
    with pytest.raises(ConfigError, match="formula"):
        answer(verified, table)
    answer(verified, table, to="out.parquet")
    assert set(parquet.read_table(tmp_path / "out.parquet")["predicted"].to_pylist()) == {"no", "=1+1"}


def test_files_whose_names_a_spreadsheet_would_run(digits: Verified, answer: Any, tmp_path: Path) -> None:
    """Where each row of a CSV says its file, a file whose name begins like a formula is refused; Parquet takes it."""
    for name in ("=cmd", "b"):
        write_table(tmp_path / f"{name}.parquet", columns_of_digits(rows=3))
    with pytest.raises(ConfigError, match="formula"):
        answer(digits, tmp_path / "=cmd.parquet", tmp_path / "b.parquet")
    assert answer(digits, tmp_path / "=cmd.parquet").receipt.rows.written == 3
    answer(digits, tmp_path / "=cmd.parquet", tmp_path / "b.parquet", to="out.parquet")


def test_several_files_are_told_apart(digits: Verified, answer: Any, tmp_path: Path) -> None:
    """With several inputs each row says which file it is from, and is numbered within it."""
    for name in ("a", "b"):
        write_table(tmp_path / f"{name}.parquet", columns_of_digits(rows=3))
    answer(digits, tmp_path / "a.parquet", tmp_path / "b.parquet")
    rows = rows_of(tmp_path / "out.csv")
    assert [(row["file"], row["row"]) for row in rows] == [(f"{n}.parquet", str(r)) for n in "ab" for r in range(3)]


# The receipt


def test_the_receipt_tells_what_was_read_and_written(digits: Verified, answer: Any, tmp_path: Path) -> None:
    """The receipt holds the digests of artifact, input and output, and counts that add up; it parses again."""
    table = write_table(tmp_path / "rows.parquet", columns_of_digits(rows=100))
    told = answer(digits, table).receipt
    data = (tmp_path / "out.csv.receipt.json").read_bytes()
    assert Receipt.parse(data, place="receipt", rule="receipt-invalid") == told
    assert (told.complete, told.progress, told.artifact) == (True, None, digits.digest)
    assert [each.sha256 for each in told.inputs] == [digest(table.read_bytes())]
    assert [each.sha256 for each in told.outputs] == [digest((tmp_path / "out.csv").read_bytes())]
    assert told.rows.read == told.rows.written == sum(each.rows for each in told.labels) == 100
    assert (told.gate, told.failed_gate_accepted) == ("passed", False)
    assert told.metrics is not None
    assert str(tmp_path).encode() not in data


def test_the_digits_have_a_receipt_too(digits: Verified, answer: Any) -> None:
    """The input of the built-in digits is the file that the package brings."""
    told = answer(digits).receipt
    assert [(each.name, each.sha256) for each in told.inputs] == [("digits", digest(FILE.read_bytes()))]


def test_predictions_are_proven_by_their_receipt(digits: Verified, answer: Any, tmp_path: Path) -> None:
    """Predictions that nobody touched, under whatever name, with their inputs, are proven by their receipt."""
    table = write_table(tmp_path / "rows.parquet", columns_of_digits(rows=100))
    answer(digits, table)
    prove(str(tmp_path / "out.csv"), inputs=[str(table)], expect=digits.digest)
    (tmp_path / "out.csv").rename(tmp_path / "renamed.csv")
    prove(str(tmp_path / "renamed.csv"), str(tmp_path / "out.csv.receipt.json"))


ROWS = {"read": 6, "written": 5, "rejected": 1, "rules": {"row-width": 1}, "out_of_range": 0}


def edited(place: Path, **changed: Any) -> None:
    value = json.loads(place.read_bytes())
    place.write_bytes(canonical_json({**value, **changed}))


@pytest.mark.parametrize(
    ("tamper", "rules"),
    [
        (lambda root: (root / "out.csv").write_bytes((root / "out.csv").read_bytes()[:-1]), {"output-digest"}),
        (lambda root: (root / "out.csv").unlink(), {"output-missing"}),
        (lambda root: (root / "out.csv.rejected.jsonl").write_text("{}\n"), {"output-digest"}),
        (lambda root: (root / "out.csv.rejected.jsonl").unlink(), {"output-missing"}),
        (lambda root: (root / "rows.csv").write_text("row\n"), {"input-unknown"}),
        (lambda root: (root / "out.csv.receipt.json").unlink(), {"receipt-missing"}),
        (lambda root: (root / "out.csv.receipt.json").write_text("{}"), {"receipt-invalid"}),
        (lambda root: edited(root / "out.csv.receipt.json", complete=False), {"receipt-incomplete"}),
        (
            lambda root: edited(root / "out.csv.receipt.json", labels=[]),
            {"receipt-rows", "receipt-metrics", "output-labels"},
        ),
        (lambda root: edited(root / "out.csv.receipt.json", rows={**ROWS, "read": 7}), {"receipt-rows"}),
        (lambda root: edited(root / "out.csv.receipt.json", artifact=f"sha256:{'0' * 64}"), {"digest-unexpected"}),
    ],
)
def test_what_was_touched_is_not_proven(
    digits: Verified, answer: Any, tmp_path: Path, tamper: Callable[[Path], object], rules: set[str]
) -> None:
    """A changed output, input, list of bad rows or receipt is refused by name."""
    table = write_table(tmp_path / "rows.csv", columns_of_digits(rows=5))
    table.write_text(table.read_text() + "1,2\n")
    answer(digits, table, on_error="quarantine")
    prove(str(tmp_path / "out.csv"), inputs=[str(table)], expect=digits.digest)
    tamper(tmp_path)
    with pytest.raises(ArtifactRejected) as caught:
        prove(str(tmp_path / "out.csv"), inputs=[str(table)], expect=digits.digest)
    assert caught.value.rules == rules


# Bad rows and drift, as the run sees them; test_bad_rows.py has every kind


def test_a_bad_row_stops_the_run_and_nothing_is_lost(digits: Verified, answer: Any, tmp_path: Path) -> None:
    """At the first bad row the run ends: no output, no receipt, and what stood there before still stands."""
    for name in ("out.csv", "out.csv.receipt.json"):
        (tmp_path / name).write_text("before")
    columns = columns_of_digits(rows=9)
    columns["pixel_3_3"] = np.where(np.arange(9) == 4, np.nan, columns["pixel_3_3"])
    with pytest.raises(DataRejected) as caught:
        answer(digits, write_table(tmp_path / "rows.parquet", columns))
    (problem,) = caught.value.problems
    assert (problem.place, problem.rule) == ("rows.parquet, row 4, column 'pixel_3_3'", "missing")
    assert "--on-error quarantine" in caught.value.hint
    assert (tmp_path / "out.csv").read_text() == (tmp_path / "out.csv.receipt.json").read_text() == "before"
    assert {path.name for path in tmp_path.iterdir()} == {"out.csv", "out.csv.receipt.json", "rows.parquet"}


def test_a_bad_row_is_set_aside(digits: Verified, answer: Any, tmp_path: Path) -> None:
    """In quarantine a bad row goes with its reason and its values; the others keep their numbers."""
    columns = columns_of_digits(rows=9)
    columns["pixel_3_3"] = np.where(np.arange(9) == 4, np.nan, columns["pixel_3_3"])
    table = write_table(tmp_path / "rows.parquet", columns)
    rows = answer(digits, table, on_error="quarantine").receipt.rows
    assert (rows.read, rows.written, rows.rejected, rows.rules) == (9, 8, 1, {"missing": 1})
    assert [row["row"] for row in rows_of(tmp_path / "out.csv")] == ["0", "1", "2", "3", "5", "6", "7", "8"]
    (line,) = (tmp_path / "out.csv.rejected.jsonl").read_text().splitlines()
    told = json.loads(line)
    assert (told["file"], told["row"], told["column"], told["value"]) == ("rows.parquet", 4, "pixel_3_3", "nan")
    assert told["record"]["pixel_3_4"] == columns["pixel_3_4"][4]


def test_rows_too_large_for_the_model_are_bad_rows(tmp_path: Path) -> None:
    """A row of which no probability comes is a bad row by itself; the others of its batch are answered."""
    verified, _ = trained(tmp_path, WORDS, C=1e9)
    width = np.array([1.0, 1.7e308, -1.7e308, -1.0])
    batch = Batch(0, 4, np.arange(4), [width, np.zeros(4)], actual=None, kept={}, rejected=(), outside=0)
    scored = Scorer(verified, Options()).score(batch)
    assert {0, 3} <= set(scored.batch.numbers.tolist())
    assert [each.rule for each in scored.rejected] == ["not-finite"]
    assert np.isfinite(scored.probabilities).all()


@pytest.mark.parametrize("policy", ["warn", "reject", "ignore"])
def test_values_far_out_of_the_trained_range(digits: Verified, answer: Any, tmp_path: Path, policy: str) -> None:
    """Beyond the trained range and half of it a row is counted, refused, or let be, as one asks; within it never."""
    columns = columns_of_digits(rows=9)
    columns["pixel_3_3"] = np.array([0.0, 16.0, 24.0, 24.5, -8.0, -8.5, 255.0, 1.0, 2.0])
    table = write_table(tmp_path / "rows.parquet", columns)
    rows = answer(digits, table, on_error="quarantine", out_of_range=policy).receipt.rows
    expected = {"warn": (9, 3, {}), "reject": (6, 0, {"out-of-range": 3}), "ignore": (9, 0, {})}[policy]
    assert (rows.written, rows.out_of_range, rows.rules) == expected


def test_drift_is_found_and_told(digits: Verified, answer: Any, tmp_path: Path) -> None:
    """Inverted pictures have drifted in nearly every respect, held-out rows in none; the receipt tells it."""
    held_out = Dataset.load(from_mapping(MAPPING)).held_out
    columns = {name: column[held_out] for name, column in columns_of_digits().items()}
    told = answer(digits, write_table(tmp_path / "rows.parquet", columns)).receipt.drift
    assert (told["rows"], told["drifted"]) == (360, [])
    inverted = {name: 16 - column if name != "target" else column for name, column in columns.items()}
    told = answer(digits, write_table(tmp_path / "rows.parquet", inverted)).receipt.drift
    assert len(told["drifted"]) > 40
    assert answer(digits, tmp_path / "rows.parquet", drift=False).receipt.drift is None
