"""The documented helper names, behind the doors in `src/`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray
    from sklearn.linear_model import LogisticRegression

    Labels = NDArray[np.int64] | NDArray[np.str_]

ROOT = Path(__file__).resolve().parents[2]
"""The project's root, where the package runs from its checkout."""


def load_config(path: str | Path = "config/config.json") -> dict[str, Any]:
    """Read and check a config: a plain dict that holds `C`, `solver`, `max_iter` and every default.

    A relative path is looked for in the working folder, then in the project's root.

    Raises:
        ConfigError: with every problem of the file, each with its line and column.
    """
    from artifact_pipeline import config

    path = Path(path)
    if not path.is_absolute() and not path.exists() and (ROOT / path).exists():
        path = ROOT / path
    return config.plain(config.load_config(path))


def load_data() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The digits: `X` float64 of shape (1797, 64) with values 0 to 16, `y` int64 of shape (1797,) with 0 to 9."""
    from artifact_pipeline.plugins import data_set

    rows = data_set("digits").load()
    return rows.X.copy(), rows.y.astype("int64")


def load_digits_data(
    test_size: float = 0.2, random_state: int = 42
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """The digits, split as the pipeline splits them: `X_train, X_test, y_train, y_test`.

    Args:
        test_size: the share of rows to hold out, between 0 and 1.
        random_state: the seed of the split.

    Raises:
        DataRejected: a side of the split would be empty.
    """
    from artifact_pipeline.training.splits import random_split

    X, y = load_data()
    train, held_out = random_split(y, test_size=test_size, random_state=random_state, stratify=False)
    return X[train], X[held_out], y[train], y[held_out]


def train_model(X: NDArray[np.float64], y: Labels, config: Mapping[str, Any]) -> LogisticRegression:
    """Fit a `LogisticRegression`, with one BLAS thread.

    Args:
        X: float64 of shape (rows, features).
        y: labels of shape (rows,).
        config: a mapping with at least `C`, `solver` and `max_iter`.

    Raises:
        ConfigError: with every problem of the mapping, or the solver cannot learn so many classes.
        DataRejected: scikit-learn refuses the rows.
    """
    import warnings

    import numpy as np

    from artifact_pipeline.config import from_mapping
    from artifact_pipeline.training.estimators import build
    from artifact_pipeline.training.fitting import fit_by_one_thread

    # The rows are the caller's own, not the digits: their labels decide which solvers are allowed.
    own = {"path": "rows", "target": "label"}
    estimator: LogisticRegression = build(from_mapping({**config, "dataset": own}), np.unique(y).tolist())
    _, others = fit_by_one_thread(estimator, X, y)
    for warning in others:
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return estimator


def evaluate_model(model: Any, X: NDArray[np.float64], y: Labels) -> tuple[float, float]:
    """Accuracy and weighted F1 of a fitted classifier, each 0 to 1.

    Args:
        model: anything with `predict`.
        X: float64 of shape (rows, features).
        y: the actual labels, of shape (rows,).
    """
    import numpy as np

    from artifact_pipeline.metrics import classification as metrics

    predicted = model.predict(X)
    labels = np.unique(np.concatenate([y, predicted]))
    actual, answers = (np.searchsorted(labels, each) for each in (y, predicted))
    confusion = metrics.confusion_matrix(actual, answers, len(labels))
    return metrics.accuracy(confusion), float(metrics.weighted_f1(confusion))


def save_model(model: LogisticRegression, path: str | Path) -> None:
    """Write a fitted `LogisticRegression` as a pickle, whole or not at all.

    Raises:
        StorageError: the file cannot be written; what stood there still stands.
    """
    from artifact_pipeline.files import write_atomic
    from artifact_pipeline.pickles import export_bytes

    write_atomic(Path(path), export_bytes(model))


def load_model(path: str | Path = ROOT / "model_train.pkl") -> LogisticRegression:
    """Read a fitted `LogisticRegression` from a pickle or joblib file, without unpickling anything.

    By default it is the one that `python src/train.py` writes, in the project's root.

    Raises:
        ArtifactRejected: the file is missing, or is anything but a plain fitted `LogisticRegression`.
    """
    from artifact_pipeline import pickles

    return pickles.load_model(Path(path))
