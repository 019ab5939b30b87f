"""The pages that a job shows as Markdown: a manifest, a comparison, predictions.

What comes from a file and is more than plain words is shown as code, so that a name can neither break a table nor bring
HTML, a link or a mention with it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from artifact_pipeline.errors import listing, plural
from artifact_pipeline.reports.statements import verdict_of
from artifact_pipeline.reports.tables import (
    ALL,
    SAMPLE_HEADER,
    clean,
    environment_rows,
    figure,
    sample_rows,
    score_rows,
    shown_comparison,
    shown_rules,
)
from artifact_pipeline.rows.matrix import FEEDBACK, HELD_OUT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from artifact_pipeline.artifact.environment import Environment
    from artifact_pipeline.artifact.figures import HeldOut
    from artifact_pipeline.artifact.manifest import Manifest
    from artifact_pipeline.artifact.provenance import Comparison
    from artifact_pipeline.drift.judge import Drift
    from artifact_pipeline.prediction.outcome import Predictions

_MAX_CLASSES = 40
"""A confusion matrix of more classes is left out: it would be too wide to read."""
_VERDICTS = {True: "passed", False: "failed"}
# GitHub links what may be a commit: seven letters and digits or more, all of them hexadecimal. A word can match in one
# way alone: with several, a text of many words that does not match would take exponential time.
_PLAIN_WORD = re.compile("(?=[A-Fa-f]*[G-Zg-z])[A-Za-z]+|[0-9A-Za-z]{1,6}")
# The letters that end a code span, or a cell with one in it: character references between two spans.
_ENDS = re.compile("([`|])")
# Prose: words of any script, joined by single marks, with what stands around a word in a sentence.
_PROSE_WORD = re.compile(r"""["'(]*(?:[^\W_]+(?:['\u2019/.,-][^\W_]+)*)["')%,.;:!?]*|[\u2013\u2014-]""")
_COMMIT, _ISSUE = re.compile("[0-9A-Fa-f]{7}"), re.compile("gh-[0-9]", re.IGNORECASE)
_ADDRESS = re.compile(r"[^\W\d_]\.[^\W\d_]{2}|^\W*www", re.IGNORECASE)
_MARKER = re.compile(r"[0-9]+[.)]+|-")


def escape(text: object) -> str:
    """Return Markdown that shows just this text, what is not printable as an escape.

    Code, and not character references: a renderer looks for links, and GitHub for mentions, issues, commits and emoji,
    in the text that such references have become.
    """
    shown = clean(str(text))
    if all(map(_PLAIN_WORD.fullmatch, shown.split(" "))):
        return shown
    return "".join(f"&#{ord(part)};" if part in {"`", "|"} else _code(part) for part in _ENDS.split(shown) if part)


def prose(text: str) -> list[str]:
    """Return the paragraphs of a text as Markdown of one line each, which shows the words of the text and nothing else.

    A paragraph ends at an empty line. Words stay as they are; what a renderer may take for a link, a mark, HTML or a
    mention is shown as code.
    """
    paragraphs = (part.split() for part in re.split(r"\n[^\S\n]*\n", text))
    return [" ".join(_prose_word(word, first=not at) for at, word in enumerate(words)) for words in paragraphs if words]


def _prose_word(word: str, *, first: bool) -> str:
    linked = any(each.search(word) for each in (_COMMIT, _ISSUE, _ADDRESS))
    marks = first and _MARKER.fullmatch(word)
    return word if _PROSE_WORD.fullmatch(word) and word.isprintable() and not (linked or marks) else escape(word)


def _code(text: str) -> str:
    padded = text.startswith(" ") and text.endswith(" ") and text.strip(" ")  # of each side one is taken away
    return f"` {text} `" if padded else f"`{text}`"


def manifest_page(digest: str, manifest: Manifest) -> str:
    """Return the page of a manifest: digests, metrics with intervals, gate, confusion matrix, environment."""
    held_out = manifest.metrics.held_out
    parts = [
        f"## Model {escape(manifest.name)}: gate {verdict_of(manifest)}",
        table(["digest", "SHA-256"], [["artifact", f"`{digest}`"], ["model", f"`{manifest.model.digest}`"]]),
        "### Metrics",
        figures_table(manifest),
        *_other_files(manifest),
        baseline(held_out),
        "### Gate",
        gate_table(manifest),
        f"### Confusion matrix, {plural(held_out.rows, 'held-out row')}",
        confusion_table(manifest.model.classes, held_out.confusion),
        environment_table(manifest.environment),
    ]
    return "\n\n".join(parts) + "\n"


def gate_table(manifest: Manifest) -> str:
    """Return each rule of the gate, with what was observed."""
    rules = shown_rules(manifest.gate, _MAX_CLASSES) if manifest.gate else ()
    return table(
        ["rule", "minimum", "observed", "verdict"],
        [[escape(each.name), f"{each.minimum:.4f}", f"{each.observed:.4f}", _VERDICTS[each.passed]] for each in rules],
    )


def comparison_page(comparison: Comparison, *, looks: int) -> str:
    """Return the comparison of a candidate with its champion, and how often the held-out rows were looked at."""
    counted = f"{plural(comparison.rows, 'held-out row')}, looked at {plural(looks, 'time')}"
    shows = shown_comparison(comparison)
    parts = [
        f"### Comparison with the champion: {comparison.outcome}",
        f"`{comparison.champion}`, on the same {counted}.",
        f"{shows.meaning.capitalize()}: {shows.counts}.",
        table(shows.header, shows.rows),
    ]
    return "\n\n".join(parts) + "\n"


def predictions_page(predictions: Predictions) -> str:
    """Return the predictions of a verified model: rows, figures by split, and the rows that it got wrong."""
    receipt, scores = predictions.receipt, predictions.scores
    rows = receipt.rows
    counts = f"{plural(rows.read, 'row')} read, {rows.written:,} written, {rows.rejected:,} rejected"
    parts = [
        "## Predictions of a verified model",
        f"Verified before it was loaded: `{receipt.artifact}`, {counts}.",
    ]
    if scores:
        parts += [
            table(["rows", "count", "accuracy", "F1 weighted"], score_rows(scores)),
            _mistakes(predictions),
            "### Confusion matrix, all rows",
            confusion_table([each.label for each in receipt.labels], scores["all"].confusion),
        ]
    if predictions.drift is not None and predictions.drift.tested:
        parts.append(_drift(predictions.drift))
    return "\n\n".join(parts) + "\n"


def _drift(drift: Drift) -> str:
    if not drift.drifted:
        return f"No drift was found in {plural(drift.tested, 'test')} over {plural(drift.rows, 'row')}."
    rows = [
        [escape(each.name), f"{each.effect:.3f}", f"{each.p:.1e}", "drifted" * each.drifted, escape(each.change)]
        for each in drift.worst()
    ]
    shown = table(["drift", "effect", "p", "verdict", "largest change"], rows)
    return f"### Drifted in {len(drift.drifted)} of {plural(drift.tested, 'respect')}\n\n{shown}"


def figures_table(manifest: Manifest) -> str:
    """Return the metrics by split; those of the held-out rows with their 95 % intervals."""
    metrics, held_out = manifest.metrics, manifest.metrics.held_out
    estimates = [
        f"**{each.value:.4f}** ({each.low:.4f} to {each.high:.4f})"
        for each in (held_out.accuracy, held_out.f1_weighted)
    ]
    rows = [["held out", f"{held_out.rows:,}", *estimates, f"{held_out.f1_macro:.4f}", figure(held_out.log_loss)]]
    for name, each in (("training", metrics.training), (ALL["some" if metrics.training else "none"], metrics.all)):
        if each is not None:
            figures = (each.accuracy, each.f1_weighted, each.f1_macro, each.log_loss)
            rows.append([name, f"{each.rows:,}", *map(figure, figures)])
    return table(["rows", "count", "accuracy (95 %)", "F1 weighted (95 %)", "F1 macro", "log loss"], rows)


def _other_files(manifest: Manifest) -> list[str]:
    """A sentence for each other file, whose rows are held out, or are learned from beside the training rows."""
    words = {
        HELD_OUT: "Held out are the {rows} of another file: `{digest}`.",
        FEEDBACK: "Learned from beside the training rows are {rows} of feedback: `{digest}`.",
    }
    return [
        words[each.name].format(rows=plural(each.rows, "row"), digest=each.digest)
        for each in manifest.data.sources
        if each.name in words
    ]


def baseline(figures: HeldOut, *, rows: str = "held-out rows") -> str:
    """Return the accuracy of always answering the most frequent label, and the labels that are never predicted."""
    majority, missed = figures.majority, figures.never_predicted
    parts = [f"Majority share {figures.majority_share:.4f}: the accuracy of always answering {escape(majority.label)}."]
    if missed:
        labels = [f"{escape(each.label)} ({plural(each.rows, 'row')})" for each in missed]
        parts.append(f"**Never predicted on the {rows}:** {listing(labels, _MAX_CLASSES)}.")
    return "\n\n".join(parts)


def _mistakes(predictions: Predictions) -> str:
    measured = predictions.scores["all"]
    wrong = measured.rows - sum(row[index] for index, row in enumerate(measured.confusion))
    if not wrong:
        return "No row was misclassified."
    rows = sample_rows(predictions, predictions.counts.mistakes, escape)
    more = f"\n\n{wrong - len(rows):,} more stand in the predictions." if wrong > len(rows) else ""
    shown = table(SAMPLE_HEADER, rows)
    return f"### Misclassified: {wrong:,} of {plural(measured.rows, 'row')}\n\n{shown}{more}"


def confusion_table(labels: Sequence[int | str], confusion: Sequence[Sequence[int]]) -> str:
    """Return a confusion matrix, a row for each actual class; a sentence where there are too many classes."""
    if len(labels) > _MAX_CLASSES:
        return f"{len(labels):,} classes are too many to show."
    return table(
        ["actual ↓ predicted →", *map(escape, labels)],
        [
            [f"**{escape(label)}**", *(_count(count, right=row == column) for column, count in enumerate(counts))]
            for row, (label, counts) in enumerate(zip(labels, confusion, strict=True))
        ],
    )


def _count(count: int, *, right: bool) -> str:
    if not count:
        return "·"
    return f"**{count:,}**" if right else f"{count:,}"


def environment_table(environment: Environment) -> str:
    """Return what the artifact's bytes depend on, folded away."""
    shown = table(["part", "version"], [[escape(cell) for cell in row] for row in environment_rows(environment)])
    return f"<details><summary>Environment</summary>\n\n{shown}\n\n</details>"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of cells that are Markdown already: the caller escapes what comes from a file."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
