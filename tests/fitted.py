"""Tables, fitted models of format 2, and what they answer in a session."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.ensemble import VotingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import (
    LogisticRegression,
    LogisticRegressionCV,
    PassiveAggressiveClassifier,
    Perceptron,
    RidgeClassifier,
    RidgeClassifierCV,
    SGDClassifier,
)
from sklearn.naive_bayes import BernoulliNB, ComplementNB, GaussianNB, MultinomialNB
from sklearn.neighbors import NearestCentroid
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

from artifact_pipeline.canonical import digest
from artifact_pipeline.model.check import checked_plan
from artifact_pipeline.model.plan import plan
from artifact_pipeline.model.writer import write
from artifact_pipeline.rows.features import Column, Features
from artifact_pipeline.runtime import load_onnxruntime
from artifact_pipeline.training.fitting import frame, last_step
from artifact_pipeline.training.ties import tied_neighbours

if TYPE_CHECKING:
    from collections.abc import Sequence

    from artifact_pipeline.model.spec import Steps

CITIES = ("", "Berlin", "New York", "Paris", "Rom", "Łódź")
PLANS = ("", "a", "b", "c")
COLUMNS = (
    Column("age", "number", nullable=True),
    Column("city", "category", nullable=True, levels=CITIES),
    Column("income", "number", nullable=True),
    Column("score", "number", nullable=True),
    Column("seen", "number"),
    Column("member", "boolean", nullable=True),
    Column("always", "number"),
    Column("plan", "category", nullable=True, levels=PLANS),
)
"""A number near 1.7e9, one that is constant, a boolean, missing values, and texts beyond ASCII."""


@dataclass(frozen=True)
class Table:
    """Rows of columns, with a label each."""

    columns: tuple[Column, ...]
    rows: Features
    labels: np.ndarray

    def together(self) -> np.ndarray:
        """What a pipeline is fitted on: the numbers, then the categories."""
        return together(self.rows)


def taken(model: Any, columns: Sequence[Column], rows: Features) -> Any:
    """Rows as a model takes them: by the names of its columns, or by their positions."""
    if hasattr(model, "named_steps") and isinstance(model.named_steps["columns"].transformers[0][2][0], str):
        return frame(rows, columns)
    return together(rows)


def together(rows: Features) -> np.ndarray:
    """Numbers and categories as one matrix; of numbers alone, as it is."""
    return np.concatenate([rows.X.astype(object), rows.S], axis=1) if rows.S.shape[1] else rows.X


def mixed_table(rows: int = 800, classes: int = 3, seed: int = 0) -> Table:
    """Two or three classes, of texts, over `COLUMNS`."""
    random = np.random.default_rng(seed)
    age = random.normal(40, 12, rows)
    income = random.lognormal(10, 1, rows)
    seen = 1.7e9 + random.uniform(0, 1e6, rows)
    member = random.integers(0, 2, rows).astype(float)
    X = np.column_stack([age, income, random.integers(0, 100, rows), seen, member, np.full(rows, 7.0)])
    S = np.column_stack([random.choice(CITIES[1:], rows), random.choice(PLANS[1:], rows)]).astype(object)
    z = 0.05 * (age - 40) + 0.8 * (np.log(income) - 10) + 1.2 * (S[:, 0] == "Berlin") - 1.5 * (S[:, 1] == "c")
    z += (seen - 1.7e9 - 5e5) / 5e5 + 0.3 * member + random.normal(0, 0.7, rows)
    for column, share in ((0, 0.1), (1, 0.05), (2, 0.02), (4, 0.02)):
        X[random.random(rows) < share, column] = np.nan
    for column, share in ((0, 0.06), (1, 0.03)):
        S[random.random(rows) < share, column] = ""
    labels = np.where(z > 0.8, "hoch", np.where(z > -0.6, "mittel", "tief") if classes == 3 else "tief")
    return Table(COLUMNS, Features(np.ascontiguousarray(X), np.ascontiguousarray(S)), labels)


def classifiers() -> dict[str, Any]:
    """An unfitted classifier of each family of this module's, and of each kind of answer."""
    few = {"max_iter": 20, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it goes with scikit-learn 1.10
        aggressive = PassiveAggressiveClassifier(**few)
    parts = [("lr", LogisticRegression()), ("nb", GaussianNB())]
    inner = VotingClassifier([("qda", QuadraticDiscriminantAnalysis(reg_param=0.1))], voting="soft")
    return {
        "logistic": LogisticRegression(),
        "logistic without intercept": LogisticRegression(fit_intercept=False),
        "logistic with cross-validation": LogisticRegressionCV(Cs=2, cv=2, max_iter=50),
        "linear discriminant": LinearDiscriminantAnalysis(),
        "quadratic discriminant": QuadraticDiscriminantAnalysis(reg_param=0.1),
        "quadratic discriminant by eigenvalues": QuadraticDiscriminantAnalysis(solver="eigen", shrinkage=0.3),
        "ridge": RidgeClassifier(),
        "ridge with cross-validation": RidgeClassifierCV(),
        "linear svc": LinearSVC(random_state=0),
        "sgd hinge": SGDClassifier(**few),
        "sgd log loss": SGDClassifier(loss="log_loss", **few),
        "sgd modified huber": SGDClassifier(loss="modified_huber", **few),
        "perceptron": Perceptron(**few),
        "passive aggressive": aggressive,
        "mlp relu": MLPClassifier((20, 10), **few),
        "mlp tanh": MLPClassifier((20,), activation="tanh", **few),
        "mlp logistic": MLPClassifier((20,), activation="logistic", **few),
        "mlp identity": MLPClassifier((20,), activation="identity", **few),
        "gaussian": GaussianNB(),
        "multinomial": MultinomialNB(),
        "complement": ComplementNB(),
        "bernoulli": BernoulliNB(),
        "bernoulli above two": BernoulliNB(binarize=2.0),
        "centroid": NearestCentroid(),
        "centroid with shares": NearestCentroid(priors="empirical"),
        "centroid shrunken": NearestCentroid(shrink_threshold=0.1),
        "centroid manhattan": NearestCentroid(metric="manhattan"),
        "centroid manhattan with shares": NearestCentroid(metric="manhattan", priors="empirical"),
        "vote": VotingClassifier(parts, voting="soft"),
        "vote with weights": VotingClassifier([*parts, ("vote", inner)], voting="soft", weights=[1, 2.5, 0.3]),
    }


COUNTS = frozenset({"multinomial", "complement", "bernoulli", "bernoulli above two"})
"""Those of `classifiers` that take no number below zero."""


def number_steps(name: str) -> list[Any]:
    """An imputer with indicators, and a scaler that fits one of `classifiers`."""
    return [SimpleImputer(strategy="mean", add_indicator=True), MinMaxScaler() if name in COUNTS else StandardScaler()]


def unseen(rows: Features) -> Features:
    """The same rows, every third of them with a category that no model knows."""
    S = rows.S.copy()
    S[::3, 0] = "Unknownville"
    S[1::7, 1] = "\U0001f600"
    return Features(rows.X, S)


def digits_table() -> Table:
    """The digits: 64 numbers, and labels that are whole numbers."""
    data = load_digits()
    columns = tuple(Column(f"pixel_{number}", "number") for number in range(64))
    return Table(columns, Features.of_numbers(data.data), data.target)


def pipeline(
    table: Table, classifier: Any, *, number: Sequence[Any] = (), category: Sequence[Any] | str = "one_hot"
) -> Pipeline:
    """An unfitted pipeline; `category` is an encoder's name, or an imputer before the encoder."""
    levels = [list(column.levels) for column in table.columns if column.kind == "category"]
    numbers = len(table.columns) - len(levels)
    transformers = []
    if numbers:
        steps = [(f"step{position}", step) for position, step in enumerate(number)]
        transformers.append(("number", Pipeline(steps) if steps else "passthrough", list(range(numbers))))
    if levels:
        encoders = {
            "one_hot": OneHotEncoder(categories=levels, handle_unknown="ignore", sparse_output=False, dtype=np.float64),
            "ordinal": OrdinalEncoder(
                categories=levels, handle_unknown="use_encoded_value", unknown_value=-1, dtype=np.float64
            ),
        }
        steps = [encoders[category]] if isinstance(category, str) else [*category[:-1], encoders[category[-1]]]
        named = Pipeline([(f"step{position}", step) for position, step in enumerate(steps)])
        transformers.append(("category", named, list(range(numbers, len(table.columns)))))
    return Pipeline([("columns", ColumnTransformer(transformers)), ("classifier", classifier)])


def fit(model: Any, table: Table) -> Any:
    """Fit on one thread, as training does, without warnings: what is fitted is no matter here."""
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(table.together(), table.labels)


def digests() -> dict[str, str]:
    """The digest of the bytes of each classifier, fitted on the same rows."""
    table = mixed_table(300)
    found = {}
    for name, classifier in classifiers().items():
        model = fit(pipeline(table, classifier, number=number_steps(name)), table)
        found[name] = digest(written(model, table.columns)[0])
    return found


class Session:
    """A session over a model's bytes, one thread, with nothing optimised, and so many rows a call."""

    def __init__(self, data: bytes, rows: int = 1 << 30) -> None:
        ort = load_onnxruntime()
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 3
        self._session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        self._rows = rows
        self._inputs = {each.name for each in self._session.get_inputs()}
        self.answers = self._session.get_outputs()[1].name

    def __call__(self, rows: Features) -> tuple[np.ndarray, np.ndarray]:
        """The labels, and the probabilities or scores."""
        held = {name: {"X": rows.X, "S": rows.S}[name] for name in self._inputs}
        calls = [
            self._session.run(None, {name: values[at : at + self._rows] for name, values in held.items()})
            for at in range(0, len(rows), self._rows)
        ]
        labels, answers = map(np.concatenate, zip(*calls, strict=True))
        return labels, answers


@dataclass(frozen=True)
class Parity:
    """A written model beside the model that was fitted.

    Attributes:
        unequal: how many labels differ.
        difference: the largest difference of a probability, or the largest relative one of a score that is above one.
        answers: `probabilities` or `scores`.
        left_open: how many rows scikit-learn leaves open, and are not compared.
    """

    unequal: int
    difference: float
    answers: str
    left_open: int = 0


def parity(model: Any, columns: Sequence[Column], rows: Features) -> Parity:
    """Write a fitted model, check it, and compare what it answers; not of rows that scikit-learn leaves open."""
    data, steps = written(model, columns)
    session = Session(data, plan(columns, steps, model.classes_.tolist()).rows)
    labels, answers = session(rows)
    X = taken(model, columns, rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        settled = np.broadcast_to(~np.asarray(tied_neighbours(*last_step(model, X))), len(labels))
        unequal = int(((labels != model.predict(X)) & settled).sum())
        if session.answers == "probabilities":
            differences = np.abs(answers - model.predict_proba(X)).max(axis=1)
        elif not hasattr(model, "decision_function"):  # a vote, the nearest centroid by Manhattan: labels alone
            differences = np.zeros(len(labels))
        else:
            scores = model.decision_function(X)
            if scores.ndim == 1:
                scores = np.column_stack([np.zeros(len(scores)), scores])
            differences = (np.abs(answers - scores) / np.maximum(1, np.abs(scores))).max(axis=1)
    return Parity(unequal, float(differences[settled].max()), session.answers, int((~settled).sum()))


def written(model: Any, columns: Sequence[Column]) -> tuple[bytes, Steps]:
    """The bytes and the spec of a fitted model, which pass the check."""
    data, steps = write(model, columns)
    checked_plan(data, columns, steps, model.classes_.tolist())
    return data, steps
