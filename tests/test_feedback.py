"""Learning from feedback: labelled rows are mixed into the training side, and never into the held-out one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from artifact_pipeline import api
from artifact_pipeline.artifact import provenance
from artifact_pipeline.cli import main
from artifact_pipeline.config import from_mapping
from artifact_pipeline.digits.dataset import load_digits
from artifact_pipeline.digits.images import digit_from_image
from artifact_pipeline.errors import ConfigError, DataRejected
from artifact_pipeline.model.predictor import predictor_of
from artifact_pipeline.training.candidate import train
from artifact_pipeline.training.dataset import Dataset
from artifact_pipeline.training.reading import read_config
from artifact_pipeline.verification import verify
from drawing import draw_digits, encode
from servers import serving
from tables import blobs, write_table

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from artifact_pipeline.training.sealed import Candidate

DIGITS = load_digits()
BASE: dict[str, Any] = {"C": 1.0, "solver": "lbfgs", "max_iter": 1000}


def drawn(count: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Rows of drawings, as the server makes them, and what they show."""
    pictures, labels = draw_digits(count, seed)
    return np.array([digit_from_image(encode(each), place="drawing") for each in pictures]), labels


def write_rows(path: Path, X: np.ndarray, y: np.ndarray) -> Path:
    """Rows of digits as a file, as the server appends them."""
    return write_table(path, {**dict(zip(DIGITS.names, X.T, strict=True)), DIGITS.target: y})


