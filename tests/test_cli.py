"""The command line, as its users meet it: help, exit statuses, JSON, terminals, broken pipes, what comes next."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from artifact_pipeline import __version__, errors
from artifact_pipeline.cli import main
from artifact_pipeline.cli.app import app
from artifact_pipeline.cli.options import STATUSES
from artifact_pipeline.cli.output import ProgressLog
from artifact_pipeline.config import load_config, schema_text
from artifact_pipeline.digits.dataset import load_digits
from artifact_pipeline.training.candidate import train
from artifact_pipeline.training.publication import publish
from artifact_pipeline.verification import verify
from signatures import digests, seal, write_keys
from terminal import in_terminal
from verbs import Said

if TYPE_CHECKING:
    from collections.abc import Callable

    from artifact_pipeline.training.sealed import Candidate

    Run = Callable[..., subprocess.CompletedProcess[str]]
    Cli = Callable[..., "Said"]

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / "config" / "config.json"
VERBS = [
    "init",
    "train",
    "verify",
    "sign",
    "predict",
    "serve",
    "health",
    "evaluate",
    "inspect",
    "search",
    "report",
    "compare",
    "reproduce",
    "card",
    "bom",
    "export",
    "runs",
    "rollback",
    "push",
    "pull",
    "gc",
    "promote",
    "demote",
    "history",
    "schema",
    "completion",
    "man",
]
SCRIPTS = Path(sys.executable).parent
ESCAPE = "\x1b"
HOSTILE = "a\nerror: all is well\x1b[2J\u202eb"
"""A name that begins a line of its own, clears the screen and turns the direction of writing."""


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    """Run a verb in this process, in `tmp_path`."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str | Path) -> Said:
        capsys.readouterr()
        status = main([*map(str, arguments)])
        return Said(status, *capsys.readouterr())

    return call


@pytest.fixture(scope="session")
def second() -> Candidate:
    """Another artifact that passes its gate: the documented config with another limit."""
    return train(load_config(CONFIG, ["max_iter=900"]), progress=lambda _: None)


@pytest.fixture(scope="session")
def rejected() -> Candidate:
    """A candidate whose gate failed."""
    return train(load_config(CONFIG, ["gate.min_accuracy=0.99"]), progress=lambda _: None)


def put(candidate: Candidate, root: Path) -> Path:
    return publish(candidate, artifact=root / "artifact", export=root / "model_train.pkl")


def hexadecimal(candidate: Candidate) -> str:
    return candidate.digest.removeprefix("sha256:")


def tree(root: Path) -> set[Path]:
    return set(root.rglob("*"))


# --- help


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_each_verb_has_a_help_with_its_exit_statuses(cli: Cli, verb: str, flag: str) -> None:
    """The help of a verb says how it is called, its options and the exit statuses that it can end with."""
    said = cli(verb, flag)
    assert (said.status, said.err) == (0, "")
    assert said.lines[0].startswith(f"Usage: artifact-pipeline {verb} [OPTIONS]")
    told = said.out.split("Exit statuses:\n")[1]
    found = {int(number): words for number, words in re.findall(r"^ +(\d+)  (.*)$", told, re.MULTILINE)}
    assert {0, 1, 2, 130} <= found.keys()
    assert found.items() <= STATUSES.items()
    for option in ("--json", "--quiet", "--debug", "--help"):
        assert option in said.out


def test_help_of_the_group(cli: Cli) -> None:
    """The help names every verb in the order of use, every exit status, and how to get shell completion."""
    said = cli("--help")
    assert re.findall(r"^  (\w+)  +[A-Z]", said.out, re.MULTILINE) == VERBS == list(app.commands)
    assert re.findall(r"^ +(\d+)  ", said.out, re.MULTILINE) == [str(number) for number in STATUSES]
    assert 'eval "$(_ARTIFACT_PIPELINE_COMPLETE=bash_source artifact-pipeline)"' in said.out


def test_without_a_verb_the_help_is_printed(cli: Cli) -> None:
    """Without a verb the help is printed as an error is, and the status is 2."""
    said = cli()
    assert (said.status, said.out) == (2, "")
    assert said.err.startswith("Usage: artifact-pipeline")
    assert said.err.splitlines()[-2:] == ["error: a verb is missing", "hint: artifact-pipeline train is the first one"]


def test_version(cli: Cli) -> None:
    """--version prints the package's version."""
    assert cli("--version") == Said(0, f"artifact-pipeline {__version__}\n", "")


def test_module_is_the_console_script(run: Run, published: Path) -> None:
    """`python -m artifact_pipeline` prints what the installed command prints, with the same status."""
    for arguments in (["--help"], ["verify"], ["verify", "nowhere"], ["train", "--frob"]):
        module = run("-m", "artifact_pipeline", *arguments, cwd=published)
        script = run(SCRIPTS / "artifact-pipeline", *arguments, cwd=published)
        assert (module.returncode, module.stdout, module.stderr) == (script.returncode, script.stdout, script.stderr)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script_of_each_shell(run: Run, shell: str) -> None:
    """Each shell gets a script that asks the command for completions."""
    done = run("-m", "artifact_pipeline", env={"_ARTIFACT_PIPELINE_COMPLETE": f"{shell}_source"})
    assert done.returncode == 0
    assert f"_ARTIFACT_PIPELINE_COMPLETE={shell}_complete" in done.stdout
    assert "artifact-pipeline" in done.stdout


@pytest.mark.parametrize(("words", "completed"), [("ver", "verify"), ("predict --exp", "--expect"), ("ro", "rollback")])
def test_completion(run: Run, words: str, completed: str) -> None:
    """The beginning of a verb or of an option is completed."""
    line = f"artifact-pipeline {words}"
    env = {
        "_ARTIFACT_PIPELINE_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split()) - 1),
    }
    assert f"plain,{completed}" in run("-m", "artifact_pipeline", env=env).stdout.splitlines()


# --- exit statuses


