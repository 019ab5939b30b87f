from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from artifact_pipeline.artifact.reference import FeatureReference, Histogram, OutputReference, Reference
from artifact_pipeline.digits.dataset import load_digits
from artifact_pipeline.drift.histograms import BLOCK, Counts, Histograms, usual_bin
from forging import REMOVED, changed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from artifact_pipeline.training.sealed import Candidate

CLASSES = 3
TENTHS = tuple(index / 10 for index in range(10))
SINGLE = np.finfo(np.float32)


@pytest.fixture
def reference(candidate: Candidate) -> Reference:
    """The reference of the published artifact."""
    return Reference.read(candidate.members["reference.json"])


def feature_of(
    edges: Sequence[float], counts: Sequence[int] | None = None, *, discrete: bool = True
) -> FeatureReference:
    """A feature with these edges; a row in each bin where no counts are given."""
    counts = tuple(counts or [1] * len(edges))
    return FeatureReference(
        name="x", discrete=discrete, edges=tuple(edges), counts=counts, low=edges[0], high=edges[-1], mean=0.0
    )


def reference_of(*features: FeatureReference) -> Reference:
    """A reference of these features, three classes, and confidence in tenths."""
    outputs = OutputReference(
        rows=CLASSES, labels=(1,) * CLASSES, confidence=Histogram(edges=TENTHS, counts=(CLASSES, *[0] * 9))
    )
    return Reference(format=1, rows=sum(features[0].counts), features=features, labels=(1,) * CLASSES, outputs=outputs)


def count(reference: Reference, columns: np.ndarray, *cuts: int, dtype: str = "") -> Counts:
    """Count columns, with answers made from the row's number, in one piece or cut into several; `dtype` is the model's.

    Without it the model has that of the columns.
    """
    rows = np.arange(columns.shape[1])
    counter = Histograms(reference, dtype or str(columns.dtype))
    for part in np.split(rows, sorted(cuts)):
        confidence = (part % 11) / 10
        counter.add(np.ascontiguousarray(columns[:, part]), part % len(reference.outputs.labels), confidence)
    return counter.counts()


numbers = st.one_of(
    st.integers(-20, 20).map(float),
    st.integers(-20, 20).map(lambda tenths: tenths / 10),
    st.floats(-1e6, 1e6),
    st.floats(allow_nan=False, allow_infinity=False),
)
edges = st.lists(numbers, min_size=1, max_size=32, unique=True).map(sorted)


@st.composite
def streams(draw: st.DrawFn, dtype: type[np.floating]) -> tuple[list[float], np.ndarray]:
    """Edges, and a column: values on the edges, the numbers beside them, between and beyond."""
    bounds = draw(edges)
    at = st.sampled_from(bounds)
    largest = float(np.finfo(dtype).max)
    values = np.clip(draw(st.lists(at | numbers, max_size=40)), -largest, largest).astype(dtype)
    towards = draw(st.sampled_from([-largest, 0.0, largest]))
    with np.errstate(over="ignore", under="ignore"):
        beside = np.nextafter(values, dtype(towards))
    return bounds, np.concatenate([values, beside])


def by_definition(column: np.ndarray, bounds: Sequence[float]) -> tuple[int, ...]:
    """The counts as the format defines them: a bin begins at its edge, and the first one takes what is less, too."""
    bins = np.searchsorted(np.array(bounds), column, side="right") - 1
    return tuple(np.bincount(np.maximum(bins, 0), minlength=len(bounds)).tolist())


@given(streams(np.float64))
@example(([0.1, 0.7], np.array([0.1, 0.7, np.nextafter(0.7, 0), -1.0, 9.0])))
def test_bins_are_the_formats_in_float64(stream: tuple[list[float], np.ndarray]) -> None:
    """Every value of a float64 column is counted in the bin in which the format counts it."""
    bounds, column = stream
    counted = count(reference_of(feature_of(bounds)), column[None])
    assert counted.features == (by_definition(column, bounds),)


@given(streams(np.float32))
@example(([0.0, 0.1, 0.7], np.array([0.1, 0.7], dtype=np.float32)))
@example(([-1e300, 1e300], np.array([0.0, SINGLE.max], dtype=np.float32)))
@example(([-1e301, -1e300], np.array([SINGLE.min], dtype=np.float32)))
@example(([0.0, np.nextafter(float(SINGLE.max), np.inf)], np.array([SINGLE.max], dtype=np.float32)))
def test_bins_are_the_formats_in_float32(stream: tuple[list[float], np.ndarray]) -> None:
    """A float32 column is counted exactly too, where an edge is no float32, or beyond the largest."""
    bounds, column = stream
    counted = count(reference_of(feature_of(bounds)), column[None])
    assert counted.features == (by_definition(column.astype(np.float64), bounds),)


