"""How labels are read: by the same rules for training and for scoring."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from artifact_pipeline.rows.batches import UNLABELLED, Rejected
from artifact_pipeline.rows.faults import RULES
from artifact_pipeline.rows.limits import MAX_INT64, MAX_SHOWN, MAX_TEXT, MAX_WHOLE
from artifact_pipeline.rows.values import MISSING_TEXTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from artifact_pipeline.rows.batches import Written

_WHOLE = re.compile(r"(0|-?[1-9][0-9]*)(\.0)?")
"""The text of a whole number; 007, 0x10 and +1 are labels of text."""
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_MAX_PAIRS = 5
"""Most groups of labels that a warning names."""


def is_label(kind: Any) -> bool:
    """Whether a column of this type can hold labels."""
    import pyarrow as pa

    types = pa.types
    if types.is_dictionary(kind):
        return is_label(kind.value_type)
    fit = (types.is_string, types.is_large_string, types.is_string_view, types.is_boolean, types.is_integer)
    other = (types.is_floating, types.is_decimal, types.is_date, types.is_timestamp, types.is_null)
    return any(each(kind) for each in (*fit, *other))


def label_texts(column: pa.Array, written: Written) -> tuple[pa.Array, Written]:
    """Convert labels into text, null for a missing one, and return it with their type in the file.

    A whole number has no point, a boolean becomes `False` or `True`, a date is written as in ISO 8601.

    Args:
        column: labels of a type that `is_label` accepts.
        written: the type of labels that are text.
    """
    import pyarrow as pa
    from pyarrow import compute

    types = pa.types
    if types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if types.is_boolean(kind):
        return compute.if_else(column, "True", "False"), "text"
    if types.is_integer(kind):
        return column.cast(pa.string()), "number"
    if types.is_floating(kind):
        return _floats(column), "number"
    text = column.cast(pa.string())
    if types.is_decimal(kind):
        return compute.replace_substring_regex(text, r"^(-?[0-9]+)\.0+$", r"\1"), "number"
    if types.is_timestamp(kind):
        midnight = compute.replace_substring_regex(text, r" 00:00:00(\.0+)?$", "")
        text = compute.replace_substring_regex(midnight, r"(:[0-9]{2})\.0+$", r"\1")
    empty = compute.equal(text, "")
    text = compute.if_else(compute.fill_null(empty, True), pa.scalar(None, pa.string()), text)  # noqa: FBT003 - Arrow's
    return text, written


class LabelColumn(NamedTuple):
    """The column of the labels.

    Attributes:
        name: its name.
        leave_out: whether a row without a label is left out instead of refused; then the texts that stand for a missing
            value in other columns do so here, too.
    """

    name: str
    leave_out: bool = False


def labelled(column: pa.Array, written: Written) -> pa.BooleanArray:
    """Return which rows have a label that is no text for a missing value."""
    import pyarrow as pa
    from pyarrow import compute

    text, _ = label_texts(column, written)
    gaps = compute.is_in(compute.utf8_trim(text.fill_null(""), " \t"), value_set=pa.array(MISSING_TEXTS))
    return compute.invert(gaps)


def _floats(column: pa.Array) -> pa.Array:
    """Convert numbers into text, whole ones without a point, null for a missing one."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import compute

    values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    there = ~np.isnan(values)
    whole = there & (np.trunc(values) == values) & (np.abs(values) <= MAX_WHOLE)
    ints = pa.array(np.where(whole, values, 0).astype(np.int64)).cast(pa.string())
    text = compute.if_else(pa.array(whole), ints, column.cast(pa.float64()).cast(pa.string()))
    return compute.if_else(pa.array(there), text, pa.scalar(None, pa.string()))


def positions_of(
    column: pa.Array, written: Written, classes: tuple[int | str, ...]
) -> tuple[NDArray[np.int64], pa.BooleanArray | None]:
    """Return the position of each label in a model's classes, `UNLABELLED` if it is missing or unknown.

    A text that stands for a missing value in other columns is a label only if it is one of the classes. Labels are
    compared as text, since a cast of whole numbers might lose digits. In a file that has types, a text never equals a
    number.

    Returns:
        The positions, and which labels are unknown; None if none is.
    """
    import numpy as np
    import pyarrow as pa
    from pyarrow import compute

    text, written = label_texts(column, written)
    words = bool(classes) and isinstance(classes[0], str)
    comparable = written == "any" or (written == "text") == words
    if written == "any" and not words:
        text = compute.replace_substring_regex(text, r"^(0|-?[1-9][0-9]*)\.0$", r"\1")
    known = [str(each) for each in classes] if comparable else []
    found = compute.index_in(text, value_set=pa.array(known, pa.string()), skip_nulls=True)
    gaps = compute.is_in(compute.utf8_trim(text, " \t"), value_set=pa.array(MISSING_TEXTS))
    unknown = compute.and_(compute.and_not(text.is_valid(), gaps), compute.is_null(found))
    positions: NDArray[Any] = found.fill_null(UNLABELLED).to_numpy(zero_copy_only=False)
    return positions.astype(np.int64), unknown if compute.any(unknown).as_py() else None


