"""The columns as the model was trained on them: ranges, levels, gaps, and a small histogram of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from artifact_pipeline.artifact.reference import Reference
from artifact_pipeline.reports.page.parts import MAX_LISTED, Cell, DataTable, Section, more, short
from artifact_pipeline.rows.coded import MISSING_CODE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.artifact.reference import FeatureReference
    from artifact_pipeline.reports.page.parts import Row
    from artifact_pipeline.rows.features import Column

_WIDTH, _HEIGHT = 96, 20
_MAX_BARS = 24
_MAX_LEVELS = 4


def section(artifact: Verified) -> Section:
    """Return what `reference.json` says of the columns, and of the labels."""
    reference, manifest = Reference.read(artifact.role("reference")), artifact.manifest
    columns = manifest.model.columns
    pairs = list(zip(columns, reference.features, strict=True))
    rows = tuple(_row(column, feature, reference.rows) for column, feature in pairs[:MAX_LISTED])
    table = DataTable(
        caption=f"The columns over {reference.rows:,} rows",
        columns=("column", "kind", "missing", "low", "mean", "high", "values"),
        rows=rows,
        note=more(len(pairs), len(rows), "columns"),
        folded=len(rows) > 12,
    )
    total = sum(reference.labels)
    labels = list(zip(manifest.model.classes, reference.labels, strict=True))
    counts = DataTable(
        caption=f"The labels over the same rows: {manifest.data.target}",
        columns=("label", "rows", "share"),
        rows=tuple((short(label), f"{count:,}", f"{count / total:.4f}") for label, count in labels[:MAX_LISTED]),
        note=more(len(labels), min(len(labels), MAX_LISTED), "labels"),
        folded=len(labels) > 6,
    )
    which = "training rows" if manifest.data.split.training else "held-out rows: the model was trained elsewhere"
    text = f"What later rows are compared with, to find drift: the distribution of the {which}. It holds no single row."
    return Section("columns", "Columns as trained", (text,), (table, counts))


def _row(column: Column, feature: FeatureReference, rows: int) -> Row:
    gaps, counts, edges = 0, list(feature.counts), list(feature.edges)
    if column.kind != "category" and column.nullable and edges[0] == MISSING_CODE:
        gaps, counts, edges = counts[0], counts[1:], edges[1:]
    elif column.kind == "category" and "" in column.levels:
        gaps = counts[column.levels.index("")]
    share = f"{gaps / rows:.4f}" if column.nullable or gaps else ""
    name, outline = short(column.name), Cell(_words(column, counts), path=_outline(edges, counts, feature))
    if column.kind == "category":
        return name, "category", share, "", "", "", outline
    low, mean, high = (f"{each:.6g}" for each in (feature.low, feature.mean, feature.high))
    return name, column.kind, share, low, mean, high, outline


def _words(column: Column, counts: Sequence[int]) -> str:
    """The most frequent levels of a category."""
    if column.kind != "category":
        return ""
    named = [(count, level or "missing") for count, level in zip(counts, column.levels, strict=False)]
    named += [(counts[-1], "any other")] if counts[-1] else []
    ordered = sorted(named, key=lambda each: -each[0])
    listed = ", ".join(f"{short(level, 24)} {count:,}" for count, level in ordered[:_MAX_LEVELS])
    left = len(ordered) - _MAX_LEVELS
    return f"{listed} and {left:,} more" if left > 0 else listed


def _outline(edges: Sequence[float], counts: Sequence[int], feature: FeatureReference) -> str:
    """The outline of a histogram as SVG draws it, of bars, or of densities where bins are of different width."""
    if not counts:
        return ""
    if feature.discrete:
        heights = [float(each) for each in counts[:_MAX_BARS]]
        step = _WIDTH / max(len(heights), 4)
        lefts = [place * step for place in range(len(heights))]
        rights = [left + step - 1 for left in lefts]
    else:
        ends = [*edges[1:], feature.high]
        spread = max(feature.high - feature.low, 1e-12)
        widths = (max(end - start, spread / 200) for start, end in zip(edges, ends, strict=True))
        heights = [count / width for count, width in zip(counts, widths, strict=True)]
        lefts = [(start - feature.low) / spread * _WIDTH for start in edges]
        rights = [(end - feature.low) / spread * _WIDTH for end in ends]
    top = max(heights) or 1.0
    bars = zip(lefts, rights, heights, strict=True)
    return "".join(
        f"M{left:.0f} {_HEIGHT}V{_HEIGHT - max(height / top * _HEIGHT, 0.5):.1f}H{right:.1f}V{_HEIGHT}z"
        for left, right, height in bars
        if height
    )
