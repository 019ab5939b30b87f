"""Skipping what has not changed: nothing is trained where a training would give what stands already."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from artifact_pipeline.artifact import provenance
from artifact_pipeline.artifact.pointer import resolve
from artifact_pipeline.canonical import digest
from artifact_pipeline.config import load_config
from artifact_pipeline.digits.dataset import DIGITS, load_digits
from artifact_pipeline.training.dataset import load_rows
from artifact_pipeline.training.publication import publish
from artifact_pipeline.training.statement import TrainingOrigin, make_statement
from artifact_pipeline.training.unchanged import Look, fingerprint_of, key_of, look, look_by_fingerprint
from artifact_pipeline.verification import verify
from tables import blobs, write_table
from tools import renamed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.training.sealed import Candidate

    Run = Callable[..., subprocess.CompletedProcess[str]]

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / "config" / "config.json"
NOTHING_OF_TRAINING = """
import sys
from artifact_pipeline.cli import main
assert main(sys.argv[1:]) == 0
of_training = {"numpy", "sklearn", "scipy", "pandas", "onnx", "joblib", "threadpoolctl", "onnxruntime"}
assert not (of_training | {"pydantic"}) & set(sys.modules)
"""


def key(*overrides: str, champion: Verified | None = None) -> dict[str, str]:
    """The key of the documented config with some keys changed."""
    config = load_config(CONFIG, overrides)
    return key_of(config, load_rows(config), champion)


def put(root: Path, candidate: Candidate, told: dict[str, str], fingerprint: str | None = None) -> None:
    """Publish a candidate as one that was made from this key."""
    origin = TrainingOrigin(CONFIG, Path("nowhere"))
    statement = make_statement(candidate, origin, key=told, looks=1, fingerprint=fingerprint)
    publish(candidate, artifact=root / "artifact", export=root / "model_train.pkl", statement=statement)


def seen(root: Path, asked: dict[str, str]) -> Look:
    return look(root / "artifact", root / "model_train.pkl", asked)


@pytest.fixture
def standing(tmp_path: Path, candidate: Candidate) -> Path:
    """A folder in which the documented config has been published with its key."""
    put(tmp_path, candidate, key(), fingerprint_of(CONFIG.read_bytes()))
    return tmp_path


def seen_by_file(root: Path, config: bytes) -> Look | None:
    return look_by_fingerprint(root / "artifact", root / "model_train.pkl", config)


# --- the key


def test_the_same_key_is_unchanged(standing: Path, candidate: Candidate) -> None:
    """With the key that it was made from, an artifact and an export that verify are what a training would give."""
    found = seen(standing, key())
    assert found.unchanged
    assert found.standing is not None
    assert found.standing.digest == candidate.digest


@pytest.mark.parametrize(
    ("override", "part", "old", "new"),
    [
        ("C=2", "recipe.C", "1.0", "2.0"),
        ("solver=newton-cg", "recipe.solver", '"lbfgs"', '"newton-cg"'),
        ("gate.min_f1=0.5", "recipe.gate.min_f1", "0.95", "0.5"),
        ("name=other", "recipe.name", '"digits"', '"other"'),
    ],
)
def test_another_recipe_is_changed(standing: Path, override: str, part: str, old: str, new: str) -> None:
    """A part of the recipe that differs is named with what it was and what it is."""
    found = seen(standing, key(override))
    assert not found.unchanged
    assert found.changes == (Look.Change(part, old, new),)


@pytest.mark.parametrize("override", ["gate.margin=0.5", "gate.on_inconclusive=pass"])
def test_how_to_compare_matters_only_where_there_is_a_champion(standing: Path, override: str) -> None:
    """Without a champion its margin changes nothing; with one it does."""
    assert seen(standing, key(override)).unchanged
    champion = verify(standing / "artifact")
    assert key(override, champion=champion) != key(champion=champion)


def test_another_kernel_or_package_is_changed(standing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The BLAS kernel that is asked for and the versions of the packages are parts of the key."""
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Prescott")
    monkeypatch.setattr("importlib.metadata.version", lambda name: f"{name} of tomorrow")
    parts = {each.part for each in seen(standing, key()).changes}
    packages = {"numpy", "onnxruntime", "pyarrow", "scikit-learn", "scipy"}
    assert parts == {"kernel", *(f"packages.{name}" for name in packages)}


