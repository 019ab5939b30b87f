"""`artifact-pipeline predict`: verify, replay the golden rows, then answer."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from artifact_pipeline.cli.inspection import check_export
from artifact_pipeline.cli.made_from import other_config, say_other
from artifact_pipeline.cli.options import (
    artifact_option,
    asked_trust,
    batch_options,
    export_option,
    is_given,
    report_options,
    report_places,
    trust_options,
    trust_places,
    verb,
    with_artifact,
)
from artifact_pipeline.errors import ConfigError, DriftFound, Problem, listing, plural
from artifact_pipeline.files import shown

if TYPE_CHECKING:
    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.cli.output import Output
    from artifact_pipeline.prediction.destination import Destination
    from artifact_pipeline.prediction.outcome import Predictions
    from artifact_pipeline.prediction.scoring import Options
    from artifact_pipeline.rows.sources import Source

_STDIO = "-"


@verb("Verify an artifact, then predict.", 4, 5, 7, 8)
@click.argument("inputs", nargs=-1, metavar="[INPUT]...")
@click.option(
    "-o",
    "--output",
    "destination",
    default="predictions.csv",
    show_default=True,
    metavar="OUTPUT",
    help="A .parquet, .csv or .jsonl file, a folder of parts (with / at its end), a URL, or - for standard output.",
)
@artifact_option("The artifact: a pointer, or an artifact's folder.")
@trust_options
@export_option("The pickle to compare with the manifest, by default the one beside the artifact; it is never loaded.")
@batch_options
@report_options(outputs=False)
@click.pass_obj
def predict(
    output: Output,
    /,
    inputs: tuple[str, ...],
    *,
    destination: str,
    artifact: Path,
    export: Path,
    **asked: Any,  # as the groups of options name it
) -> None:
    """Predict the rows of each INPUT, or the 1,797 built-in digits.

    An INPUT is a CSV (also .gz, .zst), Parquet, Arrow IPC, NPZ, NPY or JSON Lines file, a PNG or JPEG picture of a
    digit, a folder or a pattern of them, a URL such as s3://bucket/rows/, or - for standard input. Columns are taken
    by their names. Memory is bounded, whatever the size.

    The artifact is verified and its golden rows are replayed before the first row is answered; scikit-learn is not
    needed, and no pickle is loaded. A receipt, OUTPUT.receipt.json, tells what was read and written, by digests.
    """
    from artifact_pipeline.verification import verify

    to = _destination(output, destination, asked)
    sources = _sources(inputs, to, artifact, {**asked, "export": export if is_given("export") else None})
    trust = asked_trust(asked)
    verified = verify(artifact, expect=asked["expect"], accept_failed_gate=asked["accept_failed_gate"], trust=trust)
    output.say(f"verified: {shown(artifact)}, {verified.digest}")
    other = other_config(artifact, verified)
    if other is not None:
        say_other(output, other)
    state = check_export(output, verified.manifest, artifact, export)
    with output.meter() as tell:
        predictions = _run(verified, sources, to, asked=asked, tell=tell)
    if asked["summary"] is not None:
        from artifact_pipeline.cli import github
        from artifact_pipeline.reports import markdown

        github.append_summary(asked["summary"], markdown.predictions_page(predictions))
    _say(output, predictions, to)
    if asked["fail_on_drift"] and predictions.drift is not None and predictions.drift.drifted:
        raise _drifted(predictions)
    output.next(with_artifact("artifact-pipeline inspect", artifact))
    output.result(_result(predictions, to, export=state) | {"other_config": other.plain() if other else None})


def _destination(output: Output, place: str, asked: dict[str, Any]) -> Destination:
    """Where to write."""
    from artifact_pipeline.files import check_writable
    from artifact_pipeline.prediction.destination import destination
    from artifact_pipeline.storage import places as storage

    if place != _STDIO and not storage.is_url(place):
        check_writable(Path(place), folder=place.endswith("/") or os.path.isdir(place))  # noqa: PTH112 - no error
    receipt = asked["receipt"]
    to = destination(place, to=asked["to"], receipt=str(receipt) if receipt else None)
    if to.place == _STDIO:
        if output.as_json:
            raise ConfigError("--json and -o - both want standard output", hint="name a file: -o FILE")
        output.data = True
    if asked["resume"] and not to.folder:
        output.talk("note: a single file starts anew; a folder of parts can be resumed, such as -o predictions/")
    if not to.folder and (asked["scheduler"] or asked["workers"]):
        raise ConfigError("a cluster writes a folder of parts", hint="name one: -o predictions/")
    return to


def _sources(inputs: tuple[str, ...], to: Destination, artifact: Path, asked: dict[str, Any]) -> list[Source]:
    """What to read; an output that would change it, or cannot be written, is refused before anything is read."""
    from artifact_pipeline.artifact.pointer import resolve
    from artifact_pipeline.rows.sources import find_sources, places_of
    from artifact_pipeline.storage.outputs import check_outputs

    resolve(artifact)  # where there is none, that is said first
    sources = find_sources(inputs, asked["form"]) if inputs else []
    read = [*places_of(inputs, sources), *trust_places(artifact, asked)]
    check_outputs(read, [*to.places(quarantine=asked["on_error"] == "quarantine"), *report_places(asked)])
    return sources


def _run(
    verified: Verified, sources: list[Source], to: Destination, *, asked: dict[str, Any], tell: Any
) -> Predictions:
    from artifact_pipeline.prediction.predictions import own_source, predict_sources

    sources = sources or [own_source(verified)]
    options = _options(to, asked)
    if not to.folder:
        return predict_sources(verified, sources, to=to, options=options, progress=tell, stdout=sys.stdout.buffer)
    from artifact_pipeline.prediction.folders import in_turn, predict_parts

    run = in_turn(tell)
    if asked["scheduler"] or asked["workers"]:
        from artifact_pipeline.prediction.cluster import on_cluster

        run = on_cluster(scheduler=asked["scheduler"], workers=asked["workers"], progress=tell)
    return predict_parts(verified, sources, to=to, options=options, resume=asked["resume"], run=run)


def _options(to: Destination, asked: dict[str, Any]) -> Options:
    from artifact_pipeline.prediction.scoring import Options

    return Options(
        keep=tuple(name for names in asked["keep"] for name in names.split(",") if name),
        on_error=asked["on_error"],
        out_of_range=asked["out_of_range"],
        drift=asked["drift"],
        form=to.form,
    )


def _say(output: Output, predictions: Predictions, to: Destination) -> None:
    from artifact_pipeline.cli import views

    rows = predictions.receipt.rows
    if predictions.left_out:
        count = len(predictions.left_out)
        columns = f"{count:,} column{'s are' if count > 1 else ' is'}"
        output.talk(f"note: {columns} not the model's and left out: {listing(predictions.left_out)}")
    for note in predictions.notes:
        output.talk(f"warning: {note}")
    inputs = predictions.receipt.inputs
    if len(inputs) > 1 and (empty := sum(not each.rows for each in inputs)):
        output.talk(f"note: {empty:,} of {plural(len(inputs), 'file')} without a row")
    if rows.out_of_range:
        output.talk(
            f"warning: {plural(rows.out_of_range, 'row')} with a value far out of the trained range; "
            "--out-of-range reject refuses them"
        )
    output.say()
    if predictions.scores:
        views.say_scores(output, predictions)
    views.say_samples(output, predictions)
    views.say_drift(output, predictions)
    output.say(f"rows: {rows.read:,} read = {rows.written:,} written + {rows.rejected:,} rejected")
    place = "standard output" if to.place == _STDIO else _shown_place(to.place)
    output.say(f"written: {place}, {plural(rows.written, 'row')}{_parts(predictions, to)}")
    if predictions.receipt.rejected is not None:
        output.say(f"rejected: {_shown_place(to.rejected)}, {plural(rows.rejected, 'row')}")
    if to.receipt is not None:
        proof = (
            f" ({output.typed('artifact-pipeline verify')} {shlex.quote(place)} --receipt)"
            if to.place != _STDIO
            else ""
        )
        output.say(f"receipt: {_shown_place(to.receipt)}{proof}")


def _parts(predictions: Predictions, to: Destination) -> str:
    if not to.folder:
        return ""
    told = f" in {plural(len(predictions.receipt.outputs), 'part')}"
    return told + (f", {predictions.already:,} of them before" if predictions.already else "")


def _shown_place(place: str) -> str:
    """A path as a person would write it; a URL as it is."""
    from artifact_pipeline.storage import places as storage

    return place if storage.is_url(place) else shown(Path(place))


def _result(predictions: Predictions, to: Destination, *, export: str) -> dict[str, Any]:
    receipt = predictions.receipt
    return {
        "artifact": receipt.artifact,
        "model": receipt.model,
        "export": export,
        "rows": receipt.rows.plain(),
        "scores": {
            name: {
                "rows": each.rows,
                "accuracy": each.accuracy,
                "f1_weighted": each.f1_weighted,
                "training_rows": each.training_rows,
            }
            for name, each in predictions.scores.items()
        },
        "drift": receipt.drift if predictions.drift is not None else None,
        "written": _shown_place(to.place),
        "rejected": _shown_place(to.rejected) if receipt.rejected is not None else None,
        "receipt": _shown_place(to.receipt) if to.receipt is not None else None,
    }


def _drifted(predictions: Predictions) -> DriftFound:
    assert predictions.drift is not None
    problems = [Problem(each.name, f"drift-{each.rule}", each.change) for each in predictions.drift.drifted[:10]]
    return DriftFound(
        f"the rows have drifted in {len(predictions.drift.drifted)} of {plural(predictions.drift.tested, 'respect')}",
        problems=problems,
        hint="the predictions are written all the same; look at the rows, or train anew",
    )
