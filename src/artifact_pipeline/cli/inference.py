"""`artifact-pipeline predict`: verify, replay the golden rows, then answer."""

from __future__ import annotations

import json
import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from artifact_pipeline.canonical import PREFIX, digest, dotted
from artifact_pipeline.cli import views
from artifact_pipeline.cli.inspection import check_export
from artifact_pipeline.cli.options import (
    ArtifactPlace,
    artifact_option,
    batch_options,
    export_option,
    is_given,
    report_places,
    summary_option,
    trust_from,
    trust_options,
    trust_places,
    verb,
    with_artifact,
)
from artifact_pipeline.errors import ConfigError, DriftFound, StorageError, listing, plural
from artifact_pipeline.files import read_bounded, shown

if TYPE_CHECKING:
    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.cli.output import Output
    from artifact_pipeline.prediction.outcome import Predictions
    from artifact_pipeline.prediction.run import PredictionRequest

_STDOUT = "-"
_REQUEST_FIELDS = (
    "expect", "accept_failed_gate", "on_error", "out_of_range", "drift", "fail_on_drift", "receipt", "resume",
    "workers", "scheduler",
)  # fmt: skip
"""The options that a `PredictionRequest` takes by their own names."""


@verb("Verify an artifact, then predict.", 4, 5, 7, 8)
@click.argument("inputs", nargs=-1, metavar="[INPUT]...", type=click.Path())
@click.option(
    "-o",
    "--output",
    "destination",
    default="predictions.csv",
    show_default=True,
    metavar="OUTPUT",
    type=click.Path(),
    help="A .parquet, .csv or .jsonl file, a folder of parts (with / at its end), a URL, or - for standard output.",
)
@artifact_option("The artifact: a pointer, an artifact's folder, or oci://HOST/NAME:TAG.", kind=ArtifactPlace())
@trust_options
@export_option("The pickle to compare with the manifest, by default the one beside the artifact; it is never loaded.")
@batch_options
@summary_option
@click.pass_obj
def predict(
    output: Output,
    /,
    inputs: tuple[str, ...],
    *,
    destination: str,
    artifact: Path | str,
    export: Path,
    **options: Any,  # as the groups of options name it
) -> None:
    """Predict the rows of each INPUT, or the 1,797 built-in digits.

    An INPUT is a CSV (also .gz, .zst), Parquet, Arrow IPC, NPZ, NPY or JSON Lines file, a PNG or JPEG picture of a
    digit, a folder or a pattern of them, a URL such as s3://bucket/rows/, or - for standard input. Columns are taken
    by their names. Memory is bounded, whatever the size.

    The artifact is verified and its golden rows are replayed before the first row is answered; scikit-learn is not
    needed, and no pickle is loaded. A receipt, OUTPUT.receipt.json, records what was read and written, by digests.
    """
    from artifact_pipeline.prediction.run import PredictionObserver
    from artifact_pipeline.prediction.run import predict as run

    if destination == _STDOUT:
        if output.as_json:
            raise ConfigError("--json and -o - both want standard output", hint="name a file: -o FILE")
        if getattr(sys.stdout, "name", "") == os.devnull:  # `cli.boundary` puts it in the place of one that is closed
            raise StorageError("cannot write to standard output: it is closed", hint="name a file: -o FILE")
        output.stdout_taken = True
    reporter = _Reporter(output, artifact, export, options)
    request = _request(inputs, destination, artifact, export=export, options=options)
    try:
        predictions = run(request, PredictionObserver(reporter.verified, output.meter))
    except DriftFound as error:
        reporter.written(error.result)
        raise
    reporter.written(predictions)
    output.next(with_artifact("artifact-pipeline inspect", reporter.artifact))
    beside = {"export": reporter.export_state, "other_config": reporter.other_config}
    output.result(_result(predictions) | beside)


def _request(
    inputs: tuple[str, ...], destination: str, artifact: Path | str, *, export: Path, options: dict[str, Any]
) -> PredictionRequest:
    from artifact_pipeline.prediction.run import PredictionRequest

    return PredictionRequest(
        artifact,
        inputs,
        destination,
        keep=tuple(name for names in options["keep"] for name in names.split(",") if name),
        input_format=options["form"],
        output_format=options["to"],
        trust=trust_from(options),
        read=tuple(trust_places(artifact, {**options, "export": export if is_given("export") else None})),
        outputs=tuple(report_places(options)),
        stdout=sys.stdout.buffer if destination == _STDOUT else None,
        **{name: options[name] for name in _REQUEST_FIELDS},
    )


@dataclass(slots=True)
class _Reporter:
    """Prints a prediction while it runs and once it is written, and keeps what `--json` prints of its artifact."""

    output: Output
    artifact: Path | str
    export: Path
    options: dict[str, Any]
    export_state: str = ""
    other_config: dict[str, Any] | None = None

    def verified(self, artifact: Verified) -> None:
        """Print which artifact answers, and what does not belong to it."""
        self.artifact = artifact.reference or self.artifact  # what answers, wherever a tag leads later
        self.output.say(f"verified: {shown(self.artifact)}, {artifact.digest}")
        self.other_config = _say_other_config(self.output, self.artifact, artifact)
        self.export_state = check_export(self.output, artifact.manifest, self.artifact, self.export)

    def written(self, predictions: Predictions) -> None:
        """Print what was written, and report it."""
        if self.options["resume"] and not predictions.destination.folder:
            self.output.log(
                "note: a single file starts again; a folder of parts can be resumed, such as -o predictions/"
            )
        if self.options["summary"] is not None:
            from artifact_pipeline.cli import github
            from artifact_pipeline.reports import markdown

            github.append_summary(self.options["summary"], markdown.predictions_page(predictions))
        _say(self.output, predictions)


