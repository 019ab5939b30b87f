"""The application: it routes requests, and answers each with a response, whatever it holds.

The model in charge is one attribute, read when a request's head has come: a request is answered whole by one artifact.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from artifact_pipeline.errors import DataRejected, StorageError
from artifact_pipeline.serving import coding, origins
from artifact_pipeline.serving.http import RETRY_SOON, Refusal, Request, Response, Route, json_response
from artifact_pipeline.serving.limits import SMALL
from artifact_pipeline.serving.model import server_metadata
from artifact_pipeline.serving.openapi import document
from artifact_pipeline.serving.page.routes import routes as page
from artifact_pipeline.serving.tensors import LENGTH_HEADER, inference_response, parse_inference

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.serving.http import Exchange
    from artifact_pipeline.serving.metrics import ServerMetrics
    from artifact_pipeline.serving.model import Served
    from artifact_pipeline.serving.settings import Settings
    from artifact_pipeline.serving.tensors import Inference

    Answered = tuple[NDArray[Any], NDArray[np.float64]]

_Result = TypeVar("_Result")
_TOO_LARGE = 413
_MODELS = "/v2/models/"


class App:
    """The application.

    Attributes:
        served: the model in charge.
        ready: whether the server says that it takes new requests.
    """

    def __init__(self, served: Served, settings: Settings, metrics: ServerMetrics) -> None:
        """Prepare the routes.

        Raises:
            StorageError: the feedback cannot be written.
        """
        self.settings, self.metrics = settings, metrics
        self.ready = True
        self._origins = origins.Origins(settings)
        public = settings.public_url
        self._prefix = public.prefix if public is not None else "/"
        self._routes: dict[str, Route] = {
            "/metrics": Route("metrics", self._metrics, large=True, always=True),
            "/openapi.json": Route("other", lambda served, _: json_response(document(served, settings))),
            "/v2": Route("model", lambda _served, _: json_response(server_metadata())),
            "/v2/health/live": Route("health", lambda _served, _: json_response({"live": True}), always=True),
            "/v2/health/ready": Route("health", lambda _served, _: self._readiness(), always=True),
        }
        self._routes |= page(settings)
        if public is not None and public.prefix != "/":  # the page's own requests are relative to its folder
            there = Response(308, headers=((b"location", public.url.encode()),))
            self._routes.setdefault(public.prefix.rstrip("/"), Route("page", lambda _served, _: there))
        self.serve(served)

    # Where a request goes

    def serve(self, served: Served) -> None:
        """Answer by this model from the next request on."""
        self.metrics.window.serve(served)
        places = (_MODELS + served.name, f"{_MODELS}{served.name}/versions/{served.version}")
        ready = Route("health", lambda served, _: self._readiness(name=served.name), always=True)
        model = Route("model", lambda served, _: json_response(served.metadata()))
        infer = Route("infer", self._infer, method="POST")
        ends = {"": model, "/ready": ready, "/infer": infer}
        self._models = {place + end: route for place in places for end, route in ends.items()}
        self.served = served

    def route(self, request: Request) -> Route:
        """Return the route of a request, by its head.

        Raises:
            Refusal: there is none at this path or by this method, the client may not ask, or the body is too large.
        """
        self._origins.check(request)  # first: a client that may not ask learns nothing of the model
        path = request.path
        found = self._find(path)
        if found is None and path.startswith(self._prefix):  # a proxy may take the prefix off, or leave it
            path = path[len(self._prefix) - 1 :]
            found = self._find(path)
        if found is None:
            raise self._not_found(path)
        if request.method != found.method and (request.method, found.method) != ("HEAD", "GET"):
            methods = "GET, HEAD" if found.method == "GET" else found.method
            raise Refusal(405, f"this path takes {methods}", (b"allow", methods.encode()))
        if found.method == "POST":
            declared = request.headers.get(b"content-length")
            if declared is not None and int(declared) > self.settings.max_body:  # the parser has seen that it is one
                raise self.too_large()
        return found

    def _find(self, path: str) -> Route | None:
        return self._models.get(path) or self._routes.get(path)

    def _not_found(self, path: str) -> Refusal:
        served = self.served
        if path == f"{_MODELS}stats" or path.removesuffix("/stats") + "/infer" in self._models:
            return Refusal(404, "the statistics extension is not served; /metrics has the figures")
        name, *rest = path.removeprefix(_MODELS).split("/")
        if path.startswith(_MODELS) and name != served.name:
            return Refusal(404, f"there is no model {name[:80]!a}; there is {served.name}")
        if path.startswith(_MODELS) and rest[:1] == ["versions"] and rest[1:2] != [served.version]:
            version = rest[1] if len(rest) > 1 else ""
            return Refusal(404, f"there is no version {version[:80]!a}; there is {served.version}")
        return Refusal(404, "there is nothing at this path; /openapi.json lists what there is")

    def too_large(self) -> Refusal:
        """The refusal of a body that is too large."""
        return Refusal(_TOO_LARGE, f"the body is larger than {self.settings.max_body:,} bytes")

    # What answers it

    def is_large(self, exchange: Exchange) -> bool:
        """Whether an answer takes so long that other requests must not wait for it."""
        request = exchange.request
        return exchange.route.large or len(request.body) > SMALL or (request.packed and self._is_large(request))

    def answer(self, exchange: Exchange) -> Response:
        """Answer a request that has come whole; from any thread."""
        return _refused_or(self._answer, exchange)

    def _answer(self, exchange: Exchange) -> Response:
        if exchange.request.packed:
            self._unpack(exchange.request, self.settings.max_body)
        return exchange.route.answer(exchange.served, exchange.request)

    def _unpack(self, request: Request, limit: int) -> None:
        request.body = coding.decode(request.body, request.header(b"content-encoding"), limit)
        request.packed = False

    def _is_large(self, request: Request) -> bool:
        """Decompress a body, and return False; or return True where it becomes too large."""
        try:
            self._unpack(request, SMALL)
        except Refusal as refusal:  # of another status: it is raised again where the request is answered
            return refusal.status == _TOO_LARGE
        return False

    def infer_together(self, exchanges: Sequence[Exchange]) -> list[Response]:
        """Answer several inferences, each by itself, but step by step.

        The code and the data of one step stay in the processor's caches while it is done for all: it costs half.
        """
        asked = [_refused_or(self._unpack_and_parse, each) for each in exchanges]
        answered = [each if isinstance(each, Response) else _refused_or(_predict, *each) for each in asked]
        return [each if isinstance(each, Response) else self._render(*each) for each in answered]

    def _infer(self, served: Served, request: Request) -> Response:
        return self._render(*_predict(*_parse(served, request)))

    def _unpack_and_parse(self, exchange: Exchange) -> tuple[Served, Inference]:
        if exchange.request.packed:
            self._unpack(exchange.request, self.settings.max_body)
        return _parse(exchange.served, exchange.request)

    def _render(self, served: Served, asked: Inference, answered: Answered) -> Response:
        self.metrics.window.note(asked.rows, *answered, served)
        return inference_response(asked, *answered, served)

    def _metrics(self, served: Served, request: Request) -> Response:
        return self.metrics.response(served, request.header(b"accept") or "", ready=self.ready)

    def _readiness(self, **about: str) -> Response:
        response = json_response({**about, "ready": self.ready})
        return response if self.ready else replace(response, status=503, headers=(*response.headers, RETRY_SOON))


def _parse(served: Served, request: Request) -> tuple[Served, Inference]:
    return served, parse_inference(request.body, request.header(LENGTH_HEADER), served)


def _predict(served: Served, asked: Inference) -> tuple[Served, Inference, Answered]:
    return served, asked, served.predictor.checked(*asked.rows)


def _refused_or(work: Callable[..., _Result], *arguments: Any) -> _Result | Response:
    """The result of the work, or the response that refuses it."""
    try:
        return work(*arguments)
    except Refusal as refusal:
        return refusal.response()
    except DataRejected as error:
        return Refusal(400, error.problems[0].message if error.problems else error.message).response()
    except StorageError as error:
        return Refusal(503, error.message, RETRY_SOON).response()
