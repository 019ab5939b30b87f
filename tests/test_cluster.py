"""Predictions on a Dask cluster: the bytes of one process, whatever dies meanwhile, and nothing unverified."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest

from artifact_pipeline.cli import main
from artifact_pipeline.config import from_mapping
from artifact_pipeline.errors import ArtifactRejected, DataRejected, PipelineError, Problem, StorageError
from artifact_pipeline.prediction import cluster, folders, run
from artifact_pipeline.prediction.destination import Destination
from artifact_pipeline.prediction.folders import Ledger
from artifact_pipeline.prediction.parts import PART, ignore_progress
from artifact_pipeline.prediction.run import PredictionRequest
from artifact_pipeline.prediction.scoring import Options, Scorer
from artifact_pipeline.prediction.workers import answer
from artifact_pipeline.rows.sources import find_sources
from artifact_pipeline.storage import places as storage
from artifact_pipeline.training.candidate import train
from artifact_pipeline.training.publication import publish
from artifact_pipeline.verification import verify
from clusters import Cluster, cluster_without_workers
from tables import blobs, write_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.prediction.outcome import Predictions

pytest.importorskip("distributed")
psutil = pytest.importorskip("psutil")

LENIENT = Options(form="parquet", on_error="quarantine")


class Scene(NamedTuple):
    """An artifact of two columns and labels in words; rows in six files of five formats, one of them with a bad row."""

    folder: Path
    artifact: Verified
    rows: Path


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("scene")
    table = write_table(folder / "trained.parquet", blobs(["no", "yes", "perhaps"]))
    mapping = {"C": 1.0, "solver": "lbfgs", "max_iter": 1000, "dataset": {"path": str(table), "target": "label"}}
    trained = train(from_mapping(mapping), progress=lambda _: None)
    publish(trained, artifact=folder / "artifact", export=folder / "model_train.pkl")
    rows = folder / "rows"
    (rows / "sub").mkdir(parents=True)
    columns = blobs(["no", "yes", "perhaps"], rows=700, seed=5)
    for name in ("a.parquet", "b.csv", "sub/f.parquet"):
        write_table(rows / name, columns)
    np.save(rows / "c.npy", np.stack([columns["width"], columns["height"]], axis=1))
    pairs = zip(columns["width"], columns["height"], strict=True)
    (rows / "d.jsonl").write_text("".join(json.dumps({"width": w, "height": h}) + "\n" for w, h in pairs))
    (rows / "e.csv").write_text("width,height\n1,2\n3,four\n5,6\n")
    return Scene(folder, verify(folder / "artifact"), rows)


@pytest.fixture
def empty_cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A scheduler in a process of its own, and no workers yet."""
    with cluster_without_workers(tmp_path) as found:
        yield found


@pytest.fixture
def there(empty_cluster: Cluster) -> Cluster:
    """A cluster of two workers."""
    for _ in range(2):
        empty_cluster.add()
    return empty_cluster


def predict(
    scene: Scene,
    to: Path,
    *,
    rows: Path | None = None,
    progress: Callable[[int, float], None] = ignore_progress,
    **more: Any,
) -> Predictions:
    request = PredictionRequest(
        scene.artifact, (str(rows or scene.rows),), f"{to}/", **{"on_error": "quarantine", **more}
    )
    return run.predict(request, run.PredictionObserver(progress=lambda: nullcontext(progress)))


def written(to: Path) -> dict[str, bytes]:
    """Everything that a prediction has written, the receipt and the bad rows too."""
    files = [*to.rglob("*"), *to.parent.glob(f"{to.name}.*")]
    return {
        path.relative_to(to.parent).as_posix().replace(to.name, "out", 1): path.read_bytes()
        for path in files
        if path.is_file()
    }


