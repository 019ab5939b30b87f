"""What several verbs show of a manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from artifact_pipeline.errors import plural
from artifact_pipeline.reports import tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from artifact_pipeline.artifact.figures import HeldOut, Metrics
    from artifact_pipeline.artifact.manifest import Manifest
    from artifact_pipeline.cli.output import Output
    from artifact_pipeline.prediction.outcome import Predictions

FIGURES = ("rows", "count", "accuracy", "95 % interval", "F1 weighted", "95 % interval", "F1 macro", "log loss")
_SHOWN = 12
"""Rules, or classes, that are listed at most."""


def say_digests(output: Output, digest: str, manifest: Manifest) -> None:
    """Print the digests of an artifact and its model."""
    output.say(f"artifact digest: {digest}")
    output.say(f"model digest:    {manifest.model.digest}")


def say_figures(output: Output, manifest: Manifest) -> None:
    """Print the metrics by split; the held-out ones, which count, with their 95 % intervals."""
    metrics = manifest.metrics
    output.say()
    output.table(
        FIGURES,
        [
            figure_cells("held out", metrics.held_out),
            *([_plain("training", metrics.training)] if metrics.training else ()),
            _plain(tables.ALL["some" if metrics.training else "none"], metrics.all),
        ],
    )
    say_majority(output, metrics.held_out)
    output.say()


def say_majority(output: Output, figures: HeldOut) -> None:
    """Print the accuracy of a model that always gives the most frequent label."""
    output.say()
    label, share = figures.majority.label, figures.majority_share
    output.say(f"majority share: {share:.4f} (the accuracy of always answering {label!r})")


def warn_of_unpredicted(output: Output, figures: HeldOut, *, rows: str = "held-out rows") -> None:
    """Warn of the classes that some rows have, and that the model gave to no row."""
    for each in figures.never_predicted[:_SHOWN]:
        output.log(
            f"warning: {each.label!r} is never predicted on the {rows}, and is the label of {each.rows:,} of them"
        )
    if len(figures.never_predicted) > _SHOWN:
        output.log(f"warning: … ({len(figures.never_predicted):,} classes in all are never predicted)")


def plain_baseline(figures: HeldOut) -> dict[str, Any]:
    """Return the most frequent label and the classes that are never predicted, as `--json` prints them."""
    return {
        "majority": {"label": figures.majority.label, "share": figures.majority_share},
        "never_predicted": [each.label for each in figures.never_predicted],
    }


def figure_cells(name: str, figures: HeldOut) -> list[str]:
    """Return a row of `FIGURES`, with 95 % intervals."""
    cells = [name, f"{figures.rows:,}"]
    for each in (figures.accuracy, figures.f1_weighted):
        cells += [f"{each.value:.4f}", f"{each.low:.4f} to {each.high:.4f}"]
    return [*cells, f"{figures.f1_macro:.4f}", tables.figure(figures.log_loss)]


def _plain(name: str, figures: Metrics.Figures) -> list[str]:
    accuracy, f1_weighted = f"{figures.accuracy:.4f}", f"{figures.f1_weighted:.4f}"
    f1_macro, log_loss = f"{figures.f1_macro:.4f}", tables.figure(figures.log_loss)
    return [name, f"{figures.rows:,}", accuracy, "", f1_weighted, "", f1_macro, log_loss]


def say_classes(output: Output, figures: HeldOut) -> None:
    """Print precision, recall and F1 of each class."""
    output.table(tables.CLASSES, tables.class_rows(figures.classes))
    output.say()


def say_gate(output: Output, manifest: Manifest) -> None:
    """Print the verdict, and each rule with what was observed."""
    gate = manifest.gate
    if gate is None:
        output.say("gate: none")
        return
    rules = [
        f"{rule.name} {rule.observed:.4f} {rule.sign} {rule.minimum:.4f}" for rule in tables.shown_rules(gate, _SHOWN)
    ]
    if len(gate.rules) > _SHOWN:
        rules.append(f"… ({len(gate.rules):,} rules in all)")
    output.say(f"gate: {gate.verdict} ({', '.join(rules)})")


def say_environment(output: Output, manifest: Manifest) -> None:
    """Print what the artifact's bytes depend on."""
    environment = manifest.environment
    python = f"{environment.python.implementation} {environment.python.version}"
    output.say(f"environment: {python}, {environment.system} {environment.architecture}, {environment.libc}")
    output.say(f"packages: {', '.join(f'{name} {number}' for name, number in environment.packages.items())}")
    output.say(f"BLAS: {', '.join(f'{each.library} {each.version} ({each.kernel})' for each in environment.blas)}")


def say_confusion(output: Output, labels: Sequence[int | str], confusion: Sequence[Sequence[int]]) -> None:
    """Print a confusion matrix, zeros as dots so that the mistakes stand out."""
    output.say("confusion matrix (a row for each actual class, a column for each predicted one)")
    output.table(
        ["", *map(str, labels)],
        [
            [str(label), *(str(count) if count else "." for count in row)]
            for label, row in zip(labels, confusion, strict=True)
        ],
        diagonal=True,
    )
    output.say()


def say_scores(output: Output, predictions: Predictions) -> None:
    """Print figures by split, and the confusion matrix of all rows."""
    scores = predictions.scores
    output.table(["rows", "count", "accuracy", "F1 weighted"], tables.score_rows(scores))
    output.say()
    say_confusion(output, [each.label for each in predictions.receipt.labels], scores["all"].confusion)


def say_samples(output: Output, predictions: Predictions) -> None:
    """Print the first rows."""
    if not predictions.counts.samples:
        return
    output.say("sample predictions")
    output.table(tables.SAMPLE_HEADER, tables.sample_rows(predictions, predictions.counts.samples))
    output.say()


def say_drift(output: Output, predictions: Predictions) -> None:
    """Print the ten largest changes of the distribution, or that there are none, or why they are not judged."""
    drift = predictions.drift
    if predictions.held_out is not None and not predictions.held_out.all():
        output.say("drift: not judged, these are the rows that the model was trained from")
    elif drift is not None and not drift.tested:
        output.say(f"drift: not judged, too few: {plural(drift.rows, 'row')}")
    elif drift is not None and not drift.drifted:
        output.say(f"drift: none found in {plural(drift.rows, 'row')} ({plural(drift.tested, 'test')})")
    elif drift is not None:
        output.log(f"warning: the rows have drifted in {len(drift.drifted)} of {plural(drift.tested, 'respect')}")
        rows = []
        for each in drift.worst():
            verdict = "drifted" if each.drifted else ""
            rows.append([each.name, each.rule, f"{each.effect:.3f}", f"{each.p:.1e}", verdict, each.change])
        output.table(["drift", "rule", "effect", "p", "verdict", "largest change"], rows)
        output.say()
