from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC
from src.utils import (
    evaluate_model,
    load_config,
    load_data,
    load_digits_data,
    load_model,
    save_model,
    train_model,
)

from artifact_pipeline.config import Gate
from artifact_pipeline.errors import ArtifactRejected, ConfigError, DataRejected, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[1]
X, y = load_digits(return_X_y=True)
THREE = {"C": 1.0, "solver": "lbfgs", "max_iter": 1000}

DOCUMENTED = {
    "train": {
        "main": "(argv=None)",
        "load_config": "(path='config/config.json')",
        "load_data": "()",
        "train_model": "(X, y, config)",
        "evaluate_model": "(model, X, y)",
        "save_model": "(model, path)",
        "load_model": f"(path={ROOT / 'model_train.pkl'!r})",
    },
    "inference": {"main": "(argv=None)", "load_model": f"(path={ROOT / 'model_train.pkl'!r})"},
    "utils": {
        "load_config": "(path='config/config.json')",
        "load_data": "()",
        "load_digits_data": "(test_size=0.2, random_state=42)",
        "train_model": "(X, y, config)",
        "evaluate_model": "(model, X, y)",
        "save_model": "(model, path)",
        "load_model": f"(path={ROOT / 'model_train.pkl'!r})",
    },
}


def plain_signature(function: Callable[..., object]) -> str:
    """The signature without its types."""
    empty = inspect.Parameter.empty
    signature = inspect.signature(function)
    parameters = [each.replace(annotation=empty) for each in signature.parameters.values()]
    return str(signature.replace(parameters=parameters, return_annotation=empty))


@pytest.mark.parametrize("door", DOCUMENTED)
def test_each_door_has_its_documented_names(door: str) -> None:
    """Each door has the documented names with their signatures, and exports no other."""
    module = importlib.import_module(f"src.{door}")
    assert {name: plain_signature(getattr(module, name)) for name in module.__all__} == DOCUMENTED[door]


@pytest.mark.parametrize("door", DOCUMENTED)
def test_doors_open_from_the_root_and_from_src(door: str, checkout: Path, run: Callable[..., Any]) -> None:
    """`from src.train import …` works from the root, and `from train import …` with `src/` on the path."""
    names = ", ".join(DOCUMENTED[door])
    root = run("-c", f"from src.{door} import {names}", cwd=checkout)
    assert root.returncode == 0, root.stderr
    elsewhere = checkout / "config"
    path = {"PYTHONPATH": str(checkout / "src")}
    on_path = run(
        "-c", f"from {door} import {names}; import artifact_pipeline as p; print(p.__file__)", cwd=elsewhere, env=path
    )
    assert on_path.returncode == 0, on_path.stderr
    assert Path(on_path.stdout.strip()).is_relative_to(checkout)


def test_config_is_a_plain_dict_with_every_default() -> None:
    """`load_config` gives a plain dict: the three keys as the file has them, and the defaults of all the others."""
    config = load_config(ROOT / "config" / "config.json")
    assert type(config) is dict
    assert {key: config[key] for key in THREE} == THREE
    others = dict.fromkeys(Gate.model_fields) | {"beats_baseline": False, "margin": 0.02, "on_inconclusive": "fail"}
    assert config["gate"] == {**others, "min_accuracy": 0.95, "min_f1": 0.95}
    assert (config["dataset"], config["test_size"], config["random_state"]) == ("digits", 0.2, 42)
    assert "$schema" not in config


