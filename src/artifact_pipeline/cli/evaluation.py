"""`artifact-pipeline evaluate`: how right were predictions whose labels came later?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from artifact_pipeline.cli.options import report_options, report_places, verb
from artifact_pipeline.errors import GateFailed

if TYPE_CHECKING:
    from pathlib import Path

    from artifact_pipeline.artifact.figures import HeldOut
    from artifact_pipeline.cli.output import Output
    from artifact_pipeline.prediction.labels import Evaluation

_FIGURES = ("rows", "count", "accuracy", "95 % interval", "F1 weighted", "95 % interval", "F1 macro", "log loss")
_MATCHED = "matched (may include training rows)"
"""Predictions do not tell which rows the model has learned."""
_CLASSES = ("class", "rows", "precision", "recall", "F1")


@verb("Score predictions by labels that came later.", 3, 5, 8)
@click.argument("predictions")
@click.argument("labels")
@click.option(
    "--key",
    "keys",
    multiple=True,
    default=["row"],
    show_default=True,
    metavar="COLUMN,…",
    help="The columns, in both, that tell which prediction a label belongs to, such as file,row; can be repeated.",
)
@click.option("--label", metavar="COLUMN", help="The column of the labels; by default the only one that is no key.")
@click.option("--min-accuracy", type=click.FloatRange(0, 1), metavar="X", help="End with status 3 below this accuracy.")
@click.option("--min-f1", type=click.FloatRange(0, 1), metavar="X", help="End with status 3 below this weighted F1.")
@report_options(outputs=False)
@click.pass_obj
def evaluate(
    output: Output,
    /,
    predictions: str,
    labels: str,
    *,
    keys: tuple[str, ...],
    label: str | None,
    **asked: Any,  # the least figures, and `--summary`
) -> None:
    """Score PREDICTIONS, which `predict` wrote (a file or a folder of parts), by LABELS that came later.

    LABELS is a CSV, Parquet or JSON Lines file with the key's columns and one of labels. Keys and labels are compared
    as text; a label without a prediction, or a prediction without a label, is counted and left out of the figures.
    LABELS is held in memory, PREDICTIONS is not, whatever its size.
    """
    from artifact_pipeline.prediction import evaluation as e

    request = e.EvaluationRequest(
        predictions,
        labels,
        keys=tuple(name for each in keys for name in each.split(",") if name),
        label=label,
        minimums={"accuracy": asked["min_accuracy"], "f1_weighted": asked["min_f1"]},
        outputs=tuple(report_places(asked)),
    )
    try:
        with output.meter() as progress:
            found = e.evaluate(request, progress)
    except GateFailed as error:
        _report(output, error.result, asked["summary"])
        raise
    _report(output, found, asked["summary"])
    if found.rules:
        rules = ", ".join(f"{rule.name} {rule.observed:.4f} >= {rule.minimum:.4f}" for rule in found.rules)
        output.say(f"gate: passed ({rules})")
    output.result(_result(found, request.keys))


def _report(output: Output, found: Evaluation, summary: Path | None) -> None:
    """Print the figures, and append them to the summary."""
    if summary is not None:
        from artifact_pipeline.cli import github

        github.append_summary(summary, _page(found))
    _say(output, found)


def _say(output: Output, found: Evaluation) -> None:
    from artifact_pipeline.cli import views

    figures = found.figures
    for line in _counts(found):
        output.say(line)
    output.say()
    output.table(_FIGURES, [_figures(figures)])
    views.say_majority(output, figures)
    output.say()
    views.warn_of_unpredicted(output, figures, rows="matched rows")
    output.table(_CLASSES, _classes(figures))
    output.say()
    views.say_confusion(output, [each.label for each in figures.classes], figures.confusion)


def _counts(found: Evaluation) -> tuple[str, str]:
    matched, labels, predictions = found.figures.rows, found.labels, found.predictions
    return (
        f"labels: {labels:,} read = {matched:,} matched + {labels - matched:,} without a prediction",
        f"predictions: {predictions:,} read = {matched:,} matched + {predictions - matched:,} without a label",
    )


def _figures(figures: HeldOut) -> list[str]:
    cells = [_MATCHED, f"{figures.rows:,}"]
    for each in (figures.accuracy, figures.f1_weighted):
        cells += [f"{each.value:.4f}", f"{each.low:.4f} to {each.high:.4f}"]
    return [*cells, f"{figures.f1_macro:.4f}", f"{figures.log_loss:.4f}"]


def _classes(figures: HeldOut) -> list[list[str]]:
    return [
        [str(each.label), f"{each.rows:,}", f"{each.precision:.4f}", f"{each.recall:.4f}", f"{each.f1:.4f}"]
        for each in figures.classes
    ]


def _page(found: Evaluation) -> str:
    """What came of it as Markdown."""
    from artifact_pipeline.reports.markdown import baseline, escape, table

    classes = [[escape(label), *cells] for label, *cells in _classes(found.figures)]
    counts = "\n".join(f"- {line}" for line in _counts(found))
    figures = table(_FIGURES, [_figures(found.figures)])
    worth = baseline(found.figures, rows="matched rows")
    return (
        "\n\n".join(["## Predictions, scored by later labels", counts, figures, worth, table(_CLASSES, classes)]) + "\n"
    )


def _result(found: Evaluation, keys: tuple[str, ...]) -> dict[str, Any]:
    from artifact_pipeline.cli.views import plain_baseline

    matched = found.figures.rows
    return {
        "key": list(keys),
        "label": found.label,
        "labels": {"read": found.labels, "matched": matched, "unmatched": found.labels - matched},
        "predictions": {"read": found.predictions, "matched": matched, "unmatched": found.predictions - matched},
        "metrics": {**found.figures.plain(), "training_rows": "unknown"},
        **plain_baseline(found.figures),
    }
