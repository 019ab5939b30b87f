"""What must be settled before NumPy is loaded: how many threads BLAS has, and which kernel it runs."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

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
"""What OpenBLAS is told of the second-level cache: newer ones cut their work by it, and so round by it."""


def pin_numerics() -> None:
    """Give BLAS one thread and one kernel, for this process and its children.

    One thread: two of them fight over a fit as small as the digits (0.07 s of CPU become 8 s on a busy machine),
    and change its last bits. One kernel: OpenBLAS picks another one on another processor, and `lbfgs` then stops
    elsewhere; with AVX2 and FMA present, `Haswell` gives the same bits on all of them. What the user has set of these
    stays. The size of the processor's cache, by which OpenBLAS 0.3.34 cuts its work, is always told the same, since
    no artifact records it.

    Call it before anything imports NumPy; afterwards it would change nothing, so it is then left undone.
    """
    if "numpy" in sys.modules:
        return
    for variable in THREAD_VARIABLES:
        os.environ.setdefault(variable, "1")
    if platform.machine().lower() in {"x86_64", "amd64"} and _can_run_kernel():
        os.environ.setdefault(KERNEL_VARIABLE, KERNEL)
        os.environ[CACHE_VARIABLE] = CACHE_KIB


def _can_run_kernel() -> bool:
    """Whether the processor says it has AVX2 and FMA, which the kernel needs; False where the system does not tell.

    The C library's `exp`, which scikit-learn calls, asks for the same two: with both, it too gives the same bits.
    """
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as file:
            return any(line.startswith("flags") and {"avx2", "fma"} <= set(line.split()) for line in file)
    except OSError:
        return False
