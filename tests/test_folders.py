"""A folder of parts: complete or told to be incomplete, and after any interruption the same bytes as without one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from artifact_pipeline.canonical import canonical_json
from artifact_pipeline.config import from_mapping
from artifact_pipeline.errors import ArtifactRejected, ConfigError, DataRejected, StorageError
from artifact_pipeline.files import held
from artifact_pipeline.prediction.parts import PART
from artifact_pipeline.prediction.proof import prove
from artifact_pipeline.prediction.run import PredictionObserver, PredictionRequest, predict
from artifact_pipeline.training.candidate import train
from artifact_pipeline.training.publication import publish
from artifact_pipeline.verification import verify
from rowfiles import words, write_rows
from tables import blobs, write_table
from tools import require_tool

if TYPE_CHECKING:
    from pathlib import Path

    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.prediction.outcome import Predictions

ROWS = 2 * PART + 70_000
"""Two whole parts, and a third one that begins a second batch."""
KILLS = 10


class InterruptedHere(Exception):
    """Stands for whatever ends a run."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two columns, `artifact`, and its inputs, `rows/`: three parts with a bad row, and a CSV with one."""
    root = tmp_path_factory.mktemp("world")
    (root / "rows").mkdir()
    table = write_table(root / "training.parquet", blobs(["no", "yes"]))
    mapping = {"C": 1.0, "solver": "lbfgs", "max_iter": 1000, "dataset": {"path": str(table), "target": "label"}}
    candidate = train(from_mapping(mapping), progress=lambda _: None)
    publish(candidate, artifact=root / "artifact", export=root / "model_train.pkl")
    random = np.random.default_rng(3)
    large = {name: random.normal(scale=4, size=ROWS) for name in ("width", "height")}
    large["width"][PART + 5] = np.nan
    parquet.write_table(pa.table({**large, "id": np.arange(ROWS)}), root / "rows" / "a.parquet")
    small = write_table(root / "rows" / "b.csv", {"height": [1.0, 2.0], "width": [0.5, 0.25], "id": [7, 8]})
    small.write_text(small.read_text() + "1,x,9\n")
    return root


@pytest.fixture(scope="module")
def model(world: Path) -> Verified:
    return verify(world / "artifact")


def score(
    model: Verified,
    world: Path,
    to: Path,
    *,
    resume: bool = False,
    stop_after: int | None = None,
    **options: Any,
) -> Predictions:
    """Predict `rows/` into the folder `to`; `stop_after` so many batches, if that is said."""
    batches = 0

    def count(_rows: int, _share: float) -> None:
        nonlocal batches
        batches += 1
        if batches == stop_after:
            raise InterruptedHere

    options = {"on_error": "quarantine", "keep": ("id",), **options}
    request = PredictionRequest(
        model,
        (str(world / "rows"),),
        f"{to}/",
        **options,
        output_format="parquet",
        resume=resume,
    )
    return predict(request, PredictionObserver(progress=lambda: nullcontext(count)))


def tree(root: Path, name: str = "out") -> dict[str, bytes]:
    """Every file of a result: the folder's, the receipt, and the bad rows."""
    files = [*(root / name).rglob("*"), root / f"{name}.receipt.json", root / f"{name}.rejected.jsonl"]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files if path.is_file()}


@pytest.fixture(scope="module")
def whole(model: Verified, world: Path) -> dict[str, bytes]:
    """The result of a run that nobody interrupted."""
    score(model, world, world / "out")
    return tree(world)


def test_a_folder_holds_parts_and_a_receipt(whole: dict[str, bytes], world: Path) -> None:
    """Each input is cut at every millionth row into parts; receipt and bad rows stand beside the folder."""
    assert sorted(whole) == [
        "out.receipt.json",
        "out.rejected.jsonl",
        *(f"out/part-00000-0000{number}.parquet" for number in range(3)),
        "out/part-00001-00000.parquet",
    ]
    receipt = json.loads(whole["out.receipt.json"])
    assert receipt["rows"] == {
        "read": ROWS + 3,
        "written": ROWS + 1,
        "rejected": 2,
        "rules": {"missing": 1, "not-a-number": 1},
        "out_of_range": receipt["rows"]["out_of_range"],
    }
    assert [each["rows"] for each in receipt["outputs"]] == [PART, PART - 1, 70_000, 2]
    assert [each["rows"] for each in receipt["inputs"]] == [ROWS, 3]
    prove(str(world / "out"), inputs=[str(world / "rows" / name) for name in ("a.parquet", "b.csv")])


