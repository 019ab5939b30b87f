"""The rules of single values, for files and requests: numbers, and the levels of a category."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from artifact_pipeline.rows.features import MISSING, Column
from artifact_pipeline.rows.limits import MAX_VALUE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

MISSING_TEXTS = ("", "NA", "NaN", "null")
"""The texts of a feature that stand for a missing value; blanks around them are allowed."""
TRUE, FALSE = ("true", "True", "TRUE"), ("false", "False", "FALSE")
"""The spellings of booleans in a CSV."""


class Level(NamedTuple):
    """A text of a category, compared with the levels that a model knows.

    Attributes:
        text: the level that it stands for; the text itself if the model knows no such level.
        unseen: whether the model does not know it.
        rule: the rule of `faults.RULES` that it breaks; empty if it breaks none.
    """

    text: str
    unseen: bool = False
    rule: Literal["", "missing", "null-character", "level-unknown"] = ""


class Levels:
    """The levels of a category that a model knows.

    Attributes:
        other: a text that is none of them.
    """

    def __init__(self, about: Column) -> None:
        self._about = about
        self._known = frozenset(about.levels)
        plain = (level for level in about.levels if level != MISSING and "\0" not in level)
        self._plain = {level: Level(level) for level in plain}
        self._missing = Level(MISSING, rule="" if about.nullable else "missing")
        self.other = "other"
        while self.other in self._known:
            self.other += "_"

    def of(self, text: str) -> Level:
        """Return the level of a text that is not missing.

        If the model does not know it, `1.0` is the level `1`, `1` is the level `1.0`, and true or false is the spelling
        that it knows, since another program may write a whole number or a boolean in another way.
        """
        if text in self._plain:
            return self._plain[text]
        text = _level_of(text, self._known)
        unseen = text not in self._known
        if "\0" in text:
            return Level(text, unseen, "null-character")
        return Level(text, unseen, "level-unknown" if unseen and self._about.other == "refuse" else "")

    def of_cell(self, text: str | None) -> Level:
        """Return the level of a text, or of a missing value."""
        if text in self._plain:
            return self._plain[text]
        return self._missing if text is None or text.strip(" \t") in MISSING_TEXTS else self.of(text)


def number_faults(
    floats: NDArray[np.floating], about: Column, dtype: Literal["float32", "float64"] = "float64"
) -> list[tuple[str, NDArray[np.bool_]]]:
    """Return the rules that numbers break, each with the values that break it.

    Args:
        floats: NaN for a missing value; a boolean is 1 or 0.
        about: the column.
        dtype: the model's type.
    """
    import numpy as np

    found, unknown = [], np.isnan(floats)
    if about.kind == "boolean":
        found.append(("not-a-boolean", ~(unknown | (floats == 0) | (floats == 1))))
    if not about.nullable:
        found.append(("missing", unknown))
    sizes, limit = np.abs(floats), MAX_VALUE[dtype]
    if not np.fmax.reduce(sizes, initial=0) <= limit:
        found.append(("not-finite", ~(unknown | (sizes <= limit))))
    return [(rule, broken) for rule, broken in found if broken.any()]


class NumberFault(NamedTuple):
    """The first value of a matrix that breaks a rule: its row, its column, and the rule of `faults.RULES`."""

    row: int
    column: Column
    rule: str


class NumberRules:
    """Checks the values of some numbers and booleans, all columns at a time."""

    def __init__(self, columns: Sequence[Column], dtype: Literal["float32", "float64"]) -> None:
        """Prepare the check of these numbers and booleans, for a model of this dtype."""
        import numpy as np

        self._columns, self._dtype = tuple(columns), dtype
        self._limit = MAX_VALUE[dtype]
        self._required = np.array([not column.nullable for column in columns], dtype=bool)
        self._booleans = np.array([column.kind == "boolean" for column in columns], dtype=bool)
        self._some_missing, self._some_booleans = not self._required.all(), bool(self._booleans.any())

    def fault(self, X: NDArray[np.floating], *, may_be_no_boolean: bool = True) -> NumberFault | None:
        """Return the first fault, column by column; None if there is none.

        Args:
            X: of shape (rows, columns), NaN for a missing value.
            may_be_no_boolean: whether booleans may have other values than 1 and 0.
        """
        if self._are_right(X) and not (may_be_no_boolean and self._some_booleans and self._has_no_boolean(X)):
            return None
        for values, column in zip(X.T, self._columns, strict=True):
            for rule, broken in number_faults(values, column, self._dtype):
                return NumberFault(int(broken.argmax()), column, rule)
        return None

    def _are_right(self, X: NDArray[np.floating]) -> bool:
        import numpy as np

        if not X.size:
            return True
        if np.vdot(X, X) <= self._limit:  # the fastest check: no square exceeds the limit, and there is no NaN
            return True
        sizes = np.abs(X)
        if sizes.max() <= self._limit:
            return True
        if not self._some_missing or not np.fmax.reduce(sizes, axis=None, initial=0) <= self._limit:
            return False
        return not np.isnan(X)[:, self._required].any()

    def _has_no_boolean(self, X: NDArray[np.floating]) -> bool:
        import numpy as np

        found = X[:, self._booleans]
        return not ((found == 0) | (found == 1) | np.isnan(found)).all()


def _level_of(name: str, levels: frozenset[str]) -> str:
    """Return the level that a text stands for; the text itself if there is no such level."""
    if name in levels:
        return name
    is_whole = name.removesuffix(".0").removeprefix("-").isdigit()
    like: tuple[str, ...] = (name.removesuffix(".0"), f"{name}.0") if is_whole else ()
    like += next((each for each in (TRUE, FALSE) if name in each), ())
    found = [each for each in like if each in levels]
    return found[0] if len(found) == 1 else name
