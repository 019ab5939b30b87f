"""What the bytes of an artifact depend on beside recipe and data."""

from __future__ import annotations

import os

from artifact_pipeline.artifact.parts import Frozen, Text

PACKAGES = ("numpy", "onnxruntime", "pyarrow", "scikit-learn", "scipy")
"""A literal list of what computes, reads or writes the bytes; what else is installed does not change the artifact."""


class Environment(Frozen, frozen=True):
    """Interpreter, system, packages, BLAS and its kernel; no path, host, time or thread count."""

    class Python(Frozen, frozen=True):
        """The interpreter."""

        implementation: Text
        version: Text

    class Blas(Frozen, frozen=True):
        """One BLAS library that was loaded, and the kernel that it ran."""

        library: Text
        version: Text
        kernel: Text

    python: Python
    system: Text
    architecture: Text
    libc: Text
    packages: dict[Text, Text]
    blas: tuple[Blas, ...]

    @property
    def kernels(self) -> tuple[str, ...]:
        """The BLAS kernels that ran, sorted."""
        return tuple(sorted({each.kernel for each in self.blas}))

    @classmethod
    def here(cls) -> Environment:
        """Describe this process; call it after the fit, when the BLAS libraries are loaded."""
        import platform
        from importlib.metadata import version

        from threadpoolctl import threadpool_info

        from artifact_pipeline import __version__

        loaded = {
            (entry["internal_api"], entry["version"] or "", entry.get("architecture") or "")
            for entry in threadpool_info()
            if entry["user_api"] == "blas"
        }
        return cls(
            python=cls.Python(implementation=platform.python_implementation(), version=platform.python_version()),
            system=platform.system(),
            architecture=platform.machine(),
            libc=libc(),
            packages={"artifact-pipeline": __version__, **{name: version(name) for name in PACKAGES}},
            blas=tuple(
                cls.Blas(library=name, version=number, kernel=kernel) for name, number, kernel in sorted(loaded)
            ),
        )


def libc() -> str:
    """The C library and its version, where the system says it: scikit-learn's loops call its `exp`."""
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, ValueError):  # no such call, or another C library
        return ""
