"""Rare levels: a level of a few training rows may identify people, and a model does not learn it by name."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from artifact_pipeline.errors import listing, plural
from artifact_pipeline.rows.features import MISSING, Column

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.rows.features import Features

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
    columns: Sequence[Column],
    features: Features,
    training: NDArray[np.integer[Any]],
    *,
    missing_is_level: bool = True,
) -> FoldedColumns:
    """Return the columns that a model takes, with the levels that it learns by name.

    Args:
        columns: the columns as they were read, with all their levels.
        features: all rows.
        training: the positions of the training rows.
        missing_is_level: whether a missing value is a level of its own, if enough rows have one; otherwise the model
            replaces it by a level.
    """
    import numpy as np
    import pyarrow as pa

    folded, found, at = [], [], 0
    for column in columns:
        if column.kind != "category":
            folded.append(column)
            continue
        encoded = pa.array(features.S[training, at], pa.string()).dictionary_encode()
        rows = np.bincount(encoded.indices.to_numpy(), minlength=len(encoded.dictionary)).tolist()
        counts = dict(zip(encoded.dictionary.to_pylist(), rows, strict=True))
        if not missing_is_level:
            counts.pop(MISSING, None)
        rare = [level for level, count in counts.items() if count < MIN_ROWS]
        folded.append(replace(column, levels=tuple(sorted(counts.keys() - set(rare)))))
        if rare:
            lost = sum(counts[level] for level in rare)
            found.append(f"{column.name!r} ({plural(len(rare), 'level')}, {plural(lost, 'row')})")
        at += 1
    if not found:
        return FoldedColumns(tuple(folded), ())
    note = f"levels with fewer than {MIN_ROWS} training rows are read as other: {listing(found, _SHOWN)}"
    return FoldedColumns(tuple(folded), (note,))
