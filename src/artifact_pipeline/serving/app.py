"""The ASGI application: a request becomes a response, whatever it holds.

An inference is answered on the event loop itself, since that takes less time than to hand it to a thread; what is
large, and what the page asks, goes to one thread. The model in charge is one attribute, read once a request.
"""

from __future__ import annotations

import asyncio
import functools
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import TYPE_CHECKING, Any

from artifact_pipeline.errors import DataRejected, StorageError
from artifact_pipeline.serving import coding, origins, page
from artifact_pipeline.serving.exposition import metrics_response
from artifact_pipeline.serving.http import Refusal, Request, Response, json_response
from artifact_pipeline.serving.model import server_metadata
from artifact_pipeline.serving.openapi import document
from artifact_pipeline.serving.tensors import LENGTH_HEADER, inference_response, parse_inference

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sized

    from artifact_pipeline.serving.figures import Figures
    from artifact_pipeline.serving.model import Served
    from artifact_pipeline.serving.settings import Settings

    Receive = Callable[[], Awaitable[dict[str, Any]]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]
    Answer = Callable[[Served, Request], Response]

INLINE = 64 << 10
"""Bytes of a body up to which it is answered on the event loop: that takes half a millisecond at most."""
AGAIN = (b"retry-after", b"1")
CLOSE = (b"connection", b"close")
PAGE_HEADERS = (
    (
        b"content-security-policy",
        (
            b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
            b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
    ),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
)
TIMED_OUT = "artifact_pipeline.timed_out"
"""In the scope of a request that has not come whole in time."""
SAFE = (b"x-content-type-options", b"nosniff")


class Gone(Exception):
    """The client has gone; nobody waits for a response."""


class App:
    """The application.

    Attributes:
        served: the model in charge; swapped whole, between two requests.
        ready: whether new requests are welcome.
        tasks: the requests that the server has begun, set by the server.
    """

    def __init__(
        self,
        served: Served,
        settings: Settings,
        figures: Figures,
        *,
        log: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        """Prepare the routes.

        Raises:
            StorageError: the feedback's file cannot be appended to.
        """
        self.served, self.settings, self.figures = served, settings, figures
        self.ready = True
        self.tasks: Sized = ()
        self.connections: Sized = ()
        self._log = log
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="large")
        self._heavy = self._arriving = 0
        self._origins = origins.Origins(settings)
        self._files = page.page_files()
        feedback = page.Feedback(settings.feedback) if settings.feedback is not None else None
        self._gets: dict[str, tuple[str, Answer]] = {
            **{path: ("page", functools.partial(_constant, response)) for path, response in self._files.items()},
            "/page/model": ("page", lambda served, _: page.describe(served, feedback=feedback is not None)),
            "/openapi.json": ("other", lambda served, _: json_response(document(served, self.settings))),
            "/v2": ("model", lambda _served, _: json_response(server_metadata())),
            "/v2/health/live": ("health", lambda _served, _: json_response({"live": True})),
            "/v2/health/ready": ("health", lambda _served, _: self._readiness()),
        }
        self._posts: dict[str, tuple[str, Answer]] = {
            "/page/picture": ("page", lambda served, request: page.read_picture(served, request.body)),
            "/page/table": ("page", lambda served, request: page.read_table(served, request.body)),
        }
        if feedback is not None:
            self._posts["/page/feedback"] = (
                "page",
                lambda served, request: feedback.append(served, request.body),
            )

    def close(self) -> None:
        """Take no more large requests."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request, as ASGI has it."""
        if scope["type"] != "http":  # uvicorn is told to speak nothing else
            return
        started = perf_counter()
        served, status, rows, route = self.served, 500, 0, "other"
        try:
            try:
                route, answer = self._route(scope["method"], scope["path"], served)
                response = await self._respond(scope, receive, served, route=route, answer=answer)
            except Refusal as refusal:
                response = refusal.response()
            except DataRejected as error:
                response = Refusal(400, error.problems[0].message if error.problems else error.message).response()
            except StorageError as error:
                response = Refusal(503, error.message, AGAIN).response()
            status, rows = response.status, response.rows
            await self._send(scope, send, served, response)
        except Gone:  # or it was too slow, and the connection has told it so
            status = 408 if TIMED_OUT in scope else 400
        finally:
            seconds = perf_counter() - started
            self.figures.request(route, status, seconds, rows)
            if self._log is not None:
                self._log(self._line(scope, status, seconds, rows))

    # Where a request goes

    def _route(self, method: str, path: str, served: Served) -> tuple[str, Answer]:
        """The route's name for the figures, and what answers it.

        Raises:
            Refusal: there is nothing there, or not by this method.
        """
        if path.startswith("/v2/models/"):
            name, answer, allowed = self._model_route(path, served)
        elif path == "/metrics":
            name, answer, allowed = "metrics", self._metrics, "GET"
        elif path in self._gets:
            (name, answer), allowed = self._gets[path], "GET"
        elif path in self._posts:
            (name, answer), allowed = self._posts[path], "POST"
        else:
            raise Refusal(404, "there is nothing at this path; /openapi.json tells what there is")
        if ("GET" if method == "HEAD" else method) != allowed:
            told = "GET, HEAD" if allowed == "GET" else allowed
            raise Refusal(405, f"this path takes {told}", (b"allow", told.encode()))
        return name, answer

    def _model_route(self, path: str, served: Served) -> tuple[str, Answer, str]:
        name, *rest = path.removeprefix("/v2/models/").split("/")
        if name != served.name:
            raise Refusal(404, f"there is no model {name[:80]!a}; there is {served.name}")
        if rest[:1] == ["versions"] and len(rest) > 1:
            if rest[1] != served.version:
                raise Refusal(404, f"there is no version {rest[1][:80]!a}; there is {served.version}")
            rest = rest[2:]
        if rest == ["infer"]:
            return "infer", self._infer, "POST"
        if rest == ["ready"]:
            return "health", lambda served, _: self._readiness(name=served.name), "GET"
        if not rest:
            return "model", lambda served, _: json_response(served.metadata()), "GET"
        raise Refusal(404, "there is nothing at this path; /openapi.json tells what there is")

    # What answers

    async def _respond(
        self, scope: dict[str, Any], receive: Receive, served: Served, *, route: str, answer: Answer
    ) -> Response:
        request = Request(scope["method"], scope["path"], dict(scope["headers"]))
        if request.method == "POST":
            self._origins.check(request)
            waiting = len(self.tasks) - self._arriving
            self.figures.level(waiting=waiting, connections=len(self.connections))
            if waiting > self.settings.queue:
                raise self._busy()
            request.body = await self._body(request, receive)
            encoding = request.header(b"content-encoding")
            if encoding is not None or len(request.body) > INLINE or route == "page":
                return await self._apart(functools.partial(self._decoded, answer, served, request, encoding))
        elif route == "metrics":
            return await self._apart(functools.partial(answer, served, request))
        return answer(served, request)

    async def _apart(self, work: Callable[[], Response]) -> Response:
        """Do in the thread what would keep all others waiting."""
        if self._heavy > self.settings.queue // 8:
            raise self._busy()
        self._heavy += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        finally:
            self._heavy -= 1

    def _decoded(self, answer: Answer, served: Served, request: Request, encoding: str | None) -> Response:
        request.body = coding.decode(request.body, encoding, self.settings.max_body)
        return answer(served, request)

    def _infer(self, served: Served, request: Request) -> Response:
        length = request.header(LENGTH_HEADER)
        asked = parse_inference(request.body, length, served)
        answers = served.predictor.predict(asked.X)
        self.figures.answered(asked.X, answers, served)
        return inference_response(asked, answers, served)

    def _metrics(self, served: Served, request: Request) -> Response:
        self.figures.level(waiting=max(0, len(self.tasks) - self._arriving - 1), connections=len(self.connections))
        return metrics_response(self.figures.board, served, request.header(b"accept") or "", ready=self.ready)

    def _readiness(self, **told: str) -> Response:
        response = json_response({**told, "ready": self.ready})
        return response if self.ready else Response(503, response.body, (*response.headers, AGAIN))

    def _busy(self) -> Refusal:
        return Refusal(503, "too many requests wait already; try again", AGAIN)

    # Bytes in and out

    async def _body(self, request: Request, receive: Receive) -> bytes:
        """The body, bounded; how long it may take to come is the connection's to watch."""
        limit = self.settings.max_body
        declared = request.header(b"content-length")
        if declared is not None and int(declared) > limit:  # the server's parser has seen that it is a number
            raise self._too_large()
        self._arriving += 1
        try:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Gone
            body: bytes = message["body"]
            if message["more_body"]:
                body = await self._rest(body, receive)
        finally:
            self._arriving -= 1
        if len(body) > limit:
            raise self._too_large()
        return body

    async def _rest(self, first: bytes, receive: Receive) -> bytes:
        parts, size, more = [first], len(first), True
        while more and size <= self.settings.max_body:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Gone
            parts.append(message["body"])
            size, more = size + len(message["body"]), message["more_body"]
        return b"".join(parts)

    def _too_large(self) -> Refusal:
        return Refusal(413, f"the body is larger than {self.settings.max_body:,} bytes")

    async def _send(self, scope: dict[str, Any], send: Send, served: Served, response: Response) -> None:
        headers = [*response.headers, served.header, SAFE]
        body = response.body
        if scope["path"] in self._files:
            headers += PAGE_HEADERS
        if len(body) >= coding.WORTHWHILE:
            accepted = next((value for name, value in scope["headers"] if name == b"accept-encoding"), b"")
            body, told = coding.encode(body, accepted)
            headers += told
        if not self.ready:  # so that a client goes elsewhere with its next request
            headers.append(CLOSE)
        headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    def _line(self, scope: dict[str, Any], status: int, seconds: float, rows: int) -> dict[str, Any]:
        """A line of the access log; what came from the client is escaped by JSON."""
        client = scope.get("client") or ("", 0)
        return {
            "client": client[0],
            "method": scope["method"],
            "path": scope["path"][:256],
            "status": status,
            "rows": rows,
            "milliseconds": round(1000 * seconds, 3),
            "artifact": self.served.verified.digest,
        }


def _constant(response: Response, _served: Served, _request: Request) -> Response:
    return response
