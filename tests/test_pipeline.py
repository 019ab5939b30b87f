from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from sklearn import metrics as theirs
from sklearn.linear_model import LogisticRegression

from artifact_pipeline.artifact.parts import MAX_MANIFEST_BYTES
from artifact_pipeline.config import from_mapping, recipe
from artifact_pipeline.documented import load_model
from artifact_pipeline.errors import ArtifactRejected, DataRejected, GateFailed, StorageError
from artifact_pipeline.model import writer
from artifact_pipeline.model.predictor import predictor_of
from artifact_pipeline.prediction.run import PredictionRequest, predict
from artifact_pipeline.training import candidate as candidates
from artifact_pipeline.training.dataset import Dataset
from artifact_pipeline.training.publication import check_places, publish
from artifact_pipeline.verification import verify
from tables import blobs, write_table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from artifact_pipeline.config import Config
    from artifact_pipeline.training.sealed import Candidate


def config(**changed: Any) -> Config:
    return from_mapping({"C": 1.0, "solver": "lbfgs", "max_iter": 1000, **changed})


def of_table(path: Path, target: str = "label", **changed: Any) -> Config:
    """A random split and unscaled columns, so that the export is a `LogisticRegression` alone."""
    usual = {"split": {"by": "random"}, "preprocess": "none"}
    return config(name="table", dataset={"path": str(path), "target": target}, **{**usual, **changed})


def train(config: Config) -> Candidate:
    return candidates.train(config, progress=lambda _: None)