def test_statuses_are_those_of_the_errors() -> None:
    """The documented exit statuses are 0, Ctrl-C, and those of the errors, and their page has the same table."""
    kinds = [errors.PipelineError, *errors.PipelineError.__subclasses__()]
    assert set(STATUSES) == {0, errors.INTERRUPTED, *(kind.exit_status for kind in kinds)}
    section = (ROOT / "docs" / "commands.md").read_text().split("## Exit statuses")[1].split("\n## ")[0]
    rows = {int(number): words for number, words in re.findall(r"^\| (\d+) \| (.*) \|$", section, re.MULTILINE)}
    assert rows == STATUSES


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["verify"], 0),
        (["train", "--config", "nowhere.json"], 2),
        (["train", "--config", str(CONFIG), "-S", "gate.min_f1=1"], 3),
        (["verify", "nowhere"], 4),
        (["predict", "nowhere.csv"], 5),
        (["predict", "-o", "nowhere/predictions.csv"], 8),
        (["train", "--config", str(CONFIG), "--artifact", "nowhere/artifact"], 8),
    ],
)
def test_status(cli: Cli, published: Path, arguments: list[str], status: int) -> None:
    """A command ends with the status of the table; an error has one `error:` line and says what to do."""
    before = verify(published / "artifact").digest
    said = cli(*arguments)
    assert said.status == status, said.err
    errors_said = [line for line in said.err.splitlines() if line.startswith("error: ")]
    assert len(errors_said) == (status != 0)
    assert "Traceback" not in said.err
    assert verify(published / "artifact").digest == before


BUG = """
import sys
from artifact_pipeline import verification as verify
from artifact_pipeline.cli import main

def divide(*_, **__):
    return 1 / 0

verify.verify = divide
sys.exit(main())
"""


def test_unforeseen_exception_is_our_bug(run: Run) -> None:
    """An exception that nobody foresaw ends with 1, names itself and its place, and asks for a report."""
    done = run("-c", BUG, "verify")
    assert (done.returncode, done.stdout) == (1, "")
    error, hint = done.stderr.splitlines()
    assert re.fullmatch(r"error: ZeroDivisionError: division by zero \(<string>:\d+\)", error)
    assert "bug of artifact-pipeline" in hint
    assert "--debug" in hint


def test_unforeseen_exception_with_debug_and_json(run: Run) -> None:
    """With --debug its traceback is printed too, and with --json it is one JSON object."""
    done = run("-c", BUG, "verify", "--debug", "--json")
    assert done.returncode == 1
    assert "Traceback (most recent call last)" in done.stderr
    error = json.loads(done.stdout)["error"]
    assert error["message"].startswith("ZeroDivisionError: division by zero")
    assert error["status"] == 1


def test_debug_prints_the_traceback_of_an_error(cli: Cli) -> None:
    """--debug shows where an error was raised, before the error itself."""
    said = cli("verify", "--debug")
    assert said.status == 4
    assert said.err.startswith("Traceback (most recent call last)")
    assert said.err.splitlines()[-1] == "hint: run artifact-pipeline train first"


@pytest.mark.parametrize(
    ("arguments", "found", "where"),
    [
        (["frob"], "no such command 'frob'", "artifact-pipeline"),
        (["verfy"], "did you mean 'verify'", "artifact-pipeline"),
        (["--frob"], "no such option '--frob'", "artifact-pipeline"),
        (["train", "--frob"], "no such option '--frob'", "artifact-pipeline train"),
        (["train", "--config"], "'--config' requires an argument", "artifact-pipeline"),
        (["runs", "more"], "unexpected extra argument (more)", "artifact-pipeline runs"),
        (["rollback", "xyz"], "hexadecimal digits", "artifact-pipeline rollback"),
        (["rollback", ""], "hexadecimal digits", "artifact-pipeline rollback"),
    ],
)
def test_usage_error(cli: Cli, arguments: list[str], found: str, where: str) -> None:
    """What cannot be parsed ends with 2, in one line of error and one of hint."""
    said = cli(*arguments)
    assert (said.status, said.out) == (2, "")
    error, hint = said.err.splitlines()
    assert error.startswith("error: ")
    assert not error.endswith(".")
    assert found in error
    assert hint == f"hint: {where} --help lists what can be said"


def test_wrong_digest_is_a_usage_error(cli: Cli, published: Path) -> None:
    """--expect takes only a digest; a mistyped one must not be taken for another artifact's."""
    said = cli("verify", "--expect", "sha256:12")
    assert (said.status, said.err.splitlines()[0][:15]) == (2, "error: --expect")


def test_missing_config_is_named(cli: Cli, tmp_path: Path) -> None:
    """A config that is not there is named with its rule, and nothing is written."""
    said = cli("train", "--json")
    (problem,) = json.loads(said.out)["error"]["problems"]
    assert (said.status, problem["place"], problem["rule"]) == (2, "config/config.json", "missing-file")
    assert tree(tmp_path) == set()


@pytest.mark.parametrize("verb", ["verify", "predict", "inspect"])
def test_missing_artifact_names_the_first_step(cli: Cli, verb: str) -> None:
    """Without an artifact the status is 4, and the hint is to train."""
    said = cli(verb)
    assert (said.status, said.out) == (4, "")
    assert said.err.splitlines()[-1] == "hint: run artifact-pipeline train first"


# --- JSON and quiet

