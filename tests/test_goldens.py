"""The golden artifacts of format 2: what was published once is verified, opened and answered for ever."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

import artifact_pipeline
from artifact_pipeline.config.estimators import WRITTEN
from artifact_pipeline.serving.model import open_model
from artifact_pipeline.verification import verify

GOLDEN = Path(__file__).parent / "golden" / "v2"
ANSWERS: dict[str, list[str]] = json.loads((GOLDEN / "answers.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ANSWERS)
def test_a_golden_artifact_answers_as_it_did(name: str, tmp_path: Path) -> None:
    """An artifact of each classifier verifies, replays its golden rows, can be served, and gives the labels it gave."""
    assert open_model(verify(GOLDEN / name)).labels == ("sick", "well")
    artifact_pipeline.predict_files(GOLDEN / "rows.csv", artifact=GOLDEN / name, to=tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        assert [row["predicted"] for row in csv.DictReader(file)] == ANSWERS[name]


def test_each_classifier_has_a_golden_artifact() -> None:
    """No classifier can be written without a golden artifact of it, but one that scikit-learn is about to remove."""
    assert {*ANSWERS, "digits"} == {path.name for path in GOLDEN.iterdir() if path.is_dir()}
    assert WRITTEN.keys() - ANSWERS.keys() <= {"PassiveAggressiveClassifier"}
