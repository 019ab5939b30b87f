"""The receipt: what was read, by which artifact, and what was written, by digests. docs/inference.md describes it."""

from __future__ import annotations

import platform
import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from artifact_pipeline import __version__
from artifact_pipeline.artifact.manifest import Verified  # noqa: TC001 - msgspec reads the types of fields
from artifact_pipeline.artifact.parts import Count, Digest, Frozen, Share, Text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SUFFIX = ".receipt.json"
MAX_BYTES = 16 << 20
RULE = "receipt-invalid"
"""The rule that is broken by bytes that are no receipt."""
Learned = Literal["none", "all", "some", "unknown"]
"""How many of the rows that were measured the model has learned."""


class Receipt(Frozen, frozen=True):
    """A receipt, format 1; `progress` has what `--resume` needs, and is None once the work is complete."""

    class Input(Frozen, frozen=True):
        """One file that was read: its name, never its folder, and the digest of its bytes."""

        name: str
        format: Text
        sha256: Digest
        rows: Count

    class Output(Frozen, frozen=True):
        """One file that was written."""

        name: str
        size: Count
        sha256: Digest
        rows: Count

    class Label(Frozen, frozen=True):
        """Rows that were given a label."""

        label: int | Text
        rows: Count

    class Rows(Frozen, frozen=True):
        """Rows read, written and rejected, these by the rule that they break; rows written that are out of range."""

        read: Count
        written: Count
        rejected: Count
        rules: dict[Text, Count]
        out_of_range: Count

    class Measured(Frozen, frozen=True):
        """Figures over the rows whose label came with them; the confusion matrix has a row for each actual class.

        Receipts of earlier releases have no `training_rows`.
        """

        rows: Count
        accuracy: Share
        f1_weighted: Share
        confusion: tuple[tuple[Count, ...], ...]
        training_rows: Learned | UnsetType = UNSET

        @classmethod
        def of(cls, confusion: NDArray[np.int64], training_rows: Learned) -> Receipt.Measured | None:
            """Return the figures of a confusion matrix, int64 of shape (classes, classes); None without rows."""
            from artifact_pipeline.metrics import classification as metrics

            if not confusion.sum():
                return None
            return cls(
                rows=int(confusion.sum()),
                accuracy=metrics.accuracy(confusion),
                f1_weighted=float(metrics.weighted_f1(confusion)),
                confusion=tuple(map(tuple, confusion.tolist())),
                training_rows=training_rows,
            )

    format: Literal[1]
    complete: bool
    artifact: Digest
    model: Digest
    gate: Literal["passed", "failed", "missing"]
    failed_gate_accepted: bool
    trust: Verified.Trusted
    inputs: tuple[Input, ...]
    outputs: Annotated[tuple[Output, ...], Meta(max_length=1_000_000)]
    rejected: Output | None
    rows: Rows
    labels: tuple[Label, ...]
    metrics: Measured | None
    drift: dict[str, Any] | None
    environment: dict[str, Any]
    progress: dict[str, Any] | None


def environment() -> dict[str, Any]:
    """Return the interpreter, the system, and the packages that were loaded to predict; no host and no time."""
    packages = {"artifact-pipeline": __version__}
    for name in ("numpy", "onnxruntime", "pyarrow"):
        if name in sys.modules:
            packages[name] = sys.modules[name].__version__
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": platform.system(),
        "architecture": platform.machine(),
        "packages": packages,
    }
