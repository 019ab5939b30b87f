"""Measure `predict` on a million rows with three categories beside a bare script that has no check.

Whole processes, one after the other in turn. The bare script (`bare_mixed.py`) reads, assembles, answers by ONNX
Runtime, hashes and writes as much; what is above it is what verifying, checking each value, counting and receipts cost.
The same script without the model is shown too. Run it as `make bench-batch-mixed`, or as
`python -m benchmarks.batch_mixed` from the project's root, by its environment's Python.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.environments import ROOT
from benchmarks.measure import Command, Ratio, Series, Summary, add_json_option, clean_environment, interleave

AGAINST_BARE = 1.5
LEVELS = (5, 40, 400)
"""How many levels each category has."""


def write_rows(place: Path, rows: int, *, labels: bool) -> None:
    """Write five numbers and three categories as Parquet, some of them missing."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import parquet

    random = np.random.default_rng(rows)
    columns = {f"number_{at}": pa.array(random.normal(0, 1, rows), mask=random.random(rows) < 0.02) for at in range(5)}
    for at, count in enumerate(LEVELS):
        names = pa.array([f"level {number}" for number in range(count)])
        columns[f"category_{at}"] = names.take(
            pa.array(random.integers(0, count, rows), mask=random.random(rows) < 0.02)
        )
    if labels:
        score = columns["number_0"].fill_null(0).to_numpy() + random.normal(0, 1, rows)
        columns["label"] = pa.array(np.where(score > 0, "yes", "no"))
    parquet.write_table(pa.table(columns), place)


def prepared(folder: Path, rows: int) -> dict[str, Command]:
    """Train into the folder, write the rows, and return the commands."""
    program = str(Path(sys.executable).with_name("artifact-pipeline"))
    for name, count, labels in (("train", 20_000, "labels"), ("rows", rows, "")):
        command = [
            sys.executable,
            "-m",
            "benchmarks.batch_mixed",
            "--write",
            f"{folder / name}.parquet",
            str(count),
            labels,
        ]
        subprocess.run(command, cwd=ROOT, env=clean_environment(), check=True)
    config = {
        "dataset": {"path": "train.parquet", "target": "label"},
        "preprocess": "auto",
        "model": {"estimator": "LogisticRegression", "C": 1.0, "solver": "lbfgs", "max_iter": 200},
        "gate": {"min_accuracy": 0.5, "min_f1": 0.5},
    }
    (folder / "config.json").write_text(json.dumps(config))
    train = [program, "train", "--config", "config.json", "--quiet"]
    subprocess.run(train, cwd=folder, env=clean_environment(), check=True)
    shutil.copy(ROOT / "benchmarks" / "bare_mixed.py", folder)
    ours = (program, "predict", "rows.parquet", "-o", "ours.parquet", "--quiet")
    bare = (sys.executable, "bare_mixed.py", "rows.parquet", "bare.parquet")
    return {
        "bare script": Command((*bare, "artifact/model.onnx"), folder),
        "without the model": Command(bare, folder),
        "predict --no-drift": Command((*ours, "--no-drift"), folder),
        "predict": Command(ours, folder),
    }


def main() -> None:
    """Measure, and print."""
    options = _options()
    if options.write:
        place, rows, labels = options.write
        write_rows(Path(place), int(rows), labels=bool(labels))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        usages = interleave(prepared(Path(name), options.rows), runs=options.runs, warm_up=options.runs > 1)
    series = Series()
    series.add_usages(f"{options.rows:,} mixed rows", usages)
    series.write(options.json)
    bare = [usage.cpu for usage in usages["bare script"]]
    print(f"{'side':<20}  {'CPU s':>7}  {'wall s':>7}  {'peak MiB':>8}  {'CPU/bare':>8}")
    for side, each in usages.items():
        cpu, wall, peak = (
            Summary.of([getattr(usage, key) for usage in each]).median for key in ("cpu", "wall", "peak")
        )
        ratio = Ratio.of([usage.cpu for usage in each], bare).of_pairs
        print(f"{side:<20}  {cpu:>7.2f}  {wall:>7.2f}  {peak:>8.1f}  {ratio:>8.3f}")
        if side.startswith("predict"):
            print(f"{side}: CPU against the bare script: {ratio:.3f} <= {AGAINST_BARE}: {_word(ratio <= AGAINST_BARE)}")


def _word(reached: bool) -> str:  # noqa: FBT001
    return "yes" if reached else "NO"


def _options() -> argparse.Namespace:
    summary, *_ = (__doc__ or "").split("\n\n")
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batch_mixed", description=summary)
    add = parser.add_argument
    add("--rows", type=int, default=1_000_000, metavar="N", help="rows to answer (default: %(default)s)")
    add("--runs", type=int, default=5, metavar="N", help="runs of each command, the first to warm up (default: 5)")
    add_json_option(parser)
    add("--folder", type=Path, metavar="DIR", help="where the files go while it runs")
    add("--write", nargs=3, metavar=("FILE", "N", "LABELS"), help="write rows, and measure nothing")
    return parser.parse_args()


if __name__ == "__main__":
    main()
