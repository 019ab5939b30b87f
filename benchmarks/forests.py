"""Measure forests and boosted trees in ONNX Runtime beside scikit-learn: the answers to rows in memory, one thread.

CPU of this process, both sides in turn, medians. Each number of rows a call is compared with the usual one bit by bit.
Run it as `make bench-forests`, or as `python -m benchmarks.forests` from the project's root, by its environment's
Python.
"""

from __future__ import annotations

import argparse
import time
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.measure import Series, add_json_option

from artifact_pipeline.runtime import pin_numerics

if TYPE_CHECKING:
    from collections.abc import Callable

CALLS = (4096, 2048, 512)
"""Rows a call; the first is what training and inference take."""
COLUMNS, CLASSES = 20, 3
AGAINST_SCIKIT_LEARN = 1.5


def estimators() -> dict[str, Any]:
    """What is measured, unfitted."""
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

    return {
        "RandomForestClassifier, 100 trees": RandomForestClassifier(100, random_state=0),
        "RandomForestClassifier, 300 trees": RandomForestClassifier(300, random_state=0),
        "HistGradientBoostingClassifier": HistGradientBoostingClassifier(random_state=0),
    }


def measure(name: str, estimator: Any, *, rows: int, runs: int, series: Series) -> list[str]:
    """Fit on so many rows, answer as many others by both sides, and return lines to print."""
    from sklearn.datasets import make_classification

    from artifact_pipeline.model.predictor import Predictor
    from artifact_pipeline.model.writer import write
    from artifact_pipeline.rows.features import Column, Features

    X, y = make_classification(2 * rows, COLUMNS, n_informative=12, n_classes=CLASSES, random_state=0)
    estimator.fit(X[:rows], y[:rows])
    columns, asked = [Column(f"column_{at}", "number") for at in range(COLUMNS)], X[rows:]
    classes = list(range(CLASSES))
    data, _ = write(estimator, columns, classes=classes)
    predictors = {calls: Predictor(data, classes, columns, rows=calls) for calls in CALLS}
    features, answers = Features.of_numbers(asked), {}
    sides: dict[str, list[float]] = {}
    for _ in range(runs):
        sides.setdefault("scikit-learn", []).append(_cpu(lambda: estimator.predict_proba(asked)))
        for calls, predictor in predictors.items():
            answers[calls] = predictor.predict_features(features)
            taken = _cpu(lambda predictor=predictor: predictor.predict_features(features))  # type: ignore[misc]
            sides.setdefault(f"{calls:,} rows a call", []).append(taken)
    series.add(name, "CPU s", sides)
    bare, (usual, *others) = median(sides["scikit-learn"]), answers.values()
    equal = all((each.values == usual.values).all() and (each.labels == usual.labels).all() for each in others)
    lines = [f"{name:<34}  {side:<18}  {median(cpu):>7.4f}  {median(cpu) / bare:>5.2f}" for side, cpu in sides.items()]
    ratio = median(sides[f"{CALLS[0]:,} rows a call"]) / bare
    reached = "yes" if ratio <= AGAINST_SCIKIT_LEARN else "NO"
    labels = int((estimator.predict(asked) != usual.labels).sum())
    return [*lines, f"{name}: {ratio:.2f} <= {AGAINST_SCIKIT_LEARN}: {reached}; bits equal: {equal}; labels: {labels}"]


def _cpu(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    """Measure, and print."""
    summary, *_ = (__doc__ or "").split("\n\n")
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forests", description=summary)
    parser.add_argument("--rows", type=int, default=10_000, metavar="N", help="rows to answer (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=7, metavar="N", help="runs of each side (default: %(default)s)")
    add_json_option(parser)
    options, series = parser.parse_args(), Series()
    pin_numerics()
    print(f"{'':<34}  {'side':<18}  {'CPU s':>7}  {'ratio':>5}")
    for name, estimator in estimators().items():
        lines = measure(name, estimator, rows=options.rows, runs=options.runs, series=series)
        print(*lines, sep="\n", flush=True)
    series.write(options.json)


if __name__ == "__main__":
    main()
