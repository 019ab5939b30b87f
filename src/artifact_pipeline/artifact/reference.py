"""`reference.json`: the training data's distribution, with which rows are compared at inference to find drift.

Features and actual labels are described over the training rows; the model's outputs over the held-out rows, since a
model is more confident on rows that it has learned.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta

from artifact_pipeline.artifact.parts import DECIMALS, Count, Frozen, Text
from artifact_pipeline.errors import Problem
from artifact_pipeline.rows.coded import MISSING_CODE

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.artifact.manifest import Manifest

_PLACE = "reference.json"
MAX_DISTINCT = 32
"""A feature with at most this many different values is described value by value, another one by its deciles."""
_DECILES = 10
_FIRST_ROWS = 1024
"""Rows that are looked at first: in most columns of measured numbers they have more values than `MAX_DISTINCT`."""


class Histogram(Frozen, frozen=True):
    """Counts by bin: bin i holds what is at least `edges[i]` and less than `edges[i + 1]`, the last one all above."""

    edges: Annotated[tuple[float, ...], Meta(min_length=1)]
    counts: Annotated[tuple[Count, ...], Meta(min_length=1)]

    @property
    def consistent(self) -> bool:
        """Whether the edges ascend, with one count for each."""
        return len(self.edges) == len(self.counts) and list(self.edges) == sorted(set(self.edges))


class FeatureReference(Histogram, frozen=True):
    """One feature over the training rows; where it is discrete, the edges are its very values.

    A feature that may be missing has a bin more, the first one, whose edge is `MISSING_CODE`. A category is described
    by the positions of its levels; the last bin holds what is none of them.
    """

    name: Text
    discrete: bool
    low: float
    high: float
    mean: float

    @classmethod
    def of(cls, column: NDArray[np.float64], name: str, *, nullable: bool = False) -> FeatureReference:
        """Describe a column of the training rows, float64 of shape (rows,), `MISSING_CODE` where a value is missing."""
        import numpy as np

        present = np.ascontiguousarray(column[column != MISSING_CODE] if nullable else column)
        values = _few_values(present)
        discrete = values is not None
        edges = np.unique(np.quantile(present, np.arange(_DECILES) / _DECILES)) if values is None else values
        # The values below each edge are compared and counted, which costs a tenth of sorting them.
        below = np.array([np.count_nonzero(present < edge) for edge in edges], dtype=np.int64)
        counts = np.diff(below, append=len(present))
        if nullable:
            edges = np.append(MISSING_CODE, edges)
            counts = np.append(len(column) - len(present), counts)
        low, high, mean = (present.min(), present.max(), present.mean()) if len(present) else (0.0, 0.0, 0.0)
        return cls(
            name=name,
            discrete=discrete,
            edges=tuple(edges.tolist()),
            counts=tuple(counts.tolist()),
            low=float(low),
            high=float(high),
            mean=round(float(mean), DECIMALS),
        )

    @classmethod
    def of_category(cls, codes: NDArray[np.float64], levels: int, name: str) -> FeatureReference:
        """Describe a category of the training rows.

        `codes` are the positions of the rows' levels among as many as the model knows; `levels` stands for any other
        level. They are float64 of shape (rows,).
        """
        import numpy as np

        counts = np.bincount(codes.astype(np.int64), minlength=levels + 1)
        return cls(
            name=name,
            discrete=True,
            edges=tuple(map(float, range(levels + 1))),
            counts=tuple(counts.tolist()),
            low=0.0,
            high=float(levels),
            mean=round(float(codes.mean()), DECIMALS),
        )


class OutputReference(Frozen, frozen=True):
    """The model's answers over the held-out rows: rows by predicted class, and the highest probability of a row.

    Where the model gives no probabilities, the confidence is one bin of all rows.
    """

    rows: Count
    labels: tuple[Count, ...]
    confidence: Histogram

    @classmethod
    def of(
        cls, predicted: NDArray[np.int64], classes: int, probabilities: NDArray[np.float64] | None
    ) -> OutputReference:
        """Describe the answers over the held-out rows.

        Args:
            predicted: class positions of shape (rows,).
            classes: how many classes there are.
            probabilities: float64 of shape (rows, classes); None where the model gives none.
        """
        import numpy as np

        rows = len(predicted)
        confidence = Histogram(edges=(0.0,), counts=(rows,))
        if probabilities is not None:
            edges = np.arange(10) / 10
            bins = np.searchsorted(edges, probabilities.max(axis=1), side="right") - 1
            counts = np.bincount(np.maximum(bins, 0), minlength=len(edges))
            confidence = Histogram(edges=tuple(edges.tolist()), counts=tuple(counts.tolist()))
        labels = np.bincount(predicted, minlength=classes)
        return cls(rows=rows, labels=tuple(labels.tolist()), confidence=confidence)


class Reference(Frozen, frozen=True):
    """`reference.json`; both formats have the same fields."""

    format: Literal[1, 2]
    rows: Count
    features: Annotated[tuple[FeatureReference, ...], Meta(min_length=1)]
    labels: tuple[Count, ...]
    outputs: OutputReference

    @classmethod
    @lru_cache(maxsize=2)
    def read(cls, data: bytes) -> Reference:
        """Parse the bytes of `reference.json`.

        Raises:
            ArtifactRejected: they are not canonical JSON, or break a type.
        """
        return cls.parse(data, place=_PLACE, rule="reference-invalid")

    def problems(self, manifest: Manifest) -> Iterator[Problem]:
        """Yield where the reference does not describe this manifest's model."""
        if self.format != manifest.format:
            yield Problem(_PLACE, "reference-invalid", f"is of format {self.format}, the manifest of {manifest.format}")
        if [feature.name for feature in self.features] != [each.name for each in manifest.model.inputs]:
            yield Problem(_PLACE, "reference-features", "does not describe the model's inputs in their order")
        if not len(self.labels) == len(self.outputs.labels) == len(manifest.model.classes):
            yield Problem(_PLACE, "reference-labels", "does not describe the model's classes")
        split, confidence = manifest.data.split, self.outputs.confidence
        # Of a model that was trained elsewhere no training row is known, and the held-out rows are described.
        if (self.rows, self.outputs.rows) != (split.training or split.held_out, split.held_out):
            yield Problem(_PLACE, "reference-rows", "does not describe the training rows and the held-out rows")
        if not all(each.consistent for each in (*self.features, confidence)):
            yield Problem(_PLACE, "reference-bins", "a histogram must have ascending edges, and one count for each")
        for each, column in zip(self.features, manifest.model.columns, strict=False):
            if column.kind == "category" and each.edges != tuple(map(float, range(len(column.levels) + 1))):
                yield Problem(_PLACE, "reference-bins", f"{column.name!r:.80} does not have a bin for each level")
        over_training = {sum(counts) for counts in (self.labels, *(each.counts for each in self.features))}
        over_held_out = {sum(counts) for counts in (self.outputs.labels, confidence.counts)}
        if over_training != {self.rows} or over_held_out != {self.outputs.rows}:
            yield Problem(_PLACE, "reference-counts", "the counts do not add up to the rows")


def _few_values(column: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """The different values of a column, ascending; None where there are more than `MAX_DISTINCT`."""
    import numpy as np

    if len(np.unique(column[:_FIRST_ROWS])) > MAX_DISTINCT:
        return None
    values = np.unique(column)
    return values if len(values) <= MAX_DISTINCT else None
