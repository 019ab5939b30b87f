"""A training from its config to its publication: in which order, when nothing is trained, and what is kept.

The order: the config is read; the places are checked; the champion is verified; the rows are read; the artifact in
charge is compared with what this training would give. Where that is the same, nothing is trained; where the config's
file is the same to the byte, and nothing else decides, that is found without parsing it. Otherwise the model
is searched for where the config says so, fitted, measured, judged and compared with the champion, and then published:
into charge if its gate passed, into the store alone if not. Where the champion is the same model, what is in charge
stays, and nothing is published; where nothing is in charge yet, as in a job, the model is published as any other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from artifact_pipeline.artifact.pointer import artifact_places, resolve
from artifact_pipeline.artifact.store import Store
from artifact_pipeline.errors import ConfigError
from artifact_pipeline.registry import remote
from artifact_pipeline.storage import places as storage
from artifact_pipeline.storage.outputs import Place
from artifact_pipeline.training import unchanged
from artifact_pipeline.training.publication import check_places, put_in_charge, renew_export
from artifact_pipeline.training.request import SILENT, Columns, Plan, Training
from artifact_pipeline.training.statement import LOCK, TrainingOrigin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.artifact.provenance import Statement
    from artifact_pipeline.config import Config
    from artifact_pipeline.rows.matrix import Rows
    from artifact_pipeline.training.dataset import Dataset
    from artifact_pipeline.training.request import Observer, TrainingRequest
    from artifact_pipeline.training.sealed import Candidate
    from artifact_pipeline.training.search.run import Searched
    from artifact_pipeline.training.unchanged import Look


@dataclass(frozen=True, slots=True)
class _Task:
    """One training, its rows read; `rows` is None for a built-in data set alone."""

    request: TrainingRequest
    config: Config
    origin: TrainingOrigin
    rows: Rows | None
    champion: Verified | None
    key: dict[str, str]
    look: Look
    fingerprint: str | None


def run(request: TrainingRequest, observer: Observer = SILENT) -> Training:
    """Train, measure, judge, compare and publish; or find that nothing has changed.

    Raises:
        ConfigError: the config breaks a rule, or an output is an input.
        GateFailed: the gate, or the comparison with the champion, failed; its `result` is the training. The candidate
            is kept in the store; pointer and export stay as they were.
        ArtifactRejected: the champion is not what it claims to be, or cannot be compared with.
        DataRejected: the rows cannot be read, split or learned.
        StorageError: a result cannot be written; what stood before still stands.
    """
    origin = _origin(request)
    if (training := _same_file(request, origin, observer)) is not None:
        return training
    task = _read_task(request, _checked_config(request, origin), origin, observer)
    if task.look.unchanged and not request.force:
        return _unchanged(request, task.look, task.rows)
    with observer.progress() as progress:
        data, its_rows = _prepared(task, progress)
    task, searched = _searched(task, data, observer)
    with observer.progress() as progress:
        candidate, statement = _train(task, data, its_rows=its_rows, searched=searched, progress=progress)
    folder = Store(request.artifact).place(candidate.digest)
    columns = Columns.of(task.rows)
    training = Training.of(candidate, statement, folder, task.look, columns=columns, searched=searched)
    comparison, champion = training.comparison, task.champion
    stands = request.artifact.is_symlink() or request.artifact.is_file()
    if champion and comparison and comparison.outcome == "identical" and candidate.passed and stands:
        training = replace(
            training,
            outcome="identical",
            digest=champion.digest,
            manifest=champion.manifest,
            folder=champion.place,
        )
        observer.measured(training)
        return _keep_champion(request, training, champion, candidate)
    observer.measured(training)
    return put_in_charge(training, artifact=request.artifact, export=request.export)


def plan(request: TrainingRequest, *, explain: bool = False, observer: Observer = SILENT) -> Plan:
    """Return what `run` would do, and with `explain` also what has changed; nothing is trained or written.

    Raises:
        ConfigError: as `run`.
        ArtifactRejected: as `run`, where `explain` is true.
        DataRejected: the rows cannot be read.
        StorageError: a result could not be written.
    """
    origin = _origin(request)
    config = _checked_config(request, origin)
    store = Store(request.artifact).folder
    if not explain:
        return Plan(config, store, Columns.of(_load(config, observer)))
    task = _read_task(request, config, origin, observer)
    return Plan(config, store, Columns.of(task.rows), task.look)


def _origin(request: TrainingRequest) -> TrainingOrigin:
    file = request.config if isinstance(request.config, Path) else None
    return TrainingOrigin(file, request.artifact.parent / LOCK)


def _same_file(request: TrainingRequest, origin: TrainingOrigin, observer: Observer) -> Training | None:
    """Return the training that changes nothing, where that is known without parsing the config; None elsewhere."""
    options = (request.champion, request.champion_expect, request.champion_policy, request.minutes, request.scheduler)
    if origin.data is None or request.overrides or request.force or any(each is not None for each in options):
        return None
    look = unchanged.look_by_fingerprint(request.artifact, request.export, origin.data)
    if look is None or not look.unchanged:
        return None
    check_places(request.artifact, request.export, inputs=_files_of(origin), outputs=request.outputs)
    observer.looked(look)
    return _unchanged(request, look, None)


def _unchanged(request: TrainingRequest, look: Look, rows: Rows | None) -> Training:
    """Return the training that leaves the artifact in charge where it is."""
    artifact = look.standing
    assert artifact is not None
    return Training(
        "unchanged",
        artifact.digest,
        artifact.manifest,
        artifact.place,
        look,
        columns=Columns.of(rows),
        in_charge=True,
        export=request.export,
    )


def _checked_config(request: TrainingRequest, origin: TrainingOrigin) -> Config:
    """Read the config, and make sure that the results can be written, and over nothing that is read."""
    from artifact_pipeline.training.reading import read_config

    config = read_config(request.config, request.overrides, data=origin.data)
    for option, value in (("--minutes", request.minutes), ("--scheduler", request.scheduler)):
        if value is not None and config.search is None:
            raise ConfigError(f"{option}: the config has no search", hint="leave it away, or set search")
    if request.jobs < 1:
        raise ConfigError(f"jobs: must be at least 1, got {request.jobs}", hint="1 does one thing at a time")
    if request.minutes is not None and not request.minutes >= 0:
        raise ConfigError(f"minutes: must be at least 0, got {request.minutes}", hint="None lets the search end")
    check_places(request.artifact, request.export, inputs=_inputs(request, config, origin), outputs=request.outputs)
    return config


def _files_of(origin: TrainingOrigin) -> Iterator[Place]:
    if origin.config is not None:
        yield Place("the config", str(origin.config))
    yield Place("the lock file", str(origin.lock))


def _inputs(request: TrainingRequest, config: Config, origin: TrainingOrigin) -> Iterator[Place]:
    yield from _files_of(origin)
    if not isinstance(config.dataset, str):
        yield Place("the dataset", config.dataset.path)
    if config.split.path is not None:
        yield Place("the held-out file", config.split.path)
    yield from (Place("the feedback", path) for path in config.feedback)
    if request.champion_policy is not None:
        yield Place("the policy", str(request.champion_policy))
    if champion := _champion_place(request, config):
        yield from artifact_places(champion, "the champion")


def _champion_place(request: TrainingRequest, config: Config) -> Path | str | None:
    return request.champion or (storage.artifact_place(config.gate.champion) if config.gate.champion else None)


def _champion(request: TrainingRequest, config: Config) -> Verified | None:
    """Verify the champion, if there is one."""
    place, expect, policy = _champion_place(request, config), request.champion_expect, request.champion_policy
    if place is None:
        if expect is not None or policy is not None:
            raise ConfigError("there is no champion to trust", hint="name it with --champion, or leave these away")
        return None
    trust = None
    if policy is not None:
        from artifact_pipeline.trust.policy import Trust

        trust = Trust.load(policy=policy, expected=expect is not None)
    return remote.verify(place, expect=expect, trust=trust)


def _read_task(request: TrainingRequest, config: Config, origin: TrainingOrigin, observer: Observer) -> _Task:
    """Read the rows, and look whether there is anything to train."""
    champion = _champion(request, config)
    rows = _load(config, observer)
    key = unchanged.key_of(config, rows, champion)
    look = unchanged.look(request.artifact, request.export, key)
    observer.looked(look)
    fingerprint = None
    if origin.data is not None and rows is None and champion is None and not request.overrides:
        fingerprint = unchanged.fingerprint_of(origin.data)
    return _Task(request, config, origin, rows, champion, key=key, look=look, fingerprint=fingerprint)


def _load(config: Config, observer: Observer) -> Rows | None:
    """Read what files hold; return None for a built-in data set alone, which is read when it is needed."""
    if isinstance(config.dataset, str) and not config.feedback:
        return None
    from artifact_pipeline.training.dataset import load_rows

    with observer.progress() as progress:
        progress("loading rows")
        rows = load_rows(config)
    columns = Columns.of(rows)
    if columns is not None:
        observer.loaded(columns)
    return rows


def _prepared(task: _Task, progress: Callable[[str], None]) -> tuple[Dataset, Rows]:
    """Split the rows, and see that they can be compared with the champion's; return both."""
    from artifact_pipeline.training.champion import check_fit, rows_for
    from artifact_pipeline.training.dataset import Dataset

    if task.rows is None:
        progress("loading rows")
    data = Dataset.load(task.config, task.rows)
    its_rows = data.rows
    if task.champion is not None:
        its_rows = rows_for(task.champion, data.rows, task.config)
        check_fit(task.champion, its_rows, data.split_bits())
    return data, its_rows


