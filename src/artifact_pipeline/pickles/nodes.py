"""What reading a pickle may leave behind: plain values, names from a literal table, and inert nodes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

MAX_BYTES = 64 * 2**20
"""The largest export that is read: a million features and eight classes in float64."""


class Refusal(Exception):
    """The bytes are not an export that this package reads.

    Attributes:
        rule: the name of the broken rule, in kebab-case.
        message: one sentence without a full stop.
        hint: what to do about it, where that is known.
    """

    def __init__(self, rule: str, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.rule = rule
        self.message = message
        self.hint = hint


class Label(Enum):
    """The only globals that a file may name; they are compared and never imported."""

    LOGISTIC_REGRESSION = "sklearn.linear_model._logistic.LogisticRegression"
    NDARRAY = "numpy.ndarray"
    DTYPE = "numpy.dtype"
    RECONSTRUCT = "numpy._core.multiarray._reconstruct"
    FROMBUFFER = "numpy._core.numeric._frombuffer"
    SCALAR = "numpy._core.multiarray.scalar"
    JOBLIB_ARRAY = "joblib.numpy_pickle.NumpyArrayWrapper"


LABELS = {
    ("sklearn.linear_model._logistic", "LogisticRegression"): Label.LOGISTIC_REGRESSION,
    ("numpy", "ndarray"): Label.NDARRAY,
    ("numpy", "dtype"): Label.DTYPE,
    ("numpy._core.multiarray", "_reconstruct"): Label.RECONSTRUCT,
    ("numpy._core.numeric", "_frombuffer"): Label.FROMBUFFER,
    ("numpy._core.multiarray", "scalar"): Label.SCALAR,
    # NumPy 1 calls its core so.
    ("numpy.core.multiarray", "_reconstruct"): Label.RECONSTRUCT,
    ("numpy.core.numeric", "_frombuffer"): Label.FROMBUFFER,
    ("numpy.core.multiarray", "scalar"): Label.SCALAR,
    ("joblib.numpy_pickle", "NumpyArrayWrapper"): Label.JOBLIB_ARRAY,
}


@dataclass(slots=True, eq=False)
class Node:
    """A call or an instance that a real unpickler would have made; here only its description.

    Attributes:
        label: the global that would have been called.
        args: its arguments.
        state: what BUILD would have given it, or None before that.
    """

    label: Label
    args: tuple[object, ...]
    state: object = None


def show(value: object) -> str:
    """A value from a file as it may stand in a message: short, printable, and never walked into."""
    if isinstance(value, Label):
        return value.value
    if isinstance(value, Node):
        return f"a {value.label.value}"
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    if isinstance(value, str):
        return repr(value) if len(value) <= 60 else f"{value[:60]!r}…"
    return f"a {type(value).__name__}"
