"""The manifest's types, and the one parser. docs/artifact-format.md describes every field.

msgspec and not pydantic, which the config uses: it reads the same types in a tenth of the start-up and a tenth of the
memory, and every `verify` and `predict` pays for it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType, json, to_builtins

from artifact_pipeline.canonical import canonical_json, nested_too_deeply, parse_canonical, spells
from artifact_pipeline.errors import ArtifactRejected, Problem

FORMAT: Literal[1] = 1
NAME = "manifest.json"
MAX_BYTES = 1 << 20
MAX_FILE_BYTES = 64 << 20
MAX_TOTAL_BYTES = 4 * MAX_FILE_BYTES
"""Of all files together, since a reader holds them in memory."""
_MAX_JSON_BYTES = 16 << 20
"""Of a part in JSON, which takes twenty times its size to parse; a manifest within its bound describes less."""
ROLES = ("model", "parameters", "reference", "selftest", "split")
"""The roles that format 1 must have, each once; a role beyond them is hashed and otherwise ignored."""
DECIMALS = 6
"""Metrics and golden probabilities are rounded, since their last bits depend on batch and processor."""

Digest = Annotated[str, Meta(pattern=r"\Asha256:[0-9a-f]{64}\Z")]
_FileName = Annotated[str, Meta(pattern=r"\A[a-z0-9][a-z0-9_-]*(\.[a-z0-9_-]+)*\Z", max_length=64)]
ModelName = Annotated[str, Meta(pattern=r"\A[a-z0-9][a-z0-9._-]{0,63}\Z")]
Text = Annotated[str, Meta(max_length=256)]
Count = Annotated[int, Meta(ge=0, lt=2**53)]
_Size = Annotated[int, Meta(ge=0, le=MAX_FILE_BYTES)]
Share = Annotated[float, Meta(ge=0, le=1)]
_Loss = Annotated[float, Meta(ge=0)]
InputType = Literal["float32", "float64"]
Metric = Literal["accuracy", "f1_weighted", "f1_macro", "recall"]
_Labels = Annotated[tuple[int | Text, ...], Meta(min_length=2)]
"""Whole numbers or texts, not both."""


class Frozen(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of the artifact: strict types, nothing unknown, nothing changed afterwards.

    Each part says `frozen=True` again: mypy does not see that it is inherited.
    """

    def canonical(self) -> bytes:
        """The canonical JSON of this part."""
        return canonical_json(self.plain())

    def plain(self) -> dict[str, Any]:
        """Dicts, lists and scalars."""
        value: dict[str, Any] = to_builtins(self)
        return value


_Part = TypeVar("_Part", bound=Frozen)


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


class Data(Frozen, frozen=True):
    """What the model learned from."""

    sources: Annotated[tuple[Source, ...], Meta(min_length=1)]
    target: Text
    split: Split

    @property
    def rows(self) -> int:
        """How many rows there are in all sources."""
        return sum(source.rows for source in self.sources)


class Feature(Frozen, frozen=True):
    """One input column."""

    name: Text
    kind: Literal["number", "boolean"]
    missing: bool


class Output(Frozen, frozen=True):
    """One tensor that the model answers with; None in `shape` is the number of rows."""

    name: Text
    dtype: Literal["float64", "int64", "string"]
    shape: tuple[Count | None, ...]


class Parity(Frozen, frozen=True):
    """The published model beside the estimator that it was written from, over all rows."""

    rows: Count
    ties: Count
    max_probability_difference: Share


class Model(Frozen, frozen=True):
    """What `model.onnx` is, and how its numbers came about."""

    digest: Digest
    estimator: Text
    parameters: dict[Text, bool | int | float | Text | dict[Text, float] | None]
    iterations: Count
    converged: bool
    inputs: Annotated[tuple[Feature, ...], Meta(min_length=1)]
    dtype: InputType
    shape: tuple[Count | None, ...]
    outputs: tuple[Output, ...]
    classes: _Labels
    parity: Parity

    def __post_init__(self) -> None:
        """Refuse labels of two kinds or out of order, and an input that format 1 does not have."""
        if len({type(label) for label in self.classes}) != 1 or list(self.classes) != sorted(set(self.classes)):
            raise ValueError("classes must be different whole numbers, or different texts, ascending")
        if len({feature.name for feature in self.inputs}) != len(self.inputs):
            raise ValueError("an input stands twice")
        if any(feature.missing for feature in self.inputs):
            raise ValueError("format 1 knows no input that may be missing")


class Python(Frozen, frozen=True):
    """The interpreter."""

    implementation: Text
    version: Text


class Blas(Frozen, frozen=True):
    """One BLAS library that was loaded, and the kernel that it ran."""

    library: Text
    version: Text
    kernel: Text


class Environment(Frozen, frozen=True):
    """Everything beside recipe and data that the bytes may depend on."""

    python: Python
    system: Text
    architecture: Text
    libc: Text
    packages: dict[Text, Text]
    blas: tuple[Blas, ...]


