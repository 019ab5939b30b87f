"""What a receipt claims is counted again: a forged one whose every digest fits is refused by name."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from msgspec import structs

from artifact_pipeline.canonical import canonical_json, digest
from artifact_pipeline.cli import main
from artifact_pipeline.errors import ArtifactRejected
from artifact_pipeline.prediction.proof import PROVES, prove
from rowfiles import DIGITS, answer, digits, words, write_rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from artifact_pipeline.artifact.manifest import Verified

    Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module", params=["csv", "parquet", "jsonl"])
def made(request: pytest.FixtureRequest, of_digits: Verified, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Predictions of forty rows with their labels and of one bad row, in each format, `out.*`."""
    root = tmp_path_factory.mktemp("made")
    columns = {**digits(), "target": np.roll(DIGITS.y[:40], 1)}
    columns["note"] = np.array(['a\nnote,\n"of" lines\n'] * 40)
    columns["pixel_3_3"] = np.where(np.arange(40) == 7, np.nan, columns["pixel_3_3"])
    table = write_rows(root / "rows.parquet", columns)
    answer(of_digits, table, to=root / f"out.{request.param}", on_error="quarantine", keep=("note",))
    return root / f"out.{request.param}"


def forged(made: Path, folder: Path, change: Change) -> str:
    """The predictions with a receipt that was changed."""
    for path in made.parent.iterdir():
        shutil.copy(path, folder)
    place = folder / f"{made.name}.receipt.json"
    told = json.loads(place.read_bytes())
    change(told)
    place.write_bytes(canonical_json(told))
    return str(folder / made.name)


def rules(output: str, **asked: Any) -> frozenset[str]:
    """The rules that `verify --receipt` names; none where it accepts."""
    try:
        prove(output, **asked)
    except ArtifactRejected as error:
        return error.rules
    return frozenset()


def test_a_true_receipt_is_proven(made: Path, of_digits: Verified) -> None:
    """Predictions in each format, with bad rows and texts of several lines, are what their receipt tells of."""
    told = prove(str(made), inputs=[str(made.parent / "rows.parquet")], expect=of_digits.digest)
    assert (told.rows.read, told.rows.written, told.rows.rejected) == (40, 39, 1)


def _more_rows(told: dict[str, Any]) -> None:
    """As many rows as the digits have, everywhere where rows are told."""
    told["rows"] |= {"read": 1797, "written": 1796}
    told["inputs"][0]["rows"] = 1797
    told["outputs"][0]["rows"] = 1796
    told["labels"][0]["rows"] += 1796 - 39


def _swap_labels(told: dict[str, Any]) -> None:
    """Two labels' counts are exchanged, and the figures left out."""
    one, other = [each for each in told["labels"] if each["rows"]][:2]
    one["rows"], other["rows"] = one["rows"] + 1, other["rows"] - 1
    told["metrics"] = None


FORGED: dict[str, tuple[Change, set[str]]] = {
    "more rows": (_more_rows, {"output-rows"}),
    "other labels": (_swap_labels, {"output-labels"}),
    "other size": (lambda told: told["outputs"][0].update(size=1), {"output-size"}),
    "other size of the bad rows": (lambda told: told["rejected"].update(size=1), {"output-size"}),
    "other rule": (lambda told: told["rows"].update(rules={"not-finite": 1}), {"output-rules"}),
    "no bad rows": (lambda told: told.update(rejected=None), {"receipt-rows"}),
    "bad row that was written": (
        lambda told: (told["rows"].update(written=40, rejected=0, rules={}), told.update(rejected=None)),
        {"receipt-rows"},
    ),
    "all right": (lambda told: told["metrics"].update(accuracy=1.0, f1_weighted=1.0), {"receipt-metrics"}),
    "more labelled rows": (lambda told: told["metrics"].update(rows=40), {"receipt-metrics"}),
    "matrix of another model": (lambda told: told["metrics"].update(confusion=[[39]]), {"receipt-metrics"}),
    "out of range beyond all": (lambda told: told["rows"].update(out_of_range=41), {"receipt-rows"}),
}


@pytest.mark.parametrize("case", FORGED)
def test_a_forged_receipt_is_refused(case: str, made: Path, tmp_path: Path) -> None:
    """Rows, labels, rules, sizes and figures that are not those of the files are refused, whatever digests fit."""
    change, wanted = FORGED[case]
    assert rules(forged(made, tmp_path, change)) == wanted


@pytest.mark.parametrize(
    "name", ["../outside", "../../../etc/hostname", "/etc/hostname", "sub/file", "", ".", "..", "nul\0l"]
)
def test_a_name_that_leads_out_is_not_followed(name: str, made: Path, tmp_path: Path) -> None:
    """Outputs are confined to their folder: a name that is no plain name is refused, whether its digest fits or not."""
    outside = b"row,predicted,probability_0\n0,0,1\n"
    (tmp_path / "outside").write_bytes(outside)
    (tmp_path / "sub").mkdir()

    def change(told: dict[str, Any]) -> None:
        told["outputs"][0] |= {"name": name, "sha256": digest(outside), "size": len(outside)}

    place = forged(made, tmp_path / "sub", change)
    assert rules(place) == {"receipt-name"}
    (tmp_path / "sub" / "out").mkdir()
    assert rules(str(tmp_path / "sub" / "out"), receipt=f"{place}.receipt.json") == {"receipt-name"}


