"""Artifacts of format 1, as the package wrote them until format 2: what its readers take for ever.

The writer stands here, beside the tests of the readers; the package has the readers alone.
"""

from __future__ import annotations

import io
import random
from typing import TYPE_CHECKING, Any

import numpy as np

from artifact_pipeline.artifact import manifest1 as m
from artifact_pipeline.artifact import reference
from artifact_pipeline.artifact.environment import Environment
from artifact_pipeline.artifact.figures import HeldOut, Metrics
from artifact_pipeline.artifact.gate import demands
from artifact_pipeline.artifact.parts import DECIMALS
from artifact_pipeline.artifact.selftest import ROWS, SEED, SelfTest, draw
from artifact_pipeline.canonical import digest
from artifact_pipeline.config import Gate, recipe
from artifact_pipeline.metrics import classification
from artifact_pipeline.model.predictor import Predictor
from artifact_pipeline.pickles import export_bytes
from artifact_pipeline.training.dataset import Dataset
from artifact_pipeline.training.estimators import build
from artifact_pipeline.training.fitting import fit_by_one_thread
from artifact_pipeline.training.sealed import FILE_NAMES, Candidate, data_record, export_records, read_back
from linear_writer import linear_classifier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from artifact_pipeline.config import Config

NAMES = {**FILE_NAMES, "parameters": "parameters.npz"}


def train(config: Config) -> Candidate:
    """Train a logistic regression over plain numbers, and describe it as format 1."""
    data = Dataset.load(config)
    estimator = build(config, np.unique(data.y).tolist())
    converged, _ = fit_by_one_thread(estimator, data.X[data.train], data.y[data.train])
    classes = estimator.classes_.tolist()
    dtype = "float32" if np.array_equal(data.X.astype(np.float32).astype(np.float64), data.X) else "float64"
    model = linear_classifier(estimator.coef_, estimator.intercept_, estimator.classes_, dtype=dtype, name=config.name)
    predictor = Predictor(model, classes)
    answers, actual = predictor.predict(data.X), np.searchsorted(estimator.classes_, data.y)
    difference = float(np.abs(answers.values - estimator.predict_proba(data.X)).max())
    held_out = answers.take(data.held_out)
    features = tuple(map(reference.FeatureReference.of, data.X[data.train].T, data.rows.names))
    golden = draw_rows(features, dtype)
    golden_answers = predictor.predict(golden)
    members = {
        "model": model,
        "parameters": parameters(estimator),
        "reference": reference.Reference(
            format=1,
            rows=len(data.train),
            features=features,
            labels=tuple(np.bincount(actual[data.train], minlength=len(classes)).tolist()),
            outputs=reference.OutputReference.of(held_out.positions, len(classes), held_out.probabilities),
        ).canonical(),
        "selftest": self_test(golden, golden_answers.labels, golden_answers.values).canonical(),
        "split": data.split_bits(),
    }
    figures = [
        (actual[rows], (chosen := answers.take(rows)).positions, chosen.values)
        for rows in (data.held_out, data.train, np.arange(len(actual)))
    ]
    metrics = Metrics(
        held_out=held_out_figures(*figures[0], classes),
        training=plain_figures(*figures[1]),
        all=plain_figures(*figures[2]),
    )
    asked = Gate.model_validate(config.gate)
    export = export_bytes(estimator)
    manifest = m.Manifest1(
        format=1,
        name=config.name,
        task="classification",
        recipe=recipe(config),
        data=data_record(data, members["split"]),
        model=m.ModelRecord(
            digest=digest(model),
            estimator="sklearn.linear_model.LogisticRegression",
            parameters={key: value for key, value in sorted(estimator.get_params().items()) if value != "deprecated"},
            iterations=int(np.max(estimator.n_iter_)),
            converged=converged,
            inputs=tuple(
                m.ModelRecord.Input(name=name, kind=kind, missing=False)
                for name, kind in zip(data.rows.names, data.rows.kinds, strict=True)
            ),
            dtype=dtype,
            shape=(None, len(data.rows.names)),
            outputs=(
                m.ModelRecord.Tensor(
                    name="label", dtype="string" if isinstance(classes[0], str) else "int64", shape=(None,)
                ),
                m.ModelRecord.Tensor(name="probabilities", dtype="float64", shape=(None, len(classes))),
            ),
            classes=tuple(classes),
            parity=m.ModelRecord.Parity(rows=len(actual), ties=0, max_probability_difference=round(difference, 6)),
        ),
        environment=Environment.here(),
        metrics=metrics,
        gate=judge(metrics.held_out, asked, model=digest(model), held_out=digest(members["split"])),
        files=tuple(
            m.Manifest1.File(name=NAMES[role], role=role, size=len(content), sha256=digest(content))
            for role, content in sorted(members.items())
        ),
        exports=export_records(export),
    )
    return Candidate(read_back(manifest), {NAMES[role]: content for role, content in members.items()}, export)


