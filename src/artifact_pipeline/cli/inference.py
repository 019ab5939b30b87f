"""`artifact-pipeline predict`: verify, replay the golden rows, then answer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from artifact_pipeline.cli.options import artifact_option, common, export_option, trust_options
from artifact_pipeline.cli.output import Output, shown

if TYPE_CHECKING:
    from artifact_pipeline.inference.predictions import Predictions

SAMPLES = 5


@click.command(short_help="Verify an artifact, then predict.")
@click.argument("table", required=False, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    "destination",
    default="predictions.csv",
    show_default=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Where the predictions are written.",
)
@artifact_option("The artifact: a pointer, or an artifact's folder.")
@trust_options
@export_option("The pickle to compare with the manifest; it is never loaded.")
@common
@click.pass_obj
def predict(
    output: Output,
    table: Path | None,
    *,
    destination: Path,
    artifact: Path,
    expect: str | None,
    accept_failed_gate: bool,
    export: Path,
) -> None:
    """Predict the rows of TABLE (CSV or Parquet, columns by name), or the 1,797 built-in digits.

    The artifact is verified and its golden rows are replayed before the first row is answered; scikit-learn is not
    needed, and no pickle is loaded.
    """
    from artifact_pipeline.artifact.verify import verify
    from artifact_pipeline.cli.inspection import check_export
    from artifact_pipeline.files import write_atomic
    from artifact_pipeline.inference.predictions import predict as answer

    verified = verify(artifact, expect=expect, accept_failed_gate=accept_failed_gate)
    output.say(f"verified: {shown(artifact)}, {verified.digest}")
    state = check_export(output, verified.manifest, export)
    predictions = answer(verified, table)
    scores = predictions.scores()
    write_atomic(destination, predictions.csv())
    _say_predictions(output, predictions)
    output.say(f"written: {shown(destination)}, {len(predictions.rows.X):,} rows")
    output.next("artifact-pipeline inspect")
    output.result(
        {
            "artifact": verified.digest,
            "model": verified.manifest.model.digest,
            "export": state,
            "rows": len(predictions.rows.X),
            "scores": {
                name: {"rows": each.rows, "accuracy": each.accuracy, "f1_weighted": each.f1_weighted}
                for name, each in scores.items()
            },
            "written": shown(destination),
        }
    )


def _say_predictions(output: Output, predictions: Predictions) -> None:
    from artifact_pipeline.cli import views

    scores = predictions.scores()
    if scores:
        output.say()
        output.table(
            ["rows", "count", "accuracy", "F1 weighted"],
            [
                [_words(name, scores), f"{each.rows:,}", f"{each.accuracy:.4f}", f"{each.f1_weighted:.4f}"]
                for name, each in scores.items()
            ],
        )
        output.say()
        views.say_confusion(output, predictions.classes, scores["all"].confusion)
    output.say("sample predictions")
    actual = predictions.rows.y
    answers = predictions.answers
    output.table(
        ["row", "split", "actual", "predicted", "probability"],
        [
            [
                str(row),
                predictions.split_of(row),
                str(actual[row]) if actual is not None else "",
                str(answers.labels[row]),
                f"{answers.probabilities[row].max():.4f}",
            ]
            for row in range(min(SAMPLES, len(answers.labels)))
        ],
    )
    output.say()


def _words(split: str, scores: dict[str, object]) -> str:
    return "all (training rows included)" if split == "all" and "training" in scores else split
