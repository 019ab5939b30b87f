"""The section about weights and importance: pictures, weights by class, or the loss without a column."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from artifact_pipeline.errors import plural
from artifact_pipeline.reports.page import plots
from artifact_pipeline.reports.page.mistakes import data_uri, pictures_for
from artifact_pipeline.reports.page.parts import MAX_LISTED, Card, Cards, Cell, DataTable, Plot, Section, more, short
from artifact_pipeline.reports.page.plots import Range

if TYPE_CHECKING:
    from artifact_pipeline.artifact.manifest import Manifest
    from artifact_pipeline.reports.page.parts import Block, Row
    from artifact_pipeline.reports.page.rows import AnsweredRows
    from artifact_pipeline.reports.page.weights import Importance, Weights

_MAX_BARS = 20
_MAX_CLASSES = 10
_SCALED = "Numbers are scaled by their spread first, so that these weights can be compared."
_UNSCALED = "Numbers are not scaled: a weight is per unit of its column, and only alike columns can be compared."


def of_weights(weights: Weights, manifest: Manifest) -> Section:
    """Return the weights of a linear model."""
    classes, pictures = manifest.model.classes, pictures_for(manifest)
    text = _SCALED if weights.scaled else _UNSCALED
    if pictures is not None and len(weights.names) == len(manifest.model.inputs):
        greatest = float(np.abs(weights.values).max())
        named = classes if len(weights.values) > 1 else (f"towards {classes[1]}",)
        cards = tuple(
            Card(data_uri(pictures.signed(row, greatest)), f"weights of {short(name)}", (short(name),))
            for name, row in zip(named, weights.values, strict=True)
        )
        note = f"Blue speaks for the class, vermilion against it; the strongest weight is {greatest:.3f}."
        return Section("reasons", "What each class looks at", (), (Cards("Weights as pictures", cards, note=note),))
    order = np.argsort(-np.abs(weights.values).max(axis=0), kind="stable")
    if len(weights.values) == 1:
        return _signed(weights, order.tolist(), text, short(classes[1], 30))
    listed, shown = order[:MAX_LISTED].tolist(), min(len(classes), _MAX_CLASSES)
    greatest = float(np.abs(weights.values).max()) or 1.0
    rows: tuple[Row, ...] = tuple(
        (short(weights.names[at], 40), *(_weight(weights.values[each, at], greatest) for each in range(shown)))
        for at in listed
    )
    notes = (more(len(order), len(listed), "weights, the strongest first,"), more(len(classes), shown, "classes"))
    table = DataTable(
        "Weights by class",
        ("", *(short(each, 20) for each in classes[:shown])),
        rows,
        note=" ".join(filter(None, notes)),
        pictures=True,
    )
    return Section("reasons", "What the model goes by", (text,), (table,))


def _weight(value: float, greatest: float) -> Cell:
    step = min(5, int(abs(value) / greatest * 5 + 0.5))
    look = f"{'right' if value > 0 else 'wrong'}{step}" if step else "none"
    return Cell(f"{value:+.3f}", look=look)


def _signed(weights: Weights, order: list[int], text: str, second: str) -> Section:
    values = weights.values[0].tolist()
    bars = [Range(weights.names[at], values[at]) for at in order[:_MAX_BARS]]
    listed = order[:MAX_LISTED]
    table = DataTable(
        "Weights, the strongest first",
        ("", f"towards {second}"),
        tuple((short(weights.names[at], 48), f"{values[at]:+.4f}") for at in listed),
        note=more(len(order), len(listed), "weights"),
    )
    strongest = ", ".join(f"{short(each.name, 40)} {each.value:+.3f}" for each in bars[:3])
    plot = Plot(
        f"Weights towards {second}",
        f"Weights of the linear model towards {second}; the strongest are {strongest}",
        lambda: plots.signed_bars("weights", bars, f"weight towards {second}"),
        table,
        note=more(len(order), len(bars), "weights, the strongest first,"),
    )
    return Section("reasons", "What the model goes by", (text,), (plot,))


def of_importance(found: Importance, answered: AnsweredRows, manifest: Manifest) -> Section:
    """Return what is lost without each column."""
    columns, pictures = manifest.model.columns, pictures_for(manifest)
    pairs = list(zip(found.columns, found.losses, strict=True))
    bars = [Range(columns[at].name, *loss) for at, loss in pairs[:_MAX_BARS]]
    rows = tuple(
        (short(columns[at].name, 48), f"{loss.value:+.4f}", f"{loss.low:+.4f} to {loss.high:+.4f}")
        for at, loss in pairs[:MAX_LISTED]
    )
    table = DataTable(
        "Accuracy lost without the column, the most first",
        ("column", "loss", "95 % interval"),
        rows,
        note=more(len(pairs), len(rows), "columns"),
    )
    strongest = ", ".join(f"{short(each.name, 40)} {each.value:.3f}" for each in bars[:3])
    blocks: list[Block] = [
        Plot(
            "Accuracy lost where a column is shuffled",
            f"Permutation importance; the most is lost without {strongest}",
            lambda: plots.signed_bars("importance", bars, "accuracy lost, with its 95 % interval"),
            table,
            note=more(len(pairs), len(bars), "columns, the most important first,"),
        )
    ]
    if pictures is not None:
        values = np.zeros(len(columns))
        values[list(found.columns)] = [loss.value for loss in found.losses]
        picture = data_uri(pictures.signed(values, float(np.abs(values).max())))
        cards = (Card(picture, "importance of each pixel", ("importance",)),)
        blocks.insert(0, Cards("Importance as a picture", cards, note="Blue: accuracy is lost without the pixel."))
    learned = " The model may have learned these rows: what it loses may be too much."
    side = "" if answered.side == "held out" else learned
    text = (
        f"Permutation importance (Breiman 2001) of the published model: {plural(found.rows, 'row')} of the "
        f"{len(answered):,} {answered.words}, each column shuffled {plural(found.repeats, 'time')} with a fixed seed. "
        f"Columns that say the same share their importance.{side}"
    )
    return Section("reasons", "What the model goes by", (text,), tuple(blocks))
