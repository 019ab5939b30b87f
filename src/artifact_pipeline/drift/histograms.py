"""Exact histograms of a stream of rows, in constant memory, in the bins of `reference.json`.

A whole column is compared with one edge after the other, since that is vectorised: sixteen edges take a tenth of the
time of one `searchsorted`. If many edges are whole numbers and all values are in [0, 256), the whole parts of the
values are counted in pairs, in half that time.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.artifact.reference import FeatureReference, Reference

BLOCK = 65_536
"""Values of one comparison: 8,192 would double the overhead of the calls, 262,144 would not fit into the cache."""
_MAX_COMPARED = 64
"""Most bins for which values are compared with each edge; a feature of numbers has fewer."""
_MIN_FOR_BYTES = 12
"""Least number of edges for which it is faster to count bytes than to compare with each edge."""
_BYTE = 256
_NEARLY_ALL = 99
"""Least percentage of the training rows in one bin of a feature that counts as nearly constant."""


def usual_bin(feature: FeatureReference) -> int | None:
    """Return the bin that holds at least 99 % of the training rows; None if there is none."""
    most = max(feature.counts)
    return feature.counts.index(most) if most and 100 * most >= _NEARLY_ALL * sum(feature.counts) else None


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts of some rows; the counts of other rows can be added.

    Attributes:
        rows: the number of rows.
        features: for each feature the rows in each bin.
        unusual: for each nearly constant feature the rows without its usual value, or outside its usual bin if it has
            more than a few values; 0 for every other feature.
        labels: the rows of each predicted class.
        confidence: the rows in each bin of the highest probability.
    """

    rows: int
    features: tuple[tuple[int, ...], ...]
    unusual: tuple[int, ...]
    labels: tuple[int, ...]
    confidence: tuple[int, ...]

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            rows=self.rows + other.rows,
            features=tuple(_sum(ours, theirs) for ours, theirs in zip(self.features, other.features, strict=True)),
            unusual=_sum(self.unusual, other.unusual),
            labels=_sum(self.labels, other.labels),
            confidence=_sum(self.confidence, other.confidence),
        )

    @classmethod
    def zero(cls, reference: Reference) -> Counts:
        """The counts of no rows."""
        return cls(
            rows=0,
            features=tuple((0,) * len(feature.counts) for feature in reference.features),
            unusual=(0,) * len(reference.features),
            labels=(0,) * len(reference.outputs.labels),
            confidence=(0,) * len(reference.outputs.confidence.counts),
        )

    def plain(self) -> dict[str, Any]:
        """Return the counts as a dict of lists and whole numbers."""
        return {
            "rows": self.rows,
            "features": [list(bins) for bins in self.features],
            "unusual": list(self.unusual),
            "labels": list(self.labels),
            "confidence": list(self.confidence),
        }

    @classmethod
    def from_plain(cls, value: object, reference: Reference) -> Counts:
        """Return the counts of which `plain` gave this value.

        Raises:
            ValueError: it is no result of `plain` for this reference, or its counts do not add up to its rows.
        """
        names = [field.name for field in fields(cls)]
        if not isinstance(value, dict) or set(value) != set(names):
            raise ValueError(f"counts must be an object of {', '.join(names)}")
        shape = cls.zero(reference)
        features = _list_of(value["features"], len(shape.features), "features")
        counts = cls(
            rows=_whole(value["rows"], "rows"),
            features=tuple(
                _wholes(each, len(zero), "features") for each, zero in zip(features, shape.features, strict=True)
            ),
            unusual=_wholes(value["unusual"], len(shape.unusual), "unusual"),
            labels=_wholes(value["labels"], len(shape.labels), "labels"),
            confidence=_wholes(value["confidence"], len(shape.confidence), "confidence"),
        )
        counts._check(reference)
        return counts

    def _check(self, reference: Reference) -> None:
        if {sum(each) for each in (*self.features, self.labels, self.confidence)} != {self.rows}:
            raise ValueError("the counts do not add up to the rows")
        for feature, unusual in zip(reference.features, self.unusual, strict=True):
            if unusual > (0 if usual_bin(feature) is None else self.rows):
                raise ValueError(f"{feature.name}: more unusual rows than there can be")


class Histograms:
    """Counts rows in constant memory."""

    def __init__(self, reference: Reference, dtype: str) -> None:
        """Prepare the edges of the reference, for a model of the dtype `float32` or `float64`."""
        import numpy as np

        self._dtypes = tuple(dict.fromkeys([np.dtype(dtype), np.dtype(np.float32)]))
        self._features = [_Feature(feature, self._dtypes) for feature in reference.features]
        self._confidence = np.array(reference.outputs.confidence.edges[1:])
        self._counts = Counts.zero(reference)
        self._buffer = np.empty(BLOCK, dtype=np.bool_)

    def add(
        self, columns: Sequence[NDArray[Any]], positions: NDArray[np.int64], confidence: NDArray[np.float64]
    ) -> None:
        """Count some rows.

        Args:
            columns: each feature's values, contiguous, of shape (rows,) and finite, of the model's dtype or of float32.
            positions: the predicted class of each row as a position, of shape (rows,).
            confidence: the highest probability of each row, of shape (rows,).

        Raises:
            ValueError: a dtype or a number of features, classes or rows does not fit.
        """
        import numpy as np

        rows = len(positions)
        forms = {(column.dtype, column.shape) for column in columns}
        if not forms <= {(each, (rows,)) for each in self._dtypes} or confidence.shape != (rows,):
            raise ValueError(f"columns of {sorted(map(str, forms))} do not fit {rows} rows of {self._dtypes[0]}")
        counted = [each.count(column, self._buffer) for each, column in zip(self._features, columns, strict=True)]
        self._counts += Counts(
            rows=rows,
            features=tuple(bins for bins, _ in counted),
            unusual=tuple(unusual for _, unusual in counted),
            labels=tuple(np.bincount(positions, minlength=len(self._counts.labels)).tolist()),
            confidence=_bins(confidence, self._confidence, self._buffer),
        )

    def counts(self) -> Counts:
        """Return the counts of all rows so far."""
        return self._counts


