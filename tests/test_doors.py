"""The doors in `src/` and the wheel: from any folder, under any Python, with or without the packages, interrupted."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from artifact_pipeline import __version__
from artifact_pipeline.verification import verify
from tools import scraps, slow

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., subprocess.CompletedProcess[str]]

ROOT = Path(__file__).resolve().parents[1]
DOORS = ["train", "inference", "utils"]
VERB_OF = {"train": "train", "inference": "predict"}


@pytest.fixture
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that has nothing to do with the project."""
    return tmp_path_factory.mktemp("elsewhere")


def written(root: Path) -> set[str]:
    """What stands in a checkout that was not there before."""
    return {path.name for path in root.iterdir()} - {"src", "config"}


# --- from any folder


@pytest.mark.slow
def test_doors_write_into_the_projects_root_from_any_folder(run: Run, checkout: Path, elsewhere: Path) -> None:
    """Both doors find config and artifact, and write what they make, in the project's root, wherever they start."""
    done = run(checkout / "src" / "train.py", cwd=elsewhere)
    assert done.returncode == 0, done.stderr
    assert written(checkout) == {"artifact", "artifacts", "model_train.pkl"}
    next_door = shlex.split(done.stdout.splitlines()[-1].removeprefix("next: python "))
    assert next_door == [str(checkout / "src" / "inference.py")]
    done = run(*next_door, cwd=elsewhere)
    assert (done.returncode, done.stderr) == (0, "")
    predictions = {"predictions.csv", "predictions.csv.receipt.json"}
    assert written(checkout) == {"artifact", "artifacts", "model_train.pkl", *predictions}
    assert list(elsewhere.iterdir()) == []
    assert "export: " in done.stdout
    assert "belongs to this artifact" in done.stdout


@pytest.mark.slow
def test_train_door_names_the_next_door(run: Run, trained: Path) -> None:
    """From the project's root the next door is named as the documentation names it; for another place with it."""
    done = run("src/train.py", "--artifact", "my artifact", cwd=trained)
    assert done.stdout.splitlines()[-1] == "next: python src/inference.py --artifact 'my artifact'"
    assert run("src/inference.py", "--artifact", "my artifact", cwd=trained).returncode == 0
    assert run("src/train.py", cwd=trained).stdout.splitlines()[-1] == "next: python src/inference.py"


@pytest.mark.parametrize("door", VERB_OF)
def test_doors_take_the_options_of_their_verbs(run: Run, checkout: Path, elsewhere: Path, door: str) -> None:
    """A door's help shows how the door is called, the project's files as defaults, and the options of its verb."""
    shown = run(checkout / "src" / f"{door}.py", "--help", cwd=elsewhere).stdout
    verb = run("-m", "artifact_pipeline", VERB_OF[door], "--help").stdout
    assert shown.startswith(f"Usage: python src/{door}.py [OPTIONS]")
    options = re.compile(r"^  (-.*?)(?:  |$)", re.MULTILINE)
    assert options.findall(shown) == options.findall(verb) != []
    assert f"{checkout}/artifact]" in re.sub(r"\s+", "", shown)


@pytest.mark.slow
def test_doors_end_with_the_statuses_of_the_verbs(run: Run, checkout: Path) -> None:
    """A door refuses as its verb does, and its hints name the door."""
    done = run("src/inference.py", cwd=checkout)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (4, "hint: run python src/train.py first")
    done = run("src/train.py", "--frob", cwd=checkout)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        2,
        "hint: python src/train.py --help lists what can be said",
    )
    done = run("src/train.py", "-S", "gate.min_f1=1", cwd=checkout)
    assert done.returncode == 3
    assert written(checkout) == {"artifacts"}


@pytest.mark.slow
def test_inference_says_that_the_config_is_another_one(run: Run, trained: Path) -> None:
    """After a failed gate the model before answers, and it is said that it was not made from the config on disk."""
    config = trained / "config" / "config.json"
    assert run("src/inference.py").stderr == ""
    values = json.loads(config.read_text())
    config.write_text(json.dumps({**values, "max_iter": 900, "gate": {"min_accuracy": 0.99}}))
    failed = run("src/train.py")
    assert (failed.returncode, failed.stderr.splitlines()[-3]) == (
        3,
        "error: the gate failed; what stood before still stands",
    )
    done = run("src/inference.py")
    assert done.returncode == 0
    assert done.stderr == (
        "note: this model was not made from config/config.json as it is now: max_iter is 900, not 1000; "
        "gate.min_accuracy is 0.99, not 0.95; python src/train.py trains from it\n"
    )
    changed = {"max_iter": {"config": 900, "model": 1000}, "gate.min_accuracy": {"config": 0.99, "model": 0.95}}
    told = json.loads(run("src/inference.py", "--json").stdout)
    assert told["other_config"] == {"file": "config/config.json", "changed": changed}
    config.write_text(json.dumps(values))  # spelled otherwise, and the same
    done = run("src/inference.py", "--json")
    assert (json.loads(done.stdout)["other_config"], done.stderr) == (None, "")


