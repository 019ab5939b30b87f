"""The next command works where it is printed: whichever Python, script and folder it is."""

from __future__ import annotations

import ast
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from artifact_pipeline.cli.app import app
from artifact_pipeline.cli.commands import DOORS, VERBS, typed
from conftest import install

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., subprocess.CompletedProcess[str]]

ROOT = Path(__file__).resolve().parents[1]
SYSTEM = "/usr/bin:/bin"


def shell(command: str, cwd: Path, path: str = SYSTEM) -> list[str]:
    """What a command that is typed in a shell prints, which must be all well."""
    kept = {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "GITHUB_ACTIONS"}}
    done = subprocess.run(
        ["sh", "-c", command], cwd=cwd, env={**kept, "PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout.splitlines()


def following(command: str, cwd: Path, path: str = SYSTEM) -> str:
    """The next command that one names in its last line."""
    last = shell(command, cwd, path)[-1]
    assert last.startswith("next: ")
    return last.removeprefix("next: ")


@pytest.fixture
def made(trained: Path) -> Path:
    """A checkout with its environment, in which a model has been trained, as `make run` leaves it."""
    return install(trained)


def test_a_newcomer_goes_on_with_what_is_printed(made: Path) -> None:
    """After `make run`, in a shell in which nothing is activated, each next command works as it stands."""
    second = following(".venv/bin/python src/train.py", made)
    assert second == ".venv/bin/python src/inference.py"
    third = following(second, made)
    assert third == ".venv/bin/artifact-pipeline inspect"
    assert following(third, made) == ".venv/bin/artifact-pipeline predict"
    receipt = [line for line in shell(second, made) if line.startswith("receipt: ")]
    check = ".venv/bin/artifact-pipeline verify predictions.csv --receipt"
    assert receipt == [f"receipt: predictions.csv.receipt.json ({check})"]
    shell(check, made)


def test_an_activated_environment_needs_no_path(made: Path) -> None:
    """Where the names lead to this installation, they are enough."""
    path = f"{made / '.venv' / 'bin'}:{SYSTEM}"
    assert following("python src/train.py", made, path) == "python src/inference.py"
    assert following("python src/inference.py", made, path) == "artifact-pipeline inspect"
    assert following("artifact-pipeline inspect", made, path) == "artifact-pipeline predict"


def test_from_another_folder_paths_are_whole(made: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """In a folder that is not above them, programs are named by their whole paths."""
    elsewhere = tmp_path_factory.mktemp("else where")
    python, script = made / ".venv" / "bin" / "python", made / ".venv" / "bin" / "artifact-pipeline"
    second = following(f"{python} {made}/src/train.py", elsewhere)
    assert second == f"{python} {made}/src/inference.py"
    third = following(second, elsewhere)
    assert third == f"{script} inspect {made}/artifact"
    shell(third, elsewhere)


def test_another_installation_is_not_meant(made: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A script of that name that belongs to another environment is not what is named, nor is another Python."""
    other = install(tmp_path_factory.mktemp("other"))
    path = f"{other / '.venv' / 'bin'}:{SYSTEM}"
    assert following(".venv/bin/python src/train.py", made, path) == ".venv/bin/python src/inference.py"
    assert following(".venv/bin/artifact-pipeline inspect", made, path) == ".venv/bin/artifact-pipeline predict"


def test_without_the_script_python_starts_the_package(made: Path) -> None:
    """Where the package is installed and its script is not, the module is named."""
    (made / ".venv" / "bin" / "artifact-pipeline").unlink()
    third = following(".venv/bin/python src/inference.py", made)
    assert third == ".venv/bin/python -P -m artifact_pipeline inspect"
    assert following(third, made) == ".venv/bin/python -P -m artifact_pipeline predict"


def test_without_an_installation_a_door_names_what_works(
    trained: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A door that is opened by a Python that has the packages, and not this one, names what starts it from here."""
    python = shlex.quote(sys.executable)
    third = following(f"{python} src/inference.py", trained)
    assert third == f"PYTHONPATH=src {python} -P -m artifact_pipeline inspect"
    assert following(third, trained) == f"PYTHONPATH=src {python} -P -m artifact_pipeline predict"
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    third = following(f"{python} {trained}/src/inference.py", elsewhere)
    assert third == f"PYTHONPATH={trained}/src {python} -P -m artifact_pipeline inspect {trained}/artifact"
    shell(third, elsewhere)


def test_hints_name_what_works(run: Run, made: Path) -> None:
    """A hint that a lower layer has raised names the door at a door, and the verb at the command line."""
    (made / "artifact").unlink()
    python = made / ".venv" / "bin" / "python"
    for command, hint in {
        (str(python), "src/inference.py"): "run .venv/bin/python src/train.py first",
        (str(python), "-m", "artifact_pipeline", "verify"): "run .venv/bin/artifact-pipeline train first",
        (
            str(python),
            "src/train.py",
            "-S",
            "C=0",
        ): "`.venv/bin/artifact-pipeline schema` prints every key, type and default",
        (
            str(python),
            "-m",
            "artifact_pipeline",
            "runs",
            "more",
        ): ".venv/bin/artifact-pipeline runs --help lists what can be said",
    }.items():
        done = subprocess.run(command, cwd=made, env={"PATH": SYSTEM}, capture_output=True, text=True, check=False)
        assert done.stderr.splitlines()[-1] == f"hint: {hint}"


def test_all_verbs_are_known_by_name() -> None:
    """What is printed as a command is one of the verbs, and each of them."""
    assert VERBS.split() == list(app.commands)
    for verb, door in DOORS.items():
        assert verb in app.commands
        assert (ROOT / "src" / f"{door}.py").exists()


@pytest.mark.parametrize(
    "text",
    [
        "install the same artifact-pipeline[scale] on every machine",
        "use the version of artifact-pipeline that the manifest names",
        "this is a bug of artifact-pipeline; please report it",
        "look into my/artifact-pipeline verify",
    ],
)
def test_only_commands_are_changed(text: str) -> None:
    """The package's name, or a path that ends with it, is no command."""
    assert typed(text) == text


def test_no_message_of_the_package_names_a_door() -> None:
    """A wheel has neither doors nor a Makefile: below the command line nothing that is said speaks of them."""
    for module in (ROOT / "src" / "artifact_pipeline").rglob("*.py"):
        tree = ast.parse(module.read_text())
        docstrings = {
            node.body[0].value
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docstrings:
                said = any(word in node.value for word in ("src/train", "src/inference", "make run", "make test"))
                assert not said or module.name == "boundary.py", (module.name, node.value)
