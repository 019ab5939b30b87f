"""Measure `train` on a table of a million rows beside scikit-learn with pandas, one thread, the same work.

Whole processes, one side after the other in turn. The base is what a training of 100 rows of the same columns takes:
imports and config. Peak memory is held to the base and three times the float64 matrix of all rows, and to half of the
bare script's; CPU to one and a quarter of the bare script's. Run it as `make bench-train-table`, or as
`python -m benchmarks.train_table` from the project's root, by its environment's Python.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.environments import ROOT
from benchmarks.measure import Command, Ratio, Series, Summary, add_json_option, clean_environment, interleave

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.measure import Usage

KINDS = ("whole", "continuous", "mixed")
COLUMNS, FEW = 20, 100
FORMATS = ("csv", "parquet")
AGAINST_BARE, PEAK_AGAINST_BARE = 1.25, 0.5
ONE_THREAD = (("OMP_NUM_THREADS", "1"), ("OPENBLAS_NUM_THREADS", "1"))


def write_rows(place: Path, rows: int, kind: str) -> None:
    """Write a table of 20 numbers and a label of two classes; `mixed` has as many whole numbers as others."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import csv, parquet

    random = np.random.default_rng(rows)
    whole = {"whole": COLUMNS, "mixed": COLUMNS // 2}.get(kind, 0)
    X: list[Any] = [random.integers(0, 1000, rows) for _ in range(whole)]
    X += [random.normal(0, 1, rows).round(6) for _ in range(COLUMNS - whole)]
    score = sum((column - column.mean()) / column.std() * (at - 9.5) for at, column in enumerate(X))
    label = (score + random.normal(0, 30, rows) > 0).astype(np.int64)
    write = parquet.write_table if place.suffix == ".parquet" else csv.write_csv
    write(pa.table({**{f"column_{at}": column for at, column in enumerate(X)}, "label": label}), place)


def sides(folder: Path, table: str) -> dict[str, Command]:
    """The commands that are compared."""
    program = str(Path(sys.executable).with_name("artifact-pipeline"))

    def ours(table: str) -> Command:
        config = folder / f"{table}.json"
        model = {"estimator": "LogisticRegression", "C": 1.0, "solver": "lbfgs", "max_iter": 20}
        asked = {
            "dataset": {"path": table, "target": "label"},
            "split": {"by": "hash"},
            "preprocess": {"number": ["standard_scale"]},
            "model": model,
            "gate": {"min_accuracy": 0.0, "beats_baseline": False},
        }
        config.write_text(json.dumps(asked))
        arguments = (program, "train", "--config", config.name, "--artifact", f"{table}-artifact", "--quiet")
        return Command((*arguments, "--force"), folder, writes=(f"{table}-artifact", "artifacts"))

    bare = (sys.executable, "bare_train_table.py", table, "model.joblib")
    return {
        "base": ours(f"few-{table}"),
        "train": ours(table),
        "scikit-learn + pandas": Command(bare, folder, writes=("model.joblib",), variables=ONE_THREAD),
    }


def measure_table(folder: Path, table: str, *, rows: int, runs: int, series: Series) -> list[str]:
    """Measure one table, a kind of rows with the suffix of a format; returns lines to print."""
    kind, _, _ = table.partition(".")
    for place, count in ((table, rows), (f"few-{table}", FEW)):
        command = [sys.executable, "-m", "benchmarks.train_table", "--write", str(folder / place), str(count), kind]
        subprocess.run(command, cwd=ROOT, env=clean_environment(), check=True)
    usages = interleave(sides(folder, table), runs=runs, warm_up=runs > 1)
    series.add_usages(f"{rows:,} rows, {table}", usages)
    lines = []
    for side, each in usages.items():
        cpu, wall, peak = (
            Summary.of([getattr(usage, name) for usage in each]).median for name in ("cpu", "wall", "peak")
        )
        lines.append(f"{rows:>9,}  {table:<18}  {side:<22}  {cpu:>7.2f}  {wall:>7.2f}  {peak:>8.1f}")
    ratio = Ratio.of(*([usage.cpu for usage in usages[side]] for side in ("train", "scikit-learn + pandas"))).of_pairs
    base, peak, bare = (_median(usages[side], "peak") for side in ("base", "train", "scikit-learn + pandas"))
    allowed = base + 3 * rows * COLUMNS * 8 / (1 << 20)
    for words, reached in (
        (f"CPU against scikit-learn + pandas: {ratio:.3f} <= {AGAINST_BARE}", ratio <= AGAINST_BARE),
        (f"peak: {peak:.0f} MiB <= {allowed:.0f}", peak <= allowed),
        (f"peak against its: {peak / bare:.3f} <= {PEAK_AGAINST_BARE}", peak <= PEAK_AGAINST_BARE * bare),
    ):
        lines.append(f"{table}: {words}: {'yes' if reached else 'NO'}")
    return lines


def _median(usages: Sequence[Usage], name: str) -> float:
    return Summary.of([getattr(usage, name) for usage in usages]).median


def main() -> None:
    """Measure, and print."""
    options = _options()
    if options.write:
        place, rows, kind = options.write
        write_rows(Path(place), int(rows), kind)
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        shutil.copy(ROOT / "benchmarks" / "bare_train_table.py", folder)
        print(f"{'rows':>9}  {'table':<18}  {'side':<22}  {'CPU s':>7}  {'wall s':>7}  {'peak MiB':>8}")
        series = Series()
        for table in (f"{kind}.{each}" for kind in options.kinds for each in options.formats):
            lines = measure_table(folder, table, rows=options.rows, runs=options.runs, series=series)
            print(*lines, sep="\n", flush=True)
    series.write(options.json)


def _options() -> argparse.Namespace:
    summary, *_ = (__doc__ or "").split("\n\n")
    parser = argparse.ArgumentParser(prog="python -m benchmarks.train_table", description=summary)
    add = parser.add_argument
    add("--rows", type=int, default=1_000_000, metavar="N", help="rows of the table (default: %(default)s)")
    add("--runs", type=int, default=4, metavar="N", help="runs of each command, the first to warm up (default: 4)")
    add("--kinds", nargs="+", choices=KINDS, default=["mixed"], help="what the columns hold (default: mixed)")
    add("--formats", nargs="+", choices=FORMATS, default=[*FORMATS], help="of the files (default: all)")
    add_json_option(parser)
    add("--folder", type=Path, metavar="DIR", help="where the files go while it runs")
    add("--write", nargs=3, metavar=("FILE", "N", "KIND"), help="write rows, and measure nothing")
    return parser.parse_args()


if __name__ == "__main__":
    main()
