"""Several artifacts beside each other: their figures, what differs in their recipes, and pairs on the same rows."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from artifact_pipeline.canonical import dotted
from artifact_pipeline.errors import plural
from artifact_pipeline.reports.page import plots
from artifact_pipeline.reports.page.parts import MAX_LISTED, Cell, DataTable, Plot, Section, more, short
from artifact_pipeline.reports.page.plots import Range
from artifact_pipeline.reports.statements import verdict_of
from artifact_pipeline.reports.tables import figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.artifact.provenance import Comparison
    from artifact_pipeline.metrics import paired
    from artifact_pipeline.reports.page.parts import Row
    from artifact_pipeline.reports.page.rows import AnsweredRows

_COMPARED = ("accuracy", "95 % interval", "F1 weighted", "95 % interval", "won", "lost", "McNemar p")
_RECIPES = "What differs in the recipes"
_METHODS = "Tango's interval of accuracy, bootstrap of F1, the exact test of McNemar."


def _names_of(artifacts: Sequence[Verified]) -> list[str]:
    """Return a short name for each artifact: a letter, its classifier, and the first digits of its digest."""
    return [
        f"{chr(ord('A') + place)}: {short(each.manifest.model.estimator.rpartition('.')[2], 34)} {each.digest[7:15]}"
        for place, each in enumerate(artifacts)
    ]


def section(artifacts: Sequence[Verified]) -> Section:
    """Return the figures of all of them."""
    names = _names_of(artifacts)
    held_out = [each.manifest.metrics.held_out for each in artifacts]
    verdicts = [verdict_of(each.manifest) for each in artifacts]
    ranges = [
        Range(name, each.accuracy.value, each.accuracy.low, each.accuracy.high, None, each.majority_share)
        for name, each in zip(names, held_out, strict=True)
    ]
    rows: tuple[Row, ...] = tuple(
        (
            name,
            Cell(verdict, look="good" if verdict == "passed" else "bad"),
            f"{each.rows:,}",
            f"{each.accuracy.value:.4f}",
            f"{each.accuracy.low:.4f} to {each.accuracy.high:.4f}",
            *map(figure, (each.f1_weighted.value, each.f1_macro, each.log_loss)),
        )
        for name, each, verdict in zip(names, held_out, verdicts, strict=True)
    )
    heads = ("model", "gate", "held out", "accuracy", "95 % interval", "F1 weighted", "F1 macro", "log loss")
    table = DataTable("Figures over the held-out rows of each", heads, rows)
    words = "; ".join(f"{row.name} {row.value:.4f}" for row in ranges)
    same = len({each.manifest.data.split.digest for each in artifacts}) == 1
    note = "" if same else "They were measured on different rows: these figures do not say which one is better."
    plot = Plot("Accuracy, held out", words, lambda: plots.ranges("models", ranges), None, note=note)
    digests = DataTable(
        "Digests", ("model", "artifact"),
        tuple((name, Cell(each.digest, look="digest")) for name, each in zip(names, artifacts, strict=True)),
    )  # fmt: skip
    return Section("models", "Beside each other", (), (plot, table, digests))


def recipes(artifacts: Sequence[Verified]) -> Section:
    """Return what differs in the recipes and in the data."""
    facts = [
        {
            "estimator": each.manifest.model.estimator,
            **dotted(each.manifest.recipe),
            "data": ", ".join(source.digest for source in each.manifest.data.sources),
            "held-out rows": each.manifest.data.split.digest,
            "columns": plural(len(each.manifest.model.inputs), "column"),
        }
        for each in artifacts
    ]
    keys = [key for key in dict.fromkeys(chain(*facts)) if len({str(each.get(key, "")) for each in facts}) > 1]
    if not keys:
        return Section("recipes", _RECIPES, ("Nothing of recipe and data differs.",))
    listed = keys[:MAX_LISTED]
    rows: tuple[Row, ...] = tuple(
        (short(key), *(Cell(short(str(each.get(key, "")), 80), look="digest") for each in facts)) for key in listed
    )
    heads = ("key", *(name.partition(" ")[0].rstrip(":") for name in _names_of(artifacts)))
    table = DataTable("What differs", heads, rows, note=more(len(keys), len(listed), "keys"))
    return Section("recipes", _RECIPES, (), (table,))


def pairs(artifacts: Sequence[Verified], answered: Sequence[AnsweredRows | None]) -> Section:
    """Return how each later one stands beside the first, over the rows that both held out."""
    from artifact_pipeline.metrics import paired

    names, rows, texts = _names_of(artifacts), [], []
    classes, own = len(artifacts[0].manifest.model.classes), answered[0]
    for name, artifact, theirs in zip(names[1:], artifacts[1:], answered[1:], strict=True):
        reason = _incomparable(artifacts[0], artifact, own, theirs)
        if reason or own is None or theirs is None:
            texts.append(f"{name}: {reason}.")
            continue
        found = paired.compare(own.actual, theirs.predicted, own.predicted, classes=classes)
        rows.append((name, *_compared(found)))
    table = DataTable(
        f"Each minus {names[0]}", ("model", *_COMPARED), tuple(rows),
        note=f"Won: rows that it alone gets right; lost: rows that the first one alone gets right. {_METHODS}",
    )  # fmt: skip
    return Section("pairs", "On the same rows", tuple(texts), (table,) if rows else ())


def champions(artifacts: Sequence[Verified], found: Sequence[Comparison]) -> Section:
    """Return how the first one, a candidate, stands beside each other one, by at least one comparison."""
    rows: tuple[Row, ...] = tuple(
        (
            name,
            Cell(each.outcome, look={"failed": "bad", "inconclusive": ""}.get(each.outcome, "good")),
            *_compared(each),
        )
        for name, each in zip(_names_of(artifacts)[1:], found, strict=True)
    )
    note = f"Won: rows that the candidate alone gets right; lost: rows that the champion alone gets right. {_METHODS}"
    table = DataTable("Candidate minus champion", ("champion", "outcome", *_COMPARED), rows, note=note)
    counted = plural(found[0].rows, "held-out row")
    text = f"Over the same {counted}; both intervals must lie above {-found[0].margin:.4f}."
    return Section("champions", "Beside its champions", (text,), (table,))


def _incomparable(one: Verified, other: Verified, own: AnsweredRows | None, theirs: AnsweredRows | None) -> str:
    """Why two models are not compared row by row; an empty text where they are."""
    if one.manifest.data.split.digest != other.manifest.data.split.digest:
        return "it held out other rows, and is not compared row by row"
    if one.manifest.model.classes != other.manifest.model.classes:
        return "it has other classes"
    if own is None or theirs is None:
        return "no rows are at hand; --data TABLE brings them"
    if own.side != "held out" or theirs.side != "held out":
        return "the rows at hand are not known to be held out"
    if own.numbers.tolist() != theirs.numbers.tolist() or own.actual.tolist() != theirs.actual.tolist():
        return "its held-out rows are others"
    return ""


def _compared(found: paired.Paired | Comparison) -> tuple[str, ...]:
    """The cells of a comparison, as `_COMPARED` names them."""
    changes = [
        text
        for each in (found.accuracy, found.f1_weighted)
        for text in (f"{each.value:+.4f}", f"{each.low:+.4f} to {each.high:+.4f}")
    ]
    return (*changes, f"{found.won:,}", f"{found.lost:,}", f"{found.mcnemar:.4f}")
