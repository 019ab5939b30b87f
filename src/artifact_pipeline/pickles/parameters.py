"""The constructor parameters of scikit-learn 1.8 and 1.9's `LogisticRegression`, and what each may be."""

from __future__ import annotations

import math
from dataclasses import dataclass

from artifact_pipeline.pickles.arrays import plain
from artifact_pipeline.pickles.nodes import Refusal, show

Parameter = bool | int | float | str | dict[object, object] | None


@dataclass(frozen=True, slots=True)
class _Allowed:
    """One of a few words, or a value of one of the kinds within the bounds."""

    text: str
    words: tuple[str | None, ...] = ()
    kinds: tuple[type, ...] = ()
    low: float = -math.inf
    high: float = math.inf

    def __contains__(self, value: object) -> bool:
        if isinstance(value, bool | int | float):
            return type(value) in self.kinds and self.low <= value <= self.high
        return (value is None or isinstance(value, str)) and value in self.words


_ABOVE_0 = math.ulp(0.0)
_REAL = (int, float)
_SOLVERS = ("lbfgs", "liblinear", "newton-cg", "newton-cholesky", "sag", "saga")
_FLAG = _Allowed("true or false", kinds=(bool,))
_PARAMETERS = {
    "penalty": _Allowed("a penalty or None", ("deprecated", "l1", "l2", "elasticnet", None)),
    "C": _Allowed("a number above 0", kinds=_REAL, low=_ABOVE_0),
    "l1_ratio": _Allowed("a number from 0 to 1, or None", (None,), _REAL, 0, 1),
    "dual": _FLAG,
    "tol": _Allowed("a number of at least 0", kinds=_REAL, low=0),
    "fit_intercept": _FLAG,
    "intercept_scaling": _Allowed("a number above 0", kinds=_REAL, low=_ABOVE_0),
    "class_weight": _Allowed("'balanced', None, or a number for each class", ("balanced", None)),
    "random_state": _Allowed("a whole number below 2**32, or None", (None,), (int,), 0, 2**32 - 1),
    "solver": _Allowed(f"one of {', '.join(_SOLVERS)}", _SOLVERS),
    "max_iter": _Allowed("a whole number of at least 0", kinds=(int,), low=0),
    "verbose": _Allowed("a whole number of at least 0", kinds=(int, bool), low=0),
    "warm_start": _FLAG,
    "n_jobs": _Allowed("a whole number or None", (None,), (int,)),
}
_WEIGHT = _Allowed("a number of at least 0", kinds=_REAL, low=0)

PARAMETERS = tuple(_PARAMETERS)
"""The names, in the constructor's order."""


def parameter(name: str, value: object) -> Parameter:
    """The value of one parameter as plain Python.

    Raises:
        Refusal: it is none that scikit-learn accepts, or not finite.
    """
    value = plain(value)
    if name == "class_weight" and isinstance(value, dict):
        return {label: _number(weight, _WEIGHT) for label, weight in value.items()}
    return _number(value, _PARAMETERS[name])


def _number(value: object, allowed: _Allowed) -> bool | int | float | str | None:
    value = plain(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise Refusal("export-not-finite", f"is {value}")
    if value not in allowed:
        raise Refusal("export-parameter", f"must be {allowed.text}, got {show(value)}")
    assert value is None or isinstance(value, bool | int | float | str)
    return value
