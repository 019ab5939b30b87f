"""Train, prove and use a classifier from Python: the names that `artifact_pipeline` exports.

Each function does what the verb of its name does, prints nothing, and raises a `PipelineError` where the verb ends
with another status than 0. The examples run in a folder that holds the documented `artifact`.
"""

from __future__ import annotations

from contextlib import nullcontext
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING

from artifact_pipeline.artifact import ARTIFACT
from artifact_pipeline.extras import naming_extras
from artifact_pipeline.prediction.model import Model
from artifact_pipeline.registry import remote
from artifact_pipeline.runtime import pin_numerics
from artifact_pipeline.storage import places as storage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Unpack

    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.artifact.manifest1 import Metric
    from artifact_pipeline.artifact.provenance import Comparison
    from artifact_pipeline.artifact.store import Run
    from artifact_pipeline.prediction.labels import Evaluation
    from artifact_pipeline.prediction.outcome import Predictions
    from artifact_pipeline.prediction.run import PredictionOptions
    from artifact_pipeline.training import trained_from
    from artifact_pipeline.training.reproduction import Reproduction
    from artifact_pipeline.training.request import Training, TrainingOptions
    from artifact_pipeline.training.signing import Signing
    from artifact_pipeline.trust.policy import Trust

    Place = str | PathLike[str]


@naming_extras
def train(
    config: Place | Mapping[str, object],
    *,
    artifact: Place = ARTIFACT,
    export: Place | None = None,
    champion: Place | None = None,
    force: bool = False,
    progress: Callable[[str], None] | None = None,
    **options: Unpack[TrainingOptions],
) -> Training:
    """Train from a config, measure, judge and publish; nothing is trained where nothing has changed.

    The digest is that of `artifact-pipeline train`, unless NumPy was loaded before with another BLAS kernel or more
    threads: import `artifact_pipeline` and call this before NumPy, or set the variables of docs/proof.md.

    Args:
        config: a config file, or a mapping with the same keys, whose relative paths start at the working folder.
        artifact: where the pointer is written; the store is `artifacts/` beside it.
        export: where the pickle for Python users is written; None writes none, and leaves what stands there.
        champion: the artifact that the model must not be worse than, here or in a registry; None: as the config says.
        force: train although nothing has changed.
        progress: is called with each step, in a few words.
        **options: `jobs`, and for a search `minutes` and `scheduler`; `champion_expect`, the champion's digest.

    Raises:
        ConfigError: the config breaks a rule; `problems` names each one.
        GateFailed: the gate failed; `result` is the `Training`, and the candidate is kept in the store.
        ArtifactRejected: the champion is not what it claims to be, or cannot be compared with.
        DataRejected: the rows cannot be read, split or learned.
        StorageError: the artifact cannot be written; what stood before still stands.

    Examples:
        >>> training = train({"C": 1.0, "solver": "lbfgs", "max_iter": 1000})
        >>> training.outcome, training.manifest.metrics.held_out.accuracy.value
        ('passed', 0.975)
    """
    from artifact_pipeline.training.request import SILENT, Observer, TrainingRequest
    from artifact_pipeline.training.run import run

    pin_numerics()
    source = Path(config) if isinstance(config, str | PathLike) else config
    rival = None if champion is None else storage.artifact_place(champion)
    request = TrainingRequest(source, Path(artifact), _path(export), champion=rival, force=force, **options)
    return run(request, SILENT if progress is None else Observer(progress=lambda: nullcontext(progress)))


@naming_extras
def open_artifact(
    path: Place = ARTIFACT,
    *,
    expect: str | None = None,
    trust: Trust | Place | None = None,
    accept_failed_gate: bool = False,
) -> Model:
    """Verify an artifact, answer its golden rows again, and give the model.

    Args:
        path: a pointer, an artifact's folder, or a place in a registry, `oci://HOST/NAME:TAG` (extra `registry`).
        expect: the artifact digest known from elsewhere; anything else is refused unread.
        trust: the consumer's policy, a file; anything that it does not trust is refused.
        accept_failed_gate: use a model whose gate is missing or failed, unless the policy insists on it.

    Raises:
        ArtifactRejected: there is none, or it is not what it claims to be, or it is not trusted.
        ConfigError: `expect` is no digest, or the policy cannot be used.

    Examples:
        >>> open_artifact("artifact").metrics.held_out.rows
        360
    """
    place, policy = storage.artifact_place(path), _trust(trust, expected=expect is not None)
    return Model(remote.verify(place, expect=expect, accept_failed_gate=accept_failed_gate, trust=policy))