class _Feature:
    """One feature's inner edges in each dtype of columns, and its usual bin and value if it is nearly constant."""

    def __init__(self, feature: FeatureReference, dtypes: Sequence[np.dtype[Any]]) -> None:
        import numpy as np

        edges = np.array(feature.edges[1:], dtype=np.float64)
        self._edges = {dtype: _at_least(edges, dtype) for dtype in dtypes}
        # The bin of each byte, and so of each value with that whole part.
        by_bytes = len(edges) >= _MIN_FOR_BYTES and bool((edges == np.floor(edges)).all())
        self._of_bytes = edges.searchsorted(np.arange(_BYTE), side="right") if by_bytes else None
        # Only a category has so many bins; its values are the positions of the bins.
        self._levels = len(feature.edges) if feature.discrete and len(feature.edges) > _MAX_COMPARED else 0
        self._usual = usual_bin(feature)
        self._value: Any = None
        if self._usual is not None and feature.discrete:
            with np.errstate(over="ignore"):  # no row has a value beyond the dtype
                self._value = np.float64(feature.edges[self._usual]).astype(dtypes[0])

    def count(self, column: NDArray[Any], buffer: NDArray[np.bool_]) -> tuple[tuple[int, ...], int]:
        """Return the rows in each bin, and the unusual rows."""
        import numpy as np

        bins = self._by_position(column) if self._levels else self._by_bytes(column)
        bins = bins or _bins(column, self._edges[column.dtype], buffer)
        if self._usual is None:
            return bins, 0
        if self._value is None:
            return bins, len(column) - bins[self._usual]
        with np.errstate(over="ignore"):
            narrow = self._value.astype(column.dtype)
        return bins, int(np.count_nonzero(column != narrow)) if narrow == self._value else len(column)

    def _by_position(self, codes: NDArray[Any]) -> tuple[int, ...]:
        import numpy as np

        return tuple(np.bincount(codes.astype(np.int64), minlength=self._levels).tolist())

    def _by_bytes(self, column: NDArray[Any]) -> tuple[int, ...]:
        """Return the rows in each bin, from the whole parts of the values; () if these are no bytes or not enough."""
        import numpy as np

        if self._of_bytes is None or not len(column) or not (column.min() >= 0 and column.max() < _BYTE):
            return ()
        wholes = column.astype(np.uint8)
        paired = len(wholes) - len(wholes) % 2
        pairs = np.bincount(wholes[:paired].view(np.uint16), minlength=_BYTE * (int(wholes.max()) + 1))
        pairs = pairs.reshape(-1, _BYTE)  # how often one byte is beside another
        counts = pairs.sum(axis=0)
        counts[: len(pairs)] += pairs.sum(axis=1)
        counts[wholes[paired:]] += 1
        bins = np.zeros(len(self._edges[column.dtype]) + 1, dtype=np.int64)
        np.add.at(bins, self._of_bytes, counts)
        return tuple(bins.tolist())


def _at_least(edges: NDArray[np.float64], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the smallest numbers of `dtype` that are not below the edges; infinity beyond its largest number."""
    import numpy as np

    with np.errstate(over="ignore"):
        rounded = edges.astype(dtype)
        return np.where(rounded.astype(np.float64) < edges, np.nextafter(rounded, dtype.type(np.inf)), rounded)


def _bins(values: NDArray[Any], edges: NDArray[Any], buffer: NDArray[np.bool_]) -> tuple[int, ...]:
    """Return the number of values in each bin, which begins with its edge and ends before the next one."""
    import numpy as np

    reached = [len(values), *[0] * len(edges), 0]
    for start in range(0, len(values), BLOCK):
        block = values[start : start + BLOCK]
        out = buffer[: len(block)]
        for index, edge in enumerate(edges, start=1):
            hits = int(np.count_nonzero(np.greater_equal(block, edge, out=out)))
            if not hits:  # the edges ascend
                break
            reached[index] += hits
    return tuple(low - high for low, high in pairwise(reached))


def _sum(ours: Sequence[int], theirs: Sequence[int]) -> tuple[int, ...]:
    return tuple(a + b for a, b in zip(ours, theirs, strict=True))


def _list_of(value: object, length: int, name: str) -> list[object]:
    if not isinstance(value, list) or len(value) != length:
        raise ValueError(f"{name}: {length} entries were expected")
    return value


def _wholes(value: object, length: int, name: str) -> tuple[int, ...]:
    return tuple(_whole(each, name) for each in _list_of(value, length, name))


def _whole(value: object, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{name}: a count is a whole number, 0 or more")
    return value