DONE = {
    "train": ["train", "--config", str(CONFIG)],
    "dry run": ["train", "--config", str(CONFIG), "--dry-run"],
    "verify": ["verify"],
    "predict": ["predict"],
    "inspect": ["inspect"],
    "compare": ["compare", "artifact", "artifact"],
    "reproduce": ["reproduce"],
    "runs": ["runs"],
    "rollback": ["rollback"],
    "gc": ["gc"],
    "schema": ["schema"],
}
KEYS = {
    "train": {
        *("artifact", "model", "gate", "metrics", "converged", "written"),
        *("unchanged", "changed", "reason", "comparison", "search"),
        *("majority", "never_predicted"),
    },
    "dry run": {"recipe", "would_write"},
    "verify": {"artifact", "reference", "model", "gate", "files", "expected", "trust", "export"},
    "predict": {
        *("artifact", "model", "export", "rows", "scores", "drift", "written", "rejected", "receipt"),
        "other_config",
    },
    "prove": {"receipt"},
    "inspect": {"artifact", "manifest", "search", "majority", "never_predicted"},
    "compare": {"candidate", "comparison"},
    "reproduce": {
        "grade",
        "at_least",
        "artifact",
        "model",
        "kernel",
        "differences",
        "causes",
        "comparison",
        "sole_cause",
        "carried_over",
        "error",
    },
    "runs": {"runs"},
    "rollback": {"artifact"},
    "gc": {"spare", "bytes", "deleted"},
}
FAILED = {
    "train": ["train", "--config", "nowhere.json"],
    "verify": ["verify", "nowhere"],
    "predict": ["predict", "nowhere.csv"],
    "serve": ["serve", "nowhere", "--port", "0"],
    "health": ["health", "--uds", "nowhere"],
    "inspect": ["inspect", "nowhere"],
    "compare": ["compare", "artifact", "nowhere"],
    "reproduce": ["reproduce", "nowhere"],
    "runs": ["runs", "--frob"],
    "rollback": ["rollback", "0" * 64],
    "gc": ["gc", "--match", "sha-*"],
    "schema": ["schema", "--frob"],
}


@pytest.mark.parametrize("name", DONE)
def test_json_is_one_object_and_nothing_else(cli: Cli, published: Path, second: Candidate, name: str) -> None:
    """With --json standard output holds one JSON object with the verb's keys, and no other line."""
    put(second, published)
    said = cli(*DONE[name], "--json")
    assert said.status == 0
    value = json.loads(said.out)
    assert value.keys() == KEYS.get(name, json.loads(schema_text()).keys())


@pytest.mark.parametrize("verb", FAILED)
def test_json_of_an_error(cli: Cli, published: Path, verb: str) -> None:
    """With --json an error is one JSON object too, with the exit status in it; people still read standard error."""
    said = cli(*FAILED[verb], "--json")
    value = json.loads(said.out)
    assert value.keys() == {"error"}
    assert value["error"].keys() == {"message", "problems", "hint", "status"}
    assert value["error"]["status"] == said.status != 0
    assert said.err.startswith(f"error: {value['error']['message']}\n")


@pytest.mark.parametrize("name", sorted(set(DONE) - {"schema"}))
def test_quiet_prints_nothing(cli: Cli, published: Path, second: Candidate, name: str) -> None:
    """With --quiet a verb that is done has said nothing at all; with --json too it prints the object alone."""
    put(second, published)
    assert cli(*DONE[name], "--quiet") == Said(0, "", "")
    (published / "artifact").unlink()
    put(second, published)
    said = cli(*DONE[name], "-q", "--json")
    assert said.err == ""
    assert isinstance(json.loads(said.out), dict)


def test_quiet_still_prints_errors(cli: Cli) -> None:
    """With --quiet errors are printed all the same."""
    said = cli("verify", "--quiet")
    assert (said.status, said.err.splitlines()[0]) == (4, "error: there is no artifact")


def test_flags_are_what_the_parser_takes_for_flags(cli: Cli, published: Path) -> None:
    """A flag in a cluster counts, and one that is another option's value or stands after `--` does not."""
    assert cli("predict", "-qo", "here.csv") == Said(0, "", "")
    assert (published / "here.csv").is_file()
    for arguments in (["predict", "-o", "--json", "-o", "there.csv"], ["verify", "--", "--json"]):
        said = cli(*arguments)
        assert not said.out.startswith("{")
    assert said.err.startswith("error: there is no artifact\n  --json: ")


def test_schema_is_the_committed_one(cli: Cli) -> None:
    """`schema` prints just the JSON Schema, whether asked for JSON or not."""
    committed = (ROOT / "config" / "config.schema.json").read_text()
    assert cli("schema").out == cli("schema", "--json").out == cli("schema", "--quiet").out == committed


# --- the verbs


def test_each_verb_names_a_next_command_that_works(cli: Cli, tmp_path: Path) -> None:
    """The last line of each verb is a command that works as it stands, also where the artifact has another place."""
    (tmp_path / "my models").mkdir()
    place = "my models/artifact"
    said = cli("train", "--config", CONFIG, "--artifact", place)
    visited = ["train"]
    while visited[-1] not in visited[:-1]:
        assert said.status == 0
        name, *command = shlex.split(said.lines[-1].removeprefix("next: "))
        assert (name, place in command) == ("artifact-pipeline", True)
        visited.append(command[0])
        said = cli(*command)
    assert visited == ["train", "verify", "predict", "inspect", "predict"]


def test_next_commands_of_the_store(cli: Cli, published: Path, second: Candidate, rejected: Candidate) -> None:
    """`runs` never proposes a rollback, whatever there is to go back to; a rejected model leads to `train`."""
    assert cli("runs").lines[-1] == "next: artifact-pipeline inspect"
    put(second, published)
    assert cli("runs").lines[-1] == "next: artifact-pipeline inspect"
    assert cli("rollback").lines[-1] == "next: artifact-pipeline verify"
    assert cli("runs").lines[-1] == "next: artifact-pipeline inspect"
    with pytest.raises(errors.GateFailed):
        put(rejected, published)
    assert cli("inspect", f"artifacts/{hexadecimal(rejected)}").lines[-1] == "next: artifact-pipeline train"
    assert cli("runs", "--artifact", "other/artifact").lines[-1] == (
        "next: artifact-pipeline train --artifact other/artifact"
    )


def test_dry_run_prints_the_resolved_config_and_writes_nothing(cli: Cli, tmp_path: Path) -> None:
    """--dry-run prints every key as -S takes it, what would be written, and leaves the folder as it was."""
    said = cli("train", "--config", CONFIG, "-S", "C=3", "-S", "gate.min_f1=0.5", "--dry-run")
    assert said.status == 0
    shown = dict(line.split(": ", 1) for line in said.lines)
    assert (shown["C"], shown["gate.min_f1"], shown["solver"]) == ("3.0", "0.5", '"lbfgs"')
    assert shown["would write"] == "artifact, artifacts/<digest>/, model_train.pkl"
    assert tree(tmp_path) == set()
    keys = [f"-S{line.replace(': ', '=')}" for line in said.lines[:-2]]
    assert cli("train", "--config", CONFIG, *keys, "--dry-run").lines == said.lines


