"""What a runner of GitHub Actions reads of us: no label, file name or message in it is a command."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_pipeline.cli.github import Log
from artifact_pipeline.config import from_mapping
from artifact_pipeline.training.candidate import train
from artifact_pipeline.training.publication import publish
from servers import serving
from tables import blobs, write_table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., subprocess.CompletedProcess[str]]

COMMANDS = re.compile(
    "add-(mask|matcher|path)|debug|echo|(end)?group|error|internal-set-repo-path|notice|remove-matcher|save-state|"
    "set-env|set-output|stop-commands|warning"
)
LABELS = ["::error title=pwned::label", "##[set-output name=x;]label"]
COLUMNS = {"width": "::add-mask::width", "height": "##[warning]height", "label": "::group::label"}
FILE = "::stop-commands::rows.csv"
CELL = "a\n::set-env name=PATH::b"
ACTIONS = {"GITHUB_ACTIONS": "true"}


def obeyed(printed: str) -> list[str]:
    """The commands that a runner finds, as `TryParseV2` and `TryParse` of actions/runner's ActionCommand.cs do it."""
    found = []
    for line in re.split(r"\r\n|\r|\n", printed.removeprefix("\ufeff")):
        second = re.match(r"\s*::(.*?)::", line)
        first = re.search(r"##\[(.*?)\]", line)
        for info in (second, first):
            if info and COMMANDS.fullmatch(info[1].partition(" ")[0].lower()):
                found.append(line)
                break
    return found


@pytest.mark.parametrize(
    "text", ["::error::x", " \t::Error file=a::", "a\r::debug::b", "x##[group]y", "\u00a0::echo::on"]
)
def test_the_tests_runner_obeys(text: str) -> None:
    """The runner of these tests finds each form of a command."""
    assert len(obeyed(text)) == 1


# --- the stream


MARKS = st.text(st.sampled_from(":#[ \n\ra")) | st.sampled_from(["::error::", "##[error]", *LABELS]) | st.text()


@given(st.lists(MARKS))
def test_no_mark_is_left_however_it_is_written(pieces: list[str]) -> None:
    """Whatever is written, in whichever pieces, a runner finds no command in it, and nothing but marks is changed."""
    stream = io.StringIO(newline="")
    log = Log(stream)
    for piece in pieces:
        log.write(piece)
    printed = stream.getvalue()
    assert "::" not in printed
    assert "##[" not in printed
    assert not obeyed(printed)
    whole = "".join(pieces)
    assert printed.replace("\\u003a", ":").replace("\\u005b", "[") == whole.replace("\\u003a", ":").replace(
        "\\u005b", "["
    )


@given(st.recursive(MARKS, lambda inner: st.lists(inner) | st.dictionaries(MARKS, inner)))
def test_json_stays_the_same(value: Any) -> None:
    """JSON is still JSON, of the same value."""
    stream = io.StringIO(newline="")
    Log(stream).writelines([json.dumps(value, indent=2, ensure_ascii=False), "\n"])
    assert json.loads(stream.getvalue()) == value


# --- the verbs


