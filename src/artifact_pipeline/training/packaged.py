"""A model that was fitted elsewhere: which columns it takes, and rows as its owner gives them to it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from artifact_pipeline.errors import DataRejected, Problem, plural
from artifact_pipeline.rows.features import MISSING, Features
from artifact_pipeline.training.fitting import FittedModel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.model.layout import Layout
    from artifact_pipeline.rows.features import Column
    from artifact_pipeline.rows.memory import Table

_FLOAT32 = frozenset({"float32", "float", "float16", "halffloat"})
_BOOLEAN = frozenset({"bool", "boolean"})
_HINT_COLUMNS = "give the columns that it was fitted on, in their order"


class GivenRows(NamedTuple):
    """Rows in memory that a model was, or could have been, fitted on.

    Attributes:
        X: as its owner gives them.
        names: a name for each column, in the order in which the model was fitted.
        table: the same with the names, as `rows.memory` reads it.
        matrix: whether the model was fitted on columns without names.
    """

    X: Any
    names: tuple[str, ...]
    table: Table
    matrix: bool

    def type_of(self, name: str) -> str:
        """The name of a column's type in its own library, in lower case; empty where it has none."""
        values: Any = self.table
        column = values[name]
        return str(getattr(column, "dtype", getattr(column, "type", ""))).lower()

    @property
    def booleans(self) -> frozenset[str]:
        """The columns that hold booleans."""
        return frozenset(name for name in self.present if self.type_of(name) in _BOOLEAN)

    @property
    def hold_float32(self) -> bool:
        """Whether a number is a float32, which the model would compute in float32."""
        return any(self.type_of(name) in _FLOAT32 for name in self.present)

    @property
    def present(self) -> list[str]:
        """The columns that the table has; one that the model drops may be missing."""
        own = self.table.column_names if hasattr(self.table, "column_names") else self.table.keys()  # type: ignore[union-attr]
        return [name for name in self.names if name in own]


def given_rows(X: Any, model: Any, layout: Layout) -> GivenRows:
    """Return the rows that were given with a model.

    Raises:
        DataRejected: X is none of these, or has another number of columns, or lacks one, or has one twice.
    """
    import numpy as np
    import pyarrow as pa

    width = layout.width
    known = getattr(model, "feature_names_in_", None)
    fitted_names = None if known is None else tuple(map(str, known))
    X = np.asarray(X) if isinstance(X, list | tuple) else X
    if isinstance(X, np.ndarray):
        if X.ndim != 2 or X.shape[1] != width:
            raise _refused(f"of shape {X.shape}, and the model was fitted on {plural(width, 'column')}", _HINT_COLUMNS)
        names = fitted_names or tuple(f"x{position}" for position in range(width))
        return GivenRows(X, names, {name: X[:, at] for at, name in enumerate(names)}, fitted_names is None)
    X, own = _table_of(X)
    names = tuple(map(str, own))
    if fitted_names is None and len(own) != width:
        words = f"a table of {plural(len(own), 'column')}, and the model was fitted on {width:,}"
        raise _refused(words, _HINT_COLUMNS)
    used = {position for branch in layout.branches for position in branch.columns}
    missing = [name for position, name in enumerate(fitted_names or ()) if position in used and name not in names]
    if missing:
        raise _refused(
            f"a table without the column {missing[0]!r:.80}, which the model was fitted on", "add it to the table"
        )
    table = X if isinstance(X, pa.Table) else {str(name): X[name] for name in own}
    return GivenRows(X, fitted_names or names, table, fitted_names is None)


def _table_of(X: Any) -> tuple[Any, list[Any]]:
    """Return a data frame, a dict of columns or an Arrow table, and its columns as it names them."""
    import pyarrow as pa

    if hasattr(X, "tocsr"):
        raise _refused("a sparse matrix", "give X.toarray(), or the data frame")
    if not hasattr(X, "keys") and not hasattr(X, "get_columns"):
        if not (hasattr(X, "__arrow_c_stream__") or hasattr(X, "__arrow_c_array__")):
            raise _refused(type(X).__name__, "give a data frame, a dict of columns or a matrix")
        X = pa.table(X)
    own = [*(X.column_names if isinstance(X, pa.Table) else X.keys() if hasattr(X, "keys") else X.columns)]
    name, count = next(iter(Counter(map(str, own)).most_common(1)), ("", 0))
    if count > 1:
        raise _refused(f"a table with {count} columns {name!r:.80}", "give each column a name of its own")
    return X, own


