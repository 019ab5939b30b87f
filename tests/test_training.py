from __future__ import annotations

import hashlib
import json
import os
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from threadpoolctl import threadpool_info, threadpool_limits

from artifact_pipeline.cli import main
from artifact_pipeline.config import from_mapping
from artifact_pipeline.config.models import MANY_CLASS_SOLVERS
from artifact_pipeline.errors import ConfigError, DataRejected
from artifact_pipeline.model.check import numbers_of
from artifact_pipeline.runtime import KERNEL_VARIABLE
from artifact_pipeline.training.dataset import Dataset
from artifact_pipeline.training.estimators import build
from artifact_pipeline.training.fitting import fit_by_one_thread
from artifact_pipeline.training.scales import Scales
from tables import write_table

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from artifact_pipeline.config import Config
    from artifact_pipeline.training.sealed import Candidate

X, y = load_digits(return_X_y=True)
FEW = slice(300)
"""Enough rows to learn from where a test is not about the rows."""

BARE = """
import hashlib
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
X, y = load_digits(return_X_y=True)
X, _, y, _ = train_test_split(X, y, test_size=0.2, random_state=42)
model = LogisticRegression(C=1.0, solver="lbfgs", max_iter=1000).fit(X, y)
print(hashlib.sha256(model.coef_.tobytes() + model.intercept_.tobytes()).hexdigest())
"""


def config(**changed: Any) -> Any:
    return from_mapping({"C": 1.0, "solver": "lbfgs", "max_iter": 1000, **changed})


def fit(X: Any, y: np.ndarray, config: Config) -> tuple[LogisticRegression, bool]:
    """The estimator of a config, fitted on rows, and whether it converged."""
    estimator = build(config, np.unique(y).tolist())
    converged, _ = fit_by_one_thread(estimator, X, y)
    return estimator, converged


def blas_threads() -> set[int]:
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


@pytest.mark.slow
def test_numbers_are_those_of_a_bare_script(
    candidate: Candidate, run: Callable[..., subprocess.CompletedProcess]
) -> None:
    """The published numbers are, bit for bit, those of scikit-learn in a bare script, pinned alike."""
    pinned = {"OPENBLAS_NUM_THREADS": "1"}
    if KERNEL_VARIABLE in os.environ:
        pinned[KERNEL_VARIABLE] = os.environ[KERNEL_VARIABLE]
    bare = run("-c", BARE, env=pinned)

    numbers = numbers_of(candidate.members["model.onnx"], candidate.manifest.model)
    ours = hashlib.sha256(numbers["classifier.coefficients"][2] + numbers["classifier.intercepts"][2]).hexdigest()
    assert bare.stdout.strip() == ours, bare.stderr


class Rows:
    """Rows that look, when scikit-learn takes them inside its fit, at how many threads BLAS has."""

    shape = X[FEW].shape
    seen: set[int]

    def __len__(self) -> int:
        return len(X[FEW])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:  # noqa: FBT001
        self.seen = blas_threads()
        return np.array(X[FEW], dtype=dtype)


def test_blas_has_one_thread_during_the_fit_and_what_it_had_afterwards() -> None:
    """During the fit BLAS has one thread, even where a caller has given it two, who has them again afterwards."""
    rows = Rows()
    with threadpool_limits(2, "blas"):
        assert blas_threads() == {2}
        fit(rows, y[FEW], config(max_iter=100_000))
        assert rows.seen == {1}
        assert blas_threads() == {2}


def test_threads_are_given_back_where_the_fit_is_refused() -> None:
    """A refused fit gives the threads back too."""
    with threadpool_limits(2, "blas"):
        with pytest.raises(DataRejected):
            fit(X[FEW], np.zeros(300, dtype=int), config())
        assert blas_threads() == {2}


@pytest.mark.parametrize("solver", MANY_CLASS_SOLVERS)
def test_each_solver_learns_ten_classes(solver: str) -> None:
    """Each solver that the config allows for ten classes fits them."""
    estimator, converged = fit(X[FEW], y[FEW], config(solver=solver, max_iter=5000))
    assert converged
    assert accuracy_score(y[FEW], estimator.predict(X[FEW])) > 0.99


def test_liblinear_learns_two_classes() -> None:
    """Where there are two classes, liblinear fits them."""
    two = y < 2
    table = {"path": "rows.csv", "target": "kind"}
    estimator, _ = fit(X[two], y[two], config(solver="liblinear", dataset=table))
    assert accuracy_score(y[two], estimator.predict(X[two])) > 0.99


def test_liblinear_is_refused_ten_classes() -> None:
    """Rows of ten classes are refused to liblinear before the fit, and the solvers that can are named."""
    with pytest.raises(ConfigError) as caught:
        fit(X[FEW], y[FEW], config(solver="liblinear", dataset={"path": "rows.csv", "target": "kind"}))
    assert caught.value.rules == {"not-allowed"}
    assert "these rows have 10" in str(caught.value)
    assert "lbfgs" in caught.value.hint


