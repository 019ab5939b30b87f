"""The rows of tables that both pages and verbs show, and text that is safe to show."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from artifact_pipeline.errors import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from artifact_pipeline.artifact.environment import Environment
    from artifact_pipeline.artifact.figures import HeldOut
    from artifact_pipeline.artifact.manifest1 import GateRecord
    from artifact_pipeline.artifact.manifest2 import JudgedGate, JudgedRule
    from artifact_pipeline.artifact.provenance import Comparison
    from artifact_pipeline.prediction.counts import Sample
    from artifact_pipeline.prediction.outcome import Predictions
    from artifact_pipeline.prediction.receipt import Receipt


def clean(text: str) -> str:
    """Escape what is not printable: a name from a hostile file must not move the cursor or begin a line."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def shown_rules(gate: GateRecord | JudgedGate, most: int) -> Sequence[GateRecord.Rule | JudgedRule]:
    """The rules of a gate; where there are more than `most`, the first `most` of them, those that failed first."""
    rules: Sequence[GateRecord.Rule | JudgedRule] = gate.rules
    return rules if len(rules) <= most else sorted(rules, key=lambda rule: rule.passed)[:most]


def figure(value: float | None) -> str:
    """A figure to four decimals; nothing where a model does not have it."""
    return "" if value is None else f"{value:.4f}"


ALL = {
    "none": "all (no training row)",
    "some": "all (training rows included)",
    "all": "all (training rows alone)",
    "unknown": "all (may include training rows)",
}
"""The name of all rows, by what is known of the training rows among them."""


def score_rows(scores: Mapping[str, Receipt.Measured]) -> list[list[str]]:
    """Figures by split, a row each; that of all rows says whether training rows can be among them."""
    return [
        [_split_name(name, each), f"{each.rows:,}", f"{each.accuracy:.4f}", f"{each.f1_weighted:.4f}"]
        for name, each in scores.items()
    ]


def _split_name(name: str, measured: Receipt.Measured) -> str:
    if name == "all":
        return ALL.get(str(measured.training_rows), ALL["unknown"])
    if (name, measured.training_rows) == ("training", "unknown"):
        return "training (may be learned)"
    return name


SAMPLE_HEADER = ["row", "split", "actual", "predicted", "probability"]


def sample_rows(
    predictions: Predictions, samples: Sequence[Sample], show: Callable[[object], str] = str
) -> list[list[str]]:
    """Single predictions, a row each, as `SAMPLE_HEADER` names them; `show` makes a label safe where it is shown."""
    return [
        [
            str(each.row),
            predictions.split_of(each.row, each.side),
            show(each.actual),
            show(each.predicted),
            f"{each.probability:.4f}" if each.probability else "",
        ]
        for each in samples
    ]


CLASSES = ("class", "rows", "precision", "recall", "F1")


def class_rows(classes: Sequence[HeldOut.ClassFigures], show: Callable[[object], str] = str) -> list[list[str]]:
    """Precision, recall and F1 of each class, a row each, as `CLASSES` names them; `show` as of `sample_rows`."""
    return [
        [show(each.label), f"{each.rows:,}", *map(figure, (each.precision, each.recall, each.f1))] for each in classes
    ]


def environment_rows(environment: Environment) -> Iterator[tuple[str, str]]:
    """What an artifact's bytes depend on: each part, and its version."""
    yield "Python", f"{environment.python.implementation} {environment.python.version}"
    yield "system", f"{environment.system} {environment.architecture}, {environment.libc}"
    yield from sorted(environment.packages.items())
    for each in environment.blas:
        yield each.library, f"{each.version}, kernel {each.kernel}"


_COMPARISON = ("candidate - champion", "difference", "95 % interval", "must lie above")
_OUTCOMES = {
    "identical": "the same model",
    "passed": "no worse than the margin allows",
    "failed": "worse than the margin allows",
    "inconclusive": "these rows are too few to tell",
}
"""The outcomes of a comparison, in words."""


class _ShownComparison(NamedTuple):
    """A comparison as it is shown.

    Attributes:
        rows: both differences with their intervals, a row each.
        meaning: the outcome, in words.
        counts: the rows that one model alone gets right, and the p value.
    """

    header: Sequence[str]
    rows: list[list[str]]
    meaning: str
    counts: str


def shown_comparison(comparison: Comparison) -> _ShownComparison:
    """Return a comparison as it is shown."""
    rows = [
        [name, f"{each.value:+.4f}", f"{each.low:+.4f} to {each.high:+.4f}", f"{-comparison.margin:+.4f}"]
        for name, each in (("accuracy", comparison.accuracy), ("F1 weighted", comparison.f1_weighted))
    ]
    counts = f"{plural(comparison.won, 'row')} won, {comparison.lost:,} lost, McNemar p {comparison.mcnemar:.4f}"
    return _ShownComparison(_COMPARISON, rows, _OUTCOMES[comparison.outcome], counts)
