"""An output is never an input, nor another output; what cannot be written is refused before anything is read."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from artifact_pipeline.cli import main
from artifact_pipeline.errors import ConfigError, StorageError
from artifact_pipeline.files import check_writable
from artifact_pipeline.prediction.run import PredictionRequest, predict
from artifact_pipeline.storage.outputs import Place, check_outputs, refuse_overlap
from artifact_pipeline.training.publication import publish
from rowfiles import answer, words, write_rows
from signatures import write_keys
from tools import mounted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.training.sealed import Candidate

CONFIG = """{"C": 1.0, "solver": "lbfgs", "max_iter": 1000,
 "dataset": {"path": "rows.parquet", "target": "label"}, "gate": {"min_f1": 0.5}}"""


@pytest.fixture(scope="module")
def made(of_words: Verified, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an artifact, what it was trained from, and rows under many names."""
    root = tmp_path_factory.mktemp("made")
    subprocess.run(["cp", "-a", f"{of_words.folder.parents[1]}/.", root], check=True)
    write_rows(root / "rows.csv", words())
    (root / "config.json").write_text(CONFIG)
    (root / "requirements.txt").write_text("click==8.3.0\n")
    (root / "linked.csv").symlink_to("rows.csv")
    (root / "hard.csv").hardlink_to(root / "rows.csv")
    for name in ("rows", "rows/inner", "other"):
        (root / name).mkdir()
    write_rows(root / "rows" / "a.csv", words())
    (root / "again").symlink_to("rows")
    (root / "labels.csv").write_text("row,label\n" + "".join(f"{row},no\n" for row in range(40)))
    answer(of_words, root / "rows.csv", to=root / "predicted.csv")
    write_keys(root, "key")
    return root


