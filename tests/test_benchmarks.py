"""The benchmarks: both sides do the same job, and the report shows both. No time is asserted."""

from __future__ import annotations

import json
import re
import shutil
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from benchmarks.environments import PACKAGES, locked
from benchmarks.serving_load import Target, memory, put_load
from benchmarks.serving_servers import Answer, Server, plain_call, protocol_call, protocol_labels, started
from benchmarks.tables import compare, train
from benchmarks.tables_automl import write_mixed
from benchmarks.tables_sources import StrangerTable

from conftest import ROOT
from tools import require_tool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from subprocess import CompletedProcess

    from artifact_pipeline.training.sealed import Candidate


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """The folder of the bare scripts, as the benchmark fills it."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    for script in ROOT.glob("benchmarks/bare_*.py"):
        shutil.copy(script, tmp_path)
    return tmp_path


@pytest.mark.slow
def test_the_bare_scripts_score_as_we_do(
    bare: Path, run: Callable[..., CompletedProcess[str]], candidate: Candidate
) -> None:
    """The bare scripts and the pipeline get the same accuracy and F1 to four digits, held out and over all rows."""
    metrics = candidate.manifest.metrics
    for script, accuracy, f1 in (
        ("bare_train.py", metrics.held_out.accuracy.value, metrics.held_out.f1_weighted.value),
        ("bare_inference.py", metrics.all.accuracy, metrics.all.f1_weighted),
    ):
        process = run(script, cwd=bare)
        assert process.returncode == 0, process.stderr
        told = dict(line.split() for line in process.stdout.splitlines())
        assert {name: f"{float(value):.4f}" for name, value in told.items()} == {
            "accuracy": f"{accuracy:.4f}",
            "f1_weighted": f"{f1:.4f}",
        }


def test_the_bare_environment_is_cut_out_of_the_lock() -> None:
    """The bare scripts' requirements are lines of the lock, every package with its hashes."""
    lock = (ROOT / "requirements.txt").read_text().splitlines()
    lines = locked("\n".join(lock)).splitlines()
    heads = [at for at, line in enumerate(lines) if not line.startswith(" ")]
    assert {lines[at].split("==")[0] for at in heads} == set(PACKAGES)
    assert all("--hash=sha256:" in lines[at + 1] for at in heads)
    assert set(lines) <= set(lock)


@pytest.mark.parametrize("name", ["spine", "batch"])
def test_help_says_what_can_be_chosen(run: Callable[..., CompletedProcess[str]], name: str) -> None:
    """`--help` of a benchmark names every option, and measures nothing."""
    process = run("-m", f"benchmarks.{name}", "--help", cwd=ROOT)
    assert process.returncode == 0
    assert all(option in process.stdout for option in ("--runs", "--quick", "--json", "--bare-python"))


@pytest.mark.slow
def test_batches_answer_as_scikit_learn_does(run: Callable[..., CompletedProcess[str]], tmp_path: Path) -> None:
    """Over 20,000 rows `predict` gives scikit-learn's labels but for ties, and every side's figures are reported."""
    file = tmp_path / "batch.json"
    options = ("--sizes", "20000", "--quick", "--runs", "1", "--pandas-up-to", "0", "--folder", tmp_path)
    process = run("-m", "benchmarks.batch", *options, "--bare-python", sys.executable, "--json", file, cwd=ROOT)
    assert process.returncode == 0, process.stderr
    result = json.loads(file.read_text())
    sides = [each["side"] for each in result["measured"]]
    assert sides == ["limit", "predict --no-drift", "predict", "scikit-learn in batches"]
    assert all(each["cpu"] > 0 and each["peak"] > 0 for each in result["measured"])
    told = re.fullmatch(r"labels of 20,000 continuous rows: (\d+) differ .*, (\d+) of them ties", result["labels"][0])
    assert told is not None
    assert told[1] == told[2]


