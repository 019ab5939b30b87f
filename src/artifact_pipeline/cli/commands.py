"""Our commands, as they can be typed where they are printed.

Hints and next steps say `artifact-pipeline VERB …`, in whichever layer they are raised. What is printed is what starts
this very installation from the working folder: the bare name, the script's path, or Python with `-m`.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path

import artifact_pipeline

VERBS = (
    "init train verify sign predict serve health evaluate inspect search report compare reproduce card bom export runs "
    "rollback push pull gc promote demote history schema completion man"
)
DOORS = {"train": "train", "predict": "inference"}
"""The verbs that have a door, `python src/….py`."""
NAME = "artifact-pipeline"
COMPLETION_VARIABLE = "_ARTIFACT_PIPELINE_COMPLETE"
"""The variable of the environment that a shell sets to get completions."""
_COMMAND = re.compile(
    rf"(?<![\w/.-]){NAME}(?: (?P<verb>{VERBS.replace(' ', '|')})\b|(?= --help\b))"
    r"|(?<![\w/.-])python src/(?P<door>train|inference)\.py\b"
)


def typed(text: str, root: Path | None = None) -> str:
    """Return a text with each of our commands in it as it can be typed.

    Args:
        text: a hint, or a command.
        root: the project's root where a door is open: its verbs are the doors then.
    """

    def spelled(found: re.Match[str]) -> str:
        verb = found["verb"]
        door = found["door"] or DOORS.get(verb or "")
        if root is not None and door:
            return f"{_python()} {_path(root / 'src' / f'{door}.py')}"
        return f"{_program(root)} {verb}" if verb else _program(root)

    return _COMMAND.sub(spelled, text)


def _program(root: Path | None) -> str:
    """Return the command that starts this installation."""
    home = Path(artifact_pipeline.__file__).parents[1]
    if not _is_installed(home, door=root is not None):
        return f"PYTHONPATH={_path(home)} {_python()} -P -m artifact_pipeline"
    # Which script has started us, or else the one of this Python.
    script = Path(sys.argv[0]) if Path(sys.argv[0]).name == NAME else Path(sys.executable).with_name(NAME)
    if not os.access(script, os.X_OK):
        return f"{_python()} -P -m artifact_pipeline"
    return NAME if _is_found(NAME, script) else _path(script)


def _is_installed(home: Path, *, door: bool) -> bool:
    """Return whether Python finds the package without a door's folder, the working folder or PYTHONPATH."""
    entries = sys.path[0 if sys.flags.safe_path and not door else 1 :]
    listed = {os.path.realpath(each) for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each}
    return os.path.realpath(home) in {os.path.realpath(each) for each in entries if each} - listed


def _python() -> str:
    """Return the command that starts this Python."""
    if not sys.executable:
        return "python"
    names = ("python", "python3")
    here = Path(sys.executable)
    return next((name for name in names if _is_found(name, here, beside=True)), None) or _path(here)


def _is_found(name: str, file: Path, *, beside: bool = False) -> bool:
    """Return whether a shell starts this file by this name; with `beside` it must also find it in the file's folder.

    The Pythons of two environments may be links to one file: their folders distinguish them.
    """
    from shutil import which

    found = which(name)
    if found is None or (beside and os.path.realpath(Path(found).parent) != os.path.realpath(file.parent)):
        return False
    return os.path.realpath(found) == os.path.realpath(file)


def _path(path: Path) -> str:
    from artifact_pipeline.files import shown

    return shlex.quote(shown(path))