def tree(folder: Path) -> dict[str, object]:
    """All that stands in a folder: each file's bytes, each link's target."""
    return {
        path.relative_to(folder).as_posix(): path.readlink() if path.is_symlink() else path.read_bytes()
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


# The documented config


def test_documented_figures(candidate: Candidate) -> None:
    """Held out: accuracy 0.9750, weighted F1 0.9751; all rows: 0.9950 and 0.9950; training rows: 1."""
    metrics = candidate.manifest.metrics
    assert (metrics.held_out.rows, metrics.training.rows, metrics.all.rows) == (360, 1437, 1797)
    assert metrics.held_out.accuracy.value == 0.975
    assert f"{metrics.held_out.f1_weighted.value:.4f}" == "0.9751"
    assert f"{metrics.held_out.f1_macro:.4f}" == "0.9765"
    assert f"{metrics.all.accuracy:.4f} {metrics.all.f1_weighted:.4f}" == "0.9950 0.9950"
    assert (metrics.training.accuracy, metrics.training.f1_weighted) == (1.0, 1.0)


def test_figures_are_those_of_the_estimator(candidate: Candidate, published: Path) -> None:
    """Each figure is, to its six decimals, what scikit-learn computes from the exported estimator."""
    estimator = load_model(published / "model_train.pkl")
    data = Dataset.load(config())
    metrics = candidate.manifest.metrics
    told = [metrics.held_out, metrics.training, metrics.all]
    for figures, rows in zip(told, [data.held_out, data.train, slice(None)], strict=True):
        actual, predicted = data.y[rows], estimator.predict(data.X[rows])
        f1 = {average: theirs.f1_score(actual, predicted, average=average) for average in ("weighted", "macro")}
        accuracy, f1_weighted = figures.accuracy, figures.f1_weighted
        if rows is data.held_out:
            accuracy, f1_weighted = accuracy.value, f1_weighted.value
            assert metrics.confusion == tuple(map(tuple, theirs.confusion_matrix(actual, predicted).tolist()))
        assert accuracy == round(theirs.accuracy_score(actual, predicted), 6)
        assert f1_weighted == round(f1["weighted"], 6)
        assert figures.f1_macro == round(f1["macro"], 6)
        assert figures.log_loss == round(theirs.log_loss(actual, estimator.predict_proba(data.X[rows])), 6)


def test_manifest_says_what_was_trained(candidate: Candidate) -> None:
    """The manifest holds the resolved recipe without a path, the split's counts, and a fit that converged."""
    manifest = candidate.manifest
    assert manifest.recipe == recipe(config())
    assert (manifest.data.rows, manifest.data.split.held_out, manifest.data.split.training) == (1797, 360, 1437)
    assert manifest.model.converged
    assert manifest.model.dtype == "float64"
    assert manifest.model.parity.ties == 0
    assert manifest.model.classes == tuple(range(10))
    assert candidate.passed


def test_progress_is_told() -> None:
    """Each stage is told as it begins."""
    told: list[str] = []
    candidates.train(config(test_size=0.8), progress=told.append)
    assert told == ["loading rows", "training on 359 rows", "measuring the model that is published"]


def test_one_recipe_is_one_artifact(candidate: Candidate) -> None:
    """Numbers that are equal are one recipe: `C: 1` and `C: 1.0` give one digest."""
    assert train(config(C=1)).digest == candidate.digest


@pytest.mark.parametrize("changed", [{"name": "other"}, {"C": 0.5}, {"gate": {"min_f1": 0.5}}, {"stratify": True}])
def test_another_recipe_is_another_artifact(candidate: Candidate, changed: dict[str, Any]) -> None:
    """Whatever is changed in the recipe is another digest."""
    assert train(config(**changed)).digest != candidate.digest


# The model's input


def test_large_columns_keep_their_labels(tmp_path: Path) -> None:
    """Times near 1.7e9 seconds, which float32 would blur, are answered as scikit-learn answers them, on every row."""
    random = np.random.default_rng(3)
    begin, lasted = 1_700_000_000 + random.integers(-300, 300, 2000), random.integers(0, 600, 2000)
    columns = {"begin": begin, "end": begin + lasted, "label": (lasted > 300).astype(int)}
    asked = of_table(write_table(tmp_path / "rows.parquet", columns))
    candidate = train(asked)
    data = Dataset.load(asked)
    (tmp_path / "model_train.pkl").write_bytes(candidate.export)
    estimator = load_model(tmp_path / "model_train.pkl")
    answers = predictor_of(candidate.manifest, candidate.members).predict(data.X)
    assert candidate.manifest.model.dtype == "float64"
    assert candidate.manifest.metrics.held_out.accuracy.value > 0.99
    assert np.array_equal(answers.labels, estimator.predict(data.X))
    # Not for nothing: in float32 they would be other labels.
    blurred = data.X.astype(np.float32).astype(np.float64)
    assert (estimator.predict(blurred) != estimator.predict(data.X)).sum() > 50


# Tables, from end to end


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
@pytest.mark.parametrize(
    "labels",
    [[0, 1], [-7, 3, 10], ["no", "yes"], ['ä, "ö"', "b c", "日本"]],
    ids=["binary", "whole numbers", "binary text", "text"],
)
def test_a_table_from_end_to_end(tmp_path: Path, labels: list[int | str], suffix: str) -> None:
    """A table is trained on, published, verified and predicted with its own labels; its rows are recognised."""
    columns = blobs(labels)
    path = write_table(tmp_path / f"rows.{suffix}", columns)
    candidate = train(of_table(path, target="label"))
    publish(candidate, artifact=tmp_path / "artifact", export=tmp_path / "model.pkl")
    verified = verify(tmp_path / "artifact", expect=candidate.digest)
    predictions = predict(PredictionRequest(verified, (str(path),), str(tmp_path / "out.parquet")))
    estimator = load_model(tmp_path / "model.pkl")

    assert [each.label for each in predictions.receipt.labels] == sorted(labels)
    X = np.stack([columns["width"], columns["height"]], axis=1)
    told = parquet.read_table(tmp_path / "out.parquet")["predicted"].to_pylist()
    assert told == estimator.predict(X).tolist()
    assert predictions.scores["all"].accuracy > 0.95
    assert {predictions.split_of(row) for row in range(200)} == {"held-out", "training"}
    assert "rows" not in str(verified.manifest.recipe["dataset"])


def test_a_table_is_one_artifact_in_either_format_and_any_place(tmp_path: Path) -> None:
    """The same rows as CSV here and as Parquet there are one artifact: no path and no format is in it."""
    (tmp_path / "elsewhere").mkdir()
    places = [tmp_path / "rows.csv", tmp_path / "elsewhere" / "others.parquet"]
    digests = {train(of_table(write_table(path, blobs(["no", "yes"])))).digest for path in places}
    assert len(digests) == 1


@pytest.mark.slow
def test_a_model_too_wide_to_be_described_is_refused(tmp_path: Path) -> None:
    """More columns than a manifest can hold are refused, before anything is written that nobody could verify."""
    random = np.random.default_rng(0)
    columns = {f"{index:0250d}": random.integers(0, 3, 20) for index in range(3200)}
    path = write_table(tmp_path / "rows.parquet", {**columns, "label": [0, 1] * 10})
    with pytest.raises(DataRejected) as caught:
        train(of_table(path, gate={"min_accuracy": 0, "min_f1": 0}))
    assert caught.value.rules == {"manifest-too-large"}
    assert f"{MAX_MANIFEST_BYTES:,}" in str(caught.value)


# Parity


@pytest.mark.parametrize("weight", [1e-3, -1.0, 100.0])
def test_another_model_than_the_trained_one_is_not_published(monkeypatch: pytest.MonkeyPatch, weight: float) -> None:
    """Where the writer writes one other weight, the candidate is refused, though the labels may all be equal."""

    def write_another(model: Any, *others: Any, **more: Any) -> Any:
        other = copy.deepcopy(model)
        other.coef_[3, 20] += weight
        return write(other, *others, **more)

    write = writer.write
    monkeypatch.setattr(writer, "write", write_another)
    with pytest.raises(ArtifactRejected) as caught:
        train(config())
    assert caught.value.rules == {"parity"}
    assert (" 0 of 1797 labels differ" in str(caught.value)) == (weight == 1e-3)


# The gate


def test_a_failed_gate_changes_nothing_but_the_store(
    published: Path, candidate: Candidate, run: Callable[..., Any]
) -> None:
    """A failed gate ends with status 3, pointer and export stay, and the candidate can be looked at in the store."""
    before = tree(published)
    failing = train(config(C=2.0, gate={"min_accuracy": 0.99, "min_f1": 0.5}))
    with pytest.raises(GateFailed) as caught:
        publish(failing, artifact=published / "artifact", export=published / "model_train.pkl")
    assert caught.value.exit_status == 3
    assert caught.value.rules == {"gate-accuracy"}
    assert "accuracy 0.975 is below 0.99" in str(caught.value)

    after = tree(published)
    added = after.keys() - before.keys()
    assert {name: after[name] for name in before} == before
    folder = f"artifacts/{failing.digest.removeprefix('sha256:')}"
    assert added == {f"{folder}/{name}" for name in ("manifest.json", *failing.members)}
    assert folder in caught.value.hint
    assert verify(published / "artifact").digest == candidate.digest

    seen = run("-m", "artifact_pipeline", "inspect", published / folder, cwd=published)
    assert seen.returncode == 0, seen.stderr
    assert failing.digest in seen.stdout
    assert "0.99" in seen.stdout


def test_a_failed_gate_on_a_first_training_leaves_no_pointer(tmp_path: Path) -> None:
    """Where nothing stood before a failed gate, nothing is in charge after it."""
    failing = train(config(test_size=0.8, gate={"min_f1": 1.0}))
    with pytest.raises(GateFailed) as caught:
        publish(failing, artifact=tmp_path / "artifact", export=tmp_path / "model_train.pkl")
    assert caught.value.rules == {"gate-accuracy", "gate-f1_weighted"}
    assert not (tmp_path / "artifact").is_symlink()
    assert not (tmp_path / "model_train.pkl").exists()


# What is published


def test_publishing_writes_the_candidate(published: Path, candidate: Candidate) -> None:
    """What is published is the candidate, byte for byte, and the export is a fitted `LogisticRegression`."""
    verified = verify(published / "artifact", expect=candidate.digest)
    assert verified.manifest == candidate.manifest
    assert verified.members == candidate.members
    assert (published / "model_train.pkl").read_bytes() == candidate.export
    assert type(load_model(published / "model_train.pkl")) is LogisticRegression


def test_places_are_checked_before_a_training(tmp_path: Path) -> None:
    """A place that could not be written is refused before the training."""
    fine = {"artifact": tmp_path / "artifact", "export": tmp_path / "model_train.pkl"}
    check_places(**fine)
    (tmp_path / "folder").mkdir()
    for name in fine:
        for place in (tmp_path / "folder", tmp_path / "missing" / "file"):
            with pytest.raises(StorageError):
                check_places(**{**fine, name: place})


def test_labels_of_a_table_may_be_of_any_integer_type(tmp_path: Path) -> None:
    """Labels of a small integer type give the artifact that int64 gives."""
    columns = blobs([3, 5])
    digests = set()
    for kind in (pa.int64(), pa.uint8()):
        path = write_table(tmp_path / "rows.parquet", {**columns, "label": pa.array(columns["label"], kind)})
        digests.add(train(of_table(path)).digest)
    assert len(digests) == 1
