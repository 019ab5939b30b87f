from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from msgspec import structs
from scipy.stats import binomtest, chi2, chi2_contingency

from artifact_pipeline.artifact.reference import FeatureReference, Reference
from artifact_pipeline.canonical import canonical_json
from artifact_pipeline.digits.dataset import load_digits
from artifact_pipeline.drift import judge as drift
from artifact_pipeline.drift.histograms import Counts, Histograms, usual_bin
from artifact_pipeline.drift.judge import Drift, Shift, judge
from artifact_pipeline.model.predictor import predictor_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from artifact_pipeline.training.sealed import Candidate

    Count = Callable[[NDArray[np.float64]], Counts]

ROWS = 10_000_000


@pytest.fixture(scope="module")
def reference(candidate: Candidate) -> Reference:
    """The reference of the published artifact."""
    return Reference.read(candidate.members["reference.json"])


@pytest.fixture(scope="module")
def count(candidate: Candidate, reference: Reference) -> Count:
    """Answer rows of pixels with the published model, and count them."""
    predictor = predictor_of(candidate.manifest, candidate.members)

    def answer_and_count(X: NDArray[np.float64]) -> Counts:
        answers = predictor.predict(X)
        counter = Histograms(reference, "float64")
        columns = np.ascontiguousarray(X.T)
        counter.add(columns, answers.positions, answers.probabilities.max(axis=1))
        return counter.counts()

    return answer_and_count


@pytest.fixture(scope="module")
def held_out(candidate: Candidate) -> NDArray[np.bool_]:
    """Which digits were held out."""
    bits = np.frombuffer(candidate.members["split.bin"], dtype=np.uint8)
    return np.unpackbits(bits, count=1797, bitorder="little").astype(np.bool_)


@pytest.fixture
def window(held_out: NDArray[np.bool_]) -> NDArray[np.float64]:
    """200 digits that the model has never seen, in a fixed order."""
    return np.random.default_rng(3).permutation(load_digits().X[held_out])[:200]


def found(verdict: Drift) -> dict[str, Shift]:
    """What drifted, by name."""
    return {shift.name: shift for shift in verdict.drifted}


def psi(feature: FeatureReference, counts: tuple[int, ...]) -> float:
    """The population stability index, an empty bin taken as a share of 0.0001, as is usual."""
    trained, seen = (np.maximum(np.array(each) / sum(each), 1e-4) for each in (feature.counts, counts))
    return float(((seen - trained) * np.log(seen / trained)).sum())


# The tests themselves.


@pytest.mark.parametrize("degrees", range(1, 65))
def test_the_tail_of_chi_square_is_scipys(degrees: int) -> None:
    """The closed sums equal SciPy's survival function within 1e-10 of it, from the smallest x to p of 1e-290."""
    x = np.concatenate([[0.0, 5e-324, 1e-300], np.logspace(-12, math.log10(1250), 150), np.linspace(0.1, 150, 100)])
    expected = chi2.sf(x, degrees)
    ours = np.array([drift.chi_square_tail(each, degrees) for each in x.tolist()])
    normal = expected > 1e-290
    np.testing.assert_allclose(ours[normal], expected[normal], rtol=1e-10, atol=0)


@pytest.mark.parametrize("degrees", [1, 2, 9, 16, 31, 400])
def test_the_tail_of_chi_square_far_out_is_zero(degrees: int) -> None:
    """What ten million rows can give is no overflow, but a p of 0."""
    assert drift.chi_square_tail(1e7, degrees) == 0.0
    assert drift.chi_square_tail(1e15, degrees) == 0.0


bins = st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 3000)), min_size=1, max_size=32)


@given(bins)
@example([(1437, 10**7), (0, 10)])
@example([(0, 50), (1437, 0)])
@example([(0, 0)])
@example([(10, 0), (10, 0)])
def test_two_samples_are_the_contingency_table(pairs: list[tuple[int, int]]) -> None:
    """The p is that of the table of both samples, and the effect is Cramer's V of it with both scaled to one size."""
    result = drift.two_samples(pairs)
    pooled = drift.pool(pairs)
    assert (result is None) == (len(pooled) < 2)
    assume(result is not None)
    assert result is not None
    table = np.array(pooled, dtype=np.float64).T
    assert result[1] == pytest.approx(chi2_contingency(table, correction=False).pvalue, rel=1e-9, abs=1e-290)
    shares = table / table.sum(axis=1, keepdims=True)
    assert result[0] == pytest.approx(
        math.sqrt(chi2_contingency(shares, correction=False).statistic / 2), rel=1e-9, abs=1e-12
    )
    assert 0 <= result[0] <= 1 + 1e-12


