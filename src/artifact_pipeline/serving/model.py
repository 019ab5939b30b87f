"""A verified artifact made ready to serve: everything that does not depend on a request is computed here."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

from artifact_pipeline import __version__
from artifact_pipeline.artifact.reference import Reference
from artifact_pipeline.canonical import PREFIX
from artifact_pipeline.model.predictor import open_predictor
from artifact_pipeline.plugins import data_set_with
from artifact_pipeline.rows.coded import coded
from artifact_pipeline.rows.features import are_plain_numbers, category_columns, number_columns
from artifact_pipeline.rows.values import Levels, NumberRules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.model.predictor import Predictor
    from artifact_pipeline.rows.features import Column

INPUT, LABEL = "X", "label"
_MAX_VALUES = 1 << 18
"""Values of a request, and probabilities of its answer, at most: this bounds the memory that they take."""


@dataclass(frozen=True, slots=True)
class ColumnInput:
    """A column as a request may hold it.

    Attributes:
        column: the column.
        place: its position among the numbers and booleans, or among the categories.
        levels: what the texts of a category are to the model; None for any other kind.
    """

    column: Column
    place: int
    levels: Levels | None


@dataclass(frozen=True, slots=True, repr=False)
class Served:
    """An artifact that is being served.

    Attributes:
        predictor: has replayed the golden rows.
        version: the artifact digest's hexadecimal digits.
        inputs: the model's columns by name.
        rules: what numbers and booleans may be.
        categories: how many columns are categories.
        features: how many columns there are.
        shapes: the shapes that a row may have in the matrix `X`: that of its numbers, and that of a picture where rows
            are pictures; empty where the model takes categories, and so no matrix.
        labels: the model's classes, in the order of the probabilities.
        texts: whether labels are texts.
        max_rows: rows of a request at most.
        narrow: whether the model takes float32.
        header: the response header that holds the artifact digest.
    """

    verified: Verified
    predictor: Predictor
    reference: Reference
    name: str
    version: str
    inputs: dict[str, ColumnInput]
    rules: NumberRules
    categories: int
    features: int
    shapes: tuple[tuple[int, ...], ...]
    labels: tuple[int | str, ...]
    texts: bool
    max_rows: int
    narrow: bool
    header: tuple[bytes, bytes]

    @property
    def outputs(self) -> tuple[str, str]:
        """The names of the two outputs: the label, and the probabilities or the scores."""
        return LABEL, self.predictor.kind

    @property
    def number_type(self) -> str:
        """The protocol's datatype of the model's numbers."""
        return "FP32" if self.narrow else "FP64"

    def metadata(self) -> dict[str, Any]:
        """The protocol's model metadata; the inputs are the matrix where the model takes one, else the columns."""
        inputs = [_tensor(INPUT, self.number_type, -1, self.features)]
        if not self.shapes:
            inputs = [_tensor(name, self.datatype(each.column), -1, 1) for name, each in self.inputs.items()]
        label, answers = self.outputs
        return {
            "name": self.name,
            "versions": [self.version],
            "platform": "onnx_onnxv1",
            "inputs": inputs,
            "outputs": [
                _tensor(label, "BYTES" if self.texts else "INT64", -1),
                _tensor(answers, "FP64", -1, len(self.labels)),
            ],
        }

    def coded(self, X: NDArray[Any], S: NDArray[Any] | None) -> NDArray[Any]:
        """Return rows as histograms count them, each column as numbers: the model's dtype, shape (rows, features)."""
        import numpy as np

        columns = [each.column for each in self.inputs.values()]
        if are_plain_numbers(columns):
            return X
        return np.stack(coded(columns, X.T, () if S is None else S.T), axis=1)

    def datatype(self, column: Column) -> str:
        """The protocol's datatype of a column."""
        return {"number": self.number_type, "boolean": "BOOL", "category": "BYTES"}[column.kind]


def open_model(verified: Verified) -> Served:
    """Open the predictor and replay the golden rows, which warms it up.

    Raises:
        ArtifactRejected: the runtime refuses the model, or the golden answers differ.
    """
    predictor = open_predictor(verified)
    model = verified.manifest.model
    columns = model.columns
    known = data_set_with([each.name for each in columns])
    shapes = ((len(columns),), *([known.shape] if known is not None and known.shape else []))
    return Served(
        verified=verified,
        predictor=predictor,
        reference=Reference.read(verified.role("reference")),
        name=verified.manifest.name,
        version=verified.digest.removeprefix(PREFIX),
        inputs=_inputs(columns),
        rules=NumberRules(number_columns(columns), model.dtype),
        categories=len(category_columns(columns)),
        features=len(columns),
        shapes=() if category_columns(columns) else shapes,
        labels=model.classes,
        texts=isinstance(model.classes[0], str),
        max_rows=max(1, _MAX_VALUES // max(len(columns), len(model.classes))),
        narrow=model.dtype == "float32",
        header=(b"artifact-digest", verified.digest.encode()),
    )


def _inputs(columns: Sequence[Column]) -> dict[str, ColumnInput]:
    """The columns by name, each with its position among those of its sort."""
    numbers, categories = count(), count()
    found = {}
    for each in columns:
        if each.kind == "category":
            found[each.name] = ColumnInput(each, next(categories), Levels(each))
        else:
            found[each.name] = ColumnInput(each, next(numbers), None)
    return found


def _tensor(name: str, datatype: str, *shape: int) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [*shape]}


def server_metadata() -> dict[str, Any]:
    """The protocol's server metadata."""
    return {"name": "artifact-pipeline", "version": __version__, "extensions": ["binary_tensor_data"]}