@pytest.fixture(scope="module")
def alone(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> tuple[Predictions, dict[str, bytes]]:
    """What one process makes of the rows."""
    to = tmp_path_factory.mktemp("alone") / "out"
    return predict(scene, to), written(to)


def tasks_of(scene: Scene, to: Path) -> tuple[Any, list[Any]]:
    """The artifact and the tasks that a cluster would be sent."""
    scorer = Scorer(scene.artifact, LENIENT)
    (to / "_rejected").mkdir(parents=True)
    ledger = Ledger(scorer, Destination.of(f"{to}/"), find_sources([str(scene.rows)]))
    return cluster._payload(scorer), list(cluster._tasks(ledger))


# --- the same result


@pytest.mark.slow
def test_cluster_that_is_there_gives_the_bytes_of_one_process(
    scene: Scene, alone: tuple[Predictions, dict[str, bytes]], there: Cluster, tmp_path: Path
) -> None:
    """Two workers of a cluster write the files, the bad rows and the receipt of one process, and show the same rows."""
    made = predict(scene, tmp_path / "out", scheduler=there.address)
    assert written(tmp_path / "out") == alone[1]
    assert (made.counts.samples, made.counts.mistakes) == (alone[0].counts.samples, alone[0].counts.mistakes)
    assert made.scores == alone[0].scores
    assert made.receipt.rows.rejected == 1


@pytest.mark.slow
def test_cluster_of_this_machine(
    scene: Scene, alone: tuple[Predictions, dict[str, bytes]], tmp_path: Path, run: Callable[..., Any]
) -> None:
    """`--workers 2` with relative paths writes the same bytes, is silent on standard error, and leaves no process."""
    shutil.copytree(scene.rows, tmp_path / "rows")
    command = ["predict", "rows", "-o", "out/", "--on-error", "quarantine", "--workers", "2"]
    done = run("-m", "artifact_pipeline", *command, "--artifact", scene.folder / "artifact")
    assert (done.returncode, done.stderr) == (0, "")
    assert written(tmp_path / "out") == alone[1]
    assert not [each for each in psutil.process_iter(["cwd"]) if each.info["cwd"] == str(tmp_path)]


@pytest.mark.slow
def test_workers_take_no_module_from_the_working_folder(scene: Scene, tmp_path: Path, run: Callable[..., Any]) -> None:
    """Files that are named as Python's own modules and stand where `--workers` is typed are not run by the workers."""
    for name in ("multiprocessing", "pickle", "socket", "signal", "msgspec"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write(__name__)")
    door = Path(__file__).resolve().parents[1] / "src" / "inference.py"
    command = [scene.rows / "b.csv", "--output", "out/", "--workers", "1", "--artifact", scene.folder / "artifact"]
    done = run(door, *command)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "ran").exists()


@pytest.mark.slow
@pytest.mark.parametrize("form", ["parquet", "npy"])
def test_killed_worker_changes_nothing(scene: Scene, tmp_path: Path, form: str) -> None:
    """A worker killed at the first finished part of three changes no byte; each part of one file is a task."""
    rows = 2 * PART + 1000
    random = np.random.default_rng(1)
    columns = {"width": random.normal(size=rows), "height": random.normal(size=rows)}
    if form == "npy":
        np.save(tmp_path / "rows.npy", np.stack(list(columns.values()), axis=1))
    else:
        write_table(tmp_path / "rows.parquet", columns)
    file = tmp_path / f"rows.{form}"
    predict(scene, tmp_path / "alone", rows=file, on_error="stop")
    finished: list[int] = []

    def _kill(rows: int, _share: float) -> None:
        finished.append(rows)
        if len(finished) == 1:
            workers = [each for each in psutil.Process().children() if "spawn_main" in " ".join(each.cmdline())]
            assert len(workers) == 2
            workers[0].send_signal(signal.SIGKILL)

    made = predict(scene, tmp_path / "out", workers=2, progress=_kill, rows=file, on_error="stop")
    assert sorted(finished) == [1000, PART, PART]
    assert written(tmp_path / "out") == written(tmp_path / "alone")
    assert made.receipt.rows.read == rows


@pytest.mark.slow
def test_worker_that_is_gone_for_good(
    scene: Scene, alone: tuple[Predictions, dict[str, bytes]], empty_cluster: Cluster, tmp_path: Path
) -> None:
    """The only worker dies after its first part and another one comes: the result is the same, artifact and all."""
    first = empty_cluster.add()

    def _replace(_rows: int, _share: float) -> None:
        if first.poll() is None:
            first.kill()
            first.wait()
            empty_cluster.add()

    predict(scene, tmp_path / "out", scheduler=empty_cluster.address, progress=_replace)
    assert written(tmp_path / "out") == alone[1]


class Stopped(Exception):
    """What ends a run in the middle."""


@pytest.mark.slow
def test_half_done_folder_is_resumed(
    scene: Scene, alone: tuple[Predictions, dict[str, bytes]], there: Cluster, tmp_path: Path
) -> None:
    """What ended after two of six parts goes on, on a cluster or in one process, and gives the same bytes."""

    def _stop(_rows: int, share: float) -> None:
        if share > 0.3:
            raise Stopped

    for name, scheduler in (("cluster", there.address), ("process", None)):
        to = tmp_path / name / "out"
        with pytest.raises(Stopped):
            predict(scene, to, scheduler=there.address, progress=_stop)
        begun = json.loads(to.with_name("out.receipt.json").read_bytes())
        assert (begun["complete"], len(begun["outputs"])) == (False, 2)
        assert predict(scene, to, scheduler=scheduler, resume=True).already == 2
        assert written(to) == alone[1]


# --- what is asked of a worker, here in this process


def test_tasks_and_their_answers(scene: Scene, alone: tuple[Predictions, dict[str, bytes]], tmp_path: Path) -> None:
    """A task is small and has absolute places; its answer is small and plain, and in any order gives one result."""
    to = tmp_path / "out"
    artifact, tasks = tasks_of(scene, to)
    assert [(task.source.name, task.first) for task in tasks] == [
        (name, 0) for name in ("a.parquet", "b.csv", "c.npy", "d.jsonl", "e.csv", "sub/f.parquet")
    ]
    assert all(Path(task.source.place).is_absolute() and Path(task.to.place).is_absolute() for task in tasks)
    done = [answer(artifact, task) for task in reversed(tasks)]
    assert max(len(pickle.dumps(each)) for each in [*tasks, *done]) < 10_000

    def _known(ledger: Ledger) -> None:
        cluster._collect(ledger, done, len(done), lambda *_: None)

    shutil.rmtree(to / "none", ignore_errors=True)
    ledger = Ledger(
        Scorer(scene.artifact, replace(LENIENT, named=True)), Destination.of(f"{to}/"), find_sources([str(scene.rows)])
    )
    _known(ledger)
    assert (ledger.counts.samples, ledger.counts.mistakes) == (alone[0].counts.samples, alone[0].counts.mistakes)
    assert sorted(ledger.digests) == list(range(6))


def test_digest_of_a_source_whose_parts_are_done(scene: Scene, tmp_path: Path) -> None:
    """Where all parts of a Parquet file are done and its digest is not known, one task finds the digest alone."""
    artifact, tasks = tasks_of(scene, tmp_path / "out")
    alone_task = replace(tasks[0], first=None)
    done = answer(artifact, alone_task)
    assert not isinstance(done, PipelineError)
    with storage.opened(str(scene.rows / "a.parquet")) as file, storage.Digesting(file) as digesting:
        assert (done.digest, done.parts) == (f"sha256:{digesting.result()}", [])


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ("model", "file-digest"),
        ("manifest", "digest-unexpected"),
        ("missing", "file-missing"),
        ("more", "file-unlisted"),
        ("path", "file-unlisted"),
        ("digest", "digest-unexpected"),
    ],
)
def test_artifact_that_was_changed_on_its_way_is_refused(scene: Scene, tmp_path: Path, change: str, rule: str) -> None:
    """A worker refuses by name an artifact of which one byte, one file or the digest is another than was sent."""
    artifact, tasks = tasks_of(scene, tmp_path / "out")
    files = dict(artifact.files)
    if change == "model":
        files["model.onnx"] = files["model.onnx"][:-1] + bytes([files["model.onnx"][-1] ^ 1])
    elif change == "manifest":
        files["manifest.json"] = files["manifest.json"].replace(b"lbfgs", b"lbfgt")
    elif change == "missing":
        del files["split.bin"]
    elif change != "digest":
        files["../x" if change == "path" else "x"] = b""
    digest = "sha256:" + 64 * "0" if change == "digest" else artifact.digest
    refused = answer(replace(artifact, files=tuple(files.items()), digest=digest), tasks[0])
    assert isinstance(refused, ArtifactRejected)
    assert refused.rules == {rule}
    assert not list((tmp_path / "out").glob("part*"))