@given(streams(np.float32), st.integers(0, 31))
@example(([0.1, 0.7], np.array([0.1, 0.7], dtype=np.float32)), 0)
@example(([-1e300, 1e300], np.array([0.0, SINGLE.max], dtype=np.float32)), 1)
def test_float32_of_a_model_of_float64_is_counted_as_float64(stream: tuple[list[float], np.ndarray], at: int) -> None:
    """A column that a file holds as float32 gives the counts that its numbers give as float64, unusual ones too."""
    bounds, column = stream
    nearly_constant = [99 * len(bounds) if index == at % len(bounds) else 1 for index in range(len(bounds))]
    reference = reference_of(feature_of(bounds, nearly_constant))
    assert count(reference, column[None], dtype="float64") == count(reference, column[None].astype(np.float64))


@given(
    st.lists(st.integers(-2, 300), min_size=13, max_size=32, unique=True).map(sorted),
    st.lists(st.floats(-1, 257, width=32) | st.integers(0, 256).map(float) | st.just(-0.0), max_size=41),
    st.sampled_from([np.float32, np.float64]),
)
@example(list(range(17)), [0.0, -0.0, 15.5, 16.0, 255.99], np.float32)
@example(list(range(17)), [3.0, 256.0], np.float32)
@example(list(range(17)), [3.0, -1e-38], np.float32)
@example([*range(12), 12.5], [12.25, 12.75], np.float32)
def test_bins_of_whole_numbers_are_the_formats(
    bounds: list[float], values: list[float], dtype: type[np.floating]
) -> None:
    """Values are counted exactly where the edges are whole numbers, whether all fit into a byte or not."""
    column = np.array(values, dtype=dtype)
    counted = count(reference_of(feature_of([*map(float, bounds)])), column[None], dtype="float64")
    assert counted.features == (by_definition(column.astype(np.float64), bounds),)


@pytest.mark.parametrize("rows", [0, 1, BLOCK - 1, BLOCK, 2 * BLOCK + 3])
def test_a_block_is_no_border(rows: int) -> None:
    """However many rows come at once, all of them are counted, by bin, label, confidence and usual value."""
    column = np.random.default_rng(rows).integers(0, 17, rows).astype(np.float32)
    bounds = [float(value) for value in range(17)]
    constant = feature_of([3.0])
    counted = count(reference_of(feature_of(bounds), constant), np.stack([column, column]))
    numbered = np.arange(rows)
    assert counted.rows == rows
    assert counted.features == (by_definition(column.astype(np.float64), bounds), (rows,))
    assert counted.unusual == (0, int((column != 3).sum()))
    assert counted.labels == tuple(np.bincount(numbered % CLASSES, minlength=CLASSES).tolist())
    assert counted.confidence == by_definition((numbered % 11) / 10, TENTHS)


@given(st.lists(st.integers(0, 16), max_size=40), st.lists(st.integers(0, 40), max_size=4))
def test_rows_in_pieces_are_counted_as_at_once(values: list[int], cuts: list[int]) -> None:
    """Cut anywhere, the rows give the same counts: in one counter, and in a counter for each piece and then added."""
    reference = reference_of(feature_of([0.0, 2.0, 5.0]), feature_of([0.0, 1.0], [99, 1]))
    columns = np.array([values, values[::-1]], dtype=np.float32)
    at_once = count(reference, columns)
    pieces = np.split(np.arange(len(values)), sorted(min(cut, len(values)) for cut in cuts))
    counters = [Histograms(reference, "float32") for _ in pieces]
    for counter, piece in zip(counters, pieces, strict=True):
        counter.add(np.ascontiguousarray(columns[:, piece]), piece % CLASSES, (piece % 11) / 10)
    assert count(reference, columns, *(min(cut, len(values)) for cut in cuts)) == at_once
    assert sum((counter.counts() for counter in counters), Counts.zero(reference)) == at_once