@pytest.fixture(scope="module")
def hostile_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a model with hostile labels and columns is published, and the rows that it learned from."""
    root = tmp_path_factory.mktemp("hostile")
    rows = {COLUMNS[name]: values for name, values in blobs(LABELS).items()}
    write_table(root / FILE, rows)
    rows[COLUMNS["label"]] = np.random.default_rng(7).permutation(rows[COLUMNS["label"]])
    write_table(root / "noise.csv", rows)
    config = {
        "C": 1.0,
        "solver": "lbfgs",
        "max_iter": 100,
        "dataset": {"path": FILE, "target": COLUMNS["label"]},
        "gate": {"min_accuracy": 0.8, "min_f1": 0.8},
    }
    (root / "config.json").write_text(json.dumps(config))
    config["dataset"] = {"path": str(root / FILE), "target": COLUMNS["label"]}
    candidate = train(from_mapping(config), progress=lambda _: None)
    publish(candidate, artifact=root / "artifact", export=root / "model_train.pkl")
    (root / "##[error]f").mkdir()
    (root / "##[error]folder").mkdir()
    (root / "##[error]link").symlink_to((root / "artifact").readlink())
    return root


@pytest.fixture
def hostile(hostile_once: Path, tmp_path: Path) -> Path:
    """Such a folder of its own."""
    return shutil.copytree(hostile_once, tmp_path / "::notice::folder", symlinks=True)


VERBS: dict[str, tuple[int, list[list[str]]]] = {
    "init": (0, [["init", f"./{FILE}", "-o", "##[error]config.json"]]),
    "train": (0, [["train", "--config", "config.json", "--artifact", "##[error]artifact"]]),
    "train, a failed gate": (
        3,
        [
            [
                "train",
                "--config",
                "config.json",
                "-S",
                "dataset.path=noise.csv",
                "--artifact",
                "##[error]folder/artifact",
            ]
        ],
    ),
    "train, a plan": (0, [["train", "--config", "config.json", "--dry-run", "--explain"]]),
    "predict": (0, [["predict", f"./{FILE}", "-o", "##[error]out.csv", "--summary", "page.md"]]),
    "predict, drifted": (0, [["predict", "far.csv", "--out-of-range", "ignore"]]),
    "verify": (0, [["verify", "##[error]link"]]),
    "verify, a receipt": (
        0,
        [["predict", f"./{FILE}", "-o", "::error::out.csv", "-q"], ["verify", "./::error::out.csv", "--receipt"]],
    ),
    "inspect": (0, [["inspect"]]),
    "inspect, a page": (0, [["inspect", "--format", "markdown"]]),
    "inspect, JSON": (0, [["inspect", "--json"]]),
    "card": (0, [["card"], ["card", "-o", "##[error]card.md"]]),
    "bom": (0, [["bom"], ["bom", "-o", "##[error]bom.json"]]),
    "export": (0, [["export", "json"]]),
    "evaluate": (0, [["predict", f"./{FILE}", "-q"], ["evaluate", "predictions.csv", "labels.csv"]]),
    "runs": (0, [["runs", "--artifact", "./##[error]none/artifact"]]),
    "an unknown verb": (2, [["::error::verb"]]),
    "an unknown option": (2, [["predict", "--##[error]"]]),
    "a bad config": (2, [["train", "--config", "config.json", "-S", "::error::a=1", "-S", "##[error]=2"]]),
    "no such input": (5, [["predict", "::error::none.csv"]]),
    "no such artifact": (4, [["verify", "##[error]x", "--debug"]]),
    "a bad row": (5, [["predict", "bad.csv"]]),
    "a column that is not there": (5, [["predict", "labels.csv"]]),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", VERBS)
def test_nothing_that_a_verb_prints_is_a_command(run: Run, hostile: Path, name: str) -> None:
    """Labels, columns, files and messages that look like commands are printed by each verb, and none is obeyed."""
    rows = blobs(LABELS)
    write_table(hostile / "labels.csv", {"row": list(range(200)), "label": rows["label"]})
    features = {COLUMNS[each]: rows[each] for each in ("width", "height")}
    write_table(hostile / "far.csv", {key: values + 1e6 for key, values in features.items()})
    write_table(hostile / "bad.csv", {key: ["::error::cell"] for key in features})
    status, commands = VERBS[name]
    done = None
    for arguments in commands:
        done = run("-m", "artifact_pipeline", *arguments, cwd=hostile, env=ACTIONS)
    assert done is not None
    assert done.returncode == status, done.stderr
    own = r"^::error(?: file=[^\n]*)?::.*\n" if status == 2 else r"(?!)"
    printed = done.stdout + re.sub(own, "", done.stderr, flags=re.MULTILINE)
    assert obeyed(printed) == []
    broken = re.search(r"\\u003a|\\u005b", printed)
    assert broken or name == "inspect, a page", "nothing in it looks like a command"
    if "--json" in commands[-1]:
        assert LABELS[0] in json.loads(done.stdout)["manifest"]["model"]["classes"]


def test_our_own_annotations_are_obeyed(run: Run, hostile: Path) -> None:
    """Each problem of a config is one command, the problem's text its data, and no more than that is obeyed."""
    options = ("-S", "solver=::stop-commands::x", "-S", "C=##[add-mask]secret")
    done = run("-m", "artifact_pipeline", "train", "--config", "config.json", *options, cwd=hostile, env=ACTIONS)
    assert done.returncode == 2
    found = obeyed(done.stderr)
    assert len(found) == 2
    assert all(line.startswith("::error::-S ") for line in found)
    assert obeyed(done.stdout) == []