@pytest.mark.slow
def test_changed_artifact_is_refused_on_a_cluster(
    scene: Scene, there: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refusal comes back from the worker as itself: its kind, its rule, its words."""
    payload = cluster._payload

    def _changed(scorer: Scorer) -> Any:
        artifact = payload(scorer)
        files = dict(artifact.files)
        files["model.onnx"] += b"\0"
        return replace(artifact, files=tuple(files.items()))

    monkeypatch.setattr(cluster, "_payload", _changed)
    with pytest.raises(ArtifactRejected) as refused:
        predict(scene, tmp_path / "out", scheduler=there.address)
    assert refused.value.rules == {"file-size"}
    assert "model.onnx" in str(refused.value)
    assert refused.value.hint


def test_another_environment_is_refused(scene: Scene, tmp_path: Path) -> None:
    """A worker with other packages than the client's is refused, since the receipt tells of one environment."""
    artifact, tasks = tasks_of(scene, tmp_path / "out")
    refused = answer(replace(artifact, environment="CPython 2.7, numpy 1"), tasks[0])
    assert isinstance(refused, PipelineError)
    assert refused.rules == {"worker-environment"}
    assert "CPython 2.7" in str(refused)


def test_another_file_than_the_clients_is_refused(scene: Scene, tmp_path: Path) -> None:
    """A file that differs from the client's in size or time is refused, before a part of it is written."""
    artifact, tasks = tasks_of(scene, tmp_path / "out")
    for task in tasks:
        refused = answer(artifact, replace(task, stamp="1-2"))
        assert isinstance(refused, DataRejected)
        assert refused.rules == {"changed"}
        assert "rsync -t" in (refused.hint or "")
    gone = replace(tasks[0], source=replace(tasks[0].source, place="/nowhere/a.parquet"))
    refused = answer(artifact, gone)
    assert isinstance(refused, DataRejected)
    assert refused.rules == {"missing-file"}
    assert "same paths" in (refused.hint or "")
    assert not list((tmp_path / "out").glob("part*"))


def test_failure_that_may_pass_is_tried_again(scene: Scene, tmp_path: Path) -> None:
    """A part that cannot be written, and rows that cannot be read, are raised, so that Dask tries again."""
    artifact, tasks = tasks_of(scene, tmp_path / "out")
    with pytest.raises(StorageError):
        answer(artifact, replace(tasks[0], to=replace(tasks[0].to, place="/nowhere/out")))
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"nothing")
    with pytest.raises(DataRejected) as refused:
        answer(artifact, replace(tasks[0], source=replace(tasks[0].source, place=str(broken))))
    assert refused.value.rules == {"unreadable"}


