"""A panel: the part of the page on which one asks the model, such as a form of its columns, or a sheet to draw on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from importlib.resources.abc import Traversable

    from artifact_pipeline.serving.http import Route
    from artifact_pipeline.serving.model import Served


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A panel.

    Attributes:
        name: of its files: `NAME.html` stands in the page, `NAME.css` and `NAME.js` belong to it.
        folder: where its files are; scripts beside those are served too.
        title: the page's.
        subtitle: the line under it.
        drop: what is said while a file is dragged over the page.
        accept: the kinds of files that one can choose, as HTML has them.
        fits: whether it is the panel of a model.
        about: what its script must know of the model, beside what every page is told.
        routes: what its script asks.
    """

    name: str
    folder: Traversable
    title: str
    subtitle: str
    drop: str
    accept: str
    fits: Callable[[Served], bool]
    about: Callable[[Served], Mapping[str, Any]]
    routes: Mapping[str, Route] = field(default_factory=dict)
