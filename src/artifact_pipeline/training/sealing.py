"""A fitted model of any family becomes an artifact of format 2, in memory: written, measured, judged, described."""

from __future__ import annotations

from pickle import dumps
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import UNSET, to_builtins

from artifact_pipeline.artifact import selftest2
from artifact_pipeline.artifact.environment import Environment
from artifact_pipeline.artifact.figures2 import Figure, Measured, Rows
from artifact_pipeline.artifact.gate2 import judge
from artifact_pipeline.artifact.manifest2 import InputColumn, Manifest2, WrittenModel
from artifact_pipeline.artifact.parts import DECIMALS
from artifact_pipeline.artifact.reference import FeatureReference, OutputReference, Reference
from artifact_pipeline.artifact.trials import ROLE
from artifact_pipeline.canonical import digest
from artifact_pipeline.config import recipe
from artifact_pipeline.errors import ConfigError, Problem, listing
from artifact_pipeline.pickles import export_bytes
from artifact_pipeline.rows.coded import coded, decoded
from artifact_pipeline.training.parity import measure_parity
from artifact_pipeline.training.sealed import (
    FILE_NAMES,
    Candidate,
    data_record,
    export_records,
    file_records,
    read_back,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.artifact.manifest2 import JudgedGate
    from artifact_pipeline.config import Config
    from artifact_pipeline.model.predictor import Answers, Predictor
    from artifact_pipeline.model.spec import Steps
    from artifact_pipeline.rows.features import Column, Features
    from artifact_pipeline.training.dataset import Dataset
    from artifact_pipeline.training.fitting import FittedModel

_SHOWN = 5
"""Labels that an error names."""
_CHUNK = 1 << 16
"""Rows that are compared at once."""


def seal(config: Config, data: Dataset, fitted: FittedModel, *, results: bytes = b"") -> Candidate:
    """Write a model that was trained from a config, and measure and describe the bytes that are written.

    Raises:
        ArtifactRejected: the model that would be published is not the one that was trained.
        ConfigError, DataRejected: as `make_candidate`.
    """
    written = WrittenBytes.of(fitted)
    answers = written.predictor.predict_features(data.rows.features)
    parity = measure_parity(fitted, _in_pieces(fitted, data.rows.features, answers))
    parts = SealedParts(config.name, recipe(config), fitted, written, parity, _export_of(fitted.model), results)
    return make_candidate(parts, data, answers)


def _in_pieces(fitted: FittedModel, features: Features, answers: Answers) -> Iterator[tuple[Any, Answers]]:
    """Rows as the estimator takes them, and their answers, piece by piece: there is no second matrix of all rows."""
    import numpy as np

    for start in range(0, len(features), _CHUNK):
        rows = slice(start, start + _CHUNK)
        yield fitted.inputs(features[rows]), answers.take(np.arange(len(features))[rows])


class SealedParts(NamedTuple):
    """A fitted model that was written and compared, and what the manifest records of its origin."""

    name: str
    recipe: dict[str, Any]
    fitted: FittedModel
    written: WrittenBytes
    parity: WrittenModel.Parity
    export: bytes | None
    results: bytes = b""


def make_candidate(parts: SealedParts, data: Dataset, answers: Answers) -> Candidate:
    """Measure, judge and describe a model that was written; `answers` are those that it gives to all rows.

    Raises:
        ConfigError: the gate asks for a metric that the model does not have.
        DataRejected: the model has too many columns or labels to be described.
    """
    members = _members(parts, data, answers)
    measured = _measure(data, answers, parts.fitted.labels)
    manifest = Manifest2(
        format=2,
        name=parts.name,
        task="classification",
        recipe=parts.recipe,
        data=data_record(data, members["split"]),
        model=_model_record(parts),
        environment=Environment.here(),
        metrics=measured,
        gate=_judge(parts.recipe["gate"], measured, members),
        files=file_records(members),
        exports=() if parts.export is None else export_records(parts.export),
    )
    files = {FILE_NAMES[role]: content for role, content in members.items()}
    return Candidate(read_back(manifest), files, parts.export or b"", repeated=data.repeated)


def _export_of(model: Any) -> bytes:
    """Return the pickle of a fitted model; a `LogisticRegression` alone is written so that our reader takes it."""
    if type(model).__name__ == "LogisticRegression":
        return export_bytes(model)
    return dumps(model, protocol=5)


class WrittenBytes(NamedTuple):
    """A model as it will be published, and the predictor of its bytes."""

    data: bytes
    steps: Steps
    predictor: Predictor

    @classmethod
    def of(cls, fitted: FittedModel) -> WrittenBytes:
        """Write a fitted model, check the bytes as a reader will, and open them."""
        from artifact_pipeline.model.check import checked_plan
        from artifact_pipeline.model.predictor import Predictor
        from artifact_pipeline.model.writer import write

        classes, columns = fitted.labels, fitted.columns
        data, steps = write(fitted.model, columns, classes=classes, order=fitted.order)
        planned = checked_plan(data, columns, steps, classes)
        predictor = Predictor(data, classes, columns, kind=planned.answers, rows=planned.rows)
        return cls(data, steps, predictor)


def _members(parts: SealedParts, data: Dataset, answers: Answers) -> dict[str, bytes]:
    """The bytes of each file, by role."""
    import numpy as np

    labels, columns, described = parts.fitted.labels, parts.fitted.columns, data.described
    actual, held_out = np.searchsorted(np.array(labels), data.y[described]), answers.take(data.held_out)
    features = _feature_references(data.rows.features, described, columns)
    golden = selftest2.draw_golden_rows(features, columns)
    golden_answers = parts.written.predictor.predict_features(decoded(golden, columns))
    reference = Reference(
        format=2,
        rows=len(described),
        features=features,
        labels=tuple(np.bincount(actual, minlength=len(labels)).tolist()),
        outputs=OutputReference.of(held_out.positions, len(labels), held_out.probabilities),
    )
    members = {
        "model": parts.written.data,
        "reference": reference.canonical(),
        "selftest": selftest2.GoldenRows.of(golden, golden_answers.labels, golden_answers.values).canonical(),
        "split": data.split_bits(),
    }
    return members | ({ROLE: parts.results} if parts.results else {})


def _model_record(parts: SealedParts) -> WrittenModel:
    fitted, written = parts.fitted, parts.written
    kind = type(fitted.classifier)
    return WrittenModel(
        digest=digest(written.data),
        estimator=f"{kind.__module__.partition('._')[0]}.{kind.__name__}",
        parameters=plain_parameters(fitted.classifier),
        fit=fitted.fit,
        inputs=tuple(map(_input, fitted.columns)),
        steps=to_builtins(written.steps),
        answers=written.predictor.kind,
        classes=fitted.labels,
        parity=parts.parity,
    )


def _judge(gate: Mapping[str, Any], measured: Measured, members: Mapping[str, bytes]) -> JudgedGate:
    try:
        return judge(gate, measured, model=digest(members["model"]), held_out=digest(members["split"]))
    except ValueError as error:
        raise _unmeasured(str(error), measured) from None


def _unmeasured(metric: str, measured: Measured) -> ConfigError:
    """The error for a metric that was not measured: for want of probabilities, or of held-out rows of each class."""
    unseen = [repr(each.label) for each in measured.held_out.classes if not each.rows]
    if measured.held_out.log_loss is None:
        why = "it gives scores, and no probabilities"
        hint = "ask for another figure, such as min_balanced_accuracy, or train a classifier that has probabilities"
    else:
        why = f"it needs held-out rows of each class, and none has the label {listing(unseen, _SHOWN)}"
        hint = "hold out other or more rows, by split.test_size or random_state; or ask for min_balanced_accuracy"
    problem = Problem("gate", "not-allowed", f"this model has no figure {metric}: {why}")
    return ConfigError("the gate cannot judge this model", problems=[problem], hint=hint)


def _input(column: Column) -> InputColumn:
    category = column.kind == "category"
    return InputColumn(
        name=column.name,
        kind=column.kind,
        nullable=column.nullable,
        levels=column.levels if category else UNSET,
        other=column.other if category else UNSET,
    )


def _feature_references(
    features: Features, rows: NDArray[np.int64], columns: Sequence[Column]
) -> tuple[FeatureReference, ...]:
    numbers, texts = features.numbers_by_column(rows), features.S[rows].T
    return tuple(
        FeatureReference.of_category(values, len(column.levels), column.name)
        if column.kind == "category"
        else FeatureReference.of(values, column.name, nullable=column.nullable)
        for values, column in zip(coded(columns, numbers, texts), columns, strict=True)
    )


def _measure(data: Dataset, answers: Answers, classes: Sequence[int | str]) -> Measured:
    import numpy as np

    from artifact_pipeline.metrics.registry import Answered, measure

    actual = np.searchsorted(np.array(classes), data.y)
    figures: list[Figure] = []
    chosen: dict[Rows, NDArray[np.int64]] = {
        "held_out": data.held_out,
        "training": data.train,
        "all": np.arange(len(actual)),
    }
    confusion: tuple[tuple[int, ...], ...] = ()
    for name, rows in chosen.items():
        if not len(rows):  # a model that was trained elsewhere has no training rows here
            continue
        some = answers.take(rows)
        answered = Answered.of(actual[rows], some.positions, some.probabilities, len(classes))
        if name == "held_out":
            confusion = tuple(map(tuple, answered.confusion.tolist()))
        for each in measure(answered, intervals=name == "held_out"):
            low, high = (UNSET, UNSET) if each.interval is None else (round(end, DECIMALS) for end in each.interval)
            figures.append(
                Figure(
                    name=each.name,
                    rows=name,
                    value=round(each.value, DECIMALS),
                    better=each.better,
                    low=low,
                    high=high,
                    label=UNSET if each.position is None else classes[each.position],
                )
            )
    counts = Measured.Counts(held_out=len(data.held_out), training=len(data.train), all=len(actual))
    return Measured(counts=counts, confusion=confusion, figures=tuple(figures))


def plain_parameters(estimator: Any) -> dict[str, Any]:
    """The parameters of an estimator as JSON has them: nested estimators by name, tuples as lists, labels as text.

    The parameter `estimator` is called `base_estimator`, as in a config: `estimator` is the name of a nested one.
    """
    found = {}
    for key, value in sorted(estimator.get_params(deep=False).items()):
        if not (isinstance(value, str) and value == "deprecated"):
            found["base_estimator" if key == "estimator" else key] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    if hasattr(value, "get_params"):
        return {"estimator": type(value).__name__, **plain_parameters(value)}
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)) or type(value).__name__ == "ndarray":
        return [_plain(each) for each in value]
    return value.item() if hasattr(value, "item") else value
