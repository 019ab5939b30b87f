"""Three estimators on a mixed table of 1,500 rows, beside AutoGluon and MLJAR: whole processes, in turn."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
from benchmarks.environments import ROOT, autogluon_python, mljar_python
from benchmarks.measure import Command, Series, Summary, interleave
from benchmarks.report import aligned

if TYPE_CHECKING:
    from pathlib import Path

ROWS, NEW = 1500, 1000
TRAIN_CPU, SHARE = 9.0, 0.35
SIZES = {"LogisticRegression": 100, "RandomForestClassifier": 100, "HistGradientBoostingClassifier": 400}
"""Most kB of an artifact, by estimator."""
PARAMETERS = {"LogisticRegression": {"max_iter": 1000}, "RandomForestClassifier": {"min_samples_leaf": 5}}
_OTHERS = {"AutoGluon": "bare_autogluon.py", "MLJAR": "bare_mljar.py"}


def write_mixed(file: Path, rows: int, *, seed: int, labels: bool) -> None:
    """Write a table of six columns: three of numbers, two of texts, a boolean, some cells missing; and a label."""
    random = np.random.default_rng(seed)
    numbers = random.normal(size=(rows, 3)) * [1, 10, 1000]
    towns = random.choice(["Bern", "Kiel", "Oslo", "Rom"], rows)
    kinds = random.choice(["a", "b", "c"], rows, p=[0.6, 0.3, 0.1])
    flags = random.random(rows) < 0.4
    score = numbers[:, 0] + numbers[:, 1] / 20 * (kinds == "a") + (towns == "Rom") + flags * (numbers[:, 2] > 0)
    label = np.where(score + random.normal(size=rows) / 2 > 0.5, "yes", "no")
    lines = ["size,weight,price,town,kind,member" + (",label" if labels else "")]
    for at in range(rows):
        cells = ["" if random.random() < 0.03 else f"{value:.4f}" for value in numbers[at]]
        cells += [towns[at], "" if random.random() < 0.03 else kinds[at], "true" if flags[at] else "false"]
        lines.append(",".join([*cells, *([label[at]] if labels else [])]))
    file.write_text("\n".join(lines) + "\n")


def _ours(folder: Path, *arguments: str, writes: tuple[str, ...] = ()) -> Command:
    variables = (("PYTHONPATH", str(ROOT / "src")),)
    return Command((sys.executable, "-m", "artifact_pipeline", *arguments), folder, writes, variables)


def sides(folder: Path) -> tuple[dict[str, Command], dict[str, Command]]:
    """The commands that train and those that predict, by what they run; what predicts has been trained."""
    write_mixed(folder / "rows.csv", ROWS, seed=1, labels=True)
    write_mixed(folder / "new.csv", NEW, seed=2, labels=False)
    trains, predicts = {}, {}
    init = _ours(folder, "init", "rows.csv", "--force")
    subprocess.run(init.arguments, cwd=folder, env=init.environment, check=True, stdout=subprocess.DEVNULL)
    config = json.loads((folder / "config.json").read_text())
    for estimator in SIZES:
        own = folder / estimator
        own.mkdir()
        model = {"estimator": estimator, **PARAMETERS.get(estimator, {})}
        dataset = {**config["dataset"], "path": "../rows.csv"}
        (own / "config.json").write_text(json.dumps({**config, "dataset": dataset, "model": model}))
        trains[estimator] = _ours(
            own, "train", "--config", "config.json", writes=("artifact", "artifacts", "model_train.pkl")
        )
        predicts[estimator] = _ours(own, "predict", "../new.csv", "-o", "out.csv")
    for (name, script), python in zip(_OTHERS.items(), (autogluon_python(), mljar_python()), strict=True):
        own = folder / name
        own.mkdir()
        start = (python, "-W", "ignore", str(ROOT / "benchmarks" / script))
        trains[name] = Command((*start, "train", "../rows.csv", "model"), own, writes=("model",))
        predicts[name] = Command((*start, "predict", "../new.csv", "model"), own)
    return trains, predicts


def size_of(folder: Path) -> float:
    """The kB of a folder."""
    return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file()) / 1000


def measure_automl(folder: Path, runs: int, series: Series) -> None:
    """Measure, and print a table and the figures."""
    trains, predicts = sides(folder)
    trained = interleave(trains, runs=runs, warm_up=runs > 1)
    predicted = interleave(predicts, runs=runs, warm_up=runs > 1)
    series.add_usages("train", trained)
    series.add_usages("load and predict", predicted)
    rows = [["", "train, CPU (s)", "load and predict, CPU (s)", "on disk (kB)"]]
    cpu, answer, sizes = {}, {}, {}
    for name in trains:
        cpu[name] = Summary.of([each.cpu for each in trained[name]]).median
        answer[name] = Summary.of([each.cpu for each in predicted[name]]).median
        place = folder / name / ("model" if name in _OTHERS else "artifacts")
        sizes[name] = size_of(place)
        rows.append([name, f"{cpu[name]:.2f}", f"{answer[name]:.2f}", f"{sizes[name]:,.0f}"])
    print(*aligned(rows, left=1), sep="\n")
    ours, theirs = sum(cpu[name] for name in SIZES), {name: cpu[name] for name in _OTHERS}
    fits = ours <= min(TRAIN_CPU, *theirs.values())
    print(f"\ntrain three: {ours:.2f} s CPU, <= {TRAIN_CPU:.0f} and <= {min(theirs.values()):.2f}: {_said(fits)}")
    for name, most in SIZES.items():
        print(f"artifact of {name}: {sizes[name]:,.0f} kB, <= {most}: {_said(sizes[name] <= most)}")
        for other in _OTHERS:
            share = answer[name] / answer[other]
            print(f"load and predict of {name} / {other}: {share:.2f}, <= {SHARE}: {_said(share <= SHARE)}")


def _said(reached: bool) -> str:  # noqa: FBT001 - one word
    return "yes" if reached else "NO"
