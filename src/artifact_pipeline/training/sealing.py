"""A fitted model of any family becomes an artifact of format 2, in memory: written, measured, judged, described."""

from __future__ import annotations

from dataclasses import dataclass
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
from artifact_pipeline.training.parity import compared
from artifact_pipeline.training.sealed import ROLES, Candidate, data_record, export_records, file_records, read_back

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
_AT_ONCE = 1 << 16
"""Rows that are compared at once."""


def seal(config: Config, data: Dataset, fitted: FittedModel, *, results: bytes = b"") -> Candidate:
    """Write a model that was trained from a config, and measure and describe the bytes that are written.

    Args:
        config: what was asked.
        data: the rows and their split.
        fitted: the model, fitted on the training rows.
        results: the results of the search that chose it; empty where there was none.

    Raises:
        ArtifactRejected: as `sealed`.
        ConfigError: likewise.
        DataRejected: likewise.
    """
    written = WrittenBytes.of(fitted)
    answers = written.predictor.predict_features(data.rows.features)
    parity = compared(fitted, _in_pieces(fitted, data.rows.features, answers))
    export = _exported(fitted.model)
    made = Made(config.name, recipe(config), fitted, written, parity, export, results)
    return sealed(made, data, answers)


def _in_pieces(fitted: FittedModel, features: Features, answers: Answers) -> Iterator[tuple[Any, Answers]]:
    """Rows as the estimator takes them, and their answers, piece by piece: there is no second matrix of all rows."""
    import numpy as np

    for start in range(0, len(features), _AT_ONCE):
        rows = slice(start, start + _AT_ONCE)
        yield fitted.taken(features[rows]), answers.take(np.arange(len(features))[rows])


class Made(NamedTuple):
    """A fitted model that was written and compared, and what is said of how it came about."""

    name: str
    recipe: dict[str, Any]
    fitted: FittedModel
    written: WrittenBytes
    parity: WrittenModel.Parity
    export: bytes | None
    results: bytes = b""


def sealed(made: Made, data: Dataset, answers: Answers) -> Candidate:
    """Measure and describe a model that was written.

    Args:
        made: the model.
        data: the rows and their split.
        answers: what it answers to all of them.

    Raises:
        ArtifactRejected: the model that would be published is not the one that was trained.
        ConfigError: the model cannot be written, or the gate asks for a metric that it does not have.
        DataRejected: the model cannot be described.
    """
    written = made.written
    members = _members(data, written, answers) | ({ROLE: made.results} if made.results else {})
    measured = _measured(data, answers, written.classes)
    manifest = Manifest2(
        format=2,
        name=made.name,
        task="classification",
        recipe=made.recipe,
        data=data_record(data, members["split"]),
        model=_said(made.fitted, written, made.parity),
        environment=Environment.here(),
        metrics=measured,
        gate=_judged(made.recipe["gate"], measured, members),
        files=file_records(members),
        exports=() if made.export is None else export_records(made.export),
    )
    files = {ROLES[role]: content for role, content in members.items()}
    return Candidate(read_back(manifest), files, made.export or b"", repeated=data.repeated)


def _exported(model: Any) -> bytes:
    """Return the pickle of a fitted model; a `LogisticRegression` alone is written so that our reader takes it."""
    if type(model).__name__ == "LogisticRegression":
        return export_bytes(model)
    return dumps(model, protocol=5)


@dataclass(frozen=True, slots=True)
class WrittenBytes:
    """A model as it will be published, and the predictor of its bytes."""

    data: bytes
    steps: Steps
    classes: tuple[int | str, ...]
    columns: tuple[Column, ...]
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
        return cls(data, steps, classes, columns, predictor)


def _members(data: Dataset, written: WrittenBytes, answers: Answers) -> dict[str, bytes]:
    """The bytes of each file, by role."""
    import numpy as np

    count, columns = len(written.classes), written.columns
    learned = data.described
    trained, held_out = np.searchsorted(np.array(written.classes), data.y[learned]), answers.take(data.held_out)
    described = _described(data.rows.features, learned, columns)
    golden = selftest2.draw_golden_rows(described, columns)
    golden_answers = written.predictor.predict_features(decoded(golden, columns))
    reference = Reference(
        format=2,
        rows=len(learned),
        features=described,
        labels=tuple(np.bincount(trained, minlength=count).tolist()),
        outputs=OutputReference.of(held_out.positions, count, held_out.probabilities),
    )
    return {
        "model": written.data,
        "reference": reference.canonical(),
        "selftest": selftest2.GoldenRows.of(golden, golden_answers.labels, golden_answers.values).canonical(),
        "split": data.split_bits(),
    }


def _said(fitted: FittedModel, written: WrittenBytes, parity: WrittenModel.Parity) -> WrittenModel:
    """What the manifest says of the model."""
    kind = type(fitted.classifier)
    return WrittenModel(
        digest=digest(written.data),
        estimator=f"{kind.__module__.partition('._')[0]}.{kind.__name__}",
        parameters=plain_parameters(fitted.classifier),
        fit=fitted.fit,
        inputs=tuple(map(_input, written.columns)),
        steps=to_builtins(written.steps),
        answers=written.predictor.kind,
        classes=written.classes,
        parity=parity,
    )


def _judged(asked: Mapping[str, Any], measured: Measured, members: Mapping[str, bytes]) -> JudgedGate:
    try:
        return judge(asked, measured, model=digest(members["model"]), held_out=digest(members["split"]))
    except ValueError as error:
        raise _not_judged(str(error), measured) from None


def _not_judged(metric: str, measured: Measured) -> ConfigError:
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


def _described(features: Features, rows: NDArray[np.int64], columns: Sequence[Column]) -> tuple[FeatureReference, ...]:
    numbers, texts = features.numbers_by_column(rows), features.S[rows].T
    return tuple(
        FeatureReference.of_category(values, len(column.levels), column.name)
        if column.kind == "category"
        else FeatureReference.of(values, column.name, nullable=column.nullable)
        for values, column in zip(coded(columns, numbers, texts), columns, strict=True)
    )


def _measured(data: Dataset, answers: Answers, classes: Sequence[int | str]) -> Measured:
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
