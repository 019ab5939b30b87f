"""Run all benchmarks, or some, and write what they measured into `figures.json` and docs/benchmarks.md.

A benchmark that fails, or whose tool is missing, is named there, and the others go on; the status is then 1. What was
measured before by a benchmark that is not chosen stays. Run it as `make bench-all`, or as `python -m
benchmarks.bench_all` from the project's root, by its environment's Python.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.environments import ROOT
from benchmarks.measure import Summary

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Figures = dict[str, dict[str, Any]]

FIGURES, PAGE = ROOT / "benchmarks" / "figures.json", ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- written by make bench-all -->\n", "<!-- until here -->\n"
PACKAGES = ("artifact-pipeline", "numpy", "onnxruntime", "pyarrow", "scikit-learn")


class Benchmark(NamedTuple):
    """What a benchmark measures, and its options for a short run."""

    what: str
    quick: str


BENCHMARKS = {
    "spine": Benchmark(
        "training and inference of the digits, beside the bare scripts in an environment of their own",
        "--quick --runs 2",
    ),
    "batch": Benchmark(
        "`predict` on files of 10⁵ to 10⁷ rows, beside pandas, scikit-learn and the limit",
        "--quick --runs 2 --sizes 100000",
    ),
    "batch_mixed": Benchmark(
        "`predict` on 10⁶ rows with three categories, beside a bare script", "--runs 3 --rows 100000"
    ),
    "scale": Benchmark(
        "`predict` by two Dask workers beside one process, and what a task costs: [past one machine](scale.md)",
        "--runs 1 --files 2 --store-files 1",
    ),
    "train_table": Benchmark(
        "`train` on a CSV and a Parquet of 10⁶ rows, beside scikit-learn with pandas", "--runs 3 --rows 100000"
    ),
    "feedback": Benchmark(
        "what a model of the digits makes of 2,000 drawings, before and after 200 others were fed back",
        "--lots 1 --unseen 500",
    ),
    "search": Benchmark(
        "a search on the digits beside `cross_val_score` of scikit-learn on the same models and folds", "--runs 1"
    ),
    "forests": Benchmark(
        "forests and boosted trees in ONNX Runtime beside scikit-learn, 10⁴ rows in memory", "--runs 3 --rows 2000"
    ),
    "unchanged": Benchmark(
        "a training with nothing to do beside `dvc repro`, in an environment of its own", "--runs 3"
    ),
    "serving": Benchmark(
        "the server beside a constant one, FastAPI and LitServe, in an environment of their own",
        "--seconds 1 --repeats 1",
    ),
    "tables": Benchmark(
        "tables of strangers from `init` alone beside scikit-learn by hand, and one table beside AutoGluon and MLJAR",
        "--part strangers --only penguins wine",
    ),
    "tracking": Benchmark("export into a server of MLflow, beside MLflow's own client", "--runs 3"),
}
"""By their modules."""


def target(name: str) -> str:
    """The target of make that runs a benchmark."""
    return "bench" if name == "spine" else f"bench-{name.replace('_', '-')}"


def measured(command: Sequence[str]) -> dict[str, Any]:
    """Run one benchmark, which writes its series as JSON.

    Args:
        command: the benchmark, without `--json`.

    Returns:
        Its `series` and the seconds that it took; or, where it wrote none, in `failed` the last line of its errors.
    """
    with tempfile.TemporaryDirectory() as folder:
        file, begun = Path(folder, "figures.json"), time.monotonic()
        arguments = [*command, "--json", str(file)]
        said = [""]
        with subprocess.Popen(arguments, cwd=ROOT, stdout=2, stderr=subprocess.PIPE, text=True) as process:
            for line in process.stderr or ():
                sys.stderr.write(line)
                said = [line.strip() or said[0]]
        if file.exists():
            seconds = round(time.monotonic() - begun)
            return {"seconds": seconds, "series": json.loads(file.read_text())["series"]}
    return {"failed": said[0] or f"it ended with {process.returncode}"}


def machine() -> str:
    """What the figures depend on, in one line."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.exists() else []
    models = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    processor = models[0] if models else platform.machine()
    return f"{os.cpu_count()} cores, {processor}; {platform.system()}; Python {platform.python_version()}, {packages}"