@pytest.mark.parametrize("kind", [PipelineError, *PipelineError.__subclasses__()])
def test_errors_cross_as_themselves(kind: type[PipelineError]) -> None:
    """An error that crosses between processes keeps its kind, its problems and its hint."""
    before = kind("it is wrong", problems=[Problem("a.csv, row 3", "not-a-number", "holds 'four'")], hint="mend it")
    after = pickle.loads(pickle.dumps(before))
    assert type(after) is kind
    assert (after.message, after.problems, after.hint, str(after)) == (
        before.message, before.problems, before.hint, str(before),
    )  # fmt: skip


# --- what goes wrong


@pytest.mark.slow
def test_bad_row_on_a_worker(scene: Scene, there: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A bad row that a worker meets ends with status 5 and names its file, row and column, also when resumed."""
    shutil.copytree(scene.rows, tmp_path / "rows")
    command = ["predict", str(tmp_path / "rows"), "-o", f"{tmp_path}/out/", "--scheduler", there.address]
    command += ["--artifact", str(scene.folder / "artifact"), "--quiet"]
    assert main(command) == 5
    assert "  e.csv, row 1, column 'height': " in capsys.readouterr().err
    assert not (tmp_path / "out" / "part-00004-00000.parquet").exists()
    assert main([*command, "--resume"]) == 5  # it is still there


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "found"),
    [
        ("import sys; sys.modules['artifact_pipeline'] = None", "cannot load it"),
        ("import artifact_pipeline; artifact_pipeline.__version__ = '0.0.1'", "has 0.0.1"),
    ],
    ids=["none", "another"],
)
def test_worker_without_the_package(scene: Scene, there: Cluster, tmp_path: Path, before: str, found: str) -> None:
    """A worker that has not the client's package is one error that names it, before anything is sent."""
    from distributed import Client

    there.add(before)
    with Client(there.address, set_as_default=False) as client:
        client.wait_for_workers(3, timeout=60)
    with pytest.raises(PipelineError, match=found) as refused:
        predict(scene, tmp_path / "out", scheduler=there.address)
    assert [problem.rule for problem in refused.value.problems] == ["worker-version"]
    assert "artifact-pipeline[scale]" in (refused.value.hint or "")


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "127.0.0.1", "nonsense://host:1"])
def test_nobody_answers(scene: Scene, tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address where no scheduler is ends in bounded time with one error that names it."""
    monkeypatch.setattr(cluster, "TIMEOUT", 1)
    with pytest.raises(PipelineError, match="does not answer") as refused:
        predict(scene, tmp_path / "out", scheduler=address)
    assert address in refused.value.message
    assert "dask scheduler" in (refused.value.hint or "")


@pytest.mark.slow
def test_scheduler_without_workers(
    scene: Scene, empty_cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scheduler that has no worker is one error, and is not waited for."""
    monkeypatch.setattr(cluster, "TIMEOUT", 2)
    with pytest.raises(PipelineError, match="has no workers"):
        predict(scene, tmp_path / "out", scheduler=empty_cluster.address)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rows", "-o", "out/", "--workers", "2", "--scheduler", "tcp://host:1"], "leave one out"),
        (["-", "--from", "csv", "-o", "out/", "--workers", "2"], "a cluster cannot read standard input"),
        (["rows", "-o", "out.csv", "--workers", "2"], "a cluster writes a folder of parts"),
    ],
)
def test_option_that_makes_no_sense(
    scene: Scene,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    """What a cluster cannot do is refused as an option, with status 2, before anything is started."""
    monkeypatch.chdir(scene.folder)
    out = [argument.replace("out", f"{tmp_path}/out") for argument in arguments]
    assert main(["predict", *out, "--quiet"]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("package", ["distributed", "cryptography"])
def test_extra_that_is_missing(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], package: str
) -> None:
    """Without the extra, the error names the package and the extra that brings it."""
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.chdir(scene.folder)
    assert main(["predict", "rows", "-o", f"{tmp_path}/out/", "--workers", "1", "--quiet"]) == 1
    err = capsys.readouterr().err
    assert f"error: the package {package} is not installed" in err
    assert "pip install 'artifact-pipeline[scale]'" in err


def test_end_of_a_cluster_is_said() -> None:
    """A part that kills its workers, and a scheduler that is gone, are one error each that names the way on."""
    from concurrent.futures import CancelledError

    from distributed.scheduler import KilledWorker

    class Future:
        def __init__(self, error: Exception) -> None:
            self._error = error

        def result(self) -> None:
            raise self._error

    killed = KilledWorker(task="answer-1", last_worker=None, allowed_failures=3)
    for error, words in (
        (killed, "4 workers died one after another"),
        (CancelledError(), "the Dask scheduler is gone"),
    ):
        with pytest.raises(PipelineError, match=words) as refused:
            cluster._result(Future(error))
        assert "--resume" in (refused.value.hint or "")


@pytest.mark.slow
def test_ctrl_c_ends_the_workers_too(scene: Scene, tmp_path: Path) -> None:
    """A Ctrl-C, which a terminal sends to every process, gives one line, status 130, and leaves no worker behind."""
    columns = {name: np.zeros(4 * PART) for name in ("width", "height")}
    write_table(tmp_path / "rows.parquet", columns)
    command = [sys.executable, "-m", "artifact_pipeline", "predict", "rows.parquet", "-o", "out/", "--workers", "2"]
    running = subprocess.Popen(
        [*command, "--artifact", str(scene.folder / "artifact")],
        cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    while not list(tmp_path.glob("out/.part*")):  # a worker writes
        assert running.poll() is None
    os.killpg(running.pid, signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert (running.returncode, err) == (130, "error: interrupted; nothing is left half-written\n")
    assert not [each for each in psutil.process_iter(["cwd"]) if each.info["cwd"] == str(tmp_path)]


# --- the ledger


def test_saving_takes_a_tenth_of_the_time_at_most(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the receipt gets, saving it after each part costs a tenth of the time; the last state is saved."""
    artifact, tasks = tasks_of(scene, tmp_path / "out")
    done = answer(artifact, tasks[0])
    now, saving = [0.0], [0.0]
    write = storage.write

    def _slowly(place: str, data: bytes) -> None:
        now[0] += 2.0
        saving[0] += 2.0
        write(place, data)

    monkeypatch.setattr(folders.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(storage, "write", _slowly)
    ledger = Ledger(
        Scorer(scene.artifact, LENIENT), Destination.of(f"{tmp_path}/out/"), find_sources([str(scene.rows)])
    )

    def _results() -> Iterator[Any]:
        for number in range(500):
            now[0] += 1.0
            yield replace(done, digest=None, parts=[(number, *done.parts[0][1:])])

    cluster._collect(ledger, _results(), 500, lambda *_: None)
    assert 0.05 < saving[0] / now[0] <= 0.12
    ledger.flush()
    assert len(json.loads((tmp_path / "out.receipt.json").read_bytes())["outputs"]) == 500
