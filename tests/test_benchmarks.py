"""The benchmarks: both sides do the same job, and the report shows both. No time is asserted."""

from __future__ import annotations

import json
import re
import shutil
import sys
from typing import TYPE_CHECKING

import pytest
from benchmarks.environments import PACKAGES, locked

from conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from subprocess import CompletedProcess

    from artifact_pipeline.pipeline import Candidate


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """The folder of the bare scripts, as the benchmark fills it."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    for script in ROOT.glob("benchmarks/bare_*.py"):
        shutil.copy(script, tmp_path)
    return tmp_path


def test_the_bare_scripts_score_as_we_do(
    bare: Path, run: Callable[..., CompletedProcess[str]], candidate: Candidate
) -> None:
    """The bare scripts and the pipeline get the same accuracy and F1 to four digits, held out and over all rows."""
    metrics = candidate.manifest.metrics
    for script, accuracy, f1 in (
        ("bare_train.py", metrics.held_out.accuracy.value, metrics.held_out.f1_weighted.value),
        ("bare_inference.py", metrics.all.accuracy, metrics.all.f1_weighted),
    ):
        process = run(script, cwd=bare)
        assert process.returncode == 0, process.stderr
        told = dict(line.split() for line in process.stdout.splitlines())
        assert {name: f"{float(value):.4f}" for name, value in told.items()} == {
            "accuracy": f"{accuracy:.4f}",
            "f1_weighted": f"{f1:.4f}",
        }


def test_the_bare_environment_is_cut_out_of_the_lock() -> None:
    """The bare scripts' requirements are lines of the lock, every package with its hashes."""
    lock = (ROOT / "requirements.txt").read_text().splitlines()
    lines = locked("\n".join(lock)).splitlines()
    heads = [at for at, line in enumerate(lines) if not line.startswith(" ")]
    assert {lines[at].split("==")[0] for at in heads} == set(PACKAGES)
    assert all("--hash=sha256:" in lines[at + 1] for at in heads)
    assert set(lines) <= set(lock)


@pytest.mark.parametrize("name", ["spine", "batch"])
def test_help_says_what_can_be_chosen(run: Callable[..., CompletedProcess[str]], name: str) -> None:
    """`--help` of a benchmark names every option, and measures nothing."""
    process = run("-m", f"benchmarks.{name}", "--help", cwd=ROOT)
    assert process.returncode == 0
    assert all(option in process.stdout for option in ("--runs", "--quick", "--json", "--bare-python"))


def test_batches_answer_as_scikit_learn_does(run: Callable[..., CompletedProcess[str]], tmp_path: Path) -> None:
    """Over 20,000 rows `predict` gives scikit-learn's labels but for ties, and every side's figures are reported."""
    file = tmp_path / "batch.json"
    options = ("--sizes", "20000", "--quick", "--runs", "1", "--pandas-up-to", "0", "--folder", tmp_path)
    process = run("-m", "benchmarks.batch", *options, "--bare-python", sys.executable, "--json", file, cwd=ROOT)
    assert process.returncode == 0, process.stderr
    result = json.loads(file.read_text())
    sides = [each["side"] for each in result["measured"]]
    assert sides == ["limit", "predict --no-drift", "predict", "scikit-learn in batches"]
    assert all(each["cpu"] > 0 and each["peak"] > 0 for each in result["measured"])
    told = re.fullmatch(r"labels of 20,000 continuous rows: (\d+) differ .*, (\d+) of them ties", result["labels"][0])
    assert told is not None
    assert told[1] == told[2]


@pytest.mark.slow
def test_a_quick_run_shows_both_sides(run: Callable[..., CompletedProcess[str]], tmp_path: Path) -> None:
    """A quick run reaches every figure that is no time and no memory, and reports both sides of every comparison."""
    file = tmp_path / "bench.json"
    options = ("--quick", "--runs", "1", "--bare-python", sys.executable, "--json", file)
    process = run("-m", "benchmarks.spine", *options, cwd=ROOT)
    assert process.returncode == 0, process.stderr
    result = json.loads(file.read_text())
    figures = {figure["name"]: figure for figure in result["figures"]}
    timed = {name: figure for name, figure in figures.items() if figure["name"].endswith((": CPU", ": peak memory"))}
    assert all(figure["reached"] for name, figure in figures.items() if name not in timed)
    assert all(figure["ratio"]["of_medians"] > 0 for figure in timed.values() if figure["bare"])
    for scenario, sides in result["measured"].items():
        assert scenario in process.stdout
        assert set(sides) == ({"ours"} if scenario in {"verify", "--help"} else {"ours", "bare"})
        assert all(min(usage.values()) > 0 for side in sides.values() for usage in side)
