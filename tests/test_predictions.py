from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from artifact_pipeline import pipeline
from artifact_pipeline.artifact.verify import Verified, verify
from artifact_pipeline.config import from_mapping
from artifact_pipeline.dataset import load_dataset
from artifact_pipeline.errors import DataRejected
from artifact_pipeline.inference.predictions import Predictions, predict
from artifact_pipeline.rows.digits import load_digits
from tables import blobs, write_table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from artifact_pipeline.pipeline import Candidate

DIGITS = load_digits()


@pytest.fixture(scope="module")
def digits(candidate: Candidate, tmp_path_factory: pytest.TempPathFactory) -> Verified:
    folder = tmp_path_factory.mktemp("digits")
    pipeline.publish(candidate, artifact=folder / "artifact", export=folder / "model_train.pkl")
    return verify(folder / "artifact")


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> tuple[Verified, Path]:
    """A model of a table with text labels, and the table."""
    folder = tmp_path_factory.mktemp("words")
    table = write_table(folder / "rows.parquet", blobs(["no", 'say "yes", or no']))
    mapping = {"C": 1.0, "solver": "lbfgs", "max_iter": 1000, "dataset": {"path": str(table), "target": "label"}}
    trained = pipeline.train(from_mapping(mapping), progress=lambda _: None)
    pipeline.publish(trained, artifact=folder / "artifact", export=folder / "model_train.pkl")
    return verify(folder / "artifact"), table


