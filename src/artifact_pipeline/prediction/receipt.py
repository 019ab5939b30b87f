"""The receipt: what was read, by which artifact, and what came of it, by digests. docs/inference.md describes it."""

from __future__ import annotations

import platform
import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType, structs

from artifact_pipeline import __version__
from artifact_pipeline.artifact.manifest import Verified
from artifact_pipeline.artifact.parts import Count, Digest, Frozen, Share, Text

if TYPE_CHECKING:
    from artifact_pipeline.artifact.manifest import Verified

SUFFIX = ".receipt.json"
MAX_BYTES = 16 << 20


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


class LabelCount(Frozen, frozen=True):
    """Rows that were given a label."""

    label: int | Text
    rows: Count


class Rows(Frozen, frozen=True):
    """Rows read are rows written and rows rejected; `rules` says why, `out_of_range` counts among the written."""

    read: Count
    written: Count
    rejected: Count
    rules: dict[Text, Count]
    out_of_range: Count


Learned = Literal["none", "all", "some", "unknown"]
"""Which of the rows that were measured are rows that the model has learned."""


class Measured(Frozen, frozen=True):
    """Figures over the rows whose label came with them; the confusion matrix has a row for each actual class.

    `training_rows` is not in receipts of earlier releases, which say nothing of it.
    """

    rows: Count
    accuracy: Share
    f1_weighted: Share
    confusion: tuple[tuple[Count, ...], ...]
    training_rows: Learned | UnsetType = UNSET


class Receipt(Frozen, frozen=True):
    """A receipt, format 1; `progress` is there while the work is not complete, and tells how to go on."""

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
    labels: tuple[LabelCount, ...]
    metrics: Measured | None
    drift: dict[str, Any] | None
    environment: dict[str, Any]
    progress: dict[str, Any] | None

    def without_progress(self) -> Receipt:
        """The same receipt of work that is complete."""
        return structs.replace(self, complete=True, progress=None)


def parse_receipt(data: bytes, *, place: str) -> Receipt:
    """Parse the bytes of a receipt.

    Raises:
        ArtifactRejected: they are not canonical JSON, or break a type.
    """
    return Receipt.parse(data, place=place, rule="receipt-invalid")


def gate_of(artifact: Verified) -> Literal["passed", "failed", "missing"]:
    """The artifact's verdict."""
    gate = artifact.manifest.gate
    return gate.verdict if gate is not None else "missing"


def environment() -> dict[str, Any]:
    """What answered: the interpreter, the system, and the packages that were loaded to do it; no host and no time."""
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
