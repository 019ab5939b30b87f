"""Columns that split the rows, whether they are learned from or not: keys as text, times as sortable numbers."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from artifact_pipeline.rows.faults import Faults
from artifact_pipeline.rows.kinds import SIGNED_NUMBER, values_of
from artifact_pipeline.rows.labels import is_label, label_texts

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from artifact_pipeline.rows.batches import Piece, Rejected, Wanted

SplitRole = Literal["key", "time"]
"""`key`: rows with the same value stay together; `time`: the latest rows are held out."""
_TimeKind = Literal["number", "local", "zoned"]
"""Numbers, times without a time zone, and times with one, which cannot be compared with each other."""
_NUMBER = re.compile(SIGNED_NUMBER)
_MONTH = re.compile(r"[0-9]{4}-[0-9]{2}")
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - of times without a time zone
_EPOCH_ZONED = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)


def key_values(column: pa.Array, *, boolean: bool = False) -> pa.Array | None:
    """Return the values of a key as text, null for a missing one; None if the type of the column is not that of a key.

    Args:
        column: the values.
        boolean: whether the column is also learned from as a boolean, which may have been converted into numbers.
    """
    import pyarrow as pa
    from pyarrow import compute

    if boolean and pa.types.is_floating(column.type):
        column = compute.equal(column, 1.0)
    return label_texts(column, "text")[0] if is_label(column.type) else None


class SplitColumns:
    """The values of the columns that split the rows of a table, collected while it is read."""

    def __init__(self, roles: Mapping[str, SplitRole]) -> None:
        """Begin without a row, with the role of each column by its name."""
        self._roles = roles
        self._parts: dict[str, list[Any]] = {name: [] for name in roles}
        self._kinds: dict[str, _TimeKind] = {}

    def take(self, piece: Piece, wanted: Wanted) -> tuple[Rejected, ...]:
        """Add some rows, and return the first bad value of each column that has one."""
        faults = Faults(piece, wanted)
        for name, role in self._roles.items():
            column = piece.table.column(name)
            values = self._keys(name, column, faults) if role == "key" else self._times(name, column, faults)
            self._parts[name].append(values)
        return faults.firsts()

    def values(self) -> dict[str, NDArray[Any]]:
        """Return all values by the column's name: texts of a key, numbers of a time."""
        import numpy as np

        return {name: np.concatenate([np.empty(0, parts[0].dtype), *parts]) for name, parts in self._parts.items()}

    @staticmethod
    def _keys(name: str, column: pa.Array, faults: Faults) -> NDArray[Any]:
        import numpy as np

        texts = key_values(column)
        if texts is None:
            faults.add(name, "not-a-key", column.is_valid())
            return np.full(len(column), "", dtype=object)
        if texts.null_count:
            faults.add(name, "split-missing", texts.is_null())
        found: NDArray[Any] = texts.to_numpy(zero_copy_only=False)
        return found

    def _times(self, name: str, column: pa.Array, faults: Faults) -> NDArray[Any]:
        import numpy as np
        import pyarrow as pa

        types, kind = pa.types, column.type
        if types.is_string(kind):
            return self._times_of_texts(name, column, faults)
        if column.null_count:
            faults.add(name, "split-missing", column.is_null())
        if types.is_timestamp(kind) or types.is_date(kind):
            zone = getattr(kind, "tz", None)
            self._check_kind(name, "local" if zone is None else "zoned", np.ones(len(column), bool), faults)
            ticks = column.cast(pa.timestamp("us", zone), safe=False).cast(pa.int64()).fill_null(0)
            return np.asarray(ticks.to_numpy(zero_copy_only=False), dtype=np.int64)
        numbers = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
        if not numbers:
            faults.add(name, "not-a-time", column.is_valid())
            return np.zeros(len(column), dtype=np.int64)
        self._check_kind(name, "number", np.ones(len(column), bool), faults)
        values, bad = values_of(column)
        for rule, rows in [*bad, ("split-missing", np.isnan(values))]:
            faults.add(name, rule, rows)
        floats: NDArray[np.float64] = values.astype(np.float64)
        return floats

    def _times_of_texts(self, name: str, column: pa.Array, faults: Faults) -> NDArray[Any]:
        """Convert times that are text; each different text is read once."""
        import numpy as np

        encoded = column.fill_null("").dictionary_encode()
        codes = encoded.indices.to_numpy(zero_copy_only=False)
        found = [_time_of(text) for text in encoded.dictionary.to_pylist()]
        values = np.array([0 if isinstance(each, str) else each[1] for each in found])
        for rule in ("split-missing", "not-a-time"):
            faults.add(name, rule, np.array([each == rule for each in found], dtype=bool)[codes])
        for kind in dict.fromkeys(each[0] for each in found if not isinstance(each, str)):
            self._check_kind(name, kind, np.array([each[0] == kind for each in found], dtype=bool)[codes], faults)
        times: NDArray[Any] = values[codes]
        return times

    def _check_kind(self, name: str, kind: _TimeKind, rows: NDArray[np.bool_], faults: Faults) -> None:
        """Add a fault for rows whose times are of another kind than those before them."""
        if rows.any() and self._kinds.setdefault(name, kind) != kind:
            faults.add(name, "mixed-times", rows)


def is_date(text: str) -> bool:
    """Return whether a text is a date, or a time of one, by which rows can be split."""
    found = _time_of(text)
    return not isinstance(found, str) and found[0] != "number"


def _time_of(text: str) -> tuple[_TimeKind, float] | Literal["split-missing", "not-a-time"]:
    """Return a text as a number, or a date in microseconds since 1970; or the rule that it breaks."""
    text = text.strip(" \t")
    if not text:
        return "split-missing"
    if _NUMBER.match(text):
        number = float(text)
        return ("number", number) if abs(number) < float("inf") else "not-a-time"
    try:
        time = datetime.fromisoformat(f"{text}-01" if _MONTH.fullmatch(text) else text)
    except ValueError:
        return "not-a-time"
    return ("local", (time - _EPOCH) // _TICK) if time.tzinfo is None else ("zoned", (time - _EPOCH_ZONED) // _TICK)
