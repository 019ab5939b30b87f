"""Settings that count only before a library is loaded: BLAS's threads and kernel, onnxruntime's telemetry."""

from __future__ import annotations

import os
import platform
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

THREAD_VARIABLES = (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
KERNEL_VARIABLE = "OPENBLAS_CORETYPE"
KERNEL = "Haswell"
CACHE_VARIABLE = "OPENBLAS_L2_SIZE"
CACHE_KIB = "512"
"""The size of the second-level cache, for OpenBLAS: newer ones cut their work by it, and so round by it."""

TELEMETRY_VARIABLE = "ORT_DISABLE_TELEMETRY"
"""Without it onnxruntime, from 1.29 on, reports each use to its maker, and leaves an id of the device under HOME."""

_AVX512 = frozenset({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"})
KERNELS = {
    "Katmai": frozenset({"sse"}),  # what OpenBLAS calls its Prescott
    "Prescott": frozenset({"pni"}),
    "Nehalem": frozenset({"sse4_2"}),
    "Sandybridge": frozenset({"avx"}),
    "Haswell": frozenset({"avx2", "fma"}),
    "Zen": frozenset({"avx2", "fma"}),
    "SkylakeX": _AVX512,
    "Cooperlake": _AVX512 | {"avx512_bf16"},
}
"""The kernels that may be chosen, each with the flags of a processor that can run it; on another it would crash."""
_PINNED: set[str] = set()
"""Which variables this process has set, and not the user."""


def load_onnxruntime() -> Any:
    """Import onnxruntime with its telemetry off; nothing else in this package imports it.

    The variable counts only before the first import. Where a program of the user has imported onnxruntime before, it
    is that program that decides.
    """
    os.environ[TELEMETRY_VARIABLE] = "1"
    import onnxruntime

    return onnxruntime


class _WithoutPandas:
    """A finder by which pandas is not installed; `sys.modules["pandas"] = None` would make pyarrow fail."""

    def find_spec(self, fullname: str, path: object, target: object = None, /) -> None:  # noqa: ARG002 - the protocol
        """Raise for pandas; return None, for another finder to find it, for any other module."""
        if fullname == "pandas":
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


@contextmanager
def without_pandas() -> Iterator[None]:
    """Keep pandas from being imported in this block: pyarrow's first array and scikit-learn do so where it is there.

    Nothing here uses it, and it costs a third of a second and 40 MB. Both libraries go on without it for as long as
    the process lives, so this is for the commands, not for a caller's own process. Where pandas is loaded, it stays.
    """
    finder = _WithoutPandas()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


def pin_numerics() -> None:
    """Give BLAS one thread and one kernel, for this process and its children, and turn onnxruntime's telemetry off.

    One thread: two of them fight over a fit as small as the digits (0.07 s of CPU become 8 s on a busy machine),
    and change its last bits. One kernel: OpenBLAS picks another one on another processor, and `lbfgs` then stops
    elsewhere; with AVX2 and FMA present, `Haswell` gives the same bits on all of them. What the user has set of these
    stays. The size of the processor's cache, by which OpenBLAS 0.3.34 cuts its work, is always set to one number, since
    no artifact records it.

    Call it before anything imports NumPy; afterwards the threads and the kernel would change nothing, and are left.
    """
    os.environ[TELEMETRY_VARIABLE] = "1"
    if "numpy" in sys.modules:
        return
    for variable in THREAD_VARIABLES:
        os.environ.setdefault(variable, "1")
    if _can_run(KERNEL):
        if KERNEL_VARIABLE not in os.environ:
            os.environ[KERNEL_VARIABLE] = KERNEL
            _PINNED.add(KERNEL_VARIABLE)
        os.environ[CACHE_VARIABLE] = CACHE_KIB


def choose_kernel(kernel: str) -> Literal["artifact", "user", "process", "default"]:
    """Let BLAS run the kernel that an artifact was made under, if that is still to be decided, and possible here.

    Call it after `pin_numerics` and before anything imports NumPy.

    Returns:
        Who has decided: the `artifact`; the `user`, whose variable stays; the `process`, in which NumPy was loaded
        before; or the `default`, where the kernel is not known or the processor is not known to have it.
    """
    if "numpy" in sys.modules:
        return "process"
    if KERNEL_VARIABLE in os.environ and KERNEL_VARIABLE not in _PINNED:
        return "user"
    if not _can_run(kernel):
        return "default"
    os.environ[KERNEL_VARIABLE] = kernel
    _PINNED.add(KERNEL_VARIABLE)
    return "artifact"


def _can_run(kernel: str) -> bool:
    """Return whether the processor is an x86 with the flags that the kernel needs; False where they are not known.

    For `Haswell` that is AVX2 and FMA. The C library's `exp`, which scikit-learn calls, asks for the same two: with
    both, it too gives the same bits.
    """
    needed = KERNELS.get(kernel)
    if needed is None or platform.machine().lower() not in {"x86_64", "amd64"}:
        return False
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as file:
            return any(line.startswith("flags") and needed <= set(line.split()) for line in file)
    except OSError:
        return False