def _refused(what: str, hint: str) -> DataRejected:
    problem = Problem("X", "rows-shape", f"it is {what}")
    return DataRejected("the rows do not fit the model", problems=[problem], hint=hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagedModel(FittedModel):
    """A model that was fitted elsewhere.

    Attributes:
        given: the rows that came with it.
        labels: its labels as the artifact has them.
        layout: its steps.
    """

    given: GivenRows
    labels: tuple[int | str, ...]
    layout: Layout

    @property
    def order(self) -> tuple[str, ...]:
        """The columns that it was fitted on."""
        return self.given.names

    def inputs(self, features: Features) -> Any:
        """Rows of the columns as its owner would give them: a data frame like the one that was given, or a matrix."""
        import numpy as np

        numbers, texts, columns = iter(features.X.T), iter(features.S.T), {}
        for column in self.columns:
            columns[column.name] = next(numbers if column.kind != "category" else texts)
        for branch in self.layout.branches:
            if branch.encoder is not None:
                for at, position in enumerate(branch.columns):
                    name = self.given.names[position]
                    columns[name] = branch.as_fitted(columns[name], at)
        every = {name: columns.get(name, np.zeros(len(features))) for name in self.given.names}
        return np.column_stack([*every.values()]) if self.given.matrix else _frame_like(self.given.X, every)

    def given_inputs(self, features: Features) -> Any:
        """The rows that were given, as the model is to answer them: in float64, as the artifact will."""
        import numpy as np

        X = self.given.X
        if isinstance(X, np.ndarray) and self.given.matrix:
            return X.astype(np.float64) if X.dtype.kind == "f" else X
        if isinstance(X, dict | np.ndarray) or self.given.hold_float32:
            return self.inputs(features)
        if hasattr(X, "select") and hasattr(X, "column_names"):  # a table of pyarrow
            return X.select(self.given.present)
        return X if self.given.matrix else X[self.given.present]


def _frame_like(X: Any, columns: Mapping[str, NDArray[Any]]) -> Any:
    """A data frame of these columns, of Polars where X is one, or else of pandas where that is installed."""
    if type(X).__module__.partition(".")[0] == "polars":
        import polars as pl

        gaps = {name: [None if each != each else each for each in values.tolist()] for name, values in columns.items()}  # noqa: PLR0124 - NaN alone
        return pl.DataFrame({name: pl.Series(values, strict=False) for name, values in gaps.items()})
    try:
        import pandas as pd
    except ModuleNotFoundError:
        import pyarrow as pa

        return pa.table({name: pa.array(values, from_pandas=True) for name, values in columns.items()})
    return pd.DataFrame({name: pd.Series(values, dtype=values.dtype) for name, values in columns.items()})


def label_of(value: Any) -> int | str | None:
    """A label as an artifact has it; None where it is a number with decimals, or of another type.

    A boolean is the text `True` or `False`, a number without decimals a whole one.
    """
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, int):
        return value
    return int(value) if isinstance(value, float) and value.is_integer() else None


def synthetic_rows(features: Features, columns: Sequence[Column], rows: int) -> Features:
    """Draw rows from the ranges and the levels of columns, each column by itself; always the same ones.

    Half of the numbers are values of the given rows, and the others lie within their range or a tenth of it beyond.
    What may be missing is so in a twentieth of the rows, and as many levels are unknown where they may be.
    """
    import numpy as np

    random = np.random.default_rng(20240229)
    X, S = np.empty((rows, features.X.shape[1])), np.empty((rows, features.S.shape[1]), dtype=object)
    numbers, texts = iter(range(X.shape[1])), iter(range(S.shape[1]))
    for column in columns:
        gaps = random.random(rows) < 0.05 * column.nullable
        if column.kind == "category":
            drawn = random.choice(np.array(column.levels, dtype=object), rows)
            unknown = random.random(rows) < 0.05 * (column.other == "accept")
            drawn[unknown] = "unseen"
            drawn[gaps] = MISSING
            S[:, next(texts)] = drawn
            continue
        at = next(numbers)
        X[:, at] = _draw_numbers(features.X[:, at], random, rows, boolean=column.kind == "boolean")
        X[gaps, at] = np.nan
    return Features(X, S)


def _draw_numbers(given: NDArray[np.float64], random: np.random.Generator, rows: int, *, boolean: bool) -> Any:
    import numpy as np

    there = given[~np.isnan(given)]
    if boolean or not len(there):
        return random.integers(0, 2, rows).astype(np.float64)
    room = 0.1 * (there.max() - there.min())
    drawn = random.uniform(there.min() - room, there.max() + room, rows)
    drawn = np.rint(drawn) if (there == np.rint(there)).all() else drawn
    return np.where(random.random(rows) < 0.5, random.choice(there, rows), drawn)
