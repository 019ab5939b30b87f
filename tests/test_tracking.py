"""`export mlflow`: a real server of MLflow, asked by its own client; and what a hostile or dying server gets."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from artifact_pipeline import open_artifact, train
from artifact_pipeline.cli import main
from artifact_pipeline.digits.dataset import load_digits
from artifact_pipeline.errors import ConfigError, PipelineError, StorageError
from artifact_pipeline.reports import mlflow_export
from artifact_pipeline.reports.facts import facts_of
from artifact_pipeline.reports.mlflow_export import Exported, ExportRequest, export_to_mlflow
from artifact_pipeline.reports.mlflow_run import mlflow_files, run_files, tensor_columns
from artifact_pipeline.reports.mlflow_server import checked_url
from artifact_pipeline.verification import verify
from mixedmodels import COLUMNS, FOREST, new_rows, train_mixed
from trackers import Answers, answering, ask, tracking

if TYPE_CHECKING:
    from collections.abc import Iterator

GOLDEN = Path(__file__).parent / "golden" / "v2"
DIGITS = GOLDEN / "digits"
SECRET = "s3cr3t-t0ken"


def export(artifact: Path, uri: str, environment: dict[str, str] | None = None, **options: str) -> Exported:
    return export_to_mlflow(ExportRequest(artifact, uri, **options), environment or {})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One server for the tests of this module, each with names of its own."""
    with tracking(tmp_path_factory.mktemp("mlflow")) as uri:
        yield uri


def named(name: str) -> dict[str, str]:
    return {"experiment": name, "model": name}


def experiment(identifier: str, location: str) -> tuple[int, dict[str, str], bytes]:
    """The answer of a server that has this experiment."""
    found = {"experiment_id": identifier, "artifact_location": location}
    return 200, {}, json.dumps({"experiment": found}).encode()


# --- without a server


@pytest.mark.parametrize(
    ("uri", "words", "hint"),
    [
        (None, "no server of MLflow is named", "or set MLFLOW_TRACKING_URI"),
        ("file:///runs", "must be http:// or https://", "mlflow server --backend-store-uri file:///runs"),
        ("mlruns", "must be http:// or https://", "mlflow server --backend-store-uri mlruns"),
        ("sqlite:///x.db", "must be http:// or https://", "mlflow server --backend-store-uri sqlite:///x.db"),
        ("databricks", "must be http:// or https://", "mlflow server"),
        ("https://", "must be http:// or https://", "--tracking-uri http://127.0.0.1:5000"),
        ("http://[::1", "must be http:// or https://", "mlflow server"),
        ("http://a\nb", "must be http:// or https://", "--tracking-uri http://127.0.0.1:5000"),
        ("http://me:word@host", "holds a name, a password or a query", "--tracking-uri http://host"),
        ("http://host/?token=x", "holds a name, a password or a query", "--tracking-uri http://host"),
    ],
)
def test_an_address_that_is_no_server_is_refused(uri: str | None, words: str, hint: str) -> None:
    """What is no address of a server is refused with what to type; a password in it is not shown."""
    with pytest.raises(ConfigError) as caught:
        checked_url(uri)
    assert words in caught.value.message
    assert hint in (caught.value.hint or "")
    assert "word@" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("alias", ["latest", "v3", "a b", "", "x" * 256, "ä"])
def test_an_alias_that_mlflow_does_not_take_is_refused_first(alias: str) -> None:
    """It is refused before a server is asked."""
    with pytest.raises(ConfigError, match="--alias"):
        export(DIGITS, "http://127.0.0.1:1", alias=alias)
    with pytest.raises(ConfigError, match="--model"):
        export(DIGITS, "http://127.0.0.1:1", model="a'b")