@pytest.mark.slow
def test_a_config_that_was_overridden_is_still_its_config(run: Run, trained: Path) -> None:
    """A model that was made from the config and options of the command line is made from this config."""
    assert run("src/train.py", "-S", "max_iter=900").returncode == 0
    assert run("src/inference.py").stderr == ""


@pytest.mark.slow
def test_a_first_failed_training_leaves_nothing_in_charge(run: Run, checkout: Path) -> None:
    """Where nothing stood before, it is not said that it still stands."""
    done = run("src/train.py", "-S", "gate.min_accuracy=1", cwd=checkout)
    assert done.returncode == 3
    assert "error: the gate failed; no model is in charge yet\n" in done.stderr
    assert "stood before" not in done.stderr


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("prefix", ["", "src."])
def test_documented_names_can_be_imported(run: Run, checkout: Path, door: str, prefix: str) -> None:
    """`from src.train import …` works from the root, and `from train import …` with `src/` on the path."""
    code = f"import {prefix}{door} as door; print(*[getattr(door, name).__name__ for name in door.__all__])"
    env = {"PYTHONPATH": "" if prefix else str(checkout / "src")}
    done = run("-c", code, cwd=checkout, env=env)
    assert done.returncode == 0, done.stderr
    expected = {
        "train": "evaluate_model load_config load_data load_model main save_model train_model",
        "inference": "load_model main",
        "utils": "evaluate_model load_config load_data load_digits_data load_model save_model train_model",
    }
    assert done.stdout.strip() == expected[door]


def test_main_of_a_door_returns_the_status(run: Run, checkout: Path) -> None:
    """`main` takes arguments, returns the exit status, and leaves the caller's process as it was."""
    code = (
        "import gc, signal, sys\n"
        "from src.train import main\n"
        "before = sys.excepthook, signal.getsignal(signal.SIGINT), gc.get_threshold()\n"
        "assert main(['--dry-run', '--quiet']) == 0 and main(['--frob']) == 2\n"
        "assert before == (sys.excepthook, signal.getsignal(signal.SIGINT), gc.get_threshold())\n"
    )
    done = run("-c", code, cwd=checkout)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


IN_A_TEST = """
import pytest
from src.{door} import main

def test_door():
    assert main() == {status}
"""