@pytest.mark.parametrize("name", ["batch", "serving"])
def test_what_peers_need_is_locked_with_ours(name: str) -> None:
    """What a benchmark's own environment shares with the lock has the same version in both, with hashes."""
    pin = re.compile(r"^([a-z0-9._-]+)(?:\[\S+\])?==(\S+) .*\\\n +--hash=sha256:", flags=re.MULTILINE)
    theirs, ours = (
        dict(pin.findall(file.read_text())) for file in (ROOT / "benchmarks" / f"{name}.txt", ROOT / "requirements.txt")
    )
    assert len(theirs) > 5
    assert not {name for name in theirs.keys() & ours.keys() if theirs[name] != ours[name]}
    asked = (ROOT / "benchmarks" / f"{name}.in").read_text().splitlines()[1:]
    assert set(asked) <= set(theirs)


def test_help_of_serving_says_what_can_be_chosen(run: Callable[..., CompletedProcess[str]]) -> None:
    """`--help` of the benchmark of servers names every option, and starts nothing."""
    process = run("-m", "benchmarks.serving", "--help", cwd=ROOT)
    assert process.returncode == 0
    options = ("--seconds", "--repeats", "--servers", "--rows", "--json", "--bare-python")
    assert all(option in process.stdout for option in options)


def test_requests_by_the_protocol_hold_the_rows() -> None:
    """As JSON and as bytes, a request of the benchmark holds the shape and every number."""
    X = np.arange(128, dtype=np.float32).reshape(2, 64)
    text = json.loads(protocol_call("/", X, binary=False).body)["inputs"][0]
    assert text == {"name": "X", "shape": [2, 64], "datatype": "FP64", "data": list(range(128))}
    call = protocol_call("/", X, binary=True)
    at = int(call.headers["Inference-Header-Content-Length"])
    head = json.loads(call.body[:at])
    assert head["parameters"] == {"binary_data_output": True}
    assert head["inputs"][0]["parameters"] == {"binary_data_size": len(call.body) - at}
    assert np.frombuffer(call.body[at:], "<f4").tolist() == X.ravel().tolist()


def test_labels_are_found_in_both_forms() -> None:
    """The labels of an answer by the protocol are found as JSON, and as bytes that follow another tensor."""
    label = {"name": "label", "shape": [2], "datatype": "INT64"}
    assert protocol_labels(Answer(200, json.dumps({"outputs": [{**label, "data": [3, 8]}]}).encode(), {})) == [3, 8]
    shares = {"name": "p", "shape": [1], "datatype": "FP64", "parameters": {"binary_data_size": 8}}
    head = json.dumps({"outputs": [shares, {**label, "parameters": {"binary_data_size": 16}}]}).encode()
    body = head + np.array([0.5]).tobytes() + np.array([3, 8], "<i8").tobytes()
    assert protocol_labels(Answer(200, body, {"inference-header-content-length": str(len(head))})) == [3, 8]


@pytest.mark.slow
def test_load_is_accounted_for_and_must_be_answered_by_200(tmp_path: Path) -> None:
    """The bare server's CPU, rate, latency and memory under load are measured; a load that gets a 500 is refused."""
    require_tool("wrk")
    (tmp_path / "answers").mkdir()
    (tmp_path / "answers" / "predict").write_bytes(b"{}")
    script = ROOT / "benchmarks" / "serving_peers" / "bare_server.py"
    bare = Server("bare", (sys.executable, str(script), "{port}"), ("json",), plain_call, None)
    call = plain_call(np.zeros((1, 64), dtype=np.float32), "json")
    body = tmp_path / "body"
    body.write_bytes(call.body)
    with started(bare, tmp_path, call, None) as running:
        assert running.ask(call).body == b"{}"
        target = Target(f"{running.url}/predict", running.session, body, call.headers)
        load = put_load(target, connections=2, seconds=1, core=None)
        held = memory(running.session)
        with pytest.raises(RuntimeError, match=r"([1-9]\d*) of \1 not 200"):
            put_load(Target(f"{running.url}/else", running.session, body, {}), connections=1, seconds=1, core=None)
    assert load.requests > 0
    assert 0 < load.cpu < 1e6
    assert 0 < load.p50 <= load.p99
    assert held.processes == 1
    assert held.resident >= held.proportional > 1


def test_a_server_that_ends_is_told_with_its_words(tmp_path: Path) -> None:
    """A server that ends before it answers is no server, and what it said is repeated."""
    broken = Server("broken", (sys.executable, "-c", "raise SystemExit('no model')"), ("json",), plain_call, None)
    call = plain_call(np.zeros((1, 64), dtype=np.float32), "json")
    with pytest.raises(RuntimeError, match="broken did not get ready: no model"), started(broken, tmp_path, call, None):
        pass


