"""A training's computation: config and rows become every byte of an artifact, in memory.

`train` touches nothing outside this process; `publication.publish` writes.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from artifact_pipeline.artifact import manifest1 as m
from artifact_pipeline.artifact import reference, selftest
from artifact_pipeline.artifact.environment import Environment
from artifact_pipeline.artifact.figures import Metrics
from artifact_pipeline.artifact.manifest import Manifest, parse_manifest
from artifact_pipeline.artifact.parts import MAX_MANIFEST_BYTES, NAME
from artifact_pipeline.canonical import digest
from artifact_pipeline.config import recipe
from artifact_pipeline.errors import DataRejected, Problem, plural
from artifact_pipeline.rows.matrix import DIGEST_ALGORITHM
from artifact_pipeline.training.dataset import Dataset

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray
    from sklearn.linear_model import LogisticRegression

    from artifact_pipeline.config import Config
    from artifact_pipeline.model.predictor import Answers
    from artifact_pipeline.training.fit import Fitted, Scales

ROLES = {
    "model": "model.onnx",
    "parameters": "parameters.npz",
    "reference": "reference.json",
    "selftest": "selftest.json",
    "split": "split.bin",
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A trained, measured and judged model, not yet written anywhere.

    Attributes:
        manifest: the artifact's manifest.
        members: the bytes of each listed file, by name.
        export: the bytes of `model_train.pkl`.
        scales: the two columns that may have kept the solver from converging; None where it converged, or their scales
            are alike.
        repeated: how many held-out rows have the very features of a training row.
    """

    manifest: Manifest
    members: dict[str, bytes]
    export: bytes
    scales: Scales | None = None
    repeated: int = 0

    @property
    def digest(self) -> str:
        """The artifact digest."""
        return digest(self.manifest.canonical())

    @property
    def passed(self) -> bool:
        """Whether the gate passed."""
        return self.manifest.gate is not None and self.manifest.gate.verdict == "passed"


def train(config: Config, data: Dataset | None = None, *, progress: Callable[[str], None]) -> Candidate:
    """Train, measure and judge.

    Args:
        config: the resolved config.
        data: the rows and their split; None loads those that the config names.
        progress: is called with each step, in a few words.

    Raises:
        ConfigError: the solver cannot learn so many classes, or the config names a label that the rows do not have.
        DataRejected: the rows cannot be read, split or learned.
        ArtifactRejected: the model that would be published is not the one that was trained.
    """
    import numpy as np

    from artifact_pipeline.config.problems import by_label
    from artifact_pipeline.training.fit import Scales, fit

    if data is None:
        progress("loading rows")
        data = Dataset.load(config)
    if isinstance(config.gate.min_recall, dict):
        by_label("gate.min_recall", config.gate.min_recall, np.unique(data.y).tolist())
    progress(f"training on {plural(len(data.train), 'row')}")
    fitted = fit(data.X[data.train], data.y[data.train], config)
    progress("measuring the model that is published")
    candidate = _seal(config, data, fitted)
    return (
        candidate
        if fitted.converged
        else replace(candidate, scales=Scales.furthest(data.X[data.train], data.rows.names))
    )


def _seal(config: Config, data: Dataset, fitted: Fitted) -> Candidate:
    """Write the model, and measure and describe the bytes that are written."""
    import numpy as np

    from artifact_pipeline.model.linear import linear_classifier
    from artifact_pipeline.model.predictor import Predictor
    from artifact_pipeline.pickles import export_bytes
    from artifact_pipeline.training import measure

    estimator = fitted.estimator
    classes = estimator.classes_.tolist()
    dtype = input_dtype(data.X)
    model = linear_classifier(estimator.coef_, fitted.intercepts, estimator.classes_, dtype=dtype, name=config.name)
    predictor = Predictor(model, classes)
    answers = predictor.predict(data.X)
    estimated = np.searchsorted(estimator.classes_, estimator.predict(data.X)), estimator.predict_proba(data.X)
    parity = measure.check_parity((answers.positions, answers.values), estimated)
    actual = np.searchsorted(estimator.classes_, data.y)
    split = data.split_bits()
    features = tuple(map(reference.FeatureReference.of, data.X[data.train].T, data.rows.names))
    golden = selftest.draw_rows(features, dtype)
    golden_answers = predictor.predict(golden)
    held_out = answers.take(data.held_out)
    members = {
        "model": model,
        "parameters": _parameters(fitted),
        "reference": reference.Reference(
            format=1,
            rows=len(data.train),
            features=features,
            labels=tuple(np.bincount(actual[data.train], minlength=len(classes)).tolist()),
            outputs=reference.OutputReference.of(held_out.positions, len(classes), held_out.probabilities),
        ).canonical(),
        "selftest": selftest.SelfTest.of(golden, golden_answers.labels, golden_answers.values).canonical(),
        "split": split,
    }
    metrics = _metrics(data, actual, answers, classes)
    named = {ROLES[role]: content for role, content in members.items()}
    export = export_bytes(estimator)
    manifest = m.Manifest1(
        format=1,
        name=config.name,
        task="classification",
        recipe=recipe(config),
        data=_data(data, split),
        model=_model(fitted, data, parity, dtype=dtype, model=model),
        environment=Environment.here(),
        metrics=metrics,
        gate=measure.judge(metrics.held_out, config.gate, model=digest(model), held_out=digest(split)),
        files=tuple(
            m.Manifest1.File(name=ROLES[role], role=role, size=len(content), sha256=digest(content))
            for role, content in sorted(members.items())
        ),
        exports=(m.Manifest1.Export(format="pickle", size=len(export), sha256=digest(export)),),
    )
    return Candidate(read_back(manifest), named, export, repeated=data.repeated)


