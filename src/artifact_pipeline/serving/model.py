"""A verified artifact made ready to answer: everything that does not depend on a request is prepared here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from artifact_pipeline import __version__
from artifact_pipeline.artifact.manifest2 import WrittenModel
from artifact_pipeline.artifact.reference import Reference
from artifact_pipeline.canonical import PREFIX
from artifact_pipeline.errors import ConfigError
from artifact_pipeline.model.predictor import open_predictor
from artifact_pipeline.plugins import data_set_with

if TYPE_CHECKING:
    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.model.predictor import Predictor

INPUT = "X"
_MAX_VALUES = 1 << 18
"""Numbers of a request, and probabilities of its answer, at most: what they become in memory is bounded by it."""
_DATATYPES = {"float32": "FP32", "float64": "FP64", "int64": "INT64", "string": "BYTES"}
"""The protocol's names."""


@dataclass(frozen=True, slots=True, repr=False)
class Served:
    """An artifact that is being served.

    Attributes:
        verified: the artifact.
        predictor: its golden rows replayed, warm.
        reference: the training data's distribution.
        name: the model's name.
        version: the artifact digest's hexadecimal digits.
        features: how many numbers a row has.
        shapes: the shapes that a row may have in a request: its numbers, and its picture where the rows are pictures.
        labels: the model's classes, in the order of the probabilities.
        texts: whether labels are texts.
        max_rows: rows a request at most.
        narrow: whether the model takes float32.
        header: the response header that holds the artifact digest.
    """

    verified: Verified
    predictor: Predictor
    reference: Reference
    name: str
    version: str
    features: int
    shapes: tuple[tuple[int, ...], ...]
    labels: tuple[int | str, ...]
    texts: bool
    max_rows: int
    narrow: bool
    header: tuple[bytes, bytes]

    def metadata(self) -> dict[str, Any]:
        """The protocol's model metadata."""
        model = self.verified.manifest.model
        shapes = [
            (INPUT, model.dtype, (None, len(model.inputs))),
            *((each.name, each.dtype, each.shape) for each in model.outputs),
        ]
        tensors = [
            {"name": name, "datatype": _DATATYPES[dtype], "shape": [-1 if each is None else each for each in shape]}
            for name, dtype, shape in shapes
        ]
        return {
            "name": self.name,
            "versions": [self.version],
            "platform": "onnx_onnxv1",
            "inputs": tensors[:1],
            "outputs": tensors[1:],
        }


def open_model(verified: Verified) -> Served:
    """Open the predictor, replay the golden rows, and warm up.

    Raises:
        ConfigError: the model takes what no request can hold yet: categories or missing values; or it gives scores.
        ArtifactRejected: the runtime refuses the model, or the golden answers differ.
    """
    _check_served(verified)
    predictor = open_predictor(verified)  # the replay has warmed it up: the first request costs what the next one does
    model = verified.manifest.model
    known = data_set_with([each.name for each in model.inputs])
    return Served(
        verified=verified,
        predictor=predictor,
        reference=Reference.read(verified.role("reference")),
        name=verified.manifest.name,
        version=verified.digest.removeprefix(PREFIX),
        features=len(model.inputs),
        shapes=((len(model.inputs),), *([known.shape] if known is not None and known.shape else [])),
        labels=model.classes,
        texts=isinstance(model.classes[0], str),
        max_rows=max(1, _MAX_VALUES // max(len(model.inputs), len(model.classes))),
        narrow=model.dtype == "float32",
        header=(b"artifact-digest", verified.digest.encode()),
    )


def _check_served(verified: Verified) -> None:
    model = verified.manifest.model
    other = next((each for each in model.columns if each.kind == "category" or each.nullable), None)
    words = ""
    if other is not None:
        words = f"the column {other.name!r} {'holds categories' if other.kind == 'category' else 'may be missing'}"
    elif isinstance(model, WrittenModel) and model.answers == "scores":
        words = f"{model.estimator} gives no probabilities"
    if words:
        raise ConfigError(
            f"this model cannot be served yet: {words}", hint="artifact-pipeline predict answers files of such rows"
        )


def server_metadata() -> dict[str, Any]:
    """The protocol's server metadata."""
    return {"name": "artifact-pipeline", "version": __version__, "extensions": ["binary_tensor_data"]}