class Labels:
    """The labels of a table to learn from, held as positions among the different labels."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._known: dict[str, int] = {}
        self._positions: list[NDArray[np.int32]] = []
        self._written: Written | None = None
        self._rows = 0
        self._bad: Rejected | None = None

    def add(self, column: pa.Array, written: Written) -> None:
        """Add the labels of the next rows."""
        import numpy as np

        text, written = label_texts(column, written)
        if text.null_count and self._bad is None:
            row = self._rows + int(np.flatnonzero(text.is_null().to_numpy(zero_copy_only=False))[0])
            self._bad = self._rejected(row, "", "label-missing", RULES["label-missing"])
        if self._written not in {None, written} and self._bad is None:
            kinds = {"text": "text", "number": "a number", "any": "text or a number"}
            message = f"labels are {kinds[written]} here, and not so before"
            self._bad = self._rejected(self._rows, "", "label-invalid", message)
        self._written = self._written or written
        encoded = text.dictionary_encode()
        names = encoded.dictionary.to_pylist()
        places = np.array([self._known.setdefault(name, len(self._known)) for name in names], dtype=np.int32)
        codes = encoded.indices.fill_null(0).to_numpy(zero_copy_only=False)
        self._positions.append(places[codes] if len(places) else np.zeros(len(codes), np.int32))
        self._rows += len(text)

    def _rejected(self, row: int, value: str, rule: str, message: str) -> Rejected:
        return Rejected(row, self._target, value, rule, message, {})

    def finish(self) -> NDArray[np.int64] | NDArray[np.str_] | Rejected:
        """Return all labels, int64 if all are whole numbers, otherwise text; or the first row with a bad label."""
        import numpy as np

        if self._bad is not None:
            return self._bad
        names, positions = list(self._known), np.concatenate(self._positions)
        numbers = self._written != "text" and all(map(_WHOLE.fullmatch, names))
        measured = not numbers and (self._written == "number" or self._are_measured())
        for index, name in enumerate(names):
            if wrong := _wrong(name, numbers=numbers, measured=measured):
                row = int(np.flatnonzero(positions == index)[0])
                return self._rejected(row, name[:MAX_SHOWN], "label-invalid", wrong)
        if numbers:
            return np.array([int(name.removesuffix(".0")) for name in names], dtype=np.int64)[positions]
        return np.array(names, dtype=np.str_)[positions]

    def _are_measured(self) -> bool:
        """Whether all labels of a CSV are numbers, some of them with decimals."""
        if self._written != "any" or not all(map(_NUMBER.fullmatch, self._known)):
            return False
        return any("." in name and not _WHOLE.fullmatch(name) for name in self._known)

    def alike(self) -> list[str]:
        """Return a warning for each group of labels that differ only in case or in blanks around them."""
        return [f"{each}; each is a class of its own" for each in alike(self._known, "labels")]


def alike(names: Iterable[str], what: str) -> list[str]:
    """Return a sentence for each group of names that differ only in case or in blanks around them."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        groups[name.strip().casefold()].append(name)
    pairs = [group for group in groups.values() if len(group) > 1]
    words = [f"the {what} {' and '.join(map(repr, group))} differ in case or in spaces alone" for group in pairs]
    more = [f"and so do {len(pairs) - _MAX_PAIRS:,} more groups of {what}"] if len(pairs) > _MAX_PAIRS else []
    return words[:_MAX_PAIRS] + more


def _wrong(name: str, *, numbers: bool, measured: bool) -> str | None:
    """Return why a label cannot be learned; None if it can.

    Args:
        name: the label.
        numbers: whether all labels are whole numbers.
        measured: whether all labels are numbers, but not all whole.
    """
    if numbers:  # Python does not read whole numbers of more than a few thousand digits
        inside = len(name) < MAX_SHOWN and -MAX_INT64 - 1 <= int(name.removesuffix(".0")) <= MAX_INT64
        return None if inside else f"a label must be between -2^63 and {MAX_INT64}, got {name:.{MAX_SHOWN}}"
    if measured:
        return None if _WHOLE.fullmatch(name) else f"{name:.{MAX_SHOWN}} is a measured number, no class"
    if len(name) > MAX_TEXT or "\0" in name:  # NumPy would drop a null at the end
        return f"a label must have at most {MAX_TEXT} characters and no null, got {name!r:.{MAX_SHOWN}}"
    return None
