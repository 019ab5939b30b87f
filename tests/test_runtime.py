from __future__ import annotations

import json
import platform
import re
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from threadpoolctl import threadpool_info

from artifact_pipeline import __version__
from artifact_pipeline.runtime import KERNEL, KERNEL_VARIABLE, TELEMETRY_VARIABLE, THREAD_VARIABLES

if TYPE_CHECKING:
    from collections.abc import Callable

    Look = Callable[..., dict[str, str | None]]

SRC = Path(__file__).resolve().parents[1] / "src"
LOOK = """
import json, os, sys
{first}
from artifact_pipeline import __version__
from artifact_pipeline.runtime import pin_numerics
pin_numerics()
{then}
print(json.dumps({{name: os.environ.get(name) for name in {names!r}}}))
"""
KERNELS = """
import numpy, scipy.linalg, threadpoolctl
pools = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
os.environ["KERNELS"] = ",".join(sorted({f"{pool['architecture']} {pool['num_threads']}" for pool in pools}))
"""


def cpu_flags() -> set[str]:
    """What the processor says that it can do."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return {flag for line in lines if line.startswith("flags") for flag in line.split()}


HAS_KERNEL = platform.machine().lower() in {"x86_64", "amd64"} and {"avx2", "fma"} <= cpu_flags()


@pytest.fixture
def look(run: Callable[..., Any]) -> Look:
    """The variables that a process has after `pin_numerics`."""

    def looked(first: str = "", then: str = "", **env: str) -> dict[str, str | None]:
        names = (*THREAD_VARIABLES, KERNEL_VARIABLE, TELEMETRY_VARIABLE, "KERNELS")
        done = run("-c", LOOK.format(first=first, then=then, names=names), env={"PYTHONPATH": str(SRC), **env})
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return looked


def test_each_library_gets_one_thread(look: Look) -> None:
    """Every BLAS that NumPy may be built with is told to use one thread."""
    seen = look()
    assert {seen[name] for name in THREAD_VARIABLES} == {"1"}


def test_what_the_user_has_set_stays(look: Look) -> None:
    """A user's own thread count and kernel are left as they are."""
    seen = look(OPENBLAS_NUM_THREADS="2", OPENBLAS_CORETYPE="Zen")
    assert (seen["OPENBLAS_NUM_THREADS"], seen["OMP_NUM_THREADS"], seen[KERNEL_VARIABLE]) == ("2", "1", "Zen")


def test_nothing_of_blas_is_set_once_numpy_is_loaded(look: Look) -> None:
    """Where NumPy is loaded already threads and kernel would change nothing, and are not set; telemetry is off."""
    seen = look(first="import numpy")
    assert seen.pop(TELEMETRY_VARIABLE) == "1"
    assert set(seen.values()) == {None}


def test_telemetry_is_off_whatever_the_environment_says(look: Look) -> None:
    """The telemetry of onnxruntime is turned off, also where a variable of the environment turns it on."""
    assert {look()[TELEMETRY_VARIABLE], look(**{TELEMETRY_VARIABLE: "0"})[TELEMETRY_VARIABLE]} == {"1"}


def test_the_kernel_is_pinned_where_the_processor_can_run_it(look: Look) -> None:
    """With AVX2 and FMA on x86-64 OpenBLAS is told which kernel to run; elsewhere it chooses for itself."""
    assert look()[KERNEL_VARIABLE] == (KERNEL if HAS_KERNEL else None)


@pytest.mark.skipif(not HAS_KERNEL, reason="needs an x86-64 processor with AVX2 and FMA")
def test_openblas_runs_the_pinned_kernel_with_one_thread(look: Look) -> None:
    """NumPy's and SciPy's OpenBLAS, loaded afterwards, run the pinned kernel with one thread."""
    assert look(then=KERNELS)["KERNELS"] == f"{KERNEL} 1"


def test_what_ran_is_recorded(candidate: Any) -> None:
    """The manifest's environment names each BLAS with its kernel, the interpreter, and what makes the bytes."""
    environment = candidate.manifest.environment
    ran = {(pool["internal_api"], pool["architecture"]) for pool in threadpool_info() if pool["user_api"] == "blas"}
    assert {(each.library, each.kernel) for each in environment.blas} == ran
    assert environment.python.version == platform.python_version()
    assert (environment.system, environment.architecture) == (platform.system(), platform.machine())
    packages = ("numpy", "onnxruntime", "pyarrow", "scikit-learn", "scipy")
    assert environment.packages == {"artifact-pipeline": __version__, **{name: version(name) for name in packages}}


def test_no_path_host_or_thread_count_is_recorded(candidate: Any) -> None:
    """Nothing of this machine, its user or this run is anywhere in the manifest."""
    told = candidate.manifest.canonical().decode()
    assert re.findall(r'"(?:/|[A-Za-z]:\\).*?"', told) == []
    keys = set(re.findall(r'"(\w+)":', told))
    assert not keys & {"time", "date", "created", "host", "hostname", "user", "path", "threads", "commit"}
    assert f'"{platform.node()}"' not in told
