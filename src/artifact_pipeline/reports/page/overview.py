"""The beginning of a page: the verdict, the figures with their intervals, the gate and the majority's share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from artifact_pipeline.artifact.manifest2 import BASELINE, JudgedRule
from artifact_pipeline.errors import listing, plural
from artifact_pipeline.metrics.registry import METRICS
from artifact_pipeline.reports.page import plots
from artifact_pipeline.reports.page.parts import MAX_LISTED, Cell, DataTable, Plot, Section, Tile, more, short
from artifact_pipeline.reports.page.plots import Range
from artifact_pipeline.reports.statements import figures_of, held_out_figures
from artifact_pipeline.reports.tables import ALL, figure, shown_rules

if TYPE_CHECKING:
    from artifact_pipeline.artifact.manifest import Manifest
    from artifact_pipeline.artifact.manifest1 import GateRecord

_WORDS = {each.name: each.words for each in METRICS}
_RANGED = ("accuracy", "balanced_accuracy", "f1_weighted", "f1_macro", "roc_auc")
"""The figures from 0 to 1 that are drawn beside each other."""


def lead(manifest: Manifest) -> tuple[str, ...]:
    """Return the sentences under the title."""
    held_out, model = manifest.metrics.held_out, manifest.model
    estimator = model.estimator.rpartition(".")[2]
    right = sum(row[place] for place, row in enumerate(held_out.confusion))
    training = manifest.data.split.training
    trained = f"trained on {plural(training, 'row')}" if training else "packaged"
    first = (
        f"{estimator}, {trained}, is right on {right:,} of {plural(held_out.rows, 'held-out row')}; "
        f"always answering {short(held_out.majority.label, 30)} would be right on {held_out.majority.rows:,}."
    )
    missed = [short(each.label, 30) for each in held_out.never_predicted]
    never = f"Never predicted, though there are rows of it: {listing(missed)}." if missed else ""
    stopped = "" if model.converged else "The solver stopped before it converged."
    return tuple(filter(None, (first, never, stopped)))


def tiles(manifest: Manifest) -> tuple[Tile, ...]:
    """Return the figures at the top."""
    held_out = manifest.metrics.held_out
    worst = min(held_out.classes, key=lambda each: (not each.rows, each.recall))
    measured = [
        Tile(name, f"{each.value:.4f}", f"95 %: {each.low:.4f} to {each.high:.4f}")
        for name, each in (("accuracy", held_out.accuracy), ("F1 weighted", held_out.f1_weighted))
    ]
    return (
        *measured,
        Tile("majority share", f"{held_out.majority_share:.4f}", f"always {short(held_out.majority.label, 24)}"),
        Tile("least recall", f"{worst.recall:.4f}", f"of {short(worst.label, 24)}, {plural(worst.rows, 'row')}"),
    )


def section(manifest: Manifest) -> Section:
    """Return figures and gate."""
    rows = _ranges(manifest)
    words = "; ".join(
        f"{row.name} {row.value:.4f}"
        + ("" if row.low is None or row.high is None else f" ({row.low:.4f} to {row.high:.4f})")
        + ("" if row.bound is None else f", the gate asks for {row.bound:.4f}")
        for row in rows
    )
    bounded = any(row.bound is not None for row in rows)
    plot = Plot(
        f"Figures over {plural(manifest.metrics.held_out.rows, 'held-out row')}",
        words,
        lambda: plots.ranges("figures", rows),
        _figures(manifest),
        note="An interval that reaches the gate's bound: that it was kept, or missed, may be luck." if bounded else "",
    )
    return Section("figures", "Figures and gate", (), (plot, _gate(manifest)), beside=True)


def _ranges(manifest: Manifest) -> list[Range]:
    """The figures from 0 to 1, with the gate's bounds and, of accuracy, the share of the majority."""
    bounds = {rule.metric: rule.minimum for rule in manifest.gate.rules if _has_least(rule)} if manifest.gate else {}
    found = {each.name: each for each in held_out_figures(manifest)}
    share = manifest.metrics.held_out.majority_share
    return [
        Range(_spoken(name), each.value, each.low, each.high, bounds.get(name), share if name == "accuracy" else None)
        for name in _RANGED
        if (each := found.get(name)) is not None
    ]


def _has_least(rule: GateRecord.Rule | JudgedRule) -> bool:
    """Whether the bound is the least value of a figure of all classes."""
    return rule.label is UNSET and _sign(rule) == "≥"


def _sign(rule: GateRecord.Rule | JudgedRule) -> str:
    """How the observed value must stand to the bound."""
    if rule.metric == BASELINE:
        return ">"
    return "≤" if isinstance(rule, JudgedRule) and rule.better == "lower" else "≥"


def _spoken(name: str) -> str:
    """A figure's name, or a rule's, as people write it."""
    return name.replace("_", " ").replace("f1", "F1").replace("roc auc", "ROC AUC")


def _figures(manifest: Manifest) -> DataTable:
    values: dict[str, dict[str, str]] = {}
    for each in figures_of(manifest):
        if each.label is None:
            row = values.setdefault(each.name, {})
            row[each.rows] = figure(each.value)
            if each.rows == "held_out" and each.low is not None:
                row["interval"] = f"{each.low:.4f} to {each.high:.4f}"
    trained = bool(manifest.data.split.training)
    keys = ("held_out", "interval", *(("training", "all") if trained else ()))
    heads = ("held out", "95 % interval", *(("training", ALL["some"]) if trained else ()))
    return DataTable(
        "Figures of the published model",
        ("figure", *heads, "what it is"),
        tuple(
            (_spoken(name), *(row.get(key, "") for key in keys), _WORDS.get(name, "")) for name, row in values.items()
        ),
    )


def _gate(manifest: Manifest) -> DataTable:
    if manifest.gate is None:
        return DataTable("Gate", ("rule", "observed", "bound", "verdict"), (), note="The artifact has no gate.")
    rules = shown_rules(manifest.gate, MAX_LISTED)
    return DataTable(
        f"Gate: {manifest.gate.verdict}",
        ("rule", "observed", "asked", "verdict"),
        tuple(
            (
                short(_spoken(each.name)),
                f"{each.observed:.4f}",
                f"{_sign(each)} {each.minimum:.4f}",
                Cell("passed", look="good") if each.passed else Cell("failed", look="bad"),
            )
            for each in rules
        ),
        note=more(len(manifest.gate.rules), len(rules), "rules"),
    )