def test_a_fit_that_did_not_converge_is_recorded_without_a_warning() -> None:
    """A fit that `max_iter` stopped says so in its result; scikit-learn's own warning is not repeated."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimator, converged = fit(X[FEW], y[FEW], config(max_iter=3))
    assert not converged
    assert estimator.n_iter_.max() == 3
    assert caught == []


def test_other_warnings_are_returned() -> None:
    """Every other warning of the fit is returned to the caller, and shown by no one else."""

    class Warns(Rows):
        def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:  # noqa: FBT001
            warnings.warn("the rows are tired", UserWarning, stacklevel=1)
            return super().__array__(dtype, copy)

    _, others = fit_by_one_thread(build(config(), list(range(10))), Warns(), y[FEW])
    assert {(str(each.message), each.filename) for each in others} == {("the rows are tired", __file__)}


def test_a_fit_that_is_not_finite_is_refused() -> None:
    """Numbers that are not finite are no model."""
    with np.errstate(all="ignore"), pytest.raises(DataRejected) as caught:
        fit(X[FEW], y[FEW], config(solver="newton-cg", C=1e-300, max_iter=5))
    assert caught.value.rules == {"fit-not-finite"}


def test_a_fit_that_divides_by_zero_is_refused() -> None:
    """Where scikit-learn's sag divides by zero, the rows are refused in its words."""
    with pytest.raises(DataRejected) as caught:
        fit(X[FEW], y[FEW], config(solver="sag", C=1e-300))
    assert caught.value.rules == {"unlearnable"}


@pytest.mark.parametrize(
    "rows",
    [
        (X[FEW], np.zeros(300, dtype=int)),
        (np.where(X[FEW] == 7, np.nan, X[FEW]), y[FEW]),
        (X[FEW], y[:299]),
        (X[FEW], np.linspace(0, 1, 300)),
    ],
    ids=["one class", "NaN", "a label too few", "no classes"],
)
def test_rows_that_scikit_learn_refuses_are_refused(rows: tuple[np.ndarray, np.ndarray]) -> None:
    """What scikit-learn refuses to fit is refused in its words, as bad data."""
    with pytest.raises(DataRejected) as caught:
        fit(*rows, config())
    assert caught.value.rules == {"unlearnable"}
    assert caught.value.hint


@pytest.mark.slow
def test_the_door_says_that_the_fit_did_not_converge(checkout: Path, run: Callable[..., Any]) -> None:
    """`python src/train.py` says on standard error that the fit did not converge, and which option mends it."""
    low = ("-S", "gate.min_accuracy=0", "-S", "gate.min_f1=0")
    done = run(checkout / "src" / "train.py", "-S", "max_iter=5", *low)
    assert done.returncode == 0, done.stderr
    assert "did not converge in 5 iterations" in done.stderr
    assert "-S max_iter=50" in done.stderr
    assert "ConvergenceWarning" not in done.stderr


@pytest.mark.parametrize("solver", ["lbfgs", "saga", "newton-cg"])
def test_columns_on_other_scales_are_told_to_a_fit_that_does_not_converge(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], solver: str
) -> None:
    """The two columns whose scales are furthest apart are named with their ratio, and the mend mends it."""
    random = np.random.default_rng(3)
    centre = np.repeat([-1.0, 1.0], 100)
    columns = {"still": np.ones(200), "metres": 1e4 * (centre + random.normal(size=200))}
    columns |= {"share": 1e-2 * (centre + random.normal(size=200)), "label": np.repeat(["a", "b"], 100)}
    path = write_table(tmp_path / "rows.parquet", columns)
    places = ["--artifact", str(tmp_path / "artifact"), "--export", str(tmp_path / "model_train.pkl")]
    asked = {"C": 1.0, "solver": solver, "max_iter": 2, "preprocess": "none", "split": {"by": "random"}}
    text = json.dumps({**asked, "dataset": {"path": str(path), "target": "label"}})
    (tmp_path / "config.json").write_text(text)
    train = ["train", "--config", str(tmp_path / "config.json"), *places]
    assert main(train) in {0, 3}
    (warning,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: the fit")]
    rows = Dataset.load(from_mapping(json.loads(text)))
    wide, narrow = rows.X[rows.train][:, 1].std(), rows.X[rows.train][:, 2].std()
    assert f"did not converge in 2 iterations; the standard deviation of 'metres' ({wide:.3g})" in warning
    assert f" is {wide / narrow:,.0f} times that of 'share' ({narrow:.3g}): " in warning
    assert warning.endswith("-S preprocess=auto scales the columns")
    assert main([*train, "-S", "preprocess=auto", "-S", "max_iter=100"]) == 0
    assert "did not converge" not in capsys.readouterr().err


def test_scales_that_are_alike_are_not_told() -> None:
    """Columns within a factor of a thousand, and columns that never change, are no reason."""
    assert Scales.furthest(X[FEW], [f"pixel {index}" for index in range(64)]) is None
    assert Scales.furthest(np.ones((5, 2)), ["a", "b"]) is None
    still = np.column_stack([np.full(9, 0.1), np.arange(9.0)])
    assert still.std(axis=0)[0] > 0
    assert Scales.furthest(still, ["a", "b"]) is None
    assert Scales.furthest(np.array([[0.0, 0.0], [1.0, 999.0]]), ["a", "b"]) is None
    found = Scales.furthest(np.array([[0.0, 0.0], [1.0, 1000.0]]), ["a", "b"])
    assert found == Scales("b", "a", 500.0, 0.5)
    assert found.ratio == 1000


def test_the_estimator_is_scikit_learns_own() -> None:
    """What is fitted is a plain `LogisticRegression`, with the config's parameters and no others."""
    estimator, _ = fit(X[FEW], y[FEW], config(C=0.5, max_iter=500, random_state=7))
    assert type(estimator) is LogisticRegression
    assert estimator.get_params() == LogisticRegression(C=0.5, max_iter=500, random_state=7).get_params()