@pytest.mark.slow
def test_servers_answer_as_scikit_learn_does(run: Callable[..., CompletedProcess[str]], tmp_path: Path) -> None:
    """`serve` gives scikit-learn's labels for all digits in both forms, and is reported beside the limit."""
    require_tool("wrk")
    file = tmp_path / "serving.json"
    options = ("--seconds", "1", "--repeats", "1", "--rows", "1", "--servers", "bare", "ours")
    process = run("-m", "benchmarks.serving", *options, "--bare-python", sys.executable, "--json", file, cwd=ROOT)
    assert process.returncode == 0, process.stderr
    result = json.loads(file.read_text())
    loads = {(each["form"], each["connections"], each["server"]) for each in result["measured"]}
    assert loads == {(form, at, name) for form in ("json", "binary") for at in (1, 16) for name in ("bare", "ours")}
    assert all(each["cpu"] > 0 and each["against_bare"] > 0 for each in result["measured"])
    assert {each["server"]: each["processes"] for each in result["servers"]} == {"bare": 1, "ours": 1}


@pytest.mark.slow
def test_a_quick_run_shows_both_sides(run: Callable[..., CompletedProcess[str]], tmp_path: Path) -> None:
    """A quick run reaches every figure that is no time and no memory, and reports both sides of every comparison."""
    file = tmp_path / "bench.json"
    options = ("--quick", "--runs", "1", "--bare-python", sys.executable, "--json", file)
    process = run("-m", "benchmarks.spine", *options, cwd=ROOT)
    assert process.returncode == 0, process.stderr
    result = json.loads(file.read_text())
    figures = {figure["name"]: figure for figure in result["figures"]}
    timed = {name: figure for name, figure in figures.items() if figure["name"].endswith((": CPU", ": peak memory"))}
    assert all(figure["reached"] for name, figure in figures.items() if name not in timed)
    assert all(figure["ratio"]["of_medians"] > 0 for figure in timed.values() if figure["bare"])
    sides = {(each["what"], each["side"]) for each in result["series"]}
    for scenario in {what for what, _ in sides}:
        assert scenario in process.stdout
        assert ((scenario, "bare") in sides) == (scenario not in {"verify", "--help"})
        assert (scenario, "ours") in sides
    assert all(min(each["values"]) > 0 for each in result["series"])


def test_help_of_tables_says_what_can_be_chosen(run: Callable[..., CompletedProcess[str]]) -> None:
    """`--help` of the tables names every option, and trains nothing."""
    process = run("-m", "benchmarks.tables", "--help", cwd=ROOT)
    assert process.returncode == 0
    assert all(option in process.stdout for option in ("--only", "--part", "--runs", "--folder"))


@pytest.mark.slow
@pytest.mark.needs("pandas")
def test_a_table_is_trained_by_hand_on_the_same_rows(tmp_path: Path) -> None:
    """A linear model that `init` and `train` give has the bare script's accuracy, over the rows that both hold out."""
    write_mixed(tmp_path / "rows.csv", 900, seed=3, labels=True)
    table = StrangerTable("rows.csv", "", "label")
    trained = train(table, tmp_path)
    compare([trained], tmp_path, sys.executable)
    assert (trained.outcome, trained.model, trained.named) == ("passed", "LogisticRegression", False)
    assert trained.ours is not None
    assert trained.bare is not None
    assert trained.rows[0] == 900
    assert abs(trained.ours - trained.bare) <= 0.02  # a missing text is a level here, and the most frequent one there
    assert trained.ours > 0.75


@pytest.mark.slow
def test_trees_give_scikit_learns_labels_however_they_are_called(run: Callable[..., CompletedProcess[str]]) -> None:
    """A small run of the benchmark of trees finds no label that differs, and the same bits for every size of a call."""
    process = run("-m", "benchmarks.forests", "--rows", "600", "--runs", "1", cwd=ROOT)
    assert process.returncode == 0, process.stderr
    assert process.stdout.count("bits equal: True; labels: 0") == 3
