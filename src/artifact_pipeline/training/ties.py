"""Rows whose answer is a tie inside a classifier, so that the estimator and the written model may answer them unlike.

Of training rows that are equally far, nearest neighbours of scikit-learn take any, by the order in which a heap was
filled; the written model takes the first of them. Where a row is equally far from two classes, rounding decides which
of them gets the vote of a support vector machine.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

    TiesOf = Callable[[Any, Any], NDArray[np.bool_]]

_EQUAL = 1e-9
"""Distances that differ by less than this share of them are equal, as are two classes with a lower score."""


def tied_neighbours(classifier: Any, rows: Any) -> NDArray[np.bool_] | bool:
    """Return for each row whether its answer depends on a tie of neighbours; False where no part of it has neighbours.

    Args:
        classifier: a fitted one; nearest neighbours may stand anywhere in it.
        rows: the rows as it takes them.
    """
    return _ties(classifier, rows, {"KNeighborsClassifier": _equal_distances})


def tied_votes(classifier: Any, rows: Any) -> NDArray[np.bool_] | bool:
    """Return for each row whether rounding decides a vote between two classes; False where no part of it votes so."""
    return _ties(classifier, rows, {"SVC": _equal_votes, "NuSVC": _equal_votes})


def _equal_distances(neighbours: Any, X: NDArray[np.float64]) -> NDArray[np.bool_]:
    import numpy as np

    count = neighbours.n_neighbors
    if count == neighbours.n_samples_fit_:
        return np.zeros(len(X), dtype=bool)
    far = neighbours.kneighbors(X, count + 1)[0]
    return np.asarray(far[:, count] - far[:, count - 1] <= _EQUAL * far[:, count])


def _equal_votes(machine: Any, X: NDArray[np.float64]) -> NDArray[np.bool_]:
    import numpy as np

    if len(machine.classes_) == 2:  # no votes: the one score has no step
        return np.zeros(len(X), dtype=bool)
    scores = copy(machine).set_params(decision_function_shape="ovo").decision_function(X)
    return np.asarray((np.abs(scores) <= _EQUAL).any(axis=1))


def _ties(classifier: Any, X: Any, kinds: Mapping[str, TiesOf]) -> NDArray[np.bool_] | bool:
    """Return the ties of a classifier and of those in it, by the function for each kind; False where it has none."""
    import numpy as np

    if (ties_of := kinds.get(type(classifier).__name__)) is not None:
        return ties_of(classifier, X)
    found: NDArray[np.bool_] | bool = False
    features = getattr(classifier, "estimators_features_", None)
    for position, part in enumerate(_parts(classifier)):
        if _has_kind(part, kinds):
            last = part is getattr(classifier, "final_estimator_", None)
            rows = classifier.transform(X) if last else X[:, features[position]] if features else X
            found = np.asarray(found | _ties(part, rows, kinds))
    return found


def _has_kind(classifier: Any, kinds: Mapping[str, TiesOf]) -> bool:
    return type(classifier).__name__ in kinds or any(_has_kind(part, kinds) for part in _parts(classifier))


def _parts(classifier: Any) -> Iterator[Any]:
    """The fitted classifiers in a classifier; of trees there is none."""
    inner = getattr(classifier, "estimators_", ())
    yield from inner if isinstance(inner, list) else ()
    yield from (each.estimator for each in getattr(classifier, "calibrated_classifiers_", ()))
    if hasattr(classifier, "final_estimator_"):
        yield classifier.final_estimator_
