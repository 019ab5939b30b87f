"""`artifact-pipeline train`: config → artifact, and `model_train.pkl` beside it."""

from __future__ import annotations

import json
import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from artifact_pipeline.cli import views
from artifact_pipeline.cli.comparison import plain, say_comparison
from artifact_pipeline.cli.options import (
    ArtifactPlace,
    NumberRange,
    artifact_option,
    export_option,
    feedback_option,
    file_option,
    jobs_option,
    outputs_option,
    report_places,
    scheduler_option,
    summary_option,
    verb,
    with_artifact,
)
from artifact_pipeline.cli.searching import plain_search, say_search, search_progress
from artifact_pipeline.cli.seeds import try_seeds
from artifact_pipeline.cli.trained import (
    plain_columns,
    plain_feedback,
    plain_look,
    say_candidate,
    say_changes,
    say_columns,
    say_plan,
    say_unknown,
)
from artifact_pipeline.errors import plural
from artifact_pipeline.files import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from artifact_pipeline.cli.output import Output
    from artifact_pipeline.training.request import Training, TrainingRequest

_REQUEST_FIELDS = ("champion", "champion_expect", "champion_policy", "force", "jobs", "minutes", "scheduler")
"""The options that a `TrainingRequest` takes by their own names."""


@verb("Train from a config, measure, judge and publish.", 3, 4, 5, 8)
@file_option("--config", default="config/config.json", words="The config.")
@click.option(
    "-S",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set one key of the config for this run, such as -S max_iter=500 or -S gate.min_f1=0.9; can be repeated.",
)
@feedback_option("Learn from these labelled rows, too, and never measure on them; can be repeated; wins over feedback.")
@artifact_option("Where the pointer to the artifact is written; the store is artifacts/ beside it.")
@export_option("Where the pickle for Python users is written.")
@click.option(
    "--champion",
    metavar="ARTIFACT",
    type=ArtifactPlace(),
    help="Go into charge only if no worse than this one on the same held-out rows; wins over gate.champion.",
)
@click.option(
    "--champion-expect", metavar="DIGEST", help="The champion's artifact digest; any other is refused unread."
)
@file_option("--champion-policy", words="Whom and what you trust of a champion; see docs/trust.md.")
@click.option("--dry-run", is_flag=True, help="Print the resolved config and what would be written, and write nothing.")
@click.option("--explain", is_flag=True, help="Print what has changed since the artifact in charge was made.")
@click.option("--force", is_flag=True, help="Train although nothing has changed.")
@jobs_option(
    "Run N trials of a search, or fit N trees, folds or classifiers in a classifier, at a time; no byte depends on it."
)
@click.option(
    "--seeds",
    metavar="N",
    type=click.IntRange(2, 10_000),
    help="Train with N other seeds, say how lucky the config's own is, and publish nothing.",
)
@click.option(
    "--minutes",
    metavar="N",
    type=NumberRange(0),
    help="Stop a search after N minutes, and take the best of what there is; another `train` goes on with it.",
)
@scheduler_option("Run the trials of a search on a Dask cluster, tcp://host:8786 (extra [scale]).")
@summary_option
@outputs_option
@click.pass_obj
def train(
    output: Output,
    /,
    config: Path,
    overrides: tuple[str, ...],
    *,
    artifact: Path,
    export: Path,
    **options: Any,  # as the options above name it
) -> None:
    """Train the model that a config describes, and publish it as an artifact that can be proven.

    The same config, data, packages and code give the same bytes: where the artifact in charge was made from them,
    nothing is trained. The model is measured as it will be served, from the published bytes; if its gate fails, the
    status is 3 and a model that stood before still stands.
    """
    from artifact_pipeline.training.request import SILENT, Observer, TrainingRequest
    from artifact_pipeline.training.run import plan, run

    files = options["feedback"]
    feedback = [f"feedback={json.dumps(files, ensure_ascii=False)}"] if files else []
    request = TrainingRequest(
        config,
        artifact,
        export,
        (*overrides, *feedback),
        outputs=tuple(report_places(options)),
        **{name: options[name] for name in _REQUEST_FIELDS},
    )
    if options["seeds"] is not None:
        try_seeds(output, request, options["seeds"])
        return
    observer = Observer(
        progress=output.progress,
        loaded=partial(say_columns, output),
        looked=partial(say_changes, output) if options["explain"] else SILENT.looked,
        searching=partial(search_progress, output),
        measured=partial(_say_measured, output, options),
    )
    if options["dry_run"]:
        say_plan(output, request, plan(request, explain=options["explain"], observer=observer))
        return
    training = run(request, observer)
    if training.unchanged:
        _say_unchanged(output, training, request)
        _report(options, training)
    else:
        _say_written(output, training, request)
    if training.in_charge:
        output.next(_next(output, request.artifact))
    output.result(_result(training, request))


