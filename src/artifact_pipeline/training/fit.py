"""The fit: parameters of the config and rows become a fitted estimator."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from artifact_pipeline.config.models import LogisticRegression as Logistic
from artifact_pipeline.errors import ConfigError, DataRejected, Problem
from artifact_pipeline.training.estimators import build
from artifact_pipeline.training.fitting import fit_by_one_thread

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from sklearn.linear_model import LogisticRegression

    from artifact_pipeline.config import Config

_UNSCALED = 1000
"""Two columns whose standard deviations are this many times apart slow a solver down."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted estimator, and how the fit went.

    Attributes:
        estimator: the fitted `LogisticRegression`.
        iterations: how many iterations the solver took; for several fits in one, the most.
        converged: whether the solver stopped by its own rule, not by `max_iter`.
    """

    estimator: LogisticRegression
    iterations: int
    converged: bool

    @property
    def intercepts(self) -> NDArray[np.float64]:
        """One for each row of `coef_`; liblinear leaves a single 0.0 where it fitted none."""
        import numpy as np

        found = np.asarray(self.estimator.intercept_, dtype=np.float64)
        return found if found.shape else np.full(len(self.estimator.coef_), found)


def fit(X: NDArray[np.float64], y: NDArray[np.int64] | NDArray[np.str_], config: Config) -> Fitted:
    """Return the estimator that the config describes, fitted with one BLAS and one OpenMP thread.

    Args:
        X: float64 of shape (rows, features).
        y: labels of shape (rows,).
        config: the parameters of the estimator are used.

    Raises:
        ConfigError: the solver cannot learn so many classes, or `class_weight` names a label that `y` does not have.
        DataRejected: scikit-learn refuses the rows (a single class, say).
    """
    import numpy as np

    labels = np.unique(y).tolist()
    model = config.model
    assert isinstance(model, Logistic)
    if model.solver == "liblinear" and len(labels) > 2:
        message = f"solver: liblinear fits two classes, these rows have {len(labels)}"
        raise ConfigError(
            "the solver cannot learn these rows",
            problems=[Problem("config", "not-allowed", message)],
            hint="use lbfgs, newton-cg, newton-cholesky, sag or saga",
        )
    estimator = build(config, labels)
    converged, others = fit_by_one_thread(estimator, X, y)
    if not (np.isfinite(estimator.coef_).all() and np.isfinite(estimator.intercept_).all()):
        message = f"the fit with C={model.C} and solver={model.solver} gave numbers that are not finite"
        raise DataRejected(
            "the rows cannot be learned",
            problems=[Problem("rows", "fit-not-finite", message)],
            hint="use another solver, or a C nearer to 1",
        )
    for warning in others:
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return Fitted(estimator=estimator, iterations=int(np.max(estimator.n_iter_)), converged=converged)


@dataclass(frozen=True, slots=True)
class Scales:
    """The two columns whose scales are furthest apart.

    Attributes:
        wide: the column with the largest standard deviation.
        narrow: the one with the smallest, of those that vary at all.
        wide_deviation: the largest standard deviation.
        narrow_deviation: the smallest.
    """

    wide: str
    narrow: str
    wide_deviation: float
    narrow_deviation: float

    @property
    def ratio(self) -> float:
        """How many times the one is the other."""
        return self.wide_deviation / self.narrow_deviation

    @classmethod
    def furthest(cls, X: NDArray[np.float64], names: Sequence[str]) -> Scales | None:
        """Return the two columns whose scales are furthest apart; None where that is less than `_UNSCALED` times.

        Args:
            X: the training rows, float64 of shape (rows, features).
            names: the names of the columns.
        """
        import numpy as np

        with np.errstate(over="ignore", invalid="ignore"):
            deviations = np.std(X, axis=0)
        # Rounding can give a column that never changes a deviation a little above 0.
        varying = np.flatnonzero((X[:1] != X).any(axis=0) & (deviations > 0) & np.isfinite(deviations))
        if not varying.size:
            return None
        wide, narrow = varying[deviations[varying].argmax()], varying[deviations[varying].argmin()]
        if deviations[wide] < _UNSCALED * deviations[narrow]:
            return None
        return cls(names[wide], names[narrow], float(deviations[wide]), float(deviations[narrow]))
