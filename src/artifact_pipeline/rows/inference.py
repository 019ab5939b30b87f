"""The kind of a column, inferred at training from all of its rows, or given by the config.

Number: every cell that is not missing is a number. Boolean: every one is true or false. Category: texts with at most
1,000 levels, and at most half as many as rows; or digits of which some begin with a zero. A text in a file that has
types stays text. Dates, free text and nested values are refused, each with a row and a hint.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from artifact_pipeline.rows.cells import LEADING_ZERO, level_texts, numbers_of_texts
from artifact_pipeline.rows.features import MAX_LEVEL_BYTES, MAX_LEVELS, MISSING
from artifact_pipeline.rows.kinds import SIGNED_NUMBER, values_of
from artifact_pipeline.rows.limits import MAX_SHOWN, MAX_VALUE
from artifact_pipeline.rows.mends import mends, why_no_numbers
from artifact_pipeline.rows.split_columns import is_date
from artifact_pipeline.rows.values import FALSE, TRUE

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from artifact_pipeline.rows.faults import Faults
    from artifact_pipeline.rows.features import ColumnKind

MAX_INFERRED_LEVELS = 1000
"""Most levels of an inferred category: texts with more levels are names, ids or sentences."""
_MOSTLY = 0.5
"""Least share of numbers in a column for which a text is called a mistake."""
_NUMBER = rf"^[ \t]*{SIGNED_NUMBER.removeprefix('^').removesuffix('$')}[ \t]*$"
_DIGITS = r"^[ \t]*[0-9]+[ \t]*$"
_DATE = (
    r"^[ \t]*([0-9]{4}[-/.][0-9]{1,2}[-/.][0-9]{1,2}|[0-9]{1,2}[-/.][0-9]{1,2}[-/.][0-9]{4})"
    r"([T ][0-9]{1,2}:[0-9]{2}.*)?[ \t]*$"
)
_GAPS = frozenset({"na", "n/a", "nan", "null", "none", "nil", "-", "--", "?", ".", "#n/a", "<na>", "-999", "-9999"})
"""Texts in lower case that may stand for a missing value, but are read as levels."""
GAP_NUMBERS = (-999.0, -9999.0)
"""Numbers that may stand for a missing value."""


Mend = Literal["drop", "category", "empty", "time"]
"""What to do about a column: drop it, give it the kind `category`, leave cells empty, or split the rows by it."""


class Refused(NamedTuple):
    """Why a column cannot be learned from.

    Attributes:
        row: the number of a row that shows it, among all rows of the table; None if no single row does.
        rule, message: those of a `Problem`.
        mend: what to do, by name.
    """

    row: int | None
    rule: str
    message: str
    mend: tuple[Mend, ...]


class Decision(NamedTuple):
    """The kind of a column.

    Attributes:
        kind: its kind; None if it has no value at all.
        again: the cells as which it has to be read again, and then be decided; None if this decision is final.
    """

    kind: ColumnKind | None
    again: ColumnCells | None = None


@dataclass(slots=True)
class _Shapes:
    """What all texts of a column have in common so far, and the first text that is too long or has a null."""

    numbers: bool = True
    digits: bool = True
    booleans: bool = True
    dates: bool = True
    leading_zero: bool = False
    too_long: tuple[int, str] | None = None
    null: tuple[int, str] | None = None


class ColumnCells:
    """Infers the kind of a column that is learned from; its cells become numbers, or positions among its levels.

    Attributes:
        name: the column.
        given: its kind, if it need not be inferred.
        holds_texts: whether its cells are held as texts now.
        levels: each level in the order of the rows, with the number of its cells.
        missing: the number of missing cells.
        least: the least number; infinity if there is none.
        greatest: the greatest number; minus infinity if there is none.
    """

    def __init__(self, name: str, given: ColumnKind | None = None, *, as_texts: bool = False) -> None:
        """Begin without a row.

        Args:
            name: the column.
            given: its kind, if it need not be inferred.
            as_texts: whether to hold its cells as texts while their kind is not decided.
        """
        self.name, self.given = name, given
        self.levels: dict[str, int] = {}
        self.missing, self.least, self.greatest = 0, float("inf"), -float("inf")
        self._places: dict[str, int] = {}
        self.holds_texts = as_texts or given == "category"
        self._rows = self._numbers = 0
        self._typed: ColumnKind | None = None
        self._many = self._late = self._loose = False
        self._shapes = _Shapes()
        self._first: tuple[int, str] | None = None  # the first text, or the first that is no number
        self._odd: tuple[int, str] | None = None

    def add(self, column: pa.Array, faults: Faults, *, loose: bool) -> NDArray[Any]:
        """Add the next cells.

        Args:
            column: the cells.
            faults: gets a fault for each cell that cannot be learned.
            loose: whether a text may stand for a number or a boolean, since the file has no types.

        Returns:
            float64, NaN for a missing cell; or int32 positions among the levels, -1 for a missing cell.
        """
        import pyarrow as pa

        text = pa.types.is_string(column.type)
        if not self._fits(column, faults, loose=loose or self._loose):
            self.missing -= len(column) - column.null_count  # what cannot be learned is not missing
            column, text = pa.nulls(len(column)), False
        if text and not self.holds_texts and self.given is None and (loose or column.null_count < len(column)):
            self._late = self._rows > self.missing
            self.holds_texts = True
        self._loose = self._loose or (loose and text)
        cells = self._add_texts(column, faults) if self.holds_texts else self._add_numbers(column, faults)
        self._rows += len(column)
        return cells

    def _fits(self, column: pa.Array, faults: Faults, *, loose: bool) -> bool:
        """Whether cells of this type can be learned, and have the kind of the cells before them."""
        import pyarrow as pa

        types, kind = pa.types, column.type
        if types.is_null(kind) or (column.null_count == len(column)):
            return not types.is_nested(kind)
        if types.is_nested(kind):
            faults.add(self.name, "nested", column.is_valid())
            return False
        if self.given is not None:
            return True
        if types.is_temporal(kind):
            faults.add(self.name, "date", column.is_valid())
            return False
        found: ColumnKind = "number"
        if types.is_string(kind):
            found = "category"
        elif types.is_boolean(kind):
            found = "boolean"
        self._typed = self._typed or found
        if self._typed != found and not loose:
            faults.add(self.name, "mixed-kinds", column.is_valid())
            return False
        return True

    def _add_numbers(self, column: pa.Array, faults: Faults) -> NDArray[np.float64]:
        import numpy as np
        import pyarrow as pa

        text = pa.types.is_string(column.type)
        values, bad = numbers_of_texts(column, self.given) if text else values_of(column)
        floats: NDArray[np.float64] = values.astype(np.float64, copy=False)
        limit, zeros_and_ones = MAX_VALUE["float64"], self.given == "boolean"
        if len(floats) and not bad and not zeros_and_ones:
            least, greatest = float(floats.min()), float(floats.max())
            if -limit <= least and greatest <= limit:  # both are false if there is a NaN
                self.least, self.greatest = min(self.least, least), max(self.greatest, greatest)
                return floats
        unknown = np.isnan(floats)
        self.missing += int(np.count_nonzero(unknown))
        self.least = min(self.least, float(np.fmin.reduce(floats, initial=np.inf)))
        self.greatest = max(self.greatest, float(np.fmax.reduce(floats, initial=-np.inf)))
        if zeros_and_ones:
            bad = [*bad, ("not-a-boolean", ~(unknown | (floats == 0) | (floats == 1)))]
        for rule, rows in [*bad, ("not-finite", ~(unknown | (np.abs(floats) <= limit)))]:
            faults.add(self.name, rule, rows)
        return floats

    def _add_texts(self, column: pa.Array, faults: Faults) -> NDArray[np.int32]:
        import numpy as np

        texts, bad = level_texts(column)
        for rule, rows in bad:
            faults.add(self.name, rule, rows)
        encoded = texts.dictionary_encode()
        codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        self.missing += texts.null_count
        counts = np.bincount(codes[codes >= 0], minlength=len(encoded.dictionary))
        self._look_at(encoded.dictionary, codes, counts)
        names = encoded.dictionary.to_pylist()
        self._many = self._many or self._shapes.too_long is not None or len(self._places.keys() | names) > MAX_LEVELS
        if self._many:
            return np.empty(0, np.int32)
        for name, count in zip(names, counts.tolist(), strict=True):
            self._places.setdefault(name, len(self._places))
            self.levels[name] = self.levels.get(name, 0) + count
        places: NDArray[np.int32] = np.array([*map(self._places.__getitem__, names), -1], dtype=np.int32)[codes]
        return places

    def _look_at(self, names: pa.Array, codes: NDArray[np.int32], counts: NDArray[np.int64]) -> None:
        """Update what is known of the texts, from each different one."""
        import numpy as np
        import pyarrow as pa
        from pyarrow import compute

        def _all(marks: pa.Array) -> bool:
            return bool(compute.all(marks).as_py()) if len(marks) else True

        shapes, numbers = self._shapes, compute.match_substring_regex(names, _NUMBER)
        shapes.numbers = shapes.numbers and _all(numbers)
        shapes.digits = shapes.digits and _all(compute.match_substring_regex(names, _DIGITS))
        shapes.dates = shapes.dates and _all(compute.match_substring_regex(names, _DATE))
        trimmed = compute.utf8_trim(names, " \t")
        shapes.booleans = shapes.booleans and _all(compute.is_in(trimmed, value_set=pa.array([*TRUE, *FALSE])))
        leading = compute.match_substring_regex(names, LEADING_ZERO)
        shapes.leading_zero = shapes.leading_zero or bool(compute.any(leading).as_py())
        marks = numbers.to_numpy(zero_copy_only=False)
        self._numbers += int(counts[marks].sum())

        def _first(which: Any) -> tuple[int, str] | None:
            found = np.flatnonzero(np.append(which, False)[codes])
            if not len(found):
                return None
            return self._rows + int(found[0]), str(names[int(codes[found[0]])].as_py())

        self._first = self._first or _first(np.ones(len(names), dtype=np.bool_))
        self._odd = self._odd or _first(~marks)
        long = compute.greater(compute.binary_length(names), MAX_LEVEL_BYTES).to_numpy(zero_copy_only=False)
        shapes.too_long = shapes.too_long or _first(long)
        shapes.null = shapes.null or _first(compute.match_substring(names, "\0").to_numpy(zero_copy_only=False))

    def decide(self) -> Decision | Refused:
        """Return the kind of the column, after all rows were added; or why it cannot be learned from."""
        if self.given is None and self.missing == self._rows:
            return Decision(None)
        if not self.holds_texts:
            return Decision(self.given or self._typed or "number")
        if self._late:  # the first texts came after numbers
            return Decision("category", again=ColumnCells(self.name, as_texts=True))
        return self._loose_kind() or self._refused() or Decision("category")

    def _loose_kind(self) -> Decision | None:
        """Return the kind of texts of a file without types, if they are no levels."""
        shapes = self._shapes
        if self.given is not None or not self._loose:
            return None
        if shapes.numbers and not (shapes.digits and shapes.leading_zero):
            return Decision("number", again=ColumnCells(self.name, "number"))
        return Decision("boolean") if shapes.booleans else None

    @property
    def may_count_rows(self) -> bool:
        """Whether the least and the greatest number are those of a column that numbers the rows from 0 or 1."""
        ends = (self.least, self.greatest)
        return not self.missing and ends in {(0.0, self._rows - 1.0), (1.0, float(self._rows))}

    def floats(self, cells: NDArray[Any]) -> NDArray[np.float64]:
        """Return cells of `add` as floats; texts are booleans."""
        import numpy as np

        if not self.holds_texts:
            return cells
        each = [float(name.strip(" \t") in TRUE) for name in self.levels]
        floats: NDArray[np.float64] = np.array([*each, np.nan])[cells]
        return floats

    def texts(self, cells: NDArray[np.int32]) -> NDArray[Any]:
        """Return cells of `add` as texts, `MISSING` for a missing one."""
        import numpy as np

        texts: NDArray[Any] = np.array([*self.levels, MISSING], dtype=object)[cells]
        return texts

    def _refused(self) -> Refused | None:
        """Return why a column of texts is no category; None if it is one."""
        shapes, (row, shown) = self._shapes, self._first or (0, "")
        if shapes.dates and self.given is None and self._first:
            message = f"{shown!r:.{MAX_SHOWN}} is a date or a time"
            return Refused(row, "date", message, ("drop", "category", *(("time",) if is_date(shown) else ())))
        if shapes.too_long:
            message = f"has more than {MAX_LEVEL_BYTES:,} bytes: {shapes.too_long[1]!r:.{MAX_SHOWN}}"
            return Refused(shapes.too_long[0], "level-too-long", message, ("drop",))
        if shapes.null:
            message = f"{shapes.null[1]!r:.{MAX_SHOWN}} holds a null character"
            return Refused(shapes.null[0], "null-character", message, ("drop",))
        return self._too_many()

    def _too_many(self) -> Refused | None:
        """Return why a column of texts has too many levels; None if it has not."""
        row, shown = self._first or (0, "")
        if self.given is not None:
            message = f"a category has at most {MAX_LEVELS:,} levels; it has more"
            return Refused(None, "too-many-levels", message, ("drop",)) if self._many else None
        if not (self._many or len(self.levels) > min(MAX_INFERRED_LEVELS, self._rows / 2)):
            return None
        if self._odd and self._numbers >= _MOSTLY * (self._rows - self.missing):
            values = f"{self._numbers:,} of the column's {self._rows - self.missing:,} values"
            message = f"{self._odd[1]!r:.{MAX_SHOWN}} is not a number, and {values} are"
            return Refused(self._odd[0], "not-a-number", message, ("empty", "drop"))
        if self._odd and (why := why_no_numbers(self.levels, self._odd[1], self._numbers, self._rows - self.missing)):
            return Refused(self._odd[0], "not-a-number", f"it {why}", ("drop",))
        found = f"more than {MAX_LEVELS:,}" if self._many else f"{len(self.levels):,}"
        most = f"at most {MAX_INFERRED_LEVELS:,} levels, and at most half as many as rows"
        message = (
            f"{shown!r:.{MAX_SHOWN}} is one of {found} different texts in {self._rows:,} rows; a category has {most}"
        )
        return Refused(row, "free-text", message, ("drop",) if self._many else ("drop", "category"))

    def warnings(self) -> list[str]:
        """Return one sentence for each suspicious thing about a category."""
        gaps = [name for name in self.levels if name.strip().lower() in _GAPS]
        if gaps:
            listed = " and ".join(map(repr, sorted(gaps)[:5]))
            return [f"column {self.name!r} has the level {listed}; if a value is missing there, leave the cell empty"]
        if self.given is not None or not self._odd:
            return []
        why = why_no_numbers(self.levels, self._odd[1], self._numbers, self._rows - self.missing)
        return [f"column {self.name!r} {why}; or {mends(category=[self.name])}"] if why else []
