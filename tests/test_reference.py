"""The training data's distribution, as it is sealed in the artifact."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from artifact_pipeline.artifact.reference import MAX_DISTINCT, FeatureReference, OutputReference, Reference
from artifact_pipeline.canonical import canonical_json
from artifact_pipeline.digits.dataset import load_digits
from artifact_pipeline.errors import ArtifactRejected
from forging import REMOVED, changed

if TYPE_CHECKING:
    from artifact_pipeline.artifact.reference import Histogram
    from artifact_pipeline.training.sealed import Candidate

columns = hnp.arrays(
    np.float64,
    st.integers(1, 60),
    elements=st.floats(-1e6, 1e6, allow_subnormal=False) | st.integers(-3, 3).map(float),
)


@pytest.fixture
def reference(candidate: Candidate) -> Reference:
    """The reference of the published artifact."""
    return Reference.read(candidate.members["reference.json"])


def counted(histogram: Histogram, values: np.ndarray) -> list[int]:
    """Count by the format's own words: bin i holds what is at least edge i and less than edge i + 1."""
    uppers = [*histogram.edges[1:], np.inf]
    return [int(((low <= values) & (values < up)).sum()) for low, up in zip(histogram.edges, uppers, strict=True)]


def test_the_published_reference_describes_the_training_rows(candidate: Candidate, reference: Reference) -> None:
    """Rows, features and labels are counted over the training rows, the outputs over the held-out rows."""
    digits, split = load_digits(), candidate.manifest.data.split
    bits = np.frombuffer(candidate.members["split.bin"], dtype=np.uint8)
    held_out = np.unpackbits(bits, count=len(digits.X), bitorder="little").astype(bool)
    assert reference.rows == split.training == int((~held_out).sum())
    assert reference.features == tuple(map(FeatureReference.of, digits.X[~held_out].T, digits.names))
    assert reference.labels == tuple(np.bincount(digits.y[~held_out]).tolist())
    assert reference.outputs.rows == split.held_out == sum(reference.outputs.labels)
    predicted = np.array(candidate.manifest.metrics.held_out.confusion).sum(axis=0)
    assert reference.outputs.labels == tuple(predicted.tolist())
    assert list(reference.problems(candidate.manifest)) == []


@given(columns)
def test_every_value_is_counted_in_its_bin(column: np.ndarray) -> None:
    """The counts of a feature are those of the values between its edges, none is lost, and low and high are true."""
    feature = FeatureReference.of(column, "x")
    assert list(feature.counts) == counted(feature, column)
    assert sum(feature.counts) == len(column)
    assert feature.consistent
    assert (feature.low, feature.high) == (column.min(), column.max())
    assert feature.mean == pytest.approx(column.mean(), abs=1e-6)


@given(columns)
def test_a_feature_of_few_values_is_described_by_them(column: np.ndarray) -> None:
    """Up to 32 different values are the edges themselves; more are described by deciles."""
    feature = FeatureReference.of(column, "x")
    distinct = np.unique(column)
    assert feature.discrete == (len(distinct) <= MAX_DISTINCT)
    if feature.discrete:
        assert list(feature.edges) == distinct.tolist()
    else:
        assert len(feature.edges) <= 10


@pytest.mark.parametrize(("distinct", "discrete"), [(1, True), (32, True), (33, False)])
def test_the_bound_of_discrete_features(distinct: int, *, discrete: bool) -> None:
    """32 different values are discrete, 33 are not; deciles share the rows out evenly."""
    column = np.arange(distinct * 10, dtype=np.float64) % distinct
    feature = FeatureReference.of(column, "x")
    assert feature.discrete is discrete
    assert len(feature.edges) == (distinct if discrete else 10)


@pytest.mark.parametrize("head", [0, 1, 3000])
@pytest.mark.parametrize("decimals", [0, 1, 9])
def test_many_values_are_described_by_the_deciles_of_all(head: int, decimals: int) -> None:
    """The deciles are those of the sorted values to the last bit, however many rows at the head are equal."""
    column = np.random.default_rng(head + decimals).normal(0, 20, 5000).round(decimals) + 0.0
    column[:head] = 2.0
    feature = FeatureReference.of(column, "x")
    assert not feature.discrete
    assert list(feature.edges) == np.unique(np.quantile(np.sort(column), np.arange(10) / 10)).tolist()
    assert list(feature.counts) == counted(feature, column)


def test_outputs_are_counted_by_label_and_by_tenths_of_confidence() -> None:
    """The answers over the held-out rows: rows by predicted class, and the highest probability by tenths."""
    probabilities = np.array([[0.95, 0.05], [0.5, 0.5], [0.31, 0.69], [0.0, 1.0]])
    outputs = OutputReference.of(np.array([0, 0, 1, 1]), 2, probabilities)
    assert (outputs.rows, outputs.labels) == (4, (2, 2))
    assert outputs.confidence.counts == (0, 0, 0, 0, 0, 1, 1, 0, 0, 2)
    assert outputs.confidence.edges == tuple(index / 10 for index in range(10))


@pytest.mark.parametrize(
    ("rules", "changes"),
    [
        ({"reference-features"}, {"features.0.name": "other"}),
        ({"reference-features"}, {"features.0": REMOVED}),
        ({"reference-labels", "reference-counts"}, {"labels.0": REMOVED}),
        ({"reference-labels", "reference-counts"}, {"outputs.labels.0": REMOVED}),
        ({"reference-rows", "reference-counts"}, {"rows": 1}),
        ({"reference-rows", "reference-counts"}, {"outputs.rows": 1}),
        ({"reference-counts"}, {"labels.0": 0}),
        ({"reference-bins"}, {"features.5.edges.0": 1e9}),
        ({"reference-bins", "reference-counts"}, {"features.5.counts.0": REMOVED}),
    ],
)
def test_a_reference_of_other_rows_is_refused_by_name(
    candidate: Candidate, reference: Reference, rules: set[str], changes: dict[str, object]
) -> None:
    """A reference must describe the manifest's inputs, classes and rows, and its counts must add up."""
    other = Reference.read(canonical_json(changed(json.loads(reference.canonical()), changes)))
    assert {problem.rule for problem in other.problems(candidate.manifest)} == rules


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 3},
        {"features": []},
        {"features.0.edges": []},
        {"features.0.counts": []},
        {"features.0.low": "0"},
        {"features.0.discrete": 1},
        {"rows": -1},
        {"outputs.confidence.counts.0": 0.5},
        {"drift": {}},
        {"outputs": REMOVED},
    ],
)
def test_a_reference_that_breaks_its_types_is_refused(reference: Reference, changes: dict[str, object]) -> None:
    """Types, bounds and unknown fields are held against the format, under one rule."""
    with pytest.raises(ArtifactRejected) as caught:
        Reference.read(canonical_json(changed(json.loads(reference.canonical()), changes)))
    assert caught.value.rules == {"reference-invalid"}
    assert caught.value.problems[0].place == "reference.json"
