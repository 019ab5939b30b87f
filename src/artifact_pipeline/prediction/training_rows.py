"""Are these exactly the rows of the training file? Then figures are computed for each side of the split.

Of any other file it is unknown which rows the model has seen: the artifact holds one digest of all rows together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from artifact_pipeline.rows.batches import UNLABELLED
from artifact_pipeline.rows.matrix import TYPED_DIGEST_ALGORITHM, RowsDigest, TypedRowsDigest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.prediction.scoring import Scored


class TrainingRows:
    """Compares rows that stream by with the digest in the manifest, and gives up at the first that cannot be one."""

    def __init__(self, artifact: Verified) -> None:
        data, model = artifact.manifest.data, artifact.manifest.model
        self._artifact, self._classes = artifact, model.classes
        names = tuple(feature.name for feature in model.inputs)
        self._digest: RowsDigest | TypedRowsDigest | None = RowsDigest(names, data.target, data.rows)
        if data.sources[0].algorithm == TYPED_DIGEST_ALGORITHM:
            self._digest = TypedRowsDigest(model.columns, data.target)
        self._seen = 0
        self._actual: list[NDArray[np.int64]] = []
        self._predicted: list[NDArray[np.int64]] = []

    def add(self, scored: Scored) -> None:
        """Take note of a batch."""
        import numpy as np

        batch, rows = scored.batch, self._artifact.manifest.data.rows
        self._seen += len(scored.labels)
        whole = not scored.rejected and self._seen <= rows
        if self._digest is None or not whole or batch.actual is None or UNLABELLED in batch.actual:
            self._digest = None
            self._actual, self._predicted = [], []
            return
        if isinstance(self._digest, TypedRowsDigest):
            self._digest.add(batch.features)
        else:  # minus zero is zero, as where a table is read to be learned
            self._digest.add(np.stack(batch.columns, axis=1).astype(np.float64) + 0.0)
        self._actual.append(batch.actual)
        self._predicted.append(scored.positions)

    def by_split(self) -> dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Actual and predicted positions of the held-out and of the training rows; empty where these are others."""
        import numpy as np

        if self._digest is None or self._seen != self._artifact.manifest.data.rows:
            return {}
        actual, predicted = np.concatenate(self._actual), np.concatenate(self._predicted)
        sources = [source.digest for source in self._artifact.manifest.data.sources]
        if sources != [self._digest.finish(np.array(self._classes)[actual])]:
            return {}
        held_out = self.held_out()
        return {
            "held-out": (actual[held_out], predicted[held_out]),
            "training": (actual[~held_out], predicted[~held_out]),
        }

    def held_out(self) -> NDArray[np.bool_]:
        """Which rows of the training file were held out, bool of shape (rows,)."""
        import numpy as np

        bits: NDArray[Any] = np.frombuffer(self._artifact.role("split"), dtype=np.uint8)
        return np.unpackbits(bits, count=self._artifact.manifest.data.rows, bitorder="little").astype(np.bool_)
