"""Requests, responses and routes of the server, and the refusal of a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from artifact_pipeline.serving.model import Served

    Answer = Callable[[Served, "Request"], "Response"]

JSON = (b"content-type", b"application/json")
RETRY_SOON = (b"retry-after", b"1")


@dataclass(slots=True)
class Request:
    """A request; its body is set once it has come whole.

    Attributes:
        method: such as `GET`.
        path: decoded, without the query.
        headers: values by names in lower case; a header that stands in several lines is one list.
        body: the body.
        packed: whether the body is still compressed, as the header Content-Encoding says.
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
        rows: how many rows were answered, for the metrics.
    """

    status: int
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = (JSON,)
    rows: int = 0


class Route(NamedTuple):
    """Where a request goes.

    Attributes:
        name: the route's label in the metrics.
        answer: returns the response to a request.
        large: whether an answer takes so long that other requests must not wait for it.
        method: `GET`, which allows `HEAD` too, or `POST`.
        always: whether it is answered even where too many requests wait or are in progress.
    """

    name: str
    answer: Answer
    large: bool = False
    method: str = "GET"
    always: bool = False


BUG = Response(500, b'{"error":"this is a bug of artifact-pipeline; its log says more"}')
"""The response where this server fails."""
_NO_ROUTE = Route("other", lambda _served, _request: BUG)


@dataclass(slots=True)
class Exchange:
    """A request in progress.

    Attributes:
        served: the model in charge when the request's head came; it answers the whole request.
        request: the request.
        started: when its head had come, by the loop's clock.
        route: what answers it; the default one stands for a request that is refused by its head.
        refused: the response, where that is known before the request has come whole.
        last: whether the connection is closed after the response.
        body: what has come of the body.
        held: bytes of the body that are counted in the total of all bodies.
        unread: whether the rest of the body is read and dropped.
    """

    served: Served
    request: Request
    started: float
    route: Route = _NO_ROUTE
    refused: Response | None = None
    last: bool = False
    body: bytes | bytearray = b""
    held: int = 0
    unread: bool = False

    def take(self, piece: bytes) -> int:
        """Add a piece of the body, and return how many bytes have come by now.

        Millions of pieces may have one byte each: they are not kept one by one.
        """
        if not self.body:
            self.body = piece
        elif isinstance(self.body, bytearray):
            self.body += piece
        else:
            self.body = bytearray(self.body + piece)
        return len(self.body)

    def end(self) -> None:
        """Hand the body, which has come whole, to the request."""
        self.request.body, self.body = bytes(self.body), b""
        self.request.packed = b"content-encoding" in self.request.headers


class Refusal(Exception):
    """A request is refused; the application turns this into a response.

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
