"""Measure a training that finds nothing to do, beside `dvc repro` that finds nothing to do.

DVC has the bare script as its one stage, with script and config as dependencies and the model as its output. Both have
done their work once before; then they are run in turn, whole processes as a user would start them.

Run it as `python -m benchmarks.unchanged` from the project's root, by its environment's Python.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.environments import ROOT, bare_python, dvc_python
from benchmarks.measure import Command, Series, add_json_option, clean_environment, interleave
from benchmarks.report import figure, figure_table, usage_table

LIMIT = 0.25
STAGE = """stages:
  train:
    cmd: {python} bare_train.py
    deps: [bare_train.py, config/config.json]
    outs: [model_train.pkl]
"""


def ours(folder: Path) -> Command:
    """A copy of what a clone holds, in which one training has run."""
    for name in ("src", "config"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    command = Command((sys.executable, "src/train.py"), folder)
    _run(command)
    return command


def theirs(folder: Path, dvc: str) -> Command:
    """A DVC project whose one stage has run."""
    shutil.copytree(ROOT / "config", folder / "config")
    shutil.copy(ROOT / "benchmarks" / "bare_train.py", folder)
    (folder / "dvc.yaml").write_text(STAGE.format(python=bare_python()))
    # Nothing of a user's own settings, nothing sent anywhere.
    variables = (("DVC_NO_ANALYTICS", "1"), ("DVC_SITE_CACHE_DIR", str(folder / "site")))
    _run(Command((dvc, "init", "--no-scm", "--quiet"), folder, variables=variables))
    command = Command((dvc, "repro"), folder, variables=variables)
    _run(command)
    return command


def _run(command: Command) -> None:
    subprocess.run(
        command.arguments, cwd=command.folder, env={**clean_environment(), **command.environment}, check=True, stdout=2
    )


def main() -> None:
    """Measure, and print two tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.unchanged", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--runs", type=int, default=9, metavar="N", help="runs of each; the first is not counted")
    add_json_option(parser)
    options, series = parser.parse_args(), Series()
    runs = max(options.runs, 2)
    dvc = str(Path(dvc_python()).with_name("dvc"))
    with tempfile.TemporaryDirectory() as name:
        folders = Path(name, "ours"), Path(name, "dvc")
        for folder in folders:
            folder.mkdir()
        sides = {"ours": ours(folders[0]), "bare": theirs(folders[1], dvc)}
        measured = interleave(sides, runs=runs, warm_up=True)
    title = "train with nothing to do, beside dvc repro"
    print(f"{runs - 1} runs of each command counted; `bare` is `dvc repro`\n")
    print(*usage_table({title: measured}), "", *figure_table([figure(title, "cpu", LIMIT, measured)]), sep="\n")
    series.add_usages(title, measured)
    series.write(options.json)


if __name__ == "__main__":
    main()
