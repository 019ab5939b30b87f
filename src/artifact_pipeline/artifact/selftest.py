"""`selftest.json`: golden rows, drawn from the training data's distribution, and the model's answers to them.

They are no person's rows: each feature is drawn by itself from its histogram. Before the first real row the predictor
answers them again, so that a runtime or a processor that computes something else is found.
"""

from __future__ import annotations

from array import array
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta

from artifact_pipeline.artifact.parts import Frozen, Share, Text
from artifact_pipeline.errors import Problem, plural
from artifact_pipeline.rows.coded import MISSING_CODE

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from artifact_pipeline.artifact.manifest1 import Manifest1
    from artifact_pipeline.artifact.reference import FeatureReference

PLACE = "selftest.json"
ROWS = 16
SEED = 20240229
TOLERANCE = 1e-5
"""The greatest difference of a probability; in the code, so that no artifact can widen it."""


class SelfTest(Frozen, frozen=True):
    """`selftest.json`, format 1: rows, and the label and the rounded probabilities of each."""

    format: Literal[1]
    rows: Annotated[tuple[tuple[float, ...], ...], Meta(min_length=1, max_length=1024)]
    labels: tuple[int | Text, ...]
    probabilities: tuple[tuple[Share, ...], ...]

    @classmethod
    @lru_cache(maxsize=2)
    def read(cls, data: bytes) -> SelfTest:
        """Parse the bytes of `selftest.json`.

        Raises:
            ArtifactRejected: they are not canonical JSON, or break a type.
        """
        return cls.parse(data, place=PLACE, rule="selftest-invalid")

    def problems(self, manifest: Manifest1) -> Iterator[Problem]:
        """Yield where the golden rows do not fit this manifest's model."""
        features, classes = len(manifest.model.inputs), len(manifest.model.classes)
        if any(len(row) != features for row in self.rows):
            yield Problem(PLACE, "selftest-shape", f"a row does not have {plural(features, 'value')}")
        if not len(self.rows) == len(self.labels) == len(self.probabilities):
            yield Problem(PLACE, "selftest-shape", "rows, labels and probabilities differ in number")
        if any(len(row) != classes for row in self.probabilities):
            yield Problem(PLACE, "selftest-shape", f"a row does not have {classes} probabilities")
        if not set(self.labels) <= set(manifest.model.classes):
            yield Problem(PLACE, "selftest-labels", "a label is none of the model's classes")
        code = "f" if manifest.model.dtype == "float32" else "d"
        if any(array(code, row).tolist() != list(row) for row in self.rows):
            yield Problem(PLACE, "selftest-values", f"a value is not exact in {manifest.model.dtype}")


def draw(feature: FeatureReference, generator: random.Random) -> float:
    """Draw a value of a feature from its histogram."""
    index = generator.choices(range(len(feature.counts)), weights=feature.counts)[0]
    low = feature.edges[index]
    if feature.discrete or low == MISSING_CODE:
        return low
    high = feature.edges[index + 1] if index + 1 < len(feature.edges) else feature.high
    return low + (high - low) * generator.random()
