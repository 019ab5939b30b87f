"""An artifact into a server of MLflow: one run, one version of a registered model, an alias if the gate passed.

Each step finds what an earlier try has done: a run is known by its tag `artifact_digest`, a version likewise. So a
second export of a digest finds all of it, and one that was cut off is completed in the same run by the next. MLflow has
no lock: of two exports at once the one with the lower version, which the server counts, stays, and the other one
removes its own.
"""

from __future__ import annotations

import contextlib
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlsplit

from artifact_pipeline.artifact import provenance
from artifact_pipeline.errors import ConfigError, StorageError
from artifact_pipeline.registry import remote
from artifact_pipeline.reports.mlflow_run import fill
from artifact_pipeline.reports.mlflow_server import MlflowServer
from artifact_pipeline.reports.statements import verdict_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from artifact_pipeline.artifact.manifest import Verified

_DIGEST = "artifact_digest"
"""The tag by which a run and a version are known."""
_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ALIAS = re.compile(r"(?!latest\Z|v[0-9]+\Z)[A-Za-z0-9_-]{1,255}", re.IGNORECASE)
_MODEL_NAME = re.compile(r"[A-Za-z0-9 _.@-]{1,256}")


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What is exported, and where to.

    Attributes:
        artifact: a pointer, or an artifact's folder; its gate may have failed.
        tracking_uri: the server; None takes `MLFLOW_TRACKING_URI`.
        experiment: None takes the name of the model.
        model: the registered model; None takes the name of the model.
        alias: the alias that moves to the version if the gate passed; None moves none.
        expect: the artifact digest known from elsewhere; anything else is refused unread.
    """

    artifact: Path | str
    tracking_uri: str | None = None
    experiment: str | None = None
    model: str | None = None
    alias: str | None = None
    expect: str | None = None


@dataclass(frozen=True, slots=True)
class Exported:
    """What stands in the tracker now.

    Attributes:
        outcome: `exported`; `completed`, where an earlier try had begun; or `already there`.
        artifact: the artifact digest.
        run: the id of the run.
        alias: the alias that leads to the version; None where none was asked for, or the gate failed.
        notes: what was shortened, or is to be known.
    """

    outcome: Literal["exported", "completed", "already there"]
    artifact: str
    url: str
    run: str
    experiment: str
    model: str
    version: str
    alias: str | None
    notes: tuple[str, ...] = ()

    def plain(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return {name: getattr(self, name) for name in self.__slots__} | {"notes": list(self.notes)}


@dataclass(slots=True)
class _Export:
    """One export while it goes on."""

    server: MlflowServer
    verified: Verified
    experiment: str
    model: str
    progress: Callable[[str], None]
    notes: list[str] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """The artifact digest."""
        return self.verified.digest

    @property
    def tags(self) -> list[dict[str, str]]:
        """The tags of a run and of a version, as MLflow takes them."""
        values = {
            _DIGEST: self.digest,
            "model_digest": self.verified.manifest.model.digest,
            "gate": verdict_of(self.verified.manifest),
        }
        return [{"key": key, "value": value} for key, value in values.items()]


def export_to_mlflow(
    request: ExportRequest, environment: Mapping[str, str], *, progress: Callable[[str], None] | None = None
) -> Exported:
    """Verify an artifact, and send its run, its version, and the alias if its gate passed, as far as they are missing.

    Args:
        request: the artifact and the server.
        environment: the variables of MLflow: `MLFLOW_TRACKING_URI`, `…_USERNAME`, `…_PASSWORD`, `…_TOKEN` and
            `…_SERVER_CERT_PATH`.
        progress: called with each step, in a few words.

    Raises:
        ConfigError: the server, a name or the alias cannot be used.
        ArtifactRejected: the artifact is not what it claims to be.
        StorageError: the server cannot be reached, or refuses; a run that was begun is marked as failed, and the next
            export of this artifact completes it.
    """
    if request.alias is not None and not _ALIAS.fullmatch(request.alias):
        raise ConfigError(
            f"--alias: must be letters, digits, - and _, and neither latest nor v1, got {request.alias!r:.80}",
            hint="--alias champion",
        )
    if request.model is not None and not _MODEL_NAME.fullmatch(request.model):
        message = f"--model: must be letters, digits, spaces and . _ - @, got {request.model!r:.80}"
        raise ConfigError(message, hint="leave it away, and the name of the model is taken")
    with contextlib.closing(MlflowServer.at(request.tracking_uri, environment)) as server:
        verified = remote.verify(request.artifact, expect=request.expect, accept_failed_gate=True)
        name = verified.manifest.name
        state = _Export(
            server, verified, request.experiment or name, request.model or name, progress or (lambda _: None)
        )
        return _export(state, request.alias)


def _export(state: _Export, alias: str | None) -> Exported:
    experiment, root = _experiment(state)
    runs = _runs(state, experiment)
    finished = [each for each in runs if each["info"].get("status") == "FINISHED"]
    run = next(iter(finished or runs), None) or _new_run(state, experiment)
    is_done = bool(finished)
    identifier = _identifier(run["info"].get("run_id"))
    try:
        if not is_done:
            if run["info"].get("status") != "RUNNING":
                state.server.set("runs/update", {"run_id": identifier, "status": "RUNNING"})
            # By the time when it began, so that a second try writes the same metrics.
            begun = int(run["info"].get("start_time", 0))
            files = f"{root}/{identifier}/artifacts"
            state.notes += fill(
                state.server, state.verified, run=identifier, files=files, begun=begun, progress=state.progress
            )
        version, owner = _version(state, identifier, run)
        if owner != identifier and owner in {each["info"].get("run_id") for each in _runs(state, experiment)}:
            # Another export of the same digest came first: its run and its version stay.
            state.server.set("runs/delete", {"run_id": identifier})
            identifier, is_done = owner, True
        moved = _move(state, alias, version)
        if not is_done:
            _close(state, identifier, "FINISHED")
    except BaseException:
        if not is_done:
            with contextlib.suppress(StorageError):
                _close(state, identifier, "FAILED")
        raise
    return Exported(
        outcome="already there" if is_done else "completed" if runs else "exported",
        artifact=state.digest,
        url=f"{state.server.url}/#/experiments/{experiment}/runs/{identifier}",
        run=identifier,
        experiment=state.experiment,
        model=state.model,
        version=version,
        alias=moved,
        notes=tuple(state.notes),
    )


def _experiment(state: _Export) -> tuple[str, str]:
    """The id of the experiment, made where there is none, and the path of its files at the server."""
    server, name = state.server, state.experiment
    found = server.get("experiments/get-by-name", missing=True, experiment_name=name)
    if found is None:
        server.create("experiments/create", {"name": name}, there=True)
        found = server.get("experiments/get-by-name", experiment_name=name)
    experiment = (found or {}).get("experiment", {})
    if experiment.get("lifecycle_stage") == "deleted":
        hint = "name another one by --experiment, or restore it in the server"
        raise StorageError(f"the experiment {name!r:.80} is deleted", hint=hint)
    return _identifier(experiment.get("experiment_id")), _root(state, str(experiment.get("artifact_location", "")))


def _root(state: _Export, location: str) -> str:
    """The path of an experiment's files, which must go through the server itself."""
    parts = urlsplit(location)
    hosts = {"", urlsplit(state.server.url).netloc}
    own = parts.scheme in {"mlflow-artifacts", "http", "https"} and parts.netloc in hosts
    prefix = "" if parts.scheme == "mlflow-artifacts" else "/api/2.0/mlflow-artifacts/artifacts"
    path = parts.path.removeprefix(prefix).strip("/")
    if not own or ".." in path.split("/") or not path:
        hint = "start the server with --artifacts-destination and --serve-artifacts, and name a new --experiment"
        raise StorageError(
            f"the experiment {state.experiment!r:.80} keeps its files at {location!r:.120}, and not with the server",
            hint=hint,
        )
    return path


