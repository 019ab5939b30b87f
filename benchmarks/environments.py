"""The bare scripts' own environments: what they need in the lock's versions, and nothing else."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.measure import clean_environment

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("cloudpickle", "joblib", "narwhals", "numpy", "scikit-learn", "scipy", "threadpoolctl")
"""scikit-learn, joblib and what the two need; given hashes, pip refuses a list that lacks one of them."""

DVC = "dvc==3.67.1\n"
"""What `dvc repro` needs; what it brings along is the newest that fits, and not locked."""


def locked(lock: str) -> str:
    """Cut the requirements of `PACKAGES`, with their hashes, out of the text of a lock."""
    blocks = re.findall(r"^(([a-z0-9._-]+)==.*\n(?: +--hash.*\n)*)", lock, flags=re.MULTILINE)
    return "".join(block for block, name in blocks if name in PACKAGES)


def bare_python() -> str:
    """The Python of an environment with scikit-learn and joblib."""
    return _python(ROOT / ".venv-bench-bare", locked((ROOT / "requirements.txt").read_text()))


def batch_python() -> str:
    """The Python of an environment with pandas and pyarrow beside them."""
    return _python(ROOT / ".venv-bench-batch", (ROOT / "benchmarks" / "batch.txt").read_text())


def serving_python() -> str:
    """The Python of an environment with uvicorn, FastAPI, LitServe and scikit-learn."""
    return _python(ROOT / ".venv-serving", (ROOT / "benchmarks" / "serving.txt").read_text())


def tables_python() -> str:
    """The Python of an environment with pandas, scikit-learn and the packages that ship tables."""
    return _python(ROOT / ".venv-bench-tables", (ROOT / "benchmarks" / "tables.txt").read_text())


def autogluon_python() -> str:
    """The Python of an environment with AutoGluon and LightGBM."""
    return _python(ROOT / ".venv-bench-autogluon", (ROOT / "benchmarks" / "autogluon.txt").read_text())


def mljar_python() -> str:
    """The Python of an environment with MLJAR."""
    return _python(ROOT / ".venv-bench-mljar", (ROOT / "benchmarks" / "mljar.txt").read_text())


def dvc_python() -> str:
    """The Python of an environment with DVC."""
    return _python(ROOT / ".venv-bench-dvc", DVC)


def _python(folder: Path, requirements: str) -> str:
    """Make an environment if it is not there or not of these requirements, and return its Python.

    It is made by the Python that runs this and filled by pip, which compiles to byte code as it does for everybody.
    """
    python, installed = str(folder / "bin" / "python"), folder / "installed.txt"
    if installed.exists() and installed.read_text() == f"{sys.version}\n{requirements}":
        return python
    sys.stderr.write(f"installing the bare scripts' packages into {folder.name}\n")
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    listed = folder / "requirements.txt"
    listed.write_text(requirements)
    pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    pip += ["install", *(["--require-hashes"] if "--hash=" in requirements else []), "-r", str(listed)]
    subprocess.run(pip, check=True, env=clean_environment(), stdout=sys.stderr)
    installed.write_text(f"{sys.version}\n{requirements}")
    return python
