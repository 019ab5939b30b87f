"""What the bytes depend on beside recipe and data."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version

from artifact_pipeline import __version__
from artifact_pipeline.artifact.manifest import Blas, Environment, Python

PACKAGES = ("numpy", "onnx", "onnxruntime", "protobuf", "pyarrow", "scikit-learn", "scipy")
"""A literal list of what computes, reads or writes the bytes; what else is installed does not change the artifact."""


def training_environment() -> Environment:
    """Describe this process: interpreter, system, packages, BLAS and its kernel; no path, host, time or thread count.

    Call it after the fit, when the BLAS libraries are loaded.
    """
    from threadpoolctl import threadpool_info

    loaded = {
        (entry["internal_api"], entry["version"] or "", entry.get("architecture") or "")
        for entry in threadpool_info()
        if entry["user_api"] == "blas"
    }
    return Environment(
        python=Python(implementation=platform.python_implementation(), version=platform.python_version()),
        system=platform.system(),
        architecture=platform.machine(),
        libc=libc(),
        packages={"artifact-pipeline": __version__, **{name: version(name) for name in PACKAGES}},
        blas=tuple(Blas(library=library, version=number, kernel=kernel) for library, number, kernel in sorted(loaded)),
    )


def libc() -> str:
    """The C library and its version where it tells: scikit-learn's loops call its `exp`."""
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, ValueError):  # no such call, or another C library
        return ""