@naming_extras
def predict_files(
    inputs: Place | Sequence[Place] = (),
    *,
    artifact: Model | Place = ARTIFACT,
    to: Place = "predictions.csv",
    keep: str | Sequence[str] = (),
    **options: Unpack[PredictionOptions],
) -> Predictions:
    """Answer files of any size into a file, or into a folder of parts; a receipt beside it says what came of it.

    Args:
        inputs: files, folders, patterns or URLs; none for the built-in data set that has the model's columns.
        artifact: a model; or a pointer, a folder or a place in a registry, which is verified first.
        to: a .csv, .parquet or .jsonl file, or a folder of parts, with a slash at its end.
        keep: columns of the input that are carried through.
        **options: `on_error` ("stop" or "quarantine"), `out_of_range` ("warn", "reject" or "ignore"), `drift`,
            `fail_on_drift`, `resume`, and for a cluster `workers` or `scheduler`; `PredictionOptions` describes them.

    Raises:
        ArtifactRejected: the artifact is not what it claims to be.
        ConfigError: an output is an input, a kept column cannot be written, or a cluster is to write a single file.
        DataRejected: the rows cannot be read, or one is bad.
        DriftFound: the rows have drifted, and `fail_on_drift` is true; `result` is the `Predictions`.
        StorageError: a file cannot be written; what stood before still stands.

    Examples:
        >>> predict_files(to="predictions.csv", out_of_range="reject", drift=False).receipt.rows.written
        1797
    """
    from artifact_pipeline.prediction.run import PredictionRequest, predict

    model = artifact.artifact if isinstance(artifact, Model) else storage.artifact_place(artifact)
    kept = (keep,) if isinstance(keep, str) else tuple(keep)
    return predict(PredictionRequest(model, storage.file_places(inputs), fspath(to), keep=kept, **options))


@naming_extras
def evaluate(
    predictions: Place,
    labels: Place,
    *,
    key: str | Sequence[str] = "row",
    label: str | None = None,
    min_accuracy: float | None = None,
    min_f1: float | None = None,
) -> Evaluation:
    r"""Score predictions by labels that came later.

    Args:
        predictions: what `predict_files` wrote: a file or a folder of parts.
        labels: a CSV, Parquet or JSON Lines file with the key's columns and one of labels.
        key: the columns, in both, that say which prediction a label belongs to.
        label: the label's column; None takes the only one that is no key.
        min_accuracy: the least accuracy, 0 to 1; None asks for none.
        min_f1: the least weighted F1, 0 to 1; None asks for none.

    Raises:
        ConfigError: the keys, the label or a minimum cannot be used.
        DataRejected: a file cannot be read, a key stands twice, a label is missing or unknown, or nothing matches.
        GateFailed: a figure is below its minimum; `result` is the `Evaluation`.

    Examples:
        >>> _ = predict_files(to="predictions.csv")
        >>> _ = Path("labels.csv").write_text("row,label\n0,0\n1,1\n2,9\n")
        >>> evaluate("predictions.csv", "labels.csv", min_accuracy=0.5).figures.rows
        3
    """
    from artifact_pipeline.prediction import evaluation as e

    keys = (key,) if isinstance(key, str) else tuple(key)
    minimums: dict[Metric, float | None] = {"accuracy": min_accuracy, "f1_weighted": min_f1}
    return e.evaluate(e.EvaluationRequest(fspath(predictions), fspath(labels), keys, label, minimums))


@naming_extras
def reproduce(
    artifact: Place = ARTIFACT,
    *,
    champion: Place | None = None,
    expect: str | None = None,
    progress: Callable[[str], None] | None = None,
    **files: Unpack[trained_from.TrainingFiles],
) -> Reproduction:
    """Train an artifact again from its manifest, and grade what comes back; nothing is written.

    Args:
        artifact: a pointer, an artifact's folder, or a place in a registry; its gate may have failed.
        champion: the model to compare with once more.
        expect: the artifact digest known from elsewhere; anything else is refused unread.
        progress: is called with each step, in a few words.
        **files: what no manifest holds, where there was one: `data`, the table; `held_out` and `feedback`, the files.

    Raises:
        ArtifactRejected: it is not what it claims to be, or has a recipe that this version cannot train.
        ConfigError: a file that is needed is not named, or one is named that is not.
        DataRejected: the rows cannot be read, split or learned.

    Examples:
        >>> reproduce("artifact").reaches("predictions")
        True
    """
    from artifact_pipeline.training import reproduction

    pin_numerics()
    request = reproduction.ReproductionRequest(
        storage.artifact_place(artifact),
        _path(files.get("data")),
        _path(files.get("held_out")),
        champion=None if champion is None else storage.artifact_place(champion),
        expect=expect,
        feedback=storage.file_places(files.get("feedback", ())),
    )
    return reproduction.reproduce(request, progress=progress)


