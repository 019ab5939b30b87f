"""Measure what docs/benchmarks.md promises of training and inference, beside the bare scripts that do the same job.

Whole processes as a user would start them, one side after the other in turn. CPU is the user and system time of the
process, memory its peak. The bare scripts (`bare_train.py`, `bare_inference.py`) run in an environment of their own.

How much the bare training costs depends on whether its BLAS threads fight over a fit this small, and that on the
kernel that OpenBLAS picks for the processor: with AVX-512 they hardly do, without it they do even on an idle machine.
So it is measured with the kernel of this processor, with the other one, with one core busy, and with one thread.

Run it as `make bench`, or as `python -m benchmarks.spine` from the project's root, by its environment's Python.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.environments import ROOT, bare_python
from benchmarks.measure import Command, Series, add_json_option, busy_core, clean_environment, forget, interleave
from benchmarks.report import Figure, figure, figure_table, usage_table

ONE_THREAD = tuple((f"{library}_NUM_THREADS", "1") for library in ("OPENBLAS", "OMP", "MKL"))
TELEMETRY = ("ORT_DISABLE_TELEMETRY", "1")
LIMIT = ROOT / "benchmarks" / "limit_inference.py"
KERNEL = "Haswell"
"""What OpenBLAS runs on a processor with AVX2 but without AVX-512; `pin_numerics` sets it wherever there is AVX2."""
SCORES = (
    ("accuracy, held-out rows", "held-out", "accuracy", 0.9750),
    ("weighted F1, held-out rows", "held-out", "f1_weighted", 0.9751),
    ("accuracy, all rows (training rows included)", "all", "accuracy", 0.9950),
    ("weighted F1, all rows (training rows included)", "all", "f1_weighted", 0.9950),
)
"""Each with the split and the name under which `predict --json` tells it, and what it must be to four digits."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """Commands that do the same job, measured in turn, and what they must show.

    Attributes:
        name: what is measured.
        sides: `ours`, `bare` where there is something to compare with, and `limit`, what the libraries alone take.
        limits: of `cpu` and `peak`, the most that the ratio of both sides may be; of one side alone, in its unit.
        busy: whether another process keeps one core busy meanwhile.
    """

    name: str
    sides: dict[str, Command]
    limits: dict[str, float]
    busy: bool = False


@dataclass(frozen=True, slots=True)
class Folders:
    """Two copies of what a clone holds, and the folder of the bare scripts."""

    ours: Path
    again: Path
    bare: Path

    @classmethod
    def under(cls, root: Path) -> Folders:
        """Make them, and fill them."""
        folders = cls(root / "ours", root / "again", root / "bare")
        for copy in (folders.ours, folders.again):
            for name in ("src", "config"):
                shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(ROOT / "config", folders.bare / "config")
        for script in ("bare_train.py", "bare_inference.py"):
            shutil.copy(ROOT / "benchmarks" / script, folders.bare)
        return folders


def scenarios(folders: Folders, bare: str, *, quick: bool, kernel: bool) -> list[Scenario]:
    """List what is timed; where it begins, a training and an inference have run already.

    Args:
        folders: where the commands run.
        bare: the Python of the bare scripts.
        quick: leave out the busy neighbour and the other kernel.
        kernel: whether this processor can run `KERNEL`.
    """
    export, program = "model_train.pkl", str(Path(sys.executable).with_name("artifact-pipeline"))

    def train(name: str, limit: float, *variables: tuple[str, str], busy: bool = False) -> Scenario:
        ours = Command((sys.executable, "src/train.py"), folders.ours, ("artifact", "artifacts", export), variables)
        script = Command((bare, "bare_train.py"), folders.bare, (export,), variables)
        return Scenario(name, {"ours": ours, "bare": script}, {"cpu": limit}, busy)

    def alone(name: str, limit: float, *arguments: str) -> Scenario:
        return Scenario(name, {"ours": Command((program, *arguments), folders.ours)}, {"cpu": limit})

    unpinned = [train("train, as a user runs it", 0.40)]
    if not quick:
        unpinned.append(train("train, as a user runs it, one core busy", 0.40, busy=True))
    if kernel and not quick:
        variable = ("OPENBLAS_CORETYPE", KERNEL)
        unpinned.append(train(f"train, {KERNEL} kernel", 0.40, variable))
        unpinned.append(train(f"train, {KERNEL} kernel, one core busy", 0.40, variable, busy=True))
    written = ("predictions.csv",)
    inference = {
        "ours": Command((sys.executable, "src/inference.py"), folders.ours, written, ONE_THREAD),
        "bare": Command((bare, "bare_inference.py"), folders.bare, written, ONE_THREAD),
        "limit": Command((sys.executable, str(LIMIT)), folders.ours, (), (*ONE_THREAD, TELEMETRY)),
    }
    return [
        *unpinned,
        train("train, one BLAS thread", 1.40, *ONE_THREAD),
        Scenario("inference, one BLAS thread", inference, {"cpu": 0.30, "peak": 0.50}),
        alone("verify", 0.3, "verify", "artifact"),
        alone("--help", 0.2, "--help"),
    ]


def results(folders: Folders, bare: str) -> list[Figure]:
    """Compare what both sides give: the scores, two digests of one recipe, and what malicious pickles do."""
    trained, again = (_told(copy, sys.executable, "src/train.py", "--json") for copy in (folders.ours, folders.again))
    scores = _told(folders.ours, sys.executable, "src/inference.py", "--json")["scores"]
    found = {"held-out": _bare_scores(folders.bare, bare, "bare_train.py")}
    found["all"] = _bare_scores(folders.bare, bare, "bare_inference.py")
    figures = []
    for name, split, metric, target in SCORES:
        ours, theirs = (f"{side[split][metric]:.4f}" for side in (scores, found))
        figures.append(Figure(name, ours, theirs, f"{target:.4f}", reached=ours == f"{target:.4f}"))
    same = trained["artifact"] == again["artifact"]
    digests = f"{trained['artifact'][:19]} {again['artifact'][:19]}"
    figures.append(Figure("artifact digest of two clean copies", digests, "", "equal", reached=same))
    pickles = _told(ROOT, sys.executable, "benchmarks/canaries.py")
    ran = pickles["fired"]
    ours, theirs = f"{ran['ours']} of {pickles['given']}", f"{ran['bare']} of {pickles['can_fire']}"
    figures.append(Figure("malicious pickles whose code ran", ours, theirs, "0", reached=ran["ours"] == 0))
    return figures


def _told(folder: Path, *command: str) -> Any:
    """What a command prints, as JSON."""
    return json.loads(_printed(folder, command))


def _bare_scores(folder: Path, python: str, script: str) -> dict[str, float]:
    lines = (line.split() for line in _printed(folder, (python, script)).splitlines())
    return {name: float(value) for name, value in lines}


def _printed(folder: Path, command: tuple[str, ...]) -> str:
    # Its errors go where ours go, so that what is wrong is seen.
    process = subprocess.run(
        command, cwd=folder, env=clean_environment(), stdout=subprocess.PIPE, text=True, check=True
    )
    return process.stdout


def machine(bare: str) -> dict[str, Any]:
    """What the times depend on; how much threads fight depends on the kernel that BLAS picks for the processor."""
    kernel = "import numpy, threadpoolctl; print(threadpoolctl.threadpool_info()[0].get('architecture'))"
    return {
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "BLAS kernel of the bare scripts": _printed(ROOT, (bare, "-c", kernel)).strip(),
        "load": round(os.getloadavg()[0], 2),
    }


def main() -> None:
    """Measure, and print two tables."""
    options = _options()
    if options.bare_python:
        bare = str(options.bare_python.absolute())
    else:
        bare = bare_python()
        forget(Path(sys.prefix), Path(bare).parents[1])  # the one may just have been installed, the other long ago
    warm_up = not options.quick
    with tempfile.TemporaryDirectory() as name:
        folders = Folders.under(Path(name))
        about = machine(bare)
        _say("results of both sides")
        figures = results(folders, bare)
        measured, series = {}, Series()
        for scenario in scenarios(folders, bare, quick=options.quick, kernel=_ran_kernel(folders.ours)):
            _say(f"{scenario.name}: {options.runs} x {' and '.join(scenario.sides)}")
            with busy_core() if scenario.busy else nullcontext():
                sides = interleave(scenario.sides, runs=options.runs, warm_up=warm_up)
            measured[scenario.name] = sides
            series.add_usages(scenario.name, sides)
            figures += [figure(scenario.name, what, limit, sides) for what, limit in scenario.limits.items()]
    print(", ".join(f"{key}: {value}" for key, value in about.items()))
    print(f"{options.runs - warm_up} runs of each command counted, {int(warm_up)} before them to warm up\n")
    print(*usage_table(measured), "", *figure_table(figures), sep="\n")
    series.write(options.json, machine=about, figures=[asdict(each) for each in figures])


def _ran_kernel(folder: Path) -> bool:
    """Whether our training there ran `KERNEL`, as it does on every processor that can."""
    manifest = json.loads((folder / "artifact" / "manifest.json").read_text())
    return KERNEL in {library["kernel"] for library in manifest["environment"]["blas"]}


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _options() -> argparse.Namespace:
    summary, *_ = (__doc__ or "").split("\n\n")
    parser = argparse.ArgumentParser(prog="python -m benchmarks.spine", description=summary)
    parser.add_argument(
        "--runs",
        type=int,
        default=9,
        metavar="N",
        help="runs of each command; the first warms up and is not counted (default: 9)",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="count the first run too, and leave out the busy core and the other BLAS kernel",
    )
    add_json_option(parser)
    parser.add_argument(
        "--bare-python",
        type=Path,
        metavar="PYTHON",
        help="run the bare scripts by this Python; by default one is set up in .venv-bench-bare, with pip",
    )
    options = parser.parse_args()
    least = 1 if options.quick else 2
    if options.runs < least:
        parser.error(f"--runs must be at least {least}")
    return options


if __name__ == "__main__":
    main()