def _runs(state: _Export, experiment: str) -> list[dict[str, Any]]:
    """The runs of this digest, the earliest first."""
    body = {
        "experiment_ids": [experiment],
        "filter": f"tags.{_DIGEST} = '{state.digest}'",
        "order_by": ["attributes.start_time ASC"],
        "max_results": 100,
    }
    return [each for each in state.server.search("runs/search", body).get("runs", []) if "info" in each]


def _new_run(state: _Export, experiment: str) -> dict[str, Any]:
    state.progress("making a run")
    source = {"mlflow.source.name": "artifact-pipeline export", "mlflow.source.type": "JOB"}
    statement = provenance.Statement.of(state.verified)
    commit = statement.source.digest.get("gitCommit") if statement is not None and statement.source else None
    if commit is not None and re.fullmatch(r"[0-9a-f]{40,64}", commit):
        source["mlflow.source.git.commit"] = commit
    body = {
        "experiment_id": experiment,
        "run_name": f"{state.verified.manifest.name} {state.digest[7:19]}",
        "start_time": int(time.time() * 1000),
        "tags": [*state.tags, *({"key": key, "value": value} for key, value in source.items())],
    }
    made = state.server.create("runs/create", body) or {}
    run: dict[str, Any] = made.get("run", {})
    if "info" not in run:
        raise StorageError(f"{state.server.url} made a run and does not say which", hint="the server's log says more")
    return run