def parameters(estimator: Any) -> bytes:
    """`parameters.npz`: the fitted numbers in float64."""
    file = io.BytesIO()
    np.savez(
        file,
        coef=np.ascontiguousarray(estimator.coef_, dtype=np.float64),
        intercept=np.asarray(estimator.intercept_, dtype=np.float64),
        classes=estimator.classes_,
        iterations=np.asarray(estimator.n_iter_, dtype=np.int64),
    )
    return file.getvalue()


def draw_rows(features: Sequence[reference.FeatureReference], dtype: str) -> np.ndarray:
    """Draw the golden rows: float64 of shape (16, features), each value exact in the model's `dtype`.

    The generator is Python's, whose numbers are the same in every version (NumPy does not promise that).
    """
    generator = random.Random(SEED)
    rows = [[draw(feature, generator) for feature in features] for _ in range(ROWS)]
    return np.array(rows, dtype=dtype).astype(np.float64)


def self_test(rows: np.ndarray, labels: np.ndarray, probabilities: np.ndarray) -> SelfTest:
    """Record what the published model answers to the golden rows.

    A row whose two best classes are within a thousandth is left out: there another processor may rightly answer
    with the other one.
    """
    best = np.sort(probabilities, axis=1)
    clear = best[:, -1] - best[:, -2] > 1e-3
    if not clear.any():  # a model that knows nothing: keep all, they are still its answers
        clear[:] = True
    return SelfTest(
        format=1,
        rows=tuple(map(tuple, rows[clear].tolist())),
        labels=tuple(labels[clear].tolist()),
        probabilities=tuple(map(tuple, np.round(probabilities[clear], DECIMALS).tolist())),
    )


def held_out_figures(
    actual: np.ndarray, predicted: np.ndarray, probabilities: np.ndarray, labels: Sequence[int | str]
) -> HeldOut:
    """The figures with their intervals, of class positions and probabilities."""
    confusion = classification.confusion_matrix(actual, predicted, len(labels))
    return HeldOut.of(confusion, classification.log_loss(actual, probabilities), labels)


def plain_figures(actual: np.ndarray, predicted: np.ndarray, probabilities: np.ndarray) -> Metrics.Figures:
    """The figures without intervals."""
    confusion = classification.confusion_matrix(actual, predicted, probabilities.shape[1])
    return Metrics.Figures(
        rows=len(actual),
        accuracy=round(classification.accuracy(confusion), 6),
        f1_weighted=round(float(classification.weighted_f1(confusion)), 6),
        f1_macro=round(classification.macro_f1(confusion), 6),
        log_loss=round(classification.log_loss(actual, probabilities), 6),
    )


def judge(figures: HeldOut, asked: Gate, *, model: str, held_out: str) -> m.GateRecord:
    """The verdict on held-out figures."""
    rules = tuple(
        m.GateRecord.Rule(metric=metric, label=label, minimum=minimum, observed=observed, passed=observed >= minimum)
        for metric, label, minimum, observed in demands(asked.model_dump(), figures)
    )
    verdict = "passed" if all(rule.passed for rule in rules) else "failed"
    return m.GateRecord(rules=rules, verdict=verdict, model=model, held_out=held_out)