def _say(output: Output, predictions: Predictions) -> None:
    to, rows = predictions.destination, predictions.receipt.rows
    if predictions.left_out:
        count = len(predictions.left_out)
        columns = f"{count:,} column{'s are' if count > 1 else ' is'}"
        names = listing([name or "''" for name in predictions.left_out])
        output.log(f"note: {columns} not the model's and left out: {names}")
    for note in predictions.notes:
        output.log(f"warning: {note}")
    inputs = predictions.receipt.inputs
    if len(inputs) > 1 and (empty := sum(not each.rows for each in inputs)):
        output.log(f"note: {empty:,} of {plural(len(inputs), 'file')} without a row")
    if rows.out_of_range:
        output.log(
            f"warning: {plural(rows.out_of_range, 'row')} with a value far out of the trained range; "
            "--out-of-range reject refuses them"
        )
    output.say()
    if predictions.scores:
        views.say_scores(output, predictions)
    views.say_samples(output, predictions)
    views.say_drift(output, predictions)
    output.say(f"rows: {rows.read:,} read = {rows.written:,} written + {rows.rejected:,} rejected")
    place = "standard output" if to.place == _STDOUT else _shown_place(to.place)
    output.say(f"written: {place}, {plural(rows.written, 'row')}{_parts(predictions)}")
    if predictions.receipt.rejected is not None:
        output.say(f"rejected: {_shown_place(to.rejected)}, {plural(rows.rejected, 'row')}")
    if to.receipt is not None:
        proof = ""
        if to.place != _STDOUT:
            proof = f" ({output.typed('artifact-pipeline verify')} {shlex.quote(place)} --receipt)"
        output.say(f"receipt: {_shown_place(to.receipt)}{proof}")


def _parts(predictions: Predictions) -> str:
    if not predictions.destination.folder:
        return ""
    parts = f" in {plural(len(predictions.receipt.outputs), 'part')}"
    return parts + (f", {predictions.already:,} of them before" if predictions.already else "")


def _shown_place(place: str) -> str:
    """Return a path relative to the working folder where it lies inside; a URL as it is."""
    from artifact_pipeline.storage import places as storage

    return place if storage.is_url(place) else shown(Path(place))


def _result(predictions: Predictions) -> dict[str, Any]:
    to, receipt = predictions.destination, predictions.receipt
    figures = ("rows", "accuracy", "f1_weighted", "training_rows")
    return {
        "artifact": receipt.artifact,
        "model": receipt.model,
        "rows": receipt.rows.plain(),
        "scores": {name: {key: getattr(each, key) for key in figures} for name, each in predictions.scores.items()},
        "drift": receipt.drift if predictions.drift is not None else None,
        "written": _shown_place(to.place),
        "rejected": _shown_place(to.rejected) if receipt.rejected is not None else None,
        "receipt": _shown_place(to.receipt) if to.receipt is not None else None,
    }


_CONFIG = Path("config", "config.json")
"""Where a training finds its config, beside the pointer that it writes."""
_MAX_BYTES = 65_536


def _say_other_config(output: Output, artifact: Path | str, verified: Verified) -> dict[str, Any] | None:
    """Say in one line where the config beside a pointer is not the one that the model was made from; return it."""
    if isinstance(artifact, str):
        return None
    config = artifact.parent / _CONFIG
    changed = _changed(config, verified)
    if not changed:
        return None
    words = (f"{key} is {json.dumps(there)}, not {json.dumps(made)}" for key, (there, made) in changed.items())
    output.log(
        f"note: this model was not made from {shown(config)} as it is now: {'; '.join(words)}; "
        f"{output.typed('artifact-pipeline train')} trains from it"
    )
    return {
        "file": shown(config),
        "changed": {key: {"config": there, "model": made} for key, (there, made) in changed.items()},
    }


def _changed(config: Path, verified: Verified) -> dict[str, tuple[Any, Any]]:
    """Return by key the config's value and the model's, where they differ.

    A key that the config does not have may have its default in the model, or not: it is not compared.
    """
    from artifact_pipeline.artifact import provenance

    try:
        data = read_bounded(config, _MAX_BYTES)
        values = json.loads(data)
    except (OSError, ValueError, RecursionError):
        return {}
    statement = provenance.Statement.of(verified)
    made_from = statement.dependencies if statement else ()
    same = digest(data).removeprefix(PREFIX) in {
        each.digest.get("sha256") for each in made_from if each.name == "config"
    }
    if same or not isinstance(values, dict):
        return {}
    there, made = dotted(values), dotted(verified.manifest.recipe)
    return {key: (value, made[key]) for key, value in there.items() if key in made and made[key] != value}
