"""The same config, data and packages give the same bytes, whatever else is different: each training is a process."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from artifact_pipeline.config.models import MANY_CLASS_SOLVERS
from artifact_pipeline.runtime import KERNEL_VARIABLE
from artifact_pipeline.verification import verify
from tables import blobs, write_table
from tools import require_tool

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / "config" / "config.json"
OURS = ("OPENBLAS_", "OMP_", "MKL_", "NPY_", "PYTHON", "LC_", "LANG", "TZ")
"""What the tests themselves may have in their environment, and a user does not."""

Digests = dict[str, str]


def train(
    folder: Path, *options: str, config: Path = CONFIG, umask: int = -1, env: dict[str, str] | None = None
) -> Digests:
    """Train in a process of its own: the digest of each file that it has written, the export's too."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    done = subprocess.run(
        [sys.executable, *options, "-m", "artifact_pipeline", "train", "--config", config],
        cwd=folder,
        env={**kept, **(env or {})},
        umask=umask,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return digests(folder)


def digests(folder: Path) -> Digests:
    files = [*(folder / "artifact").iterdir(), folder / "model_train.pkl"]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Digests:
    """What a training with nothing special around it writes."""
    return train(tmp_path_factory.mktemp("plain"))


def vectors() -> list[str]:
    """The vector instructions that NumPy would use here beyond what every processor has, by NumPy's names."""
    return list(np.show_config(mode="dicts")["SIMD Extensions"].get("found", []))


EVERYTHING_ELSE = {
    "PYTHONHASHSEED": "20240229",
    "PYTHONDONTWRITEBYTECODE": "1",
    "TZ": "Pacific/Auckland",
    "LC_ALL": "C.UTF-8",
    "OPENBLAS_NUM_THREADS": "2",
    "OMP_NUM_THREADS": "2",
    "OPENBLAS_L2_SIZE": "1024",
}


def test_another_process_with_everything_else_gives_the_same_bytes(plain: Digests, tmp_path: Path) -> None:
    """Another folder, hash seed, time zone, locale, umask, threads and vectors at once: the same bytes everywhere."""
    folder = tmp_path / "a folder" / "ünders"
    folder.mkdir(parents=True)
    vectorless = {"NPY_DISABLE_CPU_FEATURES": " ".join(vectors())} if vectors() else {}
    assert train(folder, umask=0o077, env={**EVERYTHING_ELSE, **vectorless}) == plain


@pytest.mark.slow
@pytest.mark.skipif(not vectors(), reason="NumPy uses no vector instructions here beyond its baseline")
def test_numpy_of_a_lesser_processor_gives_the_same_bytes(plain: Digests, tmp_path: Path) -> None:
    """NumPy without the wide vectors that it finds here, as on another processor, gives the same bytes."""
    assert train(tmp_path, env={"NPY_DISABLE_CPU_FEATURES": " ".join(vectors())}) == plain


@pytest.mark.slow
def test_the_door_of_another_clone_gives_the_same_bytes(plain: Digests, trained_once: Path) -> None:
    """`python src/train.py` of a copy of the checkout, by its own code and config, gives the same bytes."""
    assert digests(trained_once) == plain


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the kernel is one of x86-64 processors")
def test_another_kernel_is_another_artifact_that_says_so(plain: Digests, tmp_path: Path) -> None:
    """A kernel that the user sets is taken: its bits are others, and the manifest records it."""
    other = train(tmp_path, env={KERNEL_VARIABLE: "Sandybridge"})
    assert other["model.onnx"] != plain["model.onnx"]
    manifest = verify(tmp_path / "artifact").manifest
    assert {each.kernel for each in manifest.environment.blas} == {"Sandybridge"}
    assert f"{manifest.metrics.held_out.accuracy.value:.4f}" == "0.9750"


@pytest.mark.slow
@pytest.mark.parametrize(
    "env",
    [{name: value} for name, value in EVERYTHING_ELSE.items()]
    + [
        {"PYTHONHASHSEED": "0"},
        {"LC_ALL": "C"},
        {"TZ": "America/St_Johns"},
        {"OPENBLAS_L2_SIZE": "4096"},
        {"PYTHONMALLOC": "malloc"},
        {"PYTHONOPTIMIZE": "2"},
    ],
    ids=str,
)
def test_each_variable_alone_gives_the_same_bytes(plain: Digests, tmp_path: Path, env: dict[str, str]) -> None:
    """Each of the variables by itself gives the same bytes, so that none hides another."""
    assert train(tmp_path, env=env) == plain


@pytest.mark.slow
def test_python_without_asserts_gives_the_same_bytes(plain: Digests, tmp_path: Path) -> None:
    """`python -O`, in the plain C locale and without UTF-8 mode, gives the same bytes."""
    assert train(tmp_path, "-O", env={"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}) == plain


@pytest.mark.slow
def test_a_locale_with_a_decimal_comma_gives_the_same_bytes(plain: Digests, tmp_path: Path) -> None:
    """A locale that writes 0,5 gives the same bytes."""
    locales = tmp_path / "locales"
    locales.mkdir()
    made = subprocess.run(
        [require_tool("localedef"), "-i", "de_DE", "-f", "UTF-8", locales / "de_DE.UTF-8"], check=False
    )
    if made.returncode:
        pytest.skip("needs the sources of the system's locales")
    assert train(tmp_path, env={"LOCPATH": str(locales), "LC_ALL": "de_DE.UTF-8"}) == plain


@pytest.mark.slow
@pytest.mark.parametrize("solver", MANY_CLASS_SOLVERS)
def test_each_solver_gives_the_same_bytes_for_a_table(solver: str, tmp_path: Path) -> None:
    """Over decimals in a table too, with each solver: neither threads nor vectors nor the format change a byte."""
    found = []
    for suffix, env in (("csv", {}), ("parquet", {**EVERYTHING_ELSE, "NPY_DISABLE_CPU_FEATURES": " ".join(vectors())})):
        folder = tmp_path / suffix
        folder.mkdir()
        write_table(folder / f"rows.{suffix}", blobs(["red", "green", "blue"], rows=2000))
        keys = {"C": 1.0, "solver": solver, "max_iter": 1000}
        keys["dataset"] = {"path": f"rows.{suffix}", "target": "label"}
        (folder / "config.json").write_text(json.dumps(keys))
        found.append(train(folder, config=folder / "config.json", env=env))
    assert found[0] == found[1]
