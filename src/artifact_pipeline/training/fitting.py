"""The fit of a model of any family: an unfitted classifier and typed rows become a fitted one, by one thread."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import local
from typing import TYPE_CHECKING, Any

from artifact_pipeline.artifact.manifest2 import WrittenModel
from artifact_pipeline.errors import DataRejected, Problem
from artifact_pipeline.rows.features import Features, are_plain_numbers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from artifact_pipeline.rows.features import Column

_THREAD = local()
_SCALERS = frozenset({"StandardScaler", "MinMaxScaler", "RobustScaler"})
"""Steps that learn numbers of each column alone."""
_LARGE_VALUES = 1 << 20
"""Values of a table from which on no scaled copy of it is made."""
_SAMPLE_ROWS = 2
"""Rows of the small table on which the steps are fitted then, to learn the names of the columns."""


@dataclass(frozen=True, slots=True)
class FittedModel:
    """A fitted classifier of any family, and how the fit went.

    Attributes:
        model: the classifier, or the `Pipeline` that ends in it.
        columns: the columns that it was fitted on.
        fit: how many iterations it took, and whether it converged; None where the estimator does not say.
        notes: the warnings of scikit-learn.
    """

    model: Any
    columns: tuple[Column, ...]
    fit: WrittenModel.Fit | None
    notes: tuple[str, ...] = ()

    @property
    def classifier(self) -> Any:
        """The classifier itself."""
        return _classifier_of(self.model)

    @property
    def labels(self) -> tuple[int | str, ...]:
        """The labels that it answers with, as the artifact has them."""
        return tuple(self.classifier.classes_.tolist())

    @property
    def order(self) -> tuple[str, ...] | None:
        """The names of all columns that it was fitted on, in their order; None where the model knows them."""
        return None

    @property
    def converged(self) -> bool:
        """Whether the solver stopped by its own rule; true where there is none."""
        return self.fit is None or self.fit.converged

    def inputs(self, features: Features) -> Any:
        """Rows as the model takes them: a matrix, or a table with the columns' names."""
        return frame(features, self.columns) if hasattr(self.model, "named_steps") else features.X


def _classifier_of(model: Any) -> Any:
    """The last step of a pipeline, or of one that ends it; a model alone is its own."""
    while hasattr(model, "named_steps"):
        model = model.steps[-1][1]
    return model


