"""Labelled rows of any file, told held-out from training by the hash split of the model."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifact_pipeline.cli import main
from artifact_pipeline.prediction.hash_split import HELD_OUT_SIDE, TRAINING_SIDE, HashSplit
from artifact_pipeline.rows.formats.opening import open_rows
from artifact_pipeline.rows.row_hash import below, feature_hashes, key_hashes
from artifact_pipeline.rows.sources import find_sources
from artifact_pipeline.rows.table import read_table
from artifact_pipeline.verification import verify
from tables import blobs, write_table
from typedtables import wanted, write

if TYPE_CHECKING:
    from collections.abc import Sequence

ROWS = 360
BY = {"features": {"by": "hash"}, "key": {"by": "hash", "key": ["patient"]}}


def cells(rows: int = ROWS) -> dict[str, Any]:
    random = np.random.default_rng(8)
    columns = blobs(["no", "yes"], rows=rows)
    label = columns.pop("label")
    wrong = random.random(rows) < 0.1
    return {
        "patient": random.integers(0, rows // 4, rows),
        "town": random.choice(["Rom", "Paris", "17", "17.0"], rows),
        **columns,
        "label": np.where(wrong, np.where(label == "no", "yes", "no"), label),
    }


def some(columns: dict[str, Any], rows: Any) -> dict[str, Any]:
    return {name: np.asarray(each)[rows] for name, each in columns.items()}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a training file, a model that is split by features, and one that is split by a key."""
    folder = tmp_path_factory.mktemp("models")
    write_table(folder / "rows.csv", some(cells(), slice(300)))
    for name, split in BY.items():
        config = {
            "C": 1.0,
            "solver": "lbfgs",
            "max_iter": 1000,
            "dataset": {"path": "rows.csv", "target": "label", "drop": ["patient"], "columns": {"town": "category"}},
            "preprocess": "auto",
            "split": split,
            "gate": {"min_accuracy": 0, "min_f1": 0},
        }
        (folder / f"{name}.json").write_text(json.dumps(config))
        place = ["--artifact", str(folder / name), "--export", str(folder / f"{name}.pkl"), "-q"]
        assert main(["train", "--config", str(folder / f"{name}.json"), *place]) == 0
    return folder


def predict(models: Path, by: str, file: Path | str, to: str, *more: str) -> int:
    return main(["predict", str(file), "--artifact", str(models / by), "-o", to, *more])


def splits(path: str) -> list[str]:
    with Path(path).open(newline="") as file:
        return [row["split"] for row in csv.DictReader(file)]


def of_training(models: Path, by: str) -> list[str]:
    """The side of each row of the training file, as `split.bin` has it."""
    bits = np.frombuffer(verify(models / by).role("split"), np.uint8)
    return ["held-out" if bit else "training" for bit in np.unpackbits(bits, count=300, bitorder="little")]


@pytest.mark.parametrize("by", BY)
def test_rows_of_the_training_file_have_its_sides(models: Path, by: str, tmp_path: Path, monkeypatch: Any) -> None:
    """Every row of the training file is on the side that the split put it on, in another format and order, too."""
    monkeypatch.chdir(tmp_path)
    expected = of_training(models, by)
    assert predict(models, by, models / "rows.csv", "p.csv", "-q") == 0
    assert splits("p.csv") == expected
    order = np.random.default_rng(1).permutation(300)
    for suffix in ("parquet", "jsonl", "csv"):
        file = write_table(tmp_path / f"turned.{suffix}", some(dict(reversed(cells().items())), order))
        assert predict(models, by, file, "p.csv", "-q") == 0
        assert splits("p.csv") == [expected[row] for row in order]


