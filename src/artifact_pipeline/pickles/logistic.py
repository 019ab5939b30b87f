"""The export for Python users: written as a pickle, and read back as numbers without unpickling.

No name in a file is imported, and nothing in it is called: `machine` turns its bytes into inert values. Here each of
them is checked to be an attribute of a fitted `LogisticRegression`. Only `rebuild` needs scikit-learn.
"""

from __future__ import annotations

import math
import re
from contextlib import contextmanager
from dataclasses import dataclass
from pickle import dumps  # it only writes: nothing in this project unpickles
from typing import TYPE_CHECKING, Any

from artifact_pipeline.errors import ArtifactRejected, Problem
from artifact_pipeline.files import read_bounded, reason_of
from artifact_pipeline.pickles.arrays import ExportRefusal, Label, Node, names, numbers, plain, show
from artifact_pipeline.pickles.machine import ONNX_HINT, interpret

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from sklearn.linear_model import LogisticRegression

_MAX_BYTES = 64 * 2**20
"""The largest export that is read: a million features and eight classes in float64."""
_COMPRESSED = {
    "zlib": b"\x78",
    "gzip": b"\x1f\x8b",
    "bzip2": b"BZ",
    "xz": b"\xfd7zXZ",
    "lzma": b"\x5d\x00",
    "lz4": b"\x04\x22\x4d\x18",
    "zstd": b"\x28\xb5\x2f\xfd",
    "zip": b"PK",
    "an old joblib's zlib": b"ZF",
}
_FITTED = ("n_features_in_", "classes_", "n_iter_", "coef_", "intercept_", "_sklearn_version")
_OPTIONAL = ("feature_names_in_",)
_VERSION = re.compile(r"[0-9]+\.[0-9]+[0-9A-Za-z.+]{0,24}")
_HINT = "write the export again with artifact-pipeline train, or predict from the artifact, which holds no pickle"
_PROTOCOL = 5
_Parameter = bool | int | float | str | dict[object, object] | None


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


@dataclass(frozen=True, slots=True, eq=False)
class FittedLogisticRegression:
    """What scikit-learn keeps of a fitted `LogisticRegression`, for f features and k classes.

    Attributes:
        parameters: every constructor parameter by its name, in the constructor's order.
        coef_: (1, f) for two classes, else (k, f); float32 or float64, finite; in the file's order.
        intercept_: (1,) or (k,) like `coef_`; () where `liblinear` has fitted none.
        classes_: (k,), strictly increasing; integers, floats, booleans or fixed-width strings.
        n_iter_: iterations; (1,) or (k,), at least 0.
        n_features_in_: f.
        feature_names_in_: the column names of the data frame that it was fitted on, or None.
    """

    parameters: dict[str, _Parameter]
    coef_: NDArray[Any]
    intercept_: NDArray[Any]
    classes_: NDArray[Any]
    n_iter_: NDArray[Any]
    n_features_in_: int
    feature_names_in_: tuple[str, ...] | None


def read_export(data: bytes, *, name: str = "model_train.pkl") -> FittedLogisticRegression:
    """Read a fitted `LogisticRegression` from a pickle (protocol 4 or 5) or joblib file, without unpickling.

    Args:
        data: the whole file.
        name: what to call it in the problem.

    Raises:
        ArtifactRejected: it is anything else; exactly one problem says what was found.
    """
    try:
        return _read(data)
    except ExportRefusal as refusal:
        raise _rejected(name, refusal.rule, refusal.message, refusal.hint or _HINT) from None


def _read(data: bytes) -> FittedLogisticRegression:
    if len(data) > _MAX_BYTES:
        raise ExportRefusal("export-too-large", f"larger than {_MAX_BYTES:,} bytes")
    for kind, magic in _COMPRESSED.items():
        if data.startswith(magic):
            raise ExportRefusal(
                "export-compressed",
                f"compressed ({kind}), and nothing is decompressed here",
                hint="write it again without compression, by joblib.dump(model, path, compress=0)",
            )
    fitted = _fitted(_attributes(interpret(data)))
    _check_shapes(fitted)
    return fitted


def _attributes(root: object) -> dict[str, object]:
    """The attributes of the estimator in the file: all that it must have, and no other."""
    if not isinstance(root, Node) or root.label is not Label.LOGISTIC_REGRESSION:
        raise ExportRefusal("export-estimator", f"holds {show(root)}, not a LogisticRegression", hint=ONNX_HINT)
    state = root.state
    if root.args or not isinstance(state, dict):
        raise ExportRefusal("export-estimator", "holds a LogisticRegression without attributes")
    needed = (*_PARAMETERS, *_FITTED)
    for name in state:
        if name not in needed and name not in _OPTIONAL:
            raise ExportRefusal(
                "export-attribute",
                f"has the attribute {show(name)}, which no LogisticRegression of scikit-learn 1.8 or 1.9 has",
            )
    for name in needed:
        if name not in state:
            raise ExportRefusal("export-attribute", f"lacks {name}, which a fitted LogisticRegression has")
    return state


def _fitted(state: dict[str, object]) -> FittedLogisticRegression:
    parameters = {}
    for name in _PARAMETERS:
        with _naming(name):
            parameters[name] = _parameter(name, state[name])
    n_features, version = state["n_features_in_"], state["_sklearn_version"]
    if type(n_features) is not int:
        raise ExportRefusal("export-value", f"n_features_in_: must be a whole number, got {show(n_features)}")
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise ExportRefusal("export-value", f"_sklearn_version: must be a version, got {show(version)}")
    return FittedLogisticRegression(
        parameters=parameters,
        coef_=_array(state, "coef_", "f"),
        intercept_=_intercept(state),
        classes_=_array(state, "classes_", "biufU"),
        n_iter_=_array(state, "n_iter_", "i"),
        n_features_in_=n_features,
        feature_names_in_=_feature_names(state),
    )


