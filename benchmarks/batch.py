"""Measure `predict` on Parquet files beside pandas + joblib, scikit-learn in batches, and the limit.

Whole processes as a user would start them, one side after the other in turn. The limit (`batch_limit.py`) reads,
assembles the matrix, hashes input and output and writes as much, by the same settings, and has no model: what is
above it is what verifying, scoring, checking and receipts cost. CPU is the user and system time of the process.

The rows are digits with noise, float32, every value within its feature's trained range, so that nothing is rejected;
one more set holds the digits' whole numbers, which Parquet packs to a tenth. Run it as `make bench-batch`, or as
`python -m benchmarks.batch` from the project's root, by its environment's Python.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.environments import ROOT, batch_python
from benchmarks.measure import Command, Ratio, Series, Summary, add_json_option, clean_environment, interleave

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.measure import Usage

SCRIPTS = ("batch_limit.py", "batch_pandas.py", "batch_sklearn.py")
RUNS = {100_000: 9, 1_000_000: 7, 10_000_000: 3}
LIMITS = {"predict --no-drift": 1.1, "predict": 1.25}
"""Of each side the most CPU that it may take, against the limit's."""
AGAINST_PANDAS = 0.5
MAX_PEAK = 500
FLAT = 1.1


@dataclass(frozen=True, slots=True)
class Measured:
    """One side of one size: medians, and CPU against that of the limit, pair by pair."""

    rows: int
    kind: str
    side: str
    cpu: float
    wall: float
    peak: float
    against_limit: float


def sides(folder: Path, given: Path, python: str, *, pandas: bool) -> dict[str, Command]:
    """The commands that answer one file."""
    program = str(Path(sys.executable).with_name("artifact-pipeline"))

    def ours(*options: str) -> Command:
        written = f"ours{''.join(options)}.parquet"
        return Command((program, "predict", str(given), "-o", written, "--quiet", *options), folder)

    def bare(script: str) -> Command:
        return Command((python, script, str(given), script.replace(".py", ".parquet")), folder)

    commands = {
        "limit": Command((sys.executable, "batch_limit.py", str(given), "limit.parquet"), folder),
        "predict --no-drift": ours("--no-drift"),
        "predict": ours(),
        "scikit-learn in batches": bare("batch_sklearn.py"),
    }
    return {**commands, **({"pandas + joblib": bare("batch_pandas.py")} if pandas else {})}


def summarised(rows: int, kind: str, usages: dict[str, list[Usage]]) -> Iterator[Measured]:
    """The medians of each side."""
    limit = [usage.cpu for usage in usages["limit"]]
    for side, each in usages.items():
        cpu = [usage.cpu for usage in each]
        yield Measured(
            rows=rows,
            kind=kind,
            side=side,
            cpu=Summary.of(cpu).median,
            wall=Summary.of([usage.wall for usage in each]).median,
            peak=Summary.of([usage.peak for usage in each]).median,
            against_limit=Ratio.of(cpu, limit).of_pairs,
        )


def prepared(folder: Path) -> None:
    """Train into the folder, and put the bare scripts there."""
    program = str(Path(sys.executable).with_name("artifact-pipeline"))
    train = [program, "train", "--config", str(ROOT / "config" / "config.json"), "--quiet"]
    subprocess.run(train, cwd=folder, env=clean_environment(), check=True)
    for script in SCRIPTS:
        shutil.copy(ROOT / "benchmarks" / script, folder)


def measure_all(options: argparse.Namespace, folder: Path, series: Series) -> tuple[list[Measured], list[str]]:
    """Measure every size and kind, and compare the labels of each."""
    python = options.bare_python or batch_python()
    measured: list[Measured] = []
    labels: list[str] = []
    jobs = [(rows, "continuous") for rows in options.sizes] + [(1_000_000, "whole")] * (not options.quick)
    for rows, kind in jobs:
        given = folder / f"{kind}-{rows}.parquet"
        _child("write", str(given), str(rows), kind)
        runs = options.runs or RUNS.get(rows, 5)
        sys.stderr.write(f"{rows:,} {kind} rows: {runs} x each side\n")
        commands = sides(folder, given, python, pandas=rows <= options.pandas_up_to)
        usages = interleave(commands, runs=runs, warm_up=not options.quick and runs > 1)
        series.add_usages(f"{rows:,} {kind} rows", usages)
        measured += summarised(rows, kind, usages)
        count, unequal, ties = _child(
            "compare", str(folder / "ours.parquet"), str(folder / "batch_sklearn.parquet")
        ).split()
        labels.append(
            f"labels of {int(count):,} {kind} rows: {unequal} differ from scikit-learn's, {ties} of them ties"
        )
        given.unlink()
    return measured, labels


