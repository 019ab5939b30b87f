"""`train --seeds`: how lucky a split is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_pipeline.cli import main
from artifact_pipeline.training.candidate import train
from artifact_pipeline.training.reading import read_config
from artifact_pipeline.training.seeds import SeedRun, TriedSeeds, try_seeds
from tables import blobs, write_table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

BASE: dict[str, Any] = {"C": 1.0, "solver": "lbfgs", "max_iter": 1000}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a table whose classes overlap, and a config for it."""
    monkeypatch.chdir(tmp_path)
    cells = blobs(["no", "yes"])
    noise = np.random.default_rng(4).normal(scale=5, size=200)
    write_table(tmp_path / "rows.csv", {**cells, "width": cells["width"] + noise, "day": np.arange(200)})
    write_table(tmp_path / "later.csv", {**blobs(["no", "yes"], seed=5), "day": np.arange(200)})
    (tmp_path / "config.json").write_text(json.dumps(asked()))
    return tmp_path


def asked(**more: Any) -> dict[str, Any]:
    table = {"path": "rows.csv", "target": "label", "features": ["width", "height"]}
    return {**BASE, "dataset": table, "random_state": 1, **more}


def tried(values: Mapping[str, Any], seeds: int) -> TriedSeeds:
    return try_seeds(values, seeds, progress=lambda _: None)


def test_each_seed_is_the_training_with_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each figure is that of a training with this random state, the config's own left out; nothing is written."""
    before = sorted(folder.iterdir())
    assert main(["train", "--config", "config.json", "--seeds", "4", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert sorted(folder.iterdir()) == before
    assert [each["seed"] for each in (told["own"], *told["seeds"])] == [1, 0, 2, 3, 4]
    for each in (told["own"], *told["seeds"]):
        made = train(read_config(asked(random_state=each["seed"])), progress=lambda _: None).manifest
        assert made.gate is not None
        found = made.metrics.held_out.accuracy.value, made.metrics.held_out.f1_weighted.value, made.gate.verdict
        assert (each["accuracy"], each["f1_weighted"], each["gate"]) == found
    values = [each["accuracy"] for each in told["seeds"]]
    assert len(set(values)) > 1
    assert told["accuracy"]["mean"] == pytest.approx(np.mean(values), abs=1e-6)
    assert told["accuracy"]["deviation"] == pytest.approx(np.std(values, ddof=1), abs=1e-6)


def test_luck_is_said_in_words(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A person reads mean, deviation, ends, where the config's own seed stands, and how many fail the gate."""
    assert main(["train", "--config", "config.json", "--seeds", "3", "-S", "gate.min_accuracy=1.0"]) == 0
    said = capsys.readouterr().out
    for words in ("accuracy: 0.", " ± 0.", "seed 1: ", "better than ", "gate: 3 of 3 other seeds would fail", "^"):
        assert words in said
    assert "nothing was published" in said


@pytest.mark.parametrize("split", [{"by": "random"}, {"by": "group", "column": "day"}])
def test_other_splits_have_luck(folder: Path, split: dict[str, Any]) -> None:
    """A split at random, and one by groups, hold other rows out with each seed."""
    assert len({each.f1_weighted for each in tried(asked(split=split), 4).others}) > 1


@pytest.mark.parametrize("split", [{"by": "time", "column": "day"}, {"by": "held_out", "path": "later.csv"}])
def test_a_split_without_luck_is_refused(
    folder: Path, split: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """A split that holds the same rows out with every seed is refused, with one that does not."""
    (folder / "config.json").write_text(json.dumps(asked(split=split)))
    assert main(["train", "--config", "config.json", "--seeds", "3"]) == 2
    assert 'with every seed\nhint: -S \'split={"by": "hash"}\'' in capsys.readouterr().err
    assert main(["train", "--config", "config.json", "--seeds", "2", "-S", 'split={"by": "hash"}']) == 0


def test_a_seed_that_cannot_be_learned_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where a seed holds out all rows of a class, there is no figure but the reason, and it counts as failed."""
    cells = blobs(["no", "yes"])
    cells["label"] = np.where(np.arange(200) == 7, "rare", cells["label"])
    write_table(folder / "rows.csv", cells)
    found = tried(asked(gate={"min_accuracy": 0.5}), 12)
    refused = [each for each in found.others if each.reason]
    assert refused
    assert {each.reason for each in refused} == {"no training row has the label rare"}
    assert found.failed >= len(refused)
    assert main(["train", "--config", "config.json", "--seeds", "12"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [f"{refused[0].seed}", "none", "none", *["no", "training", "row", "has", "the", "label", "rare"]] in lines


@pytest.mark.parametrize(
    "option",
    [
        ["--champion", "artifact"],
        ["--dry-run"],
        ["--force"],
        ["--minutes", "5"],
        ["--scheduler", "tcp://localhost:8786"],
        ["--summary", "page.md"],
    ],
)
def test_seeds_publish_nothing(folder: Path, option: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """An option about what is published, or about the one search of a training, does not go with it."""
    assert main(["train", "--config", "config.json", "--seeds", "2", *option]) == 2
    assert f"does not go with {option[0]}" in capsys.readouterr().err


@given(st.lists(st.floats(0, 1), min_size=2, max_size=30), st.floats(0, 1))
def test_a_spread_is_what_numpy_says(values: list[float], own: float) -> None:
    """Mean and standard deviation are NumPy's; those that are worse, equal and better are all."""
    runs = [SeedRun(seed, value, value) for seed, value in enumerate([own, *values])]
    spread = TriedSeeds(runs[0], tuple(runs[1:])).spread("accuracy")
    assert spread is not None
    assert spread.mean == pytest.approx(np.mean(values))
    assert spread.deviation == pytest.approx(np.std(values, ddof=1), abs=1e-9)
    assert spread.worse + spread.equal + spread.rank - 1 == len(values)
    assert spread.rank == 1 + sum(value > own for value in values)