@pytest.mark.parametrize(
    ("arguments", "status"),
    [(["-S", "C=-1"], 2), (["--artifact", "nowhere/artifact"], 8), (["--export", "nowhere/model.pkl"], 8)],
)
def test_dry_run_refuses_what_the_run_would_refuse(cli: Cli, arguments: list[str], status: int) -> None:
    """--dry-run ends as the training would, as far as that can be known."""
    assert cli("train", "--config", CONFIG, *arguments, "--dry-run").status == status


def test_rejected_candidate_can_be_inspected(cli: Cli, published: Path) -> None:
    """A failed gate keeps the candidate; the hint's command shows it with the rule that it missed."""
    said = cli("train", "--config", CONFIG, "-S", "gate.min_accuracy=0.99")
    assert said.status == 3
    error, problem, hint = said.err.splitlines()[-3:]
    assert error == "error: the gate failed; what stood before still stands"
    assert problem == "  gate: accuracy 0.975 is below 0.99"
    _, verb, folder = shlex.split(hint.removeprefix("hint: the candidate is kept: "))
    shown = cli(verb, folder)
    assert shown.status == 0
    assert "gate: failed (accuracy 0.9750 < 0.9900, f1_weighted 0.9751 >= 0.9500)" in shown.lines
    assert cli("predict", "--artifact", folder).status == 4
    assert cli("predict", "--artifact", folder, "--accept-failed-gate").status == 0


def test_inspect_shows_the_manifest(cli: Cli, published: Path, candidate: Candidate) -> None:
    """`inspect` shows recipe, metrics with intervals, classes, confusion matrix, gate and environment."""
    out = cli("inspect").out
    for text in (
        candidate.digest,
        "max_iter=1000",
        "converged in",
        "0.9532 to 0.9868",
        "precision",
        "confusion matrix",
        "gate: passed",
        "scikit-learn",
    ):
        assert text in out
    assert json.loads(cli("inspect", "--json").out)["manifest"] == json.loads(candidate.manifest.canonical())


def test_verify_says_whom_it_trusts(cli: Cli, published: Path, candidate: Candidate) -> None:
    """`verify` says whether the digest came from outside, and refuses another one."""
    assert "integrity only" in cli("verify").lines[0]
    assert cli("verify", "--expect", candidate.digest).lines[0].endswith("as expected")
    said = cli("verify", "--expect", f"sha256:{'0' * 64}", "--json")
    assert said.status == 4
    assert [each["rule"] for each in json.loads(said.out)["error"]["problems"]] == ["digest-unexpected"]


def test_export_asked_for_must_belong(cli: Cli, published: Path) -> None:
    """An export that is named on the command line must be there and belong to the artifact, or the status is 4."""
    assert json.loads(cli("verify", "--export", "model_train.pkl", "--json").out)["export"] == "matches"
    (published / "other.pkl").write_bytes(b"another")
    for name in ("other.pkl", "nowhere.pkl"):
        said = cli("verify", "--export", name, "--json")
        assert said.status == 4
        assert [each["rule"] for each in json.loads(said.out)["error"]["problems"]] == ["export-digest"]


def test_alien_export_is_named_and_never_loaded(cli: Cli, published: Path) -> None:
    """A `model_train.pkl` that is another one is a warning for `predict` and `verify`, and nothing of it runs."""
    canary = published / "canary"
    (published / "model_train.pkl").write_bytes(b"cos\nmkdir\n(V" + str(canary).encode() + b"\ntR.")
    for verb in ("predict", "verify"):
        said = cli(verb)
        assert said.status == 0
        assert said.err == "warning: model_train.pkl does not belong to this artifact; train again to mend it\n"
        assert json.loads(cli(verb, "--json").out)["export"] == "differs"
    assert not canary.exists()


def test_export_is_looked_for_beside_the_artifact(cli: Cli, published: Path) -> None:
    """`predict` and `verify` compare the export that stands beside the artifact, and not the working folder's."""
    away = published / "away"
    away.mkdir()
    (away / "model_train.pkl").write_bytes(b"of another model")
    os.chdir(away)
    for arguments in (["verify", "../artifact"], ["predict", "--artifact", "../artifact"]):
        assert json.loads(cli(*arguments, "--json").out)["export"] == "matches"


def test_predictions_are_written(cli: Cli, published: Path, candidate: Candidate) -> None:
    """`predict` writes a row for each digit, and gives figures for held-out, training and all rows."""
    value = json.loads(cli("predict", "-o", "out.csv", "--json").out)
    head, *rows = (published / "out.csv").read_text().splitlines()
    assert head.startswith("row,split,actual,predicted,probability_0,")
    assert len(rows) == value["rows"]["written"] == 1797
    assert value["receipt"] == "out.csv.receipt.json"
    assert {name: each["rows"] for name, each in value["scores"].items()} == {
        "held-out": 360,
        "training": 1437,
        "all": 1797,
    }
    assert round(value["scores"]["held-out"]["accuracy"], 4) == 0.9750
    assert (value["artifact"], value["model"]) == (candidate.digest, candidate.manifest.model.digest)


def test_predict_answers_a_table_without_labels(cli: Cli, published: Path) -> None:
    """Rows without labels are answered without figures; whether the model has seen them is `unknown`."""
    rows = load_digits()
    cells = "\n".join(",".join(map(str, row)) for row in rows.X[:3].tolist())
    (published / "rows.csv").write_text(f"{','.join(rows.names)}\n{cells}\n")
    said = cli("predict", "rows.csv")
    assert (said.status, said.err) == (0, "")
    assert "accuracy" not in said.out
    assert [line.split()[:3] for line in said.lines if " unknown " in line] == [
        [str(n), "unknown", str(n)] for n in range(3)
    ]


