"""The Open Inference Protocol's inference request and response, in JSON and in its binary tensor extension.

Bytes in, bytes out; nothing here knows of a server. A request that says too much is refused before what it says is
allocated: the shape is checked first, and the numbers of a JSON array are counted before they are read.
"""

from __future__ import annotations

import json
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct

from artifact_pipeline.serving.datatypes import FLAT, FORMS, NARROWED, ROWS, SQUARES, WHOLE, see_that_all_survive
from artifact_pipeline.serving.http import Refusal, Response
from artifact_pipeline.serving.model import INPUT

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.serving.model import Served

LENGTH_HEADER = b"inference-header-content-length"
"""How many bytes of the body are JSON; what follows are the tensors. Counted after decompression."""
LABEL, PROBABILITIES = "label", "probabilities"
_MAX_TOLD = 80
"""Characters of the client's that an error repeats."""

_Count = Annotated[int, Meta(ge=0, lt=2**53)] | Annotated[float, Meta(ge=0, lt=2**53, multiple_of=1)]
_NOTHING = (None, None, None, None)
_PLAIN = 5
"""Colons of a request that holds one tensor of numbers in JSON, and nothing beside it."""


class _InputParameters(Struct, omit_defaults=True):
    binary_data_size: Annotated[int, Meta(ge=0)] | None = None


class _Input(Struct, omit_defaults=True):
    name: str
    shape: Annotated[list[_Count], Meta(max_length=8)]
    datatype: str
    data: Raw = Raw()
    parameters: _InputParameters | None = None


class _OutputParameters(Struct, omit_defaults=True):
    binary_data: bool | None = None
    classification: Raw = Raw()


class _Output(Struct, omit_defaults=True):
    name: str
    parameters: _OutputParameters | None = None


class _Parameters(Struct, omit_defaults=True):
    binary_data_output: bool = False


class _Inference(Struct, omit_defaults=True):
    inputs: list[_Input]
    id: str | None = None
    outputs: list[_Output] | None = None
    parameters: _Parameters | None = None

    @property
    def plain(self) -> bool:
        """Whether it holds one tensor of numbers in JSON, and nothing beside it."""
        beside = (self.id, self.outputs, self.parameters, self.inputs[0].parameters)
        return beside == _NOTHING and len(self.inputs[0].data) > 0


_decode = msgspec.json.Decoder(_Inference).decode
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Inference:
    """What a request asks.

    Attributes:
        X: the rows, of the tensor's dtype and of shape (rows, features); not checked to be finite.
        id: what the answer repeats, or None.
        outputs: the wanted outputs in their order, and whether each is wanted as binary data.
    """

    X: NDArray[Any]
    id: str | None
    outputs: tuple[tuple[str, bool], ...]


def parse_inference(body: bytes, header_length: str | None, served: Served) -> Inference:
    """Read a request.

    Args:
        body: JSON, and behind it the binary tensors, if there are any.
        header_length: the value of the header that says how long the JSON is; None where all of it is.
        served: the model that is asked.

    Raises:
        Refusal: anything in it does not fit the protocol or the model.
    """
    head, tail = _split(body, header_length)
    try:
        request = _decode(head)
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        if not isinstance(error, msgspec.ValidationError) and _has_nan(head):
            raise _not_finite(served) from None
        raise _malformed(error) from None
    tensor = _only_input(request.inputs)
    # What is known stands in it once, if it has no colon more. A backslash may hide one.
    if b"\\" in head or head.count(b":") != (_PLAIN if request.plain else _encode(request).count(b":")):
        _look_closer(head, tensor.data)
    rows = _rows(tensor, served)
    X = _binary(tensor, tail, rows, served) if len(tensor.data) == 0 else _json(tensor, tail, rows, served)
    if tensor.datatype in WHOLE:
        see_that_all_survive(X, served)
    return Inference(X, request.id, _outputs(request))


def _split(body: bytes, header_length: str | None) -> tuple[bytes, bytes]:
    if header_length is None:
        return body, b""
    # Digits alone: int() would take signs, spaces and underscores too.
    if not (header_length.isascii() and header_length.isdigit() and len(header_length) < 16):
        raise Refusal(400, f"Inference-Header-Content-Length must be a whole number, got {_told(header_length)}")
    length = int(header_length)
    if length > len(body):
        raise Refusal(400, f"Inference-Header-Content-Length is {length:,}, and the body has {len(body):,} bytes")
    return body[:length], body[length:]  # a copy, so that the numbers are aligned