@given(bins)
@example([(100, 100), (1, 0), (0, 1)])
@example([(1, 0), (0, 1), (100, 100)])
def test_pooling_loses_no_row_and_leaves_no_sparse_bin(pairs: list[tuple[int, int]]) -> None:
    """Pooled bins are runs of neighbours that hold every row, and in each both samples expect ten rows."""
    pooled = np.array(drift.pool(pairs)).reshape(-1, 2)
    totals = np.array(pairs).sum(axis=0)
    assume(len(pooled))
    assert pooled.sum(axis=0).tolist() == totals.tolist()
    expected = np.outer(pooled.sum(axis=1), totals) / totals.sum()
    assert expected.min() >= drift.EXPECTED * (1 - 1e-12)
    ends = {tuple(end) for end in np.cumsum(pairs, axis=0).tolist()}
    assert {tuple(end) for end in np.cumsum(pooled, axis=0).tolist()} <= ends


@given(st.integers(0, 400), st.integers(0, 400), st.integers(1, 5000), st.integers(1, 5000))
@example(0, 3, 50, 1437)
@example(3, 0, 50, 1437)
@example(400, 0, 400, 1437)
@example(5, 9000, 50, 1_000_000)
@example(100_000, 10, 10_000_000, 1437)
@example(60_000, 10, 10_000_000, 1437)
def test_the_rare_rule_is_the_binomial_test(unusual: int, before: int, rows: int, trained: int) -> None:
    """The p of unusual rows is SciPy's one-sided binomial test of their number, however few or many."""
    assume(unusual + before)
    expected = binomtest(unusual, unusual + before, rows / (rows + trained), alternative="greater").pvalue
    assert drift.more_often(unusual, before, rows, trained) == pytest.approx(expected, rel=1e-7, abs=1e-290)


@given(st.lists(st.sampled_from([0.0, 1e-9, 0.0001, 0.001, 0.0024, 0.005, 0.01, 0.04, 0.5, 1.0]), max_size=8))
def test_holm_rejects_what_holm_rejects(values: list[float]) -> None:
    """A corrected p is at most alpha exactly where the step-down procedure of Holm's paper rejects at alpha."""
    corrected = drift.holm(values)
    assert all(value <= after <= 1 for value, after in zip(values, corrected, strict=True))
    for alpha in (0.0003, 0.0101, 0.0507, 0.3001):
        rejected = set()
        for rank, index in enumerate(np.argsort(values, kind="stable").tolist()):
            if values[index] > alpha / (len(values) - rank):
                break
            rejected.add(index)
        assert {index for index, p in enumerate(corrected) if p <= alpha} == rejected


# What is no drift.


@pytest.mark.slow
@pytest.mark.parametrize(("size", "alarms_of_psi"), [(50, 100), (100, 100), (200, 20)])
def test_undrifted_windows_give_no_alarm(
    reference: Reference, count: Count, held_out: NDArray[np.bool_], *, size: int, alarms_of_psi: int
) -> None:
    """Of 100 windows of held-out rows at most three alarm; by an index over 0.25 every one of 50 rows does."""
    X, random = load_digits().X[held_out], np.random.default_rng(size)
    ours = theirs = 0
    for _ in range(100):
        counts = count(random.permutation(X)[:size])
        ours += bool(judge(reference, counts).drifted)
        theirs += any(psi(*each) > 0.25 for each in zip(reference.features, counts.features, strict=True))
    assert ours <= 3
    assert theirs >= alarms_of_psi


def test_the_training_rows_have_no_drifted_feature(
    reference: Reference, count: Count, held_out: NDArray[np.bool_]
) -> None:
    """Over the very training rows each feature has an effect of 0 and a p of 1."""
    verdict = judge(reference, count(load_digits().X[~held_out]))
    features = [shift for shift in verdict.shifts if shift.kind == "feature"]
    assert len(features) >= 60
    assert {(shift.effect, shift.drifted) for shift in features} == {(0.0, False)}
    assert min(shift.p for shift in features) > 0.99


def test_the_held_out_rows_have_not_drifted(reference: Reference, count: Count, held_out: NDArray[np.bool_]) -> None:
    """Over the held-out rows the outputs are the reference's own, and the features are those of other such digits."""
    verdict = judge(reference, count(load_digits().X[held_out]))
    assert [(shift.name, shift.effect, shift.p) for shift in verdict.shifts[:2]] == [
        ("predicted label", 0.0, 1.0),
        ("confidence", 0.0, 1.0),
    ]
    assert verdict.drifted == ()


