"""What several verbs show of a manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from artifact_pipeline.artifact.manifest import Manifest
    from artifact_pipeline.cli.output import Output


def say_digests(output: Output, digest: str, manifest: Manifest) -> None:
    """The two digests that name an artifact and its model."""
    output.say(f"artifact digest: {digest}")
    output.say(f"model digest:    {manifest.model.digest}")


def say_figures(output: Output, manifest: Manifest) -> None:
    """Metrics by split; the held-out ones, which count, with their 95 % intervals."""
    held_out, metrics = manifest.metrics.held_out, manifest.metrics
    output.say()
    output.table(
        ["rows", "count", "accuracy", "95 % interval", "F1 weighted", "95 % interval", "F1 macro", "log loss"],
        [
            [
                "held out",
                f"{held_out.rows:,}",
                f"{held_out.accuracy.value:.4f}",
                f"{held_out.accuracy.low:.4f} to {held_out.accuracy.high:.4f}",
                f"{held_out.f1_weighted.value:.4f}",
                f"{held_out.f1_weighted.low:.4f} to {held_out.f1_weighted.high:.4f}",
                f"{held_out.f1_macro:.4f}",
                f"{held_out.log_loss:.4f}",
            ],
            *(
                [
                    name,
                    f"{figures.rows:,}",
                    f"{figures.accuracy:.4f}",
                    "",
                    f"{figures.f1_weighted:.4f}",
                    "",
                    f"{figures.f1_macro:.4f}",
                    f"{figures.log_loss:.4f}",
                ]
                for name, figures in (("training", metrics.training), ("all", metrics.all))
            ),
        ],
    )
    output.say()


def say_gate(output: Output, manifest: Manifest) -> None:
    """The verdict, and each rule with what was observed."""
    gate = manifest.gate
    if gate is None:
        output.say("gate: none")
        return
    rules = ", ".join(
        f"{rule.metric} {rule.observed:.4f} {'>=' if rule.passed else '<'} {rule.minimum:.4f}" for rule in gate.rules
    )
    output.say(f"gate: {gate.verdict} ({rules})")


def say_confusion(output: Output, labels: Sequence[int | str], confusion: Sequence[Sequence[int]]) -> None:
    """A confusion matrix, zeros as dots so that the mistakes stand out."""
    output.say("confusion matrix (a row for each actual class, a column for each predicted one)")
    output.table(
        ["", *map(str, labels)],
        [
            [str(label), *(str(count) if count else "." for count in row)]
            for label, row in zip(labels, confusion, strict=True)
        ],
        heat=True,
    )
    output.say()
