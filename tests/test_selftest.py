"""Golden rows: drawn from nobody's data, answered once by the published model, and asked again before the first row."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from artifact_pipeline.artifact.reference import FeatureReference, Reference
from artifact_pipeline.artifact.selftest import ROWS, TOLERANCE, SelfTest
from artifact_pipeline.canonical import canonical_json
from artifact_pipeline.digits.dataset import load_digits
from artifact_pipeline.errors import ArtifactRejected
from artifact_pipeline.model.predictor import Predictor
from format1 import draw_rows, self_test
from onnx_models import WORDS, good

if TYPE_CHECKING:
    from artifact_pipeline.training.sealed import Candidate

DISCRETE = FeatureReference(
    name="d", discrete=True, edges=(-1.0, 0.1, 5.0), counts=(1, 2, 1), low=-1.0, high=5.0, mean=1.0
)
CONTINUOUS = FeatureReference(
    name="c", discrete=False, edges=(0.0, 10.0, 20.0), counts=(1, 0, 3), low=0.0, high=21.0, mean=15.0
)


@pytest.fixture
def golden(candidate_1: Candidate) -> SelfTest:
    """The golden rows of the published artifact."""
    return SelfTest.read(candidate_1.members["selftest.json"])


def test_golden_rows_are_drawn_from_the_sealed_reference(candidate_1: Candidate, golden: SelfTest) -> None:
    """Whoever has the artifact's reference can draw its golden rows again; the clear ones among them are sealed."""
    reference = Reference.read(candidate_1.members["reference.json"])
    drawn = {tuple(row) for row in draw_rows(reference.features, candidate_1.manifest.model.dtype).tolist()}
    assert set(golden.rows) <= drawn
    assert len(drawn) == ROWS


def test_golden_rows_are_nobodys(golden: SelfTest) -> None:
    """None of the golden rows is a row of the data."""
    assert not set(golden.rows) & {tuple(row) for row in load_digits().X.tolist()}


def test_golden_rows_stay_within_what_was_seen() -> None:
    """A discrete feature takes one of its values, another one falls into a bin that holds rows."""
    rows = draw_rows([DISCRETE, CONTINUOUS], "float64")
    assert rows.shape == (ROWS, 2)
    assert set(rows[:, 0]) <= {-1.0, 0.1, 5.0}
    assert all(0 <= value < 10 or 20 <= value <= 21 for value in rows[:, 1])
    assert len(set(rows[:, 1])) == ROWS


def test_golden_rows_are_always_the_same() -> None:
    """The same reference gives the same rows, in every process and on every machine: the first ones are known."""
    rows = draw_rows([DISCRETE, CONTINUOUS], "float64")
    assert rows[:2].tolist() == [[0.1, 7.863758506808887], [0.1, 20.718602531125196]]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_golden_rows_are_exact_in_the_models_type(dtype: str) -> None:
    """What is sealed is what the model is asked: no value changes when it is converted to the model's type."""
    rows = draw_rows([DISCRETE, CONTINUOUS], dtype)
    assert np.array_equal(rows.astype(dtype).astype(np.float64), rows)


def test_answers_are_sealed_rounded_and_without_the_unclear() -> None:
    """Probabilities have six decimals, and a row whose two best classes are within a thousandth is left out."""
    rows = np.array([[1.0], [2.0], [3.0]])
    probabilities = np.array([[0.1234567, 0.8765433], [0.5004, 0.4996], [0.5006, 0.4994]])
    sealed = self_test(rows, np.array([7, 7, 3]), probabilities)
    assert sealed == SelfTest(
        format=1, rows=((1.0,), (3.0,)), labels=(7, 3), probabilities=((0.123457, 0.876543), (0.5006, 0.4994))
    )


def test_a_model_that_knows_nothing_keeps_all_its_rows() -> None:
    """Where no row is clear, all are sealed: they are still the model's answers."""
    sealed = self_test(np.array([[1.0], [2.0]]), np.array(["a", "b"]), np.full((2, 2), 0.5))
    assert sealed.labels == ("a", "b")
    assert SelfTest.read(sealed.canonical()) == sealed


def test_a_single_clear_row_is_a_self_test() -> None:
    """A self-test of one row can be read again: an artifact that was published must not be refused for it."""
    sealed = self_test(np.array([[1.0], [2.0]]), np.array([7, 7]), np.array([[0.9, 0.1], [0.5, 0.5]]))
    assert len(sealed.rows) == 1
    assert SelfTest.read(sealed.canonical()) == sealed


