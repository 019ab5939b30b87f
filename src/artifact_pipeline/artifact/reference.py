"""The training data's distribution, sealed in the artifact: what drift is measured against at inference.

Features and actual labels are described over the training rows; the model's outputs over the held-out rows, since
on rows that it has learned a model is surer of itself than it will ever be again.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta

from artifact_pipeline.artifact.manifest import DECIMALS, Count, Frozen, Manifest, Text, parse_part
from artifact_pipeline.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

_PLACE = "reference.json"
MAX_DISTINCT = 32
"""A feature with at most this many different values is described value by value, another one by its deciles."""
_DECILES = 10


class Histogram(Frozen, frozen=True):
    """Counts by bin: bin i holds what is at least `edges[i]` and less than `edges[i + 1]`, the last one all above."""

    edges: Annotated[tuple[float, ...], Meta(min_length=1)]
    counts: Annotated[tuple[Count, ...], Meta(min_length=1)]

    @property
    def consistent(self) -> bool:
        """Whether the edges ascend, with one count for each."""
        return len(self.edges) == len(self.counts) and list(self.edges) == sorted(set(self.edges))


class FeatureReference(Histogram, frozen=True):
    """One feature over the training rows; where it is discrete, the edges are its very values."""

    name: Text
    discrete: bool
    low: float
    high: float
    mean: float


class Outputs(Frozen, frozen=True):
    """The model's answers over the held-out rows: rows by predicted class, and the highest probability of a row."""

    rows: Count
    labels: tuple[Count, ...]
    confidence: Histogram


class Reference(Frozen, frozen=True):
    """`reference.json`, format 1."""

    format: Literal[1]
    rows: Count
    features: Annotated[tuple[FeatureReference, ...], Meta(min_length=1)]
    labels: tuple[Count, ...]
    outputs: Outputs

    def problems(self, manifest: Manifest) -> Iterator[Problem]:
        """Yield where the reference does not describe this manifest's model."""
        if [feature.name for feature in self.features] != [feature.name for feature in manifest.model.inputs]:
            yield Problem(_PLACE, "reference-features", "does not describe the model's inputs in their order")
        if not len(self.labels) == len(self.outputs.labels) == len(manifest.model.classes):
            yield Problem(_PLACE, "reference-labels", "does not describe the model's classes")
        split, confidence = manifest.data.split, self.outputs.confidence
        if (self.rows, self.outputs.rows) != (split.training, split.held_out):
            yield Problem(_PLACE, "reference-rows", "does not describe the training rows and the held-out rows")
        if not all(each.consistent for each in (*self.features, confidence)):
            yield Problem(_PLACE, "reference-bins", "a histogram must have ascending edges, and one count for each")
        over_training = {sum(counts) for counts in (self.labels, *(each.counts for each in self.features))}
        over_held_out = {sum(counts) for counts in (self.outputs.labels, confidence.counts)}
        if over_training != {self.rows} or over_held_out != {self.outputs.rows}:
            yield Problem(_PLACE, "reference-counts", "the counts do not add up to the rows")


def describe_features(X: NDArray[np.float64], names: Sequence[str]) -> tuple[FeatureReference, ...]:
    """Describe each column of the training rows `X`, float64 of shape (rows, features)."""
    return tuple(_describe(X[:, index], name) for index, name in enumerate(names))


def describe_outputs(predicted: NDArray[np.int64], probabilities: NDArray[np.float64]) -> Outputs:
    """Describe the answers over the held-out rows.

    Args:
        predicted: class positions of shape (rows,).
        probabilities: float64 of shape (rows, classes).
    """
    import numpy as np

    edges = np.arange(10) / 10
    return Outputs(
        rows=len(predicted),
        labels=tuple(np.bincount(predicted, minlength=probabilities.shape[1]).tolist()),
        confidence=Histogram(edges=tuple(edges.tolist()), counts=_counts(probabilities.max(axis=1), edges)),
    )


def _describe(column: NDArray[np.float64], name: str) -> FeatureReference:
    import numpy as np

    edges = np.unique(column)
    discrete = len(edges) <= MAX_DISTINCT
    if not discrete:
        edges = np.unique(np.quantile(column, np.arange(_DECILES) / _DECILES))
    return FeatureReference(
        name=name,
        discrete=discrete,
        edges=tuple(edges.tolist()),
        counts=_counts(column, edges),
        low=float(column.min()),
        high=float(column.max()),
        mean=round(float(column.mean()), DECIMALS),
    )


def _counts(values: NDArray[np.float64], edges: NDArray[np.float64]) -> tuple[int, ...]:
    import numpy as np

    bins = np.searchsorted(edges, values, side="right") - 1
    return tuple(np.bincount(np.maximum(bins, 0), minlength=len(edges)).tolist())


@lru_cache(maxsize=2)
def parse_reference(data: bytes) -> Reference:
    """Parse the bytes of `reference.json`.

    Raises:
        ArtifactRejected: they are not canonical JSON, or break a type.
    """
    return parse_part(Reference, data, place=_PLACE, rule="reference-invalid")
