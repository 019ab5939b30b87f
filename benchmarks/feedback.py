"""Measure what learning from drawings gives: the documented model, and the same with 200 drawings fed back.

Each lot of drawings is of other hands. All models answer the same drawings, from which none has learned.

Run it as `python -m benchmarks.feedback` from the project's root, by its environment's Python.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.environments import ROOT
from benchmarks.measure import Series, add_json_option
from benchmarks.report import aligned

from artifact_pipeline import open_artifact, train
from artifact_pipeline.errors import GateFailed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.training.request import Training


def drawn(count: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """So many drawings as rows, and what they show."""
    import numpy as np

    from artifact_pipeline.digits.images import digit_from_image
    from drawing import draw_digits, encode  # type: ignore[import-not-found]

    pictures, labels = draw_digits(count, seed)
    return np.array([digit_from_image(encode(each), place="drawing") for each in pictures]), labels


def trained(folder: Path, name: str, feedback: Path | None = None) -> Training:
    """Train the documented model, or the same with feedback and the documented one as its champion."""
    config = json.loads((ROOT / "config" / "config.json").read_text())
    if feedback is None:
        return train(config, artifact=folder / name)
    try:
        return train({**config, "feedback": [str(feedback)]}, artifact=folder / name, champion=folder / "plain")
    except GateFailed as error:
        found: Training = error.result
        return found


def write(path: Path, X: NDArray[np.float64], y: NDArray[np.int64]) -> Path:
    """Rows as the server appends them to a file of feedback."""
    from artifact_pipeline.digits.dataset import load_digits

    digits = load_digits()
    with path.open("w") as file:
        for row, label in zip(X.tolist(), y.tolist(), strict=True):
            file.write(f"{json.dumps({**dict(zip(digits.names, row, strict=True)), digits.target: label})}\n")
    return path


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drawings", type=int, default=200, help="drawings that are fed back (default: 200)")
    parser.add_argument("--lots", type=int, default=5, help="how many models, each of other drawings (default: 5)")
    parser.add_argument("--unseen", type=int, default=2000, help="drawings to measure on (default: 2,000)")
    add_json_option(parser)
    asked, series = parser.parse_args(), Series()
    sys.path.insert(0, str(ROOT / "tests"))
    X, y = drawn(asked.unseen, 2)

    def row(title: str, made: Training) -> list[str]:
        answers = open_artifact(made.folder, accept_failed_gate=True).predict(X)
        series.add("unseen drawings", "share right", {title: [float((answers == y).mean())]})
        series.add("digits", "held-out accuracy", {title: [made.manifest.metrics.held_out.accuracy.value]})
        return [
            title,
            f"{(answers == y).mean():.1%}",
            f"{made.manifest.metrics.held_out.accuracy.value:.4f}",
            made.comparison.outcome if made.comparison else "",
        ]

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        rows = [row("without feedback", trained(folder, "plain"))]
        for lot in range(1, asked.lots + 1):
            path = write(folder / f"{lot}.jsonl", *drawn(asked.drawings, 10 + lot))
            rows.append(row(f"with {asked.drawings} drawings, lot {lot}", trained(folder, f"lot{lot}", path)))
    head = ["", f"right of {asked.unseen:,} other drawings", "held-out accuracy of the digits", "beside the first"]
    print(*aligned([head, *rows], left=1), sep="\n")
    series.write(asked.json)


if __name__ == "__main__":
    main()
