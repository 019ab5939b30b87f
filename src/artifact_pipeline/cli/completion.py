"""`artifact-pipeline completion install`: the shell completes verbs, options and files from then on."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from artifact_pipeline.cli.commands import COMPLETION_VARIABLE, NAME
from artifact_pipeline.cli.options import verb
from artifact_pipeline.errors import ConfigError, Problem

if TYPE_CHECKING:
    from artifact_pipeline.cli.output import Output

SHELLS = ("bash", "zsh", "fish")
_MARK = "# Completion of artifact-pipeline, by `artifact-pipeline completion install`"
_ZSH_BEGINS = "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i; }\n"
"""What a script that is sourced needs, where the start file has not loaded zsh's completion before."""


class _Files(NamedTuple):
    """Where a shell finds the completion.

    Attributes:
        script: the file with the completion.
        start: the shell's start file, which must name the script; None where the shell finds it by its place.
    """

    script: Path
    start: Path | None


@verb("Let the shell complete verbs, options and files.", 8)
@click.argument("action", type=click.Choice(["install"]), metavar="install")
@click.argument("shell", type=click.Choice(SHELLS), required=False, metavar="[bash|zsh|fish]")
@click.option("--print", "printed", is_flag=True, help="Print the script, and write nothing.")
@click.pass_obj
def completion(output: Output, /, action: str, shell: str | None, *, printed: bool) -> None:
    """Install the completion for a shell, by default the one of $SHELL.

    A script is written into the folder for your data, or for fish into the folder of its completions, and a line that
    reads it is added to ~/.bashrc or ~/.zshrc. Done again, it changes nothing. A new shell completes by TAB.
    """
    shell = shell or _own_shell()
    script = _script(shell)
    if printed:
        output.document(script, {"action": "print", "shell": shell, "script": script})
        return
    files = _files(shell)
    changed = _install(files, script)
    for each in filter(None, files):
        output.say(f"{'written' if each in changed else 'unchanged'}: {each}")
    output.say(f"next: start a new {shell}, or type: . {shlex.quote(str(files.script))}")
    output.result(
        {
            "action": action,
            "shell": shell,
            "script": str(files.script),
            "start": files.start and str(files.start),
            "written": [str(each) for each in changed],
        }
    )


def _own_shell() -> str:
    """Return the shell that $SHELL names."""
    name = Path(os.environ.get("SHELL", "")).name
    if name not in SHELLS:
        found = f"$SHELL names {name}" if name else "$SHELL is not set"
        problem = Problem("$SHELL", "not-allowed", f"must be one of {', '.join(SHELLS)}; {found}")
        raise ConfigError("the shell is not known", problems=[problem], hint=f"{NAME} completion install bash")
    return name


def _script(shell: str) -> str:
    """Return the completion script of a shell, as click writes it."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    made = kind(click.get_current_context().find_root().command, {}, NAME, COMPLETION_VARIABLE)
    # Not by its method `source`, which starts a bash for its version.
    script = made.source_template % made.source_vars()
    if shell == "zsh":
        first, _, rest = script.partition("\n")  # `#compdef`, which counts in the first line alone
        script = f"{first}\n{_ZSH_BEGINS}{rest}"
    return script.rstrip() + "\n"


def _files(shell: str) -> _Files:
    """Return the files of a shell's completion."""
    home = os.environ.get("HOME")
    if not home or not Path(home).is_absolute():
        problem = Problem("$HOME", "missing", "must be the absolute path of your home folder")
        raise ConfigError(
            "there is no place for the completion",
            problems=[problem],
            hint=f"{NAME} completion install {shell} --print prints it",
        )
    if shell == "fish":
        return _Files(_folder("XDG_CONFIG_HOME", Path(home, ".config")) / "fish" / "completions" / f"{NAME}.fish", None)
    start = Path(home) if shell == "bash" else _folder("ZDOTDIR", Path(home))
    script = _folder("XDG_DATA_HOME", Path(home, ".local", "share")) / NAME / f"completion.{shell}"
    return _Files(script, start / f".{shell}rc")


def _folder(variable: str, usual: Path) -> Path:
    """Return the folder that a variable of the environment names; a relative one counts as none."""
    found = Path(os.environ.get(variable, ""))
    return found if found.is_absolute() else usual


def _install(files: _Files, script: str) -> list[Path]:
    """Write what is not there yet, and return the files that were changed."""
    from artifact_pipeline.files import storage_error, write_atomic

    changed, at = [], files.script
    try:
        at.parent.mkdir(parents=True, exist_ok=True)
        if not at.is_file() or at.read_bytes() != script.encode():
            write_atomic(at, script.encode())
            changed.append(at)
        if files.start is not None:
            at = files.start
            before = at.read_text("utf-8", "surrogateescape") if at.exists() else ""
            line = f"[ ! -f {(quoted := shlex.quote(str(files.script)))} ] || . {quoted}"
            if line not in before.splitlines():
                # Appended and not replaced: it may be a link into a folder of start files.
                with at.open("a", encoding="utf-8") as file:
                    file.write(f"{'' if before.endswith(chr(10)) or not before else chr(10)}{_MARK}\n{line}\n")
                changed.append(at)
    except OSError as error:
        raise storage_error(at, error) from error
    return changed
