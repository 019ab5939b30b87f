"""The Open Inference Protocol's inference request and response, in JSON and in its binary tensor extension.

Bytes in, bytes out; nothing here knows of a server. `inputs` refuses a request that is too large before memory is
allocated for it.
"""

from __future__ import annotations

import json
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw, Struct

from artifact_pipeline.serving.http import Refusal, Response
from artifact_pipeline.serving.inputs import rows_of
from artifact_pipeline.serving.model import LABEL
from artifact_pipeline.serving.plain import read_plain
from artifact_pipeline.serving.tensordata import InputTensor, count, malformed, not_finite, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.serving.inputs import SentRows
    from artifact_pipeline.serving.model import Served

LENGTH_HEADER = b"inference-header-content-length"
"""How many bytes of the decompressed body are JSON; the tensors follow."""
_PLAIN, _PLAIN_TENSOR = 1, 4
"""The colons in a request that holds only tensors in JSON: one, and so many for each tensor."""


class _OutputParameters(Struct, omit_defaults=True):
    binary_data: bool | None = None
    classification: Raw = Raw()


class _Output(Struct, omit_defaults=True):
    name: str
    parameters: _OutputParameters | None = None


class _Parameters(Struct, omit_defaults=True):
    binary_data_output: bool = False


class _Inference(Struct, omit_defaults=True):
    inputs: list[InputTensor]
    id: str | None = None
    outputs: list[_Output] | None = None
    parameters: _Parameters | None = None

    @property
    def colons(self) -> int:
        """How many colons its JSON has at least; it has more where a text has one, or a name is not known."""
        beside = self.id is None and self.outputs is None and self.parameters is None
        if beside and all(each.parameters is None and len(each.data) for each in self.inputs):
            return _PLAIN + _PLAIN_TENSOR * len(self.inputs)
        return _encode(self).count(b":")


_decode = msgspec.json.Decoder(_Inference).decode
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Inference:
    """An inference request.

    Attributes:
        rows: the rows, whose values the model takes.
        id: repeated by the response; or None.
        outputs: the names of the outputs in their order, and whether each is sent as binary data.
    """

    rows: SentRows
    id: str | None
    outputs: tuple[tuple[str, bool], ...]


def parse_inference(body: bytes, header_length: str | None, served: Served) -> Inference:
    """Read a request.

    Args:
        body: JSON, then the binary tensors, if there are any.
        header_length: the value of the header that says how long the JSON is; None where all of the body is JSON.
        served: the model.

    Raises:
        Refusal: anything in it does not fit the protocol or the model.
    """
    plain = read_plain(body, served) if header_length is None else None
    if plain is not None:
        return Inference(*plain, tuple((name, False) for name in served.outputs))
    head, tail = _split(body, header_length)
    try:
        request = _decode(head)
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        if not isinstance(error, msgspec.ValidationError) and _has_nan(head):
            raise not_finite(served) from None
        raise malformed(error) from None
    # With no more colons than that, no name stands twice. A text may spell a name with backslashes.
    if b"\\" in head or count(b":", head) != request.colons:
        _refuse_repeated_names(head, request.inputs)
    return Inference(rows_of(request.inputs, tail, served), request.id, _outputs(request, served))


def _split(body: bytes, header_length: str | None) -> tuple[bytes, bytes]:
    if header_length is None:
        return body, b""
    # Digits alone: int() would take signs, spaces and underscores too.
    if not (header_length.isascii() and header_length.isdigit() and len(header_length) < 16):
        raise Refusal(400, f"Inference-Header-Content-Length must be a whole number, got {quoted(header_length)}")
    length = int(header_length)
    if length > len(body):
        raise Refusal(400, f"Inference-Header-Content-Length is {length:,}, and the body has {len(body):,} bytes")
    return body[:length], body[length:]  # a copy, so that the numbers are aligned


