"""Rare levels: a level of a few training rows may identify people, and a model does not learn it by name."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from artifact_pipeline.errors import listing, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.rows.features import Column, Features

MIN_ROWS = 5
"""Least number of training rows of a level that a model knows."""
_SHOWN = 5
"""Most columns that a note names."""


class FoldedColumns(NamedTuple):
    """The columns that a model takes.

    Attributes:
        columns: as they were read, but a category has only the levels of at least `MIN_ROWS` training rows.
        notes: sentences about the levels that were folded into *other*.
    """

    columns: tuple[Column, ...]
    notes: tuple[str, ...]


def fold_rare_levels(
    columns: Sequence[Column], features: Features, training: NDArray[np.integer[Any]]
) -> FoldedColumns:
    """Return the columns that a model takes, with the levels that it learns by name.

    Args:
        columns: the columns as they were read, with all their levels.
        features: all rows.
        training: the positions of the training rows.
    """
    folded, found, at = [], [], 0
    for column in columns:
        if column.kind != "category":
            folded.append(column)
            continue
        counts = Counter(features.S[training, at].tolist())
        rare = [level for level, count in counts.items() if count < MIN_ROWS]
        folded.append(replace(column, levels=tuple(sorted(counts.keys() - set(rare)))))
        if rare:
            lost = sum(counts[level] for level in rare)
            found.append(f"{column.name!r} ({plural(len(rare), 'level')}, {plural(lost, 'row')})")
        at += 1
    note = f"levels with fewer than {MIN_ROWS} training rows are read as other: {listing(found, _SHOWN)}"
    return FoldedColumns(tuple(folded), (note,) if found else ())