def _has_nan(head: bytes) -> bool:
    """Whether what JSON does not have is NaN or an infinity, as Python and JavaScript call them."""
    found: list[str] = []
    with suppress(ValueError, RecursionError):
        json.loads(head.decode(), parse_constant=found.append)
    return bool(found)


def _look_closer(head: bytes, data: Raw) -> None:
    """See that no name stands twice in an object, since readers do not agree which of the two counts.

    The decoder takes the latter, and passes over names that it does not know, whatever their bytes.

    Raises:
        Refusal: one does, or the bytes are no text.
    """
    numbers = bytes(memoryview(data))
    if numbers[:1] == b"[":  # there may be a million of them
        head = head.replace(numbers, b"0", 1)
    try:
        json.loads(head.decode(), object_pairs_hook=_once, parse_int=str, parse_float=str)
    except (ValueError, RecursionError) as error:
        raise _malformed(error) from None


def _once(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise Refusal(400, f"{_told(twice)} stands twice in one object")


def _only_input(inputs: list[_Input]) -> _Input:
    if not inputs:
        raise Refusal(400, f'the input "{INPUT}" is missing')
    for tensor in inputs:
        if tensor.name != INPUT:
            raise Refusal(400, f'the model has one input, "{INPUT}", and none called {_told(tensor.name)}')
    if len(inputs) > 1:
        raise Refusal(400, f'the input "{INPUT}" stands twice')
    return inputs[0]


def _rows(tensor: _Input, served: Served) -> int:
    """How many rows the shape says, before anything of them is read."""
    if tensor.datatype not in FORMS:
        raise Refusal(400, f"the datatype must be {', '.join(FORMS)}, got {_told(tensor.datatype)}")
    shape = tensor.shape
    if tuple(shape[1:]) not in served.shapes:
        allowed = " or ".join(f"[n, {', '.join(map(str, each))}]" for each in served.shapes)
        raise Refusal(400, f"the shape must be {allowed}, got {shape}")
    if not shape[0]:
        raise Refusal(400, "there are no rows")
    if shape[0] > served.max_rows:
        words = f"{shape[0]:,} rows are too many for a request, allowed are {served.max_rows:,}"
        raise Refusal(413, f"{words}; artifact-pipeline predict takes files of any size")
    return int(shape[0])


def _json(tensor: _Input, tail: bytes, rows: int, served: Served) -> NDArray[Any]:
    import numpy as np

    if tail or (tensor.parameters and tensor.parameters.binary_data_size is not None):
        raise Refusal(400, "the tensor has JSON data, and binary data beside it")
    raw = bytes(memoryview(tensor.data))
    if raw[:1] != b"[":
        raise Refusal(400, "data must be an array of numbers")
    inner = raw[1:].lstrip(b" \t\r\n")
    # Whatever the nesting; numbers hold no comma, and a text is refused by the decoder.
    count = raw.count(b",") + 1 if inner != b"]" else 0
    if count != rows * served.features:
        raise Refusal(400, f"the shape {tensor.shape} means {rows * served.features:,} numbers, data has {count:,}")
    decoders = FLAT if inner[:1] != b"[" else ROWS if len(tensor.shape) == 2 else SQUARES
    values, form = _values(raw, tensor.datatype, decoders, served)
    shape = (count,) if decoders is FLAT else tuple(tensor.shape)
    try:
        X = np.array(values, dtype=form)
    except ValueError:  # as many numbers, but in rows that differ
        X = np.empty(0)
    if X.shape != shape:
        raise Refusal(400, f"data is nested otherwise than the shape {tensor.shape}")
    return X.reshape(rows, served.features)


def _values(raw: bytes, datatype: str, decoders: Mapping[str, Any], served: Served) -> tuple[Any, str]:
    """The numbers of a JSON array, and the dtype that holds them."""
    if datatype == "FP64" and served.narrow:
        try:
            return decoders[NARROWED](raw), "<f4"
        except ValueError:
            pass  # one is beyond float32, for the predictor to refuse, or it is malformed
    try:
        return decoders[datatype](raw), FORMS[datatype]
    except ValueError as error:
        if str(error).startswith("Number out of range"):
            raise _not_finite(served) from None
        raise _malformed(error, f"data of {datatype}") from None


def _binary(tensor: _Input, tail: bytes, rows: int, served: Served) -> NDArray[Any]:
    import numpy as np

    size = tensor.parameters.binary_data_size if tensor.parameters else None
    if size is None:
        raise Refusal(400, "the tensor has no data: neither in JSON nor, with binary_data_size, behind it")
    form = np.dtype(FORMS[tensor.datatype])
    needed = rows * served.features * form.itemsize
    if size != needed:
        raise Refusal(400, f"the shape {tensor.shape} of {tensor.datatype} takes {needed:,} bytes, not {size:,}")
    if len(tail) != size:
        raise Refusal(400, f"binary_data_size is {size:,}, and {len(tail):,} bytes follow the JSON")
    if tensor.datatype == "BOOL" and tail.translate(None, b"\0\1"):
        raise Refusal(400, "a truth value must be a byte of 0 or 1")
    return np.frombuffer(tail, dtype=form).reshape(rows, served.features)


def _outputs(request: _Inference) -> tuple[tuple[str, bool], ...]:
    binary = request.parameters is not None and request.parameters.binary_data_output
    if not request.outputs:
        return ((LABEL, binary), (PROBABILITIES, binary))
    wanted: dict[str, bool] = {}
    for output in request.outputs:
        if output.name not in {LABEL, PROBABILITIES}:
            words = f'the model has the outputs "{LABEL}" and "{PROBABILITIES}", and none called'
            raise Refusal(400, f"{words} {_told(output.name)}")
        if output.name in wanted:
            raise Refusal(400, f'the output "{output.name}" is wanted twice')
        asked = output.parameters
        if asked is not None and len(asked.classification):
            raise Refusal(400, f'the parameter "classification" is not served; "{PROBABILITIES}" has every class')
        wanted[output.name] = binary if asked is None or asked.binary_data is None else asked.binary_data
    return tuple(wanted.items())


def inference_response(
    asked: Inference, labels: NDArray[Any], probabilities: NDArray[np.float64], served: Served
) -> Response:
    """Write the answer to a request, each output in JSON or as binary data behind it.

    Args:
        asked: the request.
        labels: the predicted labels, of shape (rows,).
        probabilities: of shape (rows, classes).
        served: the model that has answered.
    """
    outputs, tensors = [], []
    for name, binary in asked.outputs:
        tensor = labels if name == LABEL else probabilities
        datatype = "FP64" if name == PROBABILITIES else "BYTES" if served.texts else "INT64"
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
    head, rows = _encode(answer), len(asked.X)
    if not tensors:
        return Response(200, head, rows=rows)
    headers = ((b"content-type", b"application/octet-stream"), (LENGTH_HEADER, b"%d" % len(head)))
    return Response(200, b"".join([head, *tensors]), headers, rows=rows)


def _bytes(tensor: NDArray[Any], *, texts: bool) -> bytes:
    """A tensor as the protocol lays it out: little-endian, row by row; a text behind its length in four bytes."""
    if not texts:
        return tensor.astype(tensor.dtype.newbyteorder("<"), copy=False).tobytes()
    encoded = [each.encode() for each in tensor.tolist()]
    return b"".join(part for each in encoded for part in (struct.pack("<I", len(each)), each))


def _not_finite(served: Served) -> Refusal:
    """As the predictor refuses a number that comes in bytes."""
    return Refusal(400, f"a row holds a value that is no finite {served.predictor.dtype}")


def _malformed(error: Exception, what: str = "the body") -> Refusal:
    words = str(error).partition("\n")[0][:200]
    if isinstance(error, RecursionError):
        words = "it is nested too deeply"
    return Refusal(400, f"{what} is not what the protocol asks for: {words}")


def _told(text: str) -> str:
    """Words of the client's, short and in ASCII: no log and no terminal obeys them."""
    return ascii(text[:_MAX_TOLD])