def _searched(task: _Task, data: Dataset, observer: Observer) -> tuple[_Task, Searched | None]:
    """Search where the config says so; where the time was over, the task is then the one of what there is."""
    request = task.request
    if task.config.search is None:
        return task, None
    from artifact_pipeline.training.search.records import records
    from artifact_pipeline.training.search.run import search

    with (
        records(Store(request.artifact).folder, task.key, resume=not request.force) as kept,
        observer.searching() as watch,
    ):
        at = request.scheduler or request.jobs
        found = search(task.config, data, at=at, records=kept, minutes=request.minutes, watch=watch)
    if found.config != task.config:
        key = unchanged.key_of(found.config, task.rows, task.champion)
        task = replace(task, config=found.config, key=key, fingerprint=None)
    return task, found


def _train(
    task: _Task, data: Dataset, *, its_rows: Rows, searched: Searched | None, progress: Callable[[str], None]
) -> tuple[Candidate, Statement]:
    """Train, and compare with the champion; the statement holds the comparison."""
    from artifact_pipeline.training import statement
    from artifact_pipeline.training.candidate import train
    from artifact_pipeline.training.champion import challenge

    champion, comparison = task.champion, None
    candidate = train(task.config, data, progress=progress, jobs=task.request.jobs, searched=searched)
    if champion is not None:
        comparison = challenge(candidate, champion, data.rows, task.config.gate, its_rows=its_rows)
    looks = statement.count_looks(candidate.manifest.data.split.digest, task.request.artifact, champion)
    made_from = statement.make_statement(
        candidate, task.origin, key=task.key, looks=looks, comparison=comparison, fingerprint=task.fingerprint
    )
    return candidate, made_from


def _keep_champion(request: TrainingRequest, training: Training, champion: Verified, candidate: Candidate) -> Training:
    """Publish nothing, because the champion is this very model; write its export where that is missing."""
    artifact, export = request.artifact, request.export
    if (folder := resolve(artifact)).name != champion.folder.name:
        return training
    renewed = export is not None and renew_export(candidate, champion, export)
    return replace(training, folder=folder, in_charge=True, export=export if renewed else None)