def _array(state: dict[str, object], name: str, kinds: str) -> NDArray[Any]:
    """An attribute that is an array of one of NumPy's `kinds`; floats are finite."""
    import numpy as np

    with _naming(name):
        array = numbers(state[name])
        if array.dtype.kind not in kinds:
            raise ExportRefusal("export-dtype", f"has the dtype {array.dtype}")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ExportRefusal("export-not-finite", "holds a number that is not finite")
        return array


def _intercept(state: dict[str, object]) -> NDArray[Any]:
    """The intercept; without one `liblinear` leaves the plain number 0.0, here an array of shape ()."""
    import numpy as np

    value = state["intercept_"]
    if isinstance(value, float) and value == 0:
        return np.array(0.0)
    return _array(state, "intercept_", "f")


def _feature_names(state: dict[str, object]) -> tuple[str, ...] | None:
    if "feature_names_in_" not in state:
        return None
    with _naming("feature_names_in_"):
        return names(state["feature_names_in_"])


def _check_shapes(fitted: FittedLogisticRegression) -> None:
    """Compare the arrays with each other, and with what they mean."""
    classes, features = fitted.classes_, fitted.n_features_in_
    if classes.ndim != 1 or len(classes) < 2 or not (classes[1:] > classes[:-1]).all():
        raise ExportRefusal("export-classes", "classes_: must be at least two labels in strictly increasing order")
    rows = 1 if len(classes) == 2 else len(classes)
    _check_shape("coef_", fitted.coef_, (rows, features))
    _check_shape("intercept_", fitted.intercept_, (rows,), ())
    _check_shape("n_iter_", fitted.n_iter_, (1,), (len(classes),))
    if (fitted.n_iter_ < 0).any():
        raise ExportRefusal("export-value", "n_iter_: must be at least 0")
    if fitted.feature_names_in_ is not None and len(fitted.feature_names_in_) != features:
        raise ExportRefusal(
            "export-shape",
            f"feature_names_in_: has {len(fitted.feature_names_in_):,} names for {features:,} features",
        )


def _check_shape(name: str, array: NDArray[Any], *allowed: tuple[int, ...]) -> None:
    if array.shape not in allowed:
        raise ExportRefusal(
            "export-shape", f"{name}: has the shape {array.shape}, and the other attributes say {allowed[0]}"
        )


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Name the attribute in the refusal of what is read inside."""
    try:
        yield
    except ExportRefusal as refusal:
        raise ExportRefusal(refusal.rule, f"{name}: {refusal.message}", hint=refusal.hint) from None


def _parameter(name: str, value: object) -> _Parameter:
    """The value of one parameter as plain Python."""
    if name == "class_weight" and isinstance(value, dict):
        return {label: _number(weight, _WEIGHT) for label, weight in value.items()}
    return _number(value, _PARAMETERS[name])


def _number(value: object, allowed: _Allowed) -> bool | int | float | str | None:
    value = plain(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ExportRefusal("export-not-finite", f"is {value}")
    if value not in allowed:
        raise ExportRefusal("export-parameter", f"must be {allowed.text}, got {show(value)}")
    assert value is None or isinstance(value, bool | int | float | str)
    return value


def export_bytes(estimator: LogisticRegression) -> bytes:
    """The pickle of a fitted estimator: equal numbers give equal bytes, in every process.

    The estimator is written as it will be read back: the reader has checked it, and the bytes depend neither on which
    objects share memory nor on the order of the attributes.

    Raises:
        ArtifactRejected: it is no fitted `LogisticRegression` with finite numbers.
    """
    return dumps(rebuild(read_export(dumps(estimator, _PROTOCOL), name=type(estimator).__name__)), _PROTOCOL)


def rebuild(numbers: FittedLogisticRegression) -> LogisticRegression:
    """A fitted estimator of the installed scikit-learn, with these numbers bit for bit."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    estimator = LogisticRegression(**numbers.parameters)
    if numbers.feature_names_in_ is not None:
        estimator.feature_names_in_ = np.array(numbers.feature_names_in_, dtype=object)
    estimator.n_features_in_ = numbers.n_features_in_
    estimator.classes_ = numbers.classes_
    # The order of the attributes is a part of a pickle: liblinear sets its iterations last.
    liblinear = numbers.parameters["solver"] == "liblinear"
    if not liblinear:
        estimator.n_iter_ = numbers.n_iter_
    estimator.coef_ = numbers.coef_
    estimator.intercept_ = numbers.intercept_ if numbers.intercept_.shape else numbers.intercept_.item()
    if liblinear:
        estimator.n_iter_ = numbers.n_iter_
    return estimator


def load_model(path: Path) -> LogisticRegression:
    """Read an export, of this package or of another program, and rebuild the estimator; nothing in it is executed.

    Raises:
        ArtifactRejected: the file is missing, unreadable, too large, or is not a fitted `LogisticRegression`.
    """
    try:
        data = read_bounded(path, _MAX_BYTES)
    except FileNotFoundError:
        raise _rejected(str(path), "export-missing", "no such file", "run artifact-pipeline train first") from None
    except (OSError, ValueError) as error:
        too_large = isinstance(error, ValueError) and path.is_file()
        rule = "export-too-large" if too_large else "export-unreadable"
        raise _rejected(str(path), rule, reason_of(error)) from error
    return rebuild(read_export(data, name=str(path)))


def _rejected(name: str, rule: str, message: str, hint: str | None = None) -> ArtifactRejected:
    problem = Problem(name, rule, message)
    return ArtifactRejected(f"{name} is not an export that can be read", problems=[problem], hint=hint)
