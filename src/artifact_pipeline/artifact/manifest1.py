"""The manifest, format 1: its types. docs/artifact-format.md describes every field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from artifact_pipeline.artifact.environment import Environment  # noqa: TC001 - msgspec reads the types of fields
from artifact_pipeline.artifact.figures import Metrics  # noqa: TC001
from artifact_pipeline.artifact.parts import (
    MAX_FILE_BYTES,
    MAX_TOTAL_BYTES,
    NAME,
    Count,
    Digest,
    Frozen,
    ModelName,
    Share,
    Text,
)
from artifact_pipeline.rows.features import Column
from artifact_pipeline.rows.matrix import FEEDBACK

if TYPE_CHECKING:
    from collections.abc import Sequence

ROLES = ("model", "parameters", "reference", "selftest", "split")
"""The roles that format 1 must have, each once; a role beyond them is hashed and otherwise ignored."""

_FileName = Annotated[str, Meta(pattern=r"\A[a-z0-9][a-z0-9_-]*(\.[a-z0-9_-]+)*\Z", max_length=64)]
_Size = Annotated[int, Meta(ge=0, le=MAX_FILE_BYTES)]
InputType = Literal["float32", "float64"]
Metric = Literal["accuracy", "f1_weighted", "accuracy_low", "f1_macro", "recall"]


class Data(Frozen, frozen=True):
    """What the model learned from."""

    class Source(Frozen, frozen=True):
        """Where rows came from: what they are, and their digest; never a path."""

        name: Text
        digest: Digest
        algorithm: Text
        rows: Count

    class Split(Frozen, frozen=True):
        """Which rows were held out: the digest of `split.bin`, and the counts."""

        digest: Digest
        held_out: Count
        training: Count

    sources: Annotated[tuple[Source, ...], Meta(min_length=1)]
    target: Text
    split: Split

    @property
    def rows(self) -> int:
        """How many rows there are in all sources."""
        return sum(source.rows for source in self.sources)

    @property
    def split_sources(self) -> tuple[Source, ...]:
        """The sources whose rows have a bit in `split.bin`: all except feedback, which is never held out."""
        return tuple(source for source in self.sources if source.name != FEEDBACK)

    @property
    def split_rows(self) -> int:
        """How many rows have a bit in `split.bin`."""
        return sum(source.rows for source in self.split_sources)


class ModelRecord(Frozen, frozen=True):
    """What `model.onnx` is, and how its numbers came about."""

    class Input(Frozen, frozen=True):
        """One input column."""

        name: Text
        kind: Literal["number", "boolean"]
        missing: bool

    class Tensor(Frozen, frozen=True):
        """One tensor that the model answers with; None in `shape` is the number of rows."""

        name: Text
        dtype: Literal["float64", "int64", "string"]
        shape: tuple[Count | None, ...]

    class Parity(Frozen, frozen=True):
        """The published model beside the estimator that it was written from, over all rows."""

        rows: Count
        ties: Count
        max_probability_difference: Share

    digest: Digest
    estimator: Text
    parameters: dict[Text, bool | int | float | Text | dict[Text, float] | None]
    iterations: Count
    converged: bool
    inputs: Annotated[tuple[Input, ...], Meta(min_length=1)]
    dtype: InputType
    shape: tuple[Count | None, ...]
    outputs: tuple[Tensor, ...]
    classes: Annotated[tuple[int | Text, ...], Meta(min_length=2)]
    parity: Parity

    def __post_init__(self) -> None:
        """Refuse labels of two kinds or out of order, and an input that format 1 does not have."""
        check_model(self.classes, [each.name for each in self.inputs])
        if any(each.missing for each in self.inputs):
            raise ValueError("format 1 knows no input that may be missing")

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns that the model takes."""
        return tuple(Column(each.name, each.kind) for each in self.inputs)


class GateRecord(Frozen, frozen=True):
    """The verdict, bound to the model and to the rows that it was measured on."""

    class Rule(Frozen, frozen=True):
        """One rule of the gate, what was observed, and whether that is enough.

        `label` is there where the rule is about one class, as each rule about `recall` is.
        """

        metric: Metric
        minimum: Share
        observed: Share
        passed: bool
        label: int | Text | UnsetType = UNSET

        @property
        def name(self) -> str:
            """The metric, and the class where it is about one."""
            return self.metric if self.label is UNSET else f"{self.metric} of {self.label!r}"

        @property
        def sign(self) -> str:
            """How the observed value stands to the minimum."""
            return ">=" if self.passed else "<"

        @property
        def shortfall(self) -> str:
            """Why the rule failed, in words."""
            return f"{self.name} {self.observed} is below {self.minimum}"

    rules: tuple[Rule, ...]
    verdict: Literal["passed", "failed"]
    model: Digest
    held_out: Digest


class Manifest1(Frozen, frozen=True):
    """The artifact's manifest, format 1."""

    class File(Frozen, frozen=True):
        """One file beside the manifest."""

        name: _FileName
        role: Text
        size: _Size
        sha256: Digest

    class Export(Frozen, frozen=True):
        """A file outside the artifact that was made from the same numbers."""

        format: Literal["pickle"]
        size: Count
        sha256: Digest

    format: Literal[1]
    name: ModelName
    task: Literal["classification"]
    recipe: dict[str, Any]
    data: Data
    model: ModelRecord
    environment: Environment
    metrics: Metrics
    gate: GateRecord | None
    files: Annotated[tuple[File, ...], Meta(max_length=64)]
    exports: Annotated[tuple[Export, ...], Meta(max_length=16)]

    def __post_init__(self) -> None:
        """Refuse repeated names, missing roles, and more bytes than a reader will hold."""
        check_files(self.files, ROLES)

    def file(self, role: str) -> File:
        """The record of the one file that has this role."""
        return next(record for record in self.files if record.role == role)


def check_model(classes: Sequence[int | str], inputs: Sequence[str]) -> None:
    """Check that a model's labels are of one kind and ascend, and that each input has a name of its own.

    ONNX holds labels that are whole numbers as int64.

    Raises:
        ValueError: they are not so.
    """
    if len({type(label) for label in classes}) != 1 or list(classes) != sorted(set(classes)):
        raise ValueError("classes must be different whole numbers, or different texts, ascending")
    if any(isinstance(label, int) and not -(2**63) <= label < 2**63 for label in classes):
        raise ValueError("a class is no whole number of 64 bits")
    if len(set(inputs)) != len(inputs):
        raise ValueError("an input stands twice")


def check_files(files: Sequence[Manifest1.File], needed: Sequence[str]) -> None:
    """Check that the files of a manifest have different names and these roles, each once, and are not too large.

    Raises:
        ValueError: they are not so.
    """
    names = [record.name for record in files]
    roles = [record.role for record in files if record.role in needed]
    if len({*names, NAME}) != len(names) + 1:
        raise ValueError(f"a file name stands twice, or is {NAME}")
    if sorted(roles) != sorted(needed):
        raise ValueError(f"the roles must be {', '.join(needed)}, each once")
    if sum(record.size for record in files) > MAX_TOTAL_BYTES:
        raise ValueError(f"the files are larger than {MAX_TOTAL_BYTES:,} bytes together")
