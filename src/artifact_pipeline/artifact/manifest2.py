"""The manifest, format 2: columns of any kind, any classifier that can be written, and an open list of figures."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from artifact_pipeline.artifact.environment import Environment  # noqa: TC001 - msgspec reads the types of fields
from artifact_pipeline.artifact.figures2 import Measured  # noqa: TC001
from artifact_pipeline.artifact.manifest1 import Data, Manifest1, ModelRecord, check_files, check_model
from artifact_pipeline.artifact.parts import Count, Digest, Frozen, Loss, ModelName, Text
from artifact_pipeline.rows.features import MAX_LEVEL_BYTES, MAX_LEVELS, Column

BASELINE = "beats_baseline"
"""The rule that the lower end of accuracy's interval is above the share of the most frequent label."""
Level = Annotated[str, Meta(max_length=MAX_LEVEL_BYTES)]
ROLES = ("model", "reference", "selftest", "split")
"""The roles that format 2 must have, each once; a role beyond them is hashed and otherwise ignored."""


class InputColumn(Frozen, frozen=True):
    """One column that the model takes.

    Attributes:
        nullable: whether a value may be missing.
        levels: the levels of a category that the model knows, ascending; the empty text where missing is one of them.
        other: whether any other level of a category is accepted, or its row refused.
    """

    name: Text
    kind: Literal["number", "boolean", "category"]
    nullable: bool
    levels: Annotated[tuple[Level, ...], Meta(max_length=MAX_LEVELS)] | UnsetType = UNSET
    other: Literal["accept", "refuse"] | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Refuse levels of what is no category, levels out of order, and levels that are too long."""
        levels = self.levels
        if (levels is UNSET) != (self.kind != "category") or (levels is UNSET) != (self.other is UNSET):
            raise ValueError("a category has levels and other, and no other kind has them")
        if levels is not UNSET:
            if list(levels) != sorted(set(levels)):
                raise ValueError("levels must be different texts, ascending")
            if any(len(each.encode(errors="surrogatepass")) > MAX_LEVEL_BYTES for each in levels):
                raise ValueError(f"a level has more than {MAX_LEVEL_BYTES:,} bytes")


class WrittenModel(Frozen, frozen=True):
    """What `model.onnx` is, and how its numbers came about.

    Attributes:
        estimator: the class that was fitted, with its module.
        parameters: its constructor's parameters.
        fit: how the fit went; null where the estimator does not say.
        inputs: the columns, in the order in which the model takes them.
        steps: what is computed, from the columns to the scores; `model.spec` reads it.
        answers: the output beside the label.
        classes: the labels, in the order of that output's columns.
        parity: how the published model compares with the estimator that it was written from.
    """

    class Fit(Frozen, frozen=True):
        """How many iterations the solver took, the most of several, and whether it stopped by its own rule."""

        iterations: Count
        converged: bool

    class Parity(Frozen, frozen=True):
        """The rows that were compared, those among them that are ties, and the greatest difference of an answer."""

        rows: Count
        ties: Count
        max_difference: Loss

    digest: Digest
    estimator: Text
    parameters: dict[Text, Any]
    fit: Fit | None
    inputs: Annotated[tuple[InputColumn, ...], Meta(min_length=1, max_length=65_536)]
    steps: dict[str, Any]
    answers: Literal["probabilities", "scores"]
    classes: Annotated[tuple[int | Text, ...], Meta(min_length=2)]
    parity: Parity

    def __post_init__(self) -> None:
        """Refuse labels of two kinds or out of order, and a column that stands twice."""
        check_model(self.classes, [each.name for each in self.inputs])

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns that the model takes."""
        return tuple(
            Column(
                each.name,
                each.kind,
                each.nullable,
                () if each.levels is UNSET else each.levels,
                "accept" if each.other is UNSET else each.other,
            )
            for each in self.inputs
        )

    @property
    def dtype(self) -> Literal["float64"]:
        """The type in which the model takes numbers."""
        return "float64"

    @property
    def outputs(self) -> tuple[ModelRecord.Tensor, ...]:
        """The tensors that the model answers with."""
        kind: Literal["string", "int64"] = "string" if isinstance(self.classes[0], str) else "int64"
        return (
            ModelRecord.Tensor(name="label", dtype=kind, shape=(None,)),
            ModelRecord.Tensor(name=self.answers, dtype="float64", shape=(None, len(self.classes))),
        )

    @property
    def iterations(self) -> int | None:
        """How many iterations the solver took; None where the estimator does not say."""
        return None if self.fit is None else self.fit.iterations

    @property
    def converged(self) -> bool:
        """Whether the solver stopped by its own rule; true where there is none."""
        return self.fit is None or self.fit.converged


class JudgedRule(Frozen, frozen=True):
    """One rule of a gate, what was observed, and whether that is enough.

    Attributes:
        metric: as the figures have it, or `beats_baseline`, whose bound must be exceeded.
        better: `higher` where the observed value must be at least the bound, `lower` where it must be at most that.
        observed: what was measured on the held-out rows.
        label: the class that the rule is about; a rule about all classes has no such field.
    """

    metric: Text
    bound: float
    better: Literal["higher", "lower"]
    observed: float
    passed: bool
    label: int | Text | UnsetType = UNSET

    @property
    def minimum(self) -> float:
        """The bound."""
        return self.bound

    @property
    def name(self) -> str:
        """The metric, and the class where the rule is about one."""
        return self.metric if self.label is UNSET else f"{self.metric} of {self.label!r}"

    @property
    def sign(self) -> str:
        """How the observed value stands to the bound."""
        if self.metric == BASELINE:
            return ">" if self.passed else "<="
        return {"higher": (">=", "<"), "lower": ("<=", ">")}[self.better][not self.passed]

    @property
    def shortfall(self) -> str:
        """Why the rule failed, in words."""
        if self.metric == BASELINE:
            return f"accuracy may be as low as {self.observed}, and always giving one label reaches {self.bound}"
        return f"{self.name} {self.observed} is {'below' if self.better == 'higher' else 'above'} {self.bound}"


class JudgedGate(Frozen, frozen=True):
    """The verdict, bound to the model and to the rows that it was measured on."""

    rules: tuple[JudgedRule, ...]
    verdict: Literal["passed", "failed"]
    model: Digest
    held_out: Digest


class Manifest2(Frozen, frozen=True):
    """The artifact's manifest, format 2."""

    format: Literal[2]
    name: ModelName
    task: Literal["classification"]
    recipe: dict[str, Any]
    data: Data
    model: WrittenModel
    environment: Environment
    metrics: Measured
    gate: JudgedGate | None
    files: Annotated[tuple[Manifest1.File, ...], Meta(max_length=64)]
    exports: Annotated[tuple[Manifest1.Export, ...], Meta(max_length=16)]

    def __post_init__(self) -> None:
        """Refuse repeated names, missing roles, and more bytes than a reader will hold."""
        check_files(self.files, ROLES)

    def file(self, role: str) -> Manifest1.File:
        """The record of the one file that has this role."""
        return next(record for record in self.files if record.role == role)