@pytest.mark.parametrize("path", ["config/config.json", Path("config/config.json")])
def test_config_is_found_from_any_folder(path: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The documented relative path is found in the project's root from any folder, and first in the working folder."""
    monkeypatch.chdir(tmp_path)
    assert load_config(path) == load_config() == load_config(ROOT / "config" / "config.json")
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.json").write_text('{"C": 7, "solver": "saga", "max_iter": 5}')
    assert load_config(path)["C"] == 7.0


def test_a_missing_or_bad_config_is_refused(tmp_path: Path) -> None:
    """A config that is not there, or says nonsense, is a `ConfigError` that names the file."""
    bad = tmp_path / "bad.json"
    bad.write_text('{"C": -1, "solver": "lbfgs", "max_iter": "many"}')
    for path, problems in ((tmp_path / "missing.json", 1), (bad, 2)):
        with pytest.raises(ConfigError) as caught:
            load_config(path)
        assert [path.name in problem.place for problem in caught.value.problems] == [True] * problems


def test_data_is_the_callers_own() -> None:
    """`load_data` gives scikit-learn's digits, in arrays that the caller may change for himself alone."""
    features, labels = load_data()
    assert np.array_equal(features, X)
    assert np.array_equal(labels, y)
    features[:] = 0
    labels[:] = 0
    assert np.array_equal(load_data()[0], X)
    assert np.array_equal(load_data()[1], y)


@pytest.mark.parametrize("asked", [{}, {"test_size": 0.5}, {"random_state": 7}])
def test_split_data_is_train_test_splits(asked: dict[str, Any]) -> None:
    """`load_digits_data` gives X_train, X_test, y_train, y_test as `train_test_split` does."""
    expected = train_test_split(X, y, **{"test_size": 0.2, "random_state": 42, **asked})
    assert all(np.array_equal(*each) for each in zip(load_digits_data(**asked), expected, strict=True))


def test_three_keys_are_enough_to_train() -> None:
    """A config dict with only `C`, `solver` and `max_iter` trains the documented model, to the bit."""
    X_train, X_test, y_train, y_test = load_digits_data()
    model = train_model(X_train, y_train, THREE)
    assert type(model) is LogisticRegression
    assert model.score(X_test, y_test) == 0.975
    again = train_model(X_train, y_train, load_config())
    assert np.array_equal(again.coef_, model.coef_)


def test_a_loaded_config_trains() -> None:
    """What `load_config` gives is what `train_model` takes, whatever keys a caller changes."""
    model = train_model(X[:200], y[:200], {**load_config(), "C": 0.5, "solver": "newton-cg"})
    assert (model.C, model.solver) == (0.5, "newton-cg")


def test_liblinear_trains_on_a_callers_two_classes() -> None:
    """Rows given by hand need not be the digits: two classes are learned by liblinear, ten are refused."""
    model = train_model(X[y < 2], y[y < 2], {**THREE, "solver": "liblinear"})
    assert model.solver == "liblinear"
    with pytest.raises(ConfigError):
        train_model(X, y, {**THREE, "solver": "liblinear"})


@pytest.mark.parametrize(
    "config",
    [{}, {"C": 1.0}, {**THREE, "C": 0}, {**THREE, "max_iter": True}, {**THREE, "solver": "adam"}, {**THREE, "c": 1}],
)
def test_a_bad_config_dict_is_refused(config: dict[str, Any]) -> None:
    """A dict given by hand is checked like a file."""
    with pytest.raises(ConfigError):
        train_model(X[:200], y[:200], config)


def test_rows_that_cannot_be_learned_are_refused() -> None:
    """Rows of one class, and a split that leaves nothing, are `DataRejected`."""
    with pytest.raises(DataRejected):
        train_model(X[:10], np.zeros(10, dtype=int), THREE)
    with pytest.raises(DataRejected):
        load_digits_data(test_size=0.9999)


@pytest.mark.parametrize(
    "model", [LogisticRegression(max_iter=20), SVC(), DummyClassifier()], ids=lambda model: type(model).__name__
)
@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
def test_any_estimator_is_evaluated(model: Any) -> None:
    """`evaluate_model` gives scikit-learn's accuracy and weighted F1 for any fitted classifier."""
    model.fit(X[:300], y[:300])
    predicted = model.predict(X)
    expected = accuracy_score(y, predicted), f1_score(y, predicted, average="weighted")
    assert evaluate_model(model, X, y) == pytest.approx(expected, abs=1e-12)


def test_labels_that_only_one_side_has_are_evaluated() -> None:
    """Text labels, predicted ones that never occur and occurring ones that are never predicted, are all counted."""
    words = np.array(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])
    model = LogisticRegression(max_iter=5000).fit(X[y < 5], words[y[y < 5]])
    rows = y > 2
    predicted = model.predict(X[rows])
    expected = (
        accuracy_score(words[y[rows]], predicted),
        f1_score(words[y[rows]], predicted, average="weighted"),
    )
    assert evaluate_model(model, X[rows], words[y[rows]]) == pytest.approx(expected, abs=1e-12)