def test_a_folder_says_what_a_single_file_says(whole: dict[str, bytes], model: Verified, world: Path) -> None:
    """Parts read one after the other are the rows of a single file, bit for bit, and so are the bad rows."""
    options = {"on_error": "quarantine", "keep": ("id",)}
    predict(PredictionRequest(model, (str(world / "rows"),), str(world / "single.parquet"), **options))
    single = parquet.read_table(world / "single.parquet")
    assert parquet.read_table(world / "out").equals(single)
    assert (world / "single.parquet.rejected.jsonl").read_bytes() == whole["out.rejected.jsonl"]


@pytest.mark.slow
def test_python_writes_folders_by_their_names(
    whole: dict[str, bytes], model: Verified, world: Path, tmp_path: Path
) -> None:
    """`predict` takes a folder by the slash at its end, and gives the same bytes."""
    options = {"on_error": "quarantine", "keep": ("id",)}
    predict(PredictionRequest(model, (str(world / "rows"),), f"{tmp_path / 'out'}/", **options))
    assert tree(tmp_path) == whole


@pytest.mark.slow
@pytest.mark.parametrize("stop_after", [1, 16, 17, 20, 33, 34, 35])
def test_an_interrupted_run_goes_on_to_the_same_bytes(
    whole: dict[str, bytes], model: Verified, world: Path, tmp_path: Path, stop_after: int
) -> None:
    """Interrupted within a part, at its border or within the last one, and resumed, the result is the same bytes."""
    with pytest.raises(InterruptedHere):
        score(model, world, tmp_path / "out", stop_after=stop_after)
    before = {path.name for path in (tmp_path / "out").glob("*.parquet")}
    assert len(before) == {1: 0, 16: 0, 17: 1, 20: 1, 33: 2, 34: 2, 35: 3}[stop_after]
    assert score(model, world, tmp_path / "out", resume=True).already == len(before)
    assert tree(tmp_path) == whole


def test_a_receipt_of_work_that_is_not_complete_says_so(model: Verified, world: Path, tmp_path: Path) -> None:
    """Until the end the receipt says that it is incomplete, and `verify` refuses it by that name."""
    with pytest.raises(InterruptedHere):
        score(model, world, tmp_path / "out", stop_after=20)
    with pytest.raises(ArtifactRejected) as caught:
        prove(str(tmp_path / "out"))
    assert "receipt-incomplete" in caught.value.rules


@pytest.mark.slow
@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "part-00001-00000.parquet"])
def test_to_resume_follows_no_name_of_a_receipt(model: Verified, world: Path, tmp_path: Path, name: str) -> None:
    """A receipt whose finished part has another name than such a part gets is refused, whatever stands there."""
    with pytest.raises(InterruptedHere):
        score(model, world, tmp_path / "out", stop_after=20)
    place = tmp_path / "out.receipt.json"
    told = json.loads(place.read_bytes())
    told["progress"]["parts"][0][2] |= {"name": name, "size": 0}
    (tmp_path / "outside").touch()
    place.write_bytes(canonical_json(told))
    with pytest.raises(ArtifactRejected, match="does not say how to go on"):
        score(model, world, tmp_path / "out", resume=True)


def test_what_is_complete_is_not_done_again(whole: dict[str, bytes], model: Verified, world: Path) -> None:
    """To resume what is complete changes nothing."""
    again = score(model, world, world / "out", resume=True, stop_after=1)
    assert again.already == 4
    assert tree(world) == whole


def test_what_is_complete_is_not_taken_for_the_answers_to_other_inputs(
    whole: dict[str, bytes], model: Verified, world: Path, tmp_path: Path
) -> None:
    """To resume a complete folder with other inputs is refused, and not reported as done already."""
    other = write_table(tmp_path / "other.csv", {"height": [1.0], "width": [0.5]})
    request = PredictionRequest(model, (str(other),), f"{world / 'out'}/", output_format="parquet", resume=True)
    with pytest.raises(ConfigError, match="of other inputs"):
        predict(request)
    assert tree(world) == whole


