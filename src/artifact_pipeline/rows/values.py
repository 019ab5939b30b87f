"""The rules of single values, whatever they were read from: numbers, and the levels of a category."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from artifact_pipeline.rows.features import MISSING, Column
from artifact_pipeline.rows.limits import MAX_VALUE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

MISSING_TEXTS = ("", "NA", "NaN", "null")
"""The texts of a feature that stand for a missing value, blanks around them allowed."""
TRUE, FALSE = ("true", "True", "TRUE"), ("false", "False", "FALSE")
"""How a CSV writes booleans."""


class Level(NamedTuple):
    """What a text of a category is.

    Attributes:
        text: the level that it means; the text itself where the model has none that is like it.
        unseen: whether the model does not know it.
        rule: the rule of `faults.RULES` that it breaks; empty where nothing is wrong with it.
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
        """Return what a text is that is not missing.

        Where the model does not know it, `1.0` is the level `1`, `1` the level `1.0`, and a spelling of true or false
        the one that it knows: the next program may write a whole number, or a boolean, in another way.
        """
        if text in self._plain:
            return self._plain[text]
        text = _level_of(text, self._known)
        unseen = text not in self._known
        if "\0" in text:
            return Level(text, unseen, "null-character")
        return Level(text, unseen, "level-unknown" if unseen and self._about.other == "refuse" else "")

    def of_cell(self, text: str | None) -> Level:
        """Return what a text is, or one that is missing."""
        if text in self._plain:
            return self._plain[text]
        return self._missing if text is None or text.strip(" \t") in MISSING_TEXTS else self.of(text)


def number_faults(
    floats: NDArray[np.floating], about: Column, dtype: Literal["float32", "float64"] = "float64"
) -> list[tuple[str, NDArray[np.bool_]]]:
    """Return the rules that numbers break, each with the values that break it; none where nothing is wrong.

    Args:
        floats: NaN where one is missing; a boolean is 1 or 0.
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
    """What the numbers and the booleans of some columns may be, looked at all at once."""

    def __init__(self, columns: Sequence[Column], dtype: Literal["float32", "float64"]) -> None:
        """Prepare.

        Args:
            columns: numbers and booleans.
            dtype: the model's type.
        """
        import numpy as np

        self._columns, self._dtype = tuple(columns), dtype
        self._limit = MAX_VALUE[dtype]
        self._required = np.array([not column.nullable for column in columns], dtype=bool)
        self._booleans = np.array([column.kind == "boolean" for column in columns], dtype=bool)
        self._some_missing, self._some_booleans = not self._required.all(), bool(self._booleans.any())

    def fault(self, X: NDArray[np.floating], *, may_be_no_boolean: bool = True) -> NumberFault | None:
        """Return the first fault, column by column; None where there is none.

        Args:
            X: of shape (rows, columns), NaN where a value is missing.
            may_be_no_boolean: whether the values of booleans may be others than 1 and 0.
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
        if np.vdot(X, X) <= self._limit:  # no square is beyond it, and there is no NaN: the least that can be asked
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
    """The level that a text means; the text itself where the model has none that is like it."""
    if name in levels:
        return name
    like: tuple[str, ...] = (name.removesuffix(".0"), f"{name}.0") if _is_whole(name) else ()
    like += next((each for each in (TRUE, FALSE) if name in each), ())
    found = [each for each in like if each in levels]
    return found[0] if len(found) == 1 else name


def _is_whole(text: str) -> bool:
    return text.removesuffix(".0").removeprefix("-").isdigit()
