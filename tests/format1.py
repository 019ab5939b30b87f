"""Artifacts of format 1, as this project wrote them until format 2: what its readers must take for ever.

The writer stands here, beside the tests of the readers; the package has only the readers.
"""

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
def held_out_metrics(
    actual: NDArray[np.int64],
    predicted: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    labels: Sequence[int | str],
) -> HeldOut:
    """Return the figures that the gate judges, with intervals, each rounded to six decimals.

    Args:
        actual: class positions of shape (rows,).
        predicted: class positions of shape (rows,).
        probabilities: float64 of shape (rows, classes).
        labels: the label at each position.
    """
    confusion = m.confusion_matrix(actual, predicted, len(labels))
    return HeldOut.of(confusion, m.log_loss(actual, probabilities), labels)


def plain_metrics(
    actual: NDArray[np.int64], predicted: NDArray[np.int64], probabilities: NDArray[np.float64]
) -> Metrics.Figures:
    """Return the figures without intervals, rounded to six decimals; arguments as in `held_out_metrics`."""
    confusion = m.confusion_matrix(actual, predicted, probabilities.shape[1])
    return Metrics.Figures(
        rows=len(actual),
        accuracy=_round(m.accuracy(confusion)),
        f1_weighted=_round(float(m.weighted_f1(confusion))),
        f1_macro=_round(m.macro_f1(confusion)),
        log_loss=_round(m.log_loss(actual, probabilities)),
    )


def judge(figures: HeldOut, asked: Asked, *, model: str, held_out: str) -> GateRecord:
    """Judge the held-out figures by what the config asks.

    Args:
        figures: what was measured.
        asked: the minima.
        model: the model digest that the verdict is bound to.
        held_out: the digest of the split that it was measured on.
    """
    rules = tuple(
        GateRecord.Rule(metric=metric, label=label, minimum=minimum, observed=observed, passed=observed >= minimum)
        for metric, label, minimum, observed in demands(asked.model_dump(), figures)
    )
    verdict: Literal["passed", "failed"] = "passed" if all(rule.passed for rule in rules) else "failed"
    return GateRecord(rules=rules, verdict=verdict, model=model, held_out=held_out)


def check_parity(published: Answered, estimator: Answered) -> ModelRecord.Parity:
    """Compare the published model's answers with the estimator's, row by row.

    Args:
        published: class positions and probabilities, from the bytes that are published.
        estimator: the same, from `predict` and `predict_proba` of the estimator that they were written from.

    Raises:
        ArtifactRejected: a label differs on a row that is no tie, or a probability by more than 1e-5.
    """
    import numpy as np

    best = np.sort(estimator[1], axis=1)
    tie = best[:, -1] - best[:, -2] <= TOLERANCE  # two classes this close are a tie, and either is the right answer
    unequal = int(((published[0] != estimator[0]) & ~tie).sum())
    difference = float(np.abs(published[1] - estimator[1]).max())
    if unequal or not difference <= TOLERANCE:
        message = (
            f"{unequal} of {len(tie)} labels differ from the estimator's, and a probability by {difference:.1e} "
            f"({TOLERANCE:.0e} at most)"
        )
        raise ArtifactRejected(
            "the model that would be published is not the model that was trained",
            problems=[Problem("model.onnx", "parity", message)],
        )
    return ModelRecord.Parity(rows=len(tie), ties=int(tie.sum()), max_probability_difference=_round(difference))


def _round(value: float) -> float:
    return round(value, DECIMALS)
