"""Training: a section of the config and rows become a fitted estimator."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from artifact_pipeline.errors import ConfigError, DataRejected, Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sklearn.linear_model import LogisticRegression

    from artifact_pipeline.config import Config


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


def fit(X: NDArray[np.float64], y: NDArray[np.int64] | NDArray[np.str_], config: Config) -> Fitted:
    """Fit the estimator that the config describes, with one BLAS thread.

    Args:
        X: float64 of shape (rows, features).
        y: labels of shape (rows,).
        config: `C`, `solver`, `max_iter` and `random_state` are used.

    Raises:
        ConfigError: the solver cannot learn so many classes.
        DataRejected: scikit-learn refuses the rows (a single class, say).
    """
    import numpy as np
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    classes = len(np.unique(y))
    if config.solver == "liblinear" and classes > 2:
        message = f"solver: liblinear fits two classes, these rows have {classes}"
        raise ConfigError(
            "the solver cannot learn these rows",
            problems=[Problem("config", "not-allowed", message)],
            hint="use lbfgs, newton-cg, newton-cholesky, sag or saga",
        )
    estimator = LogisticRegression(
        C=config.C, solver=config.solver, max_iter=config.max_iter, random_state=config.random_state
    )
    # Two threads on a fit this small fight over it: 0.07 s of CPU become 8 s, and the last bits change.
    with threadpool_limits(1, "blas"), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            estimator.fit(X, y)
        except (ValueError, ArithmeticError) as error:  # sag divides by zero where C is tiny
            problem = Problem("rows", "unlearnable", str(error).splitlines()[0].removesuffix("."))
            raise DataRejected("the rows cannot be learned", problems=[problem]) from error
    if not (np.isfinite(estimator.coef_).all() and np.isfinite(estimator.intercept_).all()):
        message = f"the fit with C={config.C} and solver={config.solver} gave numbers that are not finite"
        raise DataRejected(
            "the rows cannot be learned",
            problems=[Problem("rows", "fit-not-finite", message)],
            hint="use another solver, or a C nearer to 1",
        )
    stopped = False
    for warning in caught:
        if issubclass(warning.category, ConvergenceWarning):
            stopped = True
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return Fitted(estimator=estimator, iterations=int(np.max(estimator.n_iter_)), converged=not stopped)