def test_variables_of_mlflow_that_would_weaken_or_break_a_request_are_refused() -> None:
    """An unchecked certificate is refused by the variable's name, and so is a token with a line break."""
    with pytest.raises(ConfigError, match="MLFLOW_TRACKING_INSECURE_TLS"):
        export(DIGITS, "https://127.0.0.1:1", {"MLFLOW_TRACKING_INSECURE_TLS": "true"})
    for token in (f"{SECRET}€", f"{SECRET}\r\nX: y"):
        with pytest.raises(ConfigError, match="MLFLOW_TRACKING_TOKEN") as caught:
            export(DIGITS, "http://127.0.0.1:1", {"MLFLOW_TRACKING_TOKEN": token})
        assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("environment", "header"),
    [
        ({"MLFLOW_TRACKING_TOKEN": SECRET}, f"Bearer {SECRET}"),
        ({"MLFLOW_TRACKING_USERNAME": "me", "MLFLOW_TRACKING_PASSWORD": "pass"}, "Basic bWU6cGFzcw=="),
        ({}, None),
    ],
)
def test_credentials_come_from_the_environment(environment: dict[str, str], header: str | None) -> None:
    """Token or name and password, as MLflow's own client reads them, stand in the header and in no message."""
    answers = Answers(scripted=(401, {}, b'{"message": "no"}'))
    with answering(answers) as uri, pytest.raises(StorageError, match="refuses the credentials") as caught:
        export_to_mlflow(ExportRequest(DIGITS), {**environment, "MLFLOW_TRACKING_URI": uri})
    assert [headers.get("Authorization") for _, _, headers in answers.requests] == [header]
    assert not any(secret in f"{caught.value} {caught.value.hint}" for secret in (SECRET, "pass ", "bWU6"))


def test_a_redirect_is_not_followed() -> None:
    """A server that leads elsewhere is refused: the other host hears nothing, and so no credentials."""
    other = Answers()
    with answering(other) as elsewhere:
        answers = Answers(scripted=(302, {"Location": f"{elsewhere}/steal"}, b""))
        with answering(answers) as uri, pytest.raises(StorageError, match="redirects") as caught:
            export(DIGITS, uri, {"MLFLOW_TRACKING_TOKEN": SECRET})
    assert other.requests == []
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((200, {}, b"<html>"), "is no server of MLflow"),
        ((404, {}, b"<html>"), "is no server of MLflow"),
        ((200, {}, b"[1]"), "is no server of MLflow"),
        ((200, {}, b"[" * 100_000), "is no server of MLflow"),
        ((400, {}, b'{"error_code": "X", "message": "a\\u001b[31mb"}'), "refuses experiments/get-by-name (400)"),
        (experiment("../../x", "mlflow-artifacts:/1"), "names a run or an experiment"),
        (experiment("1", "s3://b/1"), "and not with the server"),
        (experiment("1", "mlflow-artifacts://evil/1"), "and not with the server"),
        (experiment("1", "mlflow-artifacts:/a/../../b"), "and not with the server"),
        ((200, {}, b'{"experiment": {"experiment_id": "1", "lifecycle_stage": "deleted"}}'), "is deleted"),
        ((200, {}, b" " * ((16 << 20) + 1)), "has more than 16,777,216 bytes"),
    ],
)
def test_what_is_no_answer_of_mlflow_is_refused(answer: tuple[int, dict[str, str], bytes], words: str) -> None:
    """Other pages, other shapes, other hosts and endless answers end in one sentence with what to do."""
    with answering(Answers(scripted=answer)) as uri, pytest.raises(StorageError) as caught:
        export(DIGITS, uri)
    assert words in caught.value.message
    assert caught.value.hint


def test_only_what_changes_nothing_is_asked_again() -> None:
    """A server that is busy is asked three times for a list."""
    answers = Answers(scripted=(503, {"Retry-After": "86400"}, b""))
    with answering(answers) as uri, pytest.raises(StorageError):
        export(DIGITS, uri)
    assert [path.partition("?")[0].rpartition("/")[2] for _, path, _ in answers.requests] == ["get-by-name"] * 3


