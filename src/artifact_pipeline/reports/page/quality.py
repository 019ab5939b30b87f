"""Figures by class, the calibration of the probabilities, and the figures at other thresholds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from artifact_pipeline.errors import plural
from artifact_pipeline.metrics import curves
from artifact_pipeline.reports.page import plots
from artifact_pipeline.reports.page.parts import MAX_LISTED, DataTable, Plot, Section, more, short
from artifact_pipeline.reports.tables import CLASSES, class_rows, figure

if TYPE_CHECKING:
    from artifact_pipeline.artifact.manifest import Manifest
    from artifact_pipeline.reports.page.rows import AnsweredRows

_MAX_BARS = 20
_FEW = 10


def section(manifest: Manifest, answered: AnsweredRows | None) -> Section:
    """Return the figures of each class and, where rows are at hand, how well the probabilities are calibrated."""
    few = [each for each in manifest.metrics.held_out.classes if 0 < each.rows < _FEW]
    text = f"{plural(len(few), 'class')} with fewer than {_FEW} held-out rows: their figures are rough."
    title, blocks = "By class", [_by_class(manifest)]
    if answered is not None and answered.has_probabilities:
        title = "By class, and calibration"
        blocks.append(_calibration(answered, manifest))
    return Section("classes", title, (text,) if few else (), tuple(blocks), beside=True)


def _by_class(manifest: Manifest) -> Plot:
    """Return precision, recall and F1 of each class, the worst ones where they are too many."""
    classes = manifest.metrics.held_out.classes
    worst_first = sorted(classes, key=lambda each: (not each.rows, each.f1))
    ordered = worst_first if len(classes) > _MAX_BARS else classes
    drawn = ordered[:_MAX_BARS]
    rows = class_rows(ordered[:MAX_LISTED], lambda label: short(label, 30))
    table = DataTable(
        "Precision, recall and F1 of each class",
        CLASSES,
        tuple(map(tuple, rows)),
        note=more(len(ordered), len(rows), "classes, the worst first,"),
    )
    worst = worst_first[0]
    words = f"Precision, recall and F1 by class; the least F1 is {worst.f1:.4f}, of {short(worst.label, 30)}"
    bars = [(str(each.label), each.precision, each.recall, each.f1) for each in drawn]
    note = more(len(ordered), len(drawn), "classes, the worst first,")
    return Plot("Precision, recall and F1", words, lambda: plots.class_bars("classes", bars), table, note=note)


def _calibration(answered: AnsweredRows, manifest: Manifest) -> Plot:
    """Return a plot of how often an event occurs against its probability."""
    classes = manifest.model.classes
    if len(classes) == 2:
        second = short(classes[1], 24)
        given, occurred, what = answered.of_second, answered.actual == 1, f"probability of {second}"
    else:
        given, occurred, what = answered.given, answered.right, "probability of the answer"
    found = curves.Reliability.of(given, occurred)
    table = DataTable(
        "Bins of equally many rows",
        ("mean probability", "rows", "came true", "95 % interval"),
        tuple(
            (f"{each.probability:.4f}", f"{each.rows:,}", f"{each.share:.4f}", f"{each.low:.4f} to {each.high:.4f}")
            for each in found.bins
        ),
        note=(
            f"Brier score of this event {found.miscalibration - found.discrimination + found.uncertainty:.4f} = "
            f"miscalibration {found.miscalibration:.4f} - discrimination {found.discrimination:.4f} + uncertainty "
            f"{found.uncertainty:.4f}. Intervals by Wilson's score."
        ),
    )
    gap = float(given.mean()) - float(occurred.mean())
    towards = "higher" if gap > 0 else "lower"
    words = (
        "Reliability diagram: what is said with a probability, and how often it comes true. On average "
        f"{what} is {given.mean():.4f}, and {occurred.mean():.4f} came true: it is "
        f"{abs(gap):.4f} {towards}"
    )
    note = (
        "The blue line in the blue band: the probabilities can be taken at their word. Below the diagonal the model is "
        "too sure. CORP: isotonic regression, Dimitriadis, Gneiting and Jordan, PNAS 118(8), 2021."
    )
    return Plot(
        f"Calibration, {answered.words}", words, lambda: plots.reliability("reliability", found, what), table, note=note
    )


def thresholds(answered: AnsweredRows, manifest: Manifest) -> Section | None:
    """Return the ROC curve and that of precision and recall; None where there are not just two classes."""
    classes = manifest.model.classes
    if len(classes) != 2:
        return None
    found = curves.Thresholds.of(answered.actual == 1, answered.of_second)
    if found is None:
        return None
    second, kept, few = short(classes[1], 24), plots.thinned(found), plots.thinned(found, 12)
    share = float((answered.actual == 1).mean())
    area = _area(found)
    recall = [0.0, *found.recall[kept].tolist()]
    alarms = [0.0, *found.false_alarms[kept].tolist()]
    precision = [float(found.precision[0]), *found.precision[kept].tolist()]
    table = DataTable(
        f"Some thresholds, {answered.words}",
        (f"share answered {second}", "recall", "false alarms", "precision"),
        tuple(
            tuple(map(figure, (share * r + (1 - share) * a, r, a, p)))
            for r, a, p in zip(found.recall[few], found.false_alarms[few], found.precision[few], strict=True)
        ),
    )
    roc = Plot(
        f"ROC of {second}",
        f"ROC curve of {second}: recall against false alarms; the area under it is {area:.4f}",
        lambda: plots.curve("roc", alarms, recall, axis=("false alarms", "recall"), chance=(0, 1)),
        table,
        note=f"Area {area:.4f}; 0.5 is guessing.",
    )
    mean = float((np.diff(found.recall, prepend=0.0) * found.precision).sum())
    both = Plot(
        f"Precision and recall of {second}",
        f"Precision against recall of {second}; the average precision is {mean:.4f}, guessing gives {share:.4f}",
        lambda: plots.curve("precision", recall, precision, axis=("recall", "precision"), chance=(share, share)),
        table,
        note=f"Average precision {mean:.4f}; guessing gives {share:.4f}.",
    )
    return Section(
        "thresholds", "Thresholds", (f"What another threshold for {second} would give.",), (roc, both), beside=True
    )


def _area(found: curves.Thresholds) -> float:
    """The area under the ROC curve, ties counting half."""
    return float(np.trapezoid(np.insert(found.recall, 0, 0.0), np.insert(found.false_alarms, 0, 0.0)))
