"""A model that was trained elsewhere becomes an artifact: written, compared, measured, judged and published.

How it was trained is not known here, and the manifest says so: its recipe names the data `packaged`, and no row is one
of training. What is known is measured on the rows that are given, which its owner says the model has never seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artifact_pipeline.artifact import ARTIFACT
from artifact_pipeline.artifact.store import Store
from artifact_pipeline.config import from_mapping, recipe
from artifact_pipeline.errors import ConfigError, DataRejected, Problem, listing, plural
from artifact_pipeline.extras import naming_extras
from artifact_pipeline.model.families.family import not_written
from artifact_pipeline.rows.batches import NO_COLUMN, Wanted
from artifact_pipeline.rows.features import Features
from artifact_pipeline.rows.matrix import Rows
from artifact_pipeline.rows.memory import MEND, PLACE, batches_of
from artifact_pipeline.runtime import pin_numerics
from artifact_pipeline.training.dataset import PACKAGED, Dataset
from artifact_pipeline.training.packaged import PackagedModel, given_rows, label_of, synthetic_rows
from artifact_pipeline.training.parity import measure_parity
from artifact_pipeline.training.publication import check_places, put_in_charge
from artifact_pipeline.training.request import Training
from artifact_pipeline.training.sealing import SealedParts, WrittenBytes, make_candidate
from artifact_pipeline.training.statement import LOCK, TrainingOrigin, count_looks, make_statement
from artifact_pipeline.training.unchanged import Look

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike

    from artifact_pipeline.artifact.manifest2 import WrittenModel
    from artifact_pipeline.model.predictor import Answers
    from artifact_pipeline.rows.features import Column
    from artifact_pipeline.training.packaged import GivenRows
    from artifact_pipeline.training.sealed import Candidate

SYNTHETIC_ROWS = 10_000
"""Rows beside the given ones on which the artifact is compared with the model."""
_FLOAT32 = "X holds float32, and the artifact computes in float64: it was compared with the model on the same numbers"


@naming_extras
def package(
    fitted: Any,
    X: Any,
    y: Any,
    *,
    name: str,
    artifact: str | PathLike[str] = ARTIFACT,
    gate: Mapping[str, object] | None = None,
) -> Training:
    """Give a classifier that was trained elsewhere the same proof: written, compared, measured, judged and published.

    The artifact is compared with the model on the given rows, and on 10,000 drawn from their ranges and levels. How it
    was trained is not known, the manifest says so, and `reproduce` refuses it.

    Args:
        fitted: a fitted classifier of scikit-learn, or a `Pipeline` that ends in one, of the steps that can be written:
            a `ColumnTransformer` of imputers, scalers, encoders and PCA, or these straight.
        X: rows that the model has never seen: a DataFrame of pandas or Polars, another object with Arrow's PyCapsule
            protocol, a mapping from names to columns, or an array of shape (rows, columns).
        y: their labels, of shape (rows,), as the model was fitted on them.
        name: of the model, written into the artifact.
        artifact: where the pointer is written; the store is `artifacts/` beside it.
        gate: what the model must reach on these rows, with the keys of a config's `gate`; None asks that it beats the
            baseline.

    Raises:
        ConfigError: the model is not fitted, is no classifier, or has a step that cannot be written, which is named.
        DataRejected: the rows or the labels do not fit the model.
        ArtifactRejected: the artifact would not answer as the model does.
        GateFailed: the gate failed; `result` is the `Training`, and the candidate is kept in the store.
        StorageError: the artifact cannot be written; what stood before still stands.

    Examples:
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.naive_bayes import GaussianNB
        >>> X, y = load_iris(return_X_y=True)
        >>> packaged = package(GaussianNB().fit(X[::2], y[::2]), X[1::2], y[1::2], name="iris", artifact="iris")
        >>> packaged.outcome, packaged.manifest.model.parity.rows
        ('passed', 10075)
    """
    pin_numerics()
    place = Path(artifact)
    origin = TrainingOrigin(None, place.parent / LOCK)
    asked = _gate(name, gate)
    check_places(place, None)
    candidate = _candidate(fitted, X, y, name=name, gate=asked)
    key = {"packaged": candidate.manifest.model.digest}
    looks = count_looks(candidate.manifest.data.split.digest, place)
    statement = make_statement(candidate, origin, key=key, looks=looks)
    folder = Store(place).place(candidate.digest)
    training = Training.of(candidate, statement, folder, Look(reason="the model was trained elsewhere"))
    return put_in_charge(training, artifact=place, export=None)


def _gate(name: str, given: Mapping[str, object] | None) -> dict[str, Any]:
    """The gate as a recipe has it.

    Raises:
        ConfigError: it breaks a rule, or the name does.
    """
    gate = given or {}
    if gate.get("champion") is not None:
        problem = Problem("gate.champion", "not-allowed", "a packaged model is compared once it is an artifact")
        raise ConfigError("the gate cannot be used", problems=[problem], hint="compare(candidate, champion)")
    config = from_mapping(
        {
            "name": name,
            "dataset": {"path": "packaged.csv", "target": "label"},
            "model": {"estimator": "GaussianNB"},
            "gate": dict(gate),
        }
    )
    asked = {key: value for key, value in recipe(config)["gate"].items() if key in gate}
    return asked or {"beats_baseline": True}


def _candidate(fitted: Any, X: Any, y: Any, *, name: str, gate: dict[str, Any]) -> Candidate:
    import numpy as np

    model, features, missing = _with_rows(fitted, X)
    labels = np.array(model.labels)[_positions(y, model.labels, len(features))]
    # As a file of these rows is read, so that it has their digest: the model may take more than they hold.
    columns = tuple(replace(each, nullable=missing[each.name] > 0) for each in model.columns)
    names = tuple(each.name for each in columns)
    rows = Rows(PACKAGED, names, _target(y, names), features.X, labels, columns=columns, S=features.S)
    written = WrittenBytes.of(model)
    answers = _answers(written, features, missing)
    parity = _parity(model, written, features, answers)
    data = Dataset(rows, np.empty(0, dtype=np.int64), np.arange(len(labels)))
    parts = SealedParts(name, {"dataset": PACKAGED, "gate": gate}, model, written, parity, None)
    return replace(make_candidate(parts, data, answers), notes=(_FLOAT32,) if model.given.hold_float32 else ())


def _with_rows(fitted: Any, X: Any) -> tuple[PackagedModel, Features, dict[str, int]]:
    """The model with its columns, the given rows, and how many values of each column are missing."""
    from artifact_pipeline.model.layout import layout_of

    labels, layout = _labels(fitted), layout_of(fitted)
    given = given_rows(X, fitted, layout)
    columns = layout.takes(given.names, given.booleans)
    features, missing = _read(columns, given)
    may_miss = layout.nullable(given.names, columns, missing)
    known = tuple(replace(each, nullable=may) for each, may in zip(columns, may_miss, strict=True))
    return PackagedModel(fitted, known, None, given=given, labels=labels, layout=layout), features, missing


def _parity(model: PackagedModel, written: WrittenBytes, features: Features, answers: Answers) -> WrittenModel.Parity:
    """Compare the artifact with the model on the given rows, and on synthetic ones.

    Raises:
        ArtifactRejected: they differ.
        ConfigError: the model does not answer such rows.
    """
    synthetic = synthetic_rows(features, model.columns, SYNTHETIC_ROWS)
    drawn = written.predictor.predict_features(synthetic)
    try:
        return measure_parity(model, [(model.given_inputs(features), answers), (model.inputs(synthetic), drawn)])
    except (ValueError, TypeError) as error:
        message = str(error).splitlines()[0][:200].removesuffix(".")
        problem = Problem("model", "unanswered", f"it does not answer rows of its columns: {message}")
        hint = "fit it on a table with the kinds of columns that X has, and give X as that table was"
        raise ConfigError("the model cannot be compared with its artifact", problems=[problem], hint=hint) from error


def _answers(written: WrittenBytes, features: Features, missing: Mapping[str, int]) -> Answers:
    """What the artifact answers to the given rows.

    Raises:
        DataRejected: a value is missing that the model does not impute, or too large for it to answer.
    """
    try:
        return written.predictor.predict_features(features)
    except DataRejected as error:
        gaps = [name for name, count in missing.items() if count]
        if not gaps:
            raise
        message = f"misses {missing[gaps[0]]:,} values, which the model does not impute"
        problem = Problem(f"X, column {gaps[0]!r:.80}", "missing", message)
        hint = "let a SimpleImputer stand before the other steps, and fit again; or leave these rows out"
        raise DataRejected("the rows do not fit the model", problems=[problem], hint=hint) from error


def _labels(model: Any) -> tuple[int | str, ...]:
    """The labels of a fitted classifier, as the artifact has them.

    Raises:
        ConfigError: it is not fitted, no classifier, or answers with several labels or others than an artifact has.
    """
    from sklearn.base import is_classifier
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    name = type(model).__name__
    if isinstance(model, type) or not hasattr(model, "fit"):
        raise not_written(f"{name} is no fitted estimator of scikit-learn", hint="give the fitted object")
    if hasattr(model, "best_estimator_"):
        raise not_written(f"{name} is a search, and no model", hint="give its best_estimator_")
    if not is_classifier(model):
        raise not_written(f"{name} is no classifier", hint="give a classifier, or a Pipeline that ends in one")
    try:
        check_is_fitted(model)
        classes = model.classes_
    except (NotFittedError, AttributeError):
        raise not_written(f"{name} is not fitted", hint="fit it, and package it afterwards") from None
    if isinstance(classes, list) or classes.ndim != 1:
        raise not_written(f"{name} answers with several labels", hint="fit and package one model for each label")
    labels = [label_of(each) for each in classes.tolist()]
    found = [each for each in labels if each is not None]
    if len(found) < len(labels) or len({type(each) for each in found}) != 1 or sorted(found) != found:
        shown = listing([repr(each) for each in classes.tolist()], 5)
        raise not_written(f"{name} has the labels {shown}", hint="fit it on whole numbers, booleans or texts")
    return tuple(found)


def _positions(y: Any, labels: Sequence[int | str], rows: int) -> list[int]:
    """The position of each given label among those of the model.

    Raises:
        DataRejected: a label is missing, or none of the model's, or there are more or fewer than rows.
    """
    values = _label_values(y, rows)
    places = {label: place for place, label in enumerate(labels)}
    found = [places.get(label_of(each), -1) for each in values]  # type: ignore[arg-type]
    if -1 not in found:
        return found
    row = found.index(-1)
    shown = listing([repr(each) for each in labels], 5)
    message = f"row {row} has the label {values[row]!r:.40}, and the model answers with {shown}"
    raise DataRejected(
        "the labels do not fit the model",
        problems=[Problem("y", "label-unknown", message)],
        hint="give the labels as the model was fitted on them: of encoded ones LabelEncoder.transform(y), or fit it "
        "again on the labels themselves, with which the artifact then answers",
    )


def _label_values(y: Any, rows: int) -> list[Any]:
    """The given labels as Python's own values, one for each row."""
    method = next((name for name in ("tolist", "to_list", "to_pylist") if hasattr(y, name)), None)
    values = getattr(y, method)() if method else [*y] if isinstance(y, Iterable) else None
    if not isinstance(values, list):
        message = "is no sequence of labels"
    elif len(values) != rows:
        message = f"has {plural(len(values), 'label')}, and X has {plural(rows, 'row')}"
    elif any(isinstance(each, list) for each in values):
        message = "has several labels for a row"
    else:
        return values
    problem = Problem("y", "rows-shape", message)
    raise DataRejected("the labels do not fit the model", problems=[problem], hint="give one label for each row")


