"""A page as HTML: one file, no script, no request, and a policy that allows neither."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from artifact_pipeline import __version__
from artifact_pipeline.reports.tables import clean

if TYPE_CHECKING:
    from artifact_pipeline.reports.page.parts import Page

_PLACE = "artifact_pipeline.reports.page"


def html(page: Page) -> str:
    """Return the page; each text of it is escaped, and what is not printable is shown as an escape."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    folder = files(_PLACE) / "static"
    style = (folder / "report.css").read_text(encoding="utf-8")
    template = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_printable
    ).from_string((folder / "report.html").read_text(encoding="utf-8"))
    # The policy names the digest of the style sheet: no other one, and no style attribute, counts.
    hashed = b64encode(sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{hashed}'; img-src data:; base-uri 'none'; form-action 'none'"
    return template.render(page=page, style=Markup(style), policy=policy, version=__version__)  # noqa: S704 - our file


def _printable(value: Any) -> Any:
    """Escape what a text may hold to deceive a reader, such as a mark that turns the direction of letters."""
    return clean(value) if type(value) is str else value
