"""What a column holds, inferred at training over all of its rows, by stated rules; or as the config gives it.

A number: every cell that is not missing is one. A boolean: every one is true or false. A category: texts with at most
1,000 levels, and at most half as many as rows; digits of which some begin with a zero are one too. A text of a file
that has types stays text. Dates, free text and nested values are refused, each with its row and what to do.
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
"""Most levels of a category that was not given as one: texts with more are names, ids or sentences."""
_MOSTLY = 0.5
"""The share of numbers from which on a text among them is taken for a slip."""
_NUMBER = rf"^[ \t]*{SIGNED_NUMBER.removeprefix('^').removesuffix('$')}[ \t]*$"
_DIGITS = r"^[ \t]*[0-9]+[ \t]*$"
_DATE = (
    r"^[ \t]*([0-9]{4}[-/.][0-9]{1,2}[-/.][0-9]{1,2}|[0-9]{1,2}[-/.][0-9]{1,2}[-/.][0-9]{4})"
    r"([T ][0-9]{1,2}:[0-9]{2}.*)?[ \t]*$"
)
_GAPS = frozenset({"na", "n/a", "nan", "null", "none", "nil", "-", "--", "?", ".", "#n/a", "<na>", "-999", "-9999"})
"""What may stand for a missing value and is not taken for one, in lower case."""
GAP_NUMBERS = (-999.0, -9999.0)
"""Numbers that may."""


Mend = Literal["drop", "category", "empty", "time"]
"""What to do about a column: leave it out, give it the kind `category`, leave cells empty, or split the rows by it."""


class Refused(NamedTuple):
    """Why a column cannot be learned from.

    Attributes:
        row: a row among all rows of the table that shows it; None where no row does.
        rule, message: the rule and what is wrong, for a `Problem`.
        mend: what to do, by name.
    """

    row: int | None
    rule: str
    message: str
    mend: tuple[Mend, ...]


class Decision(NamedTuple):
    """What a column is.

    Attributes:
        kind: its kind; None where it has no value at all.
        again: whether its cells must be read again as such; where the kind is a category that is not `sure`, its texts
            were not seen from the first row on, and what it is must be decided again.
        sure: whether this is the last word.
    """

    kind: ColumnKind | None
    again: bool = False
    sure: bool = True


@dataclass(slots=True)
class _Shapes:
    """What all texts of a column are so far."""

    numbers: bool = True
    digits: bool = True
    booleans: bool = True
    dates: bool = True
    leading_zero: bool = False
    too_long: tuple[int, str] | None = None
    null: tuple[int, str] | None = None


class ColumnCells:
    """The cells of a column that is learned from: held as numbers, or as positions among its levels.

    Attributes:
        name: the column.
        levels: each level in the order in which they came, with how many cells hold it.
        missing: how many cells are missing.
        least: the least number; infinite where there is none.
        greatest: the greatest number; minus infinity where there is none.
    """

    def __init__(self, name: str, given: ColumnKind | None = None, *, as_texts: bool = False) -> None:
        """Begin without a row.

        Args:
            name: the column.
            given: its kind where it need not be inferred.
            as_texts: whether its cells are to be held as texts, though their kind is not decided.
        """
        self.name, self.given = name, given
        self.levels: dict[str, int] = {}
        self.missing, self.least, self.greatest = 0, float("inf"), -float("inf")
        self._places: dict[str, int] = {}
        self._texts = as_texts or given == "category"
        self._rows = self._numbers = 0
        self._typed: ColumnKind | None = None
        self._many = self._late = self._loose = False
        self._shapes = _Shapes()
        self._first: tuple[int, str] | None = None  # the first text, or the first that is no number
        self._odd: tuple[int, str] | None = None

    @property
    def holds_texts(self) -> bool:
        """Whether its cells are held as texts now."""
        return self._texts

    def add(self, column: pa.Array, faults: Faults, *, loose: bool) -> NDArray[Any]:
        """Take the next cells.

        Args:
            column: the cells.
            faults: where a cell that cannot be learned is noted.
            loose: whether texts may be meant as something else, since the file has no types.

        Returns:
            float64, NaN where one is missing; or int32 positions among the levels, -1 where one is missing.
        """
        import pyarrow as pa

        text = pa.types.is_string(column.type)
        if not self._fits(column, faults, loose=loose or self._loose):
            self.missing -= len(column) - column.null_count  # what cannot be learned is not missing
            column, text = pa.nulls(len(column)), False
        if text and not self._texts and self.given is None and (loose or column.null_count < len(column)):
            self._late = self._rows > self.missing
            self._texts = True
        self._loose = self._loose or (loose and text)
        cells = self._add_texts(column, faults) if self._texts else self._add_numbers(column, faults)
        self._rows += len(column)
        return cells

    def _fits(self, column: pa.Array, faults: Faults, *, loose: bool) -> bool:
        """Whether cells of this type can be learned, and are of the kind of those before them."""
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
            if -limit <= least and greatest <= limit:  # which no NaN is
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
        """Note what different texts are."""
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
        """What the column is, once all rows were seen; or why it cannot be learned from."""
        if self.given is None and self.missing == self._rows:
            return Decision(None)
        if not self._texts:
            return Decision(self.given or self._typed or "number")
        if self._late:
            return Decision("category", again=True, sure=False)
        return self._loose_kind() or self._refused() or Decision("category")

    def _loose_kind(self) -> Decision | None:
        """What texts of a file without types are, if they are no levels."""
        shapes = self._shapes
        if self.given is not None or not self._loose:
            return None
        if shapes.numbers and not (shapes.digits and shapes.leading_zero):
            return Decision("number", again=True)
        return Decision("boolean") if shapes.booleans else None

    @property
    def may_count_rows(self) -> bool:
        """Whether the numbers reach from 0 or 1 as far as a column does that counts the rows."""
        ends = (self.least, self.greatest)
        return not self.missing and ends in {(0.0, self._rows - 1.0), (1.0, float(self._rows))}

    def floats(self, cells: NDArray[Any]) -> NDArray[np.float64]:
        """The cells that `add` returned as floats; of texts they are those of booleans."""
        import numpy as np

        if not self._texts:
            return cells
        each = [float(name.strip(" \t") in TRUE) for name in self.levels]
        floats: NDArray[np.float64] = np.array([*each, np.nan])[cells]
        return floats

    def texts(self, cells: NDArray[np.int32]) -> NDArray[Any]:
        """The cells that `add` returned as texts, `MISSING` where one is missing."""
        import numpy as np

        texts: NDArray[Any] = np.array([*self.levels, MISSING], dtype=object)[cells]
        return texts

    def _refused(self) -> Refused | None:
        """Why a column of texts is no category; None where it is one."""
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
        """Why a column of texts has too many levels; None where it has not."""
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
        """What is suspicious about a category, a sentence each."""
        gaps = [name for name in self.levels if name.strip().lower() in _GAPS]
        if gaps:
            listed = " and ".join(map(repr, sorted(gaps)[:5]))
            return [f"column {self.name!r} has the level {listed}; if a value is missing there, leave the cell empty"]
        if self.given is not None or not self._odd:
            return []
        why = why_no_numbers(self.levels, self._odd[1], self._numbers, self._rows - self.missing)
        return [f"column {self.name!r} {why}; or {mends(category=[self.name])}"] if why else []
