"""The pages of a job summary: what they show, and that nothing from a file gets out of its cell."""

from __future__ import annotations

import csv
import re
from html import unescape
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from artifact_pipeline.artifact.verify import verify
from artifact_pipeline.cli.markdown import escape, manifest_page, predictions_page
from artifact_pipeline.cli.output import clean
from artifact_pipeline.inference.destination import destination
from artifact_pipeline.inference.predictions import predict

if TYPE_CHECKING:
    from pathlib import Path

    from artifact_pipeline.pipeline import Candidate

SAFE = re.compile(r"(?:[0-9A-Za-z .,=/+-]|&#[0-9]+;)*")


@given(st.text())
def test_escaped_text_is_inert_and_complete(text: str) -> None:
    """Escaped text has no character that Markdown or HTML obeys, and shows the very text."""
    escaped = escape(text)
    assert SAFE.fullmatch(escaped)
    assert unescape(escaped) == clean(text)


def test_page_of_a_manifest_shows_figures_gate_and_confusion(candidate: Candidate) -> None:
    """The page has both digests, the intervals, each rule of the gate, and the confusion matrix with bold hits."""
    page = manifest_page(candidate.digest, candidate.manifest)
    assert f"`{candidate.digest}`" in page
    assert f"`{candidate.manifest.model.digest}`" in page
    assert "| held out | 360 | **0.9750** (0.9532 to 0.9868) | **0.9751** (0.9584 to 0.9890) |" in page
    assert "| accuracy | 0.9500 | 0.9750 | passed |" in page
    assert "| **0** | **33** | · | · |" in page
    assert "kernel" in page


def test_tables_have_as_many_cells_in_each_row(candidate: Candidate) -> None:
    """Every row of a table has the cells that its head has, or Markdown would drop some."""
    for table in re.findall(r"(?:^\|.*\n?)+", manifest_page(candidate.digest, candidate.manifest), re.MULTILINE):
        widths = {line.count("|") for line in table.splitlines()}
        assert len(widths) == 1, table


def test_hostile_labels_stay_in_their_cells(candidate: Candidate) -> None:
    """A class that is named like Markdown, HTML or a mention is shown as that text, and does nothing."""
    hostile = sorted(
        ["<img src=x>", "a|b", "@everyone", "[x](y)", "`", "*_~", "line\nbreak", "#1", "\x1b[31m", "&amp;"]
    )
    model = replace(candidate.manifest.model, classes=tuple(hostile))
    page = manifest_page(candidate.digest, replace(candidate.manifest, model=model))
    (heads,) = re.findall(r"^\| actual ↓ predicted → \| (.*) \|$", page, re.MULTILINE)
    assert [unescape(cell) for cell in heads.split(" | ")] == [clean(label) for label in hostile]
    assert "<img" not in page
    assert "@everyone" not in page
    assert "\x1b" not in page


def test_page_of_predictions_lists_what_was_wrong(published: Path) -> None:
    """The page shows accuracy by split and each of the nine misclassified digits."""
    predictions = predict(verify(published / "artifact"), to=destination(str(published / "out.csv")))
    page = predictions_page(predictions)
    assert "| held-out | 360 | 0.9750 | 0.9751 |" in page
    assert "### Misclassified: 9 of 1,797 rows" in page
    with (published / "out.csv").open() as file:
        wrong = [row for row in csv.DictReader(file) if row["actual"] != row["predicted"]]
    assert len(wrong) == 9
    for row in wrong:
        assert f"| {row['row']} | held-out | {row['actual']} | {row['predicted']} |" in page