def read_back(manifest: Manifest) -> Manifest:
    """The manifest, parsed from its bytes: what a reader would refuse must not be published."""
    data = manifest.canonical()
    if len(data) > MAX_MANIFEST_BYTES:
        message = f"would have {len(data):,} bytes, allowed are {MAX_MANIFEST_BYTES:,}: too many columns or labels"
        raise DataRejected("the model cannot be described", problems=[Problem(NAME, "manifest-too-large", message)])
    return parse_manifest(data)


def input_dtype(X: NDArray[np.float64]) -> m.InputType:
    """Return `float32` only if it holds every value; columns near 1.7e9 lost their labels in it."""
    import numpy as np

    with np.errstate(over="ignore"):
        return "float32" if np.array_equal(X.astype(np.float32).astype(np.float64), X) else "float64"


def _parameters(fitted: Fitted) -> bytes:
    """`parameters.npz`: the fitted numbers in float64, for `reproduce`. NumPy dates its members 1980."""
    import numpy as np

    estimator, file = fitted.estimator, io.BytesIO()
    np.savez(
        file,
        coef=np.ascontiguousarray(estimator.coef_, dtype=np.float64),
        intercept=fitted.intercepts,
        classes=estimator.classes_,
        iterations=np.asarray(estimator.n_iter_, dtype=np.int64),
    )
    return file.getvalue()


def _data(data: Dataset, split: bytes) -> m.Data:
    rows, count = data.rows, len(data.y)
    source = m.Data.Source(name=rows.source, digest=rows.digest(), algorithm=DIGEST_ALGORITHM, rows=count)
    held_out = m.Data.Split(digest=digest(split), held_out=len(data.held_out), training=len(data.train))
    return m.Data(sources=(source,), target=rows.target, split=held_out)


def _model(
    fitted: Fitted, data: Dataset, parity: m.ModelRecord.Parity, *, dtype: m.InputType, model: bytes
) -> m.ModelRecord:
    estimator, classes = fitted.estimator, tuple(fitted.estimator.classes_.tolist())
    label_dtype: Literal["string", "int64"] = "string" if isinstance(classes[0], str) else "int64"
    return m.ModelRecord(
        digest=digest(model),
        estimator=f"sklearn.linear_model.{type(estimator).__name__}",
        parameters=_plain_parameters(estimator),
        iterations=fitted.iterations,
        converged=fitted.converged,
        inputs=tuple(
            m.ModelRecord.Input(name=name, kind=kind, missing=False)
            for name, kind in zip(data.rows.names, data.rows.all_kinds, strict=True)
        ),
        dtype=dtype,
        shape=(None, len(data.rows.names)),
        outputs=(
            m.ModelRecord.Tensor(name="label", dtype=label_dtype, shape=(None,)),
            m.ModelRecord.Tensor(name="probabilities", dtype="float64", shape=(None, len(classes))),
        ),
        classes=classes,
        parity=parity,
    )


def _plain_parameters(estimator: LogisticRegression) -> dict[str, Any]:
    """The constructor's parameters, the labels of `class_weight` as text."""
    found = {key: value for key, value in sorted(estimator.get_params().items()) if value != "deprecated"}
    if isinstance(found["class_weight"], dict):
        found["class_weight"] = {str(label): weight for label, weight in found["class_weight"].items()}
    return found


def _metrics(data: Dataset, actual: NDArray[np.int64], answers: Answers, classes: list[int] | list[str]) -> Metrics:
    def _of(rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        chosen = answers.take(rows)
        return actual[rows], chosen.positions, chosen.values

    import numpy as np

    from artifact_pipeline.training import measure

    return Metrics(
        held_out=measure.held_out_metrics(*_of(data.held_out), labels=classes),
        training=measure.plain_metrics(*_of(data.train)),
        all=measure.plain_metrics(*_of(np.arange(len(actual)))),
    )
