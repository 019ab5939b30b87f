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
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self, cast
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
    its own. It looks for its folder once, as it is imported: enter this before that. Where it has been imported, there
    is nothing to do. A `matplotlibrc` of the working folder may be read; no plot takes anything from it.
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


class Drawing:
    """A figure to draw on in a `with` block, in which matplotlib has the settings of a page; and its SVG.

    Attributes:
        axes: matplotlib's; an array of them where there is a grid.
    """

    def __init__(
        self, name: str, *, width: float = 5.2, height: float = 3.4, grid: tuple[int, int] | None = None
    ) -> None:
        """Take the measures.

        Args:
            name: what its ids begin with; each plot of a page has another one.
            width: inches, of which a page shows 96 px as one.
            height: likewise.
            grid: rows and columns of panels; None is one panel.
        """
        self._name, self._size, self._grid = name, (width, height), grid
        self._settings = _settings()
        self._figure: Any = None
        self.axes: Any = None

    def __enter__(self) -> Self:
        """Open the figure."""
        self._settings.__enter__()
        from matplotlib.figure import Figure

        self._figure = Figure(figsize=self._size, layout="tight")
        self.axes = self._figure.subplots(*self._grid or (1, 1), squeeze=self._grid is None)
        return self

    def __exit__(self, *error: object) -> None:
        """Take matplotlib's settings back."""
        self._settings.__exit__(None, None, None)

    def png(self) -> bytes:
        """The drawing as PNG on white, 144 dots an inch."""
        import io

        buffer = io.BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as below
            self._figure.savefig(buffer, format="png", dpi=144, facecolor="white", metadata={"Software": None})
        return buffer.getvalue()

    def svg(self) -> Markup:
        """The drawing, for a page; whoever places it says by a label what it shows."""
        import io

        from markupsafe import Markup

        buffer = io.StringIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a label may have letters that the font does not
            self._figure.savefig(
                buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
            )
        text = _plain_svg(buffer.getvalue(), self._name, width=round(96 * self._size[0]))
        return Markup(text)  # noqa: S704 - matplotlib has escaped the texts


@contextmanager
def _settings() -> Iterator[None]:
    """Matplotlib's own defaults and `_SETTINGS`, whatever a file of settings says."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcParams.update({key: value for key, value in mpl.rcParamsDefault.items() if key != "backend"})
        mpl.rcParams.update(cast("Any", _SETTINGS))  # whose keys are literals to the type checker
        yield


def label(text: object, most: int = 22) -> str:
    """Return a text as it stands in a plot: short, and without what no XML may hold."""
    return clean(short(text, most))


def _plain_svg(text: str, name: str, *, width: int) -> str:
    """An SVG of matplotlib without ids that nothing asks for, style attributes, and digits that nobody sees."""
    root = ET.fromstring(text)  # noqa: S314 - it was written a moment ago, by matplotlib
    asked = {each for element in root.iter() for value in element.attrib.values() for each in _ANCHOR.findall(value)}
    for element in root.iter():
        for child in [each for each in element if each.tag.removeprefix(_SVG) in _DROPPED]:
            element.remove(child)
        _simplify(element, asked, name)
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    root.set("width", str(width))
    _unnest(root)
    ET.register_namespace("", _SVG[1:-1])
    return ET.tostring(root, encoding="unicode").replace("\n", "")


def _simplify(element: ET.Element, asked: set[str], name: str) -> None:
    attributes = dict(element.attrib)
    element.attrib.clear()
    for part in attributes.pop("style", "").split(";"):
        key, _, value = (each.strip() for each in part.partition(":"))
        if key == "font" and (size := _FONT_SIZE.search(value)):
            key, value = "font-size", size[1]
        if key in _STYLED:
            attributes[key] = value
    if attributes.get("id") not in asked:
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
    """Put the children of a group that says nothing in its place."""
    for child in list(element):
        _unnest(child)
        if child.tag == f"{_SVG}g" and not child.attrib:
            at = list(element).index(child)
            element.remove(child)
            for offset, each in enumerate(child):
                element.insert(at + offset, each)