def _child(*arguments: str) -> str:
    """Run `batch_rows.py` by itself: the peak of a process begins at that of its parent, which must stay small."""
    command = [sys.executable, str(ROOT / "benchmarks" / "batch_rows.py"), *arguments]
    return subprocess.run(command, env=clean_environment(), stdout=subprocess.PIPE, text=True, check=True).stdout


def verdicts(measured: Sequence[Measured]) -> Iterator[tuple[str, str, bool]]:
    """Each figure with its target, and whether it was reached; of the continuous rows from a million on."""
    large = [each for each in measured if each.kind == "continuous" and each.rows >= 1_000_000]
    cpu = {(each.rows, each.side): each.cpu for each in large}
    for each in large:
        name = f"{each.side}, {each.rows:,} rows"
        if each.side in LIMITS:
            bound = LIMITS[each.side]
            yield f"{name}: CPU against the limit", f"{each.against_limit:.3f} <= {bound}", each.against_limit <= bound
            yield f"{name}: peak", f"{each.peak:.0f} MiB < {MAX_PEAK}", each.peak < MAX_PEAK
        if each.side == "pandas + joblib":
            ratio = cpu[each.rows, "predict --no-drift"] / each.cpu
            words = f"predict --no-drift, {each.rows:,} rows: CPU against pandas + joblib"
            yield words, f"{ratio:.3f} <= {AGAINST_PANDAS}", ratio <= AGAINST_PANDAS
    peaks = [each.peak for each in large if each.side == "predict"]
    if len(peaks) > 1:
        yield (
            "predict: highest peak against the lowest",
            f"{max(peaks) / min(peaks):.3f} <= {FLAT}",
            max(peaks) <= FLAT * min(peaks),
        )


def table(measured: Sequence[Measured]) -> Iterator[str]:
    """A row for each side of each size."""
    yield (
        f"{'rows':>10}  {'kind':<10}  {'side':<24}  {'CPU s':>8}  {'us/row':>7}  "
        f"{'wall s':>8}  {'peak MiB':>8}  {'CPU/limit':>9}"
    )
    for each in measured:
        yield (
            f"{each.rows:>10,}  {each.kind:<10}  {each.side:<24}  {each.cpu:>8.3f}  {each.cpu / each.rows * 1e6:>7.3f}"
            f"  {each.wall:>8.3f}  {each.peak:>8.1f}  {each.against_limit:>9.3f}"
        )


def main() -> None:
    """Measure, and print."""
    options, series = _options(), Series()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        prepared(folder)
        measured, labels = measure_all(options, folder, series)
    print(*table(measured), "", *labels, "", sep="\n")
    for name, shown, reached in verdicts(measured):
        print(f"{name}: {shown}: {'yes' if reached else 'NO'}")
    series.write(options.json, measured=[asdict(each) for each in measured], labels=labels)


def _options() -> argparse.Namespace:
    summary, *_ = (__doc__ or "").split("\n\n")
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batch", description=summary)
    add = parser.add_argument
    add(
        "--sizes", type=int, nargs="+", default=[*RUNS], metavar="N", help=f"rows (default: {' '.join(map(str, RUNS))})"
    )
    add("--runs", type=int, metavar="N", help="runs of each command, the first to warm up (default: by size)")
    add("--quick", action="store_true", help="count the first run too, and leave out the whole numbers")
    add(
        "--pandas-up-to",
        type=int,
        default=10_000_000,
        metavar="N",
        help="pandas holds 1.6 kB a row: leave it out above",
    )
    add("--folder", type=Path, metavar="DIR", help="where the files go while it runs (10 million rows take 2.5 GB)")
    add_json_option(parser)
    add("--bare-python", type=str, metavar="PYTHON", help="run the bare scripts by this Python")
    return parser.parse_args()


if __name__ == "__main__":
    main()
