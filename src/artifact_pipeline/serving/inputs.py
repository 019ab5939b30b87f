"""The tensors of a request become rows: one matrix of numbers, or a tensor for each column, by name and in any order.

A request that is too large is refused before memory is allocated for it: the shapes are checked first, and the values
of a JSON array are counted before they are decoded. `rows.values` says what a value may be, as for the rows of a file.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from artifact_pipeline.rows.faults import RULES
from artifact_pipeline.rows.features import MISSING
from artifact_pipeline.rows.limits import MAX_ROW, MAX_VALUE
from artifact_pipeline.serving.datatypes import (
    FLAT,
    FORMS,
    NARROWED,
    OR_NULL,
    ROWS,
    SQUARES,
    TYPES,
    WHOLE,
    check_whole_numbers,
)
from artifact_pipeline.serving.http import Refusal
from artifact_pipeline.serving.model import INPUT
from artifact_pipeline.serving.tensordata import (
    MAX_QUOTED,
    array_of,
    binary_size,
    check_all_used,
    check_count,
    check_size,
    decoded,
    given_twice,
    has_null,
    packed,
    quoted,
    unpacked_numbers,
    unpacked_texts,
    wrong_nesting,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from artifact_pipeline.rows.features import Column
    from artifact_pipeline.serving.model import ColumnInput, Served
    from artifact_pipeline.serving.tensordata import InputTensor

_MENDS = {
    "missing": "send a value, since none was missing in training",
    "not-finite": "send a smaller number",
    "not-a-boolean": "send true or false",
    "null-character": "leave that character out",
}
"""What to do about a value, by the rule that it breaks."""


class SentRows(NamedTuple):
    """The rows of a request, as the model takes them.

    Attributes:
        X: numbers and booleans, of the model's dtype and of shape (rows, columns of these kinds); NaN where one is
            missing.
        S: categories, objects, each a str, of shape (rows, categories); None where the model takes none.
    """

    X: NDArray[Any]
    S: NDArray[Any] | None


def rows_of(tensors: Sequence[InputTensor], tail: bytes, served: Served) -> SentRows:
    """Read the rows of a request by its tensors and the binary data after its JSON.

    Raises:
        Refusal: a tensor is missing, unknown or there twice, its shape, its datatype or its data are wrong, or a value
            is one that the model does not take.
    """
    alone = served.features == 1 and INPUT in served.inputs
    if served.shapes and len(tensors) == 1 and tensors[0].name == INPUT and not alone:
        return SentRows(_matrix(tensors[0], tail, served), None)
    _check_names(tensors, served)
    return _columns(tensors, tail, served)


# One matrix


def _matrix(tensor: InputTensor, tail: bytes, served: Served) -> NDArray[Any]:
    rows = _matrix_rows(tensor, served)
    X = _binary(tensor, tail, rows, served) if len(tensor.data) == 0 else _json(tensor, tail, rows, served)
    if tensor.datatype in WHOLE:
        check_whole_numbers(X, narrow=served.narrow)
    X = _cast(X, served)
    _check_numbers(X, served, may_be_no_boolean=tensor.datatype != "BOOL")
    return X


def _matrix_rows(tensor: InputTensor, served: Served) -> int:
    """How many rows the shape says."""
    if tensor.datatype not in FORMS:
        raise Refusal(400, f"the datatype must be {', '.join(FORMS)}, got {quoted(tensor.datatype)}")
    shape = tensor.shape
    if tuple(shape[1:]) not in served.shapes:
        allowed = " or ".join(f"[n, {', '.join(map(str, each))}]" for each in served.shapes)
        raise Refusal(400, f"the shape must be {allowed}, got {shape}")
    return _checked_rows(int(shape[0]), served)


def _checked_rows(rows: int, served: Served) -> int:
    if not rows:
        raise Refusal(400, "there are no rows")
    if rows > served.max_rows:
        words = f"{rows:,} rows are too many for a request, allowed are {served.max_rows:,}"
        raise Refusal(413, f"{words}; artifact-pipeline predict takes files of any size")
    return rows


def _json(tensor: InputTensor, tail: bytes, rows: int, served: Served) -> NDArray[Any]:
    import numpy as np

    if tail:
        raise given_twice()
    raw, inner = array_of(tensor)
    check_count(tensor, raw, inner, rows * served.features)
    decoders = FLAT if inner[:1] != b"[" else ROWS if len(tensor.shape) == 2 else SQUARES
    values, form = _values(raw, tensor.datatype, decoders, served)
    if decoders is ROWS and {*map(len, values)} == {served.features}:
        values, decoders = [*chain.from_iterable(values)], FLAT
    if decoders is FLAT:
        return packed(values, form).reshape(rows, served.features)
    try:
        X = np.array(values, dtype=form)
    except ValueError:  # as many numbers, but in rows that differ
        X = np.empty(0)
    if X.shape != tuple(tensor.shape):
        raise wrong_nesting(tensor)
    return X.reshape(rows, served.features)


def _values(raw: bytes, datatype: str, decoders: Mapping[str, Any], served: Served) -> tuple[Any, str]:
    """The numbers of a JSON array, and the dtype that holds them; what is missing is NaN."""
    missing = has_null(raw)
    if datatype == "FP64" and served.narrow:
        try:
            return decoders[NARROWED + OR_NULL if missing else NARROWED](raw), "<f4"
        except ValueError:
            pass  # one is beyond float32, which is refused below, or it is malformed
    return decoded(raw, datatype, decoders, served), "<f8" if missing else FORMS[datatype]


def _binary(tensor: InputTensor, tail: bytes, rows: int, served: Served) -> NDArray[Any]:
    size = binary_size(tensor)
    check_size(tensor, size, rows * served.features)
    check_all_used(size, tail)
    return unpacked_numbers(tensor, tail).reshape(rows, served.features)


# A tensor for each column


def _check_names(tensors: Sequence[InputTensor], served: Served) -> None:
    """Check that each column is there once, and no other tensor."""
    known, names = served.inputs, [tensor.name for tensor in tensors]
    if len(names) == len(known) and known.keys() == set(names):
        return
    for name in names:
        if name not in known and not (name == INPUT and served.shapes):
            takes = f'"{INPUT}", or its columns by name' if served.shapes else "its columns by name"
            raise Refusal(400, f"the model takes {takes}, and none called {quoted(name)}")
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise Refusal(400, f"the input {quoted(name)} stands twice")
        seen.add(name)
    if INPUT in seen and INPUT not in known:
        raise Refusal(400, f'the input "{INPUT}" holds all columns, and columns stand beside it: send either')
    if served.shapes and not seen:
        raise Refusal(400, f'the input "{INPUT}" is missing')
    missing = [name for name in known if name not in seen]
    words = "is missing: send a tensor of that name"
    if len(missing) > 1:
        words = f"and {len(missing) - 1:,} more are missing: send tensors of these names"
    raise Refusal(400, f"the column {quoted(missing[0])} {words}")


def _columns(tensors: Sequence[InputTensor], tail: bytes, served: Served) -> SentRows:
    rows = _column_rows(tensors, served)
    numbers: list[Any] = [None] * (served.features - served.categories)
    texts: list[Any] = [None] * served.categories
    used, booleans = 0, True
    for tensor in tensors:
        about, data = served.inputs[tensor.name], b""
        if not len(tensor.data):
            start, used = used, used + binary_size(tensor)
            data = tail[start:used]
            if used > len(tail):
                break
        if about.levels is not None:
            texts[about.place] = _levels(_texts(tensor, data, rows, served), about)
        else:
            numbers[about.place] = _column_numbers(tensor, data, rows, served)
            booleans &= about.column.kind != "boolean" or tensor.datatype == "BOOL"
    if tail and not used:
        raise given_twice()
    check_all_used(used, tail)
    X = _cast(_together(numbers, rows, "<f8"), served)
    _check_numbers(X, served, may_be_no_boolean=not booleans)
    return SentRows(X, _together(texts, rows, "O") if served.categories else None)


def _together(columns: list[Any], rows: int, dtype: str) -> NDArray[Any]:
    """Columns beside each other; a number that is None becomes NaN."""
    import numpy as np

    if not columns:
        return np.empty((rows, 0), dtype=dtype)
    return np.ascontiguousarray(np.array(columns, dtype=dtype).T)


def _column_rows(tensors: Sequence[InputTensor], served: Served) -> int:
    """How many rows the shapes say."""
    first = tensors[0].shape
    shapes = (first[:1], [*first[:1], 1])
    for tensor in tensors:
        about = served.inputs[tensor.name]
        if not first or tensor.shape not in shapes or tensor.datatype not in TYPES[about.column.kind]:
            raise _mismatch(tensor, tensors[0], about)
    return _checked_rows(int(first[0]), served)


def _mismatch(tensor: InputTensor, first: InputTensor, about: ColumnInput) -> Refusal:
    """The refusal of a tensor whose datatype or shape does not fit its column, or the first tensor."""
    shape, where = tensor.shape, f"column {quoted(tensor.name)}"
    types = ", ".join(TYPES[about.column.kind])
    if tensor.datatype not in TYPES[about.column.kind]:
        return Refusal(400, f"{where}: the datatype must be {types}, got {quoted(tensor.datatype)}")
    if not 1 <= len(shape) <= 2 or shape[1:] not in ([], [1]):
        return Refusal(400, f"{where}: the shape must be [n] or [n, 1], got {shape}")
    words = f"{where} has {int(shape[0]):,} rows, and column {quoted(first.name)} has {int(first.shape[0]):,}"
    return Refusal(400, f"{words}: send as many of each")


def _column_numbers(tensor: InputTensor, data: bytes, rows: int, served: Served) -> Any:
    import numpy as np

    if len(tensor.data):
        values = _listed(tensor, rows, served)
        if tensor.datatype in WHOLE and served.narrow:
            check_whole_numbers(np.array(values, dtype=np.float64), narrow=served.narrow)
        return values
    check_size(tensor, len(data), rows)
    found = unpacked_numbers(tensor, data)
    if tensor.datatype in WHOLE:
        check_whole_numbers(found, narrow=served.narrow)
    return found


def _listed(tensor: InputTensor, rows: int, served: Served) -> list[Any]:
    """The values of a column in JSON; None where one is missing."""
    raw, inner = array_of(tensor)
    check_count(tensor, raw, inner, rows)
    if inner[:1] != b"[":
        values: list[Any] = decoded(raw, tensor.datatype, FLAT, served)
    else:
        nested = decoded(raw, tensor.datatype, ROWS, served)
        if len(tensor.shape) == 1 or any(len(row) != 1 for row in nested):
            raise wrong_nesting(tensor)
        values = [row[0] for row in nested]
    if len(values) != rows:
        raise Refusal(400, f"the shape {tensor.shape} means {rows:,} values, data has {len(values):,}")
    return values


def _texts(tensor: InputTensor, data: bytes, rows: int, served: Served) -> list[str | None]:
    """The texts of a column; None where one is missing."""
    if len(tensor.data):
        found: list[str | None] = _listed(tensor, rows, served)
    else:
        found = [*unpacked_texts(tensor, data, rows)]
    if len(tensor.data) + len(data) > MAX_ROW:
        longest = max(len(text) for text in found if text is not None)
        if longest > MAX_ROW:
            words = f"column {quoted(tensor.name)}: a text has {longest:,} characters"
            raise Refusal(400, f"{words}, allowed are {MAX_ROW:,}")
    return found


def _levels(texts: list[str | None], about: ColumnInput) -> list[str]:
    """The levels of the model for the texts of a column; for a text that it does not know the level of all others."""
    assert about.levels is not None
    other = about.levels.other
    levels = {text: about.levels.of_cell(text) for text in dict.fromkeys(texts)}
    found = []
    for row, text in enumerate(texts):
        level = levels[text]
        if level.rule:
            words = RULES[level.rule].format(value=(text or "")[:MAX_QUOTED])
            raise _refused(row, about.column, level.rule, words)
        found.append(other if level.unseen else level.text)
    return found


def _cast(X: NDArray[Any], served: Served) -> NDArray[Any]:
    import numpy as np

    if X.dtype == served.predictor.dtype:
        return np.ascontiguousarray(X)
    with np.errstate(over="ignore"):  # what overflows is refused as not finite
        return np.ascontiguousarray(X, dtype=served.predictor.dtype)


def _check_numbers(X: NDArray[Any], served: Served, *, may_be_no_boolean: bool) -> None:
    fault = served.rules.fault(X, may_be_no_boolean=may_be_no_boolean)
    if fault is not None:
        place = served.inputs[fault.column.name].place
        value, limit = float(X[fault.row, place]), MAX_VALUE["float32" if served.narrow else "float64"]
        raise _refused(fault.row, fault.column, fault.rule, RULES[fault.rule].format(value=value, limit=limit))


def _refused(row: int, column: Column, rule: str, words: str) -> Refusal:
    """The refusal of a value: where it stands, the rule, and what to do."""
    words = words.encode("ascii", "backslashreplace").decode()[:200]
    known = [quoted(level) for level in column.levels if level != MISSING]
    mend = _MENDS.get(rule) or f"send one of them, such as {', '.join(known[:3])}"
    return Refusal(400, f"row {row}, column {quoted(column.name)}: {words}; {mend}")
