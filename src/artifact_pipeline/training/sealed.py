"""What a training has made, in memory: a manifest, the files that it lists, and the export."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from artifact_pipeline.artifact.manifest import Manifest, parse_manifest
from artifact_pipeline.artifact.manifest1 import Data, Manifest1
from artifact_pipeline.artifact.parts import MAX_MANIFEST_BYTES, NAME
from artifact_pipeline.artifact.trials import FILE, ROLE
from artifact_pipeline.canonical import digest
from artifact_pipeline.errors import DataRejected, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from artifact_pipeline.training.dataset import Dataset
    from artifact_pipeline.training.scales import Scales

FILE_NAMES = {
    "model": "model.onnx",
    "reference": "reference.json",
    "selftest": "selftest.json",
    "split": "split.bin",
    ROLE: FILE,
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A trained, measured and judged model, not yet written anywhere.

    Attributes:
        manifest: the artifact's manifest.
        members: the bytes of each listed file, by name.
        export: the bytes of `model_train.pkl`.
        scales: the two columns that may have kept the solver from converging; None where it converged, where columns
            are scaled, or their scales are alike.
        repeated: how many held-out rows have the very features of a training row.
        notes: what is worth knowing of the fit, a sentence each.
        left_out: how many rows of feedback were not learned from, because the split holds them out.
    """

    manifest: Manifest
    members: dict[str, bytes]
    export: bytes
    scales: Scales | None = None
    repeated: int = 0
    notes: tuple[str, ...] = ()
    left_out: int = 0

    @property
    def digest(self) -> str:
        """The artifact digest."""
        return digest(self.manifest.canonical())

    @property
    def passed(self) -> bool:
        """Whether the gate passed."""
        return self.manifest.gate is not None and self.manifest.gate.verdict == "passed"


def data_record(data: Dataset, split: bytes) -> Data:
    """What a manifest says of the rows and their split, of which `split` has a bit for each row."""
    rows = data.rows
    sources = tuple(
        Data.Source(name=each.source, digest=hashed, algorithm=each.digest_algorithm, rows=len(each.X))
        for each, hashed in zip(rows.sources, rows.digests(), strict=True)
    )
    held_out = Data.Split(digest=digest(split), held_out=len(data.held_out), training=len(data.train))
    return Data(sources=sources, target=rows.target, split=held_out)


def file_records(members: Mapping[str, bytes]) -> tuple[Manifest1.File, ...]:
    """What a manifest says of its files, whose bytes are given by role."""
    return tuple(
        Manifest1.File(name=FILE_NAMES[role], role=role, size=len(content), sha256=digest(content))
        for role, content in sorted(members.items())
    )


def export_records(export: bytes) -> tuple[Manifest1.Export, ...]:
    """What a manifest says of `model_train.pkl`."""
    return (Manifest1.Export(format="pickle", size=len(export), sha256=digest(export)),)


def read_back(manifest: Manifest) -> Manifest:
    """The manifest, parsed from its bytes: what a reader would refuse must not be published."""
    data = manifest.canonical()
    if len(data) > MAX_MANIFEST_BYTES:
        message = f"would have {len(data):,} bytes, allowed are {MAX_MANIFEST_BYTES:,}: too many columns or labels"
        problem = Problem(NAME, "manifest-too-large", message)
        hint = "leave columns out by dataset.drop, or rows with rare labels"
        raise DataRejected("the model cannot be described", problems=[problem], hint=hint)
    return parse_manifest(data)
