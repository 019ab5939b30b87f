"""The gate where held-out rows are few, of one label, or lack one: one verdict, or one error, that says why."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from artifact_pipeline.cli import main
from artifact_pipeline.verification import verify
from tables import blobs, write_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LOGISTIC, SCORES = {"estimator": "LogisticRegression"}, {"estimator": "LinearSVC"}
LATER = blobs(["a", "b", "c"], rows=120, seed=5)


def rows_of(*labels: str, each: int = 20) -> list[int]:
    return [int(at) for label in labels for at in np.flatnonzero(LATER["label"] == label)[:each]]


def train(folder: Path, rows: Sequence[int], gate: dict[str, Any], model: dict[str, Any]) -> int:
    """Train on rows of three labels, and measure on some of other rows."""
    write_table(folder / "rows.csv", blobs(["a", "b", "c"], rows=120))
    write_table(folder / "later.csv", {name: each[list(rows)] for name, each in LATER.items()})
    config = {
        "dataset": {"path": "rows.csv", "target": "label"},
        "preprocess": "auto",
        "model": model,
        "split": {"by": "held_out", "path": "later.csv"},
        "gate": {"min_accuracy": 0.0, "min_f1": 0.0, "beats_baseline": False, **gate},
    }
    (folder / "config.json").write_text(json.dumps(config))
    places = ["--artifact", str(folder / "artifact"), "--export", str(folder / "model.pkl")]
    return main(["train", "--config", str(folder / "config.json"), *places])


FEW = rows_of("a", each=1) + rows_of("b", each=2)
BASELINE = {"beats_baseline": True}


@pytest.mark.parametrize(
    ("rows", "gate", "model", "status", "words"),
    [
        (rows_of("a", "b"), {"min_recall": 0.5}, LOGISTIC, 3, "'c' 0.0 is below 0.5, since no held-out row has"),
        (rows_of("a", "b"), {"min_recall": {"c": 0.5}}, LOGISTIC, 3, "'c' 0.0 is below 0.5, since no held-out row has"),
        (rows_of("a", "b"), {"min_recall": {"x": 0.5}}, LOGISTIC, 2, "no row has this label, the labels are a, b, c"),
        (rows_of("a", "b"), {"min_roc_auc": 0.5}, LOGISTIC, 2, "rows of each class, and none has the label 'c'"),
        (rows_of("a", "b", "c"), {"min_roc_auc": 0.5}, SCORES, 2, "it gives scores, and no probabilities"),
        (rows_of("a", "b", "c"), {"max_log_loss": 0.5}, SCORES, 2, "it gives scores, and no probabilities"),
        (rows_of("a"), BASELINE, LOGISTIC, 3, "since all held-out rows have the label 'a'; hold out rows of others"),
        (rows_of("a", each=1), BASELINE, LOGISTIC, 3, "since all held-out rows have the label 'a'"),
        (FEW, BASELINE, LOGISTIC, 3, "; 3 held-out rows are too few: of a model without a mistake it is 0.438503"),
    ],
)  # fmt: skip
def test_one_line_says_why_a_model_is_not_let_through(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: list[int], gate: dict[str, Any], model: dict[str, Any],
    status: int, words: str,
) -> None:  # fmt: skip
    """A class without held-out rows, one label alone, three rows, a model without probabilities: one reason each."""
    assert train(tmp_path, rows, gate, model) == status
    said = capsys.readouterr().err
    assert said.count(words) == 1
    assert "\nhint: " in said


@pytest.mark.parametrize(
    ("rows", "gate"),
    [
        (rows_of("a", "b"), {"min_recall": {"a": 0.5}, "min_balanced_accuracy": 0.5, "max_log_loss": 1.0}),
        (rows_of("a", "b", "c"), {**BASELINE, "min_recall": 0.5, "min_roc_auc": 0.5}),
        (FEW, {"min_accuracy": 1.0, "min_f1": 1.0}),
        (rows_of("c", each=1), {}),
    ],
)
def test_what_can_be_judged_is_judged(tmp_path: Path, rows: list[int], gate: dict[str, Any]) -> None:
    """Rules about labels that are there, and minimums over few rows, pass; the artifact verifies."""
    assert train(tmp_path, rows, gate, LOGISTIC) == 0
    assert verify(tmp_path / "artifact").manifest.metrics.held_out.rows == len(rows)