@pytest.fixture
def folder(of_digits: Verified, tmp_path: Path) -> Path:
    """Predictions of two inputs in a folder of parts."""
    (tmp_path / "rows").mkdir()
    write_rows(tmp_path / "rows" / "a.parquet", digits(30))
    write_rows(tmp_path / "rows" / "b.csv", digits(10))
    assert (
        main(
            [
                "predict",
                str(tmp_path / "rows"),
                "-o",
                f"{tmp_path}/out/",
                "--artifact",
                str(of_digits.folder),
                "--quiet",
            ]
        )
        == 0
    )
    assert rules(str(tmp_path / "out")) == set()
    return tmp_path / "out"


def _rewrite(folder: Path, change: Change) -> None:
    place = folder.with_name("out.receipt.json")
    told = json.loads(place.read_bytes())
    change(told)
    place.write_bytes(canonical_json(told))


def test_rows_that_were_moved_between_parts_are_found(folder: Path) -> None:
    """Two parts, or two inputs, whose counts were exchanged have the right sum, and each is counted by itself."""

    def change(told: dict[str, Any]) -> None:
        for files in (told["outputs"], told["inputs"]):
            files[0]["rows"], files[1]["rows"] = 29, 11

    _rewrite(folder, change)
    assert rules(str(folder)) == {"output-rows"}
    inputs = [str(path) for path in sorted((folder.parent / "rows").iterdir())]
    assert rules(str(folder), inputs=inputs) == {"output-rows", "input-rows"}


def test_a_part_that_stands_twice_is_refused(folder: Path) -> None:
    """The same file cannot be counted for two."""
    _rewrite(folder, lambda told: told["outputs"][1].update(told["outputs"][0], rows=10))
    assert rules(str(folder)) == {"receipt-name"}


@pytest.mark.parametrize(
    ("tamper", "wanted"),
    [
        (lambda part, out: (part.rename(out / "part"), part.symlink_to(out / "part")), {"output-link"}),
        (lambda part, _: (part.unlink(), os.mkfifo(part)), {"output-missing"}),
        (lambda part, _: (part.unlink(), part.mkdir()), {"output-missing"}),
        (lambda part, _: os.mkfifo(part.with_name("fifo")), {"output-unlisted"}),
        (lambda part, _: part.with_name("link").symlink_to(part.name), {"output-unlisted"}),
        (lambda part, _: part.with_name("nowhere").symlink_to("nowhere at all"), {"output-unlisted"}),
        (lambda part, out: part.with_name("rows").symlink_to(out), {"output-unlisted", "output-link"}),
    ],
    ids=["link out", "fifo", "folder", "fifo more", "link more", "dangling link", "link to a folder"],
)
def test_what_is_no_file_of_the_folder_is_refused(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, tamper: Callable[[Path, Path], object], wanted: set[str]
) -> None:
    """A part that is a link out of the folder, or a FIFO, is refused without waiting; so is anything more."""
    tamper(folder / "part-00000-00000.parquet", tmp_path_factory.mktemp("outside"))
    assert rules(str(folder)) == wanted


@pytest.mark.parametrize("form", ["csv", "csv.gz", "parquet", "arrow", "jsonl", "npy", "npz"])
def test_rows_of_an_input_are_counted_in_each_format(form: str, of_digits: Verified, tmp_path: Path) -> None:
    """As many rows as a prediction reads of a file are counted without the model, bad ones included."""
    columns = {name: column for name, column in digits(23).items() if name != "target"}
    columns["pixel_3_3"] = np.where(np.arange(23) == 7, np.nan, columns["pixel_3_3"])
    table = write_rows(tmp_path / f"rows.{form}", columns)
    told = answer(of_digits, table, to=tmp_path / "out.csv", on_error="quarantine").receipt
    assert told.inputs[0].rows == 23
    assert rules(str(tmp_path / "out.csv"), inputs=[str(table)]) == set()
    wrong = structs.replace(told, inputs=(structs.replace(told.inputs[0], rows=24),))
    (tmp_path / "out.csv.receipt.json").write_bytes(wrong.canonical())
    assert "input-rows" in rules(str(tmp_path / "out.csv"), inputs=[str(table)])


def test_labels_of_any_text_are_counted(of_words: Verified, tmp_path: Path) -> None:
    """Labels with quotes, commas and line ends are found again in each format."""
    table = write_rows(tmp_path / "rows.parquet", words())
    for form in ("csv", "parquet", "jsonl"):
        answer(of_words, table, to=tmp_path / f"out.{form}")
        assert rules(str(tmp_path / f"out.{form}"), inputs=[str(table)]) == set()


def test_a_receipt_of_an_earlier_release_is_proven(made: Path, tmp_path: Path) -> None:
    """A receipt that does not yet say which rows the model has seen is read, and proven, as before."""
    assert rules(forged(made, tmp_path, lambda told: told["metrics"].pop("training_rows"))) == set()


def test_what_a_receipt_proves_is_said(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`verify --receipt` says in one sentence what is proven, and what only a signature would prove."""
    assert main(["verify", str(made), "--receipt"]) == 0
    assert f"note: {PROVES}" in capsys.readouterr().out
    assert "signature" in PROVES
