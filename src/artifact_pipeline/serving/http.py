"""What a request and a response are, where a request goes, what becomes of it, and how it is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from artifact_pipeline.serving.model import Served

    Answer = Callable[[Served, "Request"], "Response"]

JSON = (b"content-type", b"application/json")


@dataclass(slots=True)
class Request:
    """A request whose body has been read whole.

    Attributes:
        method: such as `GET`.
        path: decoded, without the query.
        headers: values by names in lower case; a header that stands in several lines is one list.
        body: the body.
        packed: whether its content encoding has not been undone yet.
    """

    method: str
    path: str
    headers: Mapping[bytes, bytes]
    body: bytes = b""
    packed: bool = False

    @property
    def has_body(self) -> bool:
        """Whether its head announces a body."""
        return b"content-length" in self.headers or b"transfer-encoding" in self.headers

    def header(self, name: bytes) -> str | None:
        """The value of a header, or None; bytes beyond ASCII become `?`."""
        value = self.headers.get(name)
        return None if value is None else value.decode("ascii", "replace")


@dataclass(frozen=True, slots=True)
class Response:
    """A response.

    Attributes:
        status: such as 200.
        body: the body, whole.
        headers: beside content-length and those that every response gets.
        rows: how many rows were answered, for the figures.
    """

    status: int
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = (JSON,)
    rows: int = 0


class Route(NamedTuple):
    """Where a request goes.

    Attributes:
        name: for the figures.
        answer: what answers it.
        large: whether it takes so long that others must not wait for it.
        method: by which it is asked; `GET` takes `HEAD` too.
        always: whether it is answered even where too many requests wait, or too many connections are open.
    """

    name: str
    answer: Answer
    large: bool = False
    method: str = "GET"
    always: bool = False


@dataclass(slots=True)
class Exchange:
    """A request and what becomes of it.

    Attributes:
        served: the model in charge when its head came; it answers the whole request.
        request: the request.
        route: what answers it; None where it is refused.
        refused: the response, where that is known before the request has come whole.
        started: when its head had come, by the loop's clock.
        last: whether the connection ends with its response.
        body: what has come of the body.
        held: bytes of it that there was room for.
        unread: whether the rest of its body is not wanted.
    """

    served: Served
    request: Request
    route: Route | None
    refused: Response | None
    started: float
    last: bool = False
    body: bytes | bytearray = b""
    held: int = 0
    unread: bool = False

    def take(self, piece: bytes) -> int:
        """Add a piece of the body; how many bytes have come by now.

        Pieces may be of one byte each, and millions of them: they are not kept one by one.
        """
        if not self.body:
            self.body = piece
        elif isinstance(self.body, bytearray):
            self.body += piece
        else:
            self.body = bytearray(self.body + piece)
        return len(self.body)

    def end(self) -> None:
        """The body is there."""
        self.request.body, self.body = bytes(self.body), b""
        self.request.packed = b"content-encoding" in self.request.headers


class Refusal(Exception):
    """A request is refused; it becomes a response, and never leaves `serving`.

    Attributes:
        status: 4xx, 501 or 503.
        message: one sentence without a full stop.
        headers: such as `Retry-After`.
    """

    def __init__(self, status: int, message: str, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, headers

    def response(self) -> Response:
        """The protocol's error object."""
        return Response(self.status, msgspec.json.encode({"error": self.message}), (JSON, *self.headers))


def json_response(value: Any, *headers: tuple[bytes, bytes]) -> Response:
    """A response of 200 in JSON."""
    return Response(200, msgspec.json.encode(value), (JSON, *headers))


BUG = Response(500, b'{"error":"this is a bug of artifact-pipeline; its log says more"}')
"""What a client gets where this server fails."""
