"""A held-out file: the rows of a second file, on which the model is measured and from which it learns nothing."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from artifact_pipeline.artifact import provenance
from artifact_pipeline.artifact.pointer import resolve
from artifact_pipeline.canonical import canonical_json, digest
from artifact_pipeline.cli import main
from artifact_pipeline.config import from_mapping
from artifact_pipeline.errors import ArtifactRejected, ConfigError, DataRejected
from artifact_pipeline.training.dataset import Dataset
from artifact_pipeline.training.reading import read_config
from artifact_pipeline.verification import verify
from tables import blobs, write_table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ROWS, TRAINING = 260, 180


def cells() -> dict[str, np.ndarray]:
    towns = np.random.default_rng(2).choice(["Rom", "Paris", "Bern"], ROWS)
    return {"town": towns, **blobs(["no", "yes"], rows=ROWS)}


def part(columns: Mapping[str, np.ndarray], rows: slice) -> dict[str, np.ndarray]:
    return {name: each[rows] for name, each in columns.items()}


def asked(folder: Path, later: str = "later.csv", **more: Any) -> dict[str, Any]:
    return {
        "C": 1.0,
        "solver": "lbfgs",
        "max_iter": 1000,
        "dataset": {"path": str(folder / "rows.csv"), "target": "label"},
        "preprocess": "auto",
        "split": {"by": "held_out", "path": str(folder / later)},
        **more,
    }


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a training file, a held-out file and a config that names both."""
    monkeypatch.chdir(tmp_path)
    columns = cells()
    write_table(tmp_path / "rows.csv", part(columns, slice(TRAINING)))
    later = part(columns, slice(TRAINING, None))
    later["town"] = np.where(np.arange(ROWS - TRAINING) % 9 == 0, "Oslo", later["town"])
    write_table(tmp_path / "later.csv", later)
    config = asked(tmp_path)
    config["dataset"]["path"], config["split"]["path"] = "rows.csv", "later.csv"
    (tmp_path / "config").mkdir()
    for name in ("rows.csv", "later.csv"):
        shutil.move(name, tmp_path / "config" / name)
    (tmp_path / "config" / "config.json").write_text(json.dumps(config))
    return tmp_path


TRAIN = ["train", "--config", "config/config.json", "--artifact", "artifact"]
FILES = ["--data", "config/rows.csv", "--held-out", "config/later.csv"]


def test_a_model_is_measured_on_another_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The rows of the second file, and no other, are held out; both digests stand in manifest and provenance."""
    assert main(TRAIN) == 0
    assert "180 rows, and 80 rows of the held-out file" in capsys.readouterr().out
    artifact = verify(folder / "artifact")
    manifest = artifact.manifest
    assert [(each.name, each.rows) for each in manifest.data.sources] == [("table", 180), ("held_out", 80)]
    assert (manifest.data.split.training, manifest.data.split.held_out) == (180, 80)
    bits = np.unpackbits(np.frombuffer(artifact.role("split"), np.uint8), count=ROWS, bitorder="little")
    assert bits.tolist() == [0] * 180 + [1] * 80
    assert manifest.recipe["split"] == {"by": "held_out"}
    town = next(each for each in manifest.model.columns if each.name == "town")
    assert town.levels == ("Bern", "Paris", "Rom")
    statement = provenance.Statement.read(artifact.folder)
    assert statement is not None
    named = {each.name for each in statement.predicate.build_definition.resolved_dependencies}
    assert {"data:table", "data:held_out"} <= named


def test_every_verb_knows_the_held_out_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The training is found unchanged, reproduced by bytes, compared, inspected; each file is recognised later."""
    assert main(TRAIN) == 0
    assert main(TRAIN) == 0
    assert "unchanged: artifact was made from just this" in capsys.readouterr().out
    assert main(["reproduce", "artifact", *FILES]) == 0
    assert main(["compare", "artifact", "artifact", *FILES]) == 0
    assert "on the same 80 held-out rows" in capsys.readouterr().out
    assert main(["inspect", "artifact", "--format", "markdown"]) == 0
    assert "Held out are the 80 rows of another file" in capsys.readouterr().out
    for name, side, learned in (("rows", "training", "all"), ("later", "held-out", "none")):
        assert main(["predict", f"config/{name}.csv", "--artifact", "artifact", "--json"]) == 0
        scores = json.loads(capsys.readouterr().out)["scores"]
        assert sorted(scores) == sorted([side, "all"])
        assert scores["all"]["training_rows"] == learned
        receipt = json.loads((folder / "predictions.csv.receipt.json").read_text())
        assert receipt["metrics"]["training_rows"] == learned
    for verb in (["reproduce", "artifact"], ["compare", "artifact", "artifact"]):
        assert main([*verb, *FILES[:2]]) == 2
        assert "name that file, too: --held-out FILE" in capsys.readouterr().err