@pytest.fixture
def place(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, the working folder."""
    subprocess.run(["cp", "-a", f"{made}/.", tmp_path], check=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def contents(folder: Path) -> dict[str, Any]:
    """What stands in a folder: each file's bytes, each link's end."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            found[str(path)] = path.readlink()
        elif path.is_file():
            found[str(path)] = path.read_bytes()
    return found


def refused(place: Path, command: str, capsys: pytest.CaptureFixture[str], status: int = 2) -> str:
    """What is said of a command that is refused; nothing is changed, and nothing is new."""
    before = contents(place)
    capsys.readouterr()
    assert main(shlex.split(command)) == status
    said = capsys.readouterr()
    assert said.out == ""
    assert contents(place) == before
    return said.err


OVERLAPS = {
    "predict rows.csv -o rows.csv": "--output: rows.csv and the input rows.csv are the same file",
    "predict ./rows.csv -o other/../rows.csv": "--output: other/../rows.csv and the input ./rows.csv are the same file",
    "predict rows.csv -o linked.csv": "--output: linked.csv and the input rows.csv are the same file",
    "predict linked.csv -o rows.csv": "--output: rows.csv and the input linked.csv are the same file",
    "predict rows.csv -o hard.csv": "--output: hard.csv and the input rows.csv are the same file",
    "predict rows -o rows/new.csv": "--output: rows/new.csv lies in the input rows",
    "predict again -o rows/new.csv": "--output: rows/new.csv lies in the input again",
    "predict rows -o again/": "--output: again and the input rows are the same folder",
    "predict rows -o rows/parts/": "--output: rows/parts lies in the input rows",
    "predict rows/a.csv -o rows/": "--output: the input rows/a.csv lies in rows",
    "predict 'rows/*.csv' -o rows/new.csv": "fits the input rows/*.csv, and would be read as one of its files",
    "predict rows.csv -o out.csv --receipt rows.csv": "--receipt: rows.csv and the input rows.csv are the same file",
    "predict rows.csv -o out.csv --receipt out.csv": "--receipt: out.csv and out.csv of --output are one file",
    "predict rows.csv -o out/ --receipt out/r.json": "--receipt: out/r.json and out of --output lie one in the other",
    "predict rows.csv -o out.csv --receipt artifact": "--receipt: artifact and the artifact artifacts/",
    "predict rows.csv -o out.csv --receipt artifact/model.onnx": "artifact/model.onnx lies in the artifact artifacts/",
    "predict rows.csv -o out.csv --receipt model_train.pkl": "and the export model_train.pkl are the same file",
    "predict rows.csv -o out.csv --summary rows.csv": "--summary: rows.csv and the input rows.csv are the same file",
    "predict rows.csv -o out.csv --summary out.csv": "--summary: out.csv and out.csv of --output are one file",
    "predict rows.csv -o out.csv --public-key key.pub --receipt key.pub": "and the public key key.pub are the same",
    "predict s3://bucket/a/rows.csv -o s3://bucket/a//./rows.csv": "s3://bucket/a/rows.csv are the same file",
    "predict s3://bucket/a/rows.csv -o s3://bucket/a/": "the input s3://bucket/a/rows.csv lies in s3://bucket/a",
    "train --export rows.parquet": "--export: rows.parquet and the dataset rows.parquet are the same file",
    "train --export config.json": "--export: config.json and the config config.json are the same file",
    "train --export requirements.txt": "and the lock file requirements.txt are the same file",
    "train --export artifact/model.onnx": "--export: artifact/model.onnx lies in the artifact artifacts/",
    "train --champion artifact --export artifact/x": "--export: artifact/x lies in the champion artifacts/",
    "train --artifact rows.parquet": "--artifact: rows.parquet and the dataset rows.parquet are the same file",
    "train --artifact new --export new": "--export: new and new of --artifact are one file",
    "train --artifact other/artifacts": "--artifact: other/artifacts and other/artifacts of the store are one file",
    "train --summary rows.parquet": "--summary: rows.parquet and the dataset rows.parquet are the same file",
    "train --outputs config.json --dry-run": "--outputs: config.json and the config config.json are the same file",
    "train --summary page --outputs ./page": "--outputs: page and page of --summary are one file",
    "evaluate predicted.csv labels.csv --summary predicted.csv": "and the predictions predicted.csv are the same file",
    "evaluate predicted.csv labels.csv --summary labels.csv": "and the labels labels.csv are the same file",
    "sign --private-key key.pem --signature key.pem": "--signature: key.pem and the private key key.pem are the same",
    "sign --private-key key.pem --signature artifact/x": "--signature: artifact/x lies in the artifact artifacts/",
    "sign --private-key key.pem --signature model_train.pkl": "and the export model_train.pkl are the same file",
    "serve --feedback artifact/model.onnx --port 0": "--feedback: artifact/model.onnx lies in the artifact artifacts/",
    "serve --feedback key.pub --public-key key.pub --port 0": "and the public key key.pub are the same file",
}


@pytest.mark.parametrize("command", OVERLAPS)
def test_an_output_that_is_an_input_is_refused(place: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    """However its place is spelled, it is refused with both names and the status 2, and every byte stays."""
    verb, _, rest = command.partition(" ")
    config = "--config config.json --force " if verb == "train" else ""
    said = refused(place, f"{verb} {config}{rest}", capsys)
    assert OVERLAPS[command] in said
    assert "\nhint: " in said


@pytest.mark.parametrize(
    "command",
    [
        "predict rows.csv -o rows.csv",
        "predict rows -o rows/new.csv",
        "predict rows -o again/",
        "predict 'rows/*.csv' -o rows/new.csv",
        "predict rows.csv -o out.csv --receipt rows.csv",
        "predict rows.csv -o out.csv --summary out.csv",
        "predict out.csv.rejected.jsonl -o out.csv --on-error quarantine",
    ],
)
def test_the_hint_names_a_place_that_is_free(place: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    """The same command with what the hint says succeeds, and changes nothing that stood there."""
    write_rows(place / "out.csv.rejected.jsonl", words())
    (place / "rows.new.csv").write_text("taken")
    hint = refused(place, command, capsys).partition("hint: name another place: ")[2]
    before = contents(place)
    assert main([*shlex.split(command), *shlex.split(hint)]) == 0
    after = contents(place)
    assert {name: after[name] for name in before} == before


def test_bad_rows_are_not_set_aside_into_what_is_read(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file of bad rows, mended and given again under its own name, is not replaced while it is read."""
    write_rows(place / "out.csv.rejected.jsonl", words())
    said = refused(place, "predict out.csv.rejected.jsonl -o out.csv --on-error quarantine", capsys)
    assert "--output: out.csv.rejected.jsonl and the input out.csv.rejected.jsonl are the same file" in said
    assert main(["predict", "out.csv.rejected.jsonl", "-o", "out.csv", "-q"]) == 0  # where none is set aside


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("predict rows.csv -o - >> rows.csv", "standard output and the input rows.csv are the same file"),
        ("predict - --from csv -o rows.csv < rows.csv", "rows.csv and the input standard input are the same file"),
        ("predict rows -o - > rows/new.csv", "standard output and the input rows/new.csv are the same file"),
        (
            "predict rows.csv -o - --summary /dev/stdout > new.csv",
            "/dev/stdout and standard output of --output are one",
        ),
    ],
)
def test_what_a_shell_has_opened_counts(place: Path, command: str, words: str) -> None:
    """Standard input and output are the files that a shell has made of them."""
    before = (place / "rows.csv").read_bytes()
    done = subprocess.run(
        f"{shlex.quote(sys.executable)} -m artifact_pipeline {command}",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, words in done.stderr) == (2, True), done.stderr
    assert (place / "rows.csv").read_bytes() == before


def test_other_files_are_written(place: Path) -> None:
    """A neighbour of the inputs, a hidden name beside a pattern, the store's own folder: none of them is refused."""
    for arguments in (
        ["rows", "-o", "rows.out.csv"],
        ["rows/*.csv", "-o", "rows/.hidden.csv"],
        ["rows.csv", "-o", "rows/new.csv"],
        ["rows/a.csv", "-o", "rows/b.csv", "--receipt", "rows/b.json"],
        ["rows.csv", "-o", "artifacts/new.csv"],
        ["rows.csv", "-o", "out.csv", "--summary", "/dev/null"],
    ):
        assert main(["predict", *arguments, "-q"]) == 0, arguments


def test_a_champion_may_be_the_artifact_in_charge(place: Path) -> None:
    """The pointer that leads to the champion is the very one that a training moves, a link or a file of one line."""
    command = ["train", "--config", "config.json", "--force", "--champion", "artifact", "-q"]
    assert main(command) == 0
    target = (place / "artifact").readlink()
    (place / "artifact").unlink()
    (place / "artifact").write_text(f"{target}\n")
    assert main(command) == 0


def test_python_refuses_the_same(of_words: Verified, candidate: Candidate, tmp_path: Path) -> None:
    """`predict` and `publish` refuse an output that is an input, or two that are one."""
    rows = write_rows(tmp_path / "rows.csv", words())
    (tmp_path / "x").mkdir()
    for to in (rows, tmp_path / "x" / ".." / "rows.csv"):
        with pytest.raises(ConfigError) as caught:
            predict(PredictionRequest(of_words, (str(rows),), str(to)))
        assert caught.value.rules == {"output-is-input"}
    with pytest.raises(ConfigError) as caught:
        publish(candidate, artifact=tmp_path / "both", export=tmp_path / "both")
    assert caught.value.rules == {"outputs-overlap"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.csv", "x"]


def test_urls_are_compared_by_their_one_spelling() -> None:
    """Empty names and dots in a URL are left away; another bucket, and another object, are other places."""
    rows = Place("the input", "s3://bucket/a/rows.csv")
    for other in ("s3://bucket/a//rows.csv", "s3://bucket/./a/rows.csv", "s3://bucket/b/../a/rows.csv"):
        with pytest.raises(ConfigError):
            refuse_overlap([rows], [Place("--output", other)])
    with pytest.raises(ConfigError):
        refuse_overlap(
            [Place("the input", "s3://bucket/*/*.csv", "pattern")], [Place("--output", "s3://bucket/a/b.csv")]
        )
    with pytest.raises(ConfigError):
        refuse_overlap([Place("the input", "s3://bucket/a", "folder")], [Place("--output", "s3://bucket/a/b.csv")])
    for other in ("s3://bucket/a/rows.csv.gz", "s3://other/a/rows.csv", "gs://bucket/a/rows.csv", "bucket/a/rows.csv"):
        refuse_overlap([rows, Place("the input", "s3://bucket/a/r*/x", "pattern")], [Place("--output", other)])


def test_a_name_that_no_file_can_have_is_no_place() -> None:
    """A NUL in a name from a config is left to whoever opens it."""
    refuse_overlap([Place("the dataset", "a\0b")], [Place("--export", "model.pkl")])


def test_a_pattern_of_all_that_is_below_counts(place: Path) -> None:
    """`**` fits what lies any number of folders below, but nothing hidden."""
    given = Place("the input", "rows/**/*.csv", "pattern")
    for name in ("rows/new.csv", "rows/inner/new.csv", "again/inner/deep/new.csv"):
        with pytest.raises(ConfigError):
            refuse_overlap([given], [Place("--output", name)])
    for name in ("rows/new.txt", "other/new.csv", "rows/.hidden.csv", "rows/.inner/new.csv"):
        refuse_overlap([given], [Place("--output", name)])


# What cannot be written


@pytest.mark.parametrize(
    "command",
    [
        "predict rows.csv -o 'no where/out.csv'",
        "predict rows.csv -o out.csv --receipt 'no where/r.json'",
        "predict rows.csv -o out.csv --summary 'no where/page.md'",
        "train --config config.json --force --export 'no where/model.pkl'",
        "train --config config.json --force --artifact 'no where/artifact'",
        "train --config config.json --force --outputs 'no where/outputs'",
        "evaluate predicted.csv labels.csv --summary 'no where/page.md'",
        "sign --private-key key.pem --signature 'no where/model.sig'",
        "serve --port 0 --feedback 'no where/drawn.jsonl'",
    ],
)
def test_a_missing_folder_is_refused_with_its_mend(
    place: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """Before anything is read, status 8; what the hint says makes the folder."""
    said = refused(place, command, capsys, status=8)
    assert ": there is no folder no where\nhint: mkdir -p " in said
    subprocess.run(said.partition("hint: ")[2], shell=True, check=True)
    assert (place / "no where").is_dir()


def test_a_folder_of_parts_is_made(place: Path) -> None:
    """For a folder of parts all that is missing above it is made."""
    assert main(["predict", "rows.csv", "-o", "no/where/parts/", "-q"]) == 0
    assert (place / "no" / "where" / "parts" / "part-00000-00000.parquet").is_file()


@pytest.mark.parametrize("device", ["/dev/null", "/dev/full", "pipe", "null"])
@pytest.mark.parametrize("option", ["--output", "--receipt"])
def test_no_device_is_replaced(place: Path, capsys: pytest.CaptureFixture[str], option: str, device: str) -> None:
    """A rename would replace a device or a pipe, or a link to one, by a file: refused, wherever an option names it."""
    os.mkfifo("pipe")
    (place / "null").symlink_to("/dev/null")
    said = refused(place, f"predict rows.csv -o out.csv {option} {device} --to csv", capsys, status=8)
    assert f"cannot write {device}: it is no regular file" in said
    assert Path("/dev/null").is_char_device()


def test_a_standard_stream_is_not_replaced(place: Path) -> None:
    """`-o /dev/stdout` is refused even where a shell has sent it into a file, which makes it look like one."""
    for name in ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"):
        command = f"{shlex.quote(sys.executable)} -m artifact_pipeline predict rows.csv --to csv -o {name} > new.csv"
        done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
        assert (done.returncode, "it is no regular file" in done.stderr) == (8, True), done.stderr


@pytest.fixture
def read_only(place: Path) -> Iterator[Path]:
    """A folder that is mounted read-only."""
    folder = place / "closed"
    folder.mkdir()
    with mounted(folder, "-t", "tmpfs", "-o", "ro", "tmpfs"):
        yield folder


def test_a_read_only_folder_is_refused_before_anything_is_read(
    read_only: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is verified and no row is read for a result that has no place, not even by root."""
    for option in ("-o out.csv --receipt closed/r.json", "-o closed/out.csv", "-o closed/a/parts/"):
        said = refused(place, f"predict rows.csv {option}", capsys, status=8)
        assert f"{read_only.name} is read-only or closed to you" in said


def test_a_file_above_a_folder_is_refused(tmp_path: Path) -> None:
    """Where a folder would have to be and a file is, the file is named."""
    (tmp_path / "file").write_text("no folder")
    for path, folder in ((tmp_path / "file" / "out.csv", False), (tmp_path / "file" / "a" / "parts", True)):
        with pytest.raises(StorageError, match=r"is no folder|not a directory"):
            check_writable(path, folder=folder)
    check_outputs([], [Place("--summary", "/dev/null", "append")])
    with pytest.raises(StorageError, match="it is no regular file"):
        check_writable(tmp_path, append=True)


# Names with a leading dash


@pytest.mark.parametrize("name", ["-rows.csv", "-old.csv", "--rows.csv"])
def test_a_leading_dash_is_explained(place: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """A file that looks like an option, or like one with its value, is refused; both ways of the hint work."""
    write_rows(place / name, words())
    before = contents(place)
    said = refused(place, f"predict {name}", capsys)
    assert said.endswith(f"hint: name the file as ./{name}, or behind --\n")
    assert main(["predict", f"./{name}", "-o", "a.csv", "-q"]) == 0
    assert main(["predict", "-o", "b.csv", "-q", "--", name]) == 0
    assert {path: data for path, data in contents(place).items() if path in before} == before


def test_an_options_value_may_begin_with_a_dash(place: Path) -> None:
    """`-o -old.csv` writes that file, again and again."""
    for _ in range(2):
        assert main(["predict", "rows.csv", "-o", "-old.csv", "-q"]) == 0
