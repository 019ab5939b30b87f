"""The page of one artifact, or of several beside each other: which sections there are, in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from artifact_pipeline.errors import plural
from artifact_pipeline.reports.page import (
    checks,
    columns,
    comparison,
    mistakes,
    origins,
    overview,
    quality,
    reasons,
    trials,
)
from artifact_pipeline.reports.page.parts import Page, Section
from artifact_pipeline.reports.page.weights import importance_of, weights_of
from artifact_pipeline.reports.statements import verdict_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.artifact.provenance import Comparison
    from artifact_pipeline.prediction.receipt import Receipt
    from artifact_pipeline.reports.page.rows import AnsweredRows

_NO_ROWS = (
    "The artifact holds no rows. --data TABLE, the table with its labels, shows the rows that are answered wrong, "
    "those behind each cell of the confusion matrix, and how far the probabilities can be believed."
)


def page_of(artifact: Verified, answered: AnsweredRows | None, receipt: Receipt | None) -> Page:
    """Return the page of one artifact, whose gate may have failed, with what is at hand of rows and a receipt."""
    manifest = artifact.manifest
    return Page(
        title=manifest.name,
        verdict=verdict_of(manifest),
        lead=overview.lead(manifest),
        digests=(("artifact", artifact.digest), ("model", manifest.model.digest)),
        tiles=overview.tiles(manifest),
        sections=tuple(_sections(artifact, answered, receipt)),
    )


def _sections(artifact: Verified, answered: AnsweredRows | None, receipt: Receipt | None) -> Iterator[Section]:
    manifest = artifact.manifest
    why, order = _reasons(artifact, answered)
    shown = mistakes.ShownRows.of(answered, manifest, order) if answered is not None else None
    yield mistakes.mistakes(shown) if shown is not None else Section("mistakes", "Mistakes", (_NO_ROWS,))
    yield overview.section(manifest)
    yield mistakes.confusion(manifest, shown)
    yield quality.section(manifest, answered)
    if answered is not None and (found := quality.thresholds(answered, manifest)) is not None:
        yield found
    if why is not None:
        yield why
    if (searched := trials.section(artifact)) is not None:
        yield searched
    yield columns.section(artifact)
    yield checks.section(artifact, answered)
    if receipt is not None:
        yield origins.drift(receipt)
    recorded = origins.champion(artifact)
    if recorded is not None:
        yield recorded
    yield origins.section(artifact)
    yield origins.commands(artifact)


def _reasons(artifact: Verified, answered: AnsweredRows | None) -> tuple[Section | None, Sequence[int]]:
    """What the model goes by, and its columns, the most important ones first where that is known."""
    manifest = artifact.manifest
    order: Sequence[int] = range(len(manifest.model.inputs))
    weights = weights_of(artifact)
    if weights is not None:
        return reasons.of_weights(weights, manifest), order
    found = importance_of(answered, manifest.model.columns) if answered is not None else None
    if found is not None and answered is not None:
        return reasons.of_importance(found, answered, manifest), found.columns
    words = (
        "Which column matters is found by shuffling each over held-out rows: --data TABLE brings them."
        if answered is None
        else f"{len(order):,} columns are too many to shuffle each one."
    )
    return Section("reasons", "What the model goes by", (words,)), order


def page_of_several(
    artifacts: Sequence[Verified], answered: Sequence[AnsweredRows | None], receipt: Receipt | None
) -> Page:
    """Return the page of several artifacts, of which the first is the one that others are compared with."""
    verdicts = {verdict_of(each.manifest) for each in artifacts}
    return Page(
        title=f"{len(artifacts):,} models beside each other",
        verdict=verdicts.pop() if len(verdicts) == 1 else "",
        sections=(
            comparison.section(artifacts),
            comparison.pairs(artifacts, answered),
            comparison.recipes(artifacts),
            *([origins.drift(receipt)] if receipt is not None else ()),
        ),
    )


def page_of_candidate(artifacts: Sequence[Verified], comparisons: Sequence[Comparison]) -> Page:
    """Return the page of a candidate, the first of the artifacts, beside its champions."""
    return Page(
        title=f"Candidate beside {plural(len(comparisons), 'champion')}",
        verdict=verdict_of(artifacts[0].manifest),
        sections=(
            comparison.champions(artifacts, comparisons),
            comparison.section(artifacts),
            comparison.recipes(artifacts),
        ),
    )