def test_a_changed_row_is_changed(tmp_path: Path) -> None:
    """One number of a table is enough; the same rows in another file format are the same."""
    columns = blobs(["no", "yes"])

    def of(name: str) -> dict[str, str]:
        path = write_table(tmp_path / name, columns)
        config = load_config(CONFIG, ["dataset=" + json.dumps({"path": str(path), "target": "label"})])
        return key_of(config, load_rows(config))

    before = of("rows.csv")
    assert of("rows.parquet") == before
    columns["width"][3] += 1
    after = of("rows.csv")
    assert {name for name in before if before[name] != after[name]} == {"data"}


def test_digest_of_the_digits_is_known() -> None:
    """The key takes the digits' digest from a constant, which is what their rows give."""
    assert key()["data"] == load_digits().digest() == DIGITS.digest


def test_another_champion_is_changed_and_oneself_is_not(standing: Path, candidate: Candidate) -> None:
    """Another champion asks for a training; the artifact in charge as champion does not: it would be identical."""
    mine = verify(standing / "artifact")
    assert seen(standing, key(champion=mine)).unchanged
    put(standing, renamed(candidate, "other"), key())
    assert [each.part for each in seen(standing, key(champion=mine)).changes] == [
        "champion",
        "gate.margin",
        "gate.on_inconclusive",
    ]


# --- the fingerprint


def test_the_same_file_need_not_be_parsed(standing: Path) -> None:
    """The file's bytes alone give what its parsed config gives."""
    assert seen_by_file(standing, CONFIG.read_bytes()) == seen(standing, key())


def installed(*folders: str) -> Callable[[pytest.MonkeyPatch, Path], None]:
    """Put a place in front of all others, with these folders of packages in it."""

    def put_in_front(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
        for folder in folders:
            (place / folder).mkdir(parents=True)
        monkeypatch.syspath_prepend(place)

    return put_in_front


def an_archive_in_front(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    place.write_bytes(b"")
    monkeypatch.syspath_prepend(place)


UNSURE: dict[str, Callable[[pytest.MonkeyPatch, Path], None]] = {
    "another kernel": lambda monkeypatch, _: monkeypatch.setenv("OPENBLAS_CORETYPE", "Prescott"),
    "other source": lambda monkeypatch, _: monkeypatch.setattr(
        "artifact_pipeline.training.unchanged.source_digest", lambda: "sha256:other"
    ),
    "another NumPy": installed("numpy-1.0.dist-info"),
    "two of NumPy": installed("numpy-1.0.dist-info", f"numpy-{version('numpy')}.dist-info"),
    "NumPy by another installer": installed(f"numpy-{version('numpy')}.egg-info"),
    "another parser": installed("pydantic-1.0.dist-info"),
    "an archive": an_archive_in_front,
}


@pytest.mark.parametrize("change", UNSURE.values(), ids=UNSURE)
def test_where_anything_else_differs_the_config_is_parsed(
    standing: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[pytest.MonkeyPatch, Path], None],
) -> None:
    """The fingerprint says nothing under another kernel, source or package, or where a version is in doubt."""
    change(monkeypatch, tmp_path_factory.mktemp("elsewhere") / "place")
    assert seen_by_file(standing, CONFIG.read_bytes()) is None


def test_without_its_fingerprint_the_config_is_parsed(standing: Path, candidate: Candidate) -> None:
    """With another byte in the file, no fingerprint, a champion, or no statement at all, nothing is known."""
    assert seen_by_file(standing, CONFIG.read_bytes() + b"\n") is None
    put(standing, candidate, key())
    assert seen_by_file(standing, CONFIG.read_bytes()) is None
    put(standing, candidate, key(champion=verify(standing / "artifact")), fingerprint_of(CONFIG.read_bytes()))
    assert seen_by_file(standing, CONFIG.read_bytes()) is None
    provenance.place(resolve(standing / "artifact")).unlink()
    assert seen_by_file(standing, CONFIG.read_bytes()) is None
    assert seen_by_file(standing / "nowhere", CONFIG.read_bytes()) is None


def test_fingerprint_is_the_parsers_and_the_files() -> None:
    """The versions that the folders of packages name are those that the packages' own metadata names."""
    wanted = f"pydantic {version('pydantic')}\n".encode() + CONFIG.read_bytes()
    assert fingerprint_of(CONFIG.read_bytes()) == digest(wanted)


# --- what stands must be sound


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no pointer": (lambda root: (root / "artifact").unlink(), "nothing is in charge yet"),
    "no provenance": (
        lambda root: provenance.place(resolve(root / "artifact")).unlink(),
        "the artifact in charge has no provenance that says what it was made from",
    ),
    "damaged": (lambda root: (root / "artifact" / "split.bin").write_bytes(b""), "is not what it claims to be"),
    "no export": (lambda root: (root / "model_train.pkl").unlink(), "model_train.pkl is missing"),
    "another export": (
        lambda root: (root / "model_train.pkl").write_bytes(b"another"),
        "model_train.pkl is not the one of the artifact in charge",
    ),
}