def test_nothing_is_asked_of_a_server_about_an_artifact_that_is_refused(tmp_path: Path) -> None:
    """The artifact is verified before a byte is sent."""
    artifact = shutil.copytree(DIGITS, tmp_path / "artifact")
    (artifact / "split.bin").write_bytes(b"")
    answers = Answers()
    with answering(answers) as uri:
        assert main(["export", "mlflow", str(artifact), "--tracking-uri", uri]) == 4
        assert main(["export", "mlflow", str(DIGITS), "--tracking-uri", uri, "--expect", f"sha256:{'0' * 64}"]) == 4
    assert answers.requests == []


def test_a_server_that_is_not_there_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """The status is 8, and the message names the server and why."""
    assert main(["export", "mlflow", str(DIGITS), "--tracking-uri", "http://127.0.0.1:1"]) == 8
    assert "http://127.0.0.1:1 does not answer: Failed to establish" in capsys.readouterr().err


def test_without_the_extra_one_sentence_says_what_to_install(tmp_path: Path) -> None:
    """Where urllib3 is not installed, the error names the extra that brings it."""
    (tmp_path / "urllib3.py").write_text("raise ModuleNotFoundError(name='urllib3')")
    done = subprocess.run(
        [sys.executable, "-m", "artifact_pipeline", "export", "mlflow", DIGITS, "--tracking-uri", "http://127.0.0.1:1"],
        env={"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[1] / 'src'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "hint: pip install 'artifact-pipeline[track]' brings what trackers and registries need" in done.stderr


def test_model_files_are_a_function_of_the_artifact(tmp_path: Path) -> None:
    """`MLmodel` names the tensors, their columns and types, and no time; a table's two tensors stand apart."""
    assert mlflow_files(verify(DIGITS)) == mlflow_files(verify(DIGITS))
    verified = verify(train_mixed(tmp_path, FOREST))
    assert tensor_columns(verified.manifest) == {
        "X": ["age", "income", "made", "smoker"], "S": ["city", "plan"]
    }  # fmt: skip
    files = run_files(verified)
    assert files["artifact/manifest.json"] == (tmp_path / "artifact" / "manifest.json").read_bytes()
    assert {"model/MLmodel", "model/model.onnx", "report.html", "model_card.md", "bom.json"} <= files.keys()


def test_a_run_has_a_page_without_what_draws_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where matplotlib is not installed, the page of a run is Markdown."""
    monkeypatch.setattr("artifact_pipeline.reports.page.request.find_spec", lambda _: None)
    files = run_files(verify(DIGITS))
    assert "report.html" not in files
    assert b"0.9750" in files["report.md"]


def test_the_page_of_a_run_leaves_nothing_under_home(tmp_path: Path) -> None:
    """The page is drawn without matplotlib's settings and caches of the user, as the report is."""
    code = (
        "import sys; from pathlib import Path; from artifact_pipeline.verification import verify\n"
        "from artifact_pipeline.reports.mlflow_run import run_files\n"
        "assert 'report.html' in run_files(verify(Path(sys.argv[1])))"
    )
    home = tmp_path / "home"
    home.mkdir()
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)}
    subprocess.run([sys.executable, "-c", code, str(DIGITS)], cwd=tmp_path, env=environment, check=True)
    assert list(home.iterdir()) == []


# --- a real server


