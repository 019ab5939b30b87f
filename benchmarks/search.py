"""Measure a search on the digits beside scikit-learn's own cross-validation of the same models on the same folds.

Whole processes, in turn: `train` with the 40 trials of `config/search.json` without halving and with more trees, the
same with `--jobs 2`, the file as it is, by halving, and a bare script. Then one digest of the results is shown: serial,
by two processes, and killed three times and taken up. Run it as `make bench-search`, or as `python -m
benchmarks.search` from the project's root, by its environment's Python.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.environments import ROOT
from benchmarks.measure import Command, Ratio, Series, Summary, add_json_option, interleave, measure

from artifact_pipeline.runtime import CACHE_KIB, CACHE_VARIABLE, KERNEL, KERNEL_VARIABLE

SAME_BLAS = (
    ("OMP_NUM_THREADS", "1"),
    ("OPENBLAS_NUM_THREADS", "1"),
    (KERNEL_VARIABLE, KERNEL),
    (CACHE_VARIABLE, CACHE_KIB),
)
"""One thread and our kernel: another one changes the last digits of a linear model."""
LIMITS = {"cpu": 1.05, "wall": 0.65}
"""Of ours against the bare script, and of two processes against one."""
CORRECT, SECONDS = 354, {"search": 50.0, "halving": 10.0}
"""Least held-out digits that the chosen model gets right, and most seconds of CPU."""
MANY_TREES = {"int": [100, 300]}
"""What the search without halving draws, so that it takes long beside what a training takes anyway."""
KILLS = 3
WRITES = ("artifact", "artifacts", "model_train.pkl")


def ours(folder: Path, *arguments: str, rounds: str = "none") -> Command:
    """`train` with the search, in a folder of its own."""
    folder.mkdir()
    config = json.loads((ROOT / "config" / "search.json").read_text())
    if rounds == "none":
        config["search"]["space"][-1]["n_estimators"] = MANY_TREES
    (folder / "config.json").write_text(json.dumps(config))
    program = str(Path(sys.executable).with_name("artifact-pipeline"))
    command = (program, "train", "--config", "config.json", "-S", f"search.rounds={rounds}", *arguments)
    return Command(command, folder, writes=WRITES)


def bare(folder: Path, trials: Path) -> Command:
    """The bare script, on the models that were drawn."""
    folder.mkdir()
    shutil.copy(ROOT / "benchmarks" / "bare_search.py", folder)
    shutil.copy(trials, folder / "trials.jsonl")
    return Command((sys.executable, "bare_search.py"), folder, writes=("model_train.pkl",), variables=SAME_BLAS)


def results(folder: Path) -> Path:
    """The results that stand in the one artifact of a folder."""
    (found,) = folder.glob("artifacts/*/search.jsonl")
    return found


def correct(folder: Path) -> int:
    """How many held-out digits the published model gets right."""
    manifest = json.loads((results(folder).parent / "manifest.json").read_text())
    return sum(row[at] for at, row in enumerate(manifest["metrics"]["confusion"]))


def killed(command: Command) -> None:
    """Run a command that is killed three times, each time when it has some results more, and then let go on."""
    for _ in range(KILLS):
        before = _lines(command.folder)
        process = subprocess.Popen(
            command.arguments,
            cwd=command.folder,
            env=command.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while process.poll() is None and _lines(command.folder) < before + 5:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(command.arguments, cwd=command.folder, env=command.environment, check=True, stdout=2)


def _lines(folder: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in folder.glob("artifacts/.search/*.jsonl"))


def main() -> None:
    """Measure, and print what was found; the status is 1 where a limit is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--runs", type=int, default=1, metavar="N", help="runs of each; the medians are shown")
    add_json_option(parser)
    options, series = parser.parse_args(), Series()
    runs = options.runs
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        first = ours(root / "search")
        measure(first)
        sides = {
            "search": first,
            "bare": bare(root / "bare", results(root / "search")),
            "--jobs 2": ours(root / "jobs", "--jobs", "2"),
            "halving": ours(root / "halving", rounds="halving"),
        }
        usages = interleave(sides, runs=runs, warm_up=False)
        killed(ours(root / "killed"))
        digests = {each: results(root / each).read_bytes() for each in ("search", "jobs", "killed")}
        theirs = json.loads((root / "bare" / "scores.json").read_text())
        scores = [json.loads(line)["scores"] for line in digests["search"].splitlines()]
        right = {each: correct(root / each) for each in ("search", "halving")}
    series.add_usages("40 trials on the digits", usages)
    series.write(options.json)
    print("side       CPU s   wall s")
    for side, each in usages.items():
        cpu, wall = (Summary.of([getattr(usage, kind) for usage in each]).median for kind in ("cpu", "wall"))
        print(f"{side:<9} {cpu:>6.2f}   {wall:>6.2f}")
    cpus = {side: [usage.cpu for usage in each] for side, each in usages.items()}
    walls = {side: [usage.wall for usage in each] for side, each in usages.items()}
    cpu, wall = Ratio.of(cpus["search"], cpus["bare"]).of_pairs, Ratio.of(walls["--jobs 2"], walls["search"]).of_pairs
    found = {
        f"scores as scikit-learn's, to the last digit: {len(scores)} trials": scores == theirs,
        "one file of results: serial, two processes, killed three times": len({*digests.values()}) == 1,
        f"CPU against the bare script {cpu:.3f} <= {LIMITS['cpu']}": cpu <= LIMITS["cpu"],
        f"wall of two processes against one {wall:.3f} <= {LIMITS['wall']}": wall <= LIMITS["wall"],
    }
    for side, limit in SECONDS.items():
        seconds = Summary.of(cpus[side]).median
        found[f"{side}: {right[side]} of 360 right, at least {CORRECT}"] = right[side] >= CORRECT
        found[f"{side}: {seconds:.1f} s of CPU, at most {limit:.0f}"] = seconds <= limit
    for words, reached in found.items():
        print(f"{'reached' if reached else 'MISSED '}  {words}")
    sys.exit(0 if all(found.values()) else 1)


if __name__ == "__main__":
    main()
