"""The built-in tables iris, wine and breast_cancer, from the rows to a reproduced artifact."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sklearn import datasets

from artifact_pipeline.cli import main
from artifact_pipeline.config import from_mapping
from artifact_pipeline.errors import ConfigError
from artifact_pipeline.plugins import data_set

if TYPE_CHECKING:
    from pathlib import Path

SAMPLES = ("iris", "wine", "breast_cancer")
SHORT = {"C": 1.0, "solver": "lbfgs", "max_iter": 10000}


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_are_scikit_learns(name: str) -> None:
    """A sample equals scikit-learn's data set in rows, columns and labels, which are the names of the classes."""
    ours, expected = data_set(name), getattr(datasets, f"load_{name}")()
    rows = ours.load()
    assert rows.X.dtype == np.float64
    assert np.array_equal(rows.X, expected.data)
    assert np.array_equal(rows.y, expected.target_names[expected.target])
    assert list(rows.names) == list(ours.features) == list(expected.feature_names)
    assert (ours.classes, ours.digest) == (len(expected.target_names), rows.digest())


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_trained_predicted_and_reproduced(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A data set's name alone gives a model, its predictions of its own rows without an input, and a proof."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.json").write_text(
        json.dumps({**SHORT, "dataset": name, "gate": {"min_accuracy": 0.9}, "split": {"by": "random"}})
    )
    assert main(["train", "--config", "config.json", "-S", "gate.min_f1=0.9"]) == 0
    assert main(["predict", "--output", "answers.csv"]) == 0
    assert main(["reproduce", "artifact"]) == 0
    capsys.readouterr()
    answers = list(csv.DictReader((tmp_path / "answers.csv").read_text().splitlines()))
    assert [each["actual"] for each in answers] == data_set(name).load().y.tolist()
    assert sum(each["split"] == "held-out" for each in answers) == -(-len(answers) // 5)
    assert np.mean([each["actual"] == each["predicted"] for each in answers]) > 0.9


def test_an_unknown_data_set_is_refused_with_the_nearest() -> None:
    """A data set that does not come with the package is refused, and the nearest name is said."""
    with pytest.raises(ConfigError) as caught:
        from_mapping({**SHORT, "dataset": "irsi"})
    assert str(caught.value.problems[0]).endswith("got 'irsi', did you mean iris?")