def section(figures: Figures) -> Iterator[str]:
    """The lines of the page that are written here: a table for each benchmark."""
    for name, about in BENCHMARKS.items():
        found = figures.get(name, {"failed": "not run yet"})
        yield from (f"### `make {target(name)}`", "", f"{about.what[0].upper()}{about.what[1:]}.", "")
        if "failed" in found:
            yield from (f"Not measured: {found['failed']}", "")
            continue
        arguments = f'`ARGS="{found["options"]}"`' if found["options"] else "its usual options"
        yield f"On {found['date']}, with {arguments}, in {found['seconds']:,} s, the load before it {found['load']}:"
        yield f"{found['machine']}."
        yield ""
        yield from (*table(found["series"]), "")


def table(series: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A row for each side of what was measured, a column for each unit: median, lowest and highest value."""
    units = list(dict.fromkeys(each["unit"] for each in series))
    cells = {(each["what"], each["side"], each["unit"]): _cell(each["values"]) for each in series}
    yield f"| | | {' | '.join(units)} | runs |"
    yield f"|{' --- |' * (len(units) + 3)}"
    runs = {(each["what"], each["side"]): len(each["values"]) for each in series}
    for (what, side), count in runs.items():
        found = " | ".join(cells.get((what, side, unit), "") for unit in units)
        yield f"| {what} | {side} | {found} | {count} |"


def _cell(values: Sequence[float]) -> str:
    each = Summary.of(values)
    lowest, median, highest = (_shown(value) for value in (each.lowest, each.median, each.highest))
    return median if lowest == highest else f"{median} ({lowest} to {highest})"


def _shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def page(text: str, figures: Figures) -> str:
    """The page with the figures in place of those between its two marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return "\n".join((f"{before}{BEGIN}", *section(figures), f"{END}{after}"))


def write(figures: Figures, place: Path) -> None:
    """Write the figures, a line for each benchmark."""
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(figures[name])}" for name in BENCHMARKS if name in figures)
    place.write_text(f"{{\n{lines}\n}}\n")


def main() -> None:
    """Measure, and write the figures after each benchmark."""
    options = _options()
    figures: Figures = json.loads(options.figures.read_text()) if options.figures.exists() else {}
    for name in options.only:
        arguments = BENCHMARKS[name].quick if options.quick else ""
        about = {"date": time.strftime("%Y-%m-%d"), "machine": machine(), "load": round(os.getloadavg()[0], 1)}
        sys.stderr.write(f"{name}: make {target(name)}\n")
        found = measured([sys.executable, "-m", f"benchmarks.{name}", *arguments.split()])
        figures[name] = {**about, "options": arguments, **found}
        write(figures, options.figures)
    write(figures, options.figures)
    if options.figures == FIGURES:
        PAGE.write_text(page(PAGE.read_text(), figures))
    else:
        print(*section(figures), sep="\n")
    failed = {name: figures[name]["failed"] for name in options.only if "failed" in figures[name]}
    sys.exit("\n".join(f"{name} was not measured: {why}" for name, why in failed.items()) or None)


def _options() -> argparse.Namespace:
    summary, *_ = (__doc__ or "").split("\n\n")
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_all", description=summary)
    add = parser.add_argument
    which = f"which of {', '.join(BENCHMARKS)} (default: all); after it no name writes the page again"
    add("--only", nargs="*", choices=BENCHMARKS, default=[*BENCHMARKS], metavar="NAME", help=which)
    add("--quick", action="store_true", help="small inputs and few runs")
    other = "another file than benchmarks/figures.json; the page's section is then printed, and not written"
    add("--figures", type=Path, default=FIGURES, metavar="FILE", help=other)
    return parser.parse_args()


if __name__ == "__main__":
    main()
