"""Take from an environment what `serve`, `verify` and `predict` cannot use, and check that the rest still works.

`python3 slim.py /opt/artifact-pipeline`, in the build of an image. Three rules, and no other file is touched:

1. Files that no program reads at run time go: tests of packages, headers, sources, type stubs, static libraries.
2. Subsystems that nothing here imports go: Arrow's Flight and S3, onnxruntime's tools for building and training models
   and its library for programs in C, NumPy's tools for building extensions, Pillow's AVIF (which is no format that is
   read here) and its fonts.
3. Debug symbols and local symbols go from shared libraries, as Debian strips its own; not from those in `*.libs/`,
   which auditwheel has patched, and `strip` may break.

Then each module of the package that serving needs must load, and each shared library with all that it needs.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

TESTS = re.compile(r"tests?")
SOURCES = frozenset([".a", ".c", ".cc", ".cpp", ".h", ".hpp", ".pxd", ".pxi", ".pyi", ".pyx"])
UNUSED = (
    "PIL/_avif*",
    "PIL/_imagingft*",
    "numpy/distutils",
    "numpy/f2py",
    "numpy/_core/include",
    "onnxruntime/backend",
    "onnxruntime/capi/libonnxruntime.so*",
    "onnxruntime/datasets",
    "onnxruntime/quantization",
    "onnxruntime/tools",
    "onnxruntime/transformers",
    "pillow.libs/libavif*",
    "pillow.libs/libfreetype*",
    "pillow.libs/libharfbuzz*",
    "pyarrow/_flight*",
    "pyarrow/_s3fs*",
    "pyarrow/include",
    "pyarrow/libarrow_flight*",
    "pyarrow/libarrow_python.so",
    "pyarrow/libarrow_python_flight*",
    "pyarrow/libarrow_python.so.*.*",
    "pyarrow/libarrow_s3*",
    "pyarrow/src",
)
LOAD = """
import ctypes, importlib, pkgutil, sys
import artifact_pipeline
import granian, numpy, onnxruntime, PIL.Image, uvloop
import pyarrow.csv, pyarrow.feather, pyarrow.json, pyarrow.orc, pyarrow.parquet
for name in ("artifact", "drift", "metrics", "model", "prediction", "rows", "serving", "storage", "trust"):
    package = importlib.import_module(f"artifact_pipeline.{name}")
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(found.name)
for library in sys.argv[1:]:
    ctypes.CDLL(library)
"""


def slim(packages: Path) -> None:
    """Apply the three rules to a `site-packages`."""
    for path in sorted(packages.rglob("*")):
        if path.is_dir() and TESTS.fullmatch(path.name):
            shutil.rmtree(path)
        elif path.suffix in SOURCES and path.is_file():
            path.unlink()
    for pattern in UNUSED:
        for path in packages.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in libraries(packages):
        if not path.parent.name.endswith(".libs"):
            subprocess.run(["strip", "--strip-unneeded", path], check=True)


def libraries(packages: Path) -> list[Path]:
    """The shared libraries, Python's extension modules among them."""
    return [path for path in packages.rglob("*.so*") if path.is_file() and not path.is_symlink()]


def check(environment: Path, packages: Path) -> None:
    """Load what serves, then each library with all that it needs.

    Raises:
        CalledProcessError: a module or a library does not load; its traceback stands above.
    """
    command: list[str | Path] = [environment / "bin" / "python", "-I", "-B", "-c", LOAD]
    subprocess.run([*command, *libraries(packages)], check=True)


def size(folder: Path) -> float:
    """The size of all files, in MB."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def main(environment: Path) -> None:
    """Slim an environment, and print its size before and after."""
    (packages,) = environment.glob("lib/python*/site-packages")
    before = size(environment)
    slim(packages)
    check(environment, packages)
    print(f"{environment}: {before:.1f} MB, now {size(environment):.1f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
