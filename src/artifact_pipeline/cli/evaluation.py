"""`artifact-pipeline evaluate`: how right were predictions whose labels came later?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from artifact_pipeline.cli import views
from artifact_pipeline.cli.options import NumberRange, report_places, summary_option, verb
from artifact_pipeline.errors import GateFailed

if TYPE_CHECKING:
    from pathlib import Path

    from artifact_pipeline.cli.output import Output
    from artifact_pipeline.prediction.labels import Evaluation

_MATCHED = "matched (may include training rows)"
"""Predictions name at most the side of the split of each row, not whether the model learned from it."""


@verb("Score predictions by labels that came later.", 3, 5, 8)
@click.argument("predictions", type=click.Path())
@click.argument("labels", type=click.Path())
@click.option(
    "--key",
    "keys",
    multiple=True,
    default=["row"],
    show_default=True,
    metavar="COLUMN,…",
    help="The columns, in both, that say which prediction a label belongs to, such as file,row; can be repeated.",
)
@click.option("--label", metavar="COLUMN", help="The column of the labels; by default the only one that is no key.")
@click.option("--min-accuracy", type=NumberRange(0, 1), metavar="X", help="End with status 3 below this accuracy.")
@click.option("--min-f1", type=NumberRange(0, 1), metavar="X", help="End with status 3 below this weighted F1.")
@summary_option
@click.pass_obj
def evaluate(
    output: Output,
    /,
    predictions: str,
    labels: str,
    *,
    keys: tuple[str, ...],
    label: str | None,
    **options: Any,  # the least figures, and `--summary`
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
        minimums={"accuracy": options["min_accuracy"], "f1_weighted": options["min_f1"]},
        outputs=tuple(report_places(options)),
    )
    try:
        with output.meter() as progress:
            found = e.evaluate(request, progress)
    except GateFailed as error:
        _report(output, error.result, options["summary"])
        raise
    _report(output, found, options["summary"])
    if found.rules:
        rules = ", ".join(f"{rule.name} {rule.observed:.4f} >= {rule.minimum:.4f}" for rule in found.rules)
        output.say(f"gate: passed ({rules})")
    output.result(_result(found, request.keys))


def _report(output: Output, found: Evaluation, summary: Path | None) -> None:
    """Append the figures to the summary, and print them."""
    if summary is not None:
        from artifact_pipeline.cli import github

        github.append_summary(summary, _page(found))
    figures = found.figures
    for line in _counts(found):
        output.say(line)
    output.say()
    output.table(views.FIGURES, _rows(found))
    views.say_majority(output, figures)
    output.say()
    views.warn_of_unpredicted(output, figures, rows="matched rows")
    views.say_classes(output, figures)
    views.say_confusion(output, [each.label for each in figures.classes], figures.confusion)


def _counts(found: Evaluation) -> tuple[str, str]:
    matched, labels, predictions = found.figures.rows, found.labels, found.predictions
    return (
        f"labels: {labels:,} read = {matched:,} matched + {labels - matched:,} without a prediction",
        f"predictions: {predictions:,} read = {matched:,} matched + {predictions - matched:,} without a label",
    )


def _rows(found: Evaluation) -> list[list[str]]:
    """Return the figures by split, where the predictions name it, and those of all matched rows."""
    names = {"held-out": "held-out", "training": "training (may be learned)"}
    apart = [views.figure_cells(names[side], figures) for side, figures in found.splits.items()]
    alone = found.figures.rows == getattr(found.splits.get("held-out"), "rows", None)
    return [*apart, views.figure_cells("matched (no training row)" if alone else _MATCHED, found.figures)]


def _page(found: Evaluation) -> str:
    """Return the evaluation as a page of Markdown."""
    from artifact_pipeline.reports import markdown, tables

    classes = markdown.table(tables.CLASSES, tables.class_rows(found.figures.classes, markdown.escape))
    counts = "\n".join(f"- {line}" for line in _counts(found))
    figures = markdown.table(views.FIGURES, _rows(found))
    worth = markdown.baseline(found.figures, rows="matched rows")
    parts = ["## Predictions, scored by later labels", counts, figures, worth, classes]
    return "\n\n".join(parts) + "\n"


def _result(found: Evaluation, keys: tuple[str, ...]) -> dict[str, Any]:
    matched = found.figures.rows
    return {
        "key": list(keys),
        "label": found.label,
        "labels": {"read": found.labels, "matched": matched, "unmatched": found.labels - matched},
        "predictions": {"read": found.predictions, "matched": matched, "unmatched": found.predictions - matched},
        "metrics": {**found.figures.plain(), "training_rows": "unknown"},
        "splits": {side: figures.plain() for side, figures in found.splits.items()},
        **views.plain_baseline(found.figures),
    }