@pytest.mark.slow
def test_digits_in_mlflow(server: str, tmp_path: Path) -> None:
    """MLflow's own client lists all that was sent; `pyfunc` loads the model and gives our labels for 1,797 rows."""
    rows = load_digits().X.astype(np.float64)
    np.savez(tmp_path / "rows.npz", X=rows)
    first = export(DIGITS, server, **named("digits"), alias="champion")
    assert (first.outcome, first.version, first.alias) == ("exported", "1", "champion")
    again = export(DIGITS, server, **named("digits"), alias="champion")
    assert (again.outcome, again.run, again.version) == ("already there", first.run, "1")
    found = ask(server, "digits", tmp_path / "rows.npz", tmp_path)
    facts = facts_of(verify(DIGITS))
    (version,) = found["versions"]
    assert (version["run"], found["aliases"]) == (first.run, {"champion": "1"})
    assert version["tags"] == {"artifact_digest": facts.artifact, "model_digest": facts.model, "gate": "passed"}
    (run,) = found["runs"]
    assert (run["status"], run["params"], run["metrics"]) == ("FINISHED", facts.params, facts.metrics)
    assert run["tags"].items() >= version["tags"].items()
    assert "0.9532 to 0.9868" in run["tags"]["mlflow.note.content"]
    (dataset,) = run["datasets"]
    assert json.loads(dataset["source"])["digest"] == facts.data[0]["digest"]
    assert dataset["tags"] == {"mlflow.data.context": "training"}
    assert set(run["files"]) == set(run_files(verify(DIGITS)))
    assert found["labels"] == open_artifact(DIGITS).predict(rows).tolist()
    assert verify(Path(found["folder"]), expect=facts.artifact).digest == facts.artifact


@pytest.mark.slow
def test_mixed_table_in_mlflow(server: str, tmp_path: Path) -> None:
    """A model of numbers, booleans, categories and missing values answers two tensors with our labels."""
    artifact = train_mixed(tmp_path, FOREST)
    export(artifact, server, **named("mixed"))
    rows = [row for row in new_rows() if row[3] != " NA "]
    table = {name: [row[place] for row in rows] for place, name in enumerate(COLUMNS)}
    columns = tensor_columns(verify(artifact).manifest)
    numbers = [[np.nan if each is None else float(each) for each in table[name]] for name in columns["X"]]
    texts = [["" if each is None else each for each in table[name]] for name in columns["S"]]
    np.savez(tmp_path / "rows.npz", X=np.array(numbers).T, S=np.array(texts).T)
    found = ask(server, "mixed", tmp_path / "rows.npz", tmp_path)
    assert found["columns"] == columns
    assert found["labels"] == open_artifact(artifact).predict(table).tolist()
    assert found["runs"][0]["params"]["model.estimator"] == "RandomForestClassifier"


@pytest.mark.slow
def test_alias_moves_only_for_a_gate_that_passed(server: str, tmp_path: Path) -> None:
    """A failed model is exported and registered, and the alias stays at the one before."""
    config: dict[str, Any] = {"C": 1.0, "solver": "lbfgs", "max_iter": 1000}
    good = train(config, artifact=tmp_path / "artifact")
    with pytest.raises(PipelineError) as caught:
        train({**config, "C": 0.5, "gate": {"min_accuracy": 0.999}}, artifact=tmp_path / "artifact")
    failed = caught.value.result.folder
    assert export(good.folder, server, **named("gated"), alias="champion").alias == "champion"
    second = export(failed, server, **named("gated"), alias="champion")
    assert (second.version, second.alias) == ("2", None)
    assert second.notes == ("the gate did not pass: the alias champion stays where it is",)
    found = ask(server, "gated")
    assert found["aliases"] == {"champion": "1"}
    assert [each["tags"]["gate"] for each in found["versions"]] == ["passed", "failed"]


