"""Recognises the rows of a file of the training: then figures are computed for each side of the split.

Such a file is the table, the held-out file, or the feedback. The artifact holds one digest of all rows of each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from artifact_pipeline.rows.batches import UNLABELLED
from artifact_pipeline.rows.matrix import FEEDBACK, TYPED_DIGEST_ALGORITHM, RowsDigest, TypedRowsDigest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.prediction.scoring import Scored


_AT_ONCE = 512
"""Rows that are copied into one matrix at once, to be hashed."""


class TrainingRows:
    """Compares rows, batch by batch, with the digests in the manifest; it stops at a row that cannot fit any."""

    def __init__(self, artifact: Verified) -> None:
        data, model = artifact.manifest.data, artifact.manifest.model
        self._artifact, self._classes = artifact, model.classes
        names = tuple(feature.name for feature in model.inputs)
        self._known: list[_KnownRows] = []
        first = 0
        for source in sorted(data.sources, key=lambda each: each.name == FEEDBACK):  # behind the rows that are split
            typed = source.algorithm == TYPED_DIGEST_ALGORITHM
            digest = (
                TypedRowsDigest(model.columns, data.target) if typed else RowsDigest(names, data.target, source.rows)
            )
            self._known.append(_KnownRows(digest, source.digest, slice(first, first + source.rows)))
            first += source.rows
        self._seen = 0
        self._actual: list[NDArray[np.int64]] = []
        self._predicted: list[NDArray[np.int64]] = []
        self._rows = slice(0, first)

    def add(self, scored: Scored) -> None:
        """Add a batch."""
        import numpy as np

        batch = scored.batch
        self._seen += len(scored.labels)
        whole = not scored.rejected and batch.actual is not None and UNLABELLED not in batch.actual
        self._known = [each for each in self._known if whole and self._seen <= each.total]
        if not self._known or batch.actual is None:
            self._actual, self._predicted = [], []
            return
        typed = [each.digest for each in self._known if isinstance(each.digest, TypedRowsDigest)]
        plain = [each.digest for each in self._known if isinstance(each.digest, RowsDigest)]
        for digest in typed:
            digest.add(batch.features)
        for start in range(0, len(scored.labels) if plain else 0, _AT_ONCE):
            columns = [column[start : start + _AT_ONCE] for column in batch.columns]
            numbers = np.stack(columns, axis=1, dtype=np.float64)
            numbers += 0.0  # minus zero is zero, as where a table is read to be learned
            for each in plain:
                each.add(numbers)
        self._actual.append(batch.actual)
        self._predicted.append(scored.positions)

    def by_split(self) -> dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Return actual and predicted positions of the held-out and of the training rows; empty for other rows."""
        import numpy as np

        self._known = [each for each in self._known if each.total == self._seen]
        if not self._known:
            return {}
        actual, predicted = np.concatenate(self._actual), np.concatenate(self._predicted)
        labels = np.array(self._classes)[actual]
        found = next((each for each in self._known if each.digest.finish(labels) == each.recorded), None)
        if found is None:
            return {}
        self._rows = found.rows
        held_out = self.held_out()
        return {
            "held-out": (actual[held_out], predicted[held_out]),
            "training": (actual[~held_out], predicted[~held_out]),
        }

    def held_out(self) -> NDArray[np.bool_]:
        """Return which rows were held out, bool of shape (rows,), of the recognised file, else of all files."""
        import numpy as np

        bits: NDArray[Any] = np.frombuffer(self._artifact.role("split"), dtype=np.uint8)
        data = self._artifact.manifest.data
        flags = np.zeros(data.rows, dtype=np.bool_)
        flags[: data.split_rows] = np.unpackbits(bits, count=data.split_rows, bitorder="little")
        return flags[self._rows]


class _KnownRows(NamedTuple):
    """The rows of a file of the training: their digest so far, that in the manifest, and their place among all rows."""

    digest: RowsDigest | TypedRowsDigest
    recorded: str
    rows: slice

    @property
    def total(self) -> int:
        """How many rows there are."""
        return int(self.rows.stop - self.rows.start)
