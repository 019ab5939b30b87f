"""The page's routes: its files, the model in words, and what it asks.

The page decides nothing: rows come here as they are, and are read and answered as `predict` reads and answers them.
"""

from __future__ import annotations

from html import escape
from string import Template
from typing import TYPE_CHECKING, Any

from artifact_pipeline import plugins
from artifact_pipeline.serving.http import Response, Route, json_response
from artifact_pipeline.serving.page import form
from artifact_pipeline.serving.page.describe import describe
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
        StorageError: a panel cannot write what it is to write.
    """
    panels = [*(plugins.panel(name)(settings) for name in plugins.PANELS), form.panel()]
    own = panels[-1].folder
    pages = {each.name: _file(document(own, each), _HTML) for each in panels}
    found = {path: response for each in panels for path, response in _files(each.folder)}

    def described(served: Served) -> dict[str, Any]:
        return describe(served, panel_of(served, panels), max_body=settings.max_body)

    return {
        "/": Route("page", lambda served, _: pages[panel_of(served, panels).name]),
        **{path: _constant(response) for path, response in found.items()},
        "/page/model": Route("page", lambda served, _: json_response(described(served))),
        "/page/table": _posted(read_table),
        "/page/answers.csv": _posted(answers_file),
        **{path: route for each in panels for path, route in each.routes.items()},
    }


def panel_of(served: Served, panels: list[Panel]) -> Panel:
    """Return the first panel that fits a model; the last one fits any."""
    return next(each for each in panels if each.fits(served))


def _files(folder: Traversable) -> Iterator[tuple[str, Response]]:
    """The styles and scripts of a folder, by path."""
    for file in folder.iterdir():
        kind = _KINDS.get(file.name[file.name.rfind(".") :])
        if kind is not None:
            yield f"/{file.name}", _file(file.read_bytes(), kind)


def document(own: Traversable, panel: Panel) -> bytes:
    """Return the page with a panel in it; `own` is the folder of what all pages have."""
    words = {name: escape(getattr(panel, name)) for name in ("name", "title", "subtitle", "drop", "accept")}
    inside = (panel.folder / f"{panel.name}.html").read_text("utf-8")
    return Template((own / "page.html").read_text("utf-8")).substitute(words, panel=inside).encode()


def _file(data: bytes, kind: bytes) -> Response:
    return Response(200, data, ((b"content-type", kind), *_HEADERS))


def _posted(answer: Callable[[Served, bytes], Response]) -> Route:
    """What is asked by a file."""
    return Route("page", lambda served, request: answer(served, request.body), large=True, method="POST")


def _constant(response: Response) -> Route:
    return Route("page", lambda _served, _request: response)
