"""The typical row of a model: of each column the median, or what is most frequent.

It comes from `reference.json`, which describes the training rows column by column. So it is not the data of a person.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any

from artifact_pipeline.artifact.reference import MAX_DISTINCT
from artifact_pipeline.rows.coded import MISSING_CODE
from artifact_pipeline.rows.features import MISSING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from artifact_pipeline.artifact.reference import FeatureReference
    from artifact_pipeline.artifact.selftest2 import Value
    from artifact_pipeline.rows.features import Column
    from artifact_pipeline.serving.model import Served

_NEAR = 1e-3


def typical_row(served: Served) -> list[Value]:
    """Return the typical value of each column: a number, 1 or 0 for a truth value, or a level.

    It is None only where each value of the column was missing, or of a level that the model does not know.
    """
    columns = served.verified.manifest.model.columns
    return [_typical(feature, column) for feature, column in zip(served.reference.features, columns, strict=True)]


def _typical(feature: FeatureReference, column: Column) -> Value:
    if column.kind == "category":
        known = dict(zip(column.levels, feature.counts, strict=False))  # the last count is that of all other levels
        known.pop(MISSING, None)
        return max(known, key=known.__getitem__) if known else None
    present = [(edge, count) for edge, count in zip(feature.edges, feature.counts, strict=True) if edge != MISSING_CODE]
    if not present:
        return None
    if column.kind == "boolean":
        return max(present, key=lambda each: each[1])[0]
    return _median(present)


def _median(bins: Sequence[tuple[float, int]]) -> float:
    """The median of a column by its bins, each with its lower edge; the edges are all values, or the deciles.

    It is the lower edge of the first bin with which more than half of the values are counted.
    """
    half = sum(count for _, count in bins) / 2
    counted = accumulate(count for _, count in bins)
    return next((edge for (edge, _), below in zip(bins, counted, strict=True) if below > half), bins[0][0])


def control(feature: FeatureReference, column: Column, typical: Value) -> dict[str, Any]:
    """Return what a form needs to know of a column: its kind, what it may be, and its typical value."""
    about: dict[str, Any] = {"name": column.name, "kind": column.kind, "nullable": column.nullable, "typical": typical}
    if column.kind == "category":
        about["levels"] = [level for level in column.levels if level != MISSING]
        about["other"] = column.other == "accept"
    elif column.kind == "boolean":
        about["typical"] = None if typical is None else typical == 1
    else:
        about |= {"low": feature.low, "high": feature.high, "whole": _is_whole(feature)}
    return about


def _is_whole(feature: FeatureReference) -> bool:
    """Whether a column seems to hold only whole numbers: then a decile lies at tenths between two of them."""
    if feature.discrete:
        return all(edge.is_integer() for edge in feature.edges)
    tenths = all(abs(10 * edge - round(10 * edge)) < _NEAR for edge in feature.edges if edge != MISSING_CODE)
    ends = feature.low.is_integer() and feature.high.is_integer()
    return ends and tenths and feature.high - feature.low >= MAX_DISTINCT