def _say_measured(output: Output, options: Mapping[str, Any], training: Training) -> None:
    """Print and report what was measured. That is before the publication, which a failed gate ends."""
    assert training.candidate is not None
    assert training.statement is not None
    if training.searched is not None:
        say_search(output, training.manifest, training.searched.results)
        output.say(f"held-out rows: looked at {plural(training.looks or 0, 'time')}, this one included")
    say_candidate(output, training.candidate)
    say_unknown(output, training.statement)
    if training.comparison is not None:
        say_comparison(output, training.comparison, looks=training.looks)
    _report(options, training)


def _say_unchanged(output: Output, training: Training, request: TrainingRequest) -> None:
    output.say(f"unchanged: {shown(request.artifact)} was made from just this; --force trains all the same")
    views.say_digests(output, training.digest, training.manifest)
    views.warn_of_unpredicted(output, training.manifest.metrics.held_out)
    views.say_gate(output, training.manifest)


def _say_written(output: Output, training: Training, request: TrainingRequest) -> None:
    if training.outcome == "identical":
        output.say(f"artifact: {shown(training.folder)} stays, nothing is published")
    else:
        folder = Path(training.folder).relative_to(request.artifact.parent)
        output.say(f"artifact: {shown(request.artifact)} -> {folder}")
        renamed = next((each for each in training.look.changes if each.part == "recipe.name" and each.old), None)
        if renamed is not None:
            own = shlex.quote(f"{shown(request.artifact)}-{training.manifest.name}")
            output.log(
                f"warning: {shown(request.artifact)} led to another model, {renamed.old}, before this training; "
                f"--artifact {own} gives this one a pointer of its own"
            )
    if training.export is not None:
        output.say(f"export: {shown(training.export)}")


def _report(options: Mapping[str, Any], training: Training) -> None:
    """Append the results to the files that a job names for them."""
    from artifact_pipeline.cli import github
    from artifact_pipeline.reports import markdown
    from artifact_pipeline.reports.statements import verdict_of

    manifest = training.manifest
    if options["summary"] is not None:
        page = markdown.manifest_page(training.digest, manifest)
        if training.comparison is not None and training.looks is not None:
            page += "\n" + markdown.comparison_page(training.comparison, looks=training.looks)
        github.append_summary(options["summary"], page)
    if options["outputs"] is not None:
        found = {
            "digest": training.digest,
            "verdict": verdict_of(manifest),
            "accuracy": str(manifest.metrics.held_out.accuracy.value),
            "artifact-path": str(training.folder.absolute() if isinstance(training.folder, Path) else training.folder),
        }
        github.append_outputs(options["outputs"], found)


def _plain_search(training: Training) -> dict[str, Any] | None:
    from artifact_pipeline.artifact.trials import SearchResults

    if training.searched is not None:
        return plain_search(training.manifest, training.searched.results)
    standing = training.look.standing
    if not training.unchanged or standing is None:
        return None
    return plain_search(standing.manifest, SearchResults.of_artifact(standing))


def _next(output: Output, artifact: Path) -> str:
    if output.root is None:
        return with_artifact("artifact-pipeline verify", artifact)
    command = "artifact-pipeline predict"  # by its door
    return command if artifact == output.root / "artifact" else with_artifact(command, artifact, option="--artifact")


def _result(training: Training, request: TrainingRequest) -> dict[str, Any]:
    manifest, comparison = training.manifest, training.comparison
    assert request.export is not None
    return {
        "artifact": training.digest,
        "model": manifest.model.digest,
        "gate": manifest.gate.plain() if manifest.gate else None,
        "metrics": manifest.metrics.plain(),
        **views.plain_baseline(manifest.metrics.held_out),
        "converged": manifest.model.converged,
        "comparison": plain(comparison) if comparison else None,
        "search": _plain_search(training),
        "unchanged": training.unchanged,
        **plain_columns(training.columns),
        **plain_feedback(manifest, training.candidate),
        "written": {"artifact": shown(request.artifact), "export": shown(request.export)},
        **plain_look(training.look),
    }
