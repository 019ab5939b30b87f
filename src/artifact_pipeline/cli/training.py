"""`artifact-pipeline train`: config → artifact, and `model_train.pkl` beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import click

from artifact_pipeline.cli.candidate import say_candidate, say_unknown
from artifact_pipeline.cli.columns import plain_columns, say_columns
from artifact_pipeline.cli.options import (
    artifact_option,
    artifact_places,
    asked_trust,
    export_option,
    report_options,
    report_places,
    verb,
    with_artifact,
)
from artifact_pipeline.cli.paths import shown
from artifact_pipeline.cli.plan import Places, plain_look, say_changes, say_plan
from artifact_pipeline.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Unpack

    from artifact_pipeline.artifact.manifest import Manifest
    from artifact_pipeline.artifact.provenance import Internal, Statement
    from artifact_pipeline.artifact.verified import Verified
    from artifact_pipeline.cli.output import Output
    from artifact_pipeline.config import Config
    from artifact_pipeline.rows.matrix import Rows
    from artifact_pipeline.storage.outputs import Place
    from artifact_pipeline.training.candidate import Candidate
    from artifact_pipeline.training.statement import Origin
    from artifact_pipeline.training.unchanged import Look


class Asked(TypedDict):
    """The options of `train` beside its config and its places."""

    champion: Path | None
    champion_expect: str | None
    champion_policy: Path | None
    dry_run: bool
    explain: bool
    force: bool
    summary: Path | None
    outputs: Path | None


@dataclass(frozen=True, slots=True)
class _Task:
    """One training: what it starts from, what decides its bytes, and what stands before it.

    `rows` is None for the built-in digits, as long as nobody needs them.
    """

    config: Config
    rows: Rows | None
    origin: Origin
    champion: Verified | None
    key: dict[str, str]
    look: Look


@dataclass(frozen=True, slots=True)
class _Result:
    """The artifact that a training has made, or left in its place; `internal` where it has made one."""

    digest: str
    manifest: Manifest
    folder: Path
    internal: Internal | None = None


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
    **asked: Unpack[Asked],
) -> None:
    """Train the model that a config describes, and publish it as an artifact that can be proven.

    The same config, data, packages and code give the same bytes: where the artifact in charge was made from them,
    nothing is trained. The model is measured as it will be served, from the published bytes; if its gate fails, the
    status is 3 and a model that stood before still stands.
    """
    from artifact_pipeline.config import load_config
    from artifact_pipeline.training.publication import check_places
    from artifact_pipeline.training.statement import LOCK, Origin, now

    origin, places = Origin(config, artifact.parent / LOCK, now()), Places(artifact, export)
    resolved = load_config(config, overrides)
    check_places(artifact, export, inputs=_read(resolved, origin, **asked), outputs=report_places(asked))
    if asked["dry_run"] and not asked["explain"]:
        say_plan(output, resolved, places, rows=_load(output, resolved))
        return
    task = _begin(output, resolved, origin, places=places, rival=_champion(resolved, **asked))
    if asked["explain"]:
        say_changes(output, task.look)
    if asked["dry_run"]:
        say_plan(output, resolved, places, look=task.look, rows=task.rows)
    elif task.look.unchanged and not asked["force"]:
        _stay(output, task, places, **asked)
    else:
        _train(output, task, places, **asked)


def _read(config: Config, origin: Origin, **asked: Unpack[Asked]) -> Iterator[Place]:
    """The places that a training reads."""
    from artifact_pipeline.storage.outputs import Place

    yield Place("the config", str(origin.config))
    yield Place("the lock file", str(origin.lock))
    if config.dataset != "digits":
        yield Place("the dataset", config.dataset.path)
    if asked["champion_policy"] is not None:
        yield Place("the policy", str(asked["champion_policy"]))
    if named := _champion_place(config, asked["champion"]):
        yield from artifact_places(named, "the champion")


def _champion_place(config: Config, champion: Path | None) -> Path | None:
    return champion or (Path(config.gate.champion) if config.gate.champion else None)


def _champion(config: Config, **asked: Unpack[Asked]) -> Verified | None:
    """Verify the champion, if there is one, as whoever uses an artifact does."""
    from artifact_pipeline.verification import verify

    named = _champion_place(config, asked["champion"])
    expect, policy = asked["champion_expect"], asked["champion_policy"]
    if named is None:
        if expect is not None or policy is not None:
            raise ConfigError("there is no champion to trust", hint="name it with --champion, or leave these away")
        return None
    trust = asked_trust({"policy": policy, "public_key": None, "signature": None, "expect": expect})
    return verify(named, expect=expect, trust=trust)


def _begin(output: Output, config: Config, origin: Origin, *, places: Places, rival: Verified | None) -> _Task:
    """Read the rows, and look whether there is anything to train."""
    from artifact_pipeline.training import unchanged

    rows = _load(output, config)
    key = unchanged.key_of(config, rows, rival)
    return _Task(config, rows, origin, rival, key, unchanged.look(places.artifact, places.export, key))


def _load(output: Output, config: Config) -> Rows | None:
    """Read a table, and say what of it is learned from; None for the built-in digits."""
    from artifact_pipeline.training.dataset import load_rows

    if config.dataset == "digits":
        return None
    with output.progress() as progress:
        progress("loading rows")
        rows = load_rows(config)
    say_columns(output, rows)
    return rows


def _stay(output: Output, task: _Task, places: Places, **asked: Unpack[Asked]) -> None:
    """Tell of the artifact in charge, from which a training would not differ."""
    from artifact_pipeline.cli import views

    standing = task.look.standing
    assert standing is not None
    result = _Result(standing.digest, standing.manifest, standing.folder)
    output.say(f"unchanged: {shown(places.artifact)} was made from just this; --force trains all the same")
    views.say_digests(output, result.digest, result.manifest)
    views.warn_of_unpredicted(output, result.manifest.metrics.held_out)
    views.say_gate(output, result.manifest)
    _report(result, **asked)
    output.next(_next(output, places.artifact))
    output.result(_summary(result, task, places, unchanged=True))


def _train(output: Output, task: _Task, places: Places, **asked: Unpack[Asked]) -> None:
    """Train, compare, publish."""
    from artifact_pipeline.artifact.store import place_of
    from artifact_pipeline.training.candidate import train_on
    from artifact_pipeline.training.champion import check_fit
    from artifact_pipeline.training.dataset import load_dataset
    from artifact_pipeline.training.publication import publish

    with output.progress() as progress:
        if task.rows is None:
            progress("loading rows")
        data = load_dataset(task.config, task.rows)
        if task.champion is not None:
            check_fit(task.champion, data=task.key["data"], split=data.split_bits())
        candidate = train_on(data, task.config, progress=progress)
        statement = _state(task, candidate, data.rows, places.artifact)
    internal = statement.internal
    say_candidate(output, candidate)
    say_unknown(output, statement)
    if internal.comparison is not None:
        from artifact_pipeline.cli.comparison import say_comparison

        say_comparison(output, internal.comparison, looks=internal.looks)
    rival = task.champion
    if rival and internal.comparison and internal.comparison.outcome == "identical" and candidate.passed:
        kept = _Result(rival.digest, rival.manifest, rival.folder, internal)
        _report(kept, **asked)
        _keep(output, candidate, rival, places=places)
        output.result(_summary(kept, task, places))
        return
    result = _Result(candidate.digest, candidate.manifest, place_of(places.artifact, candidate.digest), internal)
    _report(result, **asked)
    publish(candidate, artifact=places.artifact, export=places.export, statement=statement)
    output.say(f"artifact: {shown(places.artifact)} -> {result.folder.relative_to(places.artifact.parent)}")
    output.say(f"export: {shown(places.export)}")
    output.next(_next(output, places.artifact))
    output.result(_summary(result, task, places))


def _state(task: _Task, candidate: Candidate, rows: Rows, artifact: Path) -> Statement:
    """What is said of a candidate, its comparison with the champion included."""
    from artifact_pipeline.training import champion
    from artifact_pipeline.training import statement as provenance

    rival = task.champion
    comparison = champion.challenge(candidate, rival, rows, task.config.gate) if rival else None
    looks = provenance.looks_at(candidate.manifest.data.split.digest, artifact, rival)
    return provenance.state(candidate, task.origin, key=task.key, looks=looks, comparison=comparison)


def _keep(output: Output, candidate: Candidate, champion: Verified, *, places: Places) -> None:
    """Publish nothing, since the champion is this very model; only an export that is missing is written again."""
    from artifact_pipeline.artifact.pointer import resolve
    from artifact_pipeline.training.champion import renew_export

    output.say(f"artifact: {shown(champion.folder)} stays, nothing is published")
    in_charge = places.artifact.is_symlink() or places.artifact.is_file()
    if in_charge and resolve(places.artifact).name == champion.folder.name:
        if renew_export(candidate, champion, places.export):
            output.say(f"export: {shown(places.export)}")
        output.next(_next(output, places.artifact))


def _report(result: _Result, **asked: Unpack[Asked]) -> None:
    """Pass on what a job needs to know, whatever the verdict: also of a failed gate one wants to read why."""
    from artifact_pipeline.cli import github
    from artifact_pipeline.reports import markdown

    manifest, comparison = result.manifest, result.internal.comparison if result.internal else None
    if asked["summary"] is not None:
        page = markdown.manifest_page(result.digest, manifest)
        if comparison is not None and result.internal is not None:
            from artifact_pipeline.cli.comparison import comparison_page

            page += "\n" + comparison_page(comparison, looks=result.internal.looks)
        github.append_summary(asked["summary"], page)
    if asked["outputs"] is not None:
        found = {
            "digest": result.digest,
            "verdict": manifest.gate.verdict if manifest.gate else "missing",
            "accuracy": str(manifest.metrics.held_out.accuracy.value),
            "artifact-path": str(result.folder.absolute()),
        }
        github.append_outputs(asked["outputs"], found)


def _next(output: Output, artifact: Path) -> str:
    if output.root is None:
        return with_artifact("artifact-pipeline verify", artifact)
    command = "artifact-pipeline predict"  # by its door
    return command if artifact == output.root / "artifact" else with_artifact(command, artifact, option="--artifact")


def _summary(result: _Result, task: _Task, places: Places, *, unchanged: bool = False) -> dict[str, Any]:
    from artifact_pipeline.cli.comparison import plain
    from artifact_pipeline.cli.views import plain_baseline

    manifest, comparison = result.manifest, result.internal.comparison if result.internal else None
    return {
        "artifact": result.digest,
        "model": manifest.model.digest,
        "gate": manifest.gate.plain() if manifest.gate else None,
        "metrics": manifest.metrics.plain(),
        **plain_baseline(manifest.metrics.held_out),
        "converged": manifest.model.converged,
        "comparison": plain(comparison) if comparison else None,
        "unchanged": unchanged,
        **plain_columns(task.rows),
        "written": {"artifact": shown(places.artifact), "export": shown(places.export)},
        **plain_look(task.look),
    }
