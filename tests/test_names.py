"""Names of files that are not ASCII, or no text at all, whatever the locale makes of them."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from asking import DIGITS
from conftest import ROOT, run_python
from rowfiles import digits, write_rows
from servers import serving
from tools import publish, slow

if TYPE_CHECKING:
    from pathlib import Path

    from artifact_pipeline.training.sealed import Candidate

LOCALES = {
    "C": {"LC_ALL": "C"},
    "ASCII alone": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "UTF-8": {"LC_ALL": "C.UTF-8"},
}


UMLAUT, OTHER = (b"z\xc3\xa4hlen", "zählen"), (b"z\xe4hlen", "z\\xe4hlen")
"""A name in UTF-8, and one that is no text there; and what a receipt calls them."""


@pytest.mark.parametrize(
    ("locale", "name", "told"),
    [
        ("ASCII alone", *UMLAUT),
        ("UTF-8", *OTHER),
        slow("C", *UMLAUT),
        slow("C", *OTHER),
        slow("ASCII alone", *OTHER),
    ],
)
def test_any_name_can_be_predicted_and_proven(
    candidate: Candidate, tmp_path: Path, locale: str, name: bytes, told: str
) -> None:
    """Rows, predictions, bad rows and receipt of any name are written, named in the receipt, and verified by it."""
    folder = tmp_path / os.fsdecode(name)
    folder.mkdir()
    publish(folder, candidate)
    columns = {
        column: values * ([1, 1e300] if index == 5 else 1) for index, (column, values) in enumerate(digits(2).items())
    }
    rows = write_rows(folder / os.fsdecode(name + b".csv"), columns)
    output = folder / os.fsdecode(name + b"_out.csv")
    command = ["-m", "artifact_pipeline", "predict", rows, "--artifact", folder / "artifact", "-o", output]
    done = run_python(*command, "--on-error", "quarantine", cwd=ROOT / "src", env=LOCALES[locale])
    assert done.returncode == 0, done.stderr
    receipt = json.loads(output.with_name(f"{output.name}.receipt.json").read_bytes())
    assert [each["name"] for each in receipt["inputs"]] == [f"{told}.csv"]
    assert [each["name"] for each in receipt["outputs"]] == [f"{told}_out.csv"]
    assert receipt["rejected"]["name"] == f"{told}_out.csv.rejected.jsonl"
    verified = run_python(
        "-m", "artifact_pipeline", "verify", output, "--receipt", cwd=ROOT / "src", env=LOCALES[locale]
    )
    assert verified.returncode == 0, verified.stderr


@pytest.mark.parametrize("locale", ["ASCII alone", slow("C"), slow("UTF-8")])
def test_an_artifact_of_any_name_is_served(candidate: Candidate, tmp_path: Path, locale: str) -> None:
    """An artifact and a file of feedback are served and written under names that are no ASCII."""
    folder = tmp_path / "größer"
    folder.mkdir()
    publish(folder, candidate)
    options = ("--feedback", folder / "gemalt é.jsonl", "--follow")
    with serving(folder / "artifact", *options, env=LOCALES[locale]) as server:
        assert server.infer(DIGITS.X[:1])[0] == 200
        drawn = json.dumps({"pixels": DIGITS.X[0].tolist(), "label": 0}).encode()
        assert server.ask("POST", "/page/feedback", drawn)[0] == 200
        assert len((folder / "gemalt é.jsonl").read_bytes().splitlines()) == 1
