from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import numpy as np
import onnx
import pytest
from sklearn.datasets import load_digits, make_classification
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from linear_writer import linear_classifier
from onnx_models import COEFFICIENTS, INTERCEPTS, NUMBERS, WORDS, good


def run(data: bytes, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The labels and probabilities that onnxruntime gives."""
    import onnxruntime

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return tuple(session.run(["label", "probabilities"], {"X": x}))


def problem(name: str) -> tuple[LogisticRegression, np.ndarray]:
    """A fitted estimator, and the rows that it was fitted on."""
    if name == "digits":
        x, y = load_digits(return_X_y=True)
    else:
        classes = 2 if "binary" in name else 4
        x, y = make_classification(600, 9, n_informative=6, n_classes=classes, random_state=5)
        # Rows that float32 holds, so that both input types see the same numbers.
        x = x.astype(np.float32).astype(np.float64)
    if "words" in name:
        y = np.array(["nein", "ja", "vielleicht", "später"])[y]
    with threadpool_limits(1, "blas"):
        return LogisticRegression(max_iter=1000).fit(x, y), x


def written(model: LogisticRegression, dtype: str = "float64") -> bytes:
    return linear_classifier(model.coef_, model.intercept_, model.classes_, dtype=dtype, name="test")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["digits", "binary", "binary words", "words"])
def test_answers_are_those_of_the_estimator(name: str, dtype: str) -> None:
    """Labels are equal to scikit-learn's, and probabilities within 1e-12, whatever the type of the input."""
    model, x = problem(name)

    label, probabilities = run(written(model, dtype), x.astype(dtype))

    assert label.tolist() == model.predict(x).tolist()
    assert np.abs(probabilities - model.predict_proba(x)).max() <= 1e-12


@pytest.mark.needs("skl2onnx")
@pytest.mark.parametrize("name", ["digits", "binary", "words"])
def test_answers_are_those_of_skl2onnx(name: str) -> None:
    """An independent converter's model gives equal labels, and probabilities within 1e-12."""
    from skl2onnx import to_onnx

    model, x = problem(name)
    other = to_onnx(model, x, options={"zipmap": False}).SerializeToString()
    import onnxruntime

    session = onnxruntime.InferenceSession(other, providers=["CPUExecutionProvider"])
    other_label, other_probabilities = session.run(None, {session.get_inputs()[0].name: x})

    label, probabilities = run(written(model), x)

    assert label.tolist() == other_label.tolist()
    assert np.abs(probabilities - other_probabilities).max() <= 1e-12


def test_of_equal_scores_the_first_label_is_taken() -> None:
    """In a tie the label is the first class, as NumPy's argmax takes it."""
    data = linear_classifier(np.ones((3, 1)), np.zeros(3), [7, 5, 6], dtype="float64", name="tie")

    label, probabilities = run(data, np.array([[2.0]]))

    assert label.tolist() == [7]
    assert np.ptp(probabilities) == 0


def test_the_label_follows_the_score() -> None:
    """Where two probabilities round to the same number, the label is still that of the greater score."""
    data = linear_classifier([[1.0]], [0.0], ["no", "yes"], dtype="float64", name="close")

    label, probabilities = run(data, np.array([[1e-20], [-1e-20]]))

    assert label.tolist() == ["yes", "no"]
    assert probabilities.tolist() == [[0.5, 0.5], [0.5, 0.5]]


@pytest.mark.parametrize("classes", [NUMBERS, WORDS], ids=["numbers", "words"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_onnx_finds_nothing_wrong(classes: list, dtype: str) -> None:
    """The format's own checker accepts each kind of model, shapes and types included."""
    onnx.checker.check_model(onnx.ModelProto.FromString(good(classes, dtype)), full_check=True)


def test_the_bytes_are_pinned() -> None:
    """The bytes depend on the numbers alone: not on the version of onnx, nor on the process, nor on memory order."""
    digest = "e235e876fdec4fa8612a424341d421d7428159964f7aae6eba572416fc1480c9"
    assert hashlib.sha256(good()).hexdigest() == digest

    fortran = np.asfortranarray(COEFFICIENTS)
    assert linear_classifier(fortran, INTERCEPTS, np.array(NUMBERS), dtype="float32", name="small") == good()

    script = "import sys, onnx_models; sys.stdout.buffer.write(onnx_models.good())"
    environment = {**os.environ, "PYTHONHASHSEED": "99", "PYTHONPATH": os.pathsep.join(sys.path)}
    other = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, check=True)
    assert other.stdout == good()


@pytest.mark.parametrize(
    ("coefficients", "intercepts", "classes"),
    [
        ([1.0, 2.0], [0.0], [0, 1]),
        ([[1.0, 2.0]], [0.0, 1.0], [0, 1]),
        ([[1.0, 2.0]], [0.0], [0, 1, 2]),
        ([[1.0, 2.0]], [0.0], [0]),
        ([[1.0, np.nan]], [0.0], [0, 1]),
        ([[1.0, 2.0]], [np.inf], [0, 1]),
        ([[1.0, 2.0]], [0.0], [0.5, 1.5]),
        ([[1.0, 2.0]], [0.0], [False, True]),
        ([[1.0, 2.0]], [0.0], np.array(["a", 1], dtype=object)),
        ([[1.0, 2.0]], [0.0], [[0, 1], [2, 3]]),
    ],
)
def test_what_is_no_linear_classifier_is_refused(coefficients, intercepts, classes) -> None:
    """Shapes that do not fit, numbers that are not finite, and labels of another kind are not written."""
    with pytest.raises(ValueError, match=r"coefficient|label"):
        linear_classifier(coefficients, intercepts, classes, dtype="float64", name="wrong")