@pytest.mark.parametrize(("first", "last"), [(0, 100), (0, 1798)], ids=["part", "superset"])
def test_no_accuracy_is_printed_without_a_word_on_training_rows(
    cli: Cli, published: Path, first: int, last: int
) -> None:
    """Of a part of the training file, or of more than it, each figure says that training rows may be among them."""
    rows = load_digits()
    lines = [",".join(map(str, [*row, label])) for row, label in zip(rows.X.tolist(), rows.y.tolist(), strict=True)]
    chosen = [*lines, lines[0]][first:last]
    (published / "rows.csv").write_text("\n".join([",".join([*rows.names, "target"]), *chosen, ""]))
    said = cli("predict", "rows.csv", "--summary", "page.md")
    assert said.status == 0
    (line,) = (line for line in said.lines if line.startswith("  all"))
    assert line.startswith("  all (may include training rows)")
    assert " new " not in said.out
    assert "| all (may include training rows) |" in (published / "page.md").read_text()
    value = json.loads(cli("predict", "rows.csv", "--json").out)
    assert {name: each["training_rows"] for name, each in value["scores"].items()} == {"all": "unknown"}
    receipt = json.loads((published / "predictions.csv.receipt.json").read_bytes())
    assert receipt["metrics"]["training_rows"] == "unknown"


def test_figures_of_the_training_file_say_which_rows_they_are_of(cli: Cli, published: Path) -> None:
    """Of just the training file's rows the figures are told by split, in the answer and in the receipt."""
    value = json.loads(cli("predict", "--json").out)
    told = {name: each["training_rows"] for name, each in value["scores"].items()}
    assert told == {"held-out": "none", "training": "all", "all": "some"}
    receipt = json.loads((published / "predictions.csv.receipt.json").read_bytes())
    assert receipt["metrics"]["training_rows"] == "some"
    assert cli("verify", "predictions.csv", "--receipt").status == 0
    assert any(line.startswith("  all (training rows included)") for line in cli("inspect").lines)


@pytest.mark.parametrize(
    "arguments", [["predict", "-o", "pipe"], ["train", "--config", str(CONFIG), "--export", "pipe"]]
)
def test_device_or_pipe_is_never_replaced(cli: Cli, published: Path, arguments: list[str]) -> None:
    """A rename would put a file in the place of /dev/null; what is no regular file is refused, before any work."""
    os.mkfifo(published / "pipe")
    said = cli(*arguments)
    assert (said.status, said.out) == (8, "")
    assert said.err == "error: cannot write pipe: it is no regular file\nhint: name another place\n"
    assert (published / "pipe").is_fifo()


@pytest.mark.parametrize(
    "command",
    [
        "compare artifact artifact --margin nan",
        "evaluate predictions.csv labels.csv --min-f1 nan",
        "health --within nan",
        "serve artifact --timeout nan",
        "train --minutes nan",
    ],
)
def test_nan_lies_in_no_range(cli: Cli, published: Path, command: str) -> None:
    """No comparison refuses NaN: a margin, a minimum and a time are refused where they are named."""
    said = cli(*command.split())
    assert (said.status, said.out) == (2, "")
    option = command.split()[-2]
    assert re.match(rf"error: invalid value for '{option}': nan is not in the range .*x", said.err), said.err


@pytest.mark.parametrize("arguments", [["predict", "-o"], ["train", "--config", str(CONFIG), "--export"]])
def test_name_that_is_too_long_is_refused(cli: Cli, published: Path, arguments: list[str]) -> None:
    """A name that no file can have is refused before any work, and is no bug of ours."""
    said = cli(*arguments, "x" * 300)
    assert (said.status, said.out) == (8, "")
    assert said.err.splitlines()[0] == f"error: cannot write {'x' * 300}: file name too long"


def test_runs_lists_the_store(cli: Cli, published: Path, candidate: Candidate, second: Candidate) -> None:
    """`runs` lists digest, verdict, metrics and what changed in the recipe, the latest training first."""
    put(second, published)
    newest, oldest = (line.split() for line in cli("runs").lines[1:3])
    assert newest == ["*", hexadecimal(second)[:12], "passed", "0.9750", "0.9751", "max_iter=900"]
    assert oldest == [hexadecimal(candidate)[:12], "passed", "0.9750", "0.9751"]
    newer, older = json.loads(cli("runs", "--json").out)["runs"]
    assert (newer["digest"], newer["current"], newer["changed"]) == (second.digest, True, {"max_iter": 900})
    assert (older["digest"], older["current"], older["changed"]) == (candidate.digest, False, None)


def test_runs_lists_a_rejected_candidate(cli: Cli, published: Path, rejected: Candidate) -> None:
    """`runs` lists a candidate whose gate failed, with the key that changed as -S takes it; it is not in charge."""
    with pytest.raises(errors.GateFailed):
        put(rejected, published)
    failed = cli("runs").lines[1].split()
    assert failed == [hexadecimal(rejected)[:12], "failed", "0.9750", "0.9751", "gate.min_accuracy=0.99"]


def test_runs_lists_what_it_cannot_read(cli: Cli, published: Path, candidate: Candidate) -> None:
    """A damaged artifact is listed as such."""
    (published / "artifacts" / hexadecimal(candidate) / "manifest.json").write_text("{}")
    assert cli("runs").lines[1].split() == ["*", hexadecimal(candidate)[:12], "unreadable"]


def test_rollback_and_forth(cli: Cli, published: Path, candidate: Candidate, second: Candidate) -> None:
    """`rollback` goes to the one before, or to the one that is named by its first digits."""
    put(second, published)
    assert json.loads(cli("rollback", "--json").out) == {"artifact": candidate.digest}
    assert verify(published / "artifact").digest == candidate.digest
    said = cli("rollback", second.digest[:20])
    assert said.lines[0] == f"artifact: artifact -> {second.digest}"
    assert verify(published / "artifact").digest == second.digest


@pytest.mark.needs("model_signing")
def test_rollback_goes_to_nothing_that_is_not_trusted(
    cli: Cli, published: Path, candidate: Candidate, second: Candidate
) -> None:
    """By a policy or a key, `rollback` leaves the pointer where it is until the artifact is signed, and not revoked."""
    put(second, published)
    write_keys(published, "release")
    policy = published / "trust.json"
    policy.write_text(json.dumps({"format": 1, "keys": ["release.pub"]}))
    for asked in (["--policy", policy], ["--public-key", published / "release.pub"]):
        said = cli("rollback", *asked)
        assert (said.status, verify(published / "artifact").digest) == (4, second.digest)
        assert ".sig: is not there" in said.err
    folder = published / "artifacts" / hexadecimal(candidate)
    seal(folder.with_name(f"{folder.name}.sig"), digests(folder), published / "release.pem")
    policy.write_text(json.dumps({"format": 1, "keys": ["release.pub"], "revoked": [candidate.digest]}))
    said = cli("rollback", "--policy", policy)
    assert (said.status, verify(published / "artifact").digest) == (4, second.digest)
    assert "revoked" in said.err
    assert cli("rollback", "--public-key", published / "release.pub").status == 0
    assert verify(published / "artifact").digest == candidate.digest


