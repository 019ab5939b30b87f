"""How right a model is by class, how far its probabilities can be believed, and what a threshold gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from artifact_pipeline.errors import plural
from artifact_pipeline.metrics import curves
from artifact_pipeline.reports.page import plots
from artifact_pipeline.reports.page.parts import MAX_LISTED, DataTable, Plot, Section, more, short
from artifact_pipeline.reports.tables import figure

if TYPE_CHECKING:
    from artifact_pipeline.artifact.manifest import Manifest
    from artifact_pipeline.reports.page.rows import AnsweredRows

_MAX_BARS = 20
_FEW = 10
_SAID = "what is said with a probability, and how often it comes true"


def section(manifest: Manifest, answered: AnsweredRows | None) -> Section:
    """Return the figures of each class and, where rows are at hand, how far the probabilities can be believed."""
    few = [each for each in manifest.metrics.held_out.classes if 0 < each.rows < _FEW]
    text = f"{plural(len(few), 'class')} with fewer than {_FEW} held-out rows: their figures are rough."
    sure = calibration(answered, manifest) if answered is not None else None
    blocks = (by_class(manifest), *([sure] if sure is not None else ()))
    title = "By class, and calibration" if sure is not None else "By class"
    return Section("classes", title, (text,) if few else (), blocks, beside=True)


def by_class(manifest: Manifest) -> Plot:
    """Return precision, recall and F1 of each class, the worst ones where they are too many."""
    held_out = manifest.metrics.held_out
    ordered = list(held_out.classes)
    if len(ordered) > _MAX_BARS:
        ordered.sort(key=lambda each: (not each.rows, each.f1))
    drawn = ordered[:_MAX_BARS]
    rows = tuple(
        (short(each.label, 30), f"{each.rows:,}", *map(figure, (each.precision, each.recall, each.f1)))
        for each in ordered[:MAX_LISTED]
    )
    table = DataTable(
        "Precision, recall and F1 of each class",
        ("class", "rows", "precision", "recall", "F1"),
        rows,
        note=more(len(ordered), len(rows), "classes, the worst first,"),
    )
    worst = min(held_out.classes, key=lambda each: (not each.rows, each.f1))
    words = f"Precision, recall and F1 by class; the least F1 is {worst.f1:.4f}, of {short(worst.label, 30)}"
    bars = [(str(each.label), each.precision, each.recall, each.f1) for each in drawn]
    note = more(len(ordered), len(drawn), "classes, the worst first,")
    return Plot("Precision, recall and F1", words, lambda: plots.class_bars("classes", bars), table, note=note)


def calibration(answered: AnsweredRows, manifest: Manifest) -> Plot | None:
    """Return how far the probabilities can be believed; None of a model that gives none."""
    if not answered.has_probabilities:
        return None
    classes = manifest.model.classes
    if len(classes) == 2:
        second = short(classes[1], 24)
        said, true, what = answered.of_second, answered.actual == 1, f"probability of {second}"
    else:
        said, true, what = answered.given, answered.right, "probability of the answer"
    found = curves.Reliability.of(said, true)
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
    gap = float(said.mean()) - float(true.mean())
    towards = "higher" if gap > 0 else "lower"
    words = (
        f"Reliability diagram: {_SAID}. On average {what} is {said.mean():.4f}, and {true.mean():.4f} came true: it is "
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
    second, kept = short(classes[1], 24), plots.thinned(found)
    share = float((answered.actual == 1).mean())
    area = _area(found)
    recall, alarms, precision = (
        [start, *(float(each[place]) for place in kept)]
        for start, each in (
            (0.0, found.recall),
            (0.0, found.false_alarms),
            (float(found.precision[0]), found.precision),
        )
    )
    few = plots.thinned(found, 12)
    table = DataTable(
        f"Some thresholds, {answered.words}",
        (f"share answered {second}", "recall", "false alarms", "precision"),
        tuple(
            tuple(map(figure, (share * r + (1 - share) * a, r, a, p)))
            for r, a, p in ((found.recall[at], found.false_alarms[at], found.precision[at]) for at in few)
        ),
    )
    roc = Plot(
        f"ROC of {second}",
        f"ROC curve of {second}: recall against false alarms; the area under it is {area:.4f}",
        lambda: plots.curve("roc", alarms, recall, axis=("false alarms", "recall"), chance=(0, 1)),
        table,
        note=f"Area {area:.4f}; 0.5 is guessing.",
    )
    mean = sum(
        (r - before) * p for before, r, p in zip([0.0, *found.recall], found.recall, found.precision, strict=False)
    )
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
    area, x, y = 0.0, 0.0, 0.0
    for alarms, recall in zip(found.false_alarms.tolist(), found.recall.tolist(), strict=True):
        area += (alarms - x) * (recall + y) / 2
        x, y = alarms, recall
    return area