def rows_of(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def columns_of_digits(*, rows: int = 1797, target: bool = True) -> dict[str, np.ndarray]:
    columns = {name: DIGITS.X[:rows, index] for index, name in enumerate(DIGITS.names)}
    return {**columns, "target": DIGITS.y[:rows]} if target else columns


def splits_of(predictions: Predictions) -> list[str]:
    return [predictions.split_of(row) for row in range(len(predictions.rows.X))]


def test_predictions_have_the_documented_columns(digits: Verified) -> None:
    """One row a digit: its number, its split, the actual and predicted label, and ten probabilities that sum to 1."""
    rows = rows_of(predict(digits).csv())
    assert list(rows[0]) == ["row", "split", "actual", "predicted", *(f"probability_{label}" for label in range(10))]
    assert [int(row["row"]) for row in rows] == list(range(1797))
    assert [int(row["actual"]) for row in rows] == DIGITS.y.tolist()
    probabilities = np.array([[float(row[f"probability_{label}"]) for label in range(10)] for row in rows])
    assert np.abs(probabilities.sum(axis=1) - 1).max() <= 10 * 5e-7
    assert probabilities.argmax(axis=1).tolist() == [int(row["predicted"]) for row in rows]
    assert {len(row["probability_0"]) for row in rows} == {len("0.123456")}


def test_splits_are_those_of_the_training(digits: Verified) -> None:
    """360 rows are held out and 1,437 are training rows, each the very row that training held out or learned."""
    splits = splits_of(predict(digits))
    assert (splits.count("held-out"), splits.count("training")) == (360, 1437)
    data = load_dataset(from_mapping({"C": 1.0, "solver": "lbfgs", "max_iter": 1000}))
    assert sorted(data.held_out.tolist()) == [row for row, split in enumerate(splits) if split == "held-out"]


def test_scores_are_the_manifests_and_scikit_learns(digits: Verified) -> None:
    """Held-out, training and all rows are scored apart; the figures are the manifest's, and scikit-learn's."""
    predictions = predict(digits)
    scores, told = predictions.scores(), digits.manifest.metrics
    assert list(scores) == ["held-out", "training", "all"]
    assert round(scores["held-out"].accuracy, 6) == told.held_out.accuracy.value
    assert round(scores["held-out"].f1_weighted, 6) == told.held_out.f1_weighted.value
    assert scores["held-out"].confusion == told.held_out.confusion
    assert (round(scores["training"].accuracy, 6), scores["training"].rows) == (told.training.accuracy, 1437)
    assert round(scores["all"].f1_weighted, 6) == told.all.f1_weighted
    assert scores["all"].accuracy == pytest.approx(accuracy_score(DIGITS.y, predictions.answers.labels), abs=1e-12)
    expected = f1_score(DIGITS.y, predictions.answers.labels, average="weighted")
    assert scores["all"].f1_weighted == pytest.approx(expected, abs=1e-12)


def test_bytes_are_the_same_in_another_process(digits: Verified, published: Path, run: Callable[..., Any]) -> None:
    """`predictions.csv` is the same to the byte when it is made again, and when another process makes it."""
    here = predict(digits).csv()
    assert predict(digits).csv() == here
    done = run("-m", "artifact_pipeline", "predict", "-o", "there.csv", cwd=published, env={"PYTHONHASHSEED": "1"})
    assert done.returncode == 0, done.stderr
    assert (published / "there.csv").read_bytes() == here


def test_probabilities_do_not_depend_on_the_processor(digits: Verified) -> None:
    """A plain NumPy softmax, in other instructions and another order of adding, prints the same six decimals."""
    predictions = predict(digits)
    numbers = np.load(io.BytesIO(digits.role("parameters")), allow_pickle=False)
    scores = (DIGITS.X[:, None, ::-1] * numbers["coef"][None, :, ::-1]).sum(axis=2) + numbers["intercept"]
    exponents = np.exp(scores - scores.max(axis=1, keepdims=True))
    expected = exponents / exponents.sum(axis=1, keepdims=True)
    difference = np.abs(predictions.answers.probabilities - expected).max()
    assert difference < 1e-13
    assert np.array_equal(np.round(predictions.answers.probabilities, 6), np.round(expected, 6))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_training_rows_are_recognised_in_a_table(digits: Verified, tmp_path: Path, suffix: str) -> None:
    """The training data as a table, its columns in another order, is recognised by its digest, split and all."""
    columns = columns_of_digits()
    mixed = {name: columns[name] for name in sorted(columns, reverse=True)}
    predictions = predict(digits, write_table(tmp_path / f"rows.{suffix}", mixed))
    assert predictions.csv() == predict(digits).csv()


@pytest.mark.parametrize("change", ["fewer rows", "a pixel", "a label", "no labels", "another order"])
def test_other_rows_are_new(digits: Verified, tmp_path: Path, change: str) -> None:
    """Rows of which one thing is another than in training are new, all of them: nothing is guessed."""
    columns = columns_of_digits(rows=1796 if change == "fewer rows" else 1797, target=change != "no labels")
    if change == "a pixel":
        columns["pixel_3_3"] = np.where(np.arange(1797) == 900, 3.5, columns["pixel_3_3"])
    if change == "a label":
        columns["target"] = np.where(np.arange(1797) == 900, 0, columns["target"])
    if change == "another order":
        columns = {name: values[::-1] for name, values in columns.items()}
    predictions = predict(digits, write_table(tmp_path / "rows.parquet", columns))
    assert set(splits_of(predictions)) == {"new"}
    assert list(predictions.scores()) == ([] if change == "no labels" else ["all"])


def test_rows_without_labels_have_no_actual_label(digits: Verified, tmp_path: Path) -> None:
    """Where the labels are not known the column is empty, and there is nothing to score."""
    predictions = predict(digits, write_table(tmp_path / "rows.csv", columns_of_digits(rows=5, target=False)))
    rows = rows_of(predictions.csv())
    assert [row["actual"] for row in rows] == [""] * 5
    assert [row["predicted"] for row in rows] == [row["predicted"] for row in rows_of(predict(digits).csv())[:5]]


def test_text_labels_survive_the_table(words: tuple[Verified, Path]) -> None:
    """Labels with commas and quotes are read back from `predictions.csv` as they are."""
    verified, table = words
    rows = rows_of(predict(verified, table).csv())
    labels = blobs(["no", 'say "yes", or no'])["label"].tolist()
    assert [row["actual"] for row in rows] == labels
    assert {"probability_no", 'probability_say "yes", or no'} <= set(rows[0])
    assert {row["split"] for row in rows} == {"held-out", "training"}


@pytest.mark.parametrize("labels", [["no", "maybe"], [0, 1]], ids=["another word", "numbers"])
def test_an_unknown_label_is_refused(words: tuple[Verified, Path], tmp_path: Path, labels: list) -> None:
    """A label that the model does not know, or of another kind, is refused with its row and the model's labels."""
    columns = blobs(labels)
    predictions = predict(words[0], write_table(tmp_path / "rows.parquet", columns))
    with pytest.raises(DataRejected) as caught:
        predictions.scores()
    assert caught.value.rules == {"label-unknown"}
    row = columns["label"].tolist().index(labels[1]) if labels[0] == "no" else 0
    assert f"row {row}: the label {columns['label'][row]} " in str(caught.value)
    assert caught.value.hint == 'its classes are no, say "yes", or no'


def test_number_labels_are_refused_text(digits: Verified, tmp_path: Path) -> None:
    """Digits written as text are no digits: they are refused, not matched by chance."""
    columns = {**columns_of_digits(rows=3), "target": ["0", "1", "2"]}
    with pytest.raises(DataRejected) as caught:
        predict(digits, write_table(tmp_path / "rows.parquet", columns)).scores()
    assert caught.value.rules == {"label-unknown"}


def test_rows_must_be_named_for_a_model_of_a_table(words: tuple[Verified, Path]) -> None:
    """A model of something else is never asked for digits; the hint says how to name rows."""
    with pytest.raises(DataRejected) as caught:
        predict(words[0])
    assert caught.value.rules == {"rows-missing"}
    assert "predict FILE" in caught.value.hint


def test_a_table_of_other_columns_is_refused(digits: Verified, tmp_path: Path) -> None:
    """A table that lacks a column of the model is refused, and the columns are named."""
    columns = columns_of_digits(rows=3)
    del columns["pixel_0_0"], columns["pixel_7_7"]
    with pytest.raises(DataRejected) as caught:
        predict(digits, write_table(tmp_path / "rows.csv", columns))
    assert [problem.message for problem in caught.value.problems] == ["no column 'pixel_0_0'", "no column 'pixel_7_7'"]