@pytest.mark.slow
@pytest.mark.parametrize(("door", "status"), [("train", 0), ("inference", 4)])
def test_main_called_from_a_test_does_not_read_the_options_of_pytest(
    run: Run, checkout: Path, door: str, status: int
) -> None:
    """`main()` without arguments has no options, whatever those of the process are that calls it."""
    (checkout / "test_door.py").write_text(IN_A_TEST.format(door=door, status=status))
    done = run("-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "door", "test_door.py", cwd=checkout)
    assert done.returncode == 0, done.stdout
    made = {"artifact", "artifacts", "model_train.pkl"} if status == 0 else set()
    assert written(checkout) == {"test_door.py", *made}


# --- another Python, or no packages


@pytest.fixture(scope="module")
def old_pythons() -> list[str]:
    """Pythons on this machine that are older than 3.11, one of each version."""
    candidates = sorted(map(str, Path.home().glob(".pyenv/versions/*/bin/python")))
    candidates += filter(None, map(shutil.which, ["python2", *(f"python3.{minor}" for minor in range(6, 11))]))
    found = {}
    for path in candidates:
        script = "import sys; print('%d.%d' % sys.version_info[:2])"
        done = subprocess.run([path, "-c", script], capture_output=True, text=True, check=False)
        if done.returncode == 0 and tuple(map(int, done.stdout.split("."))) < (3, 11):
            found[done.stdout] = path
    if not found:
        pytest.skip("there is no old Python here")
    return list(found.values())


@pytest.mark.parametrize("door", [*DOORS, "_preflight"])
def test_doors_parse_under_old_pythons(door: str) -> None:
    """The doors hold only what every Python since 2.7 parses: no annotation, no f-string, no letter beyond ASCII."""
    text = (ROOT / "src" / f"{door}.py").read_text(encoding="ascii")
    tree = ast.parse(text, feature_version=(3, 7))
    for node in ast.walk(tree):
        assert not isinstance(node, ast.JoinedStr | ast.AnnAssign | ast.NamedExpr | ast.Nonlocal | ast.AsyncFunctionDef)
        if isinstance(node, ast.FunctionDef):
            assert not node.args.kwonlyargs
            assert node.returns is None
            assert all(argument.annotation is None for argument in node.args.args)


@pytest.mark.slow
@pytest.mark.parametrize("door", ["train", slow("inference"), slow("utils")])
def test_old_python_gets_one_sentence(checkout: Path, old_pythons: list[str], door: str) -> None:
    """A door that an old Python runs or imports says which Python it needs, in one sentence without a traceback."""
    sentence = r"Python 3\.11 or newer is needed, this is \d\.\d+: start it with a newer one, or use make run"
    importing = f"try:\n    import {door}\nexcept ImportError as error:\n    print(error)"
    env = {"PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(checkout / "src")}
    for python in old_pythons:
        command = [python, str(checkout / "src" / f"{door}.py")]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
        assert (done.returncode, done.stdout) == (1, ""), python
        assert re.fullmatch(f"error: {sentence}\n", done.stderr), python
        done = subprocess.run([python, "-c", importing], capture_output=True, text=True, check=False, env=env)
        assert (done.returncode, done.stderr) == (0, ""), python
        assert re.fullmatch(f"{sentence}\n", done.stdout), python


@pytest.mark.parametrize("door", DOORS)
def test_python_without_the_packages_gets_one_sentence(run: Run, checkout: Path, elsewhere: Path, door: str) -> None:
    """A door without its packages names them, the Python that has them not, and the mend, without a traceback."""
    needed = "click, msgspec, numpy, onnxruntime, pyarrow, pydantic, rich"
    if door != "inference":
        needed += ", sklearn, joblib, threadpoolctl"
    sentence = (
        f"{needed} are not installed for {sys.executable}: run pip install -r {checkout / 'requirements.txt'} "
        "in a virtual environment, or use make run"
    )
    done = run("-I", "-S", checkout / "src" / f"{door}.py", cwd=elsewhere)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"error: {sentence}\n")
    code = f"import sys; sys.path.insert(0, {str(checkout / 'src')!r})\ntry:\n    import {door}\n"
    done = run("-I", "-S", "-c", code + "except ImportError as error:\n    print(error)")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{sentence}\n", "")


@pytest.mark.parametrize("door", DOORS)
def test_windows_gets_one_sentence(run: Run, checkout: Path, door: str) -> None:
    """On Windows, which has not the system calls that a publication needs, a door says so."""
    path = checkout / "src" / f"{door}.py"
    done = run("-c", f"import os, runpy; os.name = 'nt'; runpy.run_path({str(path)!r}, run_name='__main__')")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == ("error: Linux or macOS is needed, this is Windows: use the Windows Subsystem for Linux\n")


# --- Ctrl-C

AT_IMPORT = """
import os, runpy, signal, sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == at:
            os.kill(os.getpid(), signal.SIGINT)

at, *sys.argv = sys.argv[1:]
sys.path[0] = os.path.dirname(sys.argv[0])
sys.meta_path.insert(0, Interrupt())
runpy.run_path(sys.argv[0], run_name="__main__")
"""
AT_EVENT = """
import os, runpy, signal, sys

event, place, *sys.argv = sys.argv[1:]

def hook(found, arguments):
    if found == event and place in repr(arguments):
        os.kill(os.getpid(), signal.SIGINT)

sys.path[0] = os.path.dirname(sys.argv[0])
sys.addaudithook(hook)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def assert_interrupted_cleanly(status: int, stderr: str, root: Path) -> None:
    assert status == 130, stderr
    assert "Traceback" not in stderr
    assert "Exception ignored" not in stderr
    assert scraps_beside(root) == []
    if os.path.lexists(root / "artifact"):
        assert verify(root / "artifact").manifest.name == "digits"


def scraps_beside(root: Path) -> list[str]:
    return [name for name in scraps(root) if name not in {"src", "config"}]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("door", "module"),
    [
        ("train", "click"),
        ("train", "artifact_pipeline"),
        ("train", "click.core"),
        ("train", "sklearn.linear_model"),
        ("train", "artifact_pipeline.model.writer"),
        ("inference", "numpy.linalg"),
        ("inference", "onnxruntime.capi"),
    ],
)
def test_interrupt_while_modules_are_loaded(request: pytest.FixtureRequest, run: Run, door: str, module: str) -> None:
    """Ctrl-C ends with 130 and without a traceback while a module is imported, and nothing has been written."""
    checkout: Path = request.getfixturevalue("trained" if door == "inference" else "checkout")
    done = run("-c", AT_IMPORT, module, checkout / "src" / f"{door}.py", cwd=checkout)
    assert_interrupted_cleanly(done.returncode, done.stderr, checkout)
    assert not (checkout / "predictions.csv").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("event", "place"),
    [
        ("open", "/.staging/model.onnx"),
        ("os.rename", "/.staging"),
        ("os.rename", "/.artifact.pointer"),
        ("os.rename", "/.model_train.pkl."),
    ],
)
def test_interrupt_while_an_artifact_is_published(run: Run, checkout: Path, event: str, place: str) -> None:
    """Ctrl-C at a step of the publication ends with 130; what the pointer leads to is whole, and no scrap is left."""
    done = run("-c", AT_EVENT, event, place, checkout / "src" / "train.py", cwd=checkout)
    assert done.stderr.splitlines()[-1] == "error: interrupted; nothing is left half-written"
    assert_interrupted_cleanly(done.returncode, done.stderr, checkout)


@pytest.mark.slow
@pytest.mark.parametrize("step", ["loading rows", "training on 1,437 rows", "measuring the model that is published"])
def test_interrupt_of_a_running_training(checkout: Path, step: str) -> None:
    """Ctrl-C sent to a training at work ends it with 130, without a traceback and without a scrap."""
    process = subprocess.Popen(
        [sys.executable, checkout / "src" / "train.py"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    said = ""
    while step not in said:
        said += process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate()
    assert rest.splitlines()[-1] == "error: interrupted; nothing is left half-written"
    assert_interrupted_cleanly(process.returncode, said + rest, checkout)
    assert written(checkout) == set()


def test_ignored_interrupt_stays_ignored(run: Run, checkout: Path) -> None:
    """A shell that started the door in the background had it ignore Ctrl-C, and it still does."""
    code = "import signal, os, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); os.execv(sys.executable, {})"
    command = [sys.executable, "-c", AT_IMPORT, "click.core", str(checkout / "src" / "train.py"), "--dry-run", "-q"]
    done = run("-c", code.format(command), cwd=checkout)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# --- the wheel

BLOCKER = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"sklearn", "scipy", "onnx", "skl2onnx", "pandas", "joblib", "threadpoolctl"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the working tree."""
    folder = tmp_path_factory.mktemp("dist")
    build = f"from flit_core import buildapi; print(buildapi.build_wheel({str(folder)!r}))"
    done = subprocess.run([sys.executable, "-c", build], cwd=ROOT, capture_output=True, text=True, check=True)
    return folder / done.stdout.strip()


DATA_LICENCES = ("config/PARAMETERS-LICENSE.txt", "digits/DIGITS-LICENSE.txt", "samples/SAMPLES-LICENSE.txt")


def test_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    """The wheel ships every file of the package, its licences and its metadata; no door, no test, no config."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    metadata = f"artifact_pipeline-{__version__}.dist-info/"
    package = {
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src" / "artifact_pipeline").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert {name for name in names if not name.startswith(metadata)} == package
    assert {f"artifact_pipeline/digits/{name}" for name in ("digits.npy.gz", "DIGITS-LICENSE.txt")} < package
    assert "artifact_pipeline/py.typed" in package
    texts = ("LICENSE", *(f"src/artifact_pipeline/{name}" for name in DATA_LICENCES))
    licences = {f"licenses/{text}" for text in texts}
    assert {name.removeprefix(metadata) for name in names - package} == licences | {
        "METADATA",
        "RECORD",
        "WHEEL",
        "entry_points.txt",
    }


@pytest.mark.slow
def test_wheel_predicts_with_the_base_dependencies_alone(
    run: Run, wheel: Path, published: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Installed from its wheel, `verify` and `predict` work where nothing of the extra [train] can be imported."""
    target = tmp_path_factory.mktemp("installed")
    install = ["-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--disable-pip-version-check"]
    done = run(*install, "--target", target, wheel)
    assert done.returncode == 0, done.stderr
    (target / "sitecustomize.py").write_text(BLOCKER)
    env = {"PYTHONPATH": str(target)}
    where = run("-c", "import artifact_pipeline; print(artifact_pipeline.__file__)", env=env, cwd=published)
    assert where.stdout.strip() == str(target / "artifact_pipeline" / "__init__.py")
    for verb in ("verify", "predict", "inspect", "runs"):
        done = run("-m", "artifact_pipeline", verb, env=env, cwd=published)
        assert (done.returncode, done.stderr) == (0, ""), verb
    assert "0.9750" in run("-m", "artifact_pipeline", "predict", env=env, cwd=published).stdout
    done = run("-m", "artifact_pipeline", "train", "--config", ROOT / "config" / "config.json", env=env, cwd=published)
    assert done.returncode == 1
    error, hint = done.stderr.splitlines()[-2:]
    assert re.fullmatch(r"error: the package \w+ is not installed", error)
    assert "pip install 'artifact-pipeline[train]'" in hint