# --- what is printed, and where


def test_hostile_path_is_shown_escaped(cli: Cli, tmp_path: Path) -> None:
    """A name with line breaks and terminal escapes in it can neither begin a line nor reach the terminal."""
    for arguments in (["verify", HOSTILE], ["predict", f"{HOSTILE}.csv"], ["train", "--config", HOSTILE], [HOSTILE]):
        said = cli(*arguments)
        assert said.status in {2, 4}
        assert sum(line.startswith("error: ") for line in said.err.splitlines()) == 1
        assert ESCAPE not in said.out + said.err
        assert "\u202e" not in said.out + said.err
    (tmp_path / HOSTILE).mkdir()
    said = cli("train", "--config", CONFIG, "--artifact", f"{HOSTILE}/artifact")
    assert said.status == 0
    assert r"artifact: a\nerror: all is well\x1b[2J\u202eb/artifact -> artifacts/" in said.out
    assert ESCAPE not in said.out


def test_json_holds_the_very_path(cli: Cli, published: Path) -> None:
    """In JSON a hostile name is escaped as JSON does it, and read back as it is."""
    said = cli("predict", "-o", f"{HOSTILE}.csv", "--json")
    assert json.loads(said.out)["written"] == f"{HOSTILE}.csv"
    assert said.out.isascii()


@pytest.mark.slow
def test_log_holds_plain_lines(run: Run, published: Path) -> None:
    """Without a terminal there are only plain lines, the steps of a training among them on standard error."""
    done = run("-m", "artifact_pipeline", "train", "--config", CONFIG)
    assert done.returncode == 0
    assert done.stderr.splitlines()[:2] == ["loading rows", "training on 1,437 rows"]
    assert all(character.isprintable() or character == "\n" for character in done.stdout + done.stderr)


@pytest.mark.slow
def test_terminal_gets_tables_colours_and_a_spinner(published: Path) -> None:
    """On a terminal a training shows a spinner and puts the cursor back, and tables have lines and colours."""
    status, sent = in_terminal("-m", "artifact_pipeline", "train", "--config", CONFIG, cwd=published)
    assert status == 0
    assert "training on 1,437 rows" in sent
    assert sent.rindex(f"{ESCAPE}[?25h") > sent.rindex(f"{ESCAPE}[?25l")
    status, sent = in_terminal("-m", "artifact_pipeline", "predict", cwd=published)
    assert status == 0
    assert "───" in sent
    assert re.search(rf"{ESCAPE}\[1;32m178", sent)  # a count on the diagonal, in green
    assert sent.splitlines()[-1] == "next: artifact-pipeline inspect"


@pytest.mark.slow
def test_no_color_is_obeyed(published: Path) -> None:
    """With NO_COLOR no colour is sent, and with TERM=dumb no escape at all."""
    _, sent = in_terminal("-m", "artifact_pipeline", "predict", cwd=published, NO_COLOR="1")
    assert not re.search(rf"{ESCAPE}\[(\d+;)*(3|4|9)\d", sent)
    assert "178" in sent
    status, sent = in_terminal("-m", "artifact_pipeline", "train", "--config", CONFIG, cwd=published, TERM="dumb")
    assert status == 0
    assert ESCAPE not in sent


def test_hostile_cells_stay_text_on_a_terminal(tmp_path: Path) -> None:
    """A label that looks like markup, or holds an escape, is shown as it is written."""
    code = (
        "from artifact_pipeline.cli.output import Output\n"
        r"Output('x').table(['[red]head[/red]'], [['[link=x]cell[/link]'], ['\x1b[2J\n']])"
    )
    _, sent = in_terminal("-c", code, cwd=tmp_path)
    assert "[red]head[/red]" in sent
    assert "[link=x]cell[/link]" in sent
    assert r"\x1b[2J\n" in sent
    assert f"{ESCAPE}[2J" not in sent