def test_standard_input_is_not_resumed_behind_a_finished_part(
    model: Verified, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Standard input cannot be shown to be the same again, so parts of it are not put beside those that are done."""
    request = PredictionRequest(model, ("-",), f"{tmp_path}/out/", input_format="parquet")

    def stop(_rows: int, share: float) -> None:
        if share > 0.6:
            raise InterruptedHere

    with (world / "rows" / "a.parquet").open() as rows:
        monkeypatch.setattr("sys.stdin", rows)
        with pytest.raises(InterruptedHere):
            predict(replace(request, on_error="quarantine"), PredictionObserver(progress=lambda: nullcontext(stop)))
    before = tree(tmp_path)
    assert "out/part-00000-00000.parquet" in before
    with pytest.raises(ConfigError, match="--resume: standard input"):
        predict(replace(request, on_error="quarantine", resume=True))
    assert tree(tmp_path) == before


def test_a_folder_that_holds_something_is_not_written_into(model: Verified, world: Path, tmp_path: Path) -> None:
    """Without --resume a folder with anything in it is left alone, and so is one with another's files with it."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    for resume in (False, True):
        with pytest.raises(ConfigError, match="something in"):
            score(model, world, tmp_path / "out", resume=resume)
    assert {name: data for name, data in tree(tmp_path).items() if data} == {"out/mine.txt": b"mine"}


@pytest.mark.parametrize("change", ["an option", "an input", "its time", "another artifact"])
def test_other_work_is_not_gone_on_with(model: Verified, world: Path, tmp_path: Path, change: str) -> None:
    """With another option, artifact or input, or one that was changed meanwhile, what was begun is not gone on with."""
    shutil.copytree(world / "rows", tmp_path / "rows")
    with pytest.raises(InterruptedHere):
        score(model, tmp_path, tmp_path / "out", stop_after=1)
    options = {"out_of_range": "reject"} if change == "an option" else {}
    if change == "an input":
        (tmp_path / "rows" / "c.csv").write_text("width,height,id\n1,2,3\n")
    if change == "its time":
        os.utime(tmp_path / "rows" / "a.parquet", ns=(1, 1))
    if change == "another artifact":
        table = write_table(tmp_path / "other.parquet", blobs(["no", "yes"], seed=12))
        mapping = {"C": 1.0, "solver": "lbfgs", "max_iter": 1000, "dataset": {"path": str(table), "target": "label"}}
        other = train(from_mapping(mapping), progress=lambda _: None)
        publish(other, artifact=tmp_path / "artifact", export=tmp_path / "model_train.pkl")
        model = verify(tmp_path / "artifact")
    expected = {"an option": "options", "an input": "input", "its time": "input", "another artifact": "artifact"}
    with pytest.raises(ConfigError, match=expected[change]):
        score(model, tmp_path, tmp_path / "out", resume=True, **options)


def test_a_part_that_was_cut_off_is_noticed(model: Verified, world: Path, tmp_path: Path) -> None:
    """A finished part of another size than the receipt says is refused when the work goes on."""
    with pytest.raises(InterruptedHere):
        score(model, world, tmp_path / "out", stop_after=20)
    part = tmp_path / "out" / "part-00000-00000.parquet"
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(ArtifactRejected, match="the receipt says"):
        score(model, world, tmp_path / "out", resume=True)


def test_a_bad_row_stops_the_work_where_it_can_go_on(
    whole: dict[str, bytes], model: Verified, world: Path, tmp_path: Path
) -> None:
    """Stopped by a bad row, the parts before it stand; the input mended, the work is begun anew, since it changed."""
    shutil.copytree(world / "rows", tmp_path / "rows")
    with pytest.raises(DataRejected):
        score(model, tmp_path, tmp_path / "out", on_error="stop")
    assert {path.name for path in (tmp_path / "out").glob("*.parquet")} == {"part-00000-00000.parquet"}
    table = parquet.read_table(tmp_path / "rows" / "a.parquet").slice(0, PART + 5)
    parquet.write_table(table, tmp_path / "rows" / "a.parquet")
    with pytest.raises(ConfigError):
        score(model, tmp_path, tmp_path / "out", on_error="stop", resume=True)


# Killed for real


def command(world: Path, to: Path) -> list[str | Path]:
    rows, artifact = world / "rows", world / "artifact"
    options = ["--to", "parquet", "--keep", "id", "--on-error", "quarantine", "--resume", "--quiet"]
    return [
        sys.executable,
        "-m",
        "artifact_pipeline",
        "predict",
        rows,
        "-o",
        f"{to}/",
        "--artifact",
        artifact,
        *options,
    ]


def killed_at(world: Path, to: Path, call: str, when: int) -> int:
    """Run, killed at its `when`th `call`; the exit status."""
    strace = [require_tool("strace"), "-f", "-qq", "-o", os.devnull, "-e", f"trace={call}"]
    inject = ["-e", f"inject={call}:signal=KILL:when={when}"]
    return subprocess.run([*strace, *inject, *command(world, to)], check=False, capture_output=True).returncode


MOMENTS = [*(("rename", when) for when in range(1, 15)), *(("fsync", when) for when in (1, 5, 9, 13, 20, 27))]
"""Each rename of a run, and fsyncs between: of the four parts, their bad rows and receipts, and of what ends it."""


@pytest.mark.slow
@pytest.mark.parametrize(("call", "when"), MOMENTS)
def test_killed_at_a_system_call_and_resumed(
    whole: dict[str, bytes], world: Path, tmp_path: Path, call: str, when: int
) -> None:
    """Killed at each rename, and at fsyncs between, and resumed, the result is the same bytes."""
    killed = killed_at(world, tmp_path / "out", call, when)
    assert killed in {-signal.SIGKILL, 128 + signal.SIGKILL} or (killed == 0 and tree(tmp_path) == whole)
    subprocess.run(command(world, tmp_path / "out"), check=True)
    assert tree(tmp_path) == whole


@pytest.mark.slow
def test_killed_ten_times_over(whole: dict[str, bytes], world: Path, tmp_path: Path) -> None:
    """Killed again and again at moments of no system call's choosing, and resumed each time: the same bytes."""
    kills = 0
    for delay in np.linspace(0.25, 1.6, 40).tolist():
        process = subprocess.Popen(command(world, tmp_path / "out"))
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            process.kill()
            kills += process.wait() == -signal.SIGKILL
        if kills >= KILLS and process.returncode == 0:
            break
    subprocess.run(command(world, tmp_path / "out"), check=True)
    assert kills >= KILLS
    assert tree(tmp_path) == whole


def test_two_runs_into_one_folder_are_not_mixed(of_words: Verified, tmp_path: Path) -> None:
    """While a run holds its folder another one is refused as busy, and leaves nothing there; then it may."""
    rows = write_rows(tmp_path / "rows.csv", words())
    (tmp_path / "out").mkdir()
    with held(tmp_path / "out"), pytest.raises(StorageError, match="is busy: another run is writing into it"):
        predict(PredictionRequest(of_words, (str(rows),), f"{tmp_path}/out/"))
    assert list((tmp_path / "out").iterdir()) == []
    predict(PredictionRequest(of_words, (str(rows),), f"{tmp_path}/out/"))


def test_a_folder_in_use_is_left_as_it_is(of_words: Verified, tmp_path: Path) -> None:
    """Where there is something already, nothing is added to it, not even an empty folder."""
    rows = write_rows(tmp_path / "rows.csv", words())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="there is something in"):
        predict(PredictionRequest(of_words, (str(rows),), f"{tmp_path}/out/"))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("job",), ["artifact"]),
        (("parts",), [[0, 0, {}]]),
        (("parts", 0, 4), "2"),
        (("tally",), None),
        (("tally", "read"), "2"),
        (("tally", "written"), -1),
        (("tally", "rules"), {"not-finite": None}),
        (("tally", "labels"), [1]),
        (("tally", "confusion"), [[0]]),
        (("tally", "sides"), [[[0]]]),
        (("tally", "labels", 0), 1 << 70),
    ],
    ids=lambda value: ".".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_a_damaged_receipt_is_not_gone_on_with(
    of_words: Verified, tmp_path: Path, path: tuple[str | int, ...], value: Any
) -> None:
    """Whatever is wrong in what a receipt says of unfinished work, to resume it is refused and not a bug of ours."""
    rows = [str(write_rows(tmp_path / name, words())) for name in ("a.csv", "b.csv")]

    def stop(_rows: int, share: float) -> None:
        if share > 0.5:
            raise InterruptedHere

    request = PredictionRequest(of_words, tuple(rows), f"{tmp_path}/out/")
    with pytest.raises(InterruptedHere):
        predict(request, PredictionObserver(progress=lambda: nullcontext(stop)))
    place = tmp_path / "out.receipt.json"
    begun = json.loads(place.read_bytes())
    *above, last = path
    inside = begun["progress"]
    for key in above:
        inside = inside[key]
    inside[last] = value
    place.write_bytes(canonical_json(begun))
    with pytest.raises((ArtifactRejected, ConfigError), match=r"go on|another artifact"):
        predict(replace(request, resume=True))