@pytest.mark.parametrize(("damage", "reason"), BROKEN.values(), ids=BROKEN)
def test_what_is_not_sound_is_trained_again(standing: Path, damage: Callable[[Path], object], reason: str) -> None:
    """Without pointer, provenance, a whole artifact or its export there is something to train, and it is said why."""
    damage(standing)
    found = seen(standing, key())
    assert not found.unchanged
    assert found.reason is not None
    assert reason in found.reason
    assert seen_by_file(standing, CONFIG.read_bytes()) in (None, found)


# --- by the command line


def test_a_second_training_is_unchanged(run: Run, trained: Path) -> None:
    """Run twice, the second training says `unchanged`, and writes nothing."""
    before = {path: path.lstat().st_mtime_ns for path in trained.rglob("*")}
    done = run("src/train.py", cwd=trained)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0] == "unchanged: artifact was made from just this; --force trains all the same"
    assert lines[-1] == "next: python src/inference.py"
    ours = {path: path.lstat().st_mtime_ns for path in trained.rglob("*") if "__pycache__" not in path.parts}
    assert ours == {path: time for path, time in before.items() if "__pycache__" not in path.parts}


def test_unchanged_loads_nothing_of_training(trained: Path) -> None:
    """It ends without NumPy, scikit-learn, onnx or a runtime; `make bench-unchanged` measures what it costs."""
    env = {**os.environ, "PYTHONPATH": str(trained / "src")}
    command: Sequence[str] = [sys.executable, "-c", NOTHING_OF_TRAINING, "train", "--json"]
    done = subprocess.run(command, cwd=trained, env=env, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["unchanged"] is True


@pytest.mark.slow
def test_json_of_unchanged_is_that_of_the_training(run: Run, checkout: Path) -> None:
    """Unchanged, --json, --outputs and --summary tell of the artifact in charge what its training told."""
    told, pages = [], []
    for arguments in ([], [], ["--force"]):
        done = run("src/train.py", "--json", "--summary", "page", "--outputs", "outputs", *arguments, cwd=checkout)
        told.append(json.loads(done.stdout))
        pages.append([(checkout / name).read_text() for name in ("page", "outputs")])
        for name in ("page", "outputs"):
            (checkout / name).unlink()
    assert [each.pop("unchanged") for each in told] == [False, True, False]
    assert told[0].pop("reason") == "nothing is in charge yet"
    assert [each.pop("reason") for each in told[1:]] == [None, None]
    assert told[0] == told[1] == told[2]
    assert pages[0] == pages[1] == pages[2]


def test_explain_names_what_changed(run: Run, trained: Path) -> None:
    """--explain prints each part of the key that differs, old and new; with --dry-run nothing is trained."""
    done = run("src/train.py", "--explain", "--dry-run", "-S", "C=0.5", "-S", "max_iter=900", cwd=trained)
    assert done.stdout.splitlines()[:2] == [
        "changed: recipe.C: 1.0 -> 0.5",
        "changed: recipe.max_iter: 1000 -> 900",
    ]
    value = json.loads(run("src/train.py", "--explain", "--dry-run", "-S", "C=0.5", "--json", cwd=trained).stdout)
    assert value["changed"] == [{"part": "recipe.C", "old": "1.0", "new": "0.5"}]
    assert verify(trained / "artifact").manifest.recipe["C"] == 1.0
    assert run("src/train.py", "--explain", cwd=trained).stdout.startswith("changed: nothing\nunchanged: ")


def test_found_with_or_without_parsing_it_is_told_the_same(run: Run, trained: Path) -> None:
    """A file of the same values in other bytes is parsed, and gives the same text, and the same JSON."""
    config = trained / "config" / "config.json"
    told = []
    for more in (b"", b"\n"):
        config.write_bytes(config.read_bytes() + more)
        done = [run("src/train.py", *said, cwd=trained) for said in ((), ("--json",), ("--explain",))]
        told.append([(each.returncode, each.stdout, each.stderr) for each in done])
    assert told[0] == told[1]


@pytest.mark.slow
def test_what_wins_over_the_file_leaves_no_fingerprint(run: Run, trained: Path) -> None:
    """After `-S C=0.5` the file alone is another recipe, though its bytes have not changed; it is trained again."""
    assert run("src/train.py", "-S", "C=0.5", cwd=trained).returncode == 0
    statement = provenance.Statement.read(resolve(trained / "artifact"))
    assert statement is not None
    assert statement.internal.fingerprint is None
    assert run("src/train.py", "--explain", cwd=trained).stdout.startswith("changed: recipe.C: 0.5 -> 1.0\n")
    assert run("src/train.py", "-S", "C=0.5", "--explain", "--dry-run", cwd=trained).stdout.startswith(
        "changed: recipe.C: 1.0 -> 0.5\n"
    )


@pytest.mark.slow
def test_changed_code_is_trained_again(run: Run, trained: Path) -> None:
    """A line of this package's own source that has changed asks for a training."""
    module = trained / "src" / "artifact_pipeline" / "training" / "run.py"
    module.write_text(module.read_text() + "\n# another line\n")
    done = run("src/train.py", "--explain", cwd=trained)
    assert done.stdout.startswith("changed: source: sha256:")
    assert "unchanged" not in done.stdout
    assert run("src/train.py", cwd=trained).stdout.startswith("unchanged")


@pytest.mark.slow
def test_a_missing_export_is_written_again(run: Run, trained: Path) -> None:
    """Without model_train.pkl the training is done again, and --explain says why."""
    before = (trained / "model_train.pkl").read_bytes()
    (trained / "model_train.pkl").unlink()
    done = run("src/train.py", "--explain", cwd=trained)
    assert done.stdout.startswith("to be trained: model_train.pkl is missing\n")
    assert (trained / "model_train.pkl").read_bytes() == before


def test_make_run_is_unchanged_in_a_used_checkout(run: Run, trained: Path) -> None:
    """What `make run` does works as well where nothing has changed: unchanged, verified, predicted."""
    assert run("src/train.py", cwd=trained).stdout.startswith("unchanged")
    env = {"PYTHONPATH": str(trained / "src")}
    assert run("-m", "artifact_pipeline", "verify", "artifact", env=env, cwd=trained).returncode == 0
    assert run("src/inference.py", cwd=trained).returncode == 0
