"""Which columns of a table are learned from, and which are left out and why."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from artifact_pipeline.errors import DataRejected, Problem
from artifact_pipeline.rows.faults import meant_names
from artifact_pipeline.rows.limits import MAX_TEXT
from artifact_pipeline.rows.matrix import LeftOut
from artifact_pipeline.rows.mending import drop_hint

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

UNNAMED = re.compile(r"|Unnamed: [0-9]+|__index_level_[0-9]+__")
"""How pandas writes, and reads again, a column without a name."""
REFUSED = "the table cannot be learned"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a training asks of a table's columns.

    Attributes:
        target: the column of the labels.
        features: the columns to learn from, in this order; None takes all that are no index.
        drop: columns to leave out.
    """

    target: str
    features: tuple[str, ...] | None = None
    drop: tuple[str, ...] = ()


def choose_features(
    place: str, names: Sequence[str], index: Sequence[str], asked: Asked
) -> tuple[tuple[str, ...], list[LeftOut]]:
    """The columns to learn from, and those that are left out before a row is read.

    Args:
        place: the file.
        names: its columns, the target among them.
        index: those among them that the file itself calls an index.
        asked: what is asked of them.

    Raises:
        DataRejected: a column that is named is not there, one has no name, or none is left.
    """
    known = frozenset(names)
    missing = [name for name in (*(asked.features or ()), *asked.drop) if name not in known]
    if missing:
        problems = [Problem(place, "column-missing", f"no column {name!r}") for name in missing]
        raise DataRejected(REFUSED, problems=problems, hint=meant_names(missing, names))
    reasons = dict.fromkeys(index, "the file says that it is the index of pandas")
    if asked.features is not None:
        reasons = dict.fromkeys(names, "dataset.features does not name it")
    reasons |= dict.fromkeys(asked.drop, "dataset.drop names it")
    there = [name for name in names if name != asked.target]
    chosen = asked.features or tuple(name for name in there if name not in reasons)
    _check_names(place, chosen)
    if not chosen:
        problem = Problem(place, "no-columns", f"has no column to learn from beside the target {asked.target!r}")
        raise DataRejected(REFUSED, problems=[problem], hint=f"it has: {', '.join(map(repr, names))}")
    taken = frozenset(chosen)
    return chosen, [LeftOut(name, reasons[name]) for name in there if name not in taken]


def _check_names(place: str, names: Sequence[str]) -> None:
    if "" in names:
        refuse_unnamed(place, "")
    for name in names:
        if len(name) > MAX_TEXT:
            message = f"a column's name must have 1 to {MAX_TEXT} characters, got {name!r:.80}"
            hint = "give it a shorter name"
            raise DataRejected(REFUSED, problems=[Problem(place, "column-name", message)], hint=hint)


def refuse_unnamed(place: str, name: str) -> None:
    """Refuse a column without a name.

    Raises:
        DataRejected: always.
    """
    message = f"the column {name!r} has no name of its own; it looks like an index that pandas has written"
    hint = f"leave it out: {drop_hint([name])}; or write the table without it: to_csv(…, index=False)"
    raise DataRejected(REFUSED, problems=[Problem(place, "column-name", message)], hint=hint)


def row_number_of(pieces: Sequence[NDArray[np.float64]], column: int) -> int | None:
    """The first number of a column that counts the rows, each number once in any order; None where it does not.

    Args:
        pieces: the rows, float64 of shape (some rows, columns).
        column: which column.
    """
    import numpy as np

    if not float(pieces[0][0, column]).is_integer():  # so are most columns told
        return None
    rows = sum(map(len, pieces))
    first = min(piece[:, column].min() for piece in pieces)
    last = max(piece[:, column].max() for piece in pieces)
    if (first, last) not in {(0.0, rows - 1.0), (1.0, float(rows))}:
        return None
    seen = np.zeros(rows, dtype=np.bool_)
    for piece in pieces:
        values = piece[:, column]
        if (np.trunc(values) != values).any():
            return None
        seen[(values - first).astype(np.int64)] = True
    return int(first) if seen.all() else None