def test_a_published_self_test_fits_its_manifest(candidate_1: Candidate, golden: SelfTest) -> None:
    """The reader finds nothing wrong with the golden rows that the pipeline has sealed."""
    assert list(golden.problems(candidate_1.manifest)) == []


@pytest.mark.parametrize(
    ("rule", "part", "value"),
    [
        ("selftest-shape", "rows", ((0.0,) * 63,)),
        ("selftest-shape", "rows", ((0.0,) * 64, (0.0,) * 64)),
        ("selftest-shape", "labels", (0, 0)),
        ("selftest-shape", "labels", ()),
        ("selftest-shape", "probabilities", ((0.1,) * 9,)),
        ("selftest-labels", "labels", (10,)),
        ("selftest-labels", "labels", ("0",)),
        ("selftest-values", "rows", ((0.1,) + (0.0,) * 63,)),
        ("selftest-values", "rows", ((1e39,) + (0.0,) * 63,)),
    ],
)
def test_golden_rows_that_do_not_fit_are_refused_by_name(
    candidate_1: Candidate, rule: str, part: str, value: object
) -> None:
    """Shape, labels and values must be those of the manifest's model."""
    fitting = SelfTest(format=1, rows=((0.5,) * 64,), labels=(3,), probabilities=((0.1,) * 10,))
    assert list(fitting.problems(candidate_1.manifest)) == []
    changed = msgspec.structs.replace(fitting, **{part: value})
    assert [problem.rule for problem in changed.problems(candidate_1.manifest)] == [rule]


@pytest.mark.parametrize("field", ["tolerance", "threshold"])
def test_an_artifact_cannot_bring_its_own_tolerance(golden: SelfTest, field: str) -> None:
    """The tolerance stands in the code; a file that names one is refused."""
    with pytest.raises(ArtifactRejected) as caught:
        SelfTest.read(canonical_json({**json.loads(golden.canonical()), field: 1.0}))
    assert caught.value.rules == {"selftest-invalid"}


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_replay_tolerates_a_hundred_thousandth(candidate_1: Candidate, golden: SelfTest, sign: int) -> None:
    """A probability may differ by less than 1e-5 from the golden one, and by no more."""
    predictor = Predictor(candidate_1.members["model.onnx"], candidate_1.manifest.model.classes)
    predictor.replay(golden)
    predictor.replay(moved(golden, sign * (TOLERANCE - 1e-6)))
    with pytest.raises(ArtifactRejected) as caught:
        predictor.replay(moved(golden, sign * (TOLERANCE + 1e-6)))
    assert caught.value.rules == {"selftest-answers"}
    assert "0 of" in caught.value.problems[0].message


def moved(golden: SelfTest, off: float) -> SelfTest:
    """The golden rows with the probability of one class of one row moved."""
    first, *others = golden.probabilities
    index = next(index for index, value in enumerate(first) if 0.01 < value < 0.99)
    changed = tuple(value + off * (at == index) for at, value in enumerate(first))
    return msgspec.structs.replace(golden, probabilities=(changed, *others))


def test_a_replay_counts_the_labels_that_differ(candidate_1: Candidate, golden: SelfTest) -> None:
    """Another golden label is refused, however close the probabilities are."""
    predictor = Predictor(candidate_1.members["model.onnx"], candidate_1.manifest.model.classes)
    wrong = msgspec.structs.replace(golden, labels=tuple((label + 1) % 10 for label in golden.labels))
    with pytest.raises(ArtifactRejected) as caught:
        predictor.replay(wrong)
    assert f"{len(golden.rows)} of {len(golden.rows)} golden labels differ" in caught.value.problems[0].message


def test_labels_in_words_are_replayed_too() -> None:
    """A model with text labels answers its own golden rows, and not those of another order."""
    predictor = Predictor(good(sorted(WORDS)), sorted(WORDS))
    rows = np.array(list(itertools.product([-2.0, 2.0], repeat=2)))
    answers = predictor.predict(rows)
    golden = self_test(rows, answers.labels, answers.probabilities)
    predictor.replay(SelfTest.read(golden.canonical()))
    with pytest.raises(ArtifactRejected):
        predictor.replay(msgspec.structs.replace(golden, labels=golden.labels[::-1]))