def _has_nan(head: bytes) -> bool:
    """Whether this would be JSON but for NaN and infinities, as Python and JavaScript write them."""
    found: list[str] = []
    with suppress(ValueError, RecursionError):
        json.loads(head.decode(), parse_constant=found.append)
    return bool(found)


def _refuse_repeated_names(head: bytes, tensors: Sequence[InputTensor]) -> None:
    """Check that no name stands twice in an object, since readers of JSON differ in which of the two they take.

    The decoder takes the latter, and does not check the bytes of names that it does not know.

    Raises:
        Refusal: a name stands twice, or the bytes are not UTF-8.
    """
    kept, at = [], 0
    for tensor in tensors:
        data = bytes(memoryview(tensor.data))
        if data[:1] == b"[":  # there may be a million of them
            found = head.index(data, at)
            kept += [head[at:found], b"0"]
            at = found + len(data)
    kept.append(head[at:])
    try:
        json.loads(b"".join(kept).decode(), object_pairs_hook=_once, parse_int=str, parse_float=str)
    except (ValueError, RecursionError) as error:
        raise malformed(error) from None


def _once(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise Refusal(400, f"{quoted(twice)} stands twice in one object")


def _outputs(request: _Inference, served: Served) -> tuple[tuple[str, bool], ...]:
    binary = request.parameters is not None and request.parameters.binary_data_output
    if not request.outputs:
        return tuple((name, binary) for name in served.outputs)
    label, answers = served.outputs
    wanted: dict[str, bool] = {}
    for output in request.outputs:
        if output.name not in served.outputs:
            words = f'the model has the outputs "{label}" and "{answers}", and none called'
            raise Refusal(400, f"{words} {quoted(output.name)}")
        if output.name in wanted:
            raise Refusal(400, f'the output "{output.name}" is wanted twice')
        asked = output.parameters
        if asked is not None and len(asked.classification):
            raise Refusal(400, f'the parameter "classification" is not served; "{answers}" has every class')
        wanted[output.name] = binary if asked is None or asked.binary_data is None else asked.binary_data
    return tuple(wanted.items())


def inference_response(asked: Inference, labels: NDArray[Any], values: NDArray[np.float64], served: Served) -> Response:
    """Return the response to a request, each output in JSON or as binary data after it.

    Args:
        asked: the request.
        labels: the predicted labels, of shape (rows,).
        values: the probabilities or the scores, of shape (rows, classes).
        served: the model that has answered.
    """
    outputs, tensors = [], []
    for name, binary in asked.outputs:
        tensor = labels if name == LABEL else values
        datatype = "FP64" if name != LABEL else "BYTES" if served.texts else "INT64"
        output: dict[str, Any] = {"name": name, "datatype": datatype, "shape": tensor.shape}
        if binary:
            data = _bytes(tensor, texts=datatype == "BYTES")
            output["parameters"] = {"binary_data_size": len(data)}
            tensors.append(data)
        else:
            output["data"] = tensor.ravel().tolist()
        outputs.append(output)
    answer: dict[str, Any] = {"model_name": served.name, "model_version": served.version, "outputs": outputs}
    if asked.id is not None:
        answer["id"] = asked.id
    head, rows = _encode(answer), len(asked.rows.X)
    if not tensors:
        return Response(200, head, rows=rows)
    headers = ((b"content-type", b"application/octet-stream"), (LENGTH_HEADER, b"%d" % len(head)))
    return Response(200, b"".join([head, *tensors]), headers, rows=rows)


def _bytes(tensor: NDArray[Any], *, texts: bool) -> bytes:
    """A tensor as binary data: little-endian, row by row; a text follows its length in four bytes."""
    if not texts:
        return tensor.astype(tensor.dtype.newbyteorder("<"), copy=False).tobytes()
    encoded = [each.encode() for each in tensor.tolist()]
    return b"".join(part for each in encoded for part in (struct.pack("<I", len(each)), each))
