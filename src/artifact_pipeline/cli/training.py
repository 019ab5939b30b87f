"""`artifact-pipeline train`: config → artifact, and `model_train.pkl` beside it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import click

from artifact_pipeline.cli import views
from artifact_pipeline.cli.comparison import comparison_page, plain, say_comparison
from artifact_pipeline.cli.options import (
    artifact_option,
    export_option,
    report_options,
    report_places,
    verb,
    with_artifact,
)
from artifact_pipeline.cli.trained import (
    plain_columns,
    plain_look,
    say_candidate,
    say_changes,
    say_columns,
    say_plan,
    say_unknown,
)
from artifact_pipeline.files import shown

if TYPE_CHECKING:
    from typing import Unpack

    from artifact_pipeline.cli.output import Output
    from artifact_pipeline.training.request import Observer, Training, TrainingRequest


class _Asked(TypedDict):
    """The options of `train` beside its config and its places."""

    champion: Path | None
    champion_expect: str | None
    champion_policy: Path | None
    dry_run: bool
    explain: bool
    force: bool
    summary: Path | None
    outputs: Path | None


@verb("Train from a config, measure, judge and publish.", 3, 4, 5, 8)
@click.option(
    "--config",
    default="config/config.json",
    show_default=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The config.",
)
@click.option(
    "-S",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set one key of the config for this run, such as -S max_iter=500 or -S gate.min_f1=0.9; can be repeated.",
)
@artifact_option("Where the pointer to the artifact is written; the store is artifacts/ beside it.")
@export_option("Where the pickle for Python users is written.")
@click.option(
    "--champion",
    metavar="ARTIFACT",
    type=click.Path(path_type=Path),
    help="Go into charge only if no worse than this one on the same held-out rows; wins over gate.champion.",
)
@click.option(
    "--champion-expect", metavar="DIGEST", help="The champion's artifact digest; any other is refused unread."
)
@click.option(
    "--champion-policy",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Whom and what you trust of a champion; see docs/trust.md.",
)
@click.option("--dry-run", is_flag=True, help="Print the resolved config and what would be written, and write nothing.")
@click.option("--explain", is_flag=True, help="Print what has changed since the artifact in charge was made.")
@click.option("--force", is_flag=True, help="Train although nothing has changed.")
@report_options(outputs=True)
@click.pass_obj
def train(
    output: Output,
    /,
    config: Path,
    overrides: tuple[str, ...],
    *,
    artifact: Path,
    export: Path,
    **asked: Unpack[_Asked],
) -> None:
    """Train the model that a config describes, and publish it as an artifact that can be proven.

    The same config, data, packages and code give the same bytes: where the artifact in charge was made from them,
    nothing is trained. The model is measured as it will be served, from the published bytes; if its gate fails, the
    status is 3 and a model that stood before still stands.
    """
    from artifact_pipeline.training.request import TrainingRequest
    from artifact_pipeline.training.run import plan, run

    request = TrainingRequest(
        config,
        artifact,
        export,
        overrides,
        champion=asked["champion"],
        champion_expect=asked["champion_expect"],
        champion_policy=asked["champion_policy"],
        force=asked["force"],
        outputs=tuple(report_places(asked)),
    )
    said = _Said(output, request, asked)
    if asked["dry_run"]:
        say_plan(output, request, plan(request, explain=asked["explain"], observer=said.observer()))
    else:
        said.end(run(request, said.observer()))


@dataclass(frozen=True, slots=True)
class _Said:
    """What is printed and reported of a training."""

    output: Output
    request: TrainingRequest
    asked: _Asked

    def observer(self) -> Observer:
        """What is printed while the training runs."""
        from artifact_pipeline.training.request import SILENT, Observer

        return Observer(
            progress=self.output.progress,
            loaded=partial(say_columns, self.output),
            looked=partial(say_changes, self.output) if self.asked["explain"] else SILENT.looked,
            measured=self.measured,
        )

    def measured(self, training: Training) -> None:
        """Print what was measured, and report it: also of a failed gate one wants to read why."""
        assert training.candidate is not None
        assert training.statement is not None
        say_candidate(self.output, training.candidate)
        say_unknown(self.output, training.statement)
        if training.comparison is not None:
            say_comparison(self.output, training.comparison, looks=training.looks)
        _report(training, self.asked)

    def end(self, training: Training) -> None:
        """Print where the artifact stands, and what to do next."""
        output, request = self.output, self.request
        if training.unchanged:
            self._unchanged(training)
        elif training.outcome == "identical":
            output.say(f"artifact: {shown(training.folder)} stays, nothing is published")
        else:
            folder = training.folder.relative_to(request.artifact.parent)
            output.say(f"artifact: {shown(request.artifact)} -> {folder}")
        if training.export is not None and not training.unchanged:
            output.say(f"export: {shown(training.export)}")
        if training.in_charge:
            output.next(_next(output, request.artifact))
        output.result(_summary(training, request))

    def _unchanged(self, training: Training) -> None:
        place = shown(self.request.artifact)
        self.output.say(f"unchanged: {place} was made from just this; --force trains all the same")
        views.say_digests(self.output, training.digest, training.manifest)
        views.warn_of_unpredicted(self.output, training.manifest.metrics.held_out)
        views.say_gate(self.output, training.manifest)
        _report(training, self.asked)


def _report(training: Training, asked: _Asked) -> None:
    """Append what a job needs to know to the files that are named for it."""
    from artifact_pipeline.cli import github
    from artifact_pipeline.reports import markdown

    manifest = training.manifest
    if asked["summary"] is not None:
        page = markdown.manifest_page(training.digest, manifest)
        if training.comparison is not None and training.looks is not None:
            page += "\n" + comparison_page(training.comparison, looks=training.looks)
        github.append_summary(asked["summary"], page)
    if asked["outputs"] is not None:
        found = {
            "digest": training.digest,
            "verdict": manifest.gate.verdict if manifest.gate else "missing",
            "accuracy": str(manifest.metrics.held_out.accuracy.value),
            "artifact-path": str(training.folder.absolute()),
        }
        github.append_outputs(asked["outputs"], found)


def _next(output: Output, artifact: Path) -> str:
    if output.root is None:
        return with_artifact("artifact-pipeline verify", artifact)
    command = "artifact-pipeline predict"  # by its door
    return command if artifact == output.root / "artifact" else with_artifact(command, artifact, option="--artifact")


def _summary(training: Training, request: TrainingRequest) -> dict[str, Any]:
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
        "unchanged": training.unchanged,
        **plain_columns(training.columns),
        "written": {"artifact": shown(request.artifact), "export": shown(request.export)},
        **plain_look(training.look),
    }
