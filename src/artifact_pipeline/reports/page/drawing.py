"""Plots by matplotlib as SVG that stands in a page: the same bytes everywhere, no style of its own, no id twice.

A strict policy lets a page have no style attribute, and a dark page needs other colours: so each colour is an
attribute, and the page's style sheet gives the colours of `INK` and the others their values.
"""

from __future__ import annotations

import json
import os
import re
import sys
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast
from xml.etree import ElementTree as ET

from artifact_pipeline.reports.page.parts import short
from artifact_pipeline.reports.tables import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markupsafe import Markup

INK, FAINT, BLUE, ORANGE, GREY, BAND = "#24292f", "#d0d7de", "#0072b2", "#d55e00", "#6e7781", "#cfe5f4"
"""The colours of all plots: blue and vermilion of Okabe and Ito's palette, which the colour-blind tell apart."""
_SETTINGS: dict[str, Any] = {
    "svg.hashsalt": "artifact-pipeline",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": ["DejaVu Sans"],
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": FAINT,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "legend.frameon": False,
    "legend.fontsize": 9,
}
_FONT_LISTS = (390, "3.11.0")
"""The versions of matplotlib's list of fonts, of 3.9 and of 3.11; where it has another one, it makes its own list."""
_ONE_FONT = {
    "__class__": "FontManager",
    "_FontManager__default_weight": "normal",
    "default_size": None,
    "defaultFamily": {"ttf": "DejaVu Sans", "afm": "Helvetica"},
    "afmlist": [],
    "ttflist": [
        {"__class__": "FontEntry", "fname": "fonts/ttf/DejaVuSans.ttf", "name": "DejaVu Sans", "style": "normal",
         "variant": "normal", "weight": 400, "stretch": "normal", "size": "scalable"},
    ],
}  # fmt: skip
_DROPPED = {"metadata", "style"}
_STYLED = {"fill", "stroke", "stroke-width", "stroke-opacity", "fill-opacity", "opacity", "stroke-dasharray",
           "stroke-linecap", "stroke-linejoin", "text-anchor", "font-size", "font-weight"}  # fmt: skip
"""The properties of a style that become attributes; fonts are the page's."""
_FONT_SIZE = re.compile(r"([0-9.]+)px")
_NUMBER = re.compile(r"-?[0-9]+\.[0-9]{2,}")
_ANCHOR = re.compile(r"#([\w-]+)")
_SVG, _XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"


@contextmanager
def own_settings() -> Iterator[None]:
    """Keep matplotlib from reading or writing settings and caches of the user, for this block.

    Nor does it look at the system's fonts, which takes seconds where there are many: it is given a list of one font,
    its own. It looks for its folder once, as it is imported: enter this before that. After it, this does nothing. A
    `matplotlibrc` of the working folder may be read; no plot takes anything from it.
    """
    if "matplotlib" in sys.modules:
        yield
        return
    before = {name: os.environ.get(name) for name in ("MPLCONFIGDIR", "MATPLOTLIBRC")}
    with TemporaryDirectory(prefix="artifact-pipeline-") as folder:
        for version in _FONT_LISTS:
            listed = json.dumps({"_version": version, **_ONE_FONT})
            Path(folder, f"fontlist-v{version}.json").write_text(listed, encoding="utf-8")
        os.environ["MPLCONFIGDIR"] = folder
        os.environ.pop("MATPLOTLIBRC", None)
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure to draw on.

    Attributes:
        axes: matplotlib's; an array of them where there is a grid.
    """

    axes: Any
    _figure: Any
    _name: str

    def png(self) -> bytes:
        """The drawing as PNG on white, 144 dots an inch."""
        return self._saved("png", {"Software": None}, dpi=144, facecolor="white")

    def svg(self) -> Markup:
        """The drawing, for a page; the page has a label that says what it shows."""
        from markupsafe import Markup

        text = self._saved("svg", dict.fromkeys(("Date", "Creator", "Format", "Type"))).decode()
        text = _plain_svg(text, self._name, width=round(96 * self._figure.get_figwidth()))
        return Markup(text)  # noqa: S704 - matplotlib has escaped the texts

    def _saved(self, form: str, metadata: dict[str, None], **options: Any) -> bytes:
        buffer = BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a label may have letters that the font does not
            self._figure.savefig(buffer, format=form, metadata=metadata, **options)
        return buffer.getvalue()


@contextmanager
def open_drawing(
    name: str, *, width: float = 5.2, height: float = 3.4, grid: tuple[int, int] | None = None
) -> Iterator[Drawing]:
    """Open a figure; in the block matplotlib has its own defaults and `_SETTINGS`, whatever a file of settings says.

    Args:
        name: what its ids begin with; each plot of a page has another one.
        width: inches, of which a page shows 96 px as one.
        height: likewise.
        grid: rows and columns of panels; None is one panel.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context():
        mpl.rcParams.update({key: value for key, value in mpl.rcParamsDefault.items() if key != "backend"})
        mpl.rcParams.update(cast("Any", _SETTINGS))  # whose keys are literals to the type checker
        figure = Figure(figsize=(width, height), layout="tight")
        yield Drawing(figure.subplots(*grid or (1, 1), squeeze=grid is None), figure, name)


def label(text: object, most: int = 22) -> str:
    """Return a text as it stands in a plot: short, and without what no XML may hold."""
    return clean(short(text, most))


def _plain_svg(text: str, name: str, *, width: int) -> str:
    """An SVG of matplotlib without unused ids, style attributes, and digits that cannot be seen."""
    root = ET.fromstring(text)  # noqa: S314 - it was written a moment ago, by matplotlib
    used = {each for element in root.iter() for value in element.attrib.values() for each in _ANCHOR.findall(value)}
    for element in root.iter():
        for child in [each for each in element if each.tag.removeprefix(_SVG) in _DROPPED]:
            element.remove(child)
        _simplify(element, used, name)
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    root.set("width", str(width))
    _unnest(root)
    ET.register_namespace("", _SVG[1:-1])
    return ET.tostring(root, encoding="unicode").replace("\n", "")


def _simplify(element: ET.Element, used: set[str], name: str) -> None:
    """Turn an element's style into attributes, begin its ids with a name, and shorten its numbers."""
    attributes = dict(element.attrib)
    element.attrib.clear()
    for part in attributes.pop("style", "").split(";"):
        key, _, value = (each.strip() for each in part.partition(":"))
        if key == "font" and (size := _FONT_SIZE.search(value)):
            key, value = "font-size", size[1]
        if key in _STYLED:
            attributes[key] = value
    if attributes.get("id") not in used:
        attributes.pop("id", None)
    for key, value in attributes.items():
        if key == "id":
            value = f"{name}-{value}"  # noqa: PLW2901
        elif "#" in value and ("url(" in value or key.endswith("href")):
            value = _ANCHOR.sub(rf"#{name}-\1", value)  # noqa: PLW2901
        elif key in {"d", "transform", "x", "y", "points", "viewBox", "width", "height"}:
            value = _NUMBER.sub(lambda found: f"{float(found[0]):.1f}".removesuffix(".0"), value)  # noqa: PLW2901
            value = " ".join(value.split())  # noqa: PLW2901
        element.set("href" if key == f"{_XLINK}href" else key, value)
    element.tail = None
    if element.text is not None and not element.text.strip():
        element.text = None


def _unnest(element: ET.Element) -> None:
    """Replace each group without attributes by its children."""
    children: list[ET.Element] = []
    for child in element:
        _unnest(child)
        children += child if child.tag == f"{_SVG}g" and not child.attrib else [child]
    element[:] = children
