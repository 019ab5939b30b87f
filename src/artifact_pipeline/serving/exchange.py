"""A request, what answers it, and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from artifact_pipeline.serving.http import Request, Response
    from artifact_pipeline.serving.model import Served

    Answer = Callable[[Served, Request], Response]


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