@naming_extras
def compare(
    candidate: Place,
    champion: Place,
    *,
    data: Place | None = None,
    held_out: Place | None = None,
    margin: float = 0.02,
) -> Comparison:
    """Compare two artifacts on the rows that both held out; nothing is trained, and nothing is put in charge.

    Args:
        candidate: a pointer, an artifact's folder, or a place in a registry; its gate may have failed.
        champion: likewise.
        data: the table that both were trained from; None for a built-in data set.
        held_out: the held-out file of both, where they have one.
        margin: by how much the candidate may be worse, 0 to 1.

    Raises:
        ArtifactRejected: one is not what it claims to be, or they are not about the same rows and split.
        ConfigError: the margin is not from 0 to 1, or a file that is needed is not named.
        DataRejected: the rows cannot be read, or are others.

    Examples:
        >>> compare("artifact", "artifact").outcome
        'identical'
    """
    from artifact_pipeline.training import champion as comparing

    both = [storage.artifact_place(each) for each in (candidate, champion)]
    return comparing.compare(both, data=_path(data), held_out=_path(held_out), margin=margin)[1][0]


@naming_extras
def sign(
    artifact: Place = ARTIFACT,
    *,
    private_key: Place,
    password: bytes | None = None,
    signature: Place | None = None,
    expect: str | None = None,
) -> Signing:
    """Verify an artifact, and sign it beside its folder, its provenance too; needs the extra `sign`.

    Args:
        artifact: a pointer, or an artifact's folder.
        private_key: a key on P-256, P-384 or P-521 in PEM.
        password: what unlocks the key.
        signature: where the signature goes; None puts it beside the artifact's folder.
        expect: the artifact digest known from elsewhere; anything else is refused unread.

    Raises:
        ArtifactRejected: it is not what it claims to be.
        ConfigError: the key cannot be used, or the signature would be written over something that is read.
        StorageError: the signature cannot be written.

    Examples:
        >>> sign("artifact", private_key="key.pem").files
        5
    """
    from artifact_pipeline.training.signing import Signer

    signer = Signer(private_key=Path(private_key), password=password)
    return signer.sign(Path(artifact), signature=_path(signature), expect=expect)


def runs(artifact: Place = ARTIFACT) -> list[Run]:
    """List the artifacts of the store, the latest training first; they are read, not verified.

    Args:
        artifact: the pointer; the store is `artifacts/` beside it.

    Raises:
        ArtifactRejected: the store cannot be read.

    Examples:
        >>> [run.current for run in runs("artifact")]
        [True]
    """
    from artifact_pipeline.artifact.store import Store

    return Store(Path(artifact)).runs()


@naming_extras
def rollback(artifact: Place = ARTIFACT, *, to: str | None = None, trust: Trust | Place | None = None) -> Verified:
    """Let the pointer lead to an earlier artifact of the store, verified and with a gate that passed.

    Args:
        artifact: the pointer.
        to: the artifact digest, or its first digits; None for the latest one that passed before the one in charge, of
            the same name.
        trust: the consumer's policy, a file; anything that it does not trust is not put in charge.

    Raises:
        ArtifactRejected: there is none, its gate failed, it is not what it claims to be, or it is not trusted.
        StorageError: the pointer cannot be written.

    Examples:
        >>> first = open_artifact("artifact").digest
        >>> _ = train({"C": 0.5, "solver": "lbfgs", "max_iter": 1000})
        >>> rollback("artifact").digest == first
        True
    """
    from artifact_pipeline.training import publication

    return publication.rollback(Path(artifact), to=to, trust=_trust(trust))


def _trust(trust: Trust | Place | None, *, expected: bool = False) -> Trust | None:
    if not isinstance(trust, str | PathLike):
        return trust
    from artifact_pipeline.trust.policy import Trust

    return Trust.load(policy=Path(trust), expected=expected)


def _path(place: Place | None) -> Path | None:
    return None if place is None else Path(place)
