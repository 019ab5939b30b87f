"""The hash split of a model: the side of it on which any row is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.artifact.manifest import Manifest
    from artifact_pipeline.rows.batches import Batch
    from artifact_pipeline.rows.features import Column, Features

UNKNOWN_SIDE, TRAINING_SIDE, HELD_OUT_SIDE = -1, 0, 1
SIDES: dict[int, Literal["held-out", "training", "unknown"]] = {
    HELD_OUT_SIDE: "held-out",
    TRAINING_SIDE: "training",
    UNKNOWN_SIDE: "unknown",
}
"""The names of the sides in predictions and on pages."""


def side_names(sides: NDArray[np.int8] | None, rows: int) -> NDArray[np.str_]:
    """Return the name of the side of each row, of shape (rows,); None stands for unknown sides."""
    import numpy as np

    names = np.array([SIDES[each] for each in (TRAINING_SIDE, HELD_OUT_SIDE, UNKNOWN_SIDE)])
    found: NDArray[np.str_] = names[np.full(rows, UNKNOWN_SIDE) if sides is None else sides]
    return found


@dataclass(frozen=True, slots=True)
class HashSplit:
    """The hash split of a model: it computes the side of any row, without stored rows.

    The model has learned no row of the held-out side, and the rows of the training side that its training file had.

    Attributes:
        columns: the model's columns.
        key: the columns that are hashed; empty where all features are.
        share: the share of all hashes that is held out.
        seed: the salt of the hashes.
    """

    columns: tuple[Column, ...]
    key: tuple[str, ...]
    share: float
    seed: int

    @classmethod
    def of(cls, manifest: Manifest) -> HashSplit | None:
        """Return the split of a model; None where it is no hash split, or cannot be computed again."""
        split, seed = manifest.recipe.get("split"), manifest.recipe.get("random_state")
        if not isinstance(split, dict) or split.get("by") != "hash" or manifest.model.dtype != "float64":
            return None
        key, share = split.get("key") or [], split.get("test_size")
        plain = isinstance(key, list) and all(isinstance(name, str) for name in key)
        if not (plain and isinstance(share, float) and 0 < share < 1 and isinstance(seed, int) and 0 <= seed < 2**32):
            return None
        return cls(manifest.model.columns, tuple(key), share, seed)

    def lacks(self, there: Collection[str]) -> str | None:
        """Return the first column of the key that is not there; None where none is missing."""
        return next((name for name in self.key if name not in there), None)

    def sides(self, batch: Batch) -> NDArray[np.int8]:
        """Return the side of each row that can be answered: `HELD_OUT_SIDE`, `TRAINING_SIDE` or `UNKNOWN_SIDE`.

        The side is unknown where a column of the key is missing (`Wanted.keys` asks for it), or has no value.
        """
        from artifact_pipeline.rows.split_columns import key_values

        booleans = {each.name for each in self.columns if each.kind == "boolean"}
        keys: dict[str, Sequence[Any]] = {}
        for name in self.key:
            column = batch.kept.get(name)
            values = None if column is None else key_values(column, boolean=name in booleans)
            if values is not None:
                keys[name] = values.to_pylist()
        return self.sides_of(batch.features, keys)

    def sides_of(self, features: Features, keys: Mapping[str, Sequence[Any] | NDArray[Any]]) -> NDArray[np.int8]:
        """Return the side of each row, as `sides` does.

        Args:
            features: the rows.
            keys: the values of the key's columns, by name.
        """
        import numpy as np

        from artifact_pipeline.rows.row_hash import below, feature_hashes, is_missing, key_hashes

        rows = len(features)
        if self.lacks(keys) is not None:
            return np.full(rows, UNKNOWN_SIDE, dtype=np.int8)
        if not self.key:
            return below(feature_hashes(self.columns, features, seed=self.seed), self.share).astype(np.int8)
        own = {name: keys[name] for name in self.key}
        unknown = np.zeros(rows, dtype=np.bool_)
        for values in own.values():
            unknown |= np.fromiter(map(is_missing, values), dtype=np.bool_, count=rows)
        return np.where(unknown, UNKNOWN_SIDE, below(key_hashes(own, seed=self.seed), self.share)).astype(np.int8)
