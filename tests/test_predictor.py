from __future__ import annotations

import io
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
from sklearn.datasets import load_digits

from artifact_pipeline.artifact.selftest import SelfTest
from artifact_pipeline.documented import load_model
from artifact_pipeline.errors import ArtifactRejected, DataRejected
from artifact_pipeline.model.predictor import BATCH, Predictor, open_predictor
from artifact_pipeline.verification import verify
from linear_writer import linear_classifier

if TYPE_CHECKING:
    from pathlib import Path

    from artifact_pipeline.training.sealed import Candidate

X, y = load_digits(return_X_y=True)


@pytest.fixture(scope="module")
def predictor(candidate_1: Candidate) -> Predictor:
    return Predictor(candidate_1.members["model.onnx"], candidate_1.manifest.model.classes)


@pytest.fixture(scope="module")
def golden(candidate_1: Candidate) -> SelfTest:
    return SelfTest.read(candidate_1.members["selftest.json"])


def test_answers_are_those_of_the_estimator(predictor: Predictor, published_1: Path) -> None:
    """Labels equal those of the exported estimator on every row, and probabilities within 1e-12."""
    estimator = load_model(published_1 / "model_train.pkl")
    answers = predictor.predict(X)
    assert np.array_equal(answers.labels, estimator.predict(X))
    assert np.array_equal(predictor.classes[answers.positions], answers.labels)
    assert np.abs(answers.probabilities - estimator.predict_proba(X)).max() < 1e-12


@pytest.mark.parametrize("rows", [0, 1, BATCH - 1, BATCH, BATCH + 1, 3 * BATCH + 1])
def test_borders_of_batches_do_not_change_an_answer(predictor: Predictor, rows: int) -> None:
    """A row gets its label, and its probabilities to the published six decimals, wherever a batch begins or ends."""
    many = np.resize(X, (rows + 7, 64))
    whole, shifted = predictor.predict(many), predictor.predict(many[7:])
    assert len(shifted.labels) == len(shifted.positions) == len(shifted.probabilities) == rows
    assert np.array_equal(shifted.labels, whole.labels[7:])
    assert np.array_equal(np.round(shifted.probabilities, 6), np.round(whole.probabilities[7:], 6))


def test_a_row_alone_is_answered_as_among_others(predictor: Predictor) -> None:
    """One row at a time gives the labels that all rows at once give."""
    alone = [int(predictor.predict(row[None]).labels[0]) for row in X[:200]]
    assert alone == predictor.predict(X).labels[:200].tolist()


@pytest.mark.parametrize("shape", [(3, 63), (3, 65), (64,), (64, 3), (1, 3, 64), (0, 63)])
def test_another_width_is_refused(predictor: Predictor, shape: tuple[int, ...]) -> None:
    """Rows of another number of features are refused, and both numbers are told."""
    with pytest.raises(DataRejected, match="takes 64 features a row") as caught:
        predictor.predict(np.zeros(shape))
    assert caught.value.rules == {"rows-shape"}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39, -1e39])
@pytest.mark.parametrize("row", [0, BATCH])
def test_a_value_that_is_no_finite_float32_is_refused(predictor: Predictor, value: float, row: int) -> None:
    """In any batch, a value that is not finite in the model's input type is refused."""
    rows = np.zeros((BATCH + 1, 64))
    rows[row, 5] = value
    with pytest.raises(DataRejected, match="float32") as caught:
        predictor.predict(rows)
    assert caught.value.rules == {"not-finite"}


def test_a_value_too_large_to_be_answered_is_refused() -> None:
    """Where a score overflows, no probability would come of it: the row is refused, never answered with NaN."""
    large = Predictor(linear_classifier([[5.0]], [0.0], [0, 1], dtype="float64", name="large"), [0, 1])
    assert large.predict(np.array([[1e307]])).labels.tolist() == [1]
    with pytest.raises(DataRejected) as caught:
        large.predict(np.array([[0.0], [1e308]]))
    assert caught.value.rules == {"not-finite"}


def test_text_labels_are_answered() -> None:
    """The labels of a model of words are words, and their positions those in the model's classes."""
    classes = ["ja", "nein", "vielleicht"]
    model = linear_classifier(np.eye(3), np.zeros(3), classes, dtype="float32", name="words")
    answers = Predictor(model, classes).predict(np.eye(3)[[2, 0, 1]])
    assert answers.labels.tolist() == ["vielleicht", "ja", "nein"]
    assert answers.positions.tolist() == [2, 0, 1]


def test_golden_answers_are_given_again(predictor: Predictor, golden: SelfTest) -> None:
    """The model gives its own golden answers, labels and probabilities."""
    predictor.replay(golden)
    assert predictor.predict(np.array(golden.rows)).labels.tolist() == list(golden.labels)


def nudged(golden: SelfTest, by: float) -> SelfTest:
    first = (golden.probabilities[0][0] + by, *golden.probabilities[0][1:])
    return msgspec.structs.replace(golden, probabilities=(first, *golden.probabilities[1:]))


def test_other_golden_answers_are_refused(predictor: Predictor, golden: SelfTest) -> None:
    """Another golden label is refused, and a probability by more than 1e-5; by less, it passes."""
    predictor.replay(nudged(golden, 8e-6))
    other = ((golden.labels[0] + 1) % 10, *golden.labels[1:])
    for changed in (nudged(golden, 1.2e-5), msgspec.structs.replace(golden, labels=other)):
        with pytest.raises(ArtifactRejected) as caught:
            predictor.replay(changed)
        assert caught.value.rules == {"selftest-answers"}
        assert "onnxruntime" in caught.value.hint


def test_a_verified_artifact_is_opened(published_1: Path) -> None:
    """The predictor of an artifact is made from its verified bytes."""
    opened = open_predictor(verify(published_1 / "artifact"))
    assert np.array_equal(opened.classes, np.arange(10))
    assert (opened.predict(X).labels == y).mean() == pytest.approx(0.9950, abs=5e-5)


def test_golden_rows_are_nobodys(golden: SelfTest, candidate_1: Candidate) -> None:
    """No golden row is a row of the data, and each value of one is exact in the model's input type."""
    rows = np.array(golden.rows)
    assert not {row.tobytes() for row in rows} & {row.tobytes() for row in X}
    assert np.array_equal(rows, rows.astype(candidate_1.manifest.model.dtype))


def test_parameters_are_those_of_the_model(candidate_1: Candidate, published_1: Path) -> None:
    """`parameters.npz` holds the estimator's numbers in float64, without any object array."""
    estimator = load_model(published_1 / "model_train.pkl")
    stored = np.load(io.BytesIO(candidate_1.members["parameters.npz"]), allow_pickle=False)
    assert np.array_equal(stored["coef"], estimator.coef_)
    assert np.array_equal(stored["intercept"], estimator.intercept_)
    assert np.array_equal(stored["classes"], estimator.classes_)
    assert stored["iterations"].tolist() == estimator.n_iter_.tolist()