class Estimate(Frozen, frozen=True):
    """A figure with its 95 % interval."""

    value: Share
    low: Share
    high: Share


class ClassFigures(Frozen, frozen=True):
    """Precision, recall and F1 of one class, over `rows` rows that have it."""

    label: int | Text
    precision: Share
    recall: Share
    f1: Share
    rows: Count


class Figures(Frozen, frozen=True):
    """The plain figures over some rows."""

    rows: Count
    accuracy: Share
    f1_weighted: Share
    f1_macro: Share
    log_loss: _Loss


class HeldOut(Frozen, frozen=True):
    """The figures that count: over rows that the estimator never saw."""

    rows: Count
    accuracy: Estimate
    f1_weighted: Estimate
    f1_macro: Share
    log_loss: _Loss
    classes: tuple[ClassFigures, ...]
    confusion: tuple[tuple[Count, ...], ...]

    @property
    def majority(self) -> ClassFigures:
        """The class with the most rows, the first one in a tie."""
        return max(self.classes, key=lambda each: each.rows)

    @property
    def majority_share(self) -> float:
        """The accuracy of a model that always answers with the class of `majority`."""
        return round(self.majority.rows / self.rows, DECIMALS)

    @property
    def never_predicted(self) -> tuple[ClassFigures, ...]:
        """The classes that some rows have, and that the model gave to no row."""
        predicted = map(any, zip(*self.confusion, strict=True))
        return tuple(each for each, told in zip(self.classes, predicted, strict=True) if each.rows and not told)


class Metrics(Frozen, frozen=True):
    """Figures by split, computed by the published model."""

    held_out: HeldOut
    training: Figures
    all: Figures


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


class Gate(Frozen, frozen=True):
    """The verdict, bound to the model and to the rows that it was measured on."""

    rules: tuple[Rule, ...]
    verdict: Literal["passed", "failed"]
    model: Digest
    held_out: Digest


class FileRecord(Frozen, frozen=True):
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


class Manifest(Frozen, frozen=True):
    """The artifact's manifest, format 1."""

    format: Literal[1]
    name: ModelName
    task: Literal["classification"]
    recipe: dict[str, Any]
    data: Data
    model: Model
    environment: Environment
    metrics: Metrics
    gate: Gate | None
    files: Annotated[tuple[FileRecord, ...], Meta(max_length=64)]
    exports: Annotated[tuple[Export, ...], Meta(max_length=16)]

    def __post_init__(self) -> None:
        """Refuse repeated names, missing roles, and more bytes than a reader will hold."""
        names = [record.name for record in self.files]
        roles = [record.role for record in self.files if record.role in ROLES]
        if len({*names, NAME}) != len(names) + 1:
            raise ValueError(f"a file name stands twice, or is {NAME}")
        if sorted(roles) != sorted(ROLES):
            raise ValueError(f"the roles must be {', '.join(ROLES)}, each once")
        if sum(record.size for record in self.files) > MAX_TOTAL_BYTES:
            raise ValueError(f"the files are larger than {MAX_TOTAL_BYTES:,} bytes together")

    def file(self, role: str) -> FileRecord:
        """The record of the one file that has this role."""
        return next(record for record in self.files if record.role == role)


def parse_manifest(data: bytes, *, place: str = NAME) -> Manifest:
    """Parse a manifest's bytes.

    Raises:
        ArtifactRejected: not canonical JSON, an unknown format, or a field that breaks its type.
    """
    if not nested_too_deeply(data):
        try:
            return parse_part(Manifest, data, place=place, rule="manifest-field")
        except ArtifactRejected:
            pass  # to be told more exactly
    try:
        value = parse_canonical(data)
    except ValueError as error:
        raise _rejected(Problem(place, "manifest-not-canonical", str(error))) from None
    version = value.get("format") if isinstance(value, dict) else None
    if type(version) is not int or version != FORMAT:
        message = f"format {version!r:.40} is not known; this version reads format {FORMAT}"
        raise _rejected(Problem(place, "manifest-format", message))
    return parse_part(Manifest, data, place=place, rule="manifest-field")


def parse_part(kind: type[_Part], data: bytes, *, place: str, rule: str) -> _Part:
    """Parse canonical JSON into one of the artifact's types.

    Raises:
        ArtifactRejected: too large, not canonical JSON, or a field that breaks its type.
    """
    if len(data) > _MAX_JSON_BYTES:
        raise _rejected(Problem(place, rule, f"larger than {_MAX_JSON_BYTES:,} bytes"))
    try:
        part = json.decode(data, type=kind)
        if spells(data, part.plain()):
            return part
        message = "not in canonical form (a whole number where a fraction belongs is 1.0, not 1)"
    except ValueError as error:  # msgspec's ValidationError is one
        message = str(error)[:200]
    raise _rejected(Problem(place, rule, message))


def _rejected(problem: Problem) -> ArtifactRejected:
    return ArtifactRejected(f"{problem.place} is not valid", problems=[problem])