def test_another_held_out_file_is_a_change(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One value more in the held-out file, and the model is measured again."""
    assert main(TRAIN) == 0
    later = folder / "config" / "later.csv"
    later.write_text(later.read_text() + later.read_text().splitlines()[-1].replace("yes", "no") + "\n")
    assert main([*TRAIN, "--explain"]) == 0
    assert "changed: data:" in capsys.readouterr().out
    assert verify(folder / "artifact").manifest.data.sources[1].rows == 81
    assert main(["reproduce", "artifact", *FILES]) == 0


def test_a_champion_is_compared_on_the_held_out_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two models of the same two files are compared; one that was measured on another file is refused."""
    assert main(TRAIN) == 0
    again = [*TRAIN, "--champion", "artifact", "-S", "C=0.5", "-S", "gate.margin=0.2"]
    assert main(again) == 0
    assert "on the same 80 held-out rows, looked at 2 times" in capsys.readouterr().out
    shutil.copy("config/later.csv", "config/other.csv")
    with (folder / "config" / "other.csv").open("a") as file:
        file.write("Rom,1.0,1.0,no\n")
    assert main([*again, "-S", "split.path=config/other.csv"]) == 4
    assert "it was trained on other rows" in capsys.readouterr().err


def test_rows_of_both_files_are_warned_of(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows that stand in both files are counted."""
    first = (folder / "config" / "rows.csv").read_text().splitlines()
    with (folder / "config" / "later.csv").open("a") as file:
        file.write("\n".join(first[1:6]) + "\n")
    assert main(TRAIN) == 0
    warned = capsys.readouterr().err
    assert "5 of 85 held-out rows also stand among the training rows" in warned
    assert "leave them out of one of the two files" in warned


@pytest.mark.parametrize("how", ["itself", "symbolic link", "hard link", "copy", "folder"])
def test_the_training_file_is_no_held_out_file(tmp_path: Path, how: str) -> None:
    """The same file by whatever name, a copy of it, or a folder that holds it is refused."""
    path, later = write_table(tmp_path / "rows.csv", cells()), tmp_path / "other.csv"
    if how == "symbolic link":
        later.symlink_to(path)
    elif how == "hard link":
        os.link(path, later)
    elif how == "copy":
        shutil.copy(path, later)
    name = {"itself": "rows.csv", "folder": "."}.get(how, "other.csv")
    with pytest.raises(DataRejected) as caught:
        Dataset.load(read_config(asked(tmp_path, name)))
    assert caught.value.rules == {"held-out-same"}
    assert caught.value.message == "the held-out file cannot be used"


def _without(name: str) -> Any:
    return lambda later: {column: each for column, each in later.items() if column != name}


def _with(name: str, value: Any) -> Any:
    return lambda later: {**later, name: [value, *later[name].tolist()[1:]]}


@pytest.mark.parametrize(
    ("change", "place", "message", "hint"),
    [
        (_without("town"), "", "no column 'town'", "it has"),
        (_without("label"), "", "no column 'label', which has the labels", "it has"),
        (_with("label", "maybe"), ", row 0, column 'label'", "the label 'maybe' is none", "learn that label, too"),
        (_with("label", None), ", row 0, column 'label'", "the label is missing", "leave out the rows"),
        (_with("width", None), ", row 0, column 'width'", "the value is missing", "no training row lacks a value"),
        (_with("town", None), ", row 0, column 'town'", "the value is missing", "no training row lacks a value"),
        (lambda later: {**later, "width": ["x", *later["width"][1:]]}, ", row 0, column 'width'", "'x' is not", "mend"),
        (lambda later: part(later, slice(0)), "", "holds no rows", ""),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path: Path, change: Any, place: str, message: str, hint: str) -> None:
    """A missing column, a label or a value that the model cannot take is refused with its place and what to do."""
    write_table(tmp_path / "rows.csv", part(cells(), slice(TRAINING)))
    later = change(part(cells(), slice(TRAINING, None)))
    if isinstance(later.get("width"), list) and "x" in later["width"]:
        later["width"] = [str(each) for each in later["width"]]
    write_table(tmp_path / "later.csv", later)
    with pytest.raises(DataRejected) as caught:
        Dataset.load(read_config(asked(tmp_path)))
    problem = caught.value.problems[0]
    assert problem.place == f"{tmp_path / 'later.csv'}{place}"
    assert problem.message.startswith(message)
    assert (caught.value.hint or "").startswith(hint)


def test_gaps_and_levels_follow_the_training_file(tmp_path: Path) -> None:
    """Where training rows lack values, those of the held-out file may; the formats of the two files may differ."""
    columns: dict[str, Any] = cells()
    columns["height"] = [None if at % 7 == 0 else each for at, each in enumerate(columns["height"].tolist())]
    write_table(tmp_path / "rows.csv", {name: each[:TRAINING] for name, each in columns.items()})
    write_table(tmp_path / "later.parquet", {name: each[TRAINING:] for name, each in columns.items()})
    data = Dataset.load(read_config(asked(tmp_path, "later.parquet")))
    assert np.isnan(data.X[TRAINING:]).any()
    assert data.held_out.tolist() == [*range(TRAINING, ROWS)]


def test_rows_without_a_label_are_left_out_of_both_files(tmp_path: Path) -> None:
    """By `dataset.unlabelled` rows without a label are left out of the held-out file, too."""
    columns: dict[str, Any] = cells()
    labels = [None if at in {3, TRAINING + 5} else each for at, each in enumerate(columns["label"].tolist())]
    write_table(tmp_path / "rows.csv", {**part(columns, slice(TRAINING)), "label": labels[:TRAINING]})
    write_table(tmp_path / "later.csv", {**part(columns, slice(TRAINING, None)), "label": labels[TRAINING:]})
    config = asked(tmp_path)
    config["dataset"]["unlabelled"] = "leave_out"
    data = Dataset.load(read_config(config))
    assert (len(data.train), len(data.held_out)) == (TRAINING - 1, ROWS - TRAINING - 1)


def test_a_held_out_file_goes_with_a_table(tmp_path: Path) -> None:
    """Beside a built-in data set it is refused in the config; so is a share of rows beside it."""
    built_in = {**asked(tmp_path), "dataset": "iris"}
    share = asked(tmp_path)
    share["split"]["test_size"] = 0.3
    for config, words in ((built_in, "a held-out file goes with a table"), (share, "left away with by held_out")):
        with pytest.raises(ConfigError) as caught:
            from_mapping(config)
        assert words in caught.value.problems[0].message


def test_other_bits_than_the_files_are_refused(folder: Path) -> None:
    """An artifact whose split marks a row of the training file in place of one of the held-out file does not verify."""
    assert main(TRAIN) == 0
    place = resolve(folder / "artifact")
    bits = np.unpackbits(np.frombuffer((place / "split.bin").read_bytes(), np.uint8), bitorder="little")
    bits[[0, TRAINING]] = 1, 0
    (place / "split.bin").write_bytes(np.packbits(bits, bitorder="little").tobytes())
    changed = digest((place / "split.bin").read_bytes())
    manifest = json.loads((place / "manifest.json").read_bytes())
    manifest["data"]["split"]["digest"] = manifest["gate"]["held_out"] = changed
    next(each for each in manifest["files"] if each["role"] == "split")["sha256"] = changed
    (place / "manifest.json").write_bytes(canonical_json(manifest))
    shutil.move(place, folder / "forged")
    with pytest.raises(ArtifactRejected) as caught:
        verify(folder / "forged")
    assert [(each.rule, each.message) for each in caught.value.problems] == [
        ("split-rows", "does not mark just the rows of the held-out file")
    ]