def noise(count: int, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Rows that stand for drawings where it does not matter what they show."""
    random = np.random.default_rng(seed)
    return random.integers(0, 17, (count, 64)).astype(np.float64), np.arange(count) % 10


@pytest.fixture
def folder(published: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which the documented model is in charge, with its config and a file of feedback."""
    monkeypatch.chdir(published)
    (published / "config.json").write_text(json.dumps(BASE))
    write_rows(published / "drawn.jsonl", *noise(30))
    return published


TRAIN = ["train", "--config", "config.json"]
NEXT = [*TRAIN, "--artifact", "next", "--export", "next.pkl", "--with", "drawn.jsonl"]


# --- the loop


def test_drawings_that_people_labelled_are_learned(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Served, corrected on the page, trained with, compared on the same held-out rows, both ways, and reproduced."""
    X, y = drawn(20, 3)
    with serving(folder / "artifact", "--feedback", folder / "page.jsonl") as server:
        for pixels, label in zip(X.tolist(), y.tolist(), strict=True):
            body = json.dumps({"pixels": pixels, "label": label}).encode()
            assert server.ask("POST", "/page/feedback", body)[0] == 200
    mixed = [*TRAIN, "--artifact", "next", "--export", "next.pkl", "--with", "page.jsonl"]
    assert main([*mixed, "--champion", "artifact", "-S", "gate.margin=0.1"]) == 0
    said = capsys.readouterr().out
    assert "feedback: 20 rows learned from beside the training rows, sha256:" in said
    assert "on the same 360 held-out rows" in said
    before, after = verify(folder / "artifact"), verify(folder / "next")
    assert after.role("split") == before.role("split")
    assert after.manifest.data.split.digest == before.manifest.data.split.digest
    assert [(each.name, each.rows) for each in after.manifest.data.sources] == [("digits", 1797), ("feedback", 20)]
    assert after.manifest.data.split.training == 1437 + 20
    assert after.manifest.recipe == before.manifest.recipe
    assert api.compare("artifact", "next").rows == api.compare("next", "artifact").rows == 360
    assert main([*TRAIN, "--champion", "next", "-S", "gate.margin=0.1", "--force"]) == 0
    assert api.reproduce("next", feedback=["page.jsonl"]).grade == "bytes"


@pytest.mark.slow
def test_drawings_help_on_drawings(candidate: Candidate, tmp_path: Path) -> None:
    """With 200 drawings fed back, fewer of 300 others are named wrongly; the held-out rows stay the same."""
    X, y = drawn(500, 8)
    path = write_rows(tmp_path / "drawn.jsonl", X[:200], y[:200])
    plain, learned = candidate, train(read_config({**BASE, "feedback": [str(path)]}), progress=lambda _: None)
    models = [predictor_of(each.manifest, each.members) for each in (plain, learned)]
    wrong = [int((model.predict(X[200:]).labels != y[200:]).sum()) for model in models]
    assert wrong[1] < wrong[0]
    assert learned.manifest.data.split.digest == plain.manifest.data.split.digest


# --- what is said of it


def test_feedback_is_said_everywhere(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Manifest, provenance, `inspect`, `runs`, JSON and the report name digest and rows of the feedback."""
    assert (
        main([*TRAIN, "--with", "drawn.jsonl", "--json", "-S", "gate.min_accuracy=0.9", "-S", "gate.min_f1=0.9"]) == 0
    )
    told = json.loads(capsys.readouterr().out)
    artifact = verify(folder / "artifact")
    source = artifact.manifest.data.sources[1]
    assert told["feedback"] == {"files": [{"digest": source.digest, "rows": 30}], "left_out": 0}
    statement = provenance.Statement.read(artifact.folder)
    assert statement is not None
    assert "data:feedback" in {each.name for each in statement.dependencies}
    assert main(["inspect", "artifact"]) == 0
    assert f"feedback, 30 rows, {source.digest}" in capsys.readouterr().out
    assert main(["runs", "--json"]) == 0
    runs = json.loads(capsys.readouterr().out)["runs"]
    assert runs[0]["changed"]["feedback"] == f"30 rows {source.digest.removeprefix('sha256:')[:12]}"
    assert main(["inspect", "artifact", "--format", "markdown"]) == 0
    assert (
        f"Learned from beside the training rows are 30 rows of feedback: `{source.digest}`" in capsys.readouterr().out
    )
    assert main(["report", "artifact", "--output", "report.html"]) == 0
    assert source.digest in (folder / "report.html").read_text()
    capsys.readouterr()
    assert main(["predict", "drawn.jsonl", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["scores"]["all"]["training_rows"] == "all"
    assert main(["predict", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["scores"]["held-out"]["rows"] == 360


def test_changed_feedback_is_trained_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same rows train nothing, in whatever file and order of files; other rows train again and say why."""
    lenient = ["-S", "gate.min_accuracy=0.9", "-S", "gate.min_f1=0.9"]
    write_rows(folder / "more.jsonl", *noise(10, seed=1))
    assert main([*NEXT, "--with", "more.jsonl", *lenient]) == 0
    write_rows(folder / "again.parquet", *noise(30))
    swapped = ["--artifact", "next", "--export", "next.pkl", "--with", "more.jsonl", "--with", "again.parquet"]
    capsys.readouterr()
    assert main([*TRAIN, *swapped, *lenient]) == 0
    assert "unchanged: next was made from just this" in capsys.readouterr().out
    assert main([*NEXT, *lenient, "--explain", "--dry-run"]) == 0
    assert "changed: feedback: sha256:" in capsys.readouterr().out


def test_feedback_may_stand_in_the_config(folder: Path) -> None:
    """The key takes paths that start at the config's folder, and makes the bytes that the option makes."""
    (folder / "there").mkdir()
    (folder / "there" / "config.json").write_text(json.dumps({**BASE, "feedback": ["drawn.jsonl"]}))
    (folder / "drawn.jsonl").rename(folder / "there" / "drawn.jsonl")
    found = train(read_config(folder / "there" / "config.json"), progress=lambda _: None)
    named = train(
        read_config(BASE, [f"feedback={json.dumps([str(folder / 'there/drawn.jsonl')])}"]), progress=lambda _: None
    )
    assert found.digest == named.digest
    assert "drawn.jsonl" not in found.manifest.canonical().decode()


def test_feedback_without_a_row_is_no_feedback(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The empty file that a server has just begun gives the artifact that there is without it, and a note."""
    (folder / "drawn.jsonl").write_bytes(b"")
    assert main(NEXT) == 0
    assert "note: the feedback has no row yet" in capsys.readouterr().err
    assert verify(folder / "next").digest == verify(folder / "artifact").digest


# --- what is left out


def test_held_out_rows_are_not_learned(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A row of feedback with the features of a held-out row is left out and counted; any other stays, twice too."""
    data = Dataset.load(from_mapping(BASE))
    X, y = noise(5)
    chosen = np.concatenate([data.held_out[:7], data.train[:3]])
    write_rows(folder / "drawn.jsonl", np.vstack([DIGITS.X[chosen], X, X]), np.concatenate([DIGITS.y[chosen], y, y]))
    config = read_config({**BASE, "feedback": ["drawn.jsonl"]})
    mixed = Dataset.load(config)
    assert (mixed.left_out, mixed.rows.feedback) == (7, (13,))
    assert mixed.held_out.tolist() == data.held_out.tolist()
    assert mixed.train.tolist() == [*data.train.tolist(), *range(1797, 1810)]
    assert mixed.split_bits() == data.split_bits()
    assert main([*NEXT, "-S", "gate.min_accuracy=0.9", "-S", "gate.min_f1=0.9", "--json"]) == 0
    told = capsys.readouterr()
    assert "note: 7 rows of the feedback left out: held out to measure on" in told.err
    assert json.loads(told.out)["feedback"]["left_out"] == 7


@pytest.mark.parametrize("split", [{"by": "hash"}, {"by": "hash", "key": ["id"]}, {"by": "group", "column": "id"}])
def test_a_split_holds_its_own_feedback_out(tmp_path: Path, split: dict[str, Any]) -> None:
    """Of a split by hash or group, rows that it would hold out, or whose group it holds out, are not learned."""
    path, more = tmp_path / "rows.csv", tmp_path / "more.parquet"
    ids = np.array([f"p{number % 40}" for number in range(200)])
    write_table(path, {**blobs(["no", "yes"]), "id": ids})
    write_table(more, {**blobs(["no", "yes"], seed=5), "id": ids})
    table = {"path": str(path), "target": "label", "features": ["width", "height"]}
    asked = {**BASE, "dataset": table, "split": split}
    data, mixed = (Dataset.load(read_config(each)) for each in (asked, {**asked, "feedback": [str(more)]}))
    assert 0 < mixed.left_out < 200
    assert mixed.rows.feedback == (200 - mixed.left_out,)
    assert mixed.held_out.tolist() == data.held_out.tolist()
    keys = mixed.rows.split_by.get("id")
    if keys is not None:
        assert not set(keys[mixed.train]) & set(keys[mixed.held_out])


def test_a_table_that_took_the_feedback_in_has_a_fair_champion(tmp_path: Path) -> None:
    """A table grown by its champion's feedback has the same training rows, so the same model, and more held out."""
    cells, more = blobs(["no", "yes"]), blobs(["no", "yes"], seed=5)
    write_table(tmp_path / "rows.csv", cells)
    write_table(tmp_path / "more.csv", more)
    write_table(tmp_path / "all.csv", {name: np.concatenate([cells[name], more[name]]) for name in cells})

    def asked(name: str, **keys: Any) -> dict[str, Any]:
        return {**BASE, "dataset": {"path": str(tmp_path / name), "target": "label"}, "split": {"by": "hash"}, **keys}

    api.train(asked("rows.csv", feedback=[str(tmp_path / "more.csv")]), artifact=tmp_path / "old")
    found = api.train(asked("all.csv", gate={"margin": 0.5}), artifact=tmp_path / "new", champion=tmp_path / "old")
    assert found.comparison is not None
    assert found.comparison.outcome == "identical"
    assert found.comparison.rows > verify(tmp_path / "old").manifest.data.split.held_out


def test_a_held_out_file_and_levels_go_with_feedback(tmp_path: Path) -> None:
    """Beside a held-out file, rows of it are left out; a level that enough rows of feedback hold is learned by name."""
    cells = {"town": np.array(["Rom", "Bern"] * 100), **blobs(["no", "yes"])}
    write_table(tmp_path / "rows.csv", {name: each[:150] for name, each in cells.items()})
    write_table(tmp_path / "later.csv", {name: each[150:] for name, each in cells.items()})
    fed = {name: each[130:160] for name, each in cells.items()}
    fed["town"] = np.array(["Oslo"] * 10 + fed["town"].tolist()[10:])
    write_table(tmp_path / "fed.jsonl", fed)
    asked = {
        **BASE,
        "dataset": {"path": str(tmp_path / "rows.csv"), "target": "label"},
        "split": {"by": "held_out", "path": str(tmp_path / "later.csv")},
        "feedback": [str(tmp_path / "fed.jsonl")],
    }
    api.train(asked, artifact=tmp_path / "artifact")
    made = verify(tmp_path / "artifact").manifest
    sources = [("table", 150), ("held_out", 50), ("feedback", 20)]
    assert [(each.name, each.rows) for each in made.data.sources] == sources
    assert next(each for each in made.model.columns if each.name == "town").levels == ("Bern", "Oslo", "Rom")
    files = {"data": tmp_path / "rows.csv", "held_out": tmp_path / "later.csv", "feedback": [tmp_path / "fed.jsonl"]}
    assert api.reproduce(tmp_path / "artifact", **files).grade == "bytes"


# --- what is refused


def rows_with(**cells: Any) -> str:
    first, second = ({**dict.fromkeys(DIGITS.names, 1.0), DIGITS.target: label} for label in (1, 2))
    return f"{json.dumps(first)}\n{json.dumps({**second, **cells})}\n"


@pytest.mark.parametrize(
    ("text", "rule", "place"),
    [
        (rows_with(pixel_0_3=float("nan")), "json-invalid", "drawn.jsonl, row 1"),
        (rows_with(pixel_0_3=None), "missing", "drawn.jsonl, row 1, column 'pixel_0_3'"),
        (rows_with(pixel_0_3="much"), "not-a-number", "drawn.jsonl, row 1, column 'pixel_0_3'"),
        (rows_with(target=10), "label-unknown", "drawn.jsonl, row 1, column 'target'"),
        (rows_with(target=None), "label-missing", "drawn.jsonl, row 1, column 'target'"),
        (rows_with()[:-20], "json-invalid", "drawn.jsonl, row 1"),
        ('{"target": 1}\n', "column-missing", "drawn.jsonl"),
        (json.dumps(dict.fromkeys(DIGITS.names, 1.0)), "column-missing", "drawn.jsonl"),
    ],
    ids=["nan", "null", "text", "label 10", "no label", "torn", "no pixels", "no target"],
)
def test_feedback_that_cannot_be_learned_is_refused(folder: Path, text: str, rule: str, place: str) -> None:
    """A bad row, an unknown label, a torn last line, other columns: refused with place and rule, nothing is written."""
    (folder / "drawn.jsonl").write_text(text)
    with pytest.raises(DataRejected, match="the feedback cannot be used") as caught:
        api.train({**BASE, "feedback": ["drawn.jsonl"]}, artifact="next")
    assert (caught.value.problems[0].rule, caught.value.problems[0].place) == (rule, place)
    assert caught.value.hint
    assert not (folder / "next").exists()


def test_training_rows_are_no_feedback(folder: Path) -> None:
    """The data set itself, or one file by two names, would count twice by mistake: refused."""
    write_rows(folder / "digits.parquet", DIGITS.X, DIGITS.y)
    (folder / "copy.jsonl").write_bytes((folder / "drawn.jsonl").read_bytes())
    for files in (["digits.parquet"], ["drawn.jsonl", "copy.jsonl"]):
        with pytest.raises(DataRejected) as caught:
            train(read_config({**BASE, "feedback": files}), progress=lambda _: None)
        assert [each.rule for each in caught.value.problems] == ["feedback-same"]


def test_feedback_is_an_input(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No output may be written over the feedback."""
    before = (folder / "drawn.jsonl").read_bytes()
    assert main([*TRAIN, "--export", "drawn.jsonl", "--with", "drawn.jsonl"]) == 2
    assert "--export: drawn.jsonl and the feedback drawn.jsonl are the same file" in capsys.readouterr().err
    assert (folder / "drawn.jsonl").read_bytes() == before


@pytest.mark.parametrize("paths", ["drawn.jsonl", [""], [1], ["a\0b"], None])
def test_the_key_takes_paths(paths: object) -> None:
    """What is no array of paths is refused with its place."""
    with pytest.raises(ConfigError) as caught:
        read_config({**BASE, "feedback": paths})
    assert "feedback" in caught.value.problems[0].message


def test_an_object_is_no_path(folder: Path) -> None:
    """A URL in a config stays as it is, and starts at no folder."""
    (folder / "config.json").write_text(json.dumps({**BASE, "feedback": ["s3://bucket/drawn.jsonl", "/x", "y"]}))
    found = read_config(folder / "config.json").feedback
    assert found == ["s3://bucket/drawn.jsonl", "/x", str(folder / "y")]


def test_a_split_by_time_takes_no_feedback(tmp_path: Path) -> None:
    """A model that is measured on the latest rows must not learn from later ones."""
    table = {"path": str(tmp_path / "rows.csv"), "target": "label"}
    with pytest.raises(ConfigError, match="1 problem") as caught:
        read_config({**BASE, "dataset": table, "split": {"by": "time", "column": "day"}, "feedback": ["more.csv"]})
    assert "split by time" in caught.value.problems[0].message


def test_reproduce_asks_for_the_feedback(folder: Path) -> None:
    """Feedback that is needed and not named, or named and not needed, is refused; other rows are named as the cause."""
    config = {**BASE, "feedback": ["drawn.jsonl"], "gate": {"min_accuracy": 0.9, "min_f1": 0.9}}
    api.train(config, artifact="next")
    with pytest.raises(ConfigError, match="learned from feedback, too"):
        api.reproduce("next")
    with pytest.raises(ConfigError, match="learned from no feedback"):
        api.reproduce("artifact", feedback=["drawn.jsonl"])
    write_rows(folder / "other.jsonl", *noise(30, seed=9))
    assert {each.kind for each in api.reproduce("next", feedback=["other.jsonl"]).causes} == {"data"}
    write_rows(folder / "all.parquet", *noise(30))
    assert api.reproduce("next", feedback=["all.parquet"]).grade == "bytes"
