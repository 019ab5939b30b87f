"""What stands around the verbs: their examples, the completion of the shell, the manual page."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from tests.tools import require_tool

from artifact_pipeline.cli import main
from artifact_pipeline.cli.app import app
from artifact_pipeline.cli.examples import EXAMPLES
from artifact_pipeline.cli.manual import manual_page

BEGINS = '. "$HOME/.bashrc"\n'


@pytest.mark.parametrize("verb", app.commands)
def test_help_ends_with_examples_that_parse(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The help of each verb ends with two or three commands, each a call of this verb that the parser takes."""
    assert main([verb, "--help"]) == 0
    shown = [line.strip() for line in capsys.readouterr().out.partition("Examples:\n")[2].splitlines()]
    assert tuple(shown) == EXAMPLES[verb]
    assert 2 <= len(shown) <= 3
    for example in shown:
        program, name, *arguments = shlex.split(example.partition(" | ")[0].partition(" > ")[0])
        assert (program, name) == ("artifact-pipeline", verb)
        app.commands[verb].make_context(verb, arguments, obj=SimpleNamespace(as_json=False, quiet=False, debug=False))


def test_examples_are_of_verbs() -> None:
    """No example is left of a verb that is no more."""
    assert EXAMPLES.keys() == app.commands.keys()


