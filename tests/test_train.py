"""The documented nine: configuration, model, accuracy, persistence, through the documented names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.utils.validation import check_is_fitted
from src.train import load_config, train_model
from src.utils import evaluate_model, load_digits_data, load_model, save_model

CONFIG = Path(__file__).resolve().parents[1] / "config" / "config.json"
THRESHOLD = 0.95

pytestmark = pytest.mark.smoke


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    return load_config(CONFIG)


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    return load_digits_data()


@pytest.fixture(scope="module")
def model(data: tuple[np.ndarray, ...], config: dict[str, Any]) -> LogisticRegression:
    X_train, _, y_train, _ = data
    return train_model(X_train, y_train, config)


def test_config_file_exists() -> None:
    """The config file stands where the documentation says, and is JSON."""
    assert isinstance(json.loads(CONFIG.read_text()), dict)


def test_config_loads(config: dict[str, Any]) -> None:
    """The config loads as a plain dict."""
    assert type(config) is dict


def test_config_has_the_parameters(config: dict[str, Any]) -> None:
    """The config holds the three documented parameters."""
    assert {"C", "solver", "max_iter"} <= config.keys()


def test_config_parameters_have_their_types_and_ranges(config: dict[str, Any]) -> None:
    """Each parameter has the type and the range that scikit-learn asks for."""
    assert type(config["C"]) is float
    assert config["C"] > 0
    assert config["solver"] in {"lbfgs", "newton-cg", "newton-cholesky", "sag", "saga"}
    assert type(config["max_iter"]) is int
    assert config["max_iter"] >= 1


def test_model_is_created(data: tuple[np.ndarray, ...]) -> None:
    """A dict with only the three documented keys is enough to train."""
    X_train, _, y_train, _ = data
    assert train_model(X_train, y_train, {"C": 1.0, "solver": "lbfgs", "max_iter": 1000}) is not None


def test_model_is_fitted(model: LogisticRegression) -> None:
    """The trained model is fitted to ten classes of 64 pixels."""
    check_is_fitted(model)
    assert model.coef_.shape == (10, 64)
    assert model.classes_.tolist() == list(range(10))


def test_model_is_of_the_right_class(model: LogisticRegression, config: dict[str, Any]) -> None:
    """The trained model is a LogisticRegression with the config's parameters."""
    assert type(model) is LogisticRegression
    assert (model.C, model.solver, model.max_iter) == (config["C"], config["solver"], config["max_iter"])


def test_accuracy_is_above_the_threshold(model: LogisticRegression, data: tuple[np.ndarray, ...]) -> None:
    """Accuracy and weighted F1 on the held-out rows reach the documented threshold."""
    _, X_test, _, y_test = data
    accuracy, f1 = evaluate_model(model, X_test, y_test)
    assert accuracy >= THRESHOLD
    assert f1 >= THRESHOLD


def test_saved_and_loaded_model_predicts_the_same(
    model: LogisticRegression, data: tuple[np.ndarray, ...], tmp_path: Path
) -> None:
    """A model that is saved and loaded again gives equal predictions, bit for bit."""
    _, X_test, _, _ = data
    save_model(model, tmp_path / "model_train.pkl")
    loaded = load_model(tmp_path / "model_train.pkl")
    np.testing.assert_array_equal(loaded.predict(X_test), model.predict(X_test))
    np.testing.assert_array_equal(loaded.predict_proba(X_test), model.predict_proba(X_test))