@pytest.mark.parametrize(
    ("feature", "values", "unusual"),
    [
        (feature_of([0.0]), [0, 0, 4, -1, 0.5], 3),
        (feature_of([0.5]), [0.5, 0.25], 1),
        (feature_of([0.0, 1.0], [99, 1]), [0, 1, 2, 0.5, 0], 3),
        (feature_of([0.0, 1.0], [98, 2]), [0, 1, 2, 0.5, 0], 0),
        (feature_of([-3.0, 0.0, 1.0], [1, 199, 0], discrete=False), [-4, 0, 0.5, 1, 9], 3),
        (feature_of([0.0], discrete=False), [-1, 0, 1], 0),
        (feature_of([0.1]), [0.1], 0),
    ],
    ids=["constant", "constant fraction", "nearly", "varies", "deciles", "one decile", "no float32"],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_unusual_rows_are_those_off_the_usual_value(
    feature: FeatureReference, values: list[float], unusual: int, dtype: type[np.floating]
) -> None:
    """Where 99 % of the training rows are in one bin, rows off its value count, or off its bin among deciles."""
    assert count(reference_of(feature), np.array([values], dtype=dtype)).unusual == (unusual,)


def test_the_training_rows_give_the_published_counts(candidate: Candidate, reference: Reference) -> None:
    """The training rows are counted as the artifact counted them, and ten pixels are nearly constant."""
    bits = np.frombuffer(candidate.members["split.bin"], dtype=np.uint8)
    held_out = np.unpackbits(bits, count=1797, bitorder="little").astype(bool)
    counted = count(reference, np.ascontiguousarray(load_digits().X[~held_out].T, dtype=np.float32))
    assert counted.features == tuple(feature.counts for feature in reference.features)
    nearly = [feature for feature in reference.features if usual_bin(feature) is not None]
    assert len(nearly) == 10
    assert sum(counted.unusual) == sum(reference.rows - max(feature.counts) for feature in nearly)


def test_counts_survive_json(reference: Reference) -> None:
    """Through JSON and back, counts are the same."""
    columns = np.random.default_rng(1).integers(0, 17, (64, 50)).astype(np.float32)
    counted = count(reference, columns)
    assert Counts.from_plain(json.loads(json.dumps(counted.plain())), reference) == counted
    assert Counts.from_plain(Counts.zero(reference).plain(), reference) == Counts.zero(reference)


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        ("an object of rows", {"rows": REMOVED}),
        ("an object of rows", {"more": 1}),
        ("rows: a count is", {"rows": "50"}),
        ("rows: a count is", {"rows": True}),
        ("labels: a count is", {"labels.0": -1}),
        ("labels: a count is", {"labels.0": 1.0}),
        ("labels: 10 entries", {"labels.0": REMOVED}),
        ("labels: 10 entries", {"labels": {"0": 50}}),
        ("features: 64 entries", {"features.3": REMOVED}),
        ("features: 17 entries", {"features.3.0": REMOVED}),
        ("unusual: 64 entries", {"unusual.0": REMOVED}),
        ("do not add up", {"rows": 51}),
        ("do not add up", {"confidence.0": 60}),
        ("pixel_0_0: more unusual", {"unusual.0": 51}),
        ("pixel_0_1: more unusual", {"unusual.1": 1}),
    ],
)
def test_counts_of_another_shape_are_refused(reference: Reference, words: str, changes: dict[str, Any]) -> None:
    """What does not fit the reference, or does not add up, is refused in words."""
    counted = count(reference, np.zeros((64, 50), dtype=np.float32))
    with pytest.raises(ValueError, match=words):
        Counts.from_plain(changed(counted.plain(), changes), reference)


@pytest.mark.parametrize("value", [None, [], 3, "rows"])
def test_counts_are_an_object(reference: Reference, value: object) -> None:
    """Anything but an object is refused."""
    with pytest.raises(ValueError, match="an object of rows"):
        Counts.from_plain(value, reference)


def test_what_does_not_fit_is_refused_and_not_counted() -> None:
    """Another dtype, another number of features, rows or classes is refused, and the counts stay as they were."""
    reference = reference_of(feature_of([0.0, 1.0]))
    counter = Histograms(reference, "float32")
    two, three = np.zeros(2, dtype=np.int64), np.full(2, CLASSES, dtype=np.int64)
    for columns, positions in [
        (np.zeros((1, 2)), two),
        (np.zeros((2, 2), dtype=np.float32), two),
        (np.zeros((1, 3), dtype=np.float32), two),
        (np.zeros((1, 2), dtype=np.float32), three),
    ]:
        with pytest.raises(ValueError, match=r"do not fit|zip\(\)"):
            counter.add(columns, positions, np.ones(2))
    assert counter.counts() == Counts.zero(reference)


@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=80))
def test_described_rows_are_counted_alike(values: list[float]) -> None:
    """What `FeatureReference.of` says of training rows, values or deciles, is what is counted over the same rows."""
    X = np.array(values)[:, None]
    feature = FeatureReference.of(X[:, 0], "x")
    counted = count(reference_of(feature), np.ascontiguousarray(X.T, dtype=np.float32))
    assert counted.features == (feature.counts,)