def test_a_model_is_saved_and_loaded(tmp_path: Path) -> None:
    """A saved model is loaded bit for bit, by `load_model` without unpickling, and by anybody's joblib."""
    model = train_model(X[:300], y[:300], THREE)
    path = tmp_path / "model.pkl"
    save_model(model, path)
    for loaded in (load_model(path), load_model(str(path)), joblib.load(path)):
        assert type(loaded) is LogisticRegression
        assert np.array_equal(loaded.coef_, model.coef_)
        assert np.array_equal(loaded.predict_proba(X), model.predict_proba(X))
    assert [each.name for each in tmp_path.iterdir()] == ["model.pkl"]


@pytest.mark.slow
def test_the_default_model_is_the_one_in_the_projects_root(checkout: Path, run: Callable[..., Any]) -> None:
    """`load_model()` reads the `model_train.pkl` that `python src/train.py` has written, from any folder."""
    code = "from train import load_data, load_model, main\nmain(['-q']); print(load_model().score(*load_data()))"
    elsewhere = {"cwd": checkout / "config", "env": {"PYTHONPATH": str(checkout / "src")}}
    done = run("-c", code, **elsewhere)
    assert done.stdout == f"{1788 / 1797}\n", done.stderr
    (checkout / "model_train.pkl").unlink()
    done = run("-c", "from inference import load_model; load_model()", **elsewhere)
    assert done.returncode == 1
    assert f"{checkout / 'model_train.pkl'}: no such file" in done.stderr


@pytest.mark.parametrize("weights", [{0: 1.0, 3: 5}, {"0": 1.0, "3": 5}])
def test_the_parameters_of_the_estimator_are_keys(weights: Any) -> None:
    """What a peer gives to LogisticRegression is taken by name, and fits what scikit-learn fits from it."""
    asked = {**THREE, "penalty": "l2", "tol": 1e-3, "fit_intercept": False, "class_weight": weights}
    model = train_model(X[:300], y[:300], asked)
    own = LogisticRegression(
        max_iter=1000, tol=1e-3, fit_intercept=False, class_weight={0: 1.0, 3: 5.0}, random_state=42
    )
    assert model.get_params() == own.get_params()
    assert np.allclose(model.coef_, own.fit(X[:300], y[:300]).coef_, atol=1e-2)


def test_saving_and_loading_are_refused_clearly(tmp_path: Path) -> None:
    """A folder that is not there is a `StorageError`, a model that is not there an `ArtifactRejected`."""
    with pytest.raises(StorageError):
        save_model(train_model(X[:300], y[:300], THREE), tmp_path / "missing" / "model.pkl")
    with pytest.raises(ArtifactRejected):
        load_model(tmp_path / "missing.pkl")


def test_no_name_imports_a_training_library_before_it_is_needed(run: Callable[..., Any]) -> None:
    """Importing the documented names loads neither scikit-learn nor NumPy."""
    done = run(
        "-c", "import src.utils, sys; print(sorted({'sklearn', 'numpy', 'onnxruntime'} & sys.modules.keys()))", cwd=ROOT
    )
    assert done.stdout == "[]\n", done.stderr
