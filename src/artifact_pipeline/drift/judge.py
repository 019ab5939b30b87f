"""Drift: whether rows are distributed as the rows behind `reference.json`, feature by feature and in the outputs.

A threshold of the population stability index does not decide it: its noise alone is above the usual 0.25 in every
window of 50 rows. A difference is drift if it is significant and large enough to matter: of ten million rows any
difference is significant, of fifty rows any is large.

* Significant: the chi-square test for two binned samples of different size (Numerical Recipes, section 14.3), sparse
  bins pooled until both samples expect ten rows in each (after Cochran 1954). A feature that was nearly constant in
  training has too few rows for that: its unusual rows are two Poisson counts, compared exactly given their sum
  (Przyborowski and Wilenski 1940). The p values of everything tested are corrected together (Holm 1979), so that all
  of them at once give a false alarm in at most one judgement of a hundred.
* Large enough: Cramer's V as if both samples were of one size, at least 0.1, Cohen's "small" (1988); for unusual rows
  the rise of their share, at least 0.01.

The test takes rows to be independent. Pure Python: it sees counts, never rows, and inference has no SciPy.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

from artifact_pipeline.drift.histograms import usual_bin
from artifact_pipeline.rows.coded import MISSING_CODE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from artifact_pipeline.artifact.reference import FeatureReference, Reference
    from artifact_pipeline.drift.histograms import Counts
    from artifact_pipeline.rows.features import Column

    Pair = tuple[int, int]
    Rule = Literal["chi-square", "rare"]

_ALPHA = 0.01
"""At most this share of judgements over undrifted rows holds a false alarm."""
FLOORS: dict[Rule, float] = {"chi-square": 0.1, "rare": 0.01}
"""The least effect that matters, by rule."""
EXPECTED = 10
"""Rows that both samples must expect in a bin. Cochran's five are for a level of 0.05; the level here is 0.01 divided
by some sixty, and so far out the tail is heavier: in simulations five gave up to 1.9 % false alarms, ten 1.2 %."""
LEAST_ROWS = 2 * EXPECTED
"""With fewer rows no histogram could have two bins, and nothing is judged."""
WORST = 10
_SIGNIFICANT_DIGITS = 6
"""Of the figures in a receipt, since their last bits depend on the processor."""
LABEL, CONFIDENCE = "predicted label", "confidence"


@dataclass(frozen=True, slots=True)
class Shift:
    """The result of one test.

    Attributes:
        name: the feature, or `predicted label`, or `confidence`, the highest probability of a row.
        kind: whether an output of the model or one of its features was tested.
        rule: the test: of the whole histogram, or of the unusual rows of a feature that was nearly constant.
        effect: the size of the difference, 0 to 1, by the rule.
        p: the p value, corrected for the number of tests.
        drifted: whether the difference is significant and large enough.
        change: the largest change in words, such as `label 3: 10.0 % -> 31.2 %`.
    """

    name: str
    kind: Literal["output", "feature"]
    rule: Rule
    effect: float
    p: float
    drifted: bool
    change: str

    def plain(self) -> dict[str, Any]:
        """Return the attributes as a dict, the figures with six significant digits."""
        return asdict(self) | {"effect": _rounded(self.effect), "p": _rounded(self.p)}


@dataclass(frozen=True, slots=True)
class Drift:
    """The verdict.

    Attributes:
        rows: how many rows were judged.
        tested: how many tests were made; with few rows few or none can be.
        shifts: the result of each test: outputs before features, drifted ones first, then by effect.
    """

    rows: int
    tested: int
    shifts: tuple[Shift, ...]

    @property
    def drifted(self) -> tuple[Shift, ...]:
        """The outputs and features that drifted."""
        return tuple(shift for shift in self.shifts if shift.drifted)

    def worst(self) -> tuple[Shift, ...]:
        """Return the first `WORST` results, drifted ones first."""
        return tuple(sorted(self.shifts, key=lambda shift: not shift.drifted))[:WORST]

    def plain(self) -> dict[str, Any]:
        """Return the entry of a receipt: rows, tested, the names of what drifted, and the worst ten in full."""
        return {
            "rows": self.rows,
            "tested": self.tested,
            "drifted": [shift.name for shift in self.drifted],
            "worst": [shift.plain() for shift in self.worst()],
        }


def judge(
    reference: Reference, counts: Counts, classes: Sequence[int | str] = (), columns: Sequence[Column] = ()
) -> Drift:
    """Compare the counts of some rows with the reference.

    Args:
        reference: the artifact's.
        counts: the counts of the rows in this reference's bins.
        classes: the model's labels, for messages; without them a message names a label by its position.
        columns: the model's columns, for the levels in messages.
    """
    tested = list(_tests(reference, counts, classes, columns)) if counts.rows >= LEAST_ROWS else []
    corrected = holm([shift.p for shift in tested])
    shifts = [
        replace(shift, p=p, drifted=p < _ALPHA and shift.effect >= FLOORS[shift.rule])
        for shift, p in zip(tested, corrected, strict=True)
    ]
    shifts.sort(key=lambda shift: (shift.kind == "feature", not shift.drifted, -shift.effect))
    return Drift(rows=counts.rows, tested=len(shifts), shifts=tuple(shifts))


def _tests(
    reference: Reference, counts: Counts, classes: Sequence[int | str], columns: Sequence[Column]
) -> Iterator[Shift]:
    """Yield the result of each possible test, with its p value not corrected yet."""
    outputs = reference.outputs
    labels = [f"label {label}" for label in classes or range(len(outputs.labels))]
    pairs = list(zip(outputs.labels, counts.labels, strict=True))
    # Labels have no neighbours: sorted by frequency, the rarest are pooled with each other.
    order = sorted(range(len(pairs)), key=lambda index: sum(pairs[index]))
    yield from _chi_square(LABEL, "output", [pairs[index] for index in order], [labels[index] for index in order])
    pairs = list(zip(outputs.confidence.counts, counts.confidence, strict=True))
    yield from _chi_square(CONFIDENCE, "output", pairs, _ranges(outputs.confidence.edges))
    levels = {column.name: column.levels for column in columns if column.kind == "category"}
    for feature, seen, unusual in zip(reference.features, counts.features, counts.unusual, strict=True):
        usual, bins = usual_bin(feature), _bin_names(feature, levels.get(feature.name))
        if usual is None:
            pairs = list(zip(feature.counts, seen, strict=True))
            yield from _chi_square(feature.name, "feature", pairs, bins)
        else:
            yield from _rare(feature, usual, unusual, counts.rows, bin_name=bins[usual])


def _chi_square(
    name: str, kind: Literal["output", "feature"], pairs: Sequence[Pair], bins: Sequence[str]
) -> Iterator[Shift]:
    result = two_samples(pairs)
    if result is not None:
        effect, p = result
        yield Shift(name, kind, "chi-square", effect=effect, p=p, drifted=False, change=_largest_change(pairs, bins))


def _rare(feature: FeatureReference, usual: int, unusual: int, rows: int, *, bin_name: str) -> Iterator[Shift]:
    trained = sum(feature.counts)
    before = trained - feature.counts[usual]
    if before + unusual:
        yield Shift(
            name=feature.name,
            kind="feature",
            rule="rare",
            effect=max(0.0, unusual / rows - before / trained),
            p=more_often(unusual, before, rows, trained),
            drifted=False,
            change=f"not {bin_name}: {_percent(before, trained)} -> {_percent(unusual, rows)}",
        )


def two_samples(pairs: Sequence[Pair]) -> tuple[float, float] | None:
    """Compare two binned samples, and return the effect and the p value; None if there are too few rows.

    Args:
        pairs: rows by bin, of the reference and of the window.
    """
    trained, window = _totals(pairs)
    pooled = pool(pairs)
    if len(pooled) < 2:
        return None
    # The differences are whole numbers, so that ten million rows lose no precision.
    statistic = sum((r * window - s * trained) ** 2 / (trained * window * (r + s)) for r, s in pooled)
    halves = sum((r * window - s * trained) ** 2 / (trained * window * (r * window + s * trained)) for r, s in pooled)
    return math.sqrt(halves / 2), chi_square_tail(statistic, len(pooled) - 1)


def pool(pairs: Sequence[Pair]) -> list[Pair]:
    """Pool neighbouring bins until both samples expect `EXPECTED` rows in each; return none if there are too few rows.

    Only the sums of both samples decide, so that pooling favours no verdict.
    """
    trained, window = _totals(pairs)
    smaller, both = min(trained, window), trained + window
    pooled: list[Pair] = []
    r = s = 0
    for more in pairs:
        r, s = r + more[0], s + more[1]
        if smaller * (r + s) >= EXPECTED * both > 0:
            pooled.append((r, s))
            r = s = 0
    if pooled:  # the rest belongs to the last bin
        pooled[-1] = (pooled[-1][0] + r, pooled[-1][1] + s)
    return pooled


def chi_square_tail(x: float, degrees: int) -> float:
    """Return the probability that chi-square exceeds `x` (finite sums of Abramowitz and Stegun 26.4.4, 26.4.5)."""
    half, odd = x / 2, degrees % 2
    if half <= 0:
        return 1.0
    log_half = math.log(half)  # powers and factorials would overflow
    powers = [index + odd / 2 for index in range(degrees // 2)]
    terms = [math.exp(power * log_half - half - math.lgamma(power + 1)) for power in powers]
    return min(1.0, math.fsum([math.erfc(math.sqrt(half)) if odd else 0.0, *terms]))


def more_often(unusual: int, before: int, rows: int, trained: int) -> float:
    """Return the probability of this many unusual rows or more, if they are as frequent as in training.

    Given `unusual + before` of them together, their number among the `rows` is binomial. The sum is exact: it goes
    away from the middle, where each term is smaller than the one before it.
    """
    total, odds = unusual + before, rows / trained
    above = unusual * trained > before * rows
    at = unusual if above else unusual - 1
    if at < 0:
        return 1.0
    choose = math.lgamma(total + 1) - math.lgamma(at + 1) - math.lgamma(total - at + 1)
    both = rows + trained
    term = math.exp(choose + at * math.log(rows / both) + (total - at) * math.log(trained / both))
    tail = 0.0
    while term > tail * 1e-18:
        tail += term
        term *= (total - at) / (at + 1) * odds if above else at / (total - at + 1) / odds
        at += 1 if above else -1
    return min(1.0, tail) if above else max(0.0, 1 - tail)


def holm(values: Sequence[float]) -> list[float]:
    """Return p values corrected for their number (Holm 1979), in the same order."""
    corrected = [1.0] * len(values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        largest = max(largest, min(1.0, (len(values) - rank) * values[index]))
        corrected[index] = largest
    return corrected


def _largest_change(pairs: Sequence[Pair], bins: Sequence[str]) -> str:
    """Return the change of the bin whose share changed the most, in words."""
    trained, window = _totals(pairs)
    changes = [abs(s * trained - r * window) for r, s in pairs]
    index = changes.index(max(changes))
    r, s = pairs[index]
    return f"{bins[index]}: {_percent(r, trained)} -> {_percent(s, window)}"


def _totals(pairs: Sequence[Pair]) -> Pair:
    return sum(r for r, _ in pairs), sum(s for _, s in pairs)


def _bin_names(feature: FeatureReference, levels: Sequence[str] | None) -> list[str]:
    """Return a name for each bin of a feature."""
    if levels is not None:
        return [*(f"level {level}" if level else "missing" for level in levels), "another level"]
    missing = ["missing"] if feature.edges[0] == MISSING_CODE else []
    edges = feature.edges[len(missing) :]
    return missing + ([f"value {edge:g}" for edge in edges] if feature.discrete or not edges else _ranges(edges))


def _ranges(edges: Sequence[float]) -> list[str]:
    if len(edges) == 1:
        return ["any value"]
    inner = [f"{low:g} to {high:g}" for low, high in pairwise(edges[1:])]
    return [f"below {edges[1]:g}", *inner, f"from {edges[-1]:g}"]


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %"


def _rounded(value: float) -> float:
    return float(f"{value:.{_SIGNIFICANT_DIGITS}g}")