def _close(state: _Export, run: str, status: Literal["FINISHED", "FAILED"]) -> None:
    state.server.set("runs/update", {"run_id": run, "status": status, "end_time": int(time.time() * 1000)})


def _version(state: _Export, run: str, whole: dict[str, Any]) -> tuple[str, str]:
    """The version of this digest, made where there is none, and the run that it comes from."""
    server = state.server
    there = _versions(state)
    if not there:
        state.progress("registering")
        if server.get("registered-models/get", missing=True, name=state.model) is None:
            server.create("registered-models/create", {"name": state.model}, there=True)
        source = f"{str(whole['info'].get('artifact_uri', '')).rstrip('/')}/model"
        body = {"name": state.model, "source": source, "run_id": run, "tags": state.tags}
        made = (server.create("model-versions/create", body) or {}).get("model_version", {})
        there = _versions(state)
        number = str(made.get("version", ""))
        if there and there[0]["version"] != number and number in {each["version"] for each in there}:
            server.delete("model-versions/delete", {"name": state.model, "version": number})
    if not there:
        raise StorageError(f"{server.url} does not list the version that it made", hint="the server's log says more")
    return there[0]["version"], there[0].get("run_id", "")


def _versions(state: _Export) -> list[dict[str, str]]:
    """The versions of this digest, the lowest number first."""
    found = state.server.get(
        "model-versions/search", filter=f"name='{state.model}' and tags.{_DIGEST} = '{state.digest}'"
    )
    listed = (found or {}).get("model_versions", [])
    return sorted(
        (each for each in listed if str(each.get("version", "")).isdecimal()), key=lambda each: int(each["version"])
    )


def _move(state: _Export, alias: str | None, version: str) -> str | None:
    """Let the alias lead to the version, unless the gate failed; None where it does not."""
    if alias is None:
        return None
    if verdict_of(state.verified.manifest) != "passed":
        state.notes.append(f"the gate did not pass: the alias {alias} stays where it is")
        return None
    state.server.set("registered-models/alias", {"name": state.model, "alias": alias, "version": version})
    return alias


def _identifier(value: object) -> str:
    """An id of the server, as it may stand in a path; anything else is refused."""
    if not isinstance(value, str) or not _IDENTIFIER.fullmatch(value):
        raise StorageError(f"the server names a run or an experiment {value!r:.80}", hint="the server's log says more")
    return quote(value)
