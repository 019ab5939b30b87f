"""Train tables of strangers from `init` alone, beside scikit-learn by hand; and one table beside two AutoML packages.

Each table comes with a package on PyPI. `init` looks at it (the target is named only where another one, or none, is
found), `train` trains what `init` wrote, and the accuracy of the rows that it holds out stands beside that of pandas,
imputation, scaling, one-hot encoding and LogisticRegression by hand, on the same rows.

Run it as `python -m benchmarks.tables` from the project's root, by its environment's Python.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.environments import ROOT, tables_python
from benchmarks.measure import Series, add_json_option, clean_environment
from benchmarks.report import aligned
from benchmarks.tables_automl import measure_automl
from benchmarks.tables_sources import TABLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.tables_sources import StrangerTable

BELOW = 0.002
"""How far the mean accuracy may be below that of the bare script."""


@dataclass(slots=True)
class Trained:
    """What came of a table.

    Attributes:
        table: the table.
        named: whether the target had to be named.
        outcome: `passed`, `failed` where the gate did, or why nothing was trained.
        model: the estimator that `init` chose.
        rows: how many rows there are, and how many are held out.
        ours: the accuracy on those.
        bare: the bare script's.
        config: what `init` wrote.
    """

    table: StrangerTable
    named: bool = False
    outcome: str = ""
    model: str = ""
    rows: tuple[int, int] = (0, 0)
    ours: float | None = None
    bare: float | None = None
    config: dict[str, Any] | None = None


def command(folder: Path, *arguments: str) -> dict[str, Any]:
    """Run a command of ours, and return what it prints as JSON."""
    process = subprocess.run(
        [sys.executable, "-m", "artifact_pipeline", *arguments, "--json"],
        cwd=folder,
        env={**clean_environment(), "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    if not process.stdout:
        raise RuntimeError(f"{arguments}: {process.stderr}")
    found: dict[str, Any] = json.loads(process.stdout)
    return found


def train(table: StrangerTable, folder: Path) -> Trained:
    """Have `init` write a config, and train by it."""
    result = Trained(table)
    written = command(folder, "init", table.name, "-o", f"{table.name}.json")
    if "error" in written or written["target"]["name"] != table.target:
        result.named = True
        written = command(folder, "init", table.name, "-o", f"{table.name}.json", "--force", "--target", table.target)
    if "error" in written:
        result.outcome = "; ".join(each["message"] for each in written["error"]["problems"])
        return result
    result.config, result.model = written["config"], written["config"]["model"]["estimator"]
    own = folder / table.name.partition(".")[0]
    own.mkdir()
    trained = command(
        folder, "train", "--config", f"{table.name}.json", "--artifact", str(own / "artifact"), "--export",
        str(own / "model.pkl"),
    )  # fmt: skip
    if "metrics" not in trained and not (own / "artifacts").exists():
        result.outcome = "; ".join(each["message"] for each in trained["error"]["problems"])
        return result
    result.outcome = "failed" if "error" in trained else "passed"
    manifest = json.loads(next((own / "artifacts").glob("*/manifest.json")).read_text())
    split = manifest["data"]["split"]
    result.rows = split["training"] + split["held_out"], split["held_out"]
    result.ours = _accuracy(manifest)
    return result


def _accuracy(manifest: dict[str, Any]) -> float:
    figures = manifest["metrics"]["figures"]
    return float(next(each["value"] for each in figures if (each["name"], each["rows"]) == ("accuracy", "held_out")))


def held_out(config: Path) -> list[int]:
    """The positions of the rows that a training by this config holds out."""
    from artifact_pipeline.training.dataset import Dataset
    from artifact_pipeline.training.reading import read_config

    positions: list[int] = Dataset.load(read_config(config)).held_out.tolist()
    return positions


def compare(trained: Sequence[Trained], folder: Path, python: str) -> None:
    """Have the bare script train on the same rows, by a Python that has pandas and scikit-learn."""
    done = [each for each in trained if each.ours is not None and each.config is not None]
    jobs = []
    for each in done:
        assert each.config is not None
        jobs.append({
            "path": str(folder / each.table.name),
            "target": each.table.target,
            "drop": each.config["dataset"].get("drop", []),
            "held_out": held_out(folder / f"{each.table.name}.json"),
        })  # fmt: skip
    process = subprocess.run(
        [python, "-W", "ignore", str(ROOT / "benchmarks" / "bare_tables.py")],
        input=json.dumps(jobs),
        env=clean_environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    for each, accuracy in zip(done, json.loads(process.stdout), strict=True):
        each.bare = accuracy


def strangers(folder: Path, names: Sequence[str]) -> list[Trained]:
    """Train all tables, or those of these names."""
    subprocess.run([tables_python(), str(ROOT / "benchmarks" / "tables_sources.py"), str(folder)], check=True)
    chosen = [each for each in TABLES if not names or each.name in names]
    trained = []
    for each in chosen:
        trained.append(train(each, folder))
        sys.stderr.write(f"{each.name}: {trained[-1].outcome}\n")
    compare(trained, folder, tables_python())
    return trained


def print_strangers(trained: Sequence[Trained]) -> None:
    """Print a table, and the means."""
    rows = [["table", "target", "named", "model", "rows", "held out", "ours", "by hand", "outcome"]]
    for each in trained:
        figures = [f"{value:.4f}" if value is not None else "" for value in (each.ours, each.bare)]
        counts = [f"{count:,}" if count else "" for count in each.rows]
        named = "yes" if each.named else ""
        rows.append([each.table.name, each.table.target, named, each.model, *counts, *figures, each.outcome[:60]])
    print(*aligned(rows, left=4), sep="\n")
    both = [(each.ours, each.bare) for each in trained if each.ours is not None and each.bare is not None]
    ours, bare = (statistics.mean(side) for side in zip(*both, strict=True))
    times = sum(each.named for each in trained)
    verdict = "yes" if ours >= bare - BELOW else "NO"
    print(f"\ntrained {len(both)} of {len(trained)}; the target was named for {times}")
    print(f"mean accuracy: ours {ours:.4f}, by hand {bare:.4f}; at most {BELOW} below: {verdict}")


def main() -> None:
    """Train, compare and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tables", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", nargs="*", default=[], metavar="TABLE", help="these tables of strangers alone")
    parser.add_argument("--part", choices=["strangers", "automl"], help="one of the two parts alone")
    parser.add_argument("--runs", type=int, default=4, metavar="N", help="runs beside AutoML; the first is not counted")
    parser.add_argument("--folder", type=Path, metavar="FOLDER", help="keep what is written there")
    add_json_option(parser)
    options, series = parser.parse_args(), Series()
    with tempfile.TemporaryDirectory() as name:
        folder = options.folder or Path(name)
        folder.mkdir(exist_ok=True)
        if options.part != "automl":
            trained = strangers(folder.resolve(), options.only)
            both = [(each.ours, each.bare) for each in trained if each.ours is not None and each.bare is not None]
            ours, bare = map(list, zip(*both, strict=True))
            series.add(f"{len(both)} tables of strangers", "accuracy", {"ours": ours, "by hand": bare})
            print_strangers(trained)
        if options.part != "strangers":
            measure_automl(folder.resolve(), options.runs, series)
        series.write(options.json)


if __name__ == "__main__":
    main()