def last_step(model: Any, rows: Any) -> tuple[Any, Any]:
    """Return the classifier that ends a fitted model, and rows as it takes them, prepared by the steps before it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the fit has given them
        while hasattr(model, "named_steps"):
            rows = model[:-1].transform(rows) if len(model) > 1 else rows
            model = model.steps[-1][1]
    return model, rows


def frame(features: Features, columns: Sequence[Column]) -> pa.Table:
    """Return rows as a table with names, which a scikit-learn `ColumnTransformer` takes."""
    import pyarrow as pa

    numbers, texts = iter(features.numbers_by_column()), iter(features.S.T)
    arrays = [
        pa.array(next(texts), pa.string()) if each.kind == "category" else pa.array(next(numbers)) for each in columns
    ]
    return pa.Table.from_arrays(arrays, [each.name for each in columns])


def fit_model(
    model: Any,
    columns: Sequence[Column],
    features: Features,
    y: NDArray[np.int64] | NDArray[np.str_],
    *,
    jobs: int = 1,
) -> FittedModel:
    """Fit a classifier, or a pipeline that ends in one, with one BLAS and one OpenMP thread.

    Args:
        model: unfitted; it is fitted in place.
        columns: the columns of the rows.
        features: the training rows.
        y: their labels, of shape (rows,).
        jobs: how many parts of the model are fitted at a time, where it has such parts; no bit depends on it.

    Raises:
        DataRejected: scikit-learn refuses the rows.
    """
    import numpy as np

    fitted = FittedModel(model, tuple(columns), None)
    if features.X.size >= _LARGE_VALUES and _only_scales(model, columns):
        given = [features.X]
        del features  # where the caller lets go of them too, they are not held while the model is fitted
        with _fitting(jobs) as caught:
            fitted.classifier.fit(_scaled(model, columns, given.pop()), y)
    else:
        inputs = fitted.inputs(features)
        del features
        with _fitting(jobs) as caught:
            model.fit(inputs, y)
    converged, others = _check_fit(model, caught)
    messages = dict.fromkeys(str(each.message) for each in others)
    iterations = getattr(fitted.classifier, "n_iter_", None)
    fit = None
    if iterations is not None:
        fit = WrittenModel.Fit(iterations=int(np.max(iterations)), converged=converged)
    return replace(fitted, fit=fit, notes=tuple(f"scikit-learn warns: {each}" for each in messages))


def fit_by_one_thread(
    estimator: Any, X: Any, y: NDArray[np.int64] | NDArray[np.str_]
) -> tuple[bool, list[warnings.WarningMessage]]:
    """Fit an estimator in place with one BLAS and one OpenMP thread.

    More threads change the last bits of a linear model; and they fight over a small fit: 0.07 s of CPU become 8 s.

    Returns:
        Whether it converged, and what else it warned of.

    Raises:
        DataRejected: scikit-learn refuses the rows.
    """
    with _fitting(jobs=1) as caught:
        estimator.fit(X, y)
    return _check_fit(estimator, caught)


@contextmanager
def _fitting(jobs: int) -> Iterator[list[warnings.WarningMessage]]:
    """Fit in this block with one BLAS and one OpenMP thread in each job; yields the warnings of the fit."""
    with one_thread(), _parallel(jobs), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield caught
        except (ValueError, ArithmeticError, AttributeError) as error:  # sag divides by zero where C is tiny
            problem = Problem("rows", "unlearnable", str(error).splitlines()[0].removesuffix("."))
            hint = "train another classifier, or change its parameters or preprocess by what scikit-learn says"
            raise DataRejected("the rows cannot be learned", problems=[problem], hint=hint) from error


def _check_fit(estimator: Any, caught: list[warnings.WarningMessage]) -> tuple[bool, list[warnings.WarningMessage]]:
    """Check the numbers of a fitted estimator; return whether it converged, and its other warnings."""
    from sklearn.exceptions import ConvergenceWarning

    _check_finite(estimator)
    others = [each for each in caught if not issubclass(each.category, ConvergenceWarning)]
    return len(others) == len(caught), others


def _only_scales(model: Any, columns: Sequence[Column]) -> bool:
    """Whether a model is a pipeline that scales numbers, of which none may be missing, before its classifier."""
    if not hasattr(model, "named_steps") or not are_plain_numbers(columns):
        return False
    ((_, steps, _),) = model.named_steps["columns"].transformers
    return hasattr(steps, "named_steps") and all(type(step).__name__ in _SCALERS for _, step in steps.steps)


def _scaled(model: Any, columns: Sequence[Column], X: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fit the scalers of a model, and return the rows that they have scaled.

    scikit-learn copies a table at each step, and holds the table meanwhile. So the table has a few rows, of which the
    steps learn the columns' names, and each scaler then learns its numbers from all rows, as a matrix.
    """
    from sklearn import clone

    choice = model.named_steps["columns"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the whole gives them
        choice.fit(frame(Features.of_numbers(X[:_SAMPLE_ROWS]), columns))
    for _, step in choice.named_transformers_["number"].steps:
        whole = clone(step)
        X = whole.fit_transform(X)
        vars(step).update(vars(whole))
    return X


@contextmanager
def one_thread() -> Iterator[None]:
    """Give BLAS and OpenMP one thread in this block; inside another such block it does nothing.

    To find the libraries takes milliseconds, which counts where hundreds of small models are fitted. What is imported
    inside the block is not limited, so import before it.
    """
    from threadpoolctl import threadpool_limits

    if getattr(_THREAD, "inside", False):
        yield
        return
    with threadpool_limits(1):
        _THREAD.inside = True
        try:
            yield
        finally:
            _THREAD.inside = False


@contextmanager
def _parallel(jobs: int) -> Iterator[None]:
    """Let scikit-learn fit so many parts of an estimator at a time in this block, wherever it can, with the same bits.

    By threads: what processes give back is a copy, and a pickle of copies has other bytes. Each thread has a number of
    OpenMP threads of its own, so each is limited when it begins. No parameter of the estimator says how many they are.
    """
    if jobs == 1:
        yield
        return
    from multiprocessing.pool import ThreadPool

    from joblib import parallel_config
    from joblib.parallel import ThreadingBackend
    from threadpoolctl import threadpool_limits

    class Limited(ThreadingBackend):  # type: ignore[misc] # joblib has no types
        """Threads with one OpenMP thread each."""

        _pool: ThreadPool | None

        def _get_pool(self) -> ThreadPool:
            if self._pool is None:
                self._pool = ThreadPool(self._n_jobs, initializer=threadpool_limits, initargs=(1,))
            return self._pool

    with parallel_config(backend=Limited(), n_jobs=jobs):
        yield


def _check_finite(estimator: Any) -> None:
    """Check the numbers of a linear model: some solvers end in infinity without a word."""
    import numpy as np

    classifier = _classifier_of(estimator)
    for name in ("coef_", "intercept_"):
        if not np.isfinite(np.asarray(getattr(classifier, name, 0.0), dtype=np.float64)).all():
            message = f"the fit of {type(classifier).__name__} gave numbers that are not finite"
            problem = Problem("rows", "fit-not-finite", message)
            raise DataRejected(
                "the rows cannot be learned", problems=[problem], hint="use another solver, or a C nearer to 1"
            )
