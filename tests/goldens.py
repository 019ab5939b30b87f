"""Write the golden artifacts of format 2, of the digits and of each classifier: `python tests/goldens.py`.

A golden artifact that stands is never written again: every later version must verify, open and answer it. The table is
drawn, so that no golden artifact holds anybody's rows.
"""

from __future__ import annotations

import csv
import json
import shutil
import tempfile
from pathlib import Path

from artifact_pipeline.runtime import pin_numerics

pin_numerics()  # before NumPy is loaded

import artifact_pipeline
from test_any_classifier import FAMILIES, asked, write_patients

FOLDER = Path(__file__).parent / "golden" / "v2"
ROWS = 40


def main() -> None:
    """Train what does not stand yet, and note what it answers to the first rows of the table."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        patients = write_patients(Path(place) / "patients.csv")
        rows = FOLDER / "rows.csv"
        rows.write_text("".join(patients.read_text().splitlines(keepends=True)[: ROWS + 1]))
        for name in FAMILIES:
            if (FOLDER / name).exists():
                continue
            artifact = Path(place) / name
            artifact_pipeline.train(asked(patients, name), artifact=artifact, export=Path(place) / "model.pkl")
            shutil.copytree(artifact.resolve(), FOLDER / name)
        if not (FOLDER / "digits").exists():
            config = FOLDER.parents[2] / "config" / "config.json"
            artifact_pipeline.train(config, artifact=Path(place) / "digits", export=Path(place) / "model.pkl")
            shutil.copytree((Path(place) / "digits").resolve(), FOLDER / "digits")
    answers = {name: labels(name, rows) for name in sorted(FAMILIES)}
    (FOLDER / "answers.json").write_text(json.dumps(answers, indent=1) + "\n")


def labels(name: str, rows: Path) -> list[str]:
    """What the golden artifact of a classifier answers."""
    with tempfile.TemporaryDirectory() as place:
        to = Path(place) / "out.csv"
        artifact_pipeline.predict_files(rows, artifact=FOLDER / name, to=to)
        with to.open(newline="") as file:
            return [row["predicted"] for row in csv.DictReader(file)]


if __name__ == "__main__":
    main()