def closed_pipe() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def process(*arguments: str | Path, cwd: Path, stdout: int, **env: str) -> tuple[int, str]:
    """A command whose standard output is `stdout`, which is closed here: its status and its standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "artifact_pipeline", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **env},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(stdout)
    return done.returncode, done.stderr


@pytest.mark.parametrize("buffer", ["", "1"])
@pytest.mark.parametrize(
    "arguments", [["--help"], ["predict"], ["predict", "--json"], ["schema", "-q"], ["train", "-h"]]
)
def test_reader_who_has_seen_enough_is_no_error(published: Path, arguments: list[str], buffer: str) -> None:
    """Standard output closed early, as by `| head -1`, changes no status and leaves no traceback."""
    got = process(*arguments, cwd=published, stdout=closed_pipe(), PYTHONUNBUFFERED=buffer)
    assert got == (0, "")


@pytest.mark.slow
def test_training_that_nobody_reads_is_published(tmp_path: Path) -> None:
    """A training whose standard output is closed before its first line still publishes what it trained."""
    status, err = process("train", "--config", CONFIG, cwd=tmp_path, stdout=closed_pipe(), PYTHONUNBUFFERED="1")
    assert (status, err.splitlines()[-1]) == (0, "measuring the model that is published")
    assert verify(tmp_path / "artifact").manifest.name == "digits"


@pytest.mark.parametrize("buffer", ["", "1"])
@pytest.mark.parametrize("arguments", [["verify"], ["--help"], ["predict", "-q", "-o", "-"]])
def test_full_disk_under_standard_output(published: Path, arguments: list[str], buffer: str) -> None:
    """Standard output that takes no more, as on a full disk, is said, and ends with 8: results, help and rows."""
    full = os.open("/dev/full", os.O_WRONLY)
    status, err = process(*arguments, cwd=published, stdout=full, PYTHONUNBUFFERED=buffer)
    assert status == 8
    assert err.endswith("error: cannot write to standard output: no space left on device\n")
    assert err.count("error: ") == 1


def test_closed_streams(published: Path) -> None:
    """A command that was started without standard output and standard error does its work."""
    command = f"exec {shlex.quote(sys.executable)} -m artifact_pipeline predict >&- 2>&-"
    assert subprocess.run(["sh", "-c", command], cwd=published, check=False).returncode == 0
    assert (published / "predictions.csv").stat().st_size > 100_000


def test_rows_for_a_closed_standard_output_are_refused(published: Path) -> None:
    """Predictions that would go to a standard output that is closed are not said to be written."""
    command = f"exec {shlex.quote(sys.executable)} -m artifact_pipeline predict -o - >&-"
    done = subprocess.run(["sh", "-c", command], cwd=published, check=False, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr.splitlines()[-2:]) == (
        8, ["error: cannot write to standard output: it is closed", "hint: name a file: -o FILE"],
    )  # fmt: skip


@pytest.mark.parametrize("place", [".", "/", ""])
def test_a_place_without_a_name_is_refused(cli: Cli, published: Path, place: str) -> None:
    """A folder whose path has no name is no place for a pointer, and `gc` keeps what the pointers in it lead to."""
    said = cli("train", "--config", CONFIG, "--artifact", place)
    assert (said.status, "something stands there that is no pointer" in said.err) == (8, True)
    assert place == "/" or cli("gc", "--yes", "--artifact", place).status == 0
    assert cli("predict", "--artifact", place, "-o", "/tmp/out.csv").status in {2, 4}
    assert verify(published / "artifact").manifest.name == "digits"


def test_the_next_command_of_a_name_with_a_dash_can_be_typed(cli: Cli, published: Path) -> None:
    """An artifact whose name begins as an option does is named so that the next command takes it as a file."""
    shutil.copytree(published / "artifact", published / "-mine")
    said = cli("verify", "./-mine")
    assert said.out.splitlines()[-1].endswith("predict --artifact ./-mine")
    assert cli(*shlex.split(said.out.splitlines()[-1])[2:], "-q").status == 0


def test_letters_that_the_output_has_not(run: Run, published: Path) -> None:
    """Where the output's encoding has not the letter, it is shown escaped, and nothing fails."""
    (published / "modèle").mkdir()
    done = run(
        "-m", "artifact_pipeline", "predict", "-o", "modèle/out.csv", env={"PYTHONIOENCODING": "ascii"}, cwd=published
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert r"written: mod\xe8le/out.csv" in done.stdout


def test_removed_working_folder(run: Run, published: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A command works on absolute paths where its working folder is no more."""
    code = (
        "import os, sys\nfrom artifact_pipeline.cli import main\n"
        "os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')\nsys.exit(main())"
    )
    done = run("-c", code, "verify", published / "artifact", cwd=tmp_path_factory.mktemp("elsewhere"))
    assert (done.returncode, done.stderr) == (0, "")


def test_fit_that_did_not_converge_is_said(cli: Cli) -> None:
    """A fit that stopped at max_iter is a warning that names the mend, and is recorded."""
    said = cli("train", "--config", CONFIG, "-S", "max_iter=20", "-S", "gate.min_accuracy=0.5", "--json")
    assert "warning: the fit did not converge in 20 iterations; give it more with -S max_iter=200" in said.err
    value: dict[str, Any] = json.loads(said.out)
    assert value["converged"] is False


# --- predict, of files


def table_of_digits(place: Path, *, rows: int = 30, extra: str = "") -> Path:
    digits = load_digits()
    head = ",".join(["id", *digits.names])
    lines = [",".join([f"n{row}", *map(str, digits.X[row].tolist())]) for row in range(rows)]
    place.write_text("\n".join([head, *lines]) + "\n" + extra)
    return place


def test_rows_read_are_rows_written_and_rejected(cli: Cli, published: Path) -> None:
    """The counts are printed and add up; bad rows, receipt and how to prove it are named."""
    table_of_digits(published / "rows.csv", extra="n30,1,2\n")
    said = cli("predict", "rows.csv", "-o", "out.parquet", "--keep", "id", "--on-error", "quarantine")
    assert said.status == 0
    assert "rows: 31 read = 30 written + 1 rejected" in said.lines
    assert "rejected: out.parquet.rejected.jsonl, 1 row" in said.lines
    assert "receipt: out.parquet.receipt.json (artifact-pipeline verify out.parquet --receipt)" in said.lines
    proven = cli("verify", "out.parquet", "--receipt", "--input", "rows.csv")
    assert (proven.status, proven.err) == (0, "")
    assert "rows: 31 read = 30 written + 1 rejected" in proven.lines


def test_one_is_counted_in_the_singular(cli: Cli, published: Path) -> None:
    """One row is `1 row` wherever rows are counted."""
    digits = load_digits()
    line = ",".join(map(str, digits.X[0].tolist()))
    (published / "one.csv").write_text(f"{','.join(digits.names)}\n{line}\n")
    said = cli("predict", "one.csv", "-o", "out.csv")
    assert said.status == 0, said.err
    assert "written: out.csv, 1 row" in said.lines
    assert "drift: not judged, too few: 1 row" in said.lines
    said = cli("verify", "out.csv", "--receipt")
    assert "verified: out.csv, 1 file, 1 row, as its receipt records" in said.lines


def test_the_command_line_counts_in_one_way() -> None:
    """No message of the command line puts a plural behind a count by itself: `plural` does."""
    counted = re.compile(
        r"\{[^{}]*\}[ -](?:\w+[ -])?(rows|files|columns|problems|parts|tests|inputs|respects|times(?! that of))\b(?!/s)"
    )
    modules = (ROOT / "src" / "artifact_pipeline" / "cli").glob("*.py")
    lines = [line.strip() for module in modules for line in module.read_text().splitlines()]
    assert [line for line in lines if counted.search(line)] == []


def test_a_bad_row_ends_with_status_5(cli: Cli, published: Path) -> None:
    """By default the first bad row ends it: file, row and rule are named, and the mend."""
    table_of_digits(published / "rows.csv", extra="n30,1,2\n")
    said = cli("predict", "rows.csv", "-o", "out.csv")
    assert said.status == 5
    assert "  rows.csv, row 30: has 3 values, the header has 65 columns" in said.err.splitlines()
    assert said.err.splitlines()[-1].startswith("hint: mend it, or set bad rows aside")
    assert not (published / "out.csv").exists()


def test_standard_input_to_standard_output(published: Path) -> None:
    """`-` reads and writes the standard streams: rows alone on standard output, talk on standard error."""
    with table_of_digits(published / "rows.csv").open() as rows:
        command = [sys.executable, "-m", "artifact_pipeline", "predict", "-", "--from", "csv", "-o", "-"]
        done = subprocess.run(command, cwd=published, stdin=rows, capture_output=True, text=True, check=True)
    head, *lines = done.stdout.splitlines()
    assert head.startswith("row,predicted,probability_0")
    assert [int(line.split(",")[0]) for line in lines] == list(range(30))
    assert "rows: 30 read = 30 written + 0 rejected" in done.stderr
    assert not list(published.glob("*.receipt.json"))


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["-", "-o", "out.csv"], "--from is needed"),
        (["-", "rows.csv", "-o", "out.csv"], "standard input cannot be read together with files"),
        (["rows.csv", "-o", "-", "--json"], "both want standard output"),
        (["rows.csv", "-o", "-", "--on-error", "quarantine"], "bad rows have no place"),
        (["rows.csv", "-o", "out.xlsx"], "must end with one of"),
        (["rows.csv", "rows.csv", "-o", "out.csv"], "is named twice"),
        (["rows.csv", "-o", "out.csv", "--workers", "2"], "a cluster writes a folder"),
        (["rows.csv", "-o", "out.csv", "--keep", "row"], "is a column that is written anyway"),
    ],
)
def test_what_cannot_be_asked_of_predict(cli: Cli, published: Path, arguments: list[str], found: str) -> None:
    """What contradicts itself is refused before anything is read or written, with status 2."""
    table_of_digits(published / "rows.csv")
    before = tree(published)
    said = cli("predict", *arguments)
    assert said.status == 2
    assert found in said.err
    assert tree(published) == before


def test_drift_has_a_status_of_its_own(cli: Cli, published: Path) -> None:
    """With --fail-on-drift inverted pictures end with 7, their predictions written; without it with a warning."""
    digits = load_digits()
    lines = [",".join(map(str, (16 - row).tolist())) for row in digits.X]
    (published / "rows.csv").write_text("\n".join([",".join(digits.names), *lines]) + "\n")
    said = cli("predict", "rows.csv", "-o", "out.csv")
    assert said.status == 0
    assert "warning: the rows have drifted in " in said.err
    assert len([line for line in said.lines if " drifted " in line]) == 10
    said = cli("predict", "rows.csv", "-o", "again.csv", "--fail-on-drift", "--json")
    assert said.status == json.loads(said.out)["error"]["status"] == 7
    assert (published / "again.csv").read_bytes() == (published / "out.csv").read_bytes()
    assert cli("predict", "rows.csv", "-o", "out.csv", "--fail-on-drift", "--no-drift").status == 0


def test_a_folder_is_resumed(cli: Cli, published: Path) -> None:
    """A folder that is complete is not done again; without --resume it is not written into."""
    table_of_digits(published / "rows.csv")
    assert cli("predict", "rows.csv", "-o", "out/").status == 0
    assert cli("predict", "rows.csv", "-o", "out/").status == 2
    said = cli("predict", "rows.csv", "-o", "out/", "--resume")
    assert "written: out, 30 rows in 1 part, 1 of them before" in said.lines
    assert cli("verify", "out", "--receipt").status == 0


def test_a_single_file_starts_again_and_says_so(cli: Cli, published: Path) -> None:
    """--resume with a single file is a note, not an error: it is made again."""
    table_of_digits(published / "rows.csv")
    said = cli("predict", "rows.csv", "-o", "out.csv", "--resume")
    assert said.status == 0
    assert "note: a single file starts again" in said.err.splitlines()[0]


def test_columns_that_nobody_wants_are_named(cli: Cli, published: Path) -> None:
    """Columns that are neither the model's nor kept are left out, and said to be."""
    table_of_digits(published / "rows.csv")
    assert "note: 1 column is not the model's and left out: id" in cli("predict", "rows.csv").err
    assert "note" not in cli("predict", "rows.csv", "--keep", "id").err
    (published / "named.csv").write_text((published / "rows.csv").read_text().replace("id,", ",", 1))
    assert "note: 1 column is not the model's and left out: ''\n" in cli("predict", "named.csv").err


def test_a_terminal_gets_a_bar(published: Path) -> None:
    """On a terminal a bar shows rows and rows a second, and is gone at the end."""
    table_of_digits(published / "rows.csv")
    status, sent = in_terminal("-m", "artifact_pipeline", "predict", "rows.csv", cwd=published)
    assert status == 0
    assert "rows/s" in sent
    assert sent.splitlines()[-1] == "next: artifact-pipeline inspect"


def test_a_log_gets_a_line_now_and_then() -> None:
    """In a log progress is a line with rows, speed and time left, at once where no pause is asked for, else later."""
    lines: list[str] = []
    update = ProgressLog(lines.append, pause=0).update
    update(1500, 0.25)
    assert re.fullmatch(r"1,500 rows, [\d,]+ rows/s, about [\d,]+ s left", lines[0])
    ProgressLog(lines.append).update(1500, 0.5)
    assert len(lines) == 1


def test_a_receipt_without_predictions_is_asked_for(cli: Cli, published: Path) -> None:
    """`verify --receipt` alone asks for the predictions, and `--input` without it is refused."""
    assert cli("verify", "--receipt").status == 2
    assert cli("verify", "--input", "rows.csv").status == 2
    said = cli("verify", "artifact", "--receipt")
    assert (said.status, said.err.splitlines()[0]) == (4, "error: there is no receipt")