@pytest.mark.slow
def test_limits_of_mlflow_are_kept_and_said(server: str, tmp_path: Path) -> None:
    """A value beyond MLflow's limit is shortened and said; hundreds of parameters go in several requests."""
    drop = [f"column_{index}_{'x' * 60}" for index in range(120)]
    weights = {str(label): 1.0 + label / 10 for label in range(10)}
    config = {"C": 1.0, "solver": "lbfgs", "max_iter": 1000, "class_weight": weights, "name": "long"}
    table = tmp_path / "rows.csv"
    digits = load_digits()
    lines = [",".join([*digits.names[:8], *drop, "label"])]
    lines += [
        ",".join([*(f"{value:g}" for value in row[:8]), *["0"] * 120, str(label)])
        for row, label in zip(digits.X[:600], digits.y[:600], strict=True)
    ]
    table.write_text("\n".join(lines) + "\n")
    gate = {"min_accuracy": 0.1}
    config |= {"dataset": {"path": str(table), "target": "label", "drop": drop}, "gate": gate}
    done = export(train(config, artifact=tmp_path / "artifact").folder, server, **named("long"))
    assert done.notes[0].startswith("1 parameter shortened to MLflow's limits, 250 characters of a name and 6,000")
    params = ask(server, "long")["runs"][0]["params"]
    assert len(params["dataset.drop"]) == 6000
    assert params["class_weight.3"] == "1.3"


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_an_export_that_is_cut_off_is_completed_by_the_next(
    server: str,
    after: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Cut at a request, before or after the server has done it: the next try leaves one whole run and version.

    Of the dozen requests that each send a file, it is cut at the first and the last.
    """
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # as without the extra: no plots, of which each takes a second
    whole = Answers(upstream=server)
    with answering(whole) as uri:
        export(DIGITS, uri, **named(f"cut {after} 0"), alias="champion")
    done = {}
    files = [at for at, (method, *_) in enumerate(whole.requests, 1) if method == "PUT"]
    for at in sorted({*range(1, len(whole.requests) + 1)} - {*files[1:-1]}):
        name = f"cut {after} {at}"
        with answering(Answers(upstream=server, cut_at=at, after=after)) as uri, pytest.raises(StorageError):
            export(DIGITS, uri, **named(name), alias="champion")
        done[name] = export(DIGITS, server, **named(name), alias="champion")
    sent = set(run_files(verify(DIGITS)))
    for name, found in ask(server, "--each", *done).items():
        assert [each["run"] for each in found["versions"]] == [done[name].run], name
        assert [(each["run"], each["status"]) for each in found["runs"]] == [(done[name].run, "FINISHED")], name
        assert found["aliases"] == {"champion": done[name].version}, name
        assert set(found["runs"][0]["files"]) == sent, name
    assert {each.outcome for each in done.values()} >= {"exported", "completed"}


@pytest.mark.slow
def test_a_run_that_could_not_be_filled_is_marked_as_failed(server: str) -> None:
    """Where filling a run fails and the server lives, the run says that it failed, and the next export completes it."""
    name = "marked"

    def refused(*_: object, **__: object) -> list[str]:
        raise StorageError("the disk is full")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mlflow_export, "fill", refused)
        with pytest.raises(StorageError):
            export(DIGITS, server, **named(name))
    assert [each["status"] for each in ask(server, name)["runs"]] == ["FAILED"]
    assert export(DIGITS, server, **named(name)).outcome == "completed"
    assert [each["status"] for each in ask(server, name)["runs"]] == ["FINISHED"]


@pytest.mark.slow
def test_exports_at_once_leave_one_version(server: str) -> None:
    """Four exports of one digest at once end well, all with the same run and the one version that there is."""
    export(GOLDEN / "GaussianNB", server, **named("at once"))  # the experiment and the model are there
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: export(DIGITS, server, **named("at once")), range(4)))
    found = ask(server, "at once")
    digest = verify(DIGITS).digest
    versions = [each for each in found["versions"] if each["tags"]["artifact_digest"] == digest]
    assert len(versions) == 1
    assert {each.version for each in done} == {versions[0]["version"]}
    assert {each.run for each in done} == {versions[0]["run"]}
    runs = [each for each in found["runs"] if each["tags"]["artifact_digest"] == digest]
    assert [(each["run"], each["status"]) for each in runs] == [(versions[0]["run"], "FINISHED")]


@pytest.mark.slow
def test_a_server_that_keeps_files_elsewhere_is_refused(tmp_path: Path) -> None:
    """Without --serve-artifacts only a client that reaches the files can write them: no run is made."""
    with tracking(tmp_path, "--no-serve-artifacts", "--default-artifact-root", str(tmp_path / "elsewhere")) as uri:
        with pytest.raises(StorageError, match="and not with the server"):
            export(DIGITS, uri, **named("elsewhere"))
        assert ask(uri, "elsewhere")["runs"] == []
