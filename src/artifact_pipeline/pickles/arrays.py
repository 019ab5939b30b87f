"""The results of reading a pickle: plain values, labels and inert nodes; and the arrays that they describe.

The forms in which NumPy and joblib write an array are matched literally, and its bytes become a NumPy array.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from math import prod
from typing import TYPE_CHECKING, Any

from artifact_pipeline.errors import plural

if TYPE_CHECKING:
    from numpy.typing import NDArray


class ExportRefusal(Exception):
    """The bytes are not an export that this package reads: the broken rule, a message, and perhaps a hint."""

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
    **{tuple(label.value.rsplit(".", 1)): label for label in Label},
    # NumPy 1 calls its core so.
    ("numpy.core.multiarray", "_reconstruct"): Label.RECONSTRUCT,
    ("numpy.core.numeric", "_frombuffer"): Label.FROMBUFFER,
    ("numpy.core.multiarray", "scalar"): Label.SCALAR,
}
"""The label of each module and name."""


@dataclass(slots=True, eq=False)
class Node:
    """A call of `label` that an unpickler would have made; `state` is set by BUILD, and None before that."""

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


# The codes that a file may name, and their bytes per item; strings are matched by _STRING.
_ITEM_SIZES = {
    "b1": 1, "i1": 1, "i2": 2, "i4": 4, "i8": 8, "u1": 1, "u2": 2, "u4": 4, "u8": 8, "f4": 4, "f8": 8,
}  # fmt: skip
_STRING = re.compile("U([1-9][0-9]{0,3})")
_OBJECT = "O8"
_MAX_CODE_POINT = 0x10FFFF
_SURROGATES = (0xD800, 0xDFFF)


@dataclass(frozen=True, slots=True)
class _Layout:
    """An array as a file describes it.

    Attributes:
        code: NumPy's code of its items without byte order, such as `f8`, `U5`, or `O8` for Python objects.
        order: `<`, `>`, or `|` where it does not matter.
        item_size: bytes of an item.
        shape: at most two dimensions, none of them empty.
        fortran: whether the first index runs fastest.
        data: its bytes, or the list of its objects; empty until joblib's bytes have been read.
        padded: whether joblib has put padding before the bytes.
    """

    code: str
    order: str
    item_size: int
    shape: tuple[int, ...]
    fortran: bool
    data: object = b""
    padded: bool = False

    @property
    def holds_objects(self) -> bool:
        """Whether the items are Python objects."""
        return self.code == _OBJECT

    @property
    def size(self) -> int:
        """How many bytes the items take."""
        return prod(self.shape) * self.item_size


def numbers(node: object) -> NDArray[Any]:
    """The array of numbers or strings of a node, in native byte order; anything else raises `ExportRefusal`."""
    layout = _layout(node)
    if layout.holds_objects:
        raise ExportRefusal(
            "export-dtype",
            "is an array of Python objects, which is not read",
            hint="fit on labels that are integers or fixed-width strings, such as y.astype(str)",
        )
    return _to_numpy(layout)


def names(node: object) -> tuple[str, ...]:
    """The strings of an array of column names, as scikit-learn keeps it; anything else raises `ExportRefusal`."""
    layout = _layout(node)
    values = layout.data
    if not layout.holds_objects or not isinstance(values, list):
        raise ExportRefusal("export-dtype", f"has the dtype {layout.code}; column names are Python strings")
    if layout.shape != (len(values),):
        raise ExportRefusal("export-shape", f"has the shape {layout.shape} and {plural(len(values), 'value')}")
    return tuple(values)  # the machine lets nothing but strings into a list


def plain(value: object) -> object:
    """The Python number or string of a NumPy scalar, any other value as it is; anything else raises `ExportRefusal`."""
    if not isinstance(value, Node) or value.label is not Label.SCALAR:
        return value
    if len(value.args) != 2:
        raise _not_numpy(value)
    dtype, data = value.args
    layout = _Layout(*_dtype(dtype), (1,), fortran=False, data=data)
    if layout.holds_objects:
        raise ExportRefusal("export-dtype", "is a scalar that holds a Python object, which is not read")
    item: object = _to_numpy(layout).item()
    return item


def joblib_layout(state: object) -> _Layout:
    """The description of an array that joblib writes before its bytes; anything else raises `ExportRefusal`."""
    if not isinstance(state, dict):
        raise ExportRefusal("export-array", f"joblib describes an array by {show(state)}")
    known = {"subclass", "shape", "order", "dtype", "allow_mmap", "numpy_array_alignment_bytes"}
    # joblib before 1.2 does not align, and does not mention it.
    alignment = state.get("numpy_array_alignment_bytes")
    if (
        not known - {"numpy_array_alignment_bytes"} <= state.keys() <= known
        or state["subclass"] is not Label.NDARRAY
        or state["order"] not in ("C", "F")
        or not isinstance(state["allow_mmap"], bool)
        or alignment not in (None, 16)
    ):
        raise ExportRefusal("export-array", "an array is described as joblib does not")
    return _Layout(
        *_dtype(state["dtype"]),
        _shape(state["shape"]),
        fortran=state["order"] == "F",
        padded=alignment is not None,
    )


def _layout(node: object) -> _Layout:
    """The description behind each of the three ways to write an array."""
    if isinstance(node, Node) and node.label is Label.JOBLIB_ARRAY:
        node = node.state
    if isinstance(node, _Layout):
        return node
    if isinstance(node, Node) and node.label is Label.RECONSTRUCT:
        return _reconstructed(node)
    if isinstance(node, Node) and node.label is Label.FROMBUFFER:
        return _from_buffer(node)
    raise ExportRefusal("export-array", f"is {show(node)}, not an array")


def _reconstructed(node: Node) -> _Layout:
    """`_reconstruct(ndarray, (0,), b"b")`, then BUILD with version, shape, dtype, order and data."""
    state = node.state
    if node.args != (Label.NDARRAY, (0,), b"b") or not isinstance(state, tuple) or len(state) != 5:
        raise _not_numpy(node)
    version, shape, dtype, fortran, data = state
    if version != 1 or not isinstance(fortran, bool):
        raise _not_numpy(node)
    return _Layout(*_dtype(dtype), _shape(shape), fortran=fortran, data=data)


def _from_buffer(node: Node) -> _Layout:
    """`_frombuffer(buffer, dtype, shape, order)`, which protocol 5 writes."""
    if len(node.args) != 4 or node.args[3] not in ("C", "F"):
        raise _not_numpy(node)
    data, dtype, shape, order = node.args
    return _Layout(*_dtype(dtype), _shape(shape), fortran=order == "F", data=data)


def _dtype(node: object) -> tuple[str, str, int]:
    """Code, byte order and item size of `dtype(code, False, True)`, then BUILD with the one state of that code."""
    if not isinstance(node, Node) or node.label is not Label.DTYPE or len(node.args) != 3:
        raise ExportRefusal("export-dtype", f"the dtype is {show(node)}")
    code, *flags = node.args
    if not isinstance(code, str) or flags != [False, True]:
        raise _not_numpy(node)
    orders, size, tail = _dtype_facts(code)
    for order in orders:
        if node.state == (3, order, None, None, None, *tail):
            return code, order, size
    raise _not_numpy(node)


def _dtype_facts(code: str) -> tuple[str, int, tuple[int, int, int]]:
    """The byte orders that a code may have, its bytes per item, and how its pickled state ends."""
    if code in _ITEM_SIZES:
        size = _ITEM_SIZES[code]
        return ("<>" if size > 1 else "|"), size, (-1, -1, 0)
    if match := _STRING.fullmatch(code):
        size = 4 * int(match[1])
        return "<>", size, (size, 4, 8)
    if code == _OBJECT:
        return "|", 8, (-1, -1, 63)
    raise ExportRefusal("export-dtype", f"the dtype {show(code)} is not read")


def _shape(value: object) -> tuple[int, ...]:
    if not isinstance(value, tuple) or len(value) not in (1, 2):
        raise ExportRefusal("export-shape", f"an array's shape is {show(value)}; one or two dimensions are read")
    if not all(type(length) is int and length > 0 for length in value):
        raise ExportRefusal("export-shape", f"an array has the shape ({', '.join(map(show, value))})")
    return value


def _to_numpy(layout: _Layout) -> NDArray[Any]:
    """Copy the bytes into an array, once their number and their values are known to fit the dtype."""
    import numpy as np

    code, order, data = layout.code, layout.order, layout.data
    if not isinstance(data, bytes):
        raise ExportRefusal("export-array", f"the bytes of an array are {show(data)}")
    if len(data) != layout.size:
        raise ExportRefusal("export-shape", f"an array of {layout.shape} {code} has {len(data):,} bytes of data")
    if code == "b1" and data.strip(b"\0\1"):
        raise ExportRefusal("export-value", "a boolean is neither 0 nor 1")
    if code.startswith("U"):
        points = np.frombuffer(data, dtype=f"{order}u4")
        low, high = _SURROGATES
        if (points > _MAX_CODE_POINT).any() or ((points >= low) & (points <= high)).any():
            raise ExportRefusal("export-value", "a string holds a number that is no character")
    flat = np.frombuffer(data, dtype=f"{order}{code}")
    shaped = flat.reshape(layout.shape, order="F" if layout.fortran else "C")
    # Without a byte order the code means this machine's; astype copies, so the array owns writable memory.
    return shaped.astype(code, order="K")


def _not_numpy(node: Node) -> ExportRefusal:
    return ExportRefusal("export-call", f"{node.label.value} is used as NumPy does not write it")