@pytest.mark.parametrize(("typed", "meant"), [(["trian"], "'train'"), (["train", "--cofig", "x"], "'--config'")])
def test_a_typo_is_answered_with_what_was_meant(
    typed: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A verb or an option that does not exist is refused with the nearest one."""
    assert main(typed) == 2
    assert f"did you mean {meant}?" in capsys.readouterr().err


# The manual page


def test_manual_page_is_read_without_a_warning() -> None:
    """The page is roff that groff takes without a word, and holds every verb and option."""
    page = manual_page(app)
    shown = subprocess.run(
        [require_tool("groff"), "-man", "-Tutf8", "-ww", "-P-cbou", "-rLL=300n"],
        input=page,
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stderr == ""
    for name, command in app.commands.items():
        assert f"   {name} " in shown.stdout
        for option in command.params:
            assert not isinstance(option, click.Option) or option.opts[-1] in shown.stdout, (name, option.opts)
        assert all(f"           {example}\n" in shown.stdout for example in EXAMPLES[name])


def test_manual_page_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """`man` prints the page, and with --json one object that holds it."""
    assert main(["man"]) == 0
    assert capsys.readouterr().out == manual_page(app)
    assert main(["man", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"page": manual_page(app)}


@pytest.mark.parametrize("words", [".TH of the day", "'so", "a\\fBb", "it's `so`", "x\n.sy rm -rf"])
def test_no_word_of_a_help_is_a_command_of_roff(words: str) -> None:
    """A text that begins as a command of roff does, or holds its escapes, is printed as it is."""
    from artifact_pipeline.cli.manual import _text

    written = _text(words)
    assert not written.startswith((".", "'"))
    assert "\n" not in written
    command = [require_tool("groff"), "-man", "-Tascii", "-ww", "-P-cbou"]
    shown = subprocess.run(command, input=f".TH a 1\n.PP\n{written}\n", capture_output=True, text=True, check=True)
    assert " ".join(words.split()) in shown.stdout
    assert shown.stderr == ""


# The completion


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder with a space in its name."""
    folder = tmp_path / "my home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "ZDOTDIR"):
        monkeypatch.delenv(name, raising=False)
    return folder


def everything(folder: Path) -> dict[str, bytes]:
    """Each file below a folder, with its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("shell", "files"),
    [
        ("bash", {".bashrc", ".local/share/artifact-pipeline/completion.bash"}),
        ("zsh", {".zshrc", ".local/share/artifact-pipeline/completion.zsh"}),
        ("fish", {".config/fish/completions/artifact-pipeline.fish"}),
    ],
)
def test_completion_is_installed_once(
    shell: str, files: set[str], home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The shell of $SHELL gets its files, which are named; done again nothing changes, and other lines stay."""
    start = home / f".{shell}rc"
    if start.name in files:
        start.write_text("alias ll='ls -l'")  # without a line break at its end
    monkeypatch.setenv("SHELL", f"/usr/bin/{shell}")
    assert main(["completion", "install", "--json"]) == 0
    assert {os.path.relpath(each, home) for each in json.loads(capsys.readouterr().out)["written"]} == files
    before = everything(home)
    assert before.keys() == files
    assert start.name not in files or start.read_text().startswith("alias ll='ls -l'\n# ")
    assert main(["completion", "install"]) == 0
    assert "written" not in (said := capsys.readouterr().out)
    assert all(f"unchanged: {home / each}\n" in said for each in files)
    assert everything(home) == before


def test_start_file_that_is_a_link_stays_one(home: Path) -> None:
    """A start file that is a link to one in another folder is written there."""
    (home / "dotfiles").mkdir()
    (home / "dotfiles" / "bashrc").write_text("x=1\n")
    (home / ".bashrc").symlink_to("dotfiles/bashrc")
    assert main(["completion", "install", "bash", "--quiet"]) == 0
    assert (home / ".bashrc").is_symlink()
    assert "completion.bash" in (home / "dotfiles" / "bashrc").read_text()


def test_print_writes_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--print` prints what would be written, and writes nothing; without a home folder, too."""
    assert main(["completion", "install", "bash", "--print"]) == 0
    printed = capsys.readouterr().out
    assert everything(home) == {}
    assert main(["completion", "install", "bash", "--quiet"]) == 0
    assert (home / ".local/share/artifact-pipeline/completion.bash").read_text() == printed


@pytest.mark.parametrize(
    ("variables", "arguments", "place"),
    [
        ({"SHELL": "/bin/bash"}, [], "$HOME"),
        ({"SHELL": "/bin/bash", "HOME": "."}, [], "$HOME"),
        ({"HOME": "/tmp"}, [], "$SHELL"),
        ({"HOME": "/tmp", "SHELL": "/bin/dash"}, [], "$SHELL"),
    ],
)
def test_what_is_missing_is_refused_with_a_command_that_works(
    variables: dict[str, str],
    arguments: list[str],
    place: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without $HOME, or with a shell that is not known, the error names the variable and says what to type."""
    for name in ("HOME", "SHELL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert main(["completion", "install", *arguments, "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["problems"][0]["place"] == place
    assert "completion install bash" in error["hint"]


def completed(shell: str, home: Path, line: str) -> set[str]:
    """What a shell, started with the home folder, completes at the end of a line."""
    words = line.split(" ")
    script = {
        "bash": f"{BEGINS}COMP_WORDS=({shlex.join(words[:-1])} '{words[-1]}'); COMP_CWORD={len(words) - 1}\n"
        "_artifact_pipeline_completion artifact-pipeline; printf '%s\\n' \"${COMPREPLY[@]}\"",
        "fish": f"complete --do-complete {shlex.quote(line)} | string split -f1 \\t",
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [require_tool(shell), "-c", script[shell]],
        env={"HOME": str(home), "PATH": path, "TERM": "dumb"}, cwd=home, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == "", done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("shell", ["bash", pytest.param("fish", marks=pytest.mark.slow)])
def test_a_shell_completes_verbs_and_options(shell: str, home: Path) -> None:
    """Once installed, a shell that starts completes a verb, an option and a choice."""
    assert main(["completion", "install", shell, "--quiet"]) == 0
    assert completed(shell, home, "artifact-pipeline ver") == {"verify"}
    assert completed(shell, home, "artifact-pipeline predict --exp") == {"--expect", "--export"}
    assert completed(shell, home, "artifact-pipeline init --dataset w") == {"wine"}


@pytest.mark.slow
def test_fish_completes_files(home: Path) -> None:
    """Where a verb takes a file, files are completed."""
    (home / "patients.csv").touch()
    assert main(["completion", "install", "fish", "--quiet"]) == 0
    assert "patients.csv" in completed("fish", home, "artifact-pipeline init pat")


@pytest.mark.slow
def test_zsh_knows_the_completion(home: Path) -> None:
    """A zsh whose start file loads nothing else knows the completion of the command, and says nothing at its start."""
    assert main(["completion", "install", "zsh", "--quiet"]) == 0
    command = [require_tool("zsh"), "-c", '. "$HOME/.zshrc"; print -r -- $_comps[artifact-pipeline]']
    env: dict[str, Any] = {"HOME": str(home), "PATH": os.environ["PATH"]}
    done = subprocess.run(command, env=env, cwd=home, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("_artifact_pipeline_completion\n", "")
