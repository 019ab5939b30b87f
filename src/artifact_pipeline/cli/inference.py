"""`artifact-pipeline predict`: verify, replay the golden rows, then answer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from artifact_pipeline.cli.inspection import check_export
from artifact_pipeline.cli.options import (
    artifact_option,
    export_option,
    refuse_device,
    report_options,
    trust_options,
    verb,
    with_artifact,
)
from artifact_pipeline.cli.output import Output, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from artifact_pipeline.inference.predictions import Predictions, Scored

SAMPLES = 5


@verb("Verify an artifact, then predict.", 4, 5, 8)
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
@export_option("The pickle to compare with the manifest, by default the one beside the artifact; it is never loaded.")
@report_options(outputs=False)
@click.pass_obj
def predict(
    output: Output,
    /,
    table: Path | None,
    *,
    destination: Path,
    artifact: Path,
    export: Path,
    summary: Path | None,
    **trust: Any,  # as `trust_options` names it, and `verify` takes it
) -> None:
    """Predict the rows of TABLE (CSV or Parquet, columns by name), or the 1,797 built-in digits.

    The artifact is verified and its golden rows are replayed before the first row is answered; scikit-learn is not
    needed, and no pickle is loaded.
    """
    from artifact_pipeline.artifact.verify import verify
    from artifact_pipeline.files import write_atomic
    from artifact_pipeline.inference.predictions import predict as answer

    refuse_device(destination)
    verified = verify(artifact, **trust)
    output.say(f"verified: {shown(artifact)}, {verified.digest}")
    state = check_export(output, verified.manifest, artifact, export)
    predictions = answer(verified, table)
    scores = predictions.scores()
    write_atomic(destination, predictions.csv())
    if summary is not None:
        from artifact_pipeline.cli import github, markdown

        github.append_summary(summary, markdown.predictions_page(verified.digest, predictions, scores))
    output.say()
    if scores:
        _say_scores(output, scores, predictions)
    _say_samples(output, predictions)
    output.say(f"written: {shown(destination)}, {len(predictions.rows.X):,} rows")
    output.next(with_artifact("artifact-pipeline inspect", artifact))
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


def _say_scores(output: Output, scores: Mapping[str, Scored], predictions: Predictions) -> None:
    from artifact_pipeline.cli import views

    names = {"all": "all (training rows included)"} if "training" in scores else {}
    output.table(
        ["rows", "count", "accuracy", "F1 weighted"],
        [
            [names.get(name, name), f"{each.rows:,}", f"{each.accuracy:.4f}", f"{each.f1_weighted:.4f}"]
            for name, each in scores.items()
        ],
    )
    output.say()
    views.say_confusion(output, predictions.classes, scores["all"].confusion)


def _say_samples(output: Output, predictions: Predictions) -> None:
    actual, answers = predictions.rows.y, predictions.answers
    output.say("sample predictions")
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