@pytest.mark.parametrize("by", BY)
def test_figures_of_a_grown_file_are_shown_apart(
    models: Path, by: str, tmp_path: Path, monkeypatch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a file with further rows held-out and training rows are measured apart; single rows say their side."""
    monkeypatch.chdir(tmp_path)
    file = write_table(tmp_path / "grown.parquet", cells())
    assert predict(models, by, file, "p.csv", "--json", "--summary", "page.md") == 0
    said = capsys.readouterr()
    scores = json.loads(said.out)["scores"]
    found = splits("p.csv")
    assert found[:300] == of_training(models, by)
    with Path("p.csv").open(newline="") as opened:
        right = np.array([row["predicted"] for row in csv.DictReader(opened)]) == cells()["label"]
    for side, learned in (("held-out", "none"), ("training", "unknown")):
        own = np.array(found) == side
        assert scores[side]["rows"] == own.sum() > 0
        assert scores[side]["accuracy"] == pytest.approx(right[own].mean())
        assert scores[side]["training_rows"] == learned
    assert scores["all"]["rows"] == ROWS
    assert scores["all"]["training_rows"] == "unknown"
    page = Path("page.md").read_text()
    assert "| training (may be learned) |" in page
    assert page.count("| held-out |") > 1


def test_a_file_of_held_out_rows_alone_has_no_training_row(
    models: Path, tmp_path: Path, monkeypatch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where all rows are of the held-out side, the receipt says that the model has learned none of them."""
    monkeypatch.chdir(tmp_path)
    held_out = np.array(of_training(models, "features")) == "held-out"
    file = write_table(tmp_path / "some.csv", some(some(cells(), slice(300)), held_out))
    assert predict(models, "features", file, "p.csv") == 0
    assert "all (no training row)" in capsys.readouterr().out
    assert json.loads(Path("p.csv.receipt.json").read_text())["metrics"]["training_rows"] == "none"


def test_parts_and_several_files_are_told_apart(
    models: Path, tmp_path: Path, monkeypatch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder of parts, and a file of several inputs, have the same sides and figures; a resumed run, too."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    write_table(tmp_path / "in" / "a.csv", some(cells(), slice(200)))
    write_table(tmp_path / "in" / "b.parquet", some(cells(), slice(200, None)))
    found = []
    for to, more in (("p.csv", ()), ("parts/", ("--to", "csv")), ("parts/", ("--to", "csv", "--resume"))):
        assert predict(models, "key", "in", to, "--json", *more) == 0
        found.append(json.loads(capsys.readouterr().out)["scores"])
    assert found[0] == found[1]
    parts = [each for path in sorted(Path("parts").glob("*.csv")) for each in splits(str(path))]
    assert parts == splits("p.csv")


def test_a_file_without_the_key_is_not_told_apart(
    models: Path, tmp_path: Path, monkeypatch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the column of the key is missing, one line says so, and nothing is told apart."""
    monkeypatch.chdir(tmp_path)
    file = write_table(tmp_path / "rows.csv", {name: each for name, each in cells().items() if name != "patient"})
    for to in ("p.csv", "parts/"):
        assert predict(models, "key", file, to) == 0
        said = capsys.readouterr()
        assert said.err.count("has no column 'patient', by which training rows were told from held-out ones") == 1
        assert "held-out  " not in said.out
    assert "split" not in Path("p.csv").read_text().splitlines()[0]


def test_a_row_without_its_key_is_unknown(models: Path, tmp_path: Path, monkeypatch: Any) -> None:
    """A row whose key has no value is on no side; the others are told apart."""
    monkeypatch.chdir(tmp_path)
    columns = some(cells(), slice(300))
    file = write_table(tmp_path / "r.csv", {**columns, "patient": [None, *columns["patient"].tolist()[1:]]})
    assert predict(models, "key", file, "p.csv", "-q") == 0
    assert splits("p.csv") == ["unknown", *of_training(models, "key")[1:]]


def test_rows_without_labels_are_not_told_apart(models: Path, tmp_path: Path, monkeypatch: Any) -> None:
    """A file without labels has no figures, and its rows are not hashed."""
    monkeypatch.chdir(tmp_path)
    file = write_table(tmp_path / "r.csv", {name: each for name, each in cells().items() if name != "label"})
    assert predict(models, "features", file, "p.csv", "-q") == 0
    assert Path("p.csv").read_text().splitlines()[0] == "row,predicted,probability_no,probability_yes"


def test_a_kept_column_is_not_named_split(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The column that says the side cannot be one of the input."""
    assert predict(models, "features", models / "rows.csv", "p.csv", "--keep", "split") == 2
    assert "'split' is a column that is written anyway" in capsys.readouterr().err


def test_later_labels_are_scored_apart(
    models: Path, tmp_path: Path, monkeypatch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """`evaluate` shows figures by the side that the predictions say of each row."""
    monkeypatch.chdir(tmp_path)
    file = write_table(tmp_path / "grown.csv", cells())
    assert predict(models, "key", file, "p.parquet", "--json") == 0
    scores = json.loads(capsys.readouterr().out)["scores"]
    labels = np.arange(ROWS)[::2]
    write_table(tmp_path / "labels.csv", {"row": labels, "label": cells()["label"][::2]})
    assert main(["evaluate", "p.parquet", "labels.csv", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["splits"]
    assert found["held-out"]["rows"] + found["training"]["rows"] == len(labels)
    write_table(tmp_path / "labels.csv", {"row": np.arange(ROWS), "label": cells()["label"]})
    assert main(["evaluate", "p.parquet", "labels.csv", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["splits"]
    for side in ("held-out", "training"):
        assert found[side]["rows"] == scores[side]["rows"]
        assert found[side]["accuracy"]["value"] == pytest.approx(scores[side]["accuracy"], abs=1e-6)
    assert main(["evaluate", "p.parquet", "labels.csv"]) == 0
    assert "training (may be learned)" in capsys.readouterr().out


# The law

numbers = st.floats(-1e6, 1e6, width=32) | st.integers(-50, 50).map(float) | st.none()
texts = st.sampled_from(["a", "b", "1", "1.0", "true", "True", "007", None]) | st.text("äbc ", min_size=1, max_size=3)
keys = st.integers(0, 9) | st.sampled_from([2**60, -3])
one_row = st.tuples(
    numbers, texts.map(lambda each: each.strip() or None if each else each), keys, st.sampled_from("xy")
)


def table_of(rows: Sequence[Any], order: Sequence[str]) -> dict[str, list[Any]]:
    columns = dict(zip(("n", "t", "k", "label"), map(list, zip(*rows, strict=True)), strict=True))
    return {name: columns[name] for name in (*order, "label")}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(one_row, min_size=2, max_size=20),
    st.lists(one_row, max_size=10),
    st.sampled_from([("csv", "parquet"), ("parquet", "jsonl"), ("jsonl", "csv"), ("csv", "arrow")]),
    st.permutations(["n", "t", "k"]),
    st.randoms(use_true_random=False),
)
def test_law_growing_a_table_leaves_the_side_of_each_row(
    rows: list[Any], more: list[Any], formats: tuple[str, str], order: list[str], random: Any
) -> None:
    """Further rows, another order of rows and columns, and another format leave each row on its side."""
    rows = [*rows, (0.5, "a", 1, "x"), (1.5, "b", 2, "y")]  # each column has a value
    with TemporaryDirectory() as folder:
        first = write(Path(folder, f"first.{formats[0]}"), table_of(rows, ["n", "t", "k"]))
        kinds: Any = {"n": "number", "t": "category"}
        read = read_table(str(first), target="label", features=["n", "t"], columns=kinds, split_by={"k": "key"})
        sides = {
            (): below(feature_hashes(read.columns, read.features, seed=7), 0.5),
            ("k",): below(key_hashes(read.split_by, seed=7), 0.5),
        }
        grown = [*enumerate(rows), *((None, each) for each in more)]
        random.shuffle(grown)
        second = write(Path(folder, f"second.{formats[1]}"), table_of([each for _, each in grown], order))
        columns = tuple(replace(each, nullable=True, levels=each.levels[:1]) for each in read.columns)
        for key, expected in sides.items():
            split = HashSplit(columns, key, share=0.5, seed=7)
            (source,) = find_sources([str(second)])
            with open_rows(source, wanted(columns, classes=("x", "y"), keys=key)) as opened:
                (batch,) = opened.batches(0)
            found = dict(zip((at for at, _ in grown), split.sides(batch).tolist(), strict=True))
            assert set(found.values()) <= {HELD_OUT_SIDE, TRAINING_SIDE}
            assert [found[at] for at in range(len(rows))] == expected.tolist()
