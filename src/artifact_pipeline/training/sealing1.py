"""A fitted logistic regression over numbers becomes an artifact of format 1, in memory."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Literal

from artifact_pipeline.artifact import manifest1 as m
from artifact_pipeline.artifact import reference, selftest
from artifact_pipeline.artifact.environment import Environment
from artifact_pipeline.artifact.figures import Metrics
from artifact_pipeline.canonical import digest
from artifact_pipeline.config import recipe
from artifact_pipeline.training.sealed import ROLES, Candidate, data_record, export_records, file_records, read_back

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sklearn.linear_model import LogisticRegression

    from artifact_pipeline.config import Config
    from artifact_pipeline.model.predictor import Answers
    from artifact_pipeline.training.dataset import Dataset
    from artifact_pipeline.training.fit import Fitted


def seal(config: Config, data: Dataset, fitted: Fitted) -> Candidate:
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
        data=data_record(data, split),
        model=_model(fitted, data, parity, dtype=dtype, model=model),
        environment=Environment.here(),
        metrics=metrics,
        gate=measure.judge(metrics.held_out, config.gate, model=digest(model), held_out=digest(split)),
        files=file_records(members),
        exports=export_records(export),
    )
    return Candidate(read_back(manifest), named, export, repeated=data.repeated)


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