def test_a_tiny_difference_in_ten_million_rows_is_no_drift(reference: Reference) -> None:
    """One row of a hundred has moved in each histogram: no chance at all, yet nothing drifts, as it is too little."""
    many = enlarged(reference)
    rarely = [ROWS // 200 if usual_bin(feature) is not None else 0 for feature in many.features]
    counts = Counts(
        rows=ROWS,
        features=tuple(moved(feature.counts) for feature in many.features),
        unusual=tuple(rarely),
        labels=moved(many.outputs.labels),
        confidence=moved(many.outputs.confidence.counts),
    )
    verdict = judge(many, counts)
    certain = [shift for shift in verdict.shifts if shift.p < 1e-9]
    assert len(certain) > 55
    assert all(shift.effect < drift.FLOORS[shift.rule] for shift in certain)
    assert verdict.drifted == ()


def enlarged(reference: Reference) -> Reference:
    """The same shares of ten million rows."""
    confidence = structs.replace(reference.outputs.confidence, counts=grown(reference.outputs.confidence.counts))
    outputs = structs.replace(
        reference.outputs, rows=ROWS, labels=grown(reference.outputs.labels), confidence=confidence
    )
    features = tuple(structs.replace(feature, counts=grown(feature.counts)) for feature in reference.features)
    return structs.replace(reference, rows=ROWS, labels=grown(reference.labels), features=features, outputs=outputs)


def grown(counts: tuple[int, ...]) -> tuple[int, ...]:
    """The same shares of ten million rows."""
    shares = [count * ROWS // sum(counts) for count in counts]
    shares[-1] += ROWS - sum(shares)
    return tuple(shares)


def moved(counts: tuple[int, ...]) -> tuple[int, ...]:
    """A hundredth of all rows goes from the fullest bin to the one beside it."""
    if len(counts) == 1:
        return counts
    changed, fullest = list(counts), counts.index(max(counts))
    changed[fullest] -= ROWS // 100
    changed[fullest - 1] += ROWS // 100
    return tuple(changed)


@pytest.mark.parametrize("rows", [0, 1, drift.LEAST_ROWS - 1])
def test_too_few_rows_give_no_verdict(
    reference: Reference, count: Count, window: NDArray[np.float64], rows: int
) -> None:
    """With fewer rows than two bins need nothing is tested, and nothing drifts, whatever the rows are."""
    counts = count(16 - window[:rows]) if rows else Counts.zero(reference)
    assert judge(reference, counts) == Drift(rows=rows, tested=0, shifts=())
    assert judge(reference, counts).plain() == {"rows": rows, "tested": 0, "drifted": [], "worst": []}


# What is drift.


def test_inverted_pixels_drift(reference: Reference, count: Count, window: NDArray[np.float64]) -> None:
    """White on black instead of black on white: nearly all pixels drift, and what the model says does too."""
    verdict = judge(reference, count(16 - window))
    drifted = found(verdict)
    assert len(drifted) > 55
    assert {"predicted label", "confidence"} <= set(drifted)
    assert drifted["pixel_0_0"].rule == "rare"
    assert drifted["pixel_0_0"].change == "not value 0: 0.0 % -> 100.0 %"
    assert drifted["pixel_0_3"].rule == "chi-square"


def test_a_shifted_mix_of_labels_drifts(
    candidate: Candidate, reference: Reference, count: Count, held_out: NDArray[np.bool_]
) -> None:
    """Where most digits are threes, the label says so in words, with its name where the classes are known."""
    digits = load_digits()
    threes = digits.X[held_out & (digits.y == 3)]
    counts = count(np.concatenate([digits.X[held_out][:100], threes, threes]))
    shift = found(judge(reference, counts, candidate.manifest.model.classes))["predicted label"]
    assert shift.kind == "output"
    assert shift.change.startswith("label 3: 9.4 % -> 4")
    names = [f"digit {label}" for label in range(10)]
    assert found(judge(reference, counts, names))["predicted label"].change.startswith("label digit 3: 9.4 % ->")
    assert found(judge(reference, counts))["predicted label"].change == shift.change


def test_rare_labels_are_pooled_with_each_other(reference: Reference) -> None:
    """Labels too rare to be tested alone are so together, and do not vanish in the common label beside them."""
    outputs = structs.replace(reference.outputs, rows=306, labels=(1, 50) * 6)
    many = structs.replace(reference, outputs=outputs)
    counts = replace(Counts.zero(many), rows=306, labels=(15, 36) * 6)
    (shift,) = judge(many, counts).drifted
    assert (shift.name, shift.change) == ("predicted label", "label 0: 0.3 % -> 4.9 %")


@pytest.mark.parametrize("value", [0.0, 16.0, 7.5, 99.0])
def test_a_dead_sensor_drifts(reference: Reference, count: Count, window: NDArray[np.float64], value: float) -> None:
    """A feature that says one value only is found, and of the features it alone."""
    window[:, 27] = value
    verdict = judge(reference, count(window))
    (shift,) = (shift for shift in verdict.drifted if shift.kind == "feature")
    assert (shift.name, shift.rule) == ("pixel_3_3", "chi-square")
    assert shift.effect > 0.5
    assert shift.change.endswith("-> 100.0 %")


@pytest.mark.parametrize("ink", [0.25, 9.0, -1.0])
def test_ink_in_a_constant_pixel_drifts(
    reference: Reference, count: Count, window: NDArray[np.float64], ink: float
) -> None:
    """A pixel that was always 0 has one bin, and ink in one row of twenty is found, above it and below."""
    window[::20, 0] = ink
    (shift,) = judge(reference, count(window)).drifted
    assert (shift.name, shift.rule, shift.effect) == ("pixel_0_0", "rare", 0.05)
    assert shift.change == "not value 0: 0.0 % -> 5.0 %"


def test_one_odd_row_is_no_drift(reference: Reference, count: Count, window: NDArray[np.float64]) -> None:
    """Ink in a constant pixel of one row may be chance, and is less than what matters in a large window."""
    window[0, 0] = 9
    assert judge(reference, count(window)).drifted == ()


def test_less_ink_than_in_training_is_no_drift(reference: Reference, count: Count, window: NDArray[np.float64]) -> None:
    """The rule for nearly constant features looks one way: fewer unusual rows have no effect and a p near 1."""
    window[:, 8] = 0
    (shift,) = (shift for shift in judge(reference, count(window)).shifts if shift.name == "pixel_1_0")
    assert (shift.rule, shift.effect, shift.p) == ("rare", 0.0, 1.0)


def test_deciles_are_told_as_ranges(reference: Reference) -> None:
    """A feature of many values is told by its range, below the first inner edge, between two, or from the last."""
    feature = FeatureReference(
        name="x", discrete=False, edges=(0.0, 1.5, 2.0), counts=(100, 100, 100), low=0, high=9, mean=1
    )
    one = structs.replace(reference, rows=300, features=(feature,))
    counts = replace(Counts.zero(one), rows=300)
    for bins, words in [((300, 0, 0), "below 1.5"), ((0, 300, 0), "1.5 to 2"), ((0, 0, 300), "from 2")]:
        (shift,) = judge(one, replace(counts, features=(bins,))).drifted
        assert shift.change == f"{words}: 33.3 % -> 100.0 %"


# What is told.


def test_outputs_stand_first_and_what_drifted_before_the_rest(
    reference: Reference, count: Count, window: NDArray[np.float64]
) -> None:
    """Outputs first, then features: those that drifted, and each by its effect; the worst are what drifted first."""
    window[:, 20:28] = 0
    verdict = judge(reference, count(window))
    kinds = [shift.kind for shift in verdict.shifts]
    assert kinds == sorted(kinds, reverse=True)
    features = [(not shift.drifted, -shift.effect) for shift in verdict.shifts if shift.kind == "feature"]
    assert features == sorted(features)
    assert verdict.tested == len(verdict.shifts)
    assert len(verdict.worst()) == 10
    assert verdict.worst()[: len(verdict.drifted)] == verdict.drifted[:10]


def test_the_worst_are_what_drifted_first() -> None:
    """What drifted stands before outputs that did not, and otherwise the order is kept."""
    label, first, second = (
        Shift(name, kind, "chi-square", effect=0.2, p=0.001, drifted=kind == "feature", change="")
        for name, kind in (("label", "output"), ("a", "feature"), ("b", "feature"))
    )
    verdict = Drift(rows=100, tested=3, shifts=(label, first, second))
    assert verdict.drifted == (first, second)
    assert verdict.worst() == (first, second, label)


def test_the_plain_verdict_is_json_of_six_digits(
    reference: Reference, count: Count, window: NDArray[np.float64]
) -> None:
    """Rows, tested, the names of what drifted, the worst ten; figures have six significant digits."""
    window[:, 27] = 0
    verdict = judge(reference, count(window))
    plain = verdict.plain()
    assert json.loads(canonical_json(plain)) == plain
    assert (plain["rows"], plain["tested"]) == (200, verdict.tested)
    assert plain["drifted"] == [shift.name for shift in verdict.drifted]
    assert "pixel_3_3" in plain["drifted"]
    for told, shift in zip(plain["worst"], verdict.worst(), strict=True):
        assert set(told) == {"name", "kind", "rule", "effect", "p", "drifted", "change"}
        assert (told["name"], told["drifted"], told["change"]) == (shift.name, shift.drifted, shift.change)
        assert told["effect"] == pytest.approx(shift.effect, rel=1e-5)
        assert all(float(f"{told[figure]:.6g}") == told[figure] for figure in ("effect", "p"))
