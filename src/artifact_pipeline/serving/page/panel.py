"""A panel: the part of the page that sends rows to the model, such as a form of its columns, or a sheet to draw on."""

from __future__ import annotations

from dataclasses import dataclass
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
        name: the name of its files: `NAME.html` becomes a part of the page, `NAME.css` and `NAME.js` are served.
        folder: the folder of these files; other style sheets and scripts in it are served too.
        title: the title of the page.
        subtitle: the line under the title.
        drop: shown while a file is dragged over the page.
        accept: the kinds of files that one can choose, as in HTML.
        fits: returns whether the panel can be used with a model.
        about: returns what its script needs to know of the model, beside what every panel gets.
        routes: the routes that its script uses, by path.
    """

    name: str
    folder: Traversable
    title: str
    subtitle: str
    drop: str
    accept: str
    fits: Callable[[Served], bool]
    about: Callable[[Served], Mapping[str, Any]]
    routes: Mapping[str, Route]
