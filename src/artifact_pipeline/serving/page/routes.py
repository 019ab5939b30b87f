"""The page's routes: its files, the description of the model, and the requests of its scripts.

The page decides nothing: it sends rows as they are, and they are read and answered as by `predict`.
"""

from __future__ import annotations

from html import escape
from string import Template
from typing import TYPE_CHECKING, Any

from artifact_pipeline import plugins
from artifact_pipeline.serving.http import Response, Route, json_response
from artifact_pipeline.serving.page import form
from artifact_pipeline.serving.page.table import answers_file, read_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from importlib.resources.abc import Traversable

    from artifact_pipeline.serving.model import Served
    from artifact_pipeline.serving.page.panel import Panel
    from artifact_pipeline.serving.settings import Settings

_KINDS = {".css": b"text/css; charset=utf-8", ".js": b"text/javascript; charset=utf-8"}
_HTML = b"text/html; charset=utf-8"
_HEADERS = (
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
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-cache"),
)


def routes(settings: Settings) -> dict[str, Route]:
    """The page's routes by their paths.

    Raises:
        StorageError: the feedback cannot be written.
    """
    panels = [*(plugins.panel(name)(settings) for name in plugins.PANELS), form.panel()]
    own = panels[-1].folder
    pages = {each.name: _file(document(own, each), _HTML) for each in panels}
    found = {path: response for each in panels for path, response in _files(each.folder)}

    def described(served: Served) -> Response:
        return json_response(_description(served, panel_of(served, panels), max_body=settings.max_body))

    return {
        "/": Route("page", lambda served, _: pages[panel_of(served, panels).name]),
        **{path: _constant(response) for path, response in found.items()},
        "/page/model": Route("page", lambda served, _: described(served)),
        "/page/table": _posted(read_table),
        "/page/answers.csv": _posted(answers_file),
        **{path: route for each in panels for path, route in each.routes.items()},
    }


def panel_of(served: Served, panels: list[Panel]) -> Panel:
    """Return the first panel that fits a model; the last one fits any."""
    return next(each for each in panels if each.fits(served))


def _description(served: Served, panel: Panel, *, max_body: int) -> dict[str, Any]:
    """What the page shows of the model: which one it is, its figures, and what the script of its panel needs."""
    manifest = served.verified.manifest
    held_out = manifest.metrics.held_out
    return {
        "name": served.name,
        "digest": served.verified.digest,
        "model": manifest.model.digest,
        "gate": manifest.gate.verdict if manifest.gate else "missing",
        "rules": manifest.gate.rules if manifest.gate else (),
        "labels": served.labels,
        "target": manifest.data.target,
        "answers": served.predictor.kind,
        "max_body": max_body,
        "held_out": {
            "rows": held_out.rows,
            "accuracy": held_out.accuracy,
            "f1": held_out.f1_weighted,
            "confusion": held_out.confusion,
        },
        "panel": panel.name,
        **panel.about(served),
    }


def _files(folder: Traversable) -> Iterator[tuple[str, Response]]:
    """Yield the path and the content of each style sheet and script of a folder."""
    for file in folder.iterdir():
        kind = _KINDS.get(file.name[file.name.rfind(".") :])
        if kind is not None:
            yield f"/{file.name}", _file(file.read_bytes(), kind)


def document(own: Traversable, panel: Panel) -> bytes:
    """Return the page with a panel in it; `own` is the folder of what all panels share."""
    words = {name: escape(getattr(panel, name)) for name in ("name", "title", "subtitle", "drop", "accept")}
    inside = (panel.folder / f"{panel.name}.html").read_text("utf-8")
    return Template((own / "page.html").read_text("utf-8")).substitute(words, panel=inside).encode()


def _file(data: bytes, kind: bytes) -> Response:
    return Response(200, data, ((b"content-type", kind), *_HEADERS))


def _posted(answer: Callable[[Served, bytes], Response]) -> Route:
    """The route of a request whose body is a file."""
    return Route("page", lambda served, request: answer(served, request.body), large=True, method="POST")


def _constant(response: Response) -> Route:
    return Route("page", lambda _served, _request: response)
