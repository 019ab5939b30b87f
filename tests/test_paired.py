"""A candidate beside a champion: published examples, an oracle, laws, and how often the interval holds the truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score

from artifact_pipeline.metrics.classification import confusion_matrix, weighted_f1
from artifact_pipeline.metrics.paired import PairedDifference, compare, mcnemar_exact, tango_interval

counts = st.integers(0, 60)


@pytest.mark.parametrize(
    ("won", "lost", "rows", "low", "high"),
    [
        (6, 16, 161, -0.1240, -0.0054),  # Cavo et al. 2012, complete response before and after consolidation
        (1, 7, 21, -0.5172, -0.0260),  # Bentur et al. 2009, airway hyper-responsiveness, in Fagerland et al. 2014
    ],
)
def test_published_examples(won: int, lost: int, rows: int, low: float, high: float) -> None:
    """Tango's interval has the figures that are published of two studies (Fagerland, Lydersen and Laake)."""
    assert tango_interval(won, lost, rows) == pytest.approx((low, high), abs=6e-5)


def test_published_p_value() -> None:
    """McNemar's exact p value is the published one of Cavo et al.'s study."""
    assert mcnemar_exact(6, 16) == pytest.approx(0.052479, abs=6e-7)


@pytest.mark.slow
def test_mcnemar_is_the_exact_binomial() -> None:
    """On a thousand random tables the p value is SciPy's exact binomial test of the discordant rows."""
    random = np.random.default_rng(7)
    for won, lost in random.integers(0, 80, size=(1000, 2)).tolist():
        expected = stats.binomtest(min(won, lost), won + lost, 0.5).pvalue if won + lost else 1.0
        assert mcnemar_exact(won, lost) == pytest.approx(expected, rel=1e-12)


@given(won=counts, lost=counts, same=st.integers(0, 400))
def test_law_the_interval_holds_what_was_observed(won: int, lost: int, same: int) -> None:
    """The interval lies within -1 and 1, holds the observed difference, and is mirrored where the two change places."""
    rows = won + lost + same
    if rows:
        low, high = tango_interval(won, lost, rows)
        assert -1 <= low <= (won - lost) / rows <= high <= 1
        assert tango_interval(lost, won, rows) == pytest.approx((-high, -low), abs=1e-9)


@given(won=counts, lost=counts, same=st.integers(1, 400))
def test_law_the_interval_is_the_score_test_turned_round(won: int, lost: int, same: int) -> None:
    """At 0 the score statistic is McNemar's; so the interval holds 0 just where that does not reject."""
    if won + lost:
        low, high = tango_interval(won, lost, won + lost + same)
        z = (won - lost) / np.sqrt(won + lost)
        if abs(abs(z) - stats.norm.ppf(0.975)) > 1e-6:
            assert (low < 0 < high) == (abs(z) < stats.norm.ppf(0.975)) or won == lost


def draws(random: np.random.Generator, rows: int, won: float, lost: float, size: int) -> np.ndarray:
    return random.multinomial(rows, [won, lost, 1 - won - lost], size=size)[:, :2]


@pytest.mark.parametrize(("won", "lost"), [(0.03, 0.03), (0.02, 0.04), (0.05, 0.01), (0.10, 0.12)])
def test_coverage(won: float, lost: float) -> None:
    """Over 10,000 draws of 360 rows the interval holds the true difference in 94 to 96 % of them."""
    tables, times = np.unique(draws(np.random.default_rng(11), 360, won, lost, 10_000), axis=0, return_counts=True)
    held = [low <= won - lost <= high for low, high in (tango_interval(*pair, 360) for pair in tables.tolist())]
    assert 0.94 <= (np.array(held) * times).sum() / times.sum() <= 0.96


@pytest.mark.parametrize(
    ("interval", "outcome"),
    [
        ((-0.01, 0.03), "passed"),
        ((-0.03, 0.01), "inconclusive"),
        ((-0.05, -0.03), "failed"),
        ((-0.02, 0.02), "inconclusive"),
    ],
)
def test_three_outcomes(interval: tuple[float, float], outcome: str) -> None:
    """Above minus the margin is passed, below is failed, across or at it is inconclusive."""
    assert PairedDifference(0.0, *interval).outcome(0.02) == outcome


def answers(seed: int, classes: int = 4, rows: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    actual = random.integers(0, classes, rows)
    candidate = np.where(random.random(rows) < 0.9, actual, random.integers(0, classes, rows))
    champion = np.where(random.random(rows) < 0.8, actual, random.integers(0, classes, rows))
    return actual, candidate, champion


@pytest.mark.parametrize("seed", range(5))
def test_differences_are_scikit_learns(seed: int) -> None:
    """The observed differences are those of scikit-learn's accuracy and weighted F1, and the counts those of rows."""
    actual, candidate, champion = answers(seed)
    paired = compare(actual, candidate, champion, classes=4)
    expected = accuracy_score(actual, candidate) - accuracy_score(actual, champion)
    assert paired.accuracy.value == pytest.approx(expected, abs=1e-12)
    f1 = [f1_score(actual, told, average="weighted") for told in (candidate, champion)]
    assert paired.f1_weighted.value == pytest.approx(f1[0] - f1[1], abs=1e-12)
    assert paired.won - paired.lost == round(expected * 300)


def test_bootstrap_is_that_of_rows() -> None:
    """The interval of F1 is, within the chance of drawing, the one that drawing rows one by one gives."""
    actual, candidate, champion = answers(3)
    random, differences = np.random.default_rng(1), []
    for _ in range(2000):
        rows = random.integers(0, len(actual), len(actual))
        ours, theirs = (confusion_matrix(actual[rows], told[rows], 4) for told in (candidate, champion))
        differences.append(float(weighted_f1(ours) - weighted_f1(theirs)))
    low, high = np.quantile(differences, [0.025, 0.975])
    found = compare(actual, candidate, champion, classes=4).f1_weighted
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.006)


def test_a_model_beside_itself() -> None:
    """A model beside itself has won and lost nothing, and no evidence of a difference."""
    actual, candidate, _ = answers(5)
    paired = compare(actual, candidate, candidate, classes=4)
    assert (paired.won, paired.lost, paired.mcnemar, paired.accuracy.value) == (0, 0, 1.0, 0.0)
    assert paired.f1_weighted == PairedDifference(0.0, 0.0, 0.0)
