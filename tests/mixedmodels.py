"""Models of a table of numbers, a boolean, categories and missing values, for tests of what serves and predicts."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import numpy as np

import artifact_pipeline
from artifact_pipeline.serving.model import open_model
from artifact_pipeline.verification import verify

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pytest

    from artifact_pipeline.serving.model import Served

LOGISTIC = {"estimator": "LogisticRegression", "max_iter": 1000}
FOREST = {"estimator": "RandomForestClassifier", "n_estimators": 10, "min_samples_leaf": 5}
RIDGE = {"estimator": "RidgeClassifier"}
"""A model with probabilities from one matrix product, one of trees, and one with scores alone."""
MODELS = {"logistic": LOGISTIC, "forest": FOREST, "ridge": RIDGE}
COLUMNS = ("age", "income", "made", "city", "plan", "smoker")
"""Numbers, the last one near 1.7e9, two categories, and a boolean; age, city and smoker may be missing."""
CITIES, PLANS = ("Berlin", "Łódź", "Paris"), ("a", "b", "c:d", 'say "e"')
Row = list[Any]


def mixed_rows(count: int = 400, seed: int = 3) -> list[Row]:
    """Rows of `COLUMNS` and their label; None where a value is missing."""
    random = np.random.default_rng(seed)
    rows: list[Row] = []
    for index in range(count):
        age, city = int(random.integers(18, 90)), str(random.choice(CITIES))
        smoker, made = bool(random.integers(2)), 1_700_000_000 + int(random.integers(0, 1_000_000))
        sick = age / 90 + (city == "Paris") * 0.5 + smoker * 0.3 + random.normal(0, 0.2) > 0.8
        row: Row = [age, round(float(random.lognormal(10, 1)), 2), made, city, str(random.choice(PLANS)), smoker]
        for place, each in ((0, 20), (3, 25), (5, 30)):
            row[place] = None if index % each == 0 else row[place]
        rows.append([*row, "sick" if sick else "well"])
    return rows


def new_rows() -> list[Row]:
    """Rows that the model has not seen, with what may be missing, levels that it does not know, and odd spellings."""
    rows = [row[:-1] for row in mixed_rows(60, seed=4)]
    rows[1][3], rows[2][3], rows[3][4] = "Roma", "x" * 2000, "E'"
    rows[4][0], rows[5][3], rows[6][5] = None, None, None
    rows[7][3] = " NA "
    rows[8][2] = 1_699_999_999
    return rows


def write_mixed(path: Path, rows: Sequence[Row]) -> Path:
    """A CSV of rows, with or without labels."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*COLUMNS, "diagnosis"][: len(rows[0])])
        for row in rows:
            writer.writerow(
                ["" if each is None else str(each).lower() if each in {True, False} else each for each in row]
            )
    return path


def train_mixed(folder: Path, model: dict[str, Any], **dataset: Any) -> Path:
    """Train a model on the table, and return where its artifact is."""
    table = write_mixed(folder / "patients.csv", mixed_rows())
    config = {
        "name": "digits",
        "dataset": {"path": str(table), "target": "diagnosis", **dataset},
        "preprocess": "auto",
        "model": model,
        "gate": {"min_accuracy": 0.3, "min_f1": 0.3},
    }
    artifact_pipeline.train(config, artifact=folder / "artifact", export=folder / "model.pkl")
    return folder / "artifact"


def train_each(factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Train each of `MODELS`, and return by its name in which folder."""
    folders = {name: factory.mktemp(name) for name in MODELS}
    for name, folder in folders.items():
        train_mixed(folder, MODELS[name])
    return folders


def open_mixed(folder: Path, model: dict[str, Any], **dataset: Any) -> Served:
    """Such a model, opened as a server does it."""
    return open_model(verify(train_mixed(folder, model, **dataset)))