def _target(y: Any, names: Sequence[str]) -> str:
    """What the label is called: as the column that was given, where it has a name of its own."""
    name = getattr(y, "name", None)
    target = name if isinstance(name, str) and 0 < len(name) <= 256 else "label"
    while target in names:
        target += "_"
    return target


def _read(columns: tuple[Column, ...], given: GivenRows) -> tuple[Features, dict[str, int]]:
    """Read the given rows, by the rules of every table.

    Returns:
        The rows, and how many values of each column are missing.

    Raises:
        DataRejected: there is no row, a column is missing, or a value is none of its column's.
    """
    names = tuple(each.name for each in columns)
    wanted = Wanted(names, "float64", NO_COLUMN, columns=columns)
    pieces, missing = [], dict.fromkeys(names, 0)
    try:
        for batch in batches_of(given.table, wanted):
            if batch.rejected:
                raise batch.rejected[0].refusal(PLACE, hint=MEND)
            pieces.append(batch.features)
            for name, count in zip(names, batch.missing, strict=True):
                missing[name] += count
    except DataRejected as error:
        if "not-a-number" not in error.rules:
            raise
        hint = "encode such a column in a ColumnTransformer, by a OneHotEncoder or an OrdinalEncoder, and fit again"
        raise DataRejected("the rows do not fit the model", problems=error.problems, hint=hint) from error
    if not pieces or not sum(map(len, pieces)):
        problem = Problem("X", "no-rows", "it has no row")
        raise DataRejected(
            "the rows do not fit the model", problems=[problem], hint="give rows to measure the model on"
        )
    return Features.concatenate(pieces), missing
