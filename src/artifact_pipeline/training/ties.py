"""Rows with tied nearest neighbours: of training rows that are equally far, scikit-learn takes any.

Which one counts depends on the order in which a heap was filled. The written model takes the first of them, so it may
give such a row another answer than the estimator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

_EQUAL = 1e-9
"""Two distances whose difference is less than this share of them are equal: rounding may order them either way."""


def tied_rows(classifier: Any, rows: Any) -> NDArray[np.bool_] | bool:
    """Return for each row whether its answer depends on a tie of neighbours; False where no part of it has neighbours.

    Args:
        classifier: a fitted one; nearest neighbours may stand anywhere in it.
        rows: the rows as it takes them.
    """
    return _tied_rows(classifier, rows) if _has_neighbours(classifier) else False


def _has_neighbours(estimator: Any) -> bool:
    return type(estimator).__name__ == "KNeighborsClassifier" or any(map(_has_neighbours, _parts(estimator)))


def _tied_rows(estimator: Any, X: NDArray[np.float64]) -> NDArray[np.bool_]:
    import numpy as np

    if type(estimator).__name__ == "KNeighborsClassifier":
        count = estimator.n_neighbors
        if count == estimator.n_samples_fit_:
            return np.zeros(len(X), dtype=bool)
        far = estimator.kneighbors(X, count + 1)[0]
        return np.asarray(far[:, count] - far[:, count - 1] <= _EQUAL * far[:, count])
    found = np.zeros(len(X), dtype=bool)
    features = getattr(estimator, "estimators_features_", None)
    for position, part in enumerate(_parts(estimator)):
        if _has_neighbours(part):
            last = part is getattr(estimator, "final_estimator_", None)
            rows = estimator.transform(X) if last else X[:, features[position]] if features else X
            found |= _tied_rows(part, rows)
    return found


def _parts(estimator: Any) -> Iterator[Any]:
    """The fitted classifiers in a classifier; of trees there is none."""
    inner = getattr(estimator, "estimators_", ())
    yield from inner if isinstance(inner, list) else ()
    yield from (each.estimator for each in getattr(estimator, "calibrated_classifiers_", ()))
    if hasattr(estimator, "final_estimator_"):
        yield estimator.final_estimator_