def test_a_traceback_and_a_warning_are_no_commands(run: Run, hostile: Path) -> None:
    """Neither what nobody foresaw nor what Python warns of is obeyed, at the end of the process neither."""
    code = (
        "import atexit, sys, warnings\n"
        "from artifact_pipeline import verification as verify\n"
        "from artifact_pipeline.cli import main\n"
        "def fail(*_, **__):\n"
        "    warnings.warn('x\\n::error::warned', stacklevel=1)\n"
        "    atexit.register(lambda: print('::error::late', file=sys.stderr))\n"
        "    raise ValueError('x\\n::error::raised ##[error]raised')\n"
        "verify.verify = fail\n"
        "sys.exit(main())\n"
    )
    done = run("-c", code, "verify", "--debug", cwd=hostile, env=ACTIONS)
    assert done.returncode == 1
    for word in ("warned", "raised", "late"):
        assert word in done.stderr
    assert obeyed(done.stdout + done.stderr) == []


def test_streams_of_a_caller_are_given_back(hostile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`main` with arguments leaves a caller's streams as they were."""
    from artifact_pipeline.cli import main

    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    before = sys.stdout, sys.stderr
    assert main(["verify", str(hostile / "artifact")]) == 0
    assert (sys.stdout, sys.stderr) == before


@pytest.mark.slow
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_rows_that_would_be_commands_are_not_printed(run: Run, hostile: Path, form: str) -> None:
    """Rows are another program's data, and never changed: into a log they are refused, into a file they go."""
    columns = {COLUMNS[key]: values for key, values in blobs(LABELS).items()}
    source = write_table(hostile / "kept.csv", {**columns, "kept": [CELL] * 200})
    words = ("-m", "artifact_pipeline", "predict", source.name, "--keep", "kept", "-o", "-", "--to", form)
    plain = run(*words, cwd=hostile)
    assert plain.returncode == 0, plain.stderr
    refused = run(*words, cwd=hostile, env=ACTIONS)
    assert (refused.returncode, refused.stdout) == (5, "")
    assert refused.stderr.splitlines()[-1] == "hint: name a file: -o FILE"
    assert obeyed(refused.stderr) == []
    with (hostile / "out").open("w") as file:
        command = [sys.executable, *words]
        done = subprocess.run(command, cwd=hostile, stdout=file, env={**os.environ, **ACTIONS}, check=False)
    assert done.returncode == 0
    assert (hostile / "out").read_text() == plain.stdout


def test_the_servers_log_is_no_command(hostile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What clients send and what a model is called is in the server's log, and none of it is obeyed."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    with serving(hostile / "artifact") as server:
        assert server.ask("GET", "/v2/models/::error::x")[0] == 404
        assert server.ask("GET", "/%23%23[error]x")[0] == 404
        server.stop()
        printed = server.process.stdout.read() if server.process.stdout else ""
        talk = server.talk.read_text()
    assert obeyed(printed + talk) == []
