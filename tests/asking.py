"""Requests of the Open Inference Protocol in each of its forms, and what an answer to them says."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import isqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from artifact_pipeline.digits.dataset import load_digits
from artifact_pipeline.serving.model import open_model
from artifact_pipeline.training.publication import publish
from artifact_pipeline.verification import verify

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from artifact_pipeline.serving.model import Served
    from artifact_pipeline.training.sealed import Candidate

DIGITS = load_digits()
INFER = "/v2/models/digits/infer"
LENGTH = "Inference-Header-Content-Length"
FORMS = {
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
    "INT8": "|i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "UINT8": "|u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
}
"""The datatypes that have the digits' numbers."""
FRAMINGS = ("flat", "rows", "squares", "flat squares", "binary", "binary squares")
"""Flat or nested JSON, or bytes; the shape by rows of features, or by squares of them."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: its body, and how many bytes of it are JSON, where a header tells."""

    body: bytes
    length: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """What goes with the body."""
        return {} if self.length is None else {LENGTH: self.length}


def ask(X: NDArray[Any], datatype: str = "FP64", framing: str = "rows", **more: Any) -> Asked:
    """A request for the answers to rows.

    Args:
        X: of shape (rows, features), of numbers that the datatype has.
        datatype: the protocol's name.
        framing: one of `FRAMINGS`.
        more: further members of the request.
    """
    X = X.astype(FORMS[datatype])
    square = (len(X), isqrt(X.shape[1]), isqrt(X.shape[1]))
    shape = square if "square" in framing else X.shape
    tensor: dict[str, Any] = {"name": "X", "shape": list(shape), "datatype": datatype}
    if framing.startswith("binary"):
        tensor["parameters"] = {"binary_data_size": X.nbytes}
        return framed({"inputs": [tensor], **more}, X.tobytes())
    # The shortest text that gives the same number of 32 bits is shorter than that of 64, and not the same number of 64.
    tensor["data"] = (X.ravel() if framing.startswith("flat") else X.reshape(shape)).tolist()
    return Asked(json.dumps({"inputs": [tensor], **more}).encode())


def framed(told: Mapping[str, Any], tail: bytes) -> Asked:
    """JSON, and bytes behind it."""
    head = json.dumps(told).encode()
    return Asked(head + tail, str(len(head)))


def answered(body: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
    """What an answer says, the data of each output as a NumPy array by its name."""
    length = headers.get(LENGTH.lower())
    head, tail = (body, b"") if length is None else (body[: int(length)], body[int(length) :])
    told = json.loads(head)
    for output in told["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size")
        if size is None:
            data = output["data"]
        else:
            data, tail = _read(tail[:size], output["datatype"]), tail[size:]
        told[output["name"]] = np.array(data).reshape(output["shape"])
    assert tail == b""
    return told


def _read(data: bytes, datatype: str) -> Any:
    if datatype != "BYTES":
        return np.frombuffer(data, FORMS[datatype])
    texts = []
    while data:
        end = 4 + int.from_bytes(data[:4], "little")
        texts.append(data[4:end].decode())
        data = data[end:]
    return texts


def open_digits(candidate: Candidate, folder: Path) -> Served:
    """The documented artifact, published and opened as a server does it."""
    publish(candidate, artifact=folder / "artifact", export=folder / "model_train.pkl")
    return open_model(verify(folder / "artifact"))
